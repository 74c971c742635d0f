//! SPEC(config-linux.md): namespaces, devices, paths, and what else only Linux has.

use super::{IdMapping, Resources, Seccomp};
use std::collections::BTreeMap;

object! {
    /// The `linux` object.
    pub struct Linux {
        /// User id mappings of the user namespace.
        pub uid_mappings: Vec<IdMapping>,
        /// Group id mappings of the user namespace.
        pub gid_mappings: Vec<IdMapping>,
        /// Kernel parameters by dotted or slashed name.
        pub sysctl: BTreeMap<String, String>,
        /// cgroup limits.
        pub resources: Option<Resources>,
        /// Path of the cgroup; for systemd `slice:prefix:name`.
        pub cgroups_path: String,
        /// Namespaces to make or join; others are the caller's.
        pub namespaces: Vec<Namespace>,
        /// Device nodes besides the default ones.
        pub devices: Vec<Device>,
        /// Network devices to move into the container, by their name outside.
        pub net_devices: BTreeMap<String, NetDevice>,
        /// System call filter.
        pub seccomp: Option<Seccomp>,
        /// `shared`, `slave`, `private` or `unbindable`.
        pub rootfs_propagation: String,
        /// Paths that the container can't read.
        pub masked_paths: Vec<String>,
        /// Paths that the container can't write.
        pub readonly_paths: Vec<String>,
        /// SELinux label of the mounts.
        pub mount_label: String,
        /// Cache and memory bandwidth allocation.
        pub intel_rdt: Option<IntelRdt>,
        /// NUMA memory policy.
        pub memory_policy: Option<MemoryPolicy>,
        /// Execution domain.
        pub personality: Option<Personality>,
        /// Clock offsets of the time namespace, by `monotonic` and `boottime`.
        pub time_offsets: BTreeMap<String, TimeOffset>,
    }
}

object! {
    /// One namespace. SPEC(config-linux.md#namespaces).
    pub struct Namespace {
        /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup` or `time`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Absolute path of a namespace to join; empty means a new one.
        pub path: String,
    }
}

object! {
    /// A device node. SPEC(config-linux.md#devices).
    pub struct Device {
        /// `c`, `b`, `u` or `p`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Absolute path in the container.
        pub path: String,
        /// Major number.
        pub major: i64,
        /// Minor number.
        pub minor: i64,
        /// Permission bits.
        pub file_mode: Option<u32>,
        /// Owner in the container.
        pub uid: Option<u32>,
        /// Group in the container.
        pub gid: Option<u32>,
    }
}

object! {
    /// SPEC(config-linux.md#network-devices).
    #[derive(Eq)]
    pub struct NetDevice {
        /// Name inside; empty keeps the one outside.
        pub name: String,
    }
}

object! {
    /// SPEC(config-linux.md#intelrdt).
    pub struct IntelRdt {
        /// Name of the class of service.
        #[serde(rename = "closID")]
        pub clos_id: String,
        /// Lines for the `schemata` file.
        pub schemata: Vec<String>,
        /// L3 cache capacity bit masks.
        pub l3_cache_schema: String,
        /// Memory bandwidth.
        pub mem_bw_schema: String,
        /// Whether a monitoring group is made.
        pub enable_monitoring: bool,
    }
}

object! {
    /// SPEC(config-linux.md#memory-policy).
    pub struct MemoryPolicy {
        /// `MPOL_DEFAULT`, `MPOL_BIND`, …
        pub mode: String,
        /// Node list such as `0-1,3`.
        pub nodes: String,
        /// `MPOL_F_STATIC_NODES`, …
        pub flags: Vec<String>,
    }
}

object! {
    /// SPEC(config-linux.md#personality).
    pub struct Personality {
        /// `LINUX` or `LINUX32`.
        pub domain: String,
        /// None is defined yet.
        pub flags: Vec<String>,
    }
}

object! {
    /// SPEC(config-linux.md#offset-for-time-namespace).
    #[derive(Copy, Eq)]
    pub struct TimeOffset {
        /// Whole seconds.
        pub secs: i64,
        /// Nanoseconds besides.
        pub nanosecs: u32,
    }
}
