//! What a container's group says of cache and memory bandwidth, for `events`.
//!
//! A file that the processor or kernel doesn't have leaves its part out: none of them is needed for a container to run.

use super::RdtRecord;
use crate::cgroup::intel_rdt::{Bandwidth, BandwidthInfo, CacheInfo, IntelRdt, Occupancy};
use std::fs;
use std::path::Path;

/// Reads the group's schemata and, where it is monitored, its counters.
pub fn stats(record: &RdtRecord) -> IntelRdt {
    let group = record.group_path();
    let (root, own) = (schemata(&record.mount), schemata(&group));
    let monitored = record.monitor_path().unwrap_or(group).join("mon_data");
    let (mbm_stats, cmt_stats) = counters(&monitored);
    IntelRdt {
        l3_cache_info: cache_info(&record.mount.join("info/L3")),
        l3_cache_schema_root: line(&root, "L3"),
        l3_cache_schema: line(&own, "L3"),
        mem_bw_info: bandwidth_info(&record.mount.join("info/MB")),
        mem_bw_schema_root: line(&root, "MB:"),
        mem_bw_schema: line(&own, "MB:"),
        schemata: own,
        mbm_stats,
        cmt_stats,
    }
}

/// The lines of a group's `schemata`, without the kernel's padding.
fn schemata(group: &Path) -> Vec<String> {
    let text = fs::read_to_string(group.join("schemata")).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn line(schemata: &[String], resource: &str) -> String {
    let mut lines = schemata.iter();
    lines
        .find(|line| line.starts_with(resource))
        .cloned()
        .unwrap_or_default()
}

fn cache_info(directory: &Path) -> Option<CacheInfo> {
    directory.is_dir().then(|| CacheInfo {
        cbm_mask: text(directory, "cbm_mask"),
        min_cbm_bits: number(directory, "min_cbm_bits"),
        num_closids: number(directory, "num_closids"),
    })
}

fn bandwidth_info(directory: &Path) -> Option<BandwidthInfo> {
    directory.is_dir().then(|| BandwidthInfo {
        bandwidth_gran: number(directory, "bandwidth_gran"),
        delay_linear: number(directory, "delay_linear"),
        min_bandwidth: number(directory, "min_bandwidth"),
        num_closids: number(directory, "num_closids"),
    })
}

/// The domains `mon_L3_00`, `mon_L3_01`, … in order.
fn counters(directory: &Path) -> (Vec<Bandwidth>, Vec<Occupancy>) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut domains: Vec<_> = entries.map(|entry| entry.path()).collect();
    domains.retain(|path| {
        path.join("llc_occupancy").exists() || path.join("mbm_total_bytes").exists()
    });
    domains.sort();
    let has = |domain: &&std::path::PathBuf, file: &str| domain.join(file).exists();
    let bandwidth = domains
        .iter()
        .filter(|domain| has(domain, "mbm_total_bytes"))
        .map(|domain| Bandwidth {
            mbm_total_bytes: number(domain, "mbm_total_bytes"),
            mbm_local_bytes: number(domain, "mbm_local_bytes"),
        });
    let occupancy = domains
        .iter()
        .filter(|domain| has(domain, "llc_occupancy"))
        .map(|domain| Occupancy {
            llc_occupancy: number(domain, "llc_occupancy"),
        });
    (bandwidth.collect(), occupancy.collect())
}

fn text(directory: &Path, file: &str) -> String {
    let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
    text.trim().to_owned()
}

/// A counter that can't be read at the moment says `Unavailable`.
fn number(directory: &Path, file: &str) -> u64 {
    text(directory, file).parse().unwrap_or_default()
}
