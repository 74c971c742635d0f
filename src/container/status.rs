//! A container's status, derived: never stored, so it can't go stale. Reads /proc and the state directory.
//!
//! SPEC(runtime.md#state), with `paused` besides, as every runtime has it.

use super::{Phase, Record, StateDir};
use crate::cgroup::{self, FreezerState};
use crate::error::{Context, Error, Result};
use crate::sys::open::read_small;
use crate::sys::process::stat_fields;
use serde::Serialize;
use std::fmt;

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// Init waits for `start`.
    Created,
    /// The user's process runs.
    Running,
    /// Its cgroup is frozen.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl Status {
    /// The status that a record and the present state of the host amount to.
    ///
    /// Who created a container holds its lock until it is complete, so an incomplete one without lock was abandoned.
    pub fn of(record: &Record, dir: &StateDir) -> Status {
        if record.phase == Phase::Creating {
            return match dir.is_locked() {
                true => Status::Creating,
                false => Status::Stopped,
            };
        }
        if !is_alive(record.pid, record.pid_start_ticks) {
            return Status::Stopped;
        }
        if cgroup::freezer_state(&record.cgroup) == FreezerState::Frozen {
            return Status::Paused;
        }
        match dir.awaits_start() {
            true => Status::Created,
            false => Status::Running,
        }
    }

    /// The specification's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }

    /// Whether the container has a process.
    pub fn has_process(self) -> bool {
        matches!(self, Status::Created | Status::Running | Status::Paused)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the process that had `pid` when it started at `start_ticks` still runs: a zombie doesn't.
pub fn is_alive(pid: i32, start_ticks: u64) -> bool {
    let Ok(stat) = read_small(format!("/proc/{pid}/stat")) else {
        return false;
    };
    match parse_stat(&stat) {
        Some((state, ticks)) => ticks == start_ticks && !matches!(state, b'Z' | b'X' | b'x'),
        None => false,
    }
}

/// When a process started, in clock ticks since boot; a zombie still has it.
pub fn start_ticks(pid: i32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let stat = read_small(&path).context(format_args!("read {path}"))?;
    match parse_stat(&stat) {
        Some((_, ticks)) => Ok(ticks),
        None => Err(Error::new(format!("read {path}: unexpected format"))),
    }
}

/// What a process is about, for a message: its state's letter, and the kernel's function that it waits in where that is
/// shown.
pub fn doing(pid: i32) -> String {
    let stat = read_small(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = parse_stat(&stat).map_or('?', |(state, _)| char::from(state));
    let place = read_small(format!("/proc/{pid}/wchan")).unwrap_or_default();
    match place.as_slice() {
        b"" | b"0" => format!("state {state}"),
        place => format!("state {state}, in {}", String::from_utf8_lossy(place)),
    }
}

/// State letter (field 3) and start time (field 22).
fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    let mut fields = stat_fields(stat)?;
    let state = *fields.next()?.first()?;
    let ticks = std::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    Some((state, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_forge_fields() {
        let stat = b"7 (a) Z 1 (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3\n";
        assert_eq!(parse_stat(stat), Some((b'S', 12345)));
        assert_eq!(parse_stat(b"7 (cut"), None);
        assert_eq!(parse_stat(b"7 (cut) S 1 2"), None);
    }

    #[test]
    fn we_are_alive_and_a_predecessor_with_our_pid_is_not() {
        let pid = std::process::id() as i32;
        let ticks = start_ticks(pid).unwrap();
        assert!(is_alive(pid, ticks));
        assert!(!is_alive(pid, ticks + 1));
        assert!(start_ticks(0).is_err());
    }

    #[test]
    fn a_process_that_waits_says_where() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = std::process::Command::new("cat");
        let mut child = child.stdin(reader).spawn().unwrap();
        let pid = child.id() as i32;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !doing(pid).starts_with("state S") {
            assert!(std::time::Instant::now() < deadline, "{}", doing(pid));
            std::thread::yield_now();
        }
        drop(writer);
        child.wait().unwrap();
        assert_eq!(doing(pid), "state ?");
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        let ticks = start_ticks(pid).unwrap();
        assert!(is_alive(pid, ticks));
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_alive(pid, ticks) {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
