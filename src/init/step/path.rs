//! Paths that the container can't read or can't write. SPEC(config-linux.md#masked-paths)
//!
//! What covers a path is ours, never the image's: its /dev/null may be a link to a file of procfs. CVE-2025-31133

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path;
use crate::sys::mount::{self, AttributeChange, FD_PATH_BYTES, attribute, fd_path};
use crate::sys::open;
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Handle on an existing path, `None` when there is none: then there is nothing to hide.
fn find(child: &Child, path: &CStr) -> Result<Option<RawFd>> {
    match path::open_existing(child.root, path, libc::O_PATH) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => Ok(None),
        other => other.map(Some).during(Operation::Resolve),
    }
}

/// A file vanishes behind the null device, a directory behind an empty read-only one.
pub fn mask(child: &mut Child, path: &CStr) -> Result {
    let Some(place) = find(child, path)? else {
        return Ok(());
    };
    let kind = open::stat(place).during(Operation::Resolve)?.st_mode & libc::S_IFMT;
    let cover = if kind == libc::S_IFDIR {
        empty_directory(child)
    } else {
        null_device()
    };
    let covered = cover.and_then(|cover| {
        let attached = mount::attach(cover, place).during(Operation::Attach);
        if child.empty_directory != Some(cover) {
            open::close(cover);
        }
        attached
    });
    open::close(place);
    match covered {
        Err(Failure {
            operation: Operation::OpenSource | Operation::OpenFileSystem,
            code,
        }) if code == Errno::ENOSYS as i32 => mask_by_path(child, path, kind),
        other => other,
    }
}

/// A detached bind of the host's null device, checked to be it.
fn null_device() -> Result<RawFd> {
    let tree = mount::clone_tree(libc::AT_FDCWD, c"/dev/null", false, true)
        .during(Operation::OpenSource)?;
    let stat = open::stat(tree).during(Operation::OpenSource)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFCHR || stat.st_rdev != libc::makedev(1, 3) {
        return Err(Failure::new(Operation::NotThatDevice, Errno::ENODEV));
    }
    Ok(tree)
}

/// One empty directory for all masks: the first is a new tmpfs, the others are clones of it.
fn empty_directory(child: &mut Child) -> Result<RawFd> {
    if let Some(first) = child.empty_directory {
        return mount::clone_tree(first, c"", false, true).during(Operation::OpenSource);
    }
    let context = mount::open_context(c"tmpfs").during(Operation::OpenFileSystem)?;
    let made = mount::set_option(context, c"nr_inodes", Some(c"2"))
        .and_then(|()| mount::set_option(context, c"mode", Some(c"755")))
        .and_then(|()| mount::create_instance(context))
        .and_then(|()| mount::mount_instance(context, attribute::RDONLY))
        .during(Operation::MakeMount);
    open::close(context);
    let made = made?;
    child.empty_directory = Some(made);
    Ok(made)
}

/// The path bound on itself, with what is mounted below, and made read-only.
pub fn readonly(child: &mut Child, path: &CStr) -> Result {
    let Some(place) = find(child, path)? else {
        return Ok(());
    };
    let tree = match mount::clone_tree(place, c"", true, true) {
        Err(Errno::ENOSYS) => return readonly_by_path(child, place, path),
        other => other.during(Operation::OpenSource)?,
    };
    let change = AttributeChange {
        set: attribute::RDONLY,
        ..AttributeChange::default()
    };
    // KERNEL(<5.12): only a mount that is attached can be remounted.
    let late = match mount::set_attributes(tree, change) {
        Err(Errno::ENOSYS) => true,
        other => other.map(|()| false).during(Operation::SetAttributes)?,
    };
    mount::attach(tree, place).during(Operation::Attach)?;
    if late {
        super::legacy::remount_bind(tree, libc::MS_RDONLY, 0).during(Operation::SetAttributes)?;
    }
    open::close(tree);
    open::close(place);
    Ok(())
}

/// KERNEL(<5.2)
#[cold]
fn mask_by_path(child: &Child, path: &CStr, kind: u32) -> Result {
    let Some(place) = find(child, path)? else {
        return Ok(());
    };
    let mut buffer = [0; FD_PATH_BYTES];
    let target = fd_path(place, &mut buffer);
    let covered = if kind == libc::S_IFDIR {
        mount::mount(
            Some(c"tmpfs"),
            target,
            Some(c"tmpfs"),
            libc::MS_RDONLY,
            Some(c"nr_inodes=2"),
        )
    } else {
        mount::mount(Some(c"/dev/null"), target, None, libc::MS_BIND, None)
    };
    open::close(place);
    covered.during(Operation::Attach)
}

/// KERNEL(<5.2)
#[cold]
fn readonly_by_path(child: &Child, place: RawFd, path: &CStr) -> Result {
    let mut buffer = [0; FD_PATH_BYTES];
    let target = fd_path(place, &mut buffer);
    mount::mount(
        Some(target),
        target,
        None,
        libc::MS_BIND | libc::MS_REC,
        None,
    )
    .during(Operation::Attach)?;
    open::close(place);
    let Some(mounted) = find(child, path)? else {
        return Ok(());
    };
    let changed =
        super::legacy::remount_bind(mounted, libc::MS_RDONLY, 0).during(Operation::SetAttributes);
    open::close(mounted);
    changed
}
