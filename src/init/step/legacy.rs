//! Mounts on kernels without fsopen(2) and open_tree(2) (5.2) or mount_setattr(2) (5.12): mount(2) on `/proc/self/fd/N`,
//! so that the destination is a handle there too.

use super::copy_up;
use super::mount::{covered_mode, destination, like, octal, propagate, refuse_false_procfs};
use super::page::Page;
use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::Missing;
use crate::sys::mount::{self as call, FD_PATH_BYTES, fd_path};
use crate::sys::{self, open};
use nix::errno::Errno;
use rootfs::mount::{Attributes, FsOption, MountOp, Mounted};
use std::ffi::CStr;
use std::os::fd::RawFd;

/// A new file system instance, its options joined by commas as mount(2) wants them.
#[cold]
pub fn file_system(child: &mut Child, op: &MountOp) -> Result {
    let Mounted::FileSystem {
        fs_type,
        source,
        superblock_flags,
        options,
    } = &op.what
    else {
        return Err(Failure::new(Operation::Whole, Errno::EINVAL));
    };
    refuse_recursive(op)?;
    let covered = covered_mode(child, op);
    let place = destination(child, op, Missing::Directory)?;
    let mut buffer = [0; FD_PATH_BYTES];
    let mut data = Page::of(options).during(Operation::SetOption)?;
    if let Some(mode) = covered {
        let mode = octal(mode);
        data.push_option(b"mode", mode.split(|&digit| digit == 0).next())
            .during(Operation::SetOption)?;
    }
    let flags = superblock_flags | self::flags(op.attributes.set);
    let mounted = call::mount(
        Some(source),
        fd_path(place, &mut buffer),
        Some(fs_type),
        flags,
        data.text(),
    );
    if let (Err(Errno::EPERM | Errno::EBUSY), Some(host)) = (mounted, &op.fallback_bind) {
        open::close(place);
        return bind(child, op, host, true, false);
    }
    mounted.during(Operation::CreateFileSystem)?;
    if op.copy_up {
        // The handle is still on what the mount covers.
        let mounted = destination(child, op, Missing::Refuse)?;
        let copied = copy_up::fill(place, mounted).during(Operation::CopyUp);
        open::close(mounted);
        copied?;
    }
    open::close(place);
    finish(child, op)
}

/// A bind mount, then its flags.
#[cold]
pub fn bind(
    child: &mut Child,
    op: &MountOp,
    source: &CStr,
    recursive: bool,
    no_follow: bool,
) -> Result {
    refuse_recursive(op)?;
    let open_flags = libc::O_PATH | if no_follow { libc::O_NOFOLLOW } else { 0 };
    let from =
        open::open_at(libc::AT_FDCWD, source, open_flags, 0).during(Operation::OpenSource)?;
    refuse_false_procfs(from, op)?;
    let place = destination(child, op, like(from)?)?;
    let (mut from_path, mut place_path) = ([0; FD_PATH_BYTES], [0; FD_PATH_BYTES]);
    let kind = libc::MS_BIND | if recursive { libc::MS_REC } else { 0 };
    call::mount(
        Some(fd_path(from, &mut from_path)),
        fd_path(place, &mut place_path),
        None,
        kind,
        None,
    )
    .during(Operation::Attach)?;
    open::close(from);
    let mounted = destination(child, op, Missing::Refuse)?;
    if op.copy_up {
        copy_up::fill(place, mounted).during(Operation::CopyUp)?;
    }
    open::close(place);
    let changed = change(mounted, op);
    open::close(mounted);
    changed?;
    finish(child, op)
}

/// A file system instance changed by remounting: mount(2) means the mount's own flags too, so they are said again.
#[cold]
pub fn reconfigure(mounted: RawFd, superblock_flags: u64, options: &[FsOption]) -> Result {
    let kept = call::mount_flags(mounted).during(Operation::SetOption)? & !libc::MS_RDONLY;
    let data = Page::of(options).during(Operation::SetOption)?;
    let mut buffer = [0; FD_PATH_BYTES];
    let flags = libc::MS_REMOUNT | kept | superblock_flags;
    call::mount(
        None,
        fd_path(mounted, &mut buffer),
        None,
        flags,
        data.text(),
    )
    .during(Operation::SetOption)
}

/// The flags of a mount that is attached.
#[cold]
pub fn change(mounted: RawFd, op: &MountOp) -> Result {
    refuse_recursive(op)?;
    remount_bind(
        mounted,
        flags(op.attributes.set),
        flags(op.attributes.clear),
    )
    .during(Operation::SetAttributes)
}

fn finish(child: &mut Child, op: &MountOp) -> Result {
    let mounted = destination(child, op, Missing::Refuse)?;
    let done = propagate(mounted, op);
    open::close(mounted);
    done
}

/// SPEC(config.md#linux-mount-options): recursive attributes and id maps must not quietly become something less.
pub fn refuse_recursive(op: &MountOp) -> Result {
    match op.recursive_attributes == Attributes::default() && op.idmap.is_none() {
        true => Ok(()),
        false => Err(Failure::new(Operation::SetAttributes, Errno::ENOSYS)),
    }
}

/// `MOUNT_ATTR_*` as the `MS_*` flags of mount(2).
pub fn flags(attributes: u64) -> u64 {
    /// `MOUNT_ATTR_NOSYMFOLLOW` and `MS_NOSYMFOLLOW` (5.10), which libc lacks.
    const NOSYMFOLLOW: (u64, u64) = (0x20_0000, 0x100);
    const TABLE: [(u64, u64); 8] = [
        NOSYMFOLLOW,
        (libc::MOUNT_ATTR_RDONLY, libc::MS_RDONLY),
        (libc::MOUNT_ATTR_NOSUID, libc::MS_NOSUID),
        (libc::MOUNT_ATTR_NODEV, libc::MS_NODEV),
        (libc::MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC),
        (libc::MOUNT_ATTR_NOATIME, libc::MS_NOATIME),
        (libc::MOUNT_ATTR_STRICTATIME, libc::MS_STRICTATIME),
        (libc::MOUNT_ATTR_NODIRATIME, libc::MS_NODIRATIME),
    ];
    let set = TABLE
        .iter()
        .filter(|(attribute, _)| attributes & attribute != 0);
    set.fold(0, |flags, (_, flag)| flags | flag)
}

/// Changes a bind mount's flags, keeping those it has: dropping a locked one is refused.
#[cold]
pub fn remount_bind(fd: RawFd, set: u64, clear: u64) -> sys::Result<()> {
    if set | clear == 0 {
        return Ok(());
    }
    let flags = call::mount_flags(fd)? & !clear | set;
    let mut buffer = [0; FD_PATH_BYTES];
    call::mount(
        None,
        fd_path(fd, &mut buffer),
        None,
        libc::MS_REMOUNT | libc::MS_BIND | flags,
        None,
    )
}
