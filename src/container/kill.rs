//! `kill`: a signal to init by pidfd, so that it can't hit a later process with its pid, or to the whole cgroup.

use super::signal::Signal;
use super::status::is_alive;
use super::{Globals, Id, Phase, Record, StateDir, Status, processes};
use crate::cgroup::{self, CgroupRecord, FreezerState};
use crate::error::{Context, Error, Result};
use crate::sys::clone::{pidfd_send_signal, process_handle};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

/// Who gets the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The container's first process.
    Init,
    /// Every process in the container's cgroup, also when init has ended.
    All,
}

/// How often the cgroup is read again for processes that were forked meanwhile.
const MAX_PASSES: usize = 100;

/// Sends `signal`. SPEC(runtime.md#kill): neither created nor running is an error.
pub fn kill(globals: &Globals, id: &Id, signal: Signal, whom: Whom) -> Result<()> {
    let dir = StateDir::open(&globals.root, id)?;
    let record = dir.read()?;
    let alive = Status::of(&record, &dir).has_process();
    let met = match whom {
        // COMPAT(runc): whoever wants to be sure that nothing is left need not know whether something was.
        Whom::All => signal_all(&record, signal).map(|_| true),
        Whom::Init if alive && signal == Signal::KILL => end_init(&dir, &record),
        Whom::Init if alive => signal_init(&record, signal),
        // COMPAT(runc): where init is not what holds the others, they live on without it.
        Whom::Init if signal == Signal::KILL && !has_own_pid_namespace(&dir) => {
            signal_all(&record, signal).map(|count| count > 0)
        }
        Whom::Init => Ok(false),
    };
    met.and_then(|met| match met {
        true => Ok(()),
        // COMPAT(containerd): it takes this text for "not found".
        false => Err(Error::new("container not running")),
    })
    .context(format_args!("kill {id} with signal {}", signal.number()))
}

/// SIGKILL for init, and what that doesn't do by itself; `false` when init had ended before.
pub fn end_init(dir: &StateDir, record: &Record) -> Result<bool> {
    if !signal_init(record, Signal::KILL)? {
        return Ok(false);
    }
    if !has_own_pid_namespace(dir) {
        signal_all(record, Signal::KILL)?;
    } else if cgroup::freezer_state(&record.cgroup) != FreezerState::Thawed {
        // KERNEL: cgroup v1 holds a frozen process even from SIGKILL. COMPAT(runc)
        cgroup::thaw(&record.cgroup)?;
    }
    Ok(true)
}

/// The end of a pid namespace's init ends its other processes too; elsewhere they would outlive it. COMPAT(runc)
fn has_own_pid_namespace(dir: &StateDir) -> bool {
    let Ok(spec) = dir.config() else {
        return true;
    };
    let namespaces = spec.linux.map(|linux| linux.namespaces).unwrap_or_default();
    namespaces
        .iter()
        .any(|namespace| namespace.kind == "pid" && namespace.path.is_empty())
}

/// `false` when init has ended.
fn signal_init(record: &Record, signal: Signal) -> Result<bool> {
    let pidfd = match process_handle(record.pid) {
        Err(Errno::ESRCH) => return Ok(false),
        pidfd => pidfd.context(format_args!("open a pidfd of process {}", record.pid))?,
    };
    // The fd holds one process; whether it is ours is judged only now.
    match is_alive(record.pid, record.pid_start_ticks) {
        true => send(&pidfd, record.pid, signal),
        false => Ok(false),
    }
}

/// Ends what is left in the cgroup when init has ended.
pub fn end_all(record: &Record) -> Result<()> {
    match record.phase {
        // A creation that was cut short has not yet seen whether somebody uses a cgroup that it found.
        Phase::Creating => end_in(&record.cgroup.made_for_it()),
        Phase::Created if processes::pids(record)?.is_empty() => Ok(()),
        Phase::Created => signal_all(record, Signal::KILL).map(drop),
    }
}

/// Ends everything in these cgroups.
pub fn end_in(cgroup: &CgroupRecord) -> Result<()> {
    match cgroup::pids(cgroup)?.is_empty() {
        true => Ok(()),
        false => cgroup::signal_all(cgroup, nix::sys::signal::Signal::SIGKILL).map(drop),
    }
}

/// Signals every process of the container; how many were found.
fn signal_all(record: &Record, signal: Signal) -> Result<usize> {
    match signal == Signal::KILL && !record.cgroup.directories.is_empty() {
        // The kernel's own way, where it has one; thaws a frozen container, which otherwise would not notice.
        true => cgroup::signal_all(&record.cgroup, nix::sys::signal::Signal::SIGKILL),
        false => signal_each(record, signal),
    }
}

/// Signals every process in the cgroup once, those too that are forked while we are at it; how many there were.
fn signal_each(record: &Record, signal: Signal) -> Result<usize> {
    let mut signalled = BTreeSet::new();
    for _ in 0..MAX_PASSES {
        let fresh: Vec<i32> = processes::pids(record)?
            .into_iter()
            .filter(|pid| !signalled.contains(pid))
            .collect();
        if fresh.is_empty() {
            break;
        }
        let held: Vec<(i32, OwnedFd)> = fresh
            .iter()
            .filter_map(|pid| Some((*pid, process_handle(*pid).ok()?)))
            .collect();
        // A pid that is still listed now that its fd is held is the process that we mean.
        let still = processes::pids(record)?;
        for (pid, pidfd) in held.iter().filter(|(pid, _)| still.contains(pid)) {
            send(pidfd, *pid, signal)?;
        }
        signalled.extend(fresh);
    }
    Ok(signalled.len())
}

/// `false` when the process has ended.
fn send(pidfd: &OwnedFd, pid: i32, signal: Signal) -> Result<bool> {
    match pidfd_send_signal(pidfd.as_fd(), signal.number()) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(errno) => Err(Error::errno(format_args!("signal process {pid}"), errno)),
    }
}
