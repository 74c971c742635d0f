//! Layers that try to reach outside, to fill memory or disk, or to say two things at once: one test a known attack.
//! The rows are those of the field's advisories; each asserts that nothing beside the target changed.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink as link_on_disk};

use rootfs::layer::Fault;
use support::tar::{
    Item, archive, checksum, dir, entry_bytes, file, gzip, hard_link, item, padded, symlink, zstd,
};
use support::{Ground, is_root};

/// Applies and returns the error as a person sees it; the ground must be whole.
fn refused(items: impl IntoIterator<Item = Item>) -> String {
    refused_bytes(&archive(items))
}

fn refused_bytes(blob: &[u8]) -> String {
    let ground = Ground::new();
    let error = ground.apply(blob).expect_err("is refused").to_string();
    ground.assert_victim_whole();
    error
}

/// Applies what is harmless once it is confined.
fn confined(items: impl IntoIterator<Item = Item>) -> Ground {
    let ground = Ground::new();
    ground.apply(&archive(items)).unwrap();
    ground.assert_victim_whole();
    ground
}

#[test]
fn names_that_climb_are_refused_and_say_so() {
    for name in [
        "../victim/file",
        "a/../../victim/file",
        "/../victim/file",
        "./../x",
        "a/..",
        "..",
    ] {
        let error = refused([file(name, "x")]);
        assert!(
            error.contains("layer test: entry") && error.contains(name) && error.contains(".."),
            "{error}"
        );
    }
    for name in ["../victim", "a/../../../victim"] {
        refused([dir("a"), hard_link("a/x", format!("{name}/file"))]);
    }
    refused([file(b"a\0b".as_slice(), "x").pax("path", b"a\0b")]);
}

#[test]
fn absolute_names_are_below_the_root() {
    let ground = confined([file("/etc/absolute", "x"), file("//double//slash", "y")]);
    assert!(ground.fs().join("etc/absolute").exists() && ground.fs().join("double/slash").exists());
}

#[test]
fn links_to_the_outside_lead_inside() {
    for target in ["../victim", "../../../../../victim", "/victim"] {
        let ground = confined([
            symlink("out", target),
            file("out/file", "x"),
            file("out/new", "y"),
        ]);
        assert_eq!(
            fs::read(ground.fs().join("victim/file")).unwrap(),
            b"x",
            "{target}"
        );
        assert!(ground.fs().join("victim/new").exists());
    }
    // Through the real directory's absolute name, too.
    let ground = Ground::new();
    let victim = ground.path().join("victim");
    let blob = archive([
        symlink("out", victim.to_str().unwrap()),
        file("out/file", "x"),
    ]);
    ground.apply(&blob).unwrap();
    ground.assert_victim_whole();
}

#[test]
fn links_at_every_depth_and_in_chains() {
    let ground = confined([
        dir("a"),
        symlink("a/b", "../../victim"),
        symlink("a/c", "b"),
        dir("a/c/d"),
        file("a/c/d/e", "x"),
        symlink("a/c/d/f", "/a/c/../../../../victim"),
        file("a/c/d/f/g", "y"),
    ]);
    assert!(ground.fs().join("victim/d/e").exists() && ground.fs().join("victim/g").exists());
}

#[test]
fn a_loop_of_links_is_an_error() {
    assert!(refused([symlink("a", "b"), symlink("b", "a"), file("a/x", "x")]).contains("ELOOP"));
    refused([symlink("a", "a/a"), file("a/x", "x")]);
}

#[test]
fn a_file_is_no_parent() {
    assert!(refused([file("a", "x"), file("a/b", "y")]).contains("ENOTDIR"));
}

#[test]
fn the_magic_links_of_procfs_lead_nowhere() {
    // Links are only followed inside: /proc/self/root means the target's own, empty, proc.
    let ground = confined([symlink("p", "/proc/self/root"), file("p/tmp-file", "x")]);
    assert!(ground.fs().join("proc/self/root/tmp-file").exists());
}

#[test]
fn a_link_that_replaces_a_directory_counts_from_then_on() {
    // dir, fill it, replace it by a link outside, fill it again, then change modes (CVE-2021-32760).
    let ground = confined([
        dir("d"),
        file("d/file", "one"),
        symlink("d", "../victim"),
        file("d/file", "two"),
        dir("d/sub").mode(0o777),
        item(b'5', "d/sub").mode(0o700),
    ]);
    assert!(
        fs::symlink_metadata(ground.fs().join("d"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(fs::read(ground.fs().join("victim/file")).unwrap(), b"two");
}

#[test]
fn a_file_entry_on_a_link_replaces_it() {
    let ground = Ground::new();
    let blob = archive([
        symlink("f", "../victim/file"),
        file("f", "mine"),
        symlink("g", "../victim"),
        dir("g"),
    ]);
    ground.apply(&blob).unwrap();
    ground.assert_victim_whole();
    assert!(
        fs::symlink_metadata(ground.fs().join("f"))
            .unwrap()
            .is_file()
    );
    assert!(
        fs::symlink_metadata(ground.fs().join("g"))
            .unwrap()
            .is_dir()
    );
}

#[test]
fn metadata_of_a_link_stays_on_the_link() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let outside = ground.path().join("victim/file");
    let before = fs::metadata(&outside).unwrap();
    let link = symlink("l", outside.to_str().unwrap())
        .mode(0o4777)
        .owner(99, 99)
        .xattr("trusted.x", "y");
    ground.apply(&archive([link])).unwrap();
    let after = fs::metadata(&outside).unwrap();
    let key = |m: &fs::Metadata| (m.mode(), m.uid(), m.gid(), m.mtime_nsec(), m.ctime_nsec());
    assert_eq!(key(&before), key(&after));
}

#[test]
fn the_root_can_only_be_a_directory() {
    // GHSA-9m95-8hx6-7p9v: a link instead of the root.
    for name in [".", "./", "/", "//./", "./."] {
        for bad in [
            symlink(name, "/"),
            hard_link(name, "etc"),
            item(b'6', name),
            item(b'3', name).device(1, 3),
        ] {
            let error = refused([bad]);
            assert!(error.contains("root"), "{error}");
        }
        let ground = confined([dir(name).mode(0o711)]);
        assert_eq!(fs::metadata(ground.fs()).unwrap().mode() & 0o7777, 0o711);
    }
    refused([file("", "x")]);
}

#[test]
fn hard_links_reach_nothing_outside() {
    // CVE-2026-17106 and its kin.
    let ground = Ground::new();
    let outside = ground.path().join("victim/file");
    for target in ["../victim/file", "a/../../victim/file"] {
        refused([hard_link("x", target)]);
    }
    let through_link = [symlink("out", "../victim"), hard_link("x", "out/file")];
    let applied = ground.apply(&archive(through_link)).unwrap();
    assert!(
        !applied.loose.is_empty(),
        "the target is not in this layer: only those below may have it"
    );
    ground.assert_victim_whole();
    let ground = Ground::new();
    ground
        .apply(&archive([hard_link("x", outside.to_str().unwrap())]))
        .unwrap();
    assert!(!ground.fs().join("x").exists());
    ground.assert_victim_whole();
}

#[test]
fn a_hard_link_to_a_link_is_a_link() {
    let ground = confined([
        symlink("l", "../victim/file"),
        hard_link("x", "l"),
        file("x2", ""),
    ]);
    assert!(
        fs::symlink_metadata(ground.fs().join("x"))
            .unwrap()
            .is_symlink()
    );
    // Writing "through" it replaces it.
    let ground = confined([
        symlink("l", "../victim/file"),
        hard_link("x", "l"),
        file("x", "mine"),
    ]);
    assert!(
        fs::symlink_metadata(ground.fs().join("x"))
            .unwrap()
            .is_file()
    );
}

#[test]
fn a_hard_link_to_a_directory_or_itself() {
    assert!(refused([dir("d"), hard_link("x", "d")]).contains("directory"));
    let ground = confined([
        file("f", "kept"),
        hard_link("f", "f"),
        hard_link("f", "./f"),
    ]);
    assert_eq!(fs::read(ground.fs().join("f")).unwrap(), b"kept");
}

#[test]
fn a_hard_link_to_a_device_is_that_device() {
    if !is_root() {
        return;
    }
    let ground = confined([item(b'3', "null").device(1, 3), hard_link("x", "null")]);
    assert!(
        fs::metadata(ground.fs().join("x"))
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn whiteouts_delete_nothing_on_the_host() {
    for items in [
        vec![symlink("etc", "../victim"), file("etc/.wh.file", "")],
        vec![symlink("etc", "/victim"), file("etc/.wh..wh..opq", "")],
        vec![
            file(".wh.victim", ""),
            symlink("a", ".."),
            file("a/.wh.victim", ""),
        ],
    ] {
        confined(items);
    }
    for name in [
        ".wh.",
        ".wh..",
        ".wh...",
        "a/.wh...",
        ".wh.x/y",
        "a/.wh.b/c",
    ] {
        refused([dir("a"), file(name, "")]);
    }
}

#[test]
fn attributes_that_overlayfs_or_the_host_obeys_are_dropped() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let applied = ground
        .apply(&archive([
            dir("d")
                .xattr("trusted.overlay.redirect", "/")
                .xattr("trusted.overlay.opaque", "y"),
            file("f", "x")
                .xattr("user.overlay.metacopy", "")
                .xattr("security.selinux", "label")
                .xattr("user.ok", "1"),
        ]))
        .unwrap();
    assert_eq!(applied.xattrs_skipped, 4);
    assert_eq!(support::tree::xattrs(&ground.fs().join("d")), []);
    assert_eq!(support::tree::xattrs(&ground.fs().join("f")).len(), 1);
}

#[test]
fn devices_only_when_asked_for() {
    let ground = Ground::new();
    let blob = archive([
        item(b'3', "dev/null").device(1, 3),
        item(b'4', "dev/sda").device(8, 0),
    ]);
    let applied = ground
        .apply_with(&blob, |options| options.devices = false)
        .unwrap();
    assert_eq!(applied.devices_skipped, 2);
    assert!(!ground.fs().join("dev/sda").exists());
}

#[test]
fn owners_beyond_the_range_are_refused() {
    for id in [4_294_967_295u64, 4_294_967_296, 99_999_999_999] {
        assert!(refused([file("f", "x").pax("uid", id.to_string())]).contains("out of range"));
        assert!(refused([file("f", "x").owner(0, id)]).contains("out of range"));
    }
    for text in ["-1", "1000x", " 0", "", "0x10"] {
        let outcome = Ground::new().apply(&archive([file("f", "x").pax("gid", text)]));
        assert_eq!(outcome.is_ok(), text.is_empty(), "{text:?}");
    }
}

#[test]
fn a_size_said_twice_smuggles_nothing() {
    // CVE-2025-62518: one reader believes the PAX size, another the header's; here the records always win...
    let inner = archive([file("smuggled", "evil")]);
    let body = padded(&inner);
    let hidden = Item {
        body: body.clone(),
        ..file("outer", "")
    }
    .size(0)
    .pax("size", body.len().to_string());
    let ground = confined([hidden, file("after", "x")]);
    assert!(!ground.fs().join("smuggled").exists() && ground.fs().join("after").exists());
    assert_eq!(
        fs::metadata(ground.fs().join("outer")).unwrap().len(),
        body.len() as u64
    );
    // ... and never for an extension header.
    let pax = Item {
        body: support::tar::pax_record(b"size", b"1024"),
        ..item(b'x', "p")
    };
    let long = Item {
        body: b"long-name\0".to_vec(),
        ..item(b'L', "././@LongLink")
    };
    let ground = Ground::new();
    let mut blob = entry_bytes(&pax);
    blob.extend(entry_bytes(&long));
    blob.extend(entry_bytes(&file("short", vec![b'x'; 1024])));
    blob.extend([0; 1024]);
    ground.apply(&blob).unwrap();
    assert_eq!(
        fs::metadata(ground.fs().join("long-name")).unwrap().len(),
        1024
    );
}

#[test]
fn what_readers_disagree_on_is_refused() {
    let pax = |records: &[u8]| Item {
        body: records.to_vec(),
        ..item(b'x', "p")
    };
    let long = |flag| Item {
        body: b"other\0".to_vec(),
        ..item(flag, "././@LongLink")
    };
    let global = |records: &[u8]| Item {
        body: records.to_vec(),
        ..item(b'g', "g")
    };
    let after = file("f", "x");
    for (what, before) in [
        (
            "two PAX headers",
            vec![pax(b"11 path=ab\n"), pax(b"11 path=cd\n")],
        ),
        ("two long names", vec![long(b'L'), long(b'L')]),
        ("long name and path", vec![long(b'L'), pax(b"11 path=ab\n")]),
        ("path and long name", vec![pax(b"11 path=ab\n"), long(b'L')]),
        ("record without newline", vec![pax(b"11 path=abx")]),
        ("record too long", vec![pax(b"99 path=ab\n")]),
        ("record without equals", vec![pax(b"8 path\n\n")]),
        ("record of length 0", vec![pax(b"0 path=ab\n")]),
        ("record with sign", vec![pax(b"+11 path=a\n")]),
        ("global path", vec![global(b"11 path=ab\n")]),
        ("global size", vec![global(b"10 size=1\n")]),
        ("bad size", vec![pax(b"11 size=-1\n")]),
        (
            "long name with NUL",
            vec![Item {
                body: b"a\0b".to_vec(),
                ..item(b'L', "L")
            }],
        ),
    ] {
        let ground = Ground::new();
        assert!(
            ground
                .apply(&archive(before.into_iter().chain([after.clone()])))
                .is_err(),
            "{what}"
        );
        ground.assert_victim_whole();
    }
    refused([dir("d").size(512), after.clone()]);
    refused([symlink("s", "t").size(5), after.clone()]);
    refused([item(b'Z', "unknown"), after.clone()]);
    refused([Item {
        body: b"11 path=ab\n".to_vec(),
        ..item(b'x', "p")
    }]);
    let mut lone = entry_bytes(&after);
    lone.extend([0; 512]);
    lone.extend(entry_bytes(&file("after-a-lone-zero-block", "x")));
    refused_bytes(&lone);
}

#[test]
fn broken_headers_are_refused() {
    let good = archive([file("f", "x")]);
    for at in [0, 100, 124, 136, 148, 156, 257, 345] {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        assert!(Ground::new().apply(&bad).is_err(), "byte {at}");
    }
    for (field, text) in [
        (124, "8888888888 "),
        (124, "-1        "),
        (100, "zzzzzzz"),
        (136, "12 34"),
    ] {
        let mut bad = good.clone();
        bad[field..field + text.len()].copy_from_slice(text.as_bytes());
        checksum(&mut bad[..512]);
        assert!(Ground::new().apply(&bad).is_err(), "{text}");
    }
    let huge = file("f", "x").size(u64::MAX >> 1);
    assert!(matches!(
        Ground::new().apply(&archive([huge])).unwrap_err().fault(),
        Fault::Limit { .. }
    ));
}

#[test]
fn a_blob_cut_at_any_byte_is_an_error() {
    let tar = archive([
        dir("d"),
        file("d/f", "some text ".repeat(40)),
        symlink("l", "d"),
        file("g", "x"),
    ]);
    let diff_id = oci::DiffId(oci::Digest::of(&tar));
    for blob in [tar.clone(), gzip(&tar), zstd(&tar)] {
        for length in 0..blob.len() {
            let ground = Ground::new();
            let outcome = ground.apply_with(&blob[..length], |options| {
                options.diff_id = Some(diff_id.clone())
            });
            assert!(outcome.is_err(), "{length} of {} bytes", blob.len());
        }
        Ground::new()
            .apply_with(&blob, |options| options.diff_id = Some(diff_id.clone()))
            .unwrap();
    }
}

#[test]
fn a_blob_with_any_byte_changed_is_an_error() {
    let tar = archive([
        dir("d"),
        file("d/f", "some text ".repeat(40)),
        file("g", "x"),
    ]);
    let diff_id = oci::DiffId(oci::Digest::of(&tar));
    for blob in [gzip(&tar), zstd(&tar)] {
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 0x40;
            let ground = Ground::new();
            let outcome =
                ground.apply_with(&bad, |options| options.diff_id = Some(diff_id.clone()));
            // Only bytes that no decoder looks at (gzip's name, time and system) may pass, and then the tree is right.
            if outcome.is_ok() {
                assert_eq!(fs::read(ground.fs().join("g")).unwrap(), b"x", "byte {at}");
            }
            ground.assert_victim_whole();
        }
    }
}

#[test]
fn the_wrong_diff_id_is_an_error_that_names_both() {
    let wrong = oci::DiffId(oci::Digest::of(b"other"));
    let error = Ground::new()
        .apply_with(&archive([file("f", "x")]), |options| {
            options.diff_id = Some(wrong.clone())
        })
        .unwrap_err();
    assert!(
        matches!(error.fault(), Fault::DiffId { .. })
            && error.to_string().contains(&wrong.to_string())
    );
}

#[test]
fn foreign_packings_are_named() {
    for (magic, what) in [(&b"\xfd7zXZ\0rest"[..], "xz"), (b"BZh91AY&SY", "bzip2")] {
        assert!(refused_bytes(magic).contains(what));
    }
    assert!(refused_bytes(b"").contains("ends too early"));
}

#[test]
fn an_existing_link_in_the_target_is_not_followed_out() {
    // The target is meant to be empty and private; even if it is not, nothing leaves it.
    let ground = Ground::new();
    link_on_disk("../victim", ground.fs().join("planted")).unwrap();
    ground.apply(&archive([file("planted/file", "x")])).unwrap();
    ground.assert_victim_whole();
}

#[test]
fn directories_swapped_by_a_racer_never_lead_out() {
    // CVE-2025-47290: somebody swaps a directory for a link while the layer is unpacked.
    let ground = Ground::new();
    let (inside, aside) = (ground.fs().join("d"), ground.fs().join("aside"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let blob = archive((0..300).flat_map(|n| {
        [
            dir("d"),
            file(format!("d/{n}"), "x"),
            file(format!("e{n}/x"), ""),
        ]
    }));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::rename(&inside, &aside);
                let _ = link_on_disk("../victim", &inside);
                let _ = fs::remove_file(&inside);
                let _ = fs::remove_dir_all(&aside);
            }
        });
        for _ in 0..20 {
            // Errors are fine; escapes are not.
            let _ = ground.apply(&blob);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    ground.assert_victim_whole();
}
