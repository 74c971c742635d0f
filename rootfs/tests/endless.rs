//! Layers that try to fill memory or disk, or never end: each stops at a limit that its error names.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::Read;

use nix::mount::{MsFlags, mount};
use rootfs::layer::Fault;
use support::tar::{Item, RawZstd, archive, dir, entry_bytes, file, gzip, padded, zstd};
use support::tree::with_own_mounts;
use support::{Ground, is_root};

#[test]
fn bombs_stop_at_their_limit() {
    let limited = |blob: &[u8], change: fn(&mut rootfs::layer::Limits)| {
        let ground = Ground::new();
        let error = ground
            .apply_with(blob, |options| change(&mut options.limits))
            .unwrap_err();
        assert!(matches!(error.fault(), Fault::Limit { .. }), "{error}");
        error.to_string()
    };
    let zeros = file("zeros", vec![0; 8 << 20]);
    let packed = gzip(&archive([zeros.clone()]));
    assert!(limited(&packed, |l| l.bytes = 1 << 20).contains("size in bytes"));
    let pieces = gzip(&archive(
        (0..64).map(|n| file(format!("f{n}"), vec![0; 1 << 16])),
    ));
    assert!(limited(&pieces, |l| l.bytes = 1 << 20).contains("size"));
    assert!(limited(&packed, |l| (l.ratio, l.ratio_from_bytes) = (100, 1 << 20)).contains("ratio"));
    assert!(limited(&zstd(&archive([zeros])), |l| l.ratio_from_bytes = 1 << 20).contains("ratio"));
    let many = archive((0..200).map(|n| file(format!("f{n}"), "")));
    assert!(limited(&many, |l| l.entries = 100).contains("entries"));
    let deep = archive([dir("x").pax("path", "d/".repeat(300))]);
    assert!(limited(&deep, |_| {}).contains("depth"));
    let long = archive([file("x", "").pax("path", "a/".repeat(2500) + "b")]);
    assert!(limited(&long, |_| {}).contains("name length"));
    let attribute = archive([file("x", "").xattr("user.big", vec![b'x'; 70_000])]);
    assert!(limited(&attribute, |_| {}).contains("attribute"));
    let header = archive([file("x", "").pax("comment", vec![b'x'; 2 << 20])]);
    assert!(limited(&header, |_| {}).contains("header size"));
    let sparse = file("x", "")
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0");
    let sparse = sparse
        .pax("GNU.sparse.name", "x")
        .pax("GNU.sparse.realsize", (1u64 << 62).to_string());
    let exabytes = archive([Item {
        body: padded(b"1\n0\n0\n"),
        ..sparse
    }]);
    assert!(limited(&exabytes, |_| {}).contains("size in bytes"));
    let implicit = archive((0..100).map(|n| file(format!("{n}/f"), "")));
    assert!(limited(&implicit, |l| l.loose_bytes = 2000).contains("lean on"));
}

#[test]
fn zstd_windows_must_show_in_the_first_frame() {
    let tar = archive([file("f", vec![1; 3 << 20])]);
    let frame = |bytes: &[u8], window_log| {
        let mut frame = Vec::new();
        let packed = RawZstd::new(bytes, window_log).read_to_end(&mut frame);
        packed.unwrap();
        frame
    };
    let frames = |first, second| {
        let (front, back) = tar.split_at(1 << 20);
        let blob = [frame(front, first), frame(back, second)].concat();
        let applied = Ground::new().apply(&blob);
        applied.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(frames(20, 23), Ok(()));
    assert_eq!(frames(24, 25), Ok(()));
    let later = frames(20, 24).unwrap_err();
    assert!(later.contains("larger window than the first"), "{later}");
    let large = frames(27, 20).unwrap_err();
    assert!(large.contains("zstd window in bytes is 134217728, above the limit of 33554432"));
}

/// A stream of headers that never ends, made as it is read.
struct Endless {
    block: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for byte in buffer.iter_mut() {
            *byte = self.block[self.at];
            self.at = (self.at + 1) % self.block.len();
        }
        Ok(buffer.len())
    }
}

#[test]
fn endless_entries_end() {
    let ground = Ground::new();
    let block = entry_bytes(&dir("the-same-directory"));
    let mut options = rootfs::layer::Options::privileged("endless");
    options.limits.entries = 20_000;
    let root = fs::File::open(ground.fs()).unwrap();
    let error = rootfs::layer::apply(Endless { block, at: 0 }, root.into(), &options).unwrap_err();
    assert!(error.to_string().contains("number of entries"), "{error}");
}

#[test]
fn disk_full_says_so() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let blob = archive([file("big", vec![1; 3 << 20])]);
    let error = with_own_mounts(|| {
        let (none, size) = (MsFlags::empty(), Some("size=1m"));
        mount(Some("t"), &ground.fs(), Some("tmpfs"), none, size).unwrap();
        let root = fs::File::open(ground.fs()).unwrap();
        let options = rootfs::layer::Options::privileged("full");
        rootfs::layer::apply(blob.as_slice(), root.into(), &options)
            .unwrap_err()
            .to_string()
    });
    assert!(error.contains("write \"big\": ENOSPC"), "{error}");
}
