//! A tree as text, one line an inode: two trees are the same when their texts are.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rootfs::snapshot::OverlayMount;

/// Type, mode, owner, size, times, attributes, content and shared inodes of everything below `root`.
pub fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, Path::new("."), &mut HashMap::new(), &mut lines);
    lines
}

fn walk(root: &Path, name: &Path, seen: &mut HashMap<(u64, u64), String>, lines: &mut Vec<String>) {
    let path = root.join(name);
    let shown = name.as_os_str().as_bytes().escape_ascii().to_string();
    let meta = match fs::symlink_metadata(&path) {
        Ok(meta) => meta,
        Err(error) => return lines.push(format!("{shown} {error}")),
    };
    let kind = meta.file_type();
    let first = if kind.is_dir() {
        String::new()
    } else {
        seen.entry((meta.dev(), meta.ino()))
            .or_insert(shown.clone())
            .clone()
    };
    let content = if kind.is_file() {
        oci::Digest::of(&fs::read(&path).unwrap()).to_string()
    } else if kind.is_symlink() {
        format!(
            "-> {}",
            fs::read_link(&path)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .escape_ascii()
        )
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("device {:#x}", meta.rdev())
    } else {
        String::new()
    };
    let size = if kind.is_dir() { 0 } else { meta.size() };
    lines.push(format!(
        "{shown} {:o} {}:{} {size} {}.{:09} {:?} {content} {first}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        xattrs(&path),
    ));
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        for child in names {
            walk(root, &name.join(child), seen, lines);
        }
    }
}

pub fn xattrs(path: &Path) -> Vec<(String, String)> {
    let mut list = vec![0u8; 65536];
    let n = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let mut all = Vec::new();
    for name in list[..n].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 65536];
        let n = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        all.push((
            name.escape_ascii().to_string(),
            value[..n].escape_ascii().to_string(),
        ));
    }
    all.sort();
    all
}

/// Runs `look` at the mounted overlay, in a mount namespace of its own that ends with the thread.
pub fn with_overlay<T: Send>(
    overlay: &OverlayMount,
    at: &Path,
    look: impl FnOnce(&Path) -> T + Send,
) -> T {
    let options = overlay.options().expect("fits into a page");
    fs::create_dir_all(at).unwrap();
    with_own_mounts(|| {
        mount(
            Some("overlay"),
            at,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_os_str()),
        )
        .unwrap();
        look(at)
    })
}

/// Acts in a mount namespace that ends with it.
pub fn with_own_mounts<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            mount(
                None::<&str>,
                "/",
                None::<&str>,
                MsFlags::MS_REC | MsFlags::MS_PRIVATE,
                None::<&str>,
            )
            .unwrap();
            act()
        });
        acting.join().unwrap()
    })
}

/// Panics with the first lines that differ.
pub fn assert_same(ours: &[String], theirs: &[String]) {
    let missing: Vec<_> = theirs
        .iter()
        .filter(|line| !ours.contains(line))
        .take(8)
        .collect();
    let extra: Vec<_> = ours
        .iter()
        .filter(|line| !theirs.contains(line))
        .take(8)
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "not in ours: {missing:#?}\nonly in ours: {extra:#?}"
    );
}
