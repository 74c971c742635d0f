//! Running one hook: the state on its standard input, a time limit, nothing inherited. SPEC(config.md#posix-platform-hooks)
//!
//! The state comes from a file in memory, not through a pipe: a hook that never reads can't make us wait.
//! Used by the child for container hooks and by the parent for runtime hooks; allocates nothing.

use super::child::load_privileged;
use super::prepare::{Arrays, Filter};
use crate::sys::clone::{Exit, Fork, ForkFlags, fork_then, pidfd_send_signal, wait_pidfd};
use crate::sys::socket::Waited;
use crate::sys::{Result, allocator, open, process, signal, socket};
use std::ffi::CStr;
use std::os::fd::RawFd;

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this code; 0 is success.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was killed when its time was over.
    TimedOut,
    /// It was killed because we are asked to end.
    Interrupted,
}

/// Exit code of a hook whose program could not be executed, as shells have it.
const EXIT_NOT_EXECUTED: i32 = 127;

/// What a hook finds besides its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'h> {
    /// Its standard input: the state.
    pub input: RawFd,
    /// Its standard output and error; -1 is ours.
    pub output: [RawFd; 2],
    /// Where it starts.
    pub directory: Directory<'h>,
    /// The container's filter, for a hook inside it that ours doesn't cover yet.
    pub filter: Option<Filter<'h>>,
}

/// A hook's working directory.
#[derive(Debug, Clone, Copy)]
pub enum Directory<'h> {
    /// Ours.
    Present,
    /// This one, where it still exists.
    Path(&'h CStr),
    /// The one behind a handle.
    Handle(RawFd),
}

/// Runs `path` until it ends, `timeout_ms` is over or `interrupt` (-1 for none) is readable.
pub fn execute(
    path: &CStr,
    arrays: &Arrays,
    setting: &Setting<'_>,
    timeout_ms: Option<u64>,
    interrupt: RawFd,
) -> Result<Outcome> {
    let Fork::Parent { pidfd, .. } =
        fork_then(ForkFlags::default(), || become_hook(path, arrays, setting))?
    else {
        return Ok(Outcome::Exited(EXIT_NOT_EXECUTED));
    };
    let outcome = await_end(pidfd, timeout_ms, interrupt);
    open::close(pidfd);
    outcome
}

fn become_hook(path: &CStr, arrays: &Arrays, setting: &Setting<'_>) -> ! {
    allocator::forbid_allocation();
    // Nobody would hear its result, nor end it when its time is over.
    let _ = process::die_with_parent(true);
    if settle(setting).is_ok() {
        process::exec(path, &arrays.args, &arrays.env);
    }
    process::exit(EXIT_NOT_EXECUTED)
}

fn settle(setting: &Setting<'_>) -> Result<()> {
    match setting.directory {
        Directory::Present => {}
        // A bundle may be gone when its container is deleted.
        Directory::Path(path) => drop(open::enter_path(path)),
        Directory::Handle(fd) => open::enter(fd)?,
    }
    open::duplicate_onto(setting.input, 0)?;
    for (fd, stream) in setting.output.into_iter().zip([1, 2]) {
        if fd >= 0 {
            open::duplicate_onto(fd, stream)?;
        }
    }
    signal::unblock_all()?;
    match open::close_on_exec_from(3) {
        Err(nix::errno::Errno::ENOSYS | nix::errno::Errno::EINVAL) => {
            open::close_on_exec_one_by_one();
        }
        other => other?,
    }
    match setting.filter {
        Some(filter) => load_privileged(filter).map(drop),
        None => Ok(()),
    }
}

fn await_end(pidfd: RawFd, timeout_ms: Option<u64>, interrupt: RawFd) -> Result<Outcome> {
    let wait_ms = timeout_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
    let waited = socket::wait(pidfd, interrupt, wait_ms)?;
    if waited != Waited::Ready {
        let _ = pidfd_send_signal(open::borrow(pidfd), libc::SIGKILL);
    }
    let exit = wait_pidfd(pidfd, true)?;
    Ok(match exit {
        _ if waited == Waited::Interrupted => Outcome::Interrupted,
        _ if waited == Waited::TimedOut => Outcome::TimedOut,
        Some(Exit::Code(code)) => Outcome::Exited(code),
        Some(Exit::Signal(signal)) => Outcome::Signalled(signal),
        None => Outcome::TimedOut,
    })
}
