//! Device nodes and the symlinks of /dev. SPEC(config-linux.md#devices) SPEC(runtime-linux.md#dev-symbolic-links)
//!
//! In a user namespace they are binds: of the host's, or of what the parent made where the host has none.
//!
//! All below the root by handle: an image whose /dev is a link keeps us inside. CVE-2026-41579

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::{self, Missing};
use crate::plan::DeviceOp;
use crate::sys::{self, mount, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Makes a node, or binds the host's where a user namespace or a missing privilege forbids nodes.
pub fn make(child: &mut Child, device: &DeviceOp) -> Result {
    let (directory, name) = child
        .above
        .parent(child.root, &device.path)
        .during(Operation::Resolve)?;
    let opened = device
        .prepared
        .map(|index| child.prepared.fds.mounts[index]);
    if let Some(tree) = opened.filter(|&tree| tree >= 0) {
        return bind(directory, name, tree, mount::attach);
    }
    let made = match device.bind {
        true => Err(Errno::EPERM),
        false => open::make_node(directory, name, device.mode, device.major, device.minor),
    };
    match made {
        Ok(()) => own(directory, name, device),
        Err(Errno::EEXIST) => accept_existing(directory, name, device),
        Err(Errno::EPERM) => bind_host_device(directory, name, device),
        Err(errno) => Err(Failure::new(Operation::MakeNode, errno)),
    }
}

/// The umask is 0, so the mode is right already; the owner is us.
fn own(directory: RawFd, name: &CStr, device: &DeviceOp) -> Result {
    if device.uid == 0 && device.gid == 0 {
        return Ok(());
    }
    let node = open::open_at(directory, name, libc::O_PATH | libc::O_NOFOLLOW, 0)
        .during(Operation::ChangeOwner)?;
    let changed = open::change_owner(node, device.uid, device.gid).during(Operation::ChangeOwner);
    open::close(node);
    changed
}

/// SPEC(config-linux.md#devices): a path that exists and is not that device is an error; a match stays untouched.
fn accept_existing(directory: RawFd, name: &CStr, device: &DeviceOp) -> Result {
    let node = open::open_at(directory, name, libc::O_PATH | libc::O_NOFOLLOW, 0)
        .during(Operation::Resolve)?;
    let stat = open::stat(node).during(Operation::Resolve);
    open::close(node);
    let stat = stat?;
    let same_kind = stat.st_mode & libc::S_IFMT == device.mode & libc::S_IFMT;
    let same_number = device.mode & libc::S_IFMT == libc::S_IFIFO
        || stat.st_rdev == libc::makedev(device.major, device.minor);
    if !same_kind || !same_number {
        return Err(Failure::new(Operation::NotThatDevice, Errno::EEXIST));
    }
    if device.keep_existing {
        Ok(())
    } else {
        own(directory, name, device)
    }
}

/// How one object is put on another.
type Attach = fn(RawFd, RawFd) -> sys::Result<()>;

fn bind_host_device(directory: RawFd, name: &CStr, device: &DeviceOp) -> Result {
    let no_follow = libc::O_PATH | libc::O_NOFOLLOW;
    let (tree, attach): (RawFd, Attach) =
        match mount::clone_tree(libc::AT_FDCWD, &device.path, false, true) {
            Err(Errno::ENOSYS) => (
                open::open_at(libc::AT_FDCWD, &device.path, no_follow, 0)
                    .during(Operation::OpenSource)?,
                mount::bind,
            ),
            cloned => (cloned.during(Operation::OpenSource)?, mount::attach),
        };
    let stat = open::stat(tree).during(Operation::OpenSource)?;
    if stat.st_mode & libc::S_IFMT != device.mode & libc::S_IFMT
        || stat.st_rdev != libc::makedev(device.major, device.minor)
    {
        return Err(Failure::new(Operation::NotThatDevice, Errno::ENODEV));
    }
    bind(directory, name, tree, attach)
}

fn bind(directory: RawFd, name: &CStr, tree: RawFd, attach: Attach) -> Result {
    let place = path::open_or_make(directory, name, Missing::File, false)
        .during(Operation::MakeDestination)?;
    attach(tree, place).during(Operation::Attach)?;
    open::close(tree);
    open::close(place);
    Ok(())
}

/// Makes a symlink; one that is there already is left alone.
pub fn symlink(child: &mut Child, target: &CStr, link: &CStr) -> Result {
    let (directory, name) = child
        .above
        .parent(child.root, link)
        .during(Operation::Resolve)?;
    match open::make_symlink(target, directory, name) {
        Err(Errno::EEXIST) => Ok(()),
        other => other.during(Operation::MakeNode),
    }
}

/// `copy-symlink`: when the host's `source` is a symlink it is made again; says whether it was one.
pub fn copy_symlink(child: &mut Child, source: &CStr, destination: &CStr) -> Result<bool> {
    let mut buffer = [0; libc::PATH_MAX as usize];
    let length = match open::read_link(
        libc::AT_FDCWD,
        source,
        &mut buffer[..libc::PATH_MAX as usize - 1],
    ) {
        Err(Errno::EINVAL) => return Ok(false),
        other => other.during(Operation::OpenSource)?.len(),
    };
    let target = CStr::from_bytes_until_nul(&buffer[..=length]).unwrap_or(c"");
    symlink(child, target, destination).map(|()| true)
}
