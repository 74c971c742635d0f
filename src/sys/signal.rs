//! signal(7), signalfd(2): a container starts with every signal unblocked and at its default.

use super::Result;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Bytes of the kernel's `sigset_t`.
const KERNEL_SIGSET_BYTES: usize = 8;

/// rt_sigprocmask(2): unblocks everything; a pending signal is delivered now. Async-signal-safe.
pub fn unblock_all() -> Result<()> {
    set_mask(libc::SIG_SETMASK, 0)
}

fn set_mask(how: i32, mask: u64) -> Result<()> {
    // SAFETY: mask is a whole kernel sigset; a null old set is allowed.
    unsafe {
        syscall!(
            SYS_rt_sigprocmask,
            how,
            &raw const mask,
            0usize,
            KERNEL_SIGSET_BYTES
        )
    }
    .map(drop)
}

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Default)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// rt_sigaction(2): ignored signals stay ignored across `execve`, so each goes back to its default. Async-signal-safe.
///
/// Only those that are ignored are touched; reading tells without a second call for the other sixty.
pub fn reset_ignored(ignored: u64) {
    let default = KernelSigaction::default();
    for signal in 1..=64 {
        if ignored & 1 << (signal - 1) != 0 {
            // SAFETY: default is a valid sigaction; a null old action is allowed.
            let _ = unsafe {
                syscall!(
                    SYS_rt_sigaction,
                    signal,
                    &raw const default,
                    0usize,
                    KERNEL_SIGSET_BYTES
                )
            };
        }
    }
}

/// Which signals the caller ignores, as a bit mask with signal 1 lowest.
///
/// SIGPIPE is ours ([`super::entry`]); anything else was inherited.
pub fn ignored() -> u64 {
    (1..=64)
        .filter(|signal| is_ignored(*signal))
        .fold(0, |mask, signal| mask | 1 << (signal - 1))
}

fn is_ignored(signal: i32) -> bool {
    let mut action = KernelSigaction::default();
    // SAFETY: action is valid for writing; a null new action only reads.
    let read = unsafe {
        syscall!(
            SYS_rt_sigaction,
            signal,
            0usize,
            &raw mut action,
            KERNEL_SIGSET_BYTES
        )
    };
    read.is_ok() && action.handler == libc::SIG_IGN
}

/// Blocks every signal that can be blocked and returns an fd that delivers them instead.
pub fn signal_fd() -> Result<OwnedFd> {
    let all = u64::MAX;
    set_mask(libc::SIG_SETMASK, all)?;
    readable_when_pending(all)
}

/// Blocks the signals by which programs are asked to end, but those that the caller ignores, and returns an fd that is
/// readable while one of them is pending.
pub fn defer_termination() -> Result<OwnedFd> {
    // KERNEL: one that is ignored would become pending once it is blocked.
    let heard = ASKING_TO_END.iter().filter(|signal| !is_ignored(**signal));
    block_and_hear(mask_of(heard))
}

/// Blocks all of them, what the caller ignores too, and returns an fd that delivers them. Async-signal-safe.
pub fn hear_termination() -> Result<OwnedFd> {
    block_and_hear(mask_of(ASKING_TO_END.iter()))
}

fn block_and_hear(mask: u64) -> Result<OwnedFd> {
    set_mask(libc::SIG_BLOCK, mask)?;
    readable_when_pending(mask)
}

/// Takes a signal from such an fd. Async-signal-safe.
pub fn take(signals: RawFd) -> Result<i32> {
    // SAFETY: an all-zero signalfd_siginfo is a valid value.
    let mut taken: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let bytes = size_of::<libc::signalfd_siginfo>();
    // SAFETY: taken is valid for writing that many bytes.
    unsafe { syscall!(SYS_read, signals, &raw mut taken, bytes) }?;
    Ok(taken.ssi_signo as i32)
}

/// The signals by which programs are asked to end.
const ASKING_TO_END: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

fn mask_of<'s>(signals: impl Iterator<Item = &'s i32>) -> u64 {
    signals.fold(0, |mask, signal| mask | 1 << (signal - 1))
}

fn readable_when_pending(mask: u64) -> Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: mask is a whole kernel sigset; the kernel returns a new fd that nobody else owns.
    unsafe {
        syscall!(
            SYS_signalfd4,
            -1,
            &raw const mask,
            KERNEL_SIGSET_BYTES,
            flags
        )
        .map(|fd| OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// kill(2) of ourselves. For injected faults.
#[cfg(debug_assertions)]
pub fn send_us(signal: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_kill, libc::getpid(), signal) }.map(drop)
}

/// fcntl(2), `F_SETSIG`: the kernel sends us `signal` once there is something to read. For injected faults.
#[cfg(debug_assertions)]
pub fn send_us_when_readable(fd: RawFd, signal: i32) -> Result<()> {
    const F_SETSIG: i32 = 10;
    // SAFETY: takes no pointers.
    let settings = unsafe {
        [
            (libc::F_SETOWN, libc::getpid()),
            (F_SETSIG, signal),
            (libc::F_SETFL, libc::O_ASYNC),
        ]
    };
    for (command, value) in settings {
        // SAFETY: takes no pointers.
        unsafe { syscall!(SYS_fcntl, fd, command, value) }?;
    }
    Ok(())
}
