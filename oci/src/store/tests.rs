//! The store against other tools' rules, other processes and sudden death.

use super::*;
use crate::descriptor::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::spec;
use std::collections::HashSet;
use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(dir.path().join("store")).expect("opens");
    (dir, store)
}

/// A one-layer image whose layer has these bytes.
fn add_image(store: &Store, name: &str, layer: &[u8]) -> spec::Descriptor {
    let lease = store.lease().expect("lease");
    let claimed = Blob::of_bytes(layer);
    lease.add([&claimed.digest]).expect("claims");
    if let Begin::Started(ingest) = store.ingest(&claimed).expect("starts") {
        let offset = ingest.offset() as usize;
        ingest
            .receive(&layer[offset..])
            .expect("receives")
            .commit()
            .expect("commits");
    }
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [claimed.digest]}});
    let config = put_claimed(store, &lease, config.to_string().as_bytes());
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": OCI_LAYER, "digest": claimed.digest, "size": claimed.size}]});
    let manifest = put_claimed(store, &lease, manifest.to_string().as_bytes());
    let descriptor = manifest.descriptor(OCI_MANIFEST).expect("fits");
    store.set_ref(name, &descriptor).expect("names");
    descriptor
}

fn put_claimed(store: &Store, lease: &Lease, bytes: &[u8]) -> Blob {
    lease.add([&Digest::of(bytes)]).expect("claims");
    store.put(bytes).expect("stores")
}

/// Reads every named image whole; panics on anything amiss.
fn check(store: &Store) -> usize {
    let images = store.images().expect("index.json is whole");
    for image in &images {
        let Document::Manifest(manifest) = store
            .read_document(&image.descriptor)
            .expect("manifest is whole")
        else {
            panic!("an index?")
        };
        store.read_config(&manifest).expect("config is whole");
        for layer in &manifest.layers {
            let mut reader = store.open_blob(&layer.blob).expect("layer is there");
            io::copy(&mut reader, &mut io::sink()).expect("layer is whole");
        }
    }
    images.len()
}

fn blob_count(store: &Store) -> usize {
    fs::read_dir(store.root().join("blobs/sha256"))
        .expect("lists")
        .count()
}

#[test]
fn an_interrupted_ingest_goes_on_from_any_byte() {
    let (_dir, store) = store();
    let bytes: Vec<u8> = (0..997u32).map(|i| (i * 7) as u8).collect();
    let blob = Blob::of_bytes(&bytes);
    for kept in 0..=bytes.len() {
        fs::write(
            store
                .root()
                .join(format!("ingest/sha256-{}", blob.digest.hex())),
            &bytes[..kept],
        )
        .expect("writes");
        assert!(!store.has(&blob));
        let Begin::Started(ingest) = store.ingest(&blob).expect("starts") else {
            panic!("not there yet")
        };
        assert_eq!(ingest.offset(), kept as u64);
        let mut receiver = ingest.receive(&bytes[kept..]).expect("receives");
        let mut seen = Vec::new();
        receiver.read_to_end(&mut seen).expect("reads");
        assert_eq!(seen, bytes);
        receiver.commit().expect("commits");
        assert_eq!(store.read_blob(&blob, 1 << 20).expect("reads"), bytes);
        assert!(matches!(store.ingest(&blob), Ok(Begin::Present)));
        fs::remove_file(store.blob_path(&blob.digest)).expect("removes");
    }
}

#[test]
fn a_wrong_byte_anywhere_never_becomes_a_blob() {
    let (_dir, store) = store();
    let right = b"the bytes that the manifest promises".to_vec();
    let blob = Blob::of_bytes(&right);
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 0x20;
        let Begin::Started(ingest) = store.ingest(&blob).expect("starts") else {
            panic!("not there")
        };
        let error = ingest
            .receive(&wrong[..])
            .expect("receives")
            .commit()
            .expect_err("is refused");
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(!store.has(&blob));
    }
    // The wrong bytes are not resumed either.
    let Begin::Started(ingest) = store.ingest(&blob).expect("starts") else {
        panic!("not there")
    };
    assert_eq!(ingest.offset(), 0);
}

#[test]
fn too_few_bytes_are_kept_and_too_many_are_not() {
    let (_dir, store) = store();
    let blob = Blob::of_bytes(b"0123456789");
    let start = || match store.ingest(&blob).expect("starts") {
        Begin::Started(ingest) => ingest,
        other => panic!("{other:?}"),
    };
    let error = start()
        .receive(&b"01234"[..])
        .expect("receives")
        .commit()
        .expect_err("is cut");
    assert!(error.to_string().contains("ends after 5 of 10"), "{error}");
    let ingest = start();
    assert_eq!(ingest.offset(), 5);
    let error = ingest
        .receive(&b"56789x"[..])
        .expect("receives")
        .commit()
        .expect_err("is too long");
    assert!(error.to_string().contains("goes on behind"), "{error}");
    assert_eq!(start().offset(), 0);
}

#[test]
fn only_one_fetches_and_the_other_waits() {
    let (_dir, store) = store();
    let blob = Blob::of_bytes(b"shared");
    let Begin::Started(ingest) = store.ingest(&blob).expect("starts") else {
        panic!("not there")
    };
    assert!(matches!(store.ingest(&blob), Ok(Begin::Busy)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            store.await_ingest(&blob).expect("waits");
            assert!(matches!(store.ingest(&blob), Ok(Begin::Present)));
        });
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiter.is_finished());
        ingest
            .receive(&b"shared"[..])
            .expect("receives")
            .commit()
            .expect("commits");
    });
}

#[test]
fn gc_takes_only_what_nothing_leads_to() {
    let (_dir, store) = store();
    let options = GcOptions::default();
    add_image(&store, "a:1", b"layer one");
    let second = add_image(&store, "b:1", b"layer two");
    assert_eq!(blob_count(&store), 6);
    assert_eq!(
        store.collect_garbage(&options).expect("collects"),
        Garbage::default()
    );

    let digest = Digest::try_from(second.digest()).expect("fits");
    store.pin("container1", &digest).expect("pins");
    store.remove_ref("b:1").expect("removes");
    assert_eq!(store.collect_garbage(&options).expect("collects").blobs, []);

    store.unpin("container1").expect("unpins");
    assert_eq!(
        store
            .collect_garbage(&options)
            .expect("collects")
            .blobs
            .len(),
        3
    );
    assert_eq!((check(&store), blob_count(&store)), (1, 3));
}

#[test]
fn gc_spares_a_running_pull_and_forgets_a_dead_one() {
    let (_dir, store) = store();
    let lease = store.lease().expect("lease");
    let blob = put_claimed(&store, &lease, b"half a pull");
    let partial = Blob::of_bytes(b"being fetched");
    let Begin::Started(ingest) = store.ingest(&partial).expect("starts") else {
        panic!("not there")
    };
    let all = GcOptions {
        partials_older_than: Duration::ZERO,
    };
    store.collect_garbage(&all).expect("collects");
    assert!(store.has(&blob));
    ingest
        .receive(&b"being fetched"[..])
        .expect("receives")
        .commit()
        .expect("its file is still there");

    // A lease that nobody holds is what a killed pull leaves.
    fs::write(
        store.root().join("leases/1-2-3"),
        format!("{}\n", partial.digest),
    )
    .expect("writes");
    fs::write(store.root().join("ingest/sha256-dead"), b"partial").expect("writes");
    drop(lease);
    let garbage = store.collect_garbage(&all).expect("collects");
    assert_eq!(garbage.blobs.len(), 2);
    for dir in ["leases", "ingest", "blobs/sha256"] {
        assert_eq!(
            fs::read_dir(store.root().join(dir)).expect("lists").count(),
            0,
            "{dir}"
        );
    }
}

#[test]
fn a_damaged_manifest_stops_gc_and_rm_helps() {
    let (_dir, store) = store();
    let descriptor = add_image(&store, "a:1", b"x");
    let digest = Digest::try_from(descriptor.digest()).expect("fits");
    fs::remove_file(store.blob_path(&digest)).expect("removes");
    fs::write(store.blob_path(&digest), b"{}").expect("writes");
    let error = store
        .collect_garbage(&GcOptions::default())
        .expect_err("can't know");
    assert!(error.to_string().contains("image a:1"), "{error}");
    store.remove_ref("a:1").expect("removes");
    assert_eq!(
        store
            .collect_garbage(&GcOptions::default())
            .expect("collects")
            .blobs
            .len(),
        3
    );
}

#[test]
fn names_are_found_as_people_write_them() {
    let (_dir, store) = store();
    let one = add_image(&store, "docker.io/library/busybox:latest", b"1");
    let two = add_image(&store, "local:latest", b"2");
    let resolve = |name: &str| {
        store
            .resolve(name)
            .map(|image| image.descriptor.digest().to_string())
    };
    for name in [
        "busybox",
        "busybox:latest",
        "docker.io/library/busybox",
        "library/busybox",
    ] {
        assert_eq!(resolve(name).expect(name), one.digest().to_string());
    }
    for name in [
        "local",
        "local:latest",
        two.digest().as_ref(),
        &two.digest().digest()[..8],
    ] {
        assert_eq!(resolve(name).expect(name), two.digest().to_string());
    }
    assert_eq!(
        resolve(&format!("busybox@{}", one.digest())).expect("agrees"),
        one.digest().to_string()
    );
    assert!(resolve(&format!("busybox:latest@{}", two.digest())).is_err());
    let error = store.resolve("alpine").expect_err("is not here");
    assert!(
        error
            .advice()
            .is_some_and(|hint| hint.contains("image pull alpine"))
    );
    assert!(store.set_ref("evil\n\x1b[31m", &one).is_err());
}

#[test]
fn a_name_moves_and_many_processes_write_it() {
    let (_dir, store) = store();
    std::thread::scope(|scope| {
        for i in 0..8 {
            let store = &store;
            scope.spawn(move || {
                add_image(store, "moving:latest", format!("layer {i}").as_bytes());
                add_image(store, &format!("own:{i}"), b"shared layer");
            });
        }
    });
    assert_eq!(check(&store), 9);
}

#[test]
fn images_are_listed_removed_and_pruned() {
    let (_dir, store) = store();
    let one = add_image(&store, "b:1", b"one");
    store.set_ref("a:1", &one).expect("names");
    add_image(&store, "c:1", b"two");
    let digest = Digest::try_from(one.digest()).expect("fits");
    store.pin("web1", &digest).expect("pins");
    let listed = store.list().expect("lists");
    let names: Vec<_> = listed
        .iter()
        .filter_map(|line| line.name.as_deref())
        .collect();
    assert_eq!(names, ["a:1", "b:1", "c:1"]);
    assert_eq!(
        (listed[0].platform.as_str(), listed[0].layers),
        ("linux/amd64", 1)
    );
    assert_eq!(listed[0].containers, ["web1"]);
    assert_eq!(
        store
            .open_image("a:1")
            .expect("opens")
            .config
            .diff_ids
            .len(),
        1
    );

    store.remove("a:1", false).expect("it has another name");
    let error = store.remove("b:1", false).expect_err("is in use");
    assert_eq!(error.kind(), Kind::Busy);
    let pruned = store.prune(true).expect("prunes");
    assert_eq!(
        (pruned.names, pruned.garbage.blobs.len()),
        (vec!["c:1".to_owned()], 3)
    );
    assert_eq!(store.remove("b:1", true).expect("removes").blobs, []);
    store.unpin("web1").expect("unpins");
    assert_eq!(store.prune(false).expect("prunes").garbage.blobs.len(), 3);
}

/// Not a test of its own: what the next test starts and kills. Adds, removes and collects without end.
#[test]
fn victim() {
    let Ok(root) = std::env::var("VICTIM_STORE") else {
        return;
    };
    let store = Store::open(root).expect("opens");
    println!("ready");
    for i in 0.. {
        let layer: Vec<u8> = (0..200_000u32).map(|n| (n * (i + 3)) as u8).collect();
        add_image(&store, &format!("image:{}", i % 5), &layer);
        let _ = store.remove_ref(&format!("image:{}", (i + 2) % 5));
        store
            .collect_garbage(&GcOptions::default())
            .expect("collects");
    }
}

#[test]
fn kill_minus_nine_leaves_a_store() {
    let (_dir, store) = store();
    for round in 0..40u64 {
        let mut child = Command::new(std::env::current_exe().expect("is known"))
            .args(["--exact", "store::tests::victim", "--nocapture"])
            .env("VICTIM_STORE", store.root())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = io::BufReader::new(child.stdout.take().expect("is piped")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.ends_with("ready"))));
        std::thread::sleep(Duration::from_micros(round * 1777 % 23_000));
        child.kill().expect("kills");
        child.wait().expect("reaps");
        check(&store);
    }
    add_image(&store, "after:all", b"works");
    let all = GcOptions {
        partials_older_than: Duration::ZERO,
    };
    store.collect_garbage(&all).expect("collects");
    assert_eq!(
        fs::read_dir(store.root().join("ingest"))
            .expect("lists")
            .count(),
        0
    );
    let needed: HashSet<String> = store
        .images()
        .expect("reads")
        .iter()
        .map(|i| i.descriptor.digest().to_string())
        .collect();
    assert!(blob_count(&store) <= needed.len() * 3);
}

/// skopeo and umoci read what we wrote.
#[test]
fn other_tools_read_the_store() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        return;
    }
    let (_dir, store) = store();
    let tar = tempfile::NamedTempFile::new().expect("temporary file");
    let mut archive = tar::Builder::new(fs::File::create(tar.path()).expect("opens"));
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive
        .append_data(&mut header, "hello", &b"world"[..])
        .expect("appends");
    archive.finish().expect("finishes");
    add_image(
        &store,
        "docker.io/library/hello:latest",
        &fs::read(tar.path()).expect("reads"),
    );
    let image = format!("{}:docker.io/library/hello:latest", store.root().display());
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().expect("starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {text}");
    };
    run("skopeo", &["inspect", &format!("oci:{image}")]);
    run("umoci", &["stat", "--image", &image]);
    let bundle = tempfile::tempdir().expect("temporary directory");
    let bundle = bundle.path().join("bundle");
    run(
        "umoci",
        &[
            "unpack",
            "--rootless",
            "--image",
            &image,
            bundle.to_str().expect("is text"),
        ],
    );
    assert_eq!(
        fs::read(bundle.join("rootfs/hello")).expect("reads"),
        b"world"
    );
}

/// Somebody locks a file that is just being made, finds nothing in it and removes it.
#[test]
fn a_lock_whose_file_was_removed_meanwhile_is_made_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("note");
    let removing = lock_named(&path).expect("locks");
    let locked = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lock_named(&path));
        let waiter = format!(":{} ", removing.metadata().expect("stat").ino());
        let is_waiting = || {
            let locks = fs::read_to_string("/proc/locks").expect("reads");
            let mut waiters = locks.lines().filter(|line| line.contains("->"));
            waiters.any(|line| line.contains(&waiter))
        };
        while !is_waiting() {
            assert!(!waiting.is_finished(), "it did not wait for the lock");
            std::thread::yield_now();
        }
        fs::remove_file(&path).expect("removes");
        drop(removing);
        waiting.join().expect("ends").expect("locks")
    });
    assert!(has_name(&locked, &path).expect("stat"));
}

#[test]
fn a_lock_that_fails_says_what_failed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let failed = lock_named(&dir.path().join("missing/note")).expect_err("there is no directory");
    assert_eq!(failed.operation, "open");
    assert_eq!(failed.error.kind(), io::ErrorKind::NotFound);
}
