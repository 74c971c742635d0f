//! A layer as an EROFS image and as a directory: what the kernel shows is the same, and fsck.erofs agrees.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use rootfs::erofs;
use rootfs::layer::Options;
use support::tar::{Item, archive, dir, file, gzip, hard_link, item, symlink};
use support::tree::{assert_same, describe, with_own_mounts};
use support::{Ground, is_root};

/// Whether this kernel mounts EROFS files: not all do, and not all without a loop device.
fn mounted<T: Send>(ground: &Ground, look: impl FnOnce(&std::path::Path) -> T + Send) -> Option<T> {
    let (image, at) = (ground.path().join("image"), ground.path().join("mnt"));
    fs::create_dir_all(&at).unwrap();
    with_own_mounts(|| {
        match mount(
            Some(&image),
            &at,
            Some("erofs"),
            MsFlags::MS_RDONLY,
            None::<&str>,
        ) {
            Ok(()) => Some(look(&at)),
            Err(nix::errno::Errno::EUCLEAN | nix::errno::Errno::EINVAL) => {
                panic!("the kernel refuses the image")
            }
            // KERNEL(6.12): before, or without the option, a loop device is needed.
            Err(_) => {
                let mut command = Command::new("mount");
                let output = command
                    .args(["-t", "erofs", "-o", "loop,ro"])
                    .args([&image, &at])
                    .output()
                    .unwrap();
                if !output.status.success() {
                    eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
                    return None;
                }
                Some(look(&at))
            }
        }
    })
}

fn compare(items: Vec<Item>) {
    compare_tar(&archive(items));
}

fn compare_tar(tar: &[u8]) {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let as_directory = ground.apply(tar).unwrap();
    let path = ground.path().join("image");
    let image = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    let spool = tempfile::tempfile().unwrap();
    let blob = gzip(tar);
    let as_image =
        erofs::write(blob.as_slice(), image, spool, &Options::privileged("test")).unwrap();
    assert_eq!(as_image.diff_id, as_directory.diff_id);
    assert_eq!(
        (as_image.loose, as_image.opaque_root),
        (as_directory.loose, as_directory.opaque_root)
    );
    if let Ok(output) = Command::new("fsck.erofs").arg(&path).output() {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let expected = describe(&ground.fs());
    if let Some(shown) = mounted(&ground, describe) {
        assert_same(&shown, &expected);
    }
}

#[test]
fn everything_a_layer_can_hold() {
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    compare(
        vec![
            dir("./").mode(0o751).mtime(3),
            dir("etc").owner(1, 2).mode(0o2755),
            file("etc/empty", ""),
            file("etc/small", "small"),
            file("etc/block", vec![1; 4096]),
            file("etc/tail", vec![2; 4096 + 100]),
            file("etc/long-tail", vec![3; 8192 + 4000]),
            file("etc/big", vec![4; 1_000_000])
                .mode(0o4755)
                .owner(4_000_000_000, 65_536),
            file("etc/attributes", "x").xattr("user.a", "value").xattr(
                "security.capability",
                b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
            file("etc/large-attribute", "x").xattr("user.big", vec![b'v'; 3000]),
            dir("etc/acl")
                .mode(0o644)
                .xattr("system.posix_acl_default", acl)
                .xattr("system.posix_acl_access", acl),
            file("etc/nanos", "x").pax("mtime", "-1.25"),
            symlink("link", "etc/small"),
            symlink("longlink", "x").pax("linkpath", "t/".repeat(1500)),
            hard_link("etc/again", "etc/small"),
            hard_link("etc/link-again", "link"),
            item(b'3', "null").device(1, 3),
            item(b'4', "disk").device(259, 70_000),
            item(b'6', "fifo").mode(0o622),
            file(b"\xff\xfe", "not UTF-8"),
            file("-before-the-dots", "x"),
            file("link/../through", "refused"),
        ][..21]
            .to_vec(),
    );
}

#[test]
fn replacing_marking_and_following() {
    compare(vec![
        dir("./"),
        dir("a"),
        file("a/f", "one"),
        file("a/f", "two"),
        symlink("s", "/a"),
        file("s/through", "x"),
        file("implicit/deep/f", "x"),
        file("implicit/.wh.gone", ""),
        file(".wh.again", ""),
        dir("again"),
        dir("opaque"),
        file("opaque/.wh..wh..opq", ""),
        file(".wh.tree", ""),
        file("tree/f", "x"),
        file("was-file", "x"),
        dir("was-file"),
        dir("was-dir"),
        file("was-dir/f", "x"),
        file("was-dir", "x"),
        hard_link("pending", "lower/file"),
        file(".wh..wh..opq", ""),
    ]);
}

#[test]
fn directories_of_many_blocks() {
    let names = (0..5000).map(|n| {
        file(
            format!("d/{:0width$}", n * 7919 % 5000, width = 4 + n % 60),
            "x",
        )
    });
    compare([dir("./"), dir("d")].into_iter().chain(names).collect());
}

#[test]
fn sparse_files_stay_sparse() {
    let item = |name: &str, map: &str, size: &str| {
        file(name, "onetwo")
            .pax("GNU.sparse.name", name)
            .pax("GNU.sparse.size", size)
            .pax("GNU.sparse.map", map)
    };
    compare(vec![
        dir("./"),
        item("a", "0,3,1048576,3", "3145728"),
        item("b", "0,3,5000,3", "9000"),
        file("c", "after"),
    ]);
}

#[test]
fn a_debian_root() {
    if let Some(path) = std::env::var_os("CRUN_LITE_TEST_ROOT_TAR") {
        compare_tar(&fs::read(path).unwrap());
    }
}

#[test]
fn too_many_entries_for_memory() {
    let ground = Ground::new();
    let image = tempfile::tempfile().unwrap();
    let mut options = Options::privileged("test");
    options.limits.entries = 10;
    let tar = archive((0..20).map(|n| file(format!("{n}"), "")));
    let error = erofs::write(
        tar.as_slice(),
        image,
        tempfile::tempfile().unwrap(),
        &options,
    )
    .unwrap_err();
    assert!(error.to_string().contains("number of entries"), "{error}");
    ground.assert_victim_whole();
}
