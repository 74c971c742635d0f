//! The life of layers and snapshots on disk: shared, locked, committed, removed, and whole after a kill -9.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{DiffId, Digest};
use rootfs::layer::OverlayXattrs;
use rootfs::snapshot::{
    Chain, Compression, LayerBlob, Parameter, Result, SnapshotError, Snapshots, UnpackOptions,
};
use support::is_root;
use support::tar::{archive, dir, file, gzip, hard_link, item, symlink};
use support::tree::{assert_same, describe, with_overlay};

fn diff_id(layer: &[u8]) -> DiffId {
    DiffId(Digest::of(layer))
}

fn blob(layer: &[u8]) -> LayerBlob<'_> {
    let open = move || Ok(Box::new(std::io::Cursor::new(gzip(layer))) as Box<dyn Read + Send>);
    LayerBlob {
        diff_id: diff_id(layer),
        open: Box::new(open),
    }
}

fn unpack(store: &Snapshots, layers: &[Vec<u8>]) -> Result<Chain> {
    let blobs: Vec<LayerBlob<'_>> = layers.iter().map(|layer| blob(layer)).collect();
    store.unpack(&blobs, &UnpackOptions::default())
}

fn open(path: &Path) -> Snapshots {
    Snapshots::open(path, OverlayXattrs::Trusted).unwrap()
}

fn work_is_empty(store: &Path) -> bool {
    fs::read_dir(store.join("work")).unwrap().count() == 0
}

fn two_layers() -> Vec<Vec<u8>> {
    vec![
        archive([
            dir("./").mode(0o750).mtime(11),
            dir("d"),
            file("d/a", "a"),
            file("d/b", "b"),
            symlink("l", "d"),
        ]),
        archive([
            dir("d").mode(0o700),
            file("d/a", "changed"),
            file("d/.wh.b", ""),
        ]),
    ]
}

#[test]
fn layers_are_unpacked_once_and_shared() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let layers = two_layers();
    let opened = AtomicUsize::new(0);
    let counted = |layer: &Vec<u8>| {
        let (layer, opened) = (layer.clone(), &opened);
        move || {
            opened.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(std::io::Cursor::new(gzip(&layer))) as Box<dyn Read + Send>)
        }
    };
    for _ in 0..3 {
        let blobs: Vec<LayerBlob<'_>> = layers
            .iter()
            .map(|layer| LayerBlob {
                diff_id: diff_id(layer),
                open: Box::new(counted(layer)),
            })
            .collect();
        let chain = store.unpack(&blobs, &UnpackOptions::default()).unwrap();
        assert_eq!(chain.diff_ids().len(), 2);
    }
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    assert!(work_is_empty(ground.path()));
    let (one, two) = (
        store.chain(&[diff_id(&layers[0])]).unwrap(),
        unpack(&store, &layers).unwrap(),
    );
    let (a, b) = (
        store.prepare("a", &one, false).unwrap(),
        store.prepare("b", &two, false).unwrap(),
    );
    assert_eq!(a.lowers[0], b.lowers[1]);
    assert_eq!(store.list().unwrap(), ["a", "b"]);
}

#[test]
fn many_at_once_unpack_each_layer_once() {
    let ground = tempfile::tempdir().unwrap();
    let layers: Vec<Vec<u8>> = (0..6)
        .map(|n| archive([file(format!("f{n}"), vec![n; 100_000])]))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| unpack(&open(ground.path()), &layers).unwrap());
        }
    });
    assert!(work_is_empty(ground.path()));
    assert_eq!(
        fs::read_dir(ground.path().join("layers/sha256"))
            .unwrap()
            .count(),
        6
    );
}

#[test]
fn one_bad_layer_leaves_the_others_and_no_junk() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let good = archive([file("f", "x")]);
    let bad = LayerBlob {
        diff_id: DiffId(Digest::of(b"promised")),
        ..blob(&good)
    };
    let error = store
        .unpack(&[blob(&good), bad], &UnpackOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("diffID"), "{error}");
    assert!(work_is_empty(ground.path()));
    unpack(&store, &[good]).unwrap();
    let missing = store.chain(&[DiffId(Digest::of(b"promised"))]).unwrap_err();
    assert!(matches!(missing, SnapshotError::NotUnpacked(_)));
}

#[test]
fn a_layer_that_is_gone_is_named() {
    let ground = tempfile::tempdir().unwrap();
    let layers = two_layers();
    let chain = unpack(&open(ground.path()), &layers).unwrap();
    let lower = diff_id(&layers[0]).0;
    fs::remove_dir_all(ground.path().join("layers/sha256").join(lower.hex())).unwrap();
    let error = chain.tree().err().unwrap().to_string();
    assert!(error.starts_with("open layer /"), "{error}");
    assert!(error.contains(lower.hex()), "{error}");
}

#[test]
fn names_and_doubles() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let chain = unpack(&store, &two_layers()).unwrap();
    for name in ["", "..", ".hidden", "a/b", "a b", "é"] {
        assert!(
            matches!(
                store.prepare(name, &chain, false),
                Err(SnapshotError::Name(_))
            ),
            "{name}"
        );
    }
    store.prepare("c", &chain, false).unwrap();
    assert!(matches!(
        store.prepare("c", &chain, false),
        Err(SnapshotError::Exists(_))
    ));
    assert!(matches!(
        store.view("c", &chain),
        Err(SnapshotError::Exists(_))
    ));
    store.remove("c").unwrap();
    assert!(matches!(store.remove("c"), Err(SnapshotError::Missing(_))));
    assert!(matches!(store.mounts("c"), Err(SnapshotError::Missing(_))));
    assert!(work_is_empty(ground.path()));
}

#[test]
fn mounts_say_what_overlayfs_needs() {
    let ground = tempfile::tempdir().unwrap();
    let user = Snapshots::open(ground.path(), OverlayXattrs::User).unwrap();
    let options = UnpackOptions {
        owners: false,
        devices: false,
        ..UnpackOptions::default()
    };
    let layers = [archive([file("a", "")]), archive([file("b", "")])];
    let chain = user
        .unpack(&[blob(&layers[0]), blob(&layers[1])], &options)
        .unwrap();
    let writable = user.prepare("w", &chain, true).unwrap();
    assert_eq!(writable.lowers.len(), 2);
    assert!(
        writable.lowers[0]
            .name()
            .to_str()
            .unwrap()
            .contains(diff_id(&layers[1]).0.hex()),
        "the topmost first"
    );
    let options = writable.options().unwrap().into_string().unwrap();
    assert!(
        options.ends_with(",index=off,userxattr,volatile"),
        "{options}"
    );
    assert!(
        writable
            .parameters()
            .contains(&Parameter::Flag("userxattr"))
    );
    let view = user.view("v", &chain).unwrap();
    assert_eq!((view.lowers.len(), view.upper, view.work), (3, None, None));
    assert_eq!(user.mounts("w").unwrap(), writable);
    let nothing = user
        .prepare("empty", &user.chain(&[]).unwrap(), false)
        .unwrap();
    assert_eq!(nothing.lowers.len(), 1);
}

#[test]
fn more_layers_than_fit_into_a_page() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let layers: Vec<Vec<u8>> = (0..130)
        .map(|n| archive([file(format!("f{n}"), "x")]))
        .collect();
    let overlay = store
        .prepare("deep", &unpack(&store, &layers).unwrap(), false)
        .unwrap();
    assert_eq!(overlay.lowers.len(), 130);
    assert_eq!(overlay.options(), None);
    let lowers = overlay
        .parameters()
        .into_iter()
        .filter(|p| matches!(p, Parameter::Text("lowerdir+", _)))
        .count();
    assert_eq!(lowers, 130);
}

#[test]
fn garbage_collection_keeps_what_is_used() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let layers = [two_layers(), vec![archive([file("d/loose", "x")])]].concat();
    let whole = unpack(&store, &layers).unwrap();
    let lower = store.chain(&whole.diff_ids()[..1]).unwrap();
    store.prepare("c", &lower, false).unwrap();
    let removed = store.collect_garbage([&whole.diff_ids()[..2]]).unwrap();
    assert_eq!(
        (removed.layers, removed.seams.len()),
        (vec![diff_id(&layers[2]).0.hex().to_owned()], 1)
    );
    let removed = store.collect_garbage([]).unwrap();
    assert_eq!(removed.layers, [diff_id(&layers[1]).0.hex()]);
    store.remove("c").unwrap();
    assert_eq!(store.collect_garbage([]).unwrap().layers.len(), 1);
    assert!(work_is_empty(ground.path()));
}

#[test]
fn what_has_no_record_goes_when_nobody_uses_layers() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let chain = unpack(&store, &two_layers()).unwrap();
    for id in ["empty", "none", "whole"] {
        store.prepare(id, &chain, false).unwrap();
    }
    let record = |id: &str| {
        ground
            .path()
            .join("snapshots")
            .join(id)
            .join("snapshot.json")
    };
    fs::write(record("empty"), "").unwrap();
    fs::remove_file(record("none")).unwrap();
    store.reserve("reserved", &chain).unwrap();
    let hold = store.hold().unwrap();
    assert_eq!(store.remove_half_made().unwrap(), None);
    drop(hold);
    let removed = store.remove_half_made().unwrap().unwrap();
    assert_eq!(removed, ["empty", "none", "reserved"]);
    assert_eq!(store.list().unwrap(), ["whole"]);
    let uppers = fs::read_dir(ground.path().join("uppers")).unwrap();
    assert_eq!(uppers.count(), 1);
}

#[test]
fn a_commit_unpacks_to_what_the_container_saw() {
    if !is_root() {
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let store = open(&ground.path().join("store"));
    let mount = ground.path().join("mnt");
    let base = vec![archive([
        dir("./").mode(0o751),
        dir("keep").mtime(1),
        file("keep/file", "x").mtime(2),
        dir("gone"),
        file("gone/f", "x"),
        dir("again"),
        file("again/old", "x"),
        file("plain", "one"),
        file("moved", "m").xattr("user.kept", "yes"),
    ])];
    let chain = unpack(&store, &base).unwrap();
    for (id, compression) in [("n", Compression::None), ("g", Compression::Gzip)] {
        let overlay = store.prepare(id, &chain, false).unwrap();
        let seen = with_overlay(&overlay, &mount, |root| {
            let script = "set -e; rm -r gone again; mkdir again; echo new > again/new; echo two > plain; mv moved \"$(printf 'mo\\377ved')\"
                ln plain hard; ln -s /etc/x link; mkfifo -m 600 fifo; mknod null c 1 3; chmod 4711 plain; chown -h 5:6 link
                mkdir -p deep/$(printf 'n%.0s' $(seq 200)); touch -d '1960-01-02 03:04:05.000000006' plain; truncate -s 3M holes
                echo big > big; chown 3000000:3000001 big; setfattr -n user.new -v '' again 2>/dev/null || true; chmod 700 .";
            assert!(
                Command::new("sh")
                    .arg("-c")
                    .arg(script)
                    .current_dir(root)
                    .status()
                    .unwrap()
                    .success()
            );
            describe(root)
        });
        let mut packed = Vec::new();
        let committed = store.commit(id, compression, &mut packed).unwrap();
        assert_eq!(
            (committed.digest.clone(), committed.size),
            (Digest::of(&packed), packed.len() as u64)
        );
        let mut twice = Vec::new();
        assert_eq!(
            store.commit(id, compression, &mut twice).unwrap(),
            committed
        );
        let open =
            move || Ok(Box::new(std::io::Cursor::new(packed.clone())) as Box<dyn Read + Send>);
        let layers = [
            blob(&base[0]),
            LayerBlob {
                diff_id: committed.diff_id,
                open: Box::new(open),
            },
        ];
        let whole = store.unpack(&layers, &UnpackOptions::default()).unwrap();
        let copy = store.view(&format!("{id}-copy"), &whole).unwrap();
        assert_same(&with_overlay(&copy, &mount, describe), &seen);
    }
    let view = store.view("v", &chain).unwrap();
    assert!(view.upper.is_none());
    assert!(matches!(
        store.commit("v", Compression::None, Vec::new()),
        Err(SnapshotError::Refused(_))
    ));
}

#[test]
fn copies_cost_no_copying() {
    if !is_root() {
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let store = open(&ground.path().join("store"));
    let layer = archive([
        file("big", vec![1; 4 << 20]),
        dir("d"),
        item(b'6', "d/fifo"),
        hard_link("big2", "big"),
    ]);
    let chain = unpack(&store, &[layer]).unwrap();
    for n in 0..20 {
        let id = format!("c{n}");
        let overlay = store.prepare(&id, &chain, true).unwrap();
        assert_eq!(fs::read_dir(overlay.upper.unwrap()).unwrap().count(), 0);
    }
    let blocks: u64 = fs::read_dir(ground.path().join("store/snapshots"))
        .unwrap()
        .map(|entry| {
            fs::read_dir(entry.unwrap().path())
                .unwrap()
                .map(|e| e.unwrap().metadata().unwrap().blocks())
                .sum::<u64>()
        })
        .sum();
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
}

/// What the killed process runs: this test binary, told to unpack slowly.
const KILLED: &str = "CRUN_LITE_TEST_UNPACK_INTO";

#[test]
fn a_killed_unpack_leaves_junk_that_the_next_command_removes() {
    let slow = archive((0..3000).map(|n| file(format!("f{n}"), vec![n as u8; 3000])));
    if let Some(store) = std::env::var_os(KILLED) {
        let _ = unpack(&open(Path::new(&store)), &[slow]);
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let work = ground
        .path()
        .join("work")
        .join(format!("layer-{}", diff_id(&slow).0.hex()))
        .join("fs/f100");
    for _ in 0..3 {
        let myself = std::env::current_exe().unwrap();
        let name = "a_killed_unpack_leaves_junk_that_the_next_command_removes";
        let mut child = Command::new(myself)
            .args([name, "--exact"])
            .env(KILLED, ground.path())
            .spawn()
            .unwrap();
        while !work.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Alive ones' work stays, the dead one's goes.
        let alive = ground.path().join("work/layer-of-someone.lock");
        let held = fs::File::create(&alive).unwrap();
        held.lock().unwrap();
        fs::create_dir_all(ground.path().join("work/layer-of-someone")).unwrap();
        open(ground.path());
        let mut left: Vec<_> = fs::read_dir(ground.path().join("work"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["layer-of-someone", "layer-of-someone.lock"]);
        fs::remove_dir(ground.path().join("work/layer-of-someone")).unwrap();
        fs::remove_file(&alive).unwrap();
    }
    unpack(&open(ground.path()), &[slow]).unwrap();
    assert!(work_is_empty(ground.path()));
}

#[test]
fn hard_links_and_parents_that_lean_on_nothing_are_named() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let error = unpack(
        &store,
        &[archive([dir("d"), hard_link("d/x", "d/nowhere")])],
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("\"d/x\"") && error.contains("\"d/nowhere\""),
        "{error}"
    );
    let layers = [archive([file("f", "x")]), archive([file("f/below", "y")])];
    let error = unpack(&store, &layers).unwrap_err().to_string();
    assert!(
        error.contains("ENOTDIR") && error.contains("\"f\""),
        "{error}"
    );
    assert!(work_is_empty(ground.path()));
}

/// What was removed takes its place as long as somebody has it open: a program that another test starts has, between its
/// `fork` and its `exec`.
fn wait_until_free(at: &Path, bytes: u64) {
    let begun = std::time::Instant::now();
    let free = || {
        let facts = rustix::fs::statvfs(at).unwrap();
        facts.f_bfree * facts.f_frsize
    };
    while free() < bytes {
        assert!(begun.elapsed().as_secs() < 30, "only {} are free", free());
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_leaves_nothing_and_the_same_command_works_later() {
    if !is_root() {
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let at = ground.path();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use nix::mount::{MsFlags, mount};
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            mount(
                Some("t"),
                at,
                Some("tmpfs"),
                MsFlags::empty(),
                Some("size=4m"),
            )
            .unwrap();
            let store = open(&at.join("store"));
            fs::write(at.join("ballast"), vec![1; 2 << 20]).unwrap();
            let layers = [
                archive([file("small", "x")]),
                archive([file("big", vec![7; 3 << 20])]),
            ];
            let error = unpack(&store, &layers).unwrap_err().to_string();
            assert!(error.contains("write \"big\": ENOSPC"), "{error}");
            assert!(work_is_empty(&at.join("store")));
            assert!(store.chain(&[diff_id(&layers[1])]).is_err());
            fs::remove_file(at.join("ballast")).unwrap();
            wait_until_free(at, 7 << 19);
            unpack(&store, &layers).unwrap();
        });
    });
}

/// Root of a user namespace: owners can't all be given, attributes are `user.`, whiteouts are devices all the same.
#[test]
fn without_privileges_in_a_user_namespace() {
    if let Some(store) = std::env::var_os(ROOTLESS) {
        let store = Snapshots::open(Path::new(&store), OverlayXattrs::User).unwrap();
        let options = UnpackOptions {
            owners: false,
            devices: false,
            ..UnpackOptions::default()
        };
        let base = archive([
            dir("d").mode(0o500),
            file("d/a", "a").owner(7, 8),
            dir("e"),
            file("e/f", ""),
            item(b'3', "n").device(1, 3),
        ]);
        let change = archive([
            file("d/.wh.a", ""),
            file("d/b", "b"),
            file("e/.wh..wh..opq", ""),
        ]);
        let chain = store
            .unpack(&[blob(&base), blob(&change)], &options)
            .unwrap();
        let overlay = store.prepare("c", &chain, false).unwrap();
        let seen = with_overlay(&overlay, &store_mount(), describe);
        let names: Vec<&str> = seen
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(names, [".", "./d", "./d/b", "./e"]);
        store.remove("c").unwrap();
        store.collect_garbage([]).unwrap();
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let outcome = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "without_privileges_in_a_user_namespace"])
        .env(ROOTLESS, ground.path())
        .output();
    match outcome {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(_) => eprintln!("skipped: no unshare"),
    }
}

const ROOTLESS: &str = "CRUN_LITE_TEST_ROOTLESS_STORE";

fn store_mount() -> std::path::PathBuf {
    Path::new(&std::env::var_os(ROOTLESS).unwrap()).join("mnt")
}
