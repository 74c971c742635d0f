//! The walk of our own against the kernel's: on every tree and every name they must agree.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::fstat;

use super::resolve::{Refuse, Root};
use super::unpack::Unpacker;
use super::{Loose, PendingLink};
use crate::layer::archive::Archive;
use crate::layer::limits::Limits;
use crate::layer::{Options, Target};

fn open(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

/// Small names, so that random trees are full of links that meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just(".."), Just(".")].prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    (any::<bool>(), proptest::collection::vec(name(), 1..6)).prop_map(|(absolute, parts)| {
        format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn our_walk_goes_where_openat2_goes(links in proptest::collection::vec((path(), path()), 0..6), asked in path()) {
        let ground = tempfile::tempdir().unwrap();
        let root = ground.path().join("root");
        for dir in ["a/b/c", "b", "c/a"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for (at, target) in &links {
            // The place may be taken or its parent a loop; then there is a link less.
            let _ = symlink(target, root.join(at.trim_start_matches('/').replace("..", "a")));
        }
        let (kernel, ours) = (Root::new(open(&root)), Root::without_openat2(open(&root)));
        let inode = |fd: &OwnedFd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
        match (kernel.open(asked.as_bytes()), ours.open(asked.as_bytes())) {
            (Ok(kernel_fd), Ok(our_fd)) => {
                prop_assert_eq!(inode(&kernel_fd), inode(&our_fd));
                // The real name leads there without any link.
                let real = ours.walk(asked.as_bytes(), &mut Refuse).unwrap().path;
                let by_name = open(&root.join(String::from_utf8(real).unwrap()));
                prop_assert_eq!(inode(&by_name), inode(&kernel_fd));
            }
            (Err(kernel_error), Err(our_error)) => prop_assert_eq!(kernel_error, our_error),
            (kernel, ours) => prop_assert!(false, "kernel {:?}, ours {:?}", kernel, ours),
        }
    }
}

/// A kernel without openat2 gives the same tree.
#[test]
fn unpacking_without_openat2() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut put = |flag: u8, path: &str, link: &str, body: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_path(path).unwrap();
        header.set_link_name_literal(link).unwrap();
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(body.len() as u64);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_cksum();
        tar.append(&header, body).unwrap();
    };
    put(b'2', "out", "../../victim", b"");
    put(b'0', "out/deep/file", "", b"inside");
    put(b'2', "abs", "/out/deep", b"");
    put(b'0', "abs/two", "", b"2");
    put(b'1', "abs/three", "out/deep/two", b"");
    let bytes = tar.into_inner().unwrap();
    let ground = tempfile::tempdir().unwrap();
    let fs_dir = ground.path().join("fs");
    fs::create_dir(&fs_dir).unwrap();
    let options = Options {
        owners: false,
        ..Options::privileged("test")
    };
    let mut archive = Archive::new(bytes.as_slice(), &options.limits);
    let mut unpacker = Unpacker::new(Root::without_openat2(open(&fs_dir)), &options);
    while let Some(entry) = archive.next_entry().unwrap() {
        unpacker.add(&entry, &mut archive).unwrap();
    }
    let unpacked = unpacker.finish().unwrap();
    assert_eq!(
        fs::read(fs_dir.join("victim/deep/file")).unwrap(),
        b"inside"
    );
    assert_eq!(fs::read(fs_dir.join("victim/deep/three")).unwrap(), b"2");
    assert_eq!(
        unpacked.loose.implicit,
        [b"victim".to_vec(), b"victim/deep".to_vec()]
    );
    assert_eq!(fs::read_dir(ground.path()).unwrap().count(), 1);
}

#[test]
fn loose_ends_survive_being_written() {
    let link = |path: &[u8], target: &[u8]| PendingLink {
        path: path.to_vec(),
        target: target.to_vec(),
    };
    for loose in [
        Loose::default(),
        Loose {
            implicit: vec![b"a".to_vec(), b"a/\xff\n".to_vec()],
            links: Vec::new(),
        },
        Loose {
            implicit: vec![b"x".to_vec()],
            links: vec![link(b"l", b"t/u"), link(b"m", b"\n")],
        },
    ] {
        let mut bytes = Vec::new();
        loose.write_to(&mut bytes).unwrap();
        assert_eq!(Loose::from_bytes(&bytes), Some(loose));
    }
    assert_eq!(Loose::from_bytes(b"q\0\0\0"), None);
    assert_eq!(Loose::from_bytes(b"d\0cut"), None);
}

/// Ten thousand directories one after the other hold a few handles and no list.
#[test]
fn handles_stay_few() {
    let ground = tempfile::tempdir().unwrap();
    let root = Root::new(open(ground.path()));
    let options = Options {
        owners: false,
        limits: Limits::default(),
        ..Options::privileged("test")
    };
    let mut unpacker = Unpacker::new(root, &options);
    let open_now = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_now();
    for n in 0..2000 {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_path(format!("d{n}")).unwrap();
        header.set_mode(0o700);
        header.set_cksum();
        let bytes = [header.as_bytes().as_slice(), &[0; 1024]].concat();
        let mut archive = Archive::new(bytes.as_slice(), &options.limits);
        let entry = archive.next_entry().unwrap().unwrap();
        unpacker.add(&entry, &mut archive).unwrap();
    }
    // Other tests of the process open files too.
    assert!(open_now() < before + 200);
    let _ = ground.path().metadata().unwrap();
    drop(unpacker.finish().unwrap());
    let _ = File::open(ground.path()).unwrap().as_fd();
}
