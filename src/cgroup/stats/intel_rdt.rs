//! The part of the statistics that Intel's resource control knows, in the JSON schema of runc's `events --stats`.
//!
//! Inert: what a `resctrl` mount says is read by `container::intel_rdt`, which knows where it is.

use serde::Serialize;

/// Cache and memory bandwidth of a container's group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IntelRdt {
    /// What the host's L3 cache can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<CacheInfo>,
    /// The `L3` line of the root group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// The `L3` line of the container's group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// What the host's memory bandwidth control can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<BandwidthInfo>,
    /// The `MB` line of the root group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// The `MB` line of the container's group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// All lines of the container's group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Memory bandwidth by domain, where it is monitored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mbm_stats: Vec<Bandwidth>,
    /// Cache occupancy by domain, where it is monitored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmt_stats: Vec<Occupancy>,
}

/// `info/L3`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheInfo {
    /// All bits that a mask may have, in hexadecimal.
    pub cbm_mask: String,
    /// The least number of consecutive bits.
    pub min_cbm_bits: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// `info/MB`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BandwidthInfo {
    /// The step in percent.
    pub bandwidth_gran: u64,
    /// Whether the delay is linear.
    pub delay_linear: u64,
    /// The least bandwidth in percent.
    pub min_bandwidth: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// Bandwidth counters of one domain, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bandwidth {
    /// To any memory.
    pub mbm_total_bytes: u64,
    /// To the domain's own memory.
    pub mbm_local_bytes: u64,
}

/// Cache occupancy of one domain, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// Of the last-level cache.
    pub llc_occupancy: u64,
}
