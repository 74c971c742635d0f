//! Archives in and out, beside skopeo, and archives that no honest tool wrote.

use super::*;
use crate::progress::Silent;
use crate::reference::Place;
use crate::store::{GcOptions, Store};
use crate::transfer::{Options, StoreOnly, Stored, transfer};
use std::io::Write;
use std::process::Command;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(dir.path().join("store")).expect("opens");
    (dir, store)
}

fn import(store: &Store, location: &str, name: &str) -> Result<Stored> {
    let location: Location = location.parse()?;
    let source = open(&location)?;
    let options = Options {
        platform: "linux/amd64".parse()?,
        ..Options::default()
    };
    transfer(store, &*source, name, &options, &StoreOnly, &Silent)
}

fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, *bytes)
            .expect("appends");
    }
    builder.into_inner().expect("finishes")
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<crate::Digest> = layers
        .iter()
        .map(|layer| crate::Digest::of(layer))
        .collect();
    serde_json::json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["x"]}, "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

/// As `docker save` wrote it for years: a directory a layer, a symlink for one that repeats.
fn docker_archive(path: &Path) {
    let layer = tar_of(&[("hello", b"world")]);
    let config = config_of(&[&layer, &layer]);
    let list = br#"[{"Config":"c.json","RepoTags":["hello:1","hello:2"],"Layers":["a/layer.tar","b/layer.tar"]}]"#;
    let mut builder = tar::Builder::new(fs::File::create(path).expect("creates"));
    for (name, bytes) in [
        ("a/layer.tar", &layer[..]),
        ("c.json", &config),
        ("manifest.json", list),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder
            .append_data(&mut header, name, bytes)
            .expect("appends");
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "b/layer.tar", "../a/layer.tar")
        .expect("appends");
    builder.finish().expect("finishes");
}

#[test]
fn out_and_in_again_by_every_kind() {
    let (dir, store) = store();
    let at = |name: &str| dir.path().join(name).display().to_string();
    docker_archive(Path::new(&at("saved.tar")));
    let first = import(
        &store,
        &format!("docker-archive:{}", at("saved.tar")),
        "hello:1",
    )
    .expect("imports");
    assert_eq!(first.manifest.layers.len(), 2);
    let source = open(
        &format!("docker-archive:{}", at("saved.tar"))
            .parse()
            .expect("parses"),
    );
    assert_eq!(
        source.expect("opens").name().as_deref(),
        Some("docker.io/library/hello:1")
    );
    let image = store.resolve("hello:1").expect("is there");
    for to in [
        "oci:DIR/layout:tag",
        "oci-archive:DIR/oci.tar:tag",
        "docker-archive:DIR/docker.tar:x/y:z",
        "oci:DIR/layout:other",
    ] {
        let to = to.replace("DIR", &dir.path().display().to_string());
        export(&store, &image, &to.parse().expect("parses")).expect(&to);
        let (_other, other) = self::store();
        let again = import(&other, &to, "again:1").expect(&to);
        assert_eq!(again.config.diff_ids, first.config.diff_ids);
        assert_eq!(again.manifest.layers, first.manifest.layers);
    }
    // Which of two is not guessed.
    let error = import(&store, &format!("oci:{}", at("layout")), "x:1").expect_err("is ambiguous");
    assert!(
        error.to_string().contains("holds 2 images: tag, other"),
        "{error}"
    );
    // The same image makes the same bytes.
    let write = || {
        let mut bytes = Vec::new();
        write_oci_archive(&store, &image, Some("a"), &mut bytes).expect("writes");
        bytes
    };
    assert_eq!(write(), write());
}

#[test]
fn skopeo_reads_what_we_write_and_the_reverse() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        return eprintln!("skipped: no skopeo");
    }
    let (dir, store) = store();
    let at = |name: &str| dir.path().join(name).display().to_string();
    docker_archive(Path::new(&at("saved.tar")));
    import(
        &store,
        &format!("docker-archive:{}", at("saved.tar")),
        "hello:1",
    )
    .expect("imports");
    let image = store.resolve("hello:1").expect("is there");
    for (kind, back) in [
        ("oci-archive", "docker-archive"),
        ("docker-archive", "oci-archive"),
        ("oci", "oci-archive"),
    ] {
        let ours = format!(
            "{kind}:{}:docker.io/library/hello:9",
            at(&format!("ours-{kind}"))
        );
        export(&store, &image, &ours.parse().expect("parses")).expect(&ours);
        let theirs = format!("{back}:{}:hello:9", at(&format!("theirs-{kind}")));
        let output = Command::new("skopeo")
            .args(["copy", "-q", &ours, &theirs])
            .output()
            .expect("starts");
        assert!(
            output.status.success(),
            "{ours}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let again = import(&store, &theirs, "back:1").expect(&theirs);
        assert_eq!(again.config.diff_ids.len(), 2);
    }
    store
        .collect_garbage(&GcOptions::default())
        .expect("collects");
}

#[test]
fn compressed_layers_in_a_docker_archive() {
    let (dir, store) = store();
    let layer = tar_of(&[("hello", b"world")]);
    let plain = dir.path().join("layer.tar");
    fs::write(&plain, &layer).expect("writes");
    let output = Command::new("gzip")
        .arg("-c")
        .arg(&plain)
        .output()
        .expect("gzip");
    let path = dir.path().join("a.tar");
    let list = br#"[{"Config":"c.json","RepoTags":null,"Layers":["l.tar.gz"]}]"#;
    fs::write(
        &path,
        tar_of(&[
            ("c.json", &config_of(&[&layer])),
            ("l.tar.gz", &output.stdout),
            ("manifest.json", list),
        ]),
    )
    .expect("writes");
    let stored =
        import(&store, &format!("docker-archive:{}", path.display()), "a:1").expect("imports");
    assert_eq!(
        stored.manifest.layers[0].media_type,
        format!("{}+gzip", crate::descriptor::OCI_LAYER)
    );
}

/// Nothing of these becomes an image, and the reason is told.
#[test]
fn archives_that_lie() {
    let (dir, store) = store();
    let path = dir.path().join("a.tar");
    let layer = tar_of(&[("hello", b"world")]);
    let config = config_of(&[&layer]);
    let list = |config: &str, layer: &str| {
        format!(r#"[{{"Config":"{config}","RepoTags":[],"Layers":["{layer}"]}}]"#).into_bytes()
    };
    let (outside, above) = (list("/etc/passwd", "l"), list("c", "../../../etc/shadow"));
    let plain = list("c", "l");
    let huge = vec![b' '; (crate::image_config::MAX_CONFIG_BYTES + 1) as usize];
    type Case<'c> = (Vec<(&'c str, &'c [u8])>, &'c str);
    let cases: [Case; 7] = [
        (vec![("x", b"")], "no file \"manifest.json\""),
        (vec![("manifest.json", b"[]")], "holds no image"),
        (vec![("manifest.json", b"{]")], "manifest.json: "),
        (
            vec![("manifest.json", &outside), ("l", &layer)],
            "no file \"/etc/passwd\"",
        ),
        (
            vec![("manifest.json", &above), ("c", &config)],
            "no file \"../../../etc/shadow\"",
        ),
        (
            vec![
                ("manifest.json", &plain),
                ("c", &config),
                ("l", b"other bytes"),
            ],
            "have the digest",
        ),
        (
            vec![("manifest.json", &plain), ("c", &huge), ("l", &layer)],
            "are more than 8388608",
        ),
    ];
    for (entries, words) in cases {
        fs::write(&path, tar_of(&entries)).expect("writes");
        let error =
            import(&store, &format!("docker-archive:{}", path.display()), "a:1").expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(store.images().expect("reads").is_empty());
}

#[test]
fn truncated_at_every_block() {
    let (dir, store) = store();
    let path = dir.path().join("a.tar");
    docker_archive(&path);
    let whole = fs::read(&path).expect("reads");
    for cut in (0..whole.len() - 1024).step_by(512) {
        fs::write(&path, &whole[..cut]).expect("writes");
        let result = import(&store, &format!("docker-archive:{}", path.display()), "a:1");
        // What is cut off may be the entry of a link that nothing needs, but never content.
        assert!(
            result.is_err() || cut > whole.len() - 2048,
            "{cut} of {}",
            whole.len()
        );
    }
}

#[test]
fn only_plain_files_of_a_directory_are_read() {
    let (dir, store) = store();
    let layout = dir.path().join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).expect("creates");
    std::os::unix::fs::symlink("/etc/passwd", layout.join("index.json")).expect("links");
    let location = format!("oci:{}", layout.display());
    assert!(import(&store, &location, "a:1").is_err());
    fs::remove_file(layout.join("index.json")).expect("removes");
    assert!(
        Command::new("mkfifo")
            .arg(layout.join("index.json"))
            .status()
            .expect("mkfifo")
            .success()
    );
    let error = import(&store, &location, "a:1").expect_err("is a FIFO");
    assert!(error.to_string().contains("not a plain file"), "{error}");
}

#[test]
fn a_compressed_archive_gets_advice() {
    let (dir, _store) = store();
    let path = dir.path().join("a.tgz");
    fs::File::create(&path)
        .and_then(|mut file| file.write_all(&[0x1f, 0x8b, 8, 0]))
        .expect("writes");
    let place = Place { path, tag: None };
    let error = open(&Location::DockerArchive(place))
        .err()
        .expect("is refused");
    assert!(error.advice().is_some_and(|hint| hint.contains("gunzip")));
}

#[test]
fn a_link_that_waits_beside_an_export_is_not_followed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (target, victim) = (dir.path().join("out"), dir.path().join("victim"));
    fs::write(&victim, "precious").expect("writes");
    std::os::unix::fs::symlink(&victim, super::temporary(&target)).expect("links");
    super::replace(&target, |file| {
        std::io::Write::write_all(file, b"image").map_err(|error| Error::io("write", error))
    })
    .expect("replaces");
    assert_eq!(fs::read(&target).expect("reads"), b"image");
    assert_eq!(fs::read(&victim).expect("reads"), b"precious");
}

#[test]
fn links_in_circles_end() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("a.tar");
    let mut builder = tar::Builder::new(fs::File::create(&path).expect("creates"));
    for (from, to) in [
        ("a", "b"),
        ("b", "a"),
        ("c", "../../etc/passwd"),
        ("d", "/etc/passwd"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, from, to).expect("appends");
    }
    builder.finish().expect("finishes");
    let tarball = Tarball::open(&path).expect("opens");
    for name in ["a", "c", "d", "../a", "/etc/passwd"] {
        assert!(tarball.open(name, 0).is_err(), "{name}");
    }
}
