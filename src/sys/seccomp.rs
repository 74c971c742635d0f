//! `seccomp(2)`: load a filter, and ask what the kernel knows. What a filter says is `plan::seccomp`'s.

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::null_mut;

/// Installs a filter for the calling thread and its children. Async-signal-safe.
///
/// The caller holds CAP_SYS_ADMIN in its user namespace or has set `no_new_privs`. With `NEW_LISTENER` among the flags
/// the notify fd is returned, close-on-exec.
pub fn load(filter: &[libc::sock_filter], flags: u32) -> Result<Option<OwnedFd>, Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?,
        filter: filter.as_ptr().cast_mut(),
    };
    let operation = libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER);
    // SAFETY: the program points to `len` initialized instructions that outlive the call; the kernel only reads them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) };
    let value = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EOVERFLOW)?;
    if u64::from(flags) & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
        // SAFETY: with this flag a successful call returns a new fd that nobody else owns.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(value) }));
    }
    match value {
        0 => Ok(None),
        // TSYNC names a thread that could not be switched.
        _ => Err(Errno::ESRCH),
    }
}

/// Whether the kernel knows a filter's return action.
pub fn action_available(action: u32) -> bool {
    let operation = libc::c_long::from(libc::SECCOMP_GET_ACTION_AVAIL);
    // SAFETY: the kernel reads four bytes through the pointer.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, 0, &raw const action) };
    result == 0
}

/// Whether the kernel knows these `SECCOMP_FILTER_FLAG_*` together. Installs nothing.
pub fn flags_available(flags: u32) -> bool {
    let operation = libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER);
    let nothing = null_mut::<libc::sock_fprog>();
    // SAFETY: the kernel judges the flags, then fails to read a program through the null pointer.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, nothing) };
    Errno::result(result) == Err(Errno::EFAULT)
}
