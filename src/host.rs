//! What this host can do, probed once into a value. The only reader of ambient state for `plan`.
//!
//! `plan` gets a `Host` by reference and so can be asked about hosts that we don't have.

use std::path::PathBuf;

/// The facts about a host that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Effective user id of the caller.
    pub uid: u32,
    /// Effective group id of the caller.
    pub gid: u32,
    /// Whether the caller is in the initial user namespace with id 0: `false` means rootless rules.
    pub in_initial_userns: bool,
    /// The caller's effective capabilities, as a bit mask.
    pub capabilities: u64,
    /// The caller's bounding set, as a bit mask.
    pub bounding: u64,
    /// The highest capability that the kernel knows.
    pub last_capability: u8,
    /// How cgroups are mounted.
    pub cgroups: CgroupLayout,
    /// The cgroup path of the caller in each hierarchy is `/` unless listed here: (controller list or "" for v2, path).
    pub own_cgroups: Vec<(String, String)>,
    /// Whether AppArmor is enabled.
    pub apparmor: bool,
    /// Whether SELinux is enabled.
    pub selinux: bool,
}

/// The cgroup hierarchies of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupLayout {
    /// Only cgroup2, mounted at this path (usually `/sys/fs/cgroup`).
    V2 {
        /// Mount point.
        mount: PathBuf,
        /// `cgroup.controllers` of the root.
        controllers: Vec<String>,
    },
    /// v1 hierarchies, perhaps with a cgroup2 mount besides (hybrid).
    V1 {
        /// In mount order.
        hierarchies: Vec<Hierarchy>,
        /// Mount point of the cgroup2 hierarchy, where there is one.
        unified: Option<PathBuf>,
    },
    /// No cgroup file system is mounted.
    None,
}

/// One cgroup v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Mount point.
    pub mount: PathBuf,
    /// Its controllers (`cpu`, `cpuacct`) or `name=systemd`.
    pub controllers: Vec<String>,
}
