//! Stopping, continuing and ending everything in a container's cgroup.

use super::directory::Directory;
use super::{CgroupRecord, DirectoryRecord, pids};
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How long the kernel may take to stop every process: one in uninterruptible sleep holds it up.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Whether the container's processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezerState {
    /// They run.
    Thawed,
    /// Some still do.
    Freezing,
    /// None does.
    Frozen,
}

/// Stops every process; returns when all are stopped.
pub fn freeze(record: &CgroupRecord) -> Result<()> {
    let directory = open(record, "pause")?;
    set(&directory, true)?;
    let deadline = Instant::now() + FREEZE_TIMEOUT;
    while state_of(&directory)? != FreezerState::Frozen {
        if Instant::now() > deadline {
            set(&directory, false)?;
            let path = directory.path().display();
            return Err(Error::new(format!(
                "freeze cgroup {path}: not all processes stopped in time"
            )));
        }
        std::thread::sleep(POLL_INTERVAL);
        if !directory.v2 {
            // KERNEL: v1 may miss a process that was forked meanwhile, until told again.
            set(&directory, true)?;
        }
    }
    Ok(())
}

/// Lets every process run again.
pub fn thaw(record: &CgroupRecord) -> Result<()> {
    set(&open(record, "resume")?, false)
}

/// Whether the processes are stopped. Without a freezer, or without the cgroup, they are not.
pub fn freezer_state(record: &CgroupRecord) -> FreezerState {
    match open(record, "ask") {
        Ok(directory) => state_of(&directory).unwrap_or(FreezerState::Thawed),
        Err(_) => FreezerState::Thawed,
    }
}

/// Sends a signal to every process, those too that are forked meanwhile; how many were there.
///
/// A frozen container gets the signal now and acts on it when it is thawed, but for SIGKILL, which thaws it.
pub fn signal_all(record: &CgroupRecord, signal: Signal) -> Result<usize> {
    let count = pids(record)?.len();
    if signal == Signal::SIGKILL {
        if let Some(unified) = record.unified() {
            kill_at_once(unified)?;
        }
        let was_frozen = freezer_state(record) != FreezerState::Thawed;
        let left = signal_listed(record, signal)?;
        if was_frozen || left > 0 {
            let _ = thaw(record);
        }
        return Ok(count);
    }
    let was_frozen = freezer_state(record) != FreezerState::Thawed;
    let froze = !was_frozen && freeze(record).is_ok();
    let sent = signal_listed(record, signal);
    if froze {
        thaw(record)?;
    }
    sent
}

/// KERNEL(5.14): `cgroup.kill` misses nobody. It is in the v2 half of a hybrid host too.
fn kill_at_once(unified: &DirectoryRecord) -> Result<()> {
    let Ok(directory) = Directory::open(unified.path()) else {
        return Ok(());
    };
    match directory.write("cgroup.kill", "1") {
        Ok(()) | Err(Errno::ENOENT | Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(directory.refused("cgroup.kill", "1", errno)),
    }
}

/// Until no new process shows up; how many got the signal.
fn signal_listed(record: &CgroupRecord, signal: Signal) -> Result<usize> {
    let mut done: Vec<i32> = Vec::new();
    loop {
        let fresh: Vec<i32> = pids(record)?
            .into_iter()
            .filter(|p| !done.contains(p))
            .collect();
        if fresh.is_empty() {
            return Ok(done.len());
        }
        for pid in &fresh {
            match kill(Pid::from_raw(*pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(Error::errno(format_args!("signal process {pid}"), errno));
                }
            }
        }
        done.extend(fresh);
    }
}

/// The directory that stops processes, and by which interface.
struct Freezer {
    directory: Directory,
    v2: bool,
}

impl std::ops::Deref for Freezer {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

/// v1's freezer hierarchy; else the unified one, whose freezer works on a hybrid host too.
fn open(record: &CgroupRecord, purpose: &str) -> Result<Freezer> {
    let v1 = record.directories.iter().find(|d| d.has("freezer"));
    let found = v1.or_else(|| record.unified()).ok_or_else(|| {
        Error::new(format!(
            "can't {purpose} a container without a cgroup that can freeze"
        ))
        .hint("run it with cgroups, and with the freezer controller on cgroup v1")
    })?;
    Ok(Freezer {
        directory: Directory::open(found.path())?,
        v2: found.v2,
    })
}

fn set(freezer: &Freezer, frozen: bool) -> Result<()> {
    match (freezer.v2, frozen) {
        (true, true) => freezer.set("cgroup.freeze", "1"),
        (true, false) => freezer.set("cgroup.freeze", "0"),
        (false, true) => freezer.set("freezer.state", "FROZEN"),
        (false, false) => freezer.set("freezer.state", "THAWED"),
    }
}

fn state_of(freezer: &Freezer) -> Result<FreezerState> {
    if !freezer.v2 {
        let text = freezer
            .read("freezer.state")
            .context("ask whether the container is paused")?;
        return Ok(match text.trim() {
            "FROZEN" => FreezerState::Frozen,
            "FREEZING" => FreezerState::Freezing,
            _ => FreezerState::Thawed,
        });
    }
    let asked = freezer.read("cgroup.freeze")?.trim() == "1";
    let done = freezer
        .read("cgroup.events")?
        .lines()
        .any(|line| line == "frozen 1");
    Ok(match (asked, done) {
        (false, _) => FreezerState::Thawed,
        (true, false) => FreezerState::Freezing,
        (true, true) => FreezerState::Frozen,
    })
}
