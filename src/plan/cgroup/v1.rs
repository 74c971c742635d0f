//! cgroup v1: the resources of the specification as values for the files of each controller's hierarchy.
//!
//! A value of 0 where the kernel knows none means "not set": engines write their unset fields so. COMPAT(runc)

use super::*;
use crate::error::Error;
use crate::plan::validate::is_page_size;
use oci::runtime::{BlockIo, Cpu, HugepageLimit, Memory, Network, Rdma};
use std::collections::BTreeMap;

/// A directory in every hierarchy of the host, with the limits where their controller is.
pub fn plan(
    resources: &Resources,
    host: &Host,
    hierarchies: &[Hierarchy],
    place: impl Fn(&Hierarchy) -> Result<String>,
) -> Result<CgroupPlan> {
    let mut directories = Vec::with_capacity(hierarchies.len() + 1);
    for hierarchy in hierarchies {
        directories.push(directory(hierarchy, place(hierarchy)?, is_rootless(host)));
    }
    let limits = limits(resources)?;
    for (controller, write) in limits.writes {
        hierarchy_of(&mut directories, controller)
            .ok_or_else(|| missing_controller(controller))?
            .writes
            .push(write);
    }
    if let Some(devices) = hierarchy_of(&mut directories, "devices")
        && !is_rootless(host)
    {
        devices
            .writes
            .extend(devices_v1::writes(&resources.devices)?);
    }
    Ok(CgroupPlan {
        directories,
        warnings: limits.warnings,
        systemd: None,
    })
}

fn directory(hierarchy: &Hierarchy, path: String, rootless: bool) -> DirectoryPlan {
    DirectoryPlan {
        mount: hierarchy.mount.clone(),
        path,
        hierarchy: HierarchyKind::V1 {
            controllers: hierarchy.controllers.clone(),
            inherit_cpuset: hierarchy.controllers.iter().any(|c| c == "cpuset"),
        },
        writes: Vec::new(),
        device_program: None,
        optional: rootless,
        owner: None,
        joined: false,
    }
}

fn hierarchy_of<'d>(
    directories: &'d mut [DirectoryPlan],
    controller: &str,
) -> Option<&'d mut DirectoryPlan> {
    directories
        .iter_mut()
        .find(|directory| match &directory.hierarchy {
            HierarchyKind::V1 { controllers, .. } => controllers.iter().any(|c| c == controller),
            HierarchyKind::V2 { .. } => false,
        })
}

fn missing_controller(controller: &str) -> Error {
    Error::new(format!(
        "linux.resources asks for a limit of the {controller} cgroup controller, which this host has not mounted"
    ))
    .hint(format!("remove the limit, or mount the {controller} hierarchy"))
}

/// Everything but the device rules.
pub(super) fn limits(resources: &Resources) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some((file, _)) = resources.unified.first_key_value() {
        return Err(Error::new(format!(
            "invalid configuration: linux.resources.unified sets {file}, but this host has cgroup v1"
        )));
    }
    if let Some(cpu) = &resources.cpu {
        cpu_limits(cpu, &mut limits);
    }
    if let Some(memory) = &resources.memory {
        memory_limits(memory, &mut limits)?;
    }
    if let Some(value) = resources.pids.as_ref().and_then(|p| p.limit).map(pids_max) {
        limits.write("pids", FileWrite::new("pids.max", value));
    }
    if let Some(block_io) = &resources.block_io {
        block_io_limits(block_io, &mut limits);
    }
    hugepage_limits(&resources.hugepage_limits, "limit_in_bytes", &mut limits)?;
    rdma_limits(&resources.rdma, &mut limits)?;
    if let Some(network) = &resources.network {
        network_limits(network, &mut limits);
    }
    Ok(limits)
}

fn cpu_limits(cpu: &Cpu, limits: &mut Limits) {
    let set = |value: Option<u64>| value.filter(|v| *v != 0);
    let period = set(cpu.realtime_period).map(|v| FileWrite::new("cpu.rt_period_us", v));
    let runtime = cpu.realtime_runtime.filter(|v| *v != 0);
    let runtime = runtime.map(|v| FileWrite::new("cpu.rt_runtime_us", v));
    both(period, runtime, limits);
    // A cgroup that is idle takes no shares, so one that stops to be idle must do that first.
    let shares = set(cpu.shares).map(|v| FileWrite::new("cpu.shares", v));
    let idle = cpu.idle.map(|v| FileWrite::new("cpu.idle", v));
    both(shares, idle, limits);
    let period = set(cpu.period).map(|v| FileWrite::new("cpu.cfs_period_us", v));
    let quota = cpu.quota.filter(|v| *v != 0).map(|v| v.max(-1));
    let quota = quota.map(|v| FileWrite::new("cpu.cfs_quota_us", v));
    both(period, quota, limits);
    if let Some(burst) = cpu.burst {
        limits.write("cpu", FileWrite::new("cpu.cfs_burst_us", burst));
    }
    if !cpu.cpus.is_empty() {
        limits.write("cpuset", FileWrite::new("cpuset.cpus", &cpu.cpus));
    }
    if !cpu.mems.is_empty() {
        limits.write("cpuset", FileWrite::new("cpuset.mems", &cpu.mems));
    }
}

/// Two values of the cpu controller that the kernel checks against each other.
fn both(first: Option<FileWrite>, second: Option<FileWrite>, limits: &mut Limits) {
    match (first, second) {
        (Some(first), Some(second)) => limits.write("cpu", Write::EitherOrder(first, second)),
        (Some(one), None) | (None, Some(one)) => limits.write("cpu", one),
        (None, None) => {}
    }
}

fn memory_limits(memory: &Memory, limits: &mut Limits) -> Result<()> {
    let mut put = |write: Write| limits.write("memory", write);
    let set = |value: Option<i64>| value.filter(|v| *v != 0).map(|v| v.max(-1));
    let (limit, swap) = (set(memory.limit), set(memory.swap));
    let limit = limit.map(|v| FileWrite::new("memory.limit_in_bytes", v));
    let memsw = |value| FileWrite::new("memory.memsw.limit_in_bytes", value);
    match (limit, swap) {
        (Some(limit), Some(swap)) => put(Write::EitherOrder(limit, memsw(swap))),
        // Memory without a limit under a limit of memory and swap together would be none. COMPAT(runc)
        (Some(limit), None) if limit.value == "-1" => {
            put(memsw(-1).or(OnFailure::SkipIfAbsent).into());
            put(limit.into());
        }
        (Some(limit), None) => put(limit.into()),
        (None, Some(swap)) => put(memsw(swap).into()),
        (None, None) => {}
    }
    if let Some(value) = set(memory.reservation) {
        put(FileWrite::new("memory.soft_limit_in_bytes", value).into());
    }
    if let Some(value) = set(memory.kernel_tcp) {
        put(FileWrite::new("memory.kmem.tcp.limit_in_bytes", value)
            .or(OnFailure::Warn)
            .into());
    }
    if let Some(value) = memory.swappiness {
        if value > 100 {
            let problem = format!("linux.resources.memory.swappiness is {value}, not 0 to 100");
            return Err(Error::new(problem));
        }
        put(FileWrite::new("memory.swappiness", value).into());
    }
    if memory.disable_oom_killer == Some(true) {
        put(FileWrite::new("memory.oom_control", 1).into());
    }
    if memory.use_hierarchy == Some(true) {
        put(FileWrite::new("memory.use_hierarchy", 1)
            .or(OnFailure::Warn)
            .into());
    }
    if set(memory.kernel).is_some() {
        limits.warn("linux.resources.memory.kernel is obsolete and ignored");
    }
    Ok(())
}

/// -1 is no limit. 0 is one, but then not even the container's process could start: 1 comes closest. COMPAT(runc)
pub(super) fn pids_max(limit: i64) -> String {
    match limit {
        ..0 => "max".into(),
        0 => "1".into(),
        limit => limit.to_string(),
    }
}

fn block_io_limits(block_io: &BlockIo, limits: &mut Limits) {
    let mut put = |write: Write| limits.write("blkio", write);
    let either = |value: String, name: &str| {
        Write::FirstPresent(
            FileWrite::new(format!("blkio.{name}"), &value),
            FileWrite::new(format!("blkio.bfq.{name}"), &value),
        )
    };
    if let Some(weight) = block_io.weight.filter(|w| *w != 0) {
        put(either(weight.to_string(), "weight"));
    }
    if let Some(weight) = block_io.leaf_weight.filter(|w| *w != 0) {
        put(FileWrite::new("blkio.leaf_weight", weight).into());
    }
    for device in &block_io.weight_device {
        let (major, minor) = (device.major, device.minor);
        if let Some(weight) = device.weight.filter(|w| *w != 0) {
            put(either(format!("{major}:{minor} {weight}"), "weight_device"));
        }
        if let Some(weight) = device.leaf_weight.filter(|w| *w != 0) {
            let value = format!("{major}:{minor} {weight}");
            put(FileWrite::new("blkio.leaf_weight_device", value).into());
        }
    }
    let throttles = [
        ("read_bps", &block_io.throttle_read_bps_device),
        ("write_bps", &block_io.throttle_write_bps_device),
        ("read_iops", &block_io.throttle_read_iops_device),
        ("write_iops", &block_io.throttle_write_iops_device),
    ];
    for (name, devices) in throttles {
        for d in devices {
            let value = format!("{}:{} {}", d.major, d.minor, d.rate);
            put(FileWrite::new(format!("blkio.throttle.{name}_device"), value).into());
        }
    }
}

/// Usage and, where the kernel counts them (5.7), reservations. SPEC(config-linux.md#huge-page-limits)
pub(super) fn hugepage_limits(
    pages: &[HugepageLimit],
    suffix: &str,
    limits: &mut Limits,
) -> Result<()> {
    for page in pages {
        let size = &page.page_size;
        if !is_page_size(size) {
            let problem =
                format!("linux.resources.hugepageLimits: pageSize {size:?} is not like 2MB");
            return Err(Error::new(problem));
        }
        let usage = FileWrite::new(format!("hugetlb.{size}.{suffix}"), page.limit);
        limits.write("hugetlb", usage);
        let reserved = FileWrite::new(format!("hugetlb.{size}.rsvd.{suffix}"), page.limit);
        limits.write("hugetlb", reserved.or(OnFailure::SkipIfAbsent));
    }
    Ok(())
}

pub(super) fn rdma_limits(devices: &BTreeMap<String, Rdma>, limits: &mut Limits) -> Result<()> {
    for (name, limit) in devices {
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Error::new(format!(
                "linux.resources.rdma: {name:?} names no device"
            )));
        }
        let mut value = name.clone();
        if let Some(handles) = limit.hca_handles {
            value.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = limit.hca_objects {
            value.push_str(&format!(" hca_object={objects}"));
        }
        if value != *name {
            limits.write("rdma", FileWrite::new("rdma.max", value));
        }
    }
    Ok(())
}

fn network_limits(network: &Network, limits: &mut Limits) {
    if let Some(class) = network.class_id.filter(|c| *c != 0) {
        limits.write("net_cls", FileWrite::new("net_cls.classid", class));
    }
    for interface in &network.priorities {
        let value = format!("{} {}", interface.name, interface.priority);
        limits.write("net_prio", FileWrite::new("net_prio.ifpriomap", value));
    }
}
