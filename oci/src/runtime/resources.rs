//! SPEC(config-linux.md#control-groups): the limits, also what `update --resources` reads.

use std::collections::BTreeMap;

object! {
    /// Limits of a container. Bytes and microseconds unless said otherwise.
    pub struct Resources {
        /// Ordered allow and deny rules.
        pub devices: Vec<DeviceRule>,
        /// Memory.
        pub memory: Option<Memory>,
        /// Processor time and placement.
        pub cpu: Option<Cpu>,
        /// Number of processes.
        pub pids: Option<Pids>,
        /// Block I/O.
        #[serde(rename = "blockIO")]
        pub block_io: Option<BlockIo>,
        /// Huge pages.
        pub hugepage_limits: Vec<HugepageLimit>,
        /// Network class and priorities; cgroup v1 only.
        pub network: Option<Network>,
        /// RDMA, by device.
        pub rdma: BTreeMap<String, Rdma>,
        /// cgroup v2 files by name.
        pub unified: BTreeMap<String, String>,
    }
}

object! {
    /// SPEC(config-linux.md#allowed-device-list).
    pub struct DeviceRule {
        /// Allow or deny.
        pub allow: bool,
        /// `a`, `c` or `b`; empty is `a`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Absent or -1 means all.
        pub major: Option<i64>,
        /// Absent or -1 means all.
        pub minor: Option<i64>,
        /// Of `r`, `w`, `m`.
        pub access: String,
    }
}

object! {
    /// SPEC(config-linux.md#memory). Bytes; -1 means unlimited.
    pub struct Memory {
        /// Hard limit.
        pub limit: Option<i64>,
        /// Soft limit.
        pub reservation: Option<i64>,
        /// Memory and swap together.
        pub swap: Option<i64>,
        /// Kernel memory; obsolete.
        pub kernel: Option<i64>,
        /// Kernel TCP buffers; cgroup v1 only.
        #[serde(rename = "kernelTCP")]
        pub kernel_tcp: Option<i64>,
        /// 0 to 100; cgroup v1 only.
        pub swappiness: Option<u64>,
        /// Freeze instead of kill; cgroup v1 only.
        #[serde(rename = "disableOOMKiller")]
        pub disable_oom_killer: Option<bool>,
        /// Hierarchical accounting; cgroup v1 only.
        pub use_hierarchy: Option<bool>,
        /// Refuse an update below the present usage.
        pub check_before_update: Option<bool>,
    }
}

object! {
    /// SPEC(config-linux.md#cpu).
    pub struct Cpu {
        /// Relative weight, 2 to 262144.
        pub shares: Option<u64>,
        /// Microseconds of run time a period; -1 means unlimited.
        pub quota: Option<i64>,
        /// Microseconds that may be saved up beyond the quota.
        pub burst: Option<u64>,
        /// Microseconds.
        pub period: Option<u64>,
        /// Microseconds; cgroup v1 only.
        pub realtime_runtime: Option<i64>,
        /// Microseconds; cgroup v1 only.
        pub realtime_period: Option<u64>,
        /// CPU list.
        pub cpus: String,
        /// Memory node list.
        pub mems: String,
        /// 1 is `SCHED_IDLE` for the whole cgroup.
        pub idle: Option<i64>,
    }
}

object! {
    /// SPEC(config-linux.md#pids).
    pub struct Pids {
        /// -1 means unlimited.
        pub limit: Option<i64>,
    }
}

object! {
    /// SPEC(config-linux.md#block-io).
    pub struct BlockIo {
        /// 10 to 1000.
        pub weight: Option<u16>,
        /// Weight against child cgroups; cgroup v1 only.
        pub leaf_weight: Option<u16>,
        /// Weights by device.
        pub weight_device: Vec<WeightDevice>,
        /// Bytes a second.
        pub throttle_read_bps_device: Vec<ThrottleDevice>,
        /// Bytes a second.
        pub throttle_write_bps_device: Vec<ThrottleDevice>,
        /// Operations a second.
        #[serde(rename = "throttleReadIOPSDevice")]
        pub throttle_read_iops_device: Vec<ThrottleDevice>,
        /// Operations a second.
        #[serde(rename = "throttleWriteIOPSDevice")]
        pub throttle_write_iops_device: Vec<ThrottleDevice>,
    }
}

object! {
    /// A weight for one device.
    pub struct WeightDevice {
        /// Major number.
        pub major: i64,
        /// Minor number.
        pub minor: i64,
        /// 10 to 1000.
        pub weight: Option<u16>,
        /// cgroup v1 only.
        pub leaf_weight: Option<u16>,
    }
}

object! {
    /// A rate for one device.
    pub struct ThrottleDevice {
        /// Major number.
        pub major: i64,
        /// Minor number.
        pub minor: i64,
        /// Bytes or operations a second.
        pub rate: u64,
    }
}

object! {
    /// SPEC(config-linux.md#huge-page-limits).
    pub struct HugepageLimit {
        /// Such as `2MB`. COMPAT(runc): Go doesn't mind the case of a key, and its suite writes this one so.
        #[serde(alias = "pagesize")]
        pub page_size: String,
        /// Bytes.
        pub limit: u64,
    }
}

object! {
    /// SPEC(config-linux.md#network).
    pub struct Network {
        /// Class of the packets.
        #[serde(rename = "classID")]
        pub class_id: Option<u32>,
        /// Priorities by interface.
        pub priorities: Vec<InterfacePriority>,
    }
}

object! {
    /// A priority for one interface.
    pub struct InterfacePriority {
        /// Interface in the runtime's network namespace.
        pub name: String,
        /// Priority.
        pub priority: u32,
    }
}

object! {
    /// SPEC(config-linux.md#rdma).
    #[derive(Eq)]
    pub struct Rdma {
        /// Limit of handles.
        pub hca_handles: Option<u32>,
        /// Limit of objects.
        pub hca_objects: Option<u32>,
    }
}
