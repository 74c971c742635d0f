//! The same image by umoci and by us: the same tree, byte for byte, for images of many kinds.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::Read;

use rootfs::layer::OverlayXattrs;
use rootfs::snapshot::{Chain, LayerBlob, Snapshots, UnpackOptions};
use support::tar::{Item, archive, dir, file, gzip, hard_link, item, symlink};
use support::tree::{assert_same, describe, with_overlay};
use support::{is_root, oci_layout};

fn unpack(store: &Snapshots, layers: &[Vec<u8>]) -> Chain {
    let blobs: Vec<LayerBlob<'_>> = layers
        .iter()
        .map(|layer| LayerBlob {
            diff_id: oci::DiffId(oci::Digest::of(layer)),
            open: Box::new(move || {
                Ok(Box::new(std::io::Cursor::new(gzip(layer))) as Box<dyn Read + Send>)
            }),
        })
        .collect();
    store.unpack(&blobs, &UnpackOptions::default()).unwrap()
}

/// Unpacks by both and compares what a container would see.
fn compare(layers: &[Vec<u8>]) {
    compare_but(layers, "no exception");
}

/// The time of the directory `but` is not compared: umoci forgets it when it deletes in there.
fn compare_but(layers: &[Vec<u8>], but: &str) {
    if !is_root() {
        return;
    }
    let ground = tempfile::tempdir().unwrap();
    let layout = ground.path().join("layout");
    oci_layout::write(&layout, layers);
    let Some(theirs) = oci_layout::umoci_unpack(&layout, &ground.path().join("bundle")) else {
        return;
    };
    let store = Snapshots::open(ground.path().join("store"), OverlayXattrs::Trusted).unwrap();
    let chain = unpack(&store, layers);
    let theirs = describe(&theirs);
    for writable in [true, false] {
        let overlay = if writable {
            store.prepare("c", &chain, false)
        } else {
            store.view("v", &chain)
        }
        .unwrap();
        let ours = with_overlay(&overlay, &ground.path().join("mnt"), describe);
        let compared = |lines: &[String]| -> Vec<String> {
            let but = format!("{but} ");
            let timeless = |line: &String| {
                line.split(' ')
                    .enumerate()
                    .filter(|(at, _)| *at != 4)
                    .map(|(_, w)| w)
                    .collect()
            };
            lines
                .iter()
                .map(|line| {
                    if line.starts_with(&but) {
                        timeless(line)
                    } else {
                        line.clone()
                    }
                })
                .collect()
        };
        assert_same(&compared(&ours), &compared(&theirs));
    }
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
        dir("etc/").mode(0o711).mtime(42),
        file("etc/passwd", "replaced in the same layer"),
    ]);
    items.retain(|item| !item.name.starts_with(b"data/nnn"));
    compare(&[archive(items)]);
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
    compare(&[archive(base()), second, third]);
}

#[test]
fn a_deleted_name_made_again_as_a_directory_shows_nothing_old() {
    for order in [[0, 1, 2], [1, 2, 0], [1, 0, 2]] {
        let items = [
            file(".wh.var", ""),
            dir("var/").mode(0o710),
            file("var/new", "n"),
        ];
        compare_but(
            &[archive(base()), archive(order.map(|at| items[at].clone()))],
            "./var",
        );
    }
}

#[test]
fn a_root_without_anything_below() {
    let second = archive([
        file(".wh..wh..opq", ""),
        file("alone", "x"),
        dir("./").mode(0o700),
    ]);
    compare(&[archive(base()), second.clone(), archive([file("etc2", "")])]);
    compare(&[archive(base()), second]);
}

#[test]
fn parents_that_are_not_listed_look_as_below() {
    let second = archive([
        file("usr/lib/x", "x"),
        file("tmp/y", "y"),
        file("var/cache/.wh.a", ""),
    ]);
    compare(&[archive(base()), second]);
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
    compare(&[archive(base()), second]);
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
    compare(&[archive(base()), second]);
}

#[test]
fn the_same_layer_twice() {
    let change = archive([dir("etc/"), file("etc/passwd", "changed")]);
    let undo = archive([dir("etc/"), file("etc/passwd", "back")]);
    compare(&[archive(base()), change.clone(), undo, change]);
}

#[test]
fn a_debian_root() {
    // A whole distribution, when somebody made one.
    let Some(path) = std::env::var_os("CRUN_LITE_TEST_ROOT_TAR") else {
        return;
    };
    compare(&[
        fs::read(path).unwrap(),
        archive([dir("etc/"), file("etc/.wh.passwd", "")]),
    ]);
}
