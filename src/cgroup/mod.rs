//! The container's cgroup on this host: makes what a `CgroupPlan` says, and finds it again by its [`CgroupRecord`].
//!
//! The start path never writes another process's pid to `cgroup.procs`: that takes the kernel's global threadgroup lock
//! and, after an idle moment, waits for an RCU grace period. The child enters v1 hierarchies by writing `0` to `tasks`
//! ([`Cgroup::join_fds`]) and is cloned into the v2 one ([`Cgroup::clone_into_fd`]).

mod create;
mod destroy;
mod devices;
mod directory;
mod freezer;
mod oom;
mod pids;
mod stats;
mod systemd;
mod update;

pub use create::{begin, complete, create, survey};
pub use destroy::{destroy, destroy_empty};
pub use freezer::{FreezerState, freeze, freezer_state, signal_all, thaw};
pub use oom::{OomNews, OomReport, OomWatch, oom_report};
pub use pids::pids;
pub use stats::{NetworkInterface, Stats, intel_rdt, stats};
pub use systemd::{ScopeRecord, create_scope};
pub use update::update;

use crate::error::Result;
use directory::Directory;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Where a container's cgroups are, as its state file keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// One directory a hierarchy.
    pub directories: Vec<DirectoryRecord>,
    /// The scope, where systemd made the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeRecord>,
}

/// The container's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// Mount point of the hierarchy.
    pub mount: PathBuf,
    /// Path below the mount point, without a leading slash.
    pub path: String,
    /// v1: its controllers, or `name=systemd`; empty on v2.
    pub controllers: Vec<String>,
    /// Whether this is the unified hierarchy.
    pub v2: bool,
    /// How many of the path's leading components existed before: those are not ours to remove.
    pub kept_levels: usize,
}

impl DirectoryRecord {
    /// Absolute path of the container's directory.
    pub fn path(&self) -> PathBuf {
        self.level(usize::MAX)
    }

    /// Absolute path of the directory `levels` below the mount point.
    fn level(&self, levels: usize) -> PathBuf {
        let mut path = self.mount.clone();
        path.extend(self.components().take(levels));
        path
    }

    fn components(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|part| !part.is_empty())
    }

    fn depth(&self) -> usize {
        self.components().count()
    }

    /// Whether this hierarchy has `controller`.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

impl CgroupRecord {
    /// The directory whose hierarchy has `controller`: the v1 one, or else the v2 one of a pure v2 host.
    pub fn of(&self, controller: &str) -> Option<&DirectoryRecord> {
        let v1 = self.directories.iter().find(|d| d.has(controller));
        v1.or_else(|| self.unified().filter(|_| self.is_pure_v2()))
    }

    /// The directory in the unified hierarchy.
    pub fn unified(&self) -> Option<&DirectoryRecord> {
        self.directories.iter().find(|d| d.v2)
    }

    /// Without the directories that existed before: others may be in those.
    pub fn made_for_it(&self) -> CgroupRecord {
        let made = |d: &&DirectoryRecord| d.kept_levels < d.depth();
        CgroupRecord {
            directories: self.directories.iter().filter(made).cloned().collect(),
            scope: None,
        }
    }

    /// Whether the unified hierarchy is the only one.
    pub fn is_pure_v2(&self) -> bool {
        !self.directories.is_empty() && self.directories.iter().all(|d| d.v2)
    }
}

/// A container's cgroup, its directories open.
#[derive(Debug, Default)]
pub struct Cgroup {
    /// What is remembered of it.
    pub record: CgroupRecord,
    /// What did not work but stops nothing.
    pub warnings: Vec<String>,
    directories: Vec<Directory>,
}

impl Cgroup {
    /// Opens a cgroup that exists.
    pub fn open(record: &CgroupRecord) -> Result<Cgroup> {
        let directories = record.directories.iter();
        let directories = directories
            .map(|d| Directory::open(d.path()))
            .collect::<Result<_>>()?;
        Ok(Cgroup {
            record: record.clone(),
            warnings: Vec::new(),
            directories,
        })
    }

    /// One write-only handle for each v1 hierarchy; a thread that writes `0` to it is in. No RCU wait.
    pub fn join_fds(&self) -> Result<Vec<OwnedFd>> {
        let v1 = self.each().filter(|(record, _)| !record.v2);
        v1.map(|(_, directory)| directory.open_file("tasks", OFlag::O_WRONLY))
            .collect()
    }

    /// The directory for `CLONE_INTO_CGROUP`: that of the unified hierarchy.
    pub fn clone_into_fd(&self) -> Option<BorrowedFd<'_>> {
        let unified = self.each().find(|(record, _)| record.v2);
        unified.map(|(_, directory)| directory.as_fd())
    }

    fn each(&self) -> impl Iterator<Item = (&DirectoryRecord, &Directory)> {
        self.record.directories.iter().zip(&self.directories)
    }
}
