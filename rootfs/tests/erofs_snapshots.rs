//! Stacks of layers as EROFS images and as directories: a container sees the same tree.
//!
//! Without a kernel that mounts EROFS straight from a file the cases say so and pass: loop devices are the command
//! line's, and tested there.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::error::Error;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci::{DiffId, Digest};
use rootfs::layer::OverlayXattrs;
use rootfs::snapshot::{Chain, Form, LayerBlob, Result, Snapshots, UnpackOptions};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use support::is_root;
use support::tar::{Item, archive, dir, file, hard_link, item, symlink};
use support::tree::{assert_same, describe, with_overlay};

fn mount_image(path: &Path) -> std::result::Result<OwnedFd, Box<dyn Error + Send + Sync>> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", path)?;
    fsconfig_set_flag(&context, "ro")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

fn open(path: &Path) -> Snapshots {
    let store = Snapshots::open(path, OverlayXattrs::Trusted).unwrap();
    store.mounting(mount_image)
}

fn unpack(store: &Snapshots, layers: &[Vec<u8>], form: Form) -> Result<Chain> {
    let blobs: Vec<LayerBlob<'_>> = layers
        .iter()
        .map(|layer| LayerBlob {
            diff_id: diff_id(layer),
            open: Box::new(move || {
                Ok(Box::new(std::io::Cursor::new(layer.clone())) as Box<dyn Read + Send>)
            }),
        })
        .collect();
    let options = UnpackOptions {
        form,
        ..UnpackOptions::default()
    };
    store.unpack(&blobs, &options)
}

fn diff_id(layer: &[u8]) -> DiffId {
    DiffId(Digest::of(layer))
}

/// Whether this machine can do it at all.
fn mounts_erofs(ground: &Path) -> bool {
    let store = open(&ground.join("probe"));
    let probed = unpack(&store, &[archive([dir("./")])], Form::Erofs);
    if let Err(error) = &probed {
        eprintln!("skipped: {error}");
    }
    probed.is_ok()
}

/// The tree that a container of these layers sees; which of them are images is the caller's.
fn tree(store: &Snapshots, ground: &Path, layers: &[Vec<u8>]) -> Vec<String> {
    let chain = unpack(store, layers, Form::Directory).unwrap();
    let overlay = store.prepare("one", &chain, false).unwrap();
    let shown = with_overlay(&overlay, &ground.join("mnt"), |at| {
        // Programs that stay on one file system, tar and du among them, must see all of it.
        let device = |name: &str| fs::symlink_metadata(at.join(name)).map(|file| file.dev());
        if let (Ok(root), Ok(file)) = (device("."), device("usr/bin/tool")) {
            assert_eq!(root, file);
        }
        describe(at)
    });
    store.remove("one").unwrap();
    shown
}

fn compare(layers: &[Vec<Item>]) {
    let ground = tempfile::tempdir().unwrap();
    let ground = ground.path();
    if !is_root() || !mounts_erofs(ground) {
        return;
    }
    let layers: Vec<Vec<u8>> = layers.iter().cloned().map(archive).collect();
    let directories = open(&ground.join("directories"));
    let expected = tree(&directories, ground, &layers);
    let images = open(&ground.join("images"));
    unpack(&images, &layers, Form::Erofs).unwrap();
    assert_same(&tree(&images, ground, &layers), &expected);
    // Every second layer in the other form: stores that were used in both ways.
    for odd in [0, 1] {
        let mixed = open(&ground.join(format!("mixed{odd}")));
        for (at, layer) in layers.iter().enumerate() {
            let form = if at % 2 == odd {
                Form::Erofs
            } else {
                Form::Directory
            };
            // Alone a layer may have links to nowhere: it stays unpacked all the same.
            let _ = unpack(&mixed, std::slice::from_ref(layer), form);
            assert_eq!(mixed.form(&diff_id(layer)).unwrap(), Some(form));
        }
        assert_same(&tree(&mixed, ground, &layers), &expected);
    }
}

fn base() -> Vec<Item> {
    vec![
        dir("./").mode(0o751).mtime(3),
        dir("usr").mode(0o750).owner(5, 6).mtime(7),
        dir("usr/bin").mode(0o711).mtime(8),
        file("usr/bin/tool", vec![9; 20_000])
            .mode(0o4755)
            .owner(1, 2)
            .mtime(9)
            .xattr("user.a", "value")
            .xattr(
                "security.capability",
                b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
        hard_link("usr/bin/tool-again", "usr/bin/tool"),
        file("usr/bin/other", "other"),
        symlink("bin", "usr/bin"),
        symlink("link", "usr/bin/tool"),
        item(b'3', "null").device(1, 3).mode(0o666).mtime(4),
        item(b'6', "fifo").mode(0o622).mtime(5),
        dir("etc"),
        file("etc/passwd", "root:x:0:0::/:\n"),
        file(
            "sparse",
            [vec![0; 70_000], vec![1; 10], vec![0; 5000]].concat(),
        ),
    ]
}

#[test]
fn upper_layers_change_delete_and_replace() {
    compare(&[
        base(),
        vec![
            dir("etc").mode(0o700),
            file("etc/.wh.passwd", ""),
            file("etc/new", "new"),
            dir("usr"),
            file("usr/.wh..wh..opq", ""),
            file("usr/only", "only"),
            file("link", "a file now"),
        ],
        vec![
            dir("etc"),
            file("etc/passwd", "again"),
            file(".wh.usr", ""),
            dir("usr"),
        ],
    ]);
}

#[test]
fn parents_that_are_not_listed_look_as_below() {
    compare(&[
        base(),
        vec![file("usr/bin/new", "new"), file("fresh/x", "x")],
    ]);
}

#[test]
fn parents_that_are_links_below_are_followed() {
    compare(&[
        base(),
        vec![
            file("bin/new", "new"),
            hard_link("bin/new-again", "bin/new"),
            hard_link("beside", "bin/new"),
            dir("bin/sub"),
            file("bin/sub/deep", "deep"),
        ],
    ]);
}

#[test]
fn hard_links_to_files_of_lower_layers() {
    compare(&[
        base(),
        vec![
            dir("opt"),
            hard_link("opt/tool", "usr/bin/tool"),
            hard_link("opt/twice", "usr/bin/tool"),
            hard_link("opt/link", "link"),
            hard_link("opt/null", "null"),
            hard_link("opt/fifo", "fifo"),
            hard_link("opt/sparse", "sparse"),
        ],
        vec![
            file("usr/bin/tool", "another"),
            hard_link("last", "usr/bin/other"),
        ],
    ]);
}

#[test]
fn a_linked_file_that_the_layer_deletes() {
    compare(&[
        base(),
        vec![
            dir("usr/bin"),
            file("usr/bin/.wh.tool", ""),
            hard_link("kept", "usr/bin/tool"),
        ],
    ]);
}

#[test]
fn the_root_is_opaque_or_a_layer_comes_twice() {
    compare(&[base(), vec![file(".wh..wh..opq", ""), file("all", "all")]]);
    compare(&[base(), vec![dir("etc"), file("etc/x", "x")], base()]);
}

#[test]
fn an_image_is_one_file_and_leaves_nothing_beside() {
    let ground = tempfile::tempdir().unwrap();
    if !is_root() || !mounts_erofs(ground.path()) {
        return;
    }
    let store = open(&ground.path().join("store"));
    let layer = archive(base());
    let chain = unpack(&store, std::slice::from_ref(&layer), Form::Erofs).unwrap();
    let id = diff_id(&layer);
    let own = ground.path().join("store/layers/sha256").join(id.0.hex());
    let mut names: Vec<_> = fs::read_dir(&own)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["layer.erofs", "layer.json"]);
    let work = fs::read_dir(ground.path().join("store/work")).unwrap();
    assert_eq!(work.count(), 0);
    let passwd = chain
        .tree()
        .unwrap()
        .read("/etc/passwd", 1000)
        .unwrap()
        .unwrap();
    assert_eq!(passwd, b"root:x:0:0::/:\n");
    drop(chain);
    let none: [&[DiffId]; 0] = [];
    assert_eq!(store.collect_garbage(none).unwrap().layers, [id.0.hex()]);
    assert!(!own.exists());
}

#[test]
fn without_a_way_to_mount_nothing_is_half_done() {
    let ground = tempfile::tempdir().unwrap();
    let store = Snapshots::open(ground.path(), OverlayXattrs::Trusted).unwrap();
    let layer = archive(base());
    let error = unpack(&store, std::slice::from_ref(&layer), Form::Erofs).unwrap_err();
    assert!(error.to_string().contains("layer.erofs"), "{error}");
    assert_eq!(fs::read_dir(ground.path().join("work")).unwrap().count(), 0);
}

#[test]
fn a_bomb_of_an_image_is_refused_and_gone() {
    let ground = tempfile::tempdir().unwrap();
    let store = open(ground.path());
    let mut options = UnpackOptions {
        form: Form::Erofs,
        ..UnpackOptions::default()
    };
    options.limits.bytes = 1 << 20;
    let layer = archive([dir("./"), file("big", vec![0; 3 << 20])]);
    let open = || Ok(Box::new(std::io::Cursor::new(layer.clone())) as Box<dyn Read + Send>);
    let blob = LayerBlob {
        diff_id: diff_id(&layer),
        open: Box::new(open),
    };
    let error = store.unpack(&[blob], &options).unwrap_err().to_string();
    assert!(error.contains("above the limit of 1048576"), "{error}");
    assert_eq!(fs::read_dir(ground.path().join("work")).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(ground.path().join("layers/sha256"))
            .unwrap()
            .count(),
        0
    );
}
