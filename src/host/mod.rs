//! What this host can do, probed once into a value. The only reader of ambient state for `plan`.
//!
//! `plan` gets a `Host` by reference and so can be asked about hosts that we don't have.

mod cgroups;

pub use cgroups::{CgroupLayout, Hierarchy, probe_cgroups};

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
    /// The caller's cgroup in each hierarchy, below that hierarchy's mount point: (controllers joined by commas, or ""
    /// for v2; path). It is `/` in hierarchies that are not listed.
    pub own_cgroups: Vec<(String, String)>,
    /// Whether AppArmor is enabled.
    pub apparmor: bool,
    /// Whether SELinux is enabled.
    pub selinux: bool,
}
