//! execveat(2): executing a file by handle, and what the kernel says about the file that we are.

use super::mount::{self, AttributeChange, attribute};
use super::{Result, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

/// Our own binary, by the kernel's handle on it.
const SELF: &CStr = c"/proc/self/exe";

/// Whether nobody can write to our binary through the mount that it was started from.
pub fn is_protected() -> Result<bool> {
    let file = open::own(open::open_at(libc::AT_FDCWD, SELF, libc::O_PATH, 0)?);
    if mount::mount_flags(file.as_raw_fd())? & libc::MS_RDONLY != 0 {
        return Ok(true);
    }
    // A copy in memory has no name, and seals instead of a mount.
    let named = open::own(open::open_at(libc::AT_FDCWD, SELF, libc::O_RDONLY, 0)?);
    // SAFETY: takes no pointers; a file that can't be sealed gives EINVAL.
    Ok(
        unsafe { syscall!(SYS_fcntl, named.as_raw_fd(), libc::F_GET_SEALS) }
            .is_ok_and(|seals| seals & i64::from(libc::F_SEAL_WRITE) != 0),
    )
}

/// Whether the caller may write to the binary at all.
pub fn is_writable() -> bool {
    open::access(libc::AT_FDCWD, SELF, libc::W_OK) != Err(Errno::EACCES)
}

/// A read-only mount of our binary that is attached nowhere. KERNEL(5.12)
pub fn read_only_mount() -> Result<OwnedFd> {
    let tree = open::own(mount::clone_tree(libc::AT_FDCWD, SELF, false, false)?);
    let change = AttributeChange {
        set: attribute::RDONLY,
        ..AttributeChange::default()
    };
    mount::set_attributes(tree.as_raw_fd(), change).map(|()| tree)
}

/// A sealed copy of our binary in memory. KERNEL(3.17)
pub fn sealed_copy() -> Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is NUL-terminated.
    let copy =
        open::own(unsafe { syscall!(SYS_memfd_create, c"crun-lite".as_ptr(), flags) }? as i32);
    let own = open::own(open::open_at(libc::AT_FDCWD, SELF, libc::O_RDONLY, 0)?);
    super::copy::content(own.as_raw_fd(), copy.as_raw_fd())?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_fcntl, copy.as_raw_fd(), libc::F_ADD_SEALS, seals) }.map(|_| copy)
}

/// Becomes the file behind a handle, with our own words and environment. Returns only on failure.
pub fn execute_again(file: &OwnedFd) -> Errno {
    let Some([words, environment]) = super::entry::vectors() else {
        return Errno::EINVAL;
    };
    // SAFETY: the path is empty and NUL-terminated; both arrays are the kernel's own, complete and unchanged.
    let result = unsafe {
        syscall!(
            SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            words,
            environment,
            libc::AT_EMPTY_PATH
        )
    };
    result.err().unwrap_or(Errno::UnknownErrno)
}
