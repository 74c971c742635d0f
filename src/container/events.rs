//! `events`: a container's statistics, and the moments when it ran out of memory.

use super::life::Life;
use super::status::is_alive;
use super::{Globals, Id, Record, StateDir, Status, intel_rdt};
pub use crate::cgroup::Stats;
use crate::cgroup::{self, NetworkInterface, OomNews, OomWatch};
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The interval has passed.
    Stats(Box<Stats>),
    /// The kernel ended a process for want of memory.
    Oom,
}

/// What the container uses now.
pub fn stats(globals: &Globals, id: &Id) -> Result<Stats> {
    let (record, _) = running(globals, id).context(format_args!("events of {id}"))?;
    measure(&record).context(format_args!("events of {id}"))
}

/// Calls `report` at once, every `interval` and whenever memory ran out, until the container's process has ended.
pub fn watch(
    globals: &Globals,
    id: &Id,
    interval: Duration,
    report: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<()> {
    let (record, init) = running(globals, id).context(format_args!("events of {id}"))?;
    let mut oom = OomWatch::new(&record.cgroup)
        .inspect_err(|error| log::warn!("events of {id}: no word of oom: {error}"))
        .ok();
    let mut due = Instant::now();
    let mut measure_now = false;
    let mut reported_oom = false;
    loop {
        // What was used when memory ran out is told with the event.
        if measure_now || due <= Instant::now() {
            let Ok(stats) = measure(&record) else {
                return Ok(());
            };
            report(Event::Stats(Box::new(stats)))?;
            if !std::mem::take(&mut measure_now) {
                due += interval;
            }
        }
        match wait(&init, oom.as_ref(), due)? {
            Woken::Ended => return Ok(()),
            Woken::Due => {}
            Woken::Oom => match oom.as_mut().map(OomWatch::news).transpose()? {
                Some(OomNews::Kills(count)) => {
                    (0..count).try_for_each(|_| report(Event::Oom))?;
                    measure_now = true;
                    reported_oom |= count > 0;
                }
                Some(OomNews::CgroupGone) | None => {
                    let last = oom.as_ref().filter(|_| !reported_oom);
                    let last = last.and_then(OomWatch::last_report);
                    return last.map_or(Ok(()), |_| report(Event::Oom));
                }
            },
        }
    }
}

enum Woken {
    Ended,
    Due,
    Oom,
}

fn wait(init: &Life, oom: Option<&OomWatch>, due: Instant) -> Result<Woken> {
    let left = due.saturating_duration_since(Instant::now());
    // A millisecond more, lest we wake just before it is due.
    let left_ms = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
    let oom = oom.map_or(-1, |oom| oom.fd().as_raw_fd());
    match init.poll(oom, left_ms) {
        Err(Errno::EINTR) => Ok(Woken::Due),
        // Memory that ran out may be why it ended, so that comes first.
        Ok([true, _]) => Ok(Woken::Oom),
        Ok([false, true]) => Ok(Woken::Ended),
        Ok([false, false]) => Ok(Woken::Due),
        Err(errno) => Err(Error::errno("poll for events", errno)),
    }
}

fn running(globals: &Globals, id: &Id) -> Result<(Record, Life)> {
    let dir = StateDir::open(&globals.root, id)?;
    let record = dir.read()?;
    if !Status::of(&record, &dir).has_process() {
        return Err(Error::new("container not running"));
    }
    let init = Life::of(&record)?;
    match is_alive(record.pid, record.pid_start_ticks) {
        true => Ok((record, init)),
        false => Err(Error::new("container not running")),
    }
}

fn measure(record: &Record) -> Result<Stats> {
    let mut stats = cgroup::stats(&record.cgroup)?;
    stats.network_interfaces = interfaces(record.pid);
    if let Some(rdt) = &record.intel_rdt {
        stats.intel_rdt = intel_rdt::stats(rdt);
    }
    Ok(stats)
}

/// Counters of the container's own network namespace; nothing where it shares ours.
fn interfaces(pid: i32) -> Option<Vec<NetworkInterface>> {
    let link = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
    if link("self") == link(&pid.to_string()) {
        return None;
    }
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    Some(table.lines().filter_map(interface).collect())
}

/// One line of /proc/net/dev: a name, eight counters of what came in, eight of what went out.
fn interface(line: &str) -> Option<NetworkInterface> {
    let (name, counters) = line.split_once(':')?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|counter| counter.parse().ok())
        .collect();
    let at = |index: usize| counters.get(index).copied();
    Some(NetworkInterface {
        name: name.trim().to_owned(),
        rx_bytes: at(0)?,
        rx_packets: at(1)?,
        rx_errors: at(2)?,
        rx_dropped: at(3)?,
        tx_bytes: at(8)?,
        tx_packets: at(9)?,
        tx_errors: at(10)?,
        tx_dropped: at(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_column() {
        let line = "  eth0: 1 2 3 4 0 0 0 0 9 10 11 12 0 0 0 0";
        let found = interface(line).unwrap();
        assert_eq!((found.name.as_str(), found.rx_dropped), ("eth0", 4));
        assert_eq!((found.tx_bytes, found.tx_dropped), (9, 12));
        assert_eq!(interface("Inter-|   Receive  |  Transmit"), None);
        assert_eq!(interface(" face |bytes packets"), None);
    }
}
