//! PURE: (Spec, Host, Options) -> [`Plan`]. The specification is interpreted here, once, into inert data.
//!
//! Nothing in this room touches `sys`, `std::fs` or `std::env`: what a start depends on besides the bundle is in
//! [`Host`](crate::host::Host) and [`Options`]. Start reading at `init_steps`.

pub mod cgroup;
mod display;
mod field;
pub mod process;
pub mod seccomp;
mod step;
pub mod validate;

pub use step::*;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the command line says about one create, run or exec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// `--no-pivot`: the old root is hidden by moving, not swapped out.
    pub no_pivot: bool,
    /// `--no-new-keyring`: the caller's session keyring is inherited.
    pub no_new_keyring: bool,
    /// Fds above 2 that the container inherits (`--preserve-fds`, `LISTEN_FDS`); those not open are left out.
    pub inherited_fds: Vec<i32>,
    /// Number of fds passed by socket activation (`LISTEN_FDS`); 0 for none.
    pub listen_fds: u32,
    /// Host path of the directory that holds the container's notify socket, where `NOTIFY_SOCKET` was set.
    pub notify_dir: Option<PathBuf>,
    /// Who makes cgroups.
    pub cgroup_manager: CgroupManager,
    /// `--strict`: what the specification forbids is refused even where runc and crun accept it.
    pub strict: bool,
}

/// Who makes and removes the container's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// Directories in the cgroup file systems.
    #[default]
    Cgroupfs,
    /// Transient scopes, asked of systemd over D-Bus.
    Systemd,
    /// Nobody: the container stays in the caller's cgroup.
    Disabled,
}

/// Everything that a start will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The container's init process.
    pub init: InitPlan,
    /// Hooks by kind, each ready to run.
    pub hooks: HookPlan,
    /// What the author should know but what stops nothing.
    pub warnings: Vec<String>,
}

/// How the container's first process is made and what it does.
#[derive(Debug, Clone, Default)]
pub struct InitPlan {
    /// `CLONE_NEW*` flags of the one `clone3`.
    pub new_namespaces: u64,
    /// Namespaces to join, in the order to try.
    pub join: Vec<JoinNamespace>,
    /// Id maps of a new user namespace.
    pub id_maps: Option<IdMaps>,
    /// Contents of `timens_offsets`, empty for none.
    pub time_offsets: String,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// Limits, set by the parent, which may still hold CAP_SYS_RESOURCE.
    pub rlimits: Vec<RlimitOp>,
    /// Mounts that only the host's side can prepare; steps name them by index.
    pub prepared_mounts: Vec<PreparedMount>,
    /// What the child does, in order.
    pub steps: Vec<Step>,
}

/// A namespace that is joined by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinNamespace {
    /// `CLONE_NEW*` flag of its type.
    pub flag: u64,
    /// Its path on the host.
    pub path: PathBuf,
}

/// Id maps of a new user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// `uid_map`.
    pub uids: Vec<oci::runtime::IdMapping>,
    /// `gid_map`.
    pub gids: Vec<oci::runtime::IdMapping>,
    /// Whether `newuidmap` and `newgidmap` must write them: the caller is not privileged enough.
    pub by_helper: bool,
    /// Whether `setgroups` is denied: an unprivileged caller maps only its own group.
    pub deny_setgroups: bool,
}

/// One `prlimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RlimitOp {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// A mount that the parent opens before the clone, since the child could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMount {
    /// Host path of a bind source.
    pub source: std::ffi::CString,
    /// With the mounts below it.
    pub recursive: bool,
    /// The source's last component is not followed.
    pub no_follow: bool,
    /// Id mapping.
    pub idmap: Option<rootfs::mount::Idmap>,
}

/// Hooks by the point at which they run.
#[derive(Debug, Clone, Default)]
pub struct HookPlan {
    /// `prestart`, then `createRuntime`: by the runtime, before `pivot_root`.
    pub create_runtime: Vec<HookOp>,
    /// By the runtime, after the user's process started.
    pub poststart: Vec<HookOp>,
    /// By the runtime, after the container was deleted.
    pub poststop: Vec<HookOp>,
}

/// The part of the configuration that goes into `state` and to hooks.
pub type Annotations = BTreeMap<String, String>;
