//! A container's init as something to wait for, without being its parent: by its pidfd or, where the kernel gives none,
//! by looking again and again.
//!
//! Knows nothing of what happens at its end.

use super::Record;
use super::status::is_alive;
use crate::error::{Context, Result};
use crate::sys::clone::pidfd_open;
use crate::sys::socket::ready;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How long an end may go unseen without a pidfd.
const LOOK_MS: i32 = 2;

/// An init that was alive when it was looked at last.
#[derive(Debug)]
pub struct Life {
    pid: i32,
    start_ticks: u64,
    /// KERNEL(5.3)
    pidfd: Option<OwnedFd>,
}

impl Life {
    /// The life of this container's init; the caller asks whether the pid is still its own.
    pub fn of(record: &Record) -> Result<Life> {
        let pidfd = match pidfd_open(record.pid) {
            Err(Errno::ENOSYS) => None,
            opened => Some(opened.context(format_args!("open pidfd of {}", record.pid))?),
        };
        Ok(Life {
            pid: record.pid,
            start_ticks: record.pid_start_ticks,
            pidfd,
        })
    }

    /// Waits for the end or until `other` (-1 for none) is readable; which of them came, the other first. A negative
    /// time waits for ever. EINTR is the caller's matter.
    pub fn poll(&self, other: RawFd, timeout_ms: i32) -> crate::sys::Result<[bool; 2]> {
        match &self.pidfd {
            Some(pidfd) => ready([other, pidfd.as_raw_fd()], timeout_ms),
            None => self.look(other, timeout_ms),
        }
    }

    /// KERNEL(<5.3)
    #[cold]
    fn look(&self, other: RawFd, timeout_ms: i32) -> crate::sys::Result<[bool; 2]> {
        let patience = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let started = Instant::now();
        loop {
            let [came] = ready([other], LOOK_MS)?;
            let ended = !is_alive(self.pid, self.start_ticks);
            if came || ended || patience.is_some_and(|patience| started.elapsed() >= patience) {
                return Ok([came, ended]);
            }
        }
    }
}
