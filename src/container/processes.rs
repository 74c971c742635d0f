//! Which processes a container has. Reads its cgroup and /proc.

use super::Record;
use super::status::is_alive;
use crate::cgroup;
use crate::error::Result;

/// The pids in the container's cgroup and below it, as the runtime sees them; without a cgroup, init's alone.
pub fn pids(record: &Record) -> Result<Vec<i32>> {
    if !record.cgroup.directories.is_empty() {
        return cgroup::pids(&record.cgroup);
    }
    Ok(match is_alive(record.pid, record.pid_start_ticks) {
        true => vec![record.pid],
        false => Vec::new(),
    })
}

/// One line of a process table: user id, pid, parent's pid and command; `None` when the process is gone.
pub fn describe(pid: i32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(format!(
        "{:<8} {pid:>7} {:>7} {}\n",
        field("Uid:")?,
        field("PPid:")?,
        match command.trim() {
            "" => format!("[{}]", field("Name:")?),
            command => command.to_owned(),
        }
    ))
}
