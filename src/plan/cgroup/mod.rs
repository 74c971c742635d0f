//! The container's cgroup as inert data: which directory in which hierarchy, what is written there, in which order.
//!
//! `plan_cgroup` is pure; `crate::cgroup` makes what it says. A [`Write`] is an intention with a bounded fallback, so
//! that nothing has to be asked of the kernel here. Paths never leave the mount point: `..` ends at its root.

mod devices;
mod devices_bpf;
mod devices_v1;
mod display;
mod gvariant;
mod mounts;
mod path;
mod systemd;
mod update;
mod v1;
mod v2;

pub use devices_bpf::Instruction;
pub use gvariant::Value;
pub use mounts::cgroup_mounts;
pub use systemd::{SystemdPlan, limits as systemd_limits};
pub use update::{UpdatePlan, plan_update};

use crate::error::Result;
use crate::host::{CgroupLayout, Hierarchy, Host};
use crate::plan::{CgroupManager, Options};
use oci::runtime::{Resources, Spec};
use path::container_path;
use std::path::{Path, PathBuf};

/// Where a container's processes are put and what limits them. Empty where nobody makes cgroups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CgroupPlan {
    /// One directory a hierarchy: the container is in a cgroup of its own everywhere, since engines find it by
    /// `/proc/PID/cgroup`.
    pub directories: Vec<DirectoryPlan>,
    /// The scope that systemd is asked for; the directories are then its cgroup's.
    pub systemd: Option<SystemdPlan>,
    /// What the author should know but what stops nothing.
    pub warnings: Vec<String>,
}

/// The container's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryPlan {
    /// Mount point of the hierarchy.
    pub mount: PathBuf,
    /// Path below the mount point, without a leading slash; empty is the hierarchy's root.
    pub path: String,
    /// What kind of hierarchy it is.
    pub hierarchy: HierarchyKind,
    /// What is written, in order.
    pub writes: Vec<Write>,
    /// v2: the device rules as an eBPF program.
    pub device_program: Option<Vec<Instruction>>,
    /// A directory that can't be made is done without, unless something must be written there: rootless rules.
    pub optional: bool,
    /// The container is in it already: systemd made it.
    pub joined: bool,
    /// v2: the host's user id that owns the delegated files. SPEC(config-linux.md#cgroup-ownership)
    pub owner: Option<u32>,
}

/// The two cgroup interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HierarchyKind {
    /// A hierarchy with fixed controllers.
    V1 {
        /// Its controllers, or `name=systemd`.
        controllers: Vec<String>,
        /// A cpuset without CPUs and nodes takes no process: an empty one is filled from its parent.
        inherit_cpuset: bool,
    },
    /// The unified hierarchy, where controllers are enabled level by level.
    V2 {
        /// Without these the plan can't be kept.
        required: Vec<String>,
        /// Enabled where possible, for statistics, later updates and containers inside. COMPAT(runc)
        wanted: Vec<String>,
    },
}

/// One intention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Write one value.
    One(FileWrite),
    /// Write both; where the kernel refuses the first one's value (EINVAL) beside the second's old one, the second first.
    EitherOrder(FileWrite, FileWrite),
    /// Write the first whose file exists.
    FirstPresent(FileWrite, FileWrite),
}

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Name in the directory, such as `memory.max`.
    pub file: String,
    /// Text to write, at once.
    pub value: String,
    /// What a failure means.
    pub on_failure: OnFailure,
}

/// What a failed write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The start fails.
    Fail,
    /// The author is told.
    Warn,
    /// Nothing where the kernel has no such file; otherwise the start fails.
    SkipIfAbsent,
}

impl FileWrite {
    fn new(file: impl Into<String>, value: impl ToString) -> FileWrite {
        FileWrite {
            file: file.into(),
            value: value.to_string(),
            on_failure: OnFailure::Fail,
        }
    }

    fn or(mut self, on_failure: OnFailure) -> FileWrite {
        self.on_failure = on_failure;
        self
    }
}

impl Write {
    /// The file, where this is one value for it.
    pub fn only_file(&self) -> Option<&str> {
        match self {
            Write::One(write) => Some(&write.file),
            _ => None,
        }
    }
}

impl From<FileWrite> for Write {
    fn from(write: FileWrite) -> Write {
        Write::One(write)
    }
}

/// What a controller's limits come to, before it is known where they go.
#[derive(Debug, Default)]
struct Limits {
    writes: Vec<(&'static str, Write)>,
    warnings: Vec<String>,
}

impl Limits {
    fn write(&mut self, controller: &'static str, write: impl Into<Write>) {
        self.writes.push((controller, write.into()));
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}

/// Decides the container's cgroup. SPEC(config-linux.md#control-groups)
pub fn plan_cgroup(spec: &Spec, host: &Host, options: &Options) -> Result<CgroupPlan> {
    if options.cgroup_manager == CgroupManager::Disabled {
        return Ok(CgroupPlan::default());
    }
    let none = Resources::default();
    let linux = spec.linux.as_ref();
    let resources = linux.and_then(|l| l.resources.as_ref()).unwrap_or(&none);
    if options.cgroup_manager == CgroupManager::Systemd {
        return plan_scope(spec, resources, host, &options.id);
    }
    let wish = linux.map_or("", |l| l.cgroups_path.as_str());
    plan_directories(spec, resources, host, &|own, v2| {
        container_path(wish, &options.id, own, v2)
    })
}

/// With systemd: the scope, and the directories where it will be.
fn plan_scope(spec: &Spec, resources: &Resources, host: &Host, id: &str) -> Result<CgroupPlan> {
    let scope = systemd::plan(spec, resources, host, id)?;
    let path = scope.path(own_cgroup(host, ""), host.uid)?;
    let mut plan = plan_directories(spec, resources, host, &|_, _| Ok(path.clone()))?;
    for directory in &mut plan.directories {
        if let HierarchyKind::V2 { required, wanted } = &mut directory.hierarchy {
            // Enabling controllers is systemd's business: the scope has them all by `Delegate`.
            (*required, *wanted) = (Vec::new(), Vec::new());
        }
    }
    plan.systemd = Some(scope);
    Ok(plan)
}

fn plan_directories(
    spec: &Spec,
    resources: &Resources,
    host: &Host,
    place: &dyn Fn(&str, bool) -> Result<String>,
) -> Result<CgroupPlan> {
    match &host.cgroups {
        CgroupLayout::None => Ok(CgroupPlan {
            warnings: vec!["no cgroup file system is mounted: the container has no limits".into()],
            ..CgroupPlan::default()
        }),
        CgroupLayout::V2 { mount, controllers } => {
            let path = place(own_cgroup(host, ""), true)?;
            let mut plan = v2::plan(resources, host, mount, controllers, path)?;
            for directory in &mut plan.directories {
                directory.owner = v2::delegate_to(spec);
            }
            Ok(plan)
        }
        CgroupLayout::V1 {
            hierarchies,
            unified,
        } => {
            let mut plan = v1::plan(resources, host, hierarchies, |h| {
                place(own_cgroup(host, &h.controllers.join(",")), false)
            })?;
            if let Some(mount) = unified {
                let path = place(own_cgroup(host, ""), false)?;
                plan.directories.push(v2::bare_directory(host, mount, path));
            }
            Ok(plan)
        }
    }
}

fn own_cgroup<'h>(host: &'h Host, controllers: &str) -> &'h str {
    let known = host.own_cgroups.iter().find(|(c, _)| c == controllers);
    known.map_or("/", |(_, path)| path)
}

/// Without the initial user namespace's root, cgroups are what was delegated: often nothing.
fn is_rootless(host: &Host) -> bool {
    host.uid != 0 || !host.in_initial_userns
}

#[cfg(test)]
mod tests;
