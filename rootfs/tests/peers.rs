//! The same image by umoci, by Podman and by us: the same tree, byte for byte, for images of many kinds.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use rootfs::layer::OverlayXattrs;
use rootfs::snapshot::{Chain, LayerBlob, Snapshots, UnpackOptions};
use support::is_root;
use support::oci_layout::{self, Packing};
use support::tar::{Item, archive, dir, file, hard_link, item, symlink};
use support::tree::{describe, with_overlay};

/// Where a peer's tree is another than ours.
struct Difference {
    image: &'static str,
    peer: &'static str,
    names: &'static [&'static str],
    /// What the peer does.
    why: &'static str,
}

const fn known(
    image: &'static str,
    peer: &'static str,
    names: &'static [&'static str],
    why: &'static str,
) -> Difference {
    Difference {
        image,
        peer,
        names,
        why,
    }
}

/// Any image of which the peer makes a tree.
const ANY: &str = "any";
/// Stands for the whole image.
const REFUSED: &str = "refused";
const FORGETS_PARENTS: &str = "a directory that isn't listed loses its mode, owner and time";
const NO_SPARSE: &str = "refuses GNU tar's sparse files";

/// What is listed here and is not so any more fails the test: the list stays true.
const KNOWN: &[Difference] = &[
    known(ANY, "podman", &["."], "the root's own entry is ignored"),
    known(
        "twice listed",
        "podman",
        &[REFUSED],
        "refuses archives with two entries of one name",
    ),
    known(
        "everything",
        "podman",
        &["./data/again", "./data/owned"],
        "gives a file the mode and owner of a later link to it",
    ),
    known(
        "everything",
        "podman",
        &[
            "./data/inherit/below",
            "./data/inherit/below/child",
            "./data/inherit/child",
        ],
        "gives files the default access list of their directory",
    ),
    known(
        "linked parents",
        "podman",
        &[
            "./bin",
            "./bin/new",
            "./lib",
            "./lib/deep",
            "./lib/deep/new",
            "./lib/libc",
            "./usr",
            "./usr/bin/new",
            "./usr/lib/deep",
            "./usr/lib/deep/new",
            "./usr/lib/libc",
        ],
        "puts a directory in the place of a link to one",
    ),
    known("changes", "podman", &["./etc", "./usr"], FORGETS_PARENTS),
    known(
        "unlisted parents",
        "podman",
        &["./tmp", "./usr", "./usr/lib", "./var", "./var/cache"],
        FORGETS_PARENTS,
    ),
    known("another kind", "podman", &["./var"], FORGETS_PARENTS),
    known("Debian", "podman", &["./usr", "./usr/bin"], FORGETS_PARENTS),
    known(
        "hard links below",
        "podman",
        &[REFUSED],
        "refuses hard links to files of lower layers",
    ),
    known(
        "made again whiteout, directory, file",
        "podman",
        &["./var/cache", "./var/cache/a", "./var/cache/b"],
        "shows what was deleted",
    ),
    known(
        "made again directory, file, whiteout",
        "umoci",
        &["./var"],
        "gives the directory the time of unpacking",
    ),
    known(
        "made again directory, file, whiteout",
        "podman",
        &[REFUSED],
        "can't delete what it has just made",
    ),
    known(
        "made again directory, whiteout, file",
        "umoci",
        &["./var"],
        "gives the directory the time of unpacking",
    ),
    known(
        "made again directory, whiteout, file",
        "podman",
        &[REFUSED],
        "can't delete what it has just made",
    ),
    known(
        "bare root",
        "podman",
        BELOW_BARE_ROOT,
        "ignores an opaque root",
    ),
    known(
        "bare root, then more",
        "podman",
        BELOW_BARE_ROOT,
        "ignores an opaque root",
    ),
    known(
        "empty attribute",
        "umoci",
        &["./file"],
        "drops empty attributes",
    ),
    known(
        "empty attribute",
        "podman",
        &["./file"],
        "drops empty attributes",
    ),
    known(
        "times",
        "podman",
        &["./old", "./older"],
        "moves times before 1970 to 1970",
    ),
    known("zstd", "umoci", &[REFUSED], "can't read zstd"),
    known("GNU tar's gnu", "umoci", &[REFUSED], NO_SPARSE),
    known("GNU tar's gnu", "podman", &[REFUSED], NO_SPARSE),
    known("GNU tar's oldgnu", "umoci", &[REFUSED], NO_SPARSE),
    known("GNU tar's oldgnu", "podman", &[REFUSED], NO_SPARSE),
];

/// Everything in [`base`].
const BELOW_BARE_ROOT: &[&str] = &[
    "./bin",
    "./etc",
    "./etc/issue",
    "./etc/passwd",
    "./lib",
    "./tmp",
    "./usr",
    "./usr/bin",
    "./usr/bin/tool",
    "./usr/lib",
    "./usr/lib/libc",
    "./var",
    "./var/cache",
    "./var/cache/a",
    "./var/cache/b",
];

fn unpack(store: &Snapshots, layers: &[Vec<u8>], packing: Packing) -> Chain {
    let blobs: Vec<LayerBlob<'_>> = layers
        .iter()
        .map(|layer| LayerBlob {
            diff_id: oci::DiffId(oci::Digest::of(layer)),
            open: Box::new(move || {
                let blob = std::io::Cursor::new(packing.pack(layer));
                Ok(Box::new(blob) as Box<dyn Read + Send>)
            }),
        })
        .collect();
    store.unpack(&blobs, &UnpackOptions::default()).unwrap()
}

/// Unpacks by all and compares what a container would see.
fn compare(name: &str, layers: &[Vec<u8>]) {
    compare_packed(name, layers, Packing::Gzip);
}

fn compare_packed(name: &str, layers: &[Vec<u8>], packing: Packing) {
    if !is_root() {
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let layout = ground.path().join("layout");
    oci_layout::write(&layout, layers, packing);
    let store = Snapshots::open(ground.path().join("store"), OverlayXattrs::Trusted).unwrap();
    let chain = unpack(&store, layers, packing);
    let writable = store.prepare("c", &chain, false).unwrap();
    let view = store.view("v", &chain).unwrap();
    let [ours, viewed] = [writable, view]
        .map(|overlay| with_overlay(&overlay, &ground.path().join("mnt"), describe));
    assert_eq!(differences(&ours, &viewed), BTreeMap::new(), "read-only");
    let peers = [
        ("umoci", oci_layout::umoci(ground.path(), &layout, describe)),
        (
            "podman",
            oci_layout::podman(ground.path(), &layout, describe),
        ),
    ];
    let judged = peers.into_iter().filter_map(|(peer, theirs)| {
        let found = match theirs? {
            Ok(theirs) => differences(&ours, &theirs),
            Err(words) => BTreeMap::from([(REFUSED.to_owned(), words)]),
        };
        judge(name, peer, &found)
    });
    let wrong: Vec<String> = judged.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether what was found is what is known; else a sentence.
fn judge(name: &str, peer: &str, found: &BTreeMap<String, String>) -> Option<String> {
    let is_refused = found.contains_key(REFUSED);
    let rows = KNOWN.iter().filter(|row| {
        let of_image = row.image == name || (row.image == ANY && !is_refused);
        row.peer == peer && of_image
    });
    let rows: Vec<&Difference> = rows.collect();
    let known: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.names.iter().copied())
        .collect();
    let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let whys: Vec<&str> = rows.iter().map(|row| row.why).collect();
    (names != known).then(|| {
        format!(
            "{name} by {peer}: known are {known:?} ({}), found: {found:#?}",
            whys.join("; ")
        )
    })
}

/// Names whose lines differ, with both lines.
fn differences(ours: &[String], theirs: &[String]) -> BTreeMap<String, String> {
    let by_name = |lines: &[String]| -> BTreeMap<String, String> {
        let named = lines.iter().map(|line| {
            let name = line.split(' ').next().unwrap_or_default();
            (name.to_owned(), line.clone())
        });
        named.collect()
    };
    let (ours, theirs) = (by_name(ours), by_name(theirs));
    let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    all.into_iter()
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| {
            (
                name.clone(),
                format!("ours {:?}, theirs {:?}", ours.get(name), theirs.get(name)),
            )
        })
        .collect()
}

fn base() -> Vec<Item> {
    vec![
        dir("./").mode(0o751),
        dir("etc/").mtime(1_600_000_001),
        file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        file("etc/issue", "hello\n"),
        dir("usr/"),
        dir("usr/bin/").owner(3, 4),
        file("usr/bin/tool", vec![7u8; 300_000]).mode(0o4755),
        dir("usr/lib/").mode(0o2755).mtime(5),
        file("usr/lib/libc", "elf"),
        symlink("bin", "usr/bin"),
        symlink("lib", "/usr/lib"),
        dir("var/"),
        dir("var/cache/"),
        file("var/cache/a", "a"),
        file("var/cache/b", "b"),
        dir("tmp/").mode(0o1777),
    ]
}

#[test]
fn one_layer_of_everything() {
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let cap = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut items = base();
    items.extend([
        dir("data/").owner(1000, 1001).mode(0o700),
        file("data/owned", "x")
            .owner(65534, 4_000_000_000)
            .mode(0o600),
        file("data/setgid", "x").mode(0o2711).owner(5, 6),
        file("data/capable", "x")
            .mode(0o755)
            .xattr("security.capability", cap),
        file("data/attributes", "x")
            .xattr("user.a", "value")
            .xattr("user.binary", b"\0\xff\n="),
        dir("data/attributes.d/").xattr("user.d", "on a directory"),
        file("data/acl", "x").xattr("system.posix_acl_access", acl),
        dir("data/inherit/").xattr("system.posix_acl_default", acl),
        file("data/inherit/child", "no list of its own"),
        dir("data/inherit/below/"),
        file("data/inherit/below/child", "nor this"),
        item(b'3', "data/null").device(1, 3).mode(0o666),
        item(b'4', "data/disk").device(8, 300).mode(0o660),
        item(b'6', "data/fifo").mode(0o622).owner(1, 2),
        file("data/nanos", "x").pax("mtime", "1700000000.123456789"),
        file("data/zero", "").mtime(0),
        file(format!("data/{}", "n".repeat(150)), "no")
            .pax("path", format!("data/{}", "long/".repeat(60) + "name")),
        symlink("data/longlink", "x").pax("linkpath", "t/".repeat(200)),
        hard_link("data/again", "data/owned"),
        hard_link("data/symlink-again", "bin"),
        hard_link("data/absolute", "/etc/passwd"),
        symlink("data/dangling", "../../../../nowhere"),
        file("data/\u{e9}\u{4e16}", "not ASCII"),
        file(b"data/\xff\xfe", "not UTF-8"),
    ]);
    items.retain(|item| !item.name.starts_with(b"data/nnn"));
    compare("everything", &[archive(items)]);
}

#[test]
fn names_that_are_listed_twice() {
    let mut items = base();
    items.extend([
        dir("etc/").mode(0o711).mtime(42),
        file("etc/passwd", "replaced in the same layer"),
    ]);
    compare("twice listed", &[archive(items)]);
}

#[test]
fn upper_layers_change_delete_and_replace() {
    let second = archive([
        dir("etc/").mode(0o700),
        file("etc/passwd", "changed"),
        file("etc/.wh.nothing", ""),
        dir("var/cache/"),
        file("var/cache/.wh.a", ""),
        file("var/cache/c", "new"),
        file("usr/lib/.wh..wh..opq", ""),
        dir("usr/lib/").mtime(9),
        file("usr/lib/only", "this one"),
    ]);
    let third = archive([
        file(".wh.var", ""),
        file("usr/bin", "a file where a directory was").mode(0o600),
        dir("etc/issue/"),
        file("etc/issue/inside", "a directory where a file was"),
        symlink("tmp", "etc"),
    ]);
    compare("changes", &[archive(base()), second, third]);
}

#[test]
fn a_deleted_name_made_again_as_a_directory_shows_nothing_old() {
    for order in [[0, 1, 2], [1, 2, 0], [1, 0, 2]] {
        let items = [
            file(".wh.var", ""),
            dir("var/").mode(0o710),
            file("var/new", "n"),
        ];
        let layer = archive(order.map(|at| items[at].clone()));
        let name = format!(
            "made again {}",
            order
                .map(|at| ["whiteout", "directory", "file"][at])
                .join(", ")
        );
        compare(&name, &[archive(base()), layer]);
    }
}

#[test]
fn a_root_without_anything_below() {
    let second = archive([
        file(".wh..wh..opq", ""),
        file("alone", "x"),
        dir("./").mode(0o700),
    ]);
    compare(
        "bare root, then more",
        &[archive(base()), second.clone(), archive([file("etc2", "")])],
    );
    compare("bare root", &[archive(base()), second]);
}

#[test]
fn parents_that_are_not_listed_look_as_below() {
    let second = archive([
        file("usr/lib/x", "x"),
        file("tmp/y", "y"),
        file("var/cache/.wh.a", ""),
    ]);
    compare("unlisted parents", &[archive(base()), second]);
}

#[test]
fn parents_that_are_links_below_are_followed() {
    let second = archive([
        file("bin/new", "goes to usr/bin").mode(0o755),
        file("lib/deep/new", "goes to usr/lib/deep"),
        dir("lib/deep/").mode(0o701).mtime(77),
        file("lib/.wh.libc", ""),
        file("etc/x", "x"),
        dir("etc/").mtime(3),
        dir("usr/bin/").owner(3, 4),
        dir("usr/lib/").mode(0o2755).mtime(5),
    ]);
    compare("linked parents", &[archive(base()), second]);
}

#[test]
fn hard_links_to_files_of_lower_layers() {
    let second = archive([
        dir("etc/").mtime(3),
        hard_link("etc/passwd-", "etc/passwd"),
        hard_link("etc/third", "etc/passwd-"),
        dir("usr/bin/").owner(3, 4),
        hard_link("usr/bin/through-a-link", "bin/tool"),
        dir("var/cache/"),
        hard_link("var/cache/z", "var/cache/a"),
        file("var/cache/.wh.a", ""),
    ]);
    compare("hard links below", &[archive(base()), second]);
}

#[test]
fn the_same_layer_twice() {
    let change = archive([dir("etc/"), file("etc/passwd", "changed")]);
    let undo = archive([dir("etc/"), file("etc/passwd", "back")]);
    compare("twice", &[archive(base()), change.clone(), undo, change]);
}

#[test]
fn a_name_deleted_and_another_kind_in_its_place() {
    let second = archive([
        dir("var/cache/"),
        file("var/cache/.wh.a", ""),
        symlink("var/cache/a", "b"),
        dir("etc/").mtime(1_600_000_001),
        file("etc/.wh.issue", ""),
        item(b'6', "etc/issue").mode(0o600),
    ]);
    compare("another kind", &[archive(base()), second]);
}

#[test]
fn times_before_1970_and_after_2038() {
    compare(
        "times",
        &[archive([
            dir("./"),
            file("old", "x").mtime(-1_000_000_000),
            file("older", "x").pax("mtime", "-2.25"),
            file("new", "x").mtime(8_000_000_000),
            file("newer", "x").pax("mtime", "8000000000.5"),
        ])],
    );
}

#[test]
fn empty_extended_attributes() {
    compare(
        "empty attribute",
        &[archive([
            dir("./"),
            file("file", "x").xattr("user.empty", ""),
        ])],
    );
}

#[test]
fn layers_packed_with_zstd_and_not_packed() {
    let layers = [
        archive(base()),
        archive([dir("etc/").mtime(8), file("etc/.wh.passwd", "")]),
    ];
    compare_packed("zstd", &layers, Packing::Zstd);
    compare_packed("plain", &layers, Packing::Plain);
}

/// A tree with a hole, long names, links and odd owners, packed by GNU tar in each of its dialects.
#[test]
fn what_gnu_tar_writes() {
    let ground = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(90), "n".repeat(120));
    let script = "set -e; mkdir tree; cd tree; truncate -s 3M hole; printf start | dd of=hole conv=notrunc 2>/dev/null; \
        printf middle | dd of=hole bs=1 seek=1234567 conv=notrunc 2>/dev/null; mkdir -p ${1%/*}; echo long >$1; \
        ln $1 link; ln -s $1 symlink; mkfifo fifo; mknod null c 1 3; echo s >setuid; chmod 4711 setuid; \
        echo o >owned; chown 3000000:70000 owned; setfattr -n user.a -v b owned 2>/dev/null || true";
    let made = Command::new("sh")
        .args(["-c", script, "sh", &long])
        .current_dir(ground.path())
        .status();
    assert!(made.unwrap().success());
    let sparse = &["--sparse"][..];
    let all = ["--sparse", "--xattrs"];
    let kinds = [
        ("gnu", sparse),
        ("oldgnu", sparse),
        ("pax", &all),
        ("gnu", &[]),
        ("pax", &all[1..]),
    ];
    for (dialect, options) in kinds {
        let output = Command::new("tar")
            .args(["--numeric-owner", "-C", "tree", "-c"])
            .arg(format!("--format={dialect}"))
            .args(options)
            .arg(".")
            .current_dir(ground.path())
            .output();
        let layer = output.unwrap().stdout;
        let is_sparse = options.contains(&"--sparse");
        assert_eq!(layer.len() < 1 << 20, is_sparse, "holes are no bytes");
        let whole = if is_sparse { "" } else { ", holes filled" };
        compare(&format!("GNU tar's {dialect}{whole}"), &[layer]);
    }
}

/// A whole distribution with systemd; made from packages once, and shared with the tests of engines.
#[test]
fn a_debian_root() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/engines/scenarios/system-image");
    let output = Command::new(script).output().unwrap();
    if !output.status.success() {
        eprintln!(
            "skipped: no image of Debian: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let change = archive([
        dir("etc/"),
        file("etc/.wh.passwd", ""),
        file("usr/bin/.wh.perl", ""),
    ]);
    compare_packed("Debian", &[fs::read(path).unwrap(), change], Packing::Plain);
}
