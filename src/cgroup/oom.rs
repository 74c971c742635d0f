//! Watching for the out-of-memory killer in a container's cgroup.

use super::CgroupRecord;
use super::directory::Directory;
use crate::error::{Context, Error, Result};
use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde::Serialize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A watch; its fd is readable when something may have happened.
#[derive(Debug)]
pub struct OomWatch {
    directory: Directory,
    source: Source,
    seen: u64,
    /// Events so far: on v1 the end of the cgroup is one, on v2 every change of `memory.events`.
    heard: u64,
    /// v1: an event came while the cgroup was there, so it was none of its end.
    struck: bool,
    /// v2: the cgroup above, which counts the kills below it and outlives them, and its count at first.
    above: Option<(Directory, u64)>,
    limit_bytes: Option<u64>,
}

#[derive(Debug)]
enum Source {
    /// v1: the kernel counts out-of-memory events into it.
    EventFd(EventFd),
    /// v2: `memory.events` changed.
    Inotify(Inotify),
}

/// What a watch saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomNews {
    /// This many times since the last look.
    Kills(u64),
    /// The cgroup is gone.
    CgroupGone,
}

impl OomWatch {
    /// Begins to watch.
    pub fn new(record: &CgroupRecord) -> Result<OomWatch> {
        let found = record.of("memory");
        let found =
            found.ok_or_else(|| Error::new("the container has no memory cgroup to watch"))?;
        let directory = Directory::open(found.path())?;
        let source = match found.v2 {
            true => watch_v2(&directory)?,
            false => watch_v1(&directory)?,
        };
        let path = found.path();
        let above = path.parent().filter(|_| found.v2);
        let above = above.and_then(|above| Directory::open(above.to_owned()).ok());
        let mut watch = OomWatch {
            limit_bytes: limit(&directory),
            directory,
            source,
            seen: 0,
            heard: 0,
            struck: false,
            above: above.map(|above| {
                let count = kills(&above);
                (above, count)
            }),
        };
        watch.seen = watch.count();
        Ok(watch)
    }

    /// For `poll(2)`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::EventFd(eventfd) => eventfd.as_fd(),
            Source::Inotify(inotify) => inotify.as_fd(),
        }
    }

    /// What happened since the last call; to be called when the fd is readable.
    pub fn news(&mut self) -> Result<OomNews> {
        match &self.source {
            Source::EventFd(eventfd) => {
                let events = eventfd.read().context("read the out-of-memory eventfd")?;
                self.heard += events;
                // KERNEL: the end of the cgroup counts as an event too, after its directory is gone.
                if !self.directory.path().exists() {
                    return Ok(OomNews::CgroupGone);
                }
                self.struck = true;
                Ok(OomNews::Kills(events))
            }
            Source::Inotify(inotify) => {
                let events = inotify
                    .read_events()
                    .context("read inotify events of memory.events")?;
                let changes = events
                    .iter()
                    .filter(|event| event.mask.contains(AddWatchFlags::IN_MODIFY));
                self.heard += changes.count() as u64;
                if !self.directory.path().exists() {
                    return Ok(OomNews::CgroupGone);
                }
                let count = self.count();
                let new = count.saturating_sub(self.seen);
                self.seen = count;
                Ok(OomNews::Kills(new))
            }
        }
    }

    /// For a cgroup that went away, its own count with it, before anybody could look: whether the killer struck there.
    /// Of a process that was killed this is certain enough: its cgroup ran into its limit, and the killer struck below
    /// the one above.
    pub fn last_report(&self) -> Option<OomReport> {
        let struck = match (&self.source, &self.above) {
            (Source::EventFd(eventfd), _) => {
                self.struck || self.heard > 1 || self.heard == 1 && told_once_more(eventfd)
            }
            (Source::Inotify(_), Some((above, before))) => self.heard > 0 && kills(above) > *before,
            (Source::Inotify(_), None) => false,
        };
        struck.then_some(OomReport {
            kills: 1,
            limit_bytes: self.limit_bytes,
            peak_bytes: None,
        })
    }

    fn count(&self) -> u64 {
        match self.source {
            Source::EventFd(_) => 0,
            Source::Inotify(_) => kills(&self.directory),
        }
    }
}

/// v1: whether one more event comes after the cgroup has gone, which tells that the first was none of its end.
fn told_once_more(eventfd: &EventFd) -> bool {
    /// KERNEL: the end is told by a work queue, a grace period of RCU after the directory has gone.
    const LATEST_MS: i32 = 500;
    crate::sys::socket::readable(eventfd.as_raw_fd(), LATEST_MS) == Ok(true)
}

/// What the out-of-memory killer did to a container, and how much memory was in play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OomReport {
    /// Processes killed.
    pub kills: u64,
    /// The container's limit in bytes; `None` where it had none and the host, or a cgroup above, ran out.
    pub limit_bytes: Option<u64>,
    /// The most it ever used. KERNEL(5.19) on v2.
    pub peak_bytes: Option<u64>,
}

/// `None` where the out-of-memory killer spared the container, or its cgroup is gone.
pub fn oom_report(record: &CgroupRecord) -> Option<OomReport> {
    let directory = Directory::open(record.of("memory")?.path()).ok()?;
    let kills = Some(kills(&directory)).filter(|kills| *kills > 0)?;
    Some(OomReport {
        kills,
        limit_bytes: limit(&directory),
        peak_bytes: number(&directory, ["memory.peak", "memory.max_usage_in_bytes"]),
    })
}

fn limit(directory: &Directory) -> Option<u64> {
    /// v1's "no limit" is the largest page-aligned number.
    const V1_UNLIMITED: u64 = i64::MAX as u64 & !0xfff;
    number(directory, ["memory.max", "memory.limit_in_bytes"]).filter(|limit| *limit < V1_UNLIMITED)
}

fn number(directory: &Directory, names: [&str; 2]) -> Option<u64> {
    let text = names
        .iter()
        .find_map(|name| directory.read_present(name).ok()?)?;
    text.trim().parse().ok()
}

/// v2 keeps the count in `memory.events`, v1 (4.13) in `memory.oom_control`.
fn kills(directory: &Directory) -> u64 {
    ["memory.events", "memory.oom_control"]
        .iter()
        .find_map(|file| {
            let text = directory.read_present(file).ok()??;
            text.lines()
                .find_map(|l| l.strip_prefix("oom_kill ")?.parse().ok())
        })
        .unwrap_or(0)
}

fn watch_v1(directory: &Directory) -> Result<Source> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let eventfd = EventFd::from_value_and_flags(0, flags).context("eventfd")?;
    let control = directory.open_file("memory.oom_control", OFlag::O_RDONLY)?;
    let line = format!("{} {}", eventfd.as_raw_fd(), control.as_raw_fd());
    directory.set("cgroup.event_control", &line)?;
    Ok(Source::EventFd(eventfd))
}

fn watch_v2(directory: &Directory) -> Result<Source> {
    let inotify =
        Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).context("inotify_init")?;
    let path = directory.path().join("memory.events");
    let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF;
    inotify
        .add_watch(&path, events)
        .context(format_args!("watch {}", path.display()))?;
    Ok(Source::Inotify(inotify))
}
