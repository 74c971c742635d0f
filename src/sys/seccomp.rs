//! `seccomp(2)`: load a filter. What a filter says is `plan::seccomp`'s.

use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd};

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
