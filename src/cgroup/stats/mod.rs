//! What a container uses, in the JSON schema of runc's `events --stats`.
//!
//! Field names, units and what is left out when zero are runc's: tools parse them. Network interfaces and intelRdt are
//! not the cgroup's to know; the caller may fill them in.

pub mod intel_rdt;
mod v1;
mod v2;

use super::CgroupRecord;
use super::directory::Directory;
use crate::error::Result;
use serde::Serialize;
use std::collections::BTreeMap;

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// Placement.
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Processes.
    pub pids: Pids,
    /// Block I/O.
    pub blkio: Blkio,
    /// Huge pages by size.
    pub hugetlb: BTreeMap<String, MemoryEntry>,
    /// Cache and memory bandwidth monitoring.
    pub intel_rdt: intel_rdt::IntelRdt,
    /// Counters of the container's interfaces.
    pub network_interfaces: Option<Vec<NetworkInterface>>,
}

/// Processor time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Nanoseconds.
    pub usage: CpuUsage,
    /// The quota's effect.
    pub throttling: Throttling,
    /// Pressure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// Nanoseconds of processor time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    /// All.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel, by processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// Outside of it, by processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// Outside of it.
    pub user: u64,
}

/// The quota's effect.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Throttling {
    /// Periods that have passed.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which the quota was used up.
    #[serde(rename = "throttledPeriods", skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds of waiting for the next period.
    #[serde(rename = "throttledTime", skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Placement.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cpuset {
    /// CPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// v1 flag.
    pub cpu_exclusive: u64,
    /// Memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// v1 flag.
    pub mem_hardwall: u64,
    /// v1 flag.
    pub mem_exclusive: u64,
    /// v1 flag.
    pub memory_migrate: u64,
    /// v1 flag.
    pub memory_spread_page: u64,
    /// v1 flag.
    pub memory_spread_slab: u64,
    /// v1 rate.
    pub memory_pressure: u64,
    /// v1 flag.
    pub sched_load_balance: u64,
    /// v1 level.
    pub sched_relax_domain_level: i64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// All.
    pub usage: MemoryEntry,
    /// With swap.
    pub swap: MemoryEntry,
    /// The kernel's.
    pub kernel: MemoryEntry,
    /// TCP buffers.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Pressure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One kind of memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MemoryEntry {
    /// Limit.
    pub limit: u64,
    /// Now.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// At most so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Processes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pids {
    /// Now.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// At most; absent is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Block I/O.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Operations in the queue.
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    /// Merged operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    /// Sectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// Pressure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One number of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    /// Major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// Minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The number.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Pressure stall information.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Psi {
    /// Some tasks waited.
    pub some: PsiLine,
    /// All did.
    pub full: PsiLine,
}

/// Shares of time in percent, and microseconds in all.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PsiLine {
    /// Of the last 10 seconds.
    pub avg10: f64,
    /// Of the last minute.
    pub avg60: f64,
    /// Of the last five minutes.
    pub avg300: f64,
    /// Microseconds.
    pub total: u64,
}

/// Counters of one interface; runc gives their keys capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct NetworkInterface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// What the container uses now. A controller that the host lacks leaves its part empty.
pub fn stats(record: &CgroupRecord) -> Result<Stats> {
    let mut stats = match record.is_pure_v2() {
        true => v2::stats(record)?,
        false => v1::stats(record)?,
    };
    // The v2 half of a hybrid host knows the pressure too.
    if let Some(unified) = record.unified() {
        let directory = Directory::open(unified.path())?;
        stats.cpu.psi = psi(&directory, "cpu.pressure")?;
        stats.memory.psi = psi(&directory, "memory.pressure")?;
        stats.blkio.psi = psi(&directory, "io.pressure")?;
    }
    Ok(stats)
}

fn psi(directory: &Directory, file: &str) -> Result<Option<Psi>> {
    Ok(directory
        .read_present(file)?
        .filter(|text| !text.is_empty())
        .map(|text| parse_psi(&text)))
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn parse_psi(text: &str) -> Psi {
    let line = |name: &str| {
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .unwrap_or_default();
        let value = |key: &str| line.split(' ').find_map(|p| p.strip_prefix(key));
        let average = |key| value(key).and_then(|v| v.parse().ok()).unwrap_or_default();
        PsiLine {
            avg10: average("avg10="),
            avg60: average("avg60="),
            avg300: average("avg300="),
            total: value("total=")
                .and_then(|v| v.parse().ok())
                .unwrap_or_default(),
        }
    };
    Psi {
        some: line("some "),
        full: line("full "),
    }
}

/// One number; `max` is the largest, and an absent file 0.
fn number(directory: &Directory, file: &str) -> Result<u64> {
    let text = directory.read_present(file)?.unwrap_or_default();
    Ok(match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or_default(),
    })
}

/// Lines of `key value`.
fn table(directory: &Directory, file: &str) -> Result<BTreeMap<String, u64>> {
    let text = directory.read_present(file)?.unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.parse().ok()?))
    });
    Ok(pairs.collect())
}

fn get(table: &BTreeMap<String, u64>, key: &str) -> u64 {
    table.get(key).copied().unwrap_or_default()
}

/// `0-3,7`
fn list(text: &str) -> Vec<u16> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
    });
    ranges.flatten().collect()
}

/// The sizes of the files `hugetlb.SIZE.<suffix>` in a directory.
fn hugepage_sizes(directory: &Directory, suffix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory.path())
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let sizes = names.filter_map(|name| {
        let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?;
        (!size.contains('.')).then(|| size.to_owned())
    });
    sizes.collect()
}

#[cfg(test)]
mod tests;
