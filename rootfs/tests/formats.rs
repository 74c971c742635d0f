//! What layers may hold, each in every dialect that writes it: the tree is as the archive says.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use rootfs::layer::OverlayXattrs;
use support::tar::{
    Item, archive, dir, entry_bytes, file, gzip, hard_link, item, padded, symlink, zstd,
};
use support::tree::{describe, xattrs};
use support::{Ground, is_root};

fn applied(items: impl IntoIterator<Item = Item>) -> Ground {
    let ground = Ground::new();
    ground.apply(&archive(items)).unwrap();
    ground
}

fn mtime(path: &Path) -> (i64, i64) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.mtime(), meta.mtime_nsec())
}

#[test]
fn every_packing_gives_the_same_tree_and_diff_id() {
    let tar = archive([
        dir("d"),
        file("d/f", vec![b'x'; 700_000]),
        symlink("l", "d/f"),
    ]);
    let (head, tail) = tar.split_at(5000);
    let members = [gzip(head), gzip(tail)].concat();
    // zstd:chunked puts skippable frames between and behind the frames of data.
    let skippable = [&[0x50u8, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"toc!"].concat();
    let chunked = [
        skippable.clone(),
        zstd(head),
        skippable.clone(),
        zstd(tail),
        skippable,
    ]
    .concat();
    let mut trees = Vec::new();
    for blob in [tar.clone(), gzip(&tar), members, zstd(&tar), chunked] {
        let ground = Ground::new();
        let applied = ground.apply(&blob).unwrap();
        assert_eq!(applied.diff_id.0, oci::Digest::of(&tar));
        assert_eq!((applied.bytes, applied.entries), (tar.len() as u64, 3));
        trees.push(describe(&ground.fs()));
    }
    assert!(trees.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn times_before_1970_and_between_seconds() {
    let ground = applied([
        file("whole", "").pax("mtime", "-12"),
        file("half", "").pax("mtime", "-1.25"),
        file("header", "").mtime(-86_400).gnu(),
        file("far", "").mtime(9_999_999_999),
        file("digits", "").pax("mtime", "5.1234567899"),
        dir("d").pax("mtime", "-0.5"),
        symlink("d/l", "x").pax("mtime", "7.000000001"),
    ]);
    let at = |name: &str| mtime(&ground.fs().join(name));
    assert_eq!(at("whole"), (-12, 0));
    assert_eq!(at("half"), (-2, 750_000_000));
    assert_eq!(at("header"), (-86_400, 0));
    assert_eq!(at("far"), (9_999_999_999, 0));
    assert_eq!(at("digits"), (5, 123_456_789));
    assert_eq!(at("d"), (-1, 500_000_000));
    assert_eq!(at("d/l"), (7, 1));
}

#[test]
fn directories_keep_their_times_whatever_comes_later() {
    let many = (0..100).flat_map(|n| [dir(format!("d{n}")).mtime(n), file(format!("d{n}/f"), "x")]);
    let back = (0..100).flat_map(|n| {
        [
            file(format!("d{n}/g"), "y"),
            file(format!("d{n}/f"), "again"),
        ]
    });
    let ground = applied([dir("./").mtime(77)].into_iter().chain(many).chain(back));
    for n in 0..100 {
        assert_eq!(mtime(&ground.fs().join(format!("d{n}"))), (n, 0));
    }
    assert_eq!(mtime(&ground.fs()), (77, 0));
    // By two names, with the entry last.
    let ground = applied([
        dir("real"),
        symlink("alias", "real"),
        file("alias/f", "x"),
        dir("real").mtime(5),
        file("alias/g", ""),
    ]);
    assert_eq!(mtime(&ground.fs().join("real")), (5, 0));
}

#[test]
fn empty_attributes_are_attributes() {
    let ground = applied([
        file("f", "").xattr("user.empty", ""),
        dir("d").xattr("user.empty", "").xattr("user.x", "y"),
    ]);
    assert_eq!(
        xattrs(&ground.fs().join("f")),
        [("user.empty".into(), String::new())]
    );
    assert_eq!(xattrs(&ground.fs().join("d")).len(), 2);
    let ground = applied([
        dir("d").xattr("user.first", "1"),
        dir("d").xattr("user.second", "2"),
    ]);
    assert_eq!(
        xattrs(&ground.fs().join("d")),
        [("user.second".into(), "2".into())]
    );
}

#[test]
fn long_names_of_both_dialects() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let header = |flag, body: &str| {
        Item {
            body: format!("{body}\0").into_bytes(),
            ..item(flag, "././@LongLink")
        }
        .gnu()
    };
    let target = "t/".repeat(120);
    let ground = applied([
        header(b'L', &long),
        file(&long[..100], "gnu").gnu(),
        header(b'K', &target),
        header(b'L', &format!("{long}2")),
        symlink(&long[..100], "short").gnu(),
        file("x", "pax").pax("path", format!("{long}3")),
    ]);
    assert_eq!(fs::read(ground.fs().join(&long)).unwrap(), b"gnu");
    assert_eq!(
        fs::read_link(ground.fs().join(format!("{long}2")))
            .unwrap()
            .to_str(),
        Some(target.as_str())
    );
    assert_eq!(
        fs::read(ground.fs().join(format!("{long}3"))).unwrap(),
        b"pax"
    );
    // The ustar prefix.
    let mut split = entry_bytes(&file("name", "split"));
    split[345..350].copy_from_slice(b"p/r/e");
    support::tar::checksum(&mut split[..512]);
    let ground = Ground::new();
    ground.apply(&split).unwrap();
    assert_eq!(fs::read(ground.fs().join("p/r/e/name")).unwrap(), b"split");
}

#[test]
fn sparse_files_of_all_forms() {
    // Three segments: "one" at 0, "two" at 1 MiB, and a hole to the end.
    let data = b"onetwo".to_vec();
    let sparse = |name: &str| file(name, &data).pax("GNU.sparse.name", name);
    let size = (3u64 << 20).to_string();
    let map = "0,3,1048576,3,3145728,0";
    let form_00 = ["0", "1048576", "3145728"]
        .iter()
        .zip(["3", "3", "0"])
        .fold(
            file("00", &data)
                .pax("GNU.sparse.size", &size)
                .pax("GNU.sparse.numblocks", "3"),
            |item, (offset, length)| {
                item.pax("GNU.sparse.offset", offset)
                    .pax("GNU.sparse.numbytes", length)
            },
        );
    let form_01 = sparse("01")
        .pax("GNU.sparse.size", &size)
        .pax("GNU.sparse.map", map);
    let in_body = [padded(b"3\n0\n3\n1048576\n3\n3145728\n0\n"), data.clone()].concat();
    let form_10 = Item {
        body: in_body,
        ..sparse("10")
    }
    .pax("GNU.sparse.major", "1")
    .pax("GNU.sparse.minor", "0");
    let form_10 = form_10.pax("GNU.sparse.realsize", &size);
    let ground = applied([form_00, form_01, form_10]);
    for name in ["00", "01", "10"] {
        let bytes = fs::read(ground.fs().join(name)).unwrap();
        assert_eq!(bytes.len(), 3 << 20, "{name}");
        assert_eq!(
            (&bytes[..3], &bytes[1 << 20..(1 << 20) + 3]),
            (&b"one"[..], &b"two"[..]),
            "{name}"
        );
        assert!(bytes[3..1 << 20].iter().all(|&b| b == 0));
        assert!(
            fs::metadata(ground.fs().join(name)).unwrap().blocks() < 100,
            "{name} has holes"
        );
    }
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    for map in [
        "0,3,2,3",
        "5,1,0,5",
        "0,7",
        "0,5",
        "0,18446744073709551615",
        "9,6",
        "0",
        "a,b",
        "",
    ] {
        let item = file("f", "onetwo")
            .pax("GNU.sparse.size", "10")
            .pax("GNU.sparse.map", map);
        assert!(Ground::new().apply(&archive([item])).is_err(), "{map}");
    }
}

/// GNU tar itself as the writer, in all its formats.
#[test]
fn archives_that_gnu_tar_writes() {
    let ground = Ground::new();
    let source = ground.path().join("victim");
    let long = format!("{}/{}", "d".repeat(100), "f".repeat(180));
    fs::create_dir(source.join("d".repeat(100))).unwrap();
    fs::write(source.join(&long), "long").unwrap();
    let holes = fs::File::create(source.join("holes")).unwrap();
    for n in 0..40u64 {
        use std::os::unix::fs::FileExt;
        holes.write_all_at(b"data", n * 200_000).unwrap();
    }
    holes.set_len(10 << 20).unwrap();
    std::os::unix::fs::symlink("x".repeat(300), source.join("link")).unwrap();
    fs::hard_link(source.join("file"), source.join("other")).unwrap();
    let expected = describe(&source);
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=pax"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
    ] {
        let Ok(output) = Command::new("tar")
            .args(options)
            .args(["--numeric-owner", "-C"])
            .arg(&source)
            .args(["-cf", "-", "."])
            .output()
        else {
            return eprintln!("skipped: no tar");
        };
        let target = Ground::new();
        target.apply(&output.stdout).unwrap();
        // GNU tar's own formats have whole seconds only.
        let whole = |line: &String| match options[0] {
            "--format=gnu" => line
                .split(' ')
                .map(|w| {
                    w.split_once('.')
                        .filter(|(s, _)| s.len() == 10)
                        .map_or(w, |(s, _)| s)
                })
                .collect::<Vec<_>>()
                .join(" "),
            _ => line.clone(),
        };
        let ours: Vec<String> = describe(&target.fs()).iter().map(whole).collect();
        support::tree::assert_same(&ours, &expected.iter().map(whole).collect::<Vec<_>>());
    }
}

#[test]
fn special_files_and_modes() {
    if !is_root() {
        return;
    }
    let ground = applied([
        item(b'3', "char").device(10, 229).mode(0o640).owner(7, 8),
        item(b'4', "block").device(259, 70_000).mode(0o4600),
        item(b'6', "fifo").mode(0o1777),
        file("setuid", "x").mode(0o6755).owner(1, 2),
        dir("sticky").mode(0o3777),
        hard_link("char2", "char"),
        file("old-directory/", ""),
    ]);
    let meta = |name: &str| fs::symlink_metadata(ground.fs().join(name)).unwrap();
    assert!(meta("char").file_type().is_char_device());
    assert_eq!(
        (
            meta("char").rdev(),
            meta("char").mode() & 0o7777,
            meta("char").uid()
        ),
        (rustix::fs::makedev(10, 229), 0o640, 7)
    );
    assert_eq!(
        (meta("block").rdev(), meta("block").mode() & 0o7777),
        (rustix::fs::makedev(259, 70_000), 0o4600)
    );
    assert!(meta("fifo").file_type().is_fifo() && meta("fifo").mode() & 0o7777 == 0o1777);
    assert_eq!(meta("setuid").mode() & 0o7777, 0o6755);
    assert_eq!(meta("sticky").mode() & 0o7777, 0o3777);
    assert_eq!(meta("char2").ino(), meta("char").ino());
    assert!(meta("old-directory").is_dir());
}

#[test]
fn whiteouts_become_what_overlayfs_reads() {
    if !is_root() {
        return;
    }
    let is_gone = |path: &Path| {
        let meta = fs::symlink_metadata(path).unwrap();
        meta.file_type().is_char_device() && meta.rdev() == 0
    };
    for (form, attribute) in [
        (OverlayXattrs::Trusted, "trusted.overlay.opaque"),
        (OverlayXattrs::User, "user.overlay.opaque"),
    ] {
        let ground = Ground::new();
        let blob = archive([
            file("a/.wh.gone", ""),
            dir("b"),
            file("b/.wh..wh..opq", ""),
            file(".wh.again", ""),
            dir("again"),
            dir("before"),
            file(".wh.before", ""),
            file(".wh.file", ""),
            file("file", "new"),
            file(".wh.tree", ""),
            file("tree/deep/f", "x"),
            file(".wh..wh.aufs", ""),
            item(b'3', "device").device(0, 0),
        ]);
        let applied = ground
            .apply_with(&blob, |options| options.overlay_xattrs = form)
            .unwrap();
        let opaque = |name: &str| {
            xattrs(&ground.fs().join(name)) == [(attribute.to_owned(), "y".to_owned())]
        };
        assert!(is_gone(&ground.fs().join("a/gone")) && is_gone(&ground.fs().join("device")));
        assert!(
            opaque("b")
                && opaque("again")
                && opaque("before")
                && opaque("tree")
                && !opaque("tree/deep")
        );
        assert_eq!(fs::read(ground.fs().join("file")).unwrap(), b"new");
        assert!(!ground.fs().join(".wh.aufs").exists() && !applied.opaque_root);
        let root = Ground::new()
            .apply(&archive([file(".wh..wh..opq", "")]))
            .unwrap();
        assert!(root.opaque_root);
    }
}

#[test]
fn global_headers_that_say_nothing_are_fine() {
    let comment = Item {
        body: support::tar::pax_record(b"comment", b"0123"),
        ..item(b'g', "pax_global_header")
    };
    let ground = applied([comment, file("f", "x")]);
    assert!(ground.fs().join("f").exists());
}

#[test]
fn trailing_bytes_count_for_the_diff_id() {
    let mut tar = archive([file("f", "x")]);
    tar.extend([0; 9000]);
    tar.extend(b"what nobody reads");
    let applied = Ground::new().apply(&gzip(&tar)).unwrap();
    assert_eq!(applied.diff_id.0, oci::Digest::of(&tar));
}
