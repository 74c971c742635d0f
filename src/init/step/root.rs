//! The root file system: made a mount of its own, changed to, made read-only. SPEC(config.md#root)

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::{self, Missing};
use crate::plan::{RootChange, Step};
use crate::sys::mount::{self, AttributeChange, attribute};
use crate::sys::{self, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// The whole tree that we inherited stops sending mount events to the host.
pub fn tree_propagation(flag: u64) -> Result {
    mount::mount(None, c"/", None, flag | libc::MS_REC, None).during(Operation::SetPropagation)
}

/// Binds the root on itself, since `pivot_root` wants a mount, and keeps a handle on it.
pub fn open_root(child: &mut Child, path: &CStr, apart: bool) -> Result {
    let tree = match mount::clone_tree(libc::AT_FDCWD, path, true, false) {
        Err(Errno::ENOSYS) => return bind_root_by_path(child, path, apart),
        other => other.during(Operation::OpenSource)?,
    };
    let place = open::open_at(libc::AT_FDCWD, path, libc::O_PATH | libc::O_DIRECTORY, 0)
        .during(Operation::Resolve)?;
    if apart {
        set_apart(tree, place).during(Operation::SetPropagation)?;
    }
    mount::attach(tree, place).during(Operation::Attach)?;
    open::close(place);
    child.root = tree;
    Ok(())
}

/// A root that stays part of the host's tree: a handle on it is all.
pub fn open_place(child: &mut Child, path: &CStr) -> Result {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    child.root = open::open_at(libc::AT_FDCWD, path, flags, 0).during(Operation::Resolve)?;
    Ok(())
}

/// Neither the root nor the mount that it is attached to sends events: `pivot_root` wants that too.
fn set_apart(tree: i32, place: i32) -> sys::Result<()> {
    make_tree_private(tree)?;
    make_mount_of_private(place)
}

fn private(recursive: bool) -> AttributeChange {
    AttributeChange {
        propagation: libc::MS_PRIVATE,
        recursive,
        ..AttributeChange::default()
    }
}

fn make_tree_private(tree: RawFd) -> sys::Result<()> {
    match mount::set_attributes(tree, private(true)) {
        Err(Errno::ENOSYS) => make_private(tree, libc::MS_REC),
        other => other,
    }
}

/// The mount that a directory lies on. Only the root directory of a mount stands for it.
fn make_mount_of_private(place: RawFd) -> sys::Result<()> {
    let mut directory = open::open_at(place, c".", libc::O_PATH, 0)?;
    loop {
        let changed = match mount::set_attributes(directory, private(false)) {
            Err(Errno::ENOSYS) => make_private(directory, 0),
            other => other,
        };
        let parent = open::open_at(directory, c"..", libc::O_PATH, 0);
        open::close(directory);
        if changed != Err(Errno::EINVAL) {
            parent.map(open::close)?;
            return changed;
        }
        directory = parent?;
    }
}

/// KERNEL(<5.12). EINVAL for what is no mount's root, as from mount_setattr(2).
#[cold]
fn make_private(fd: RawFd, recursive: u64) -> sys::Result<()> {
    let mut buffer = [0; mount::FD_PATH_BYTES];
    let place = mount::fd_path(fd, &mut buffer);
    mount::mount(None, place, None, libc::MS_PRIVATE | recursive, None)
}

/// KERNEL(<5.2)
#[cold]
fn bind_root_by_path(child: &mut Child, path: &CStr, apart: bool) -> Result {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    if apart {
        // Before the bind, which its peers would hear of.
        let place = open::open_at(libc::AT_FDCWD, path, flags, 0).during(Operation::Resolve)?;
        make_mount_of_private(place).during(Operation::SetPropagation)?;
        open::close(place);
    }
    let kind = libc::MS_BIND | libc::MS_REC;
    mount::mount(Some(path), path, None, kind, None).during(Operation::Attach)?;
    child.root = open::open_at(libc::AT_FDCWD, path, flags, 0).during(Operation::Resolve)?;
    match apart {
        true => make_tree_private(child.root).during(Operation::SetPropagation),
        false => Ok(()),
    }
}

/// The container's root becomes `/`; nothing of the host's stays reachable.
pub fn change_root(child: &mut Child, how: RootChange) -> Result {
    open::enter(child.root).during(Operation::Enter)?;
    match how {
        // Both roots on one place: the old one lies under the new one and is unmounted from there.
        RootChange::Pivot => {
            mount::pivot_root(c".", c".").during(Operation::Whole)?;
            mount::unmount(c".", libc::MNT_DETACH).during(Operation::Whole)?;
        }
        RootChange::PivotFromPeers => pivot_from_peers()?,
        RootChange::Move => {
            hide_kernel_file_systems();
            // A shared root would send the move to the host.
            mount::mount(None, c"/", None, libc::MS_PRIVATE, None)
                .during(Operation::SetPropagation)?;
            mount::mount(Some(c"."), c"/", None, libc::MS_MOVE, None).during(Operation::Whole)?;
            open::change_root(c".").during(Operation::Whole)?;
        }
        RootChange::Chroot => open::change_root(c".").during(Operation::Whole)?,
    }
    open::enter_path(c"/").during(Operation::Enter)
}

/// To the working directory. An unmount among peers is one of the host's too: it would lose all that is mounted below
/// its shared mounts.
fn pivot_from_peers() -> Result {
    let old = open::open_at(libc::AT_FDCWD, c"/", libc::O_PATH | libc::O_DIRECTORY, 0)
        .during(Operation::Resolve)?;
    mount::pivot_root(c".", c".").during(Operation::Whole)?;
    open::enter(old).during(Operation::Enter)?;
    open::close(old);
    mount::mount(None, c".", None, libc::MS_SLAVE | libc::MS_REC, None)
        .during(Operation::SetPropagation)?;
    mount::unmount(c".", libc::MNT_DETACH).during(Operation::Whole)
}

/// The host's /proc and /sys stay mounted below a root that was moved. The kernel lets a user namespace mount its own
/// bare ones as long as such mounts are in sight: each gets an empty file system over it. COMPAT(runc)
fn hide_kernel_file_systems() {
    for place in [c"/proc", c"/sys"] {
        // Only where one is mounted; what covers it must not reach the host.
        if mount::mount(None, place, None, libc::MS_PRIVATE, None).is_ok() {
            let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            let _ = mount::mount(Some(c"tmpfs"), place, Some(c"tmpfs"), flags, None);
        }
    }
}

/// The root of a container that has no mount namespace of its own.
pub fn enter_root(root: RawFd) -> Result {
    open::enter(root).during(Operation::Enter)?;
    open::change_root(c".").during(Operation::Whole)?;
    open::close(root);
    open::enter_path(c"/").during(Operation::Enter)
}

/// Propagation of the container's own `/`.
pub fn root_propagation(flag: u64, recursive: bool) -> Result {
    let flag = flag | if recursive { libc::MS_REC } else { 0 };
    mount::mount(None, c"/", None, flag, None).during(Operation::SetPropagation)
}

/// `/` read-only, the mounts below it untouched.
pub fn readonly_root(child: &mut Child) -> Result {
    make_working_directory(child);
    let change = AttributeChange {
        set: attribute::RDONLY,
        ..AttributeChange::default()
    };
    match mount::set_attributes(child.root, change) {
        Err(Errno::ENOSYS) => super::legacy::remount_bind(child.root, libc::MS_RDONLY, 0),
        other => other,
    }
    .during(Operation::SetAttributes)
}

/// COMPAT(runc, crun): a read-only root gets a missing working directory too, so it is made before. What goes wrong here
/// is told when the directory is entered.
fn make_working_directory(child: &Child) {
    let wanted = child
        .prepared
        .plan
        .steps
        .iter()
        .find_map(|step| match step {
            Step::WorkingDirectory { path, make: true } if path.as_bytes() != b"/" => Some(path),
            _ => None,
        });
    if let Some(path) = wanted
        && let Ok(directory) = path::open_or_make(child.root, path, Missing::Directory, true)
    {
        open::close(directory);
    }
}

/// Fails when the working directory lies outside the root. CVE-2024-21626
pub fn check_inside() -> Result {
    let mut buffer = [0; libc::PATH_MAX as usize];
    match open::working_directory(&mut buffer) {
        Ok([b'/', ..]) => Ok(()),
        Ok(_) => Err(Failure::new(Operation::OutsideRoot, Errno::ENOENT)),
        Err(errno) => Err(Failure::new(Operation::OutsideRoot, errno)),
    }
}
