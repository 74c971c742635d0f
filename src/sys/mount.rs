//! mount(2) and the calls that took its place: fsopen(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2).
//!
//! Everything here is async-signal-safe. Mounts are attached to directory handles, never to path strings.

use super::decimal::{DIGITS, decimal};
use super::{Result, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU8, Ordering};

const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_SET_FD: u32 = 5;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSPICK_CLOEXEC: u32 = 1;
const FSPICK_EMPTY_PATH: u32 = 8;
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// `MOUNT_ATTR_*` of mount_setattr(2).
pub mod attribute {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// Ids are mapped by a user namespace.
    pub const IDMAP: u64 = 0x10_0000;
}

/// Whether there is a way to attach what the other calls make: a filter may know some of them and not this one.
/// Without it the others are as good as absent.
fn can_attach() -> Result<()> {
    const UNKNOWN: u8 = 0;
    const YES: u8 = 1;
    const NO: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    if ANSWER.load(Ordering::Relaxed) == UNKNOWN {
        let answer = if attach(-1, -1) == Err(Errno::ENOSYS) {
            NO
        } else {
            YES
        };
        ANSWER.store(answer, Ordering::Relaxed);
    }
    match ANSWER.load(Ordering::Relaxed) {
        NO => Err(Errno::ENOSYS),
        _ => Ok(()),
    }
}

/// fsopen(2): a context for a new file system instance. KERNEL(5.2).
pub fn open_context(fs_type: &CStr) -> Result<RawFd> {
    can_attach()?;
    // SAFETY: fs_type is NUL-terminated.
    unsafe { syscall!(SYS_fsopen, fs_type.as_ptr(), FSOPEN_CLOEXEC) }.map(|fd| fd as RawFd)
}

/// fspick(2): a context for changing the file system that `fd` lies on.
pub fn pick_context(fd: RawFd) -> Result<RawFd> {
    // SAFETY: the path is empty and NUL-terminated.
    unsafe {
        syscall!(
            SYS_fspick,
            fd,
            c"".as_ptr(),
            FSPICK_CLOEXEC | FSPICK_EMPTY_PATH
        )
    }
    .map(|fd| fd as RawFd)
}

/// fsconfig(2): sets one option, a flag when it has no value.
pub fn set_option(context: RawFd, key: &CStr, value: Option<&CStr>) -> Result<()> {
    let (command, value) = match value {
        Some(value) => (FSCONFIG_SET_STRING, value.as_ptr()),
        None => (FSCONFIG_SET_FLAG, std::ptr::null()),
    };
    // SAFETY: the texts are NUL-terminated; a flag takes a null value.
    unsafe { syscall!(SYS_fsconfig, context, command, key.as_ptr(), value, 0) }.map(drop)
}

/// fsconfig(2), `FSCONFIG_SET_FD`: sets an option whose value is an open file.
pub fn set_file_option(context: RawFd, key: &CStr, file: RawFd) -> Result<()> {
    // SAFETY: the key is NUL-terminated; the command takes a null value.
    unsafe {
        syscall!(
            SYS_fsconfig,
            context,
            FSCONFIG_SET_FD,
            key.as_ptr(),
            0usize,
            file
        )
    }
    .map(drop)
}

/// fsconfig(2), `FSCONFIG_CMD_CREATE`: makes the instance.
pub fn create_instance(context: RawFd) -> Result<()> {
    // SAFETY: the command takes null key and value.
    unsafe {
        syscall!(
            SYS_fsconfig,
            context,
            FSCONFIG_CMD_CREATE,
            0usize,
            0usize,
            0
        )
    }
    .map(drop)
}

/// fsconfig(2), `FSCONFIG_CMD_RECONFIGURE`: applies changed options.
pub fn reconfigure(context: RawFd) -> Result<()> {
    // SAFETY: the command takes null key and value.
    unsafe {
        syscall!(
            SYS_fsconfig,
            context,
            FSCONFIG_CMD_RECONFIGURE,
            0usize,
            0usize,
            0
        )
    }
    .map(drop)
}

/// fsmount(2): a detached mount of the instance, with these attributes.
pub fn mount_instance(context: RawFd, attributes: u64) -> Result<RawFd> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes as u32) }
        .map(|fd| fd as RawFd)
}

/// open_tree(2) with `OPEN_TREE_CLONE`: a detached copy of the mount that `path` lies on. KERNEL(5.2).
pub fn clone_tree(dir: RawFd, path: &CStr, recursive: bool, no_follow: bool) -> Result<RawFd> {
    can_attach()?;
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    if no_follow {
        flags |= libc::AT_SYMLINK_NOFOLLOW as u32;
    }
    // SAFETY: path is NUL-terminated.
    unsafe { syscall!(SYS_open_tree, dir, path.as_ptr(), flags) }.map(|fd| fd as RawFd)
}

/// move_mount(2): attaches the (detached) mount `from` on the object `to`. KERNEL(5.2).
pub fn attach(from: RawFd, to: RawFd) -> Result<()> {
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: both paths are empty and NUL-terminated.
    unsafe { syscall!(SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), flags) }.map(drop)
}

/// mount(2) with `MS_BIND` of one object, file or directory, on another. KERNEL(<5.2)
pub fn bind(from: RawFd, to: RawFd) -> Result<()> {
    let (mut source, mut target) = ([0; FD_PATH_BYTES], [0; FD_PATH_BYTES]);
    let source = fd_path(from, &mut source);
    mount(
        Some(source),
        fd_path(to, &mut target),
        None,
        libc::MS_BIND,
        None,
    )
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What [`set_attributes`] changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttributeChange {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_SHARED` and relatives, or 0.
    pub propagation: u64,
    /// The user namespace of `MOUNT_ATTR_IDMAP`.
    pub user_namespace: Option<RawFd>,
    /// Also all mounts below.
    pub recursive: bool,
}

/// mount_setattr(2) on the mount that `fd` is the root of. KERNEL(5.12).
pub fn set_attributes(fd: RawFd, change: AttributeChange) -> Result<()> {
    let attr = MountAttr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.user_namespace.map_or(0, |fd| fd as u64),
    };
    let flags = libc::AT_EMPTY_PATH as u32 | if change.recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is empty and NUL-terminated; attr outlives the call.
    unsafe {
        syscall!(
            SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>()
        )
    }
    .map(drop)
}

/// mount(2). Null texts are passed as null pointers: an empty data string costs the kernel a page.
pub fn mount(
    source: Option<&CStr>,
    target: &CStr,
    fs_type: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a NUL-terminated text.
    unsafe {
        syscall!(
            SYS_mount,
            pointer(source),
            target.as_ptr(),
            pointer(fs_type),
            flags,
            pointer(data)
        )
    }
    .map(drop)
}

/// umount2(2).
pub fn unmount(target: &CStr, flags: i32) -> Result<()> {
    // SAFETY: target is NUL-terminated.
    unsafe { syscall!(SYS_umount2, target.as_ptr(), flags) }.map(drop)
}

/// pivot_root(2).
pub fn pivot_root(new_root: &CStr, put_old: &CStr) -> Result<()> {
    // SAFETY: both texts are NUL-terminated.
    unsafe { syscall!(SYS_pivot_root, new_root.as_ptr(), put_old.as_ptr()) }.map(drop)
}

/// The mount options that mount(2) and statvfs(3) share, as `MS_*`, of the mount that `fd` lies on.
pub fn mount_flags(fd: RawFd) -> Result<u64> {
    // SAFETY: statvfs is plain data for which zeroes are valid, and valid for writing.
    let flags = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        Errno::result(libc::fstatvfs(fd, &raw mut stat))?;
        stat.f_flag
    };
    const SHARED_BITS: u64 = libc::MS_RDONLY
        | libc::MS_NOSUID
        | libc::MS_NODEV
        | libc::MS_NOEXEC
        | libc::MS_SYNCHRONOUS
        | libc::MS_MANDLOCK
        | libc::MS_NOATIME
        | libc::MS_NODIRATIME;
    const ST_RELATIME: u64 = 0x1000;
    const ST_NOSYMFOLLOW: u64 = 0x2000;
    const MS_NOSYMFOLLOW: u64 = 0x100;
    Ok(flags & SHARED_BITS
        | if flags & ST_RELATIME != 0 {
            libc::MS_RELATIME
        } else {
            0
        }
        | if flags & ST_NOSYMFOLLOW != 0 {
            MS_NOSYMFOLLOW
        } else {
            0
        })
}

/// Room for `/proc/self/fd/` and any fd number.
pub const FD_PATH_BYTES: usize = 32;

/// Writes `/proc/self/fd/N` into a caller's buffer: how calls that want a path are given a handle. KERNEL(<5.2).
pub fn fd_path(fd: RawFd, buffer: &mut [u8; FD_PATH_BYTES]) -> &CStr {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    buffer.fill(0);
    buffer[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut digits = [0; DIGITS];
    let number = decimal(fd.unsigned_abs(), &mut digits);
    buffer[PREFIX.len()..PREFIX.len() + number.len()].copy_from_slice(number);
    CStr::from_bytes_until_nul(buffer).unwrap_or(c"")
}

/// A detached instance of procfs: writes to it can't be redirected by mounts that the container made over /proc. With
/// `only_processes` it lacks /proc/sys and the like. KERNEL(5.8) for that; an older kernel's full procfs serves as well.
pub fn private_procfs(only_processes: bool) -> Result<RawFd> {
    let context = open_context(c"proc")?;
    if only_processes {
        let _ = set_option(context, c"subset", Some(c"pid"));
    }
    let mount = create_instance(context).and_then(|()| mount_instance(context, 0));
    open::close(context);
    mount
}
