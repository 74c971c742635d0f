//! cgroup v2: the resources of the specification, whose vocabulary is v1's, converted to the unified hierarchy's.
//!
//! What only v1 has is a warning: engines send such fields without looking at the host.

use super::*;
use crate::error::Error;
use oci::runtime::{BlockIo, Cpu, Memory, ThrottleDevice};

/// One directory, with every limit.
pub fn plan(
    resources: &Resources,
    host: &Host,
    mount: &Path,
    available: &[String],
    path: String,
) -> Result<CgroupPlan> {
    let limits = limits(resources)?;
    let mut directory = bare_directory(host, mount, path);
    let mut required: Vec<String> = Vec::new();
    for (controller, write) in limits.writes {
        if controller != "cgroup" && !required.iter().any(|r| r == controller) {
            required.push(controller.to_owned());
        }
        directory.writes.push(write);
    }
    for (controller, write) in unified(resources)? {
        if controller != "cgroup" && !required.contains(&controller) {
            required.push(controller);
        }
        directory.writes.push(write);
    }
    if let Some(missing) = required.iter().find(|r| !available.contains(r)) {
        return Err(missing_controller(missing));
    }
    if !is_rootless(host) {
        directory.device_program = devices_bpf::program(&resources.devices)?;
    }
    directory.hierarchy = HierarchyKind::V2 {
        required,
        wanted: available.to_vec(),
    };
    Ok(CgroupPlan {
        directories: vec![directory],
        warnings: limits.warnings,
        systemd: None,
    })
}

/// A directory without limits, as in the v2 half of a hybrid host.
pub fn bare_directory(host: &Host, mount: &Path, path: String) -> DirectoryPlan {
    DirectoryPlan {
        mount: mount.to_owned(),
        path,
        hierarchy: HierarchyKind::V2 {
            required: Vec::new(),
            wanted: Vec::new(),
        },
        writes: Vec::new(),
        device_program: None,
        optional: is_rootless(host),
        owner: None,
        joined: false,
    }
}

pub(super) fn missing_controller(controller: &str) -> Error {
    Error::new(format!(
        "linux.resources: the requested cgroup controller `{controller}` is not available on this host"
    ))
    .hint(format!("remove the limit, or have the {controller} controller delegated to you"))
}

/// The container's root user on the host, if the cgroup is to be the container's own.
/// SPEC(config-linux.md#cgroup-ownership): v2, a new cgroup namespace, and a writable mount of it.
pub fn delegate_to(spec: &Spec) -> Option<u32> {
    let linux = spec.linux.as_ref()?;
    let made = |kind: &str| {
        linux
            .namespaces
            .iter()
            .any(|n| n.kind == kind && n.path.is_empty())
    };
    let writable = spec.mounts.iter().any(|mount| {
        mount.kind == "cgroup" && !mount.options.iter().any(|o| o == "ro" || o == "rro")
    });
    if !(made("user") && made("cgroup") && writable) {
        return None;
    }
    let uid = spec.process.as_ref().map_or(0, |p| p.user.uid);
    let range = linux.uid_mappings.iter().find(|range| {
        let (first, size) = (u64::from(range.container_id), u64::from(range.size));
        (first..first + size).contains(&u64::from(uid))
    })?;
    range.host_id.checked_add(uid - range.container_id)
}

/// Everything but device rules and the unified map.
pub(super) fn limits(resources: &Resources) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(cpu) = &resources.cpu {
        cpu_limits(cpu, &mut limits);
    }
    if let Some(memory) = &resources.memory {
        memory_limits(memory, &mut limits)?;
    }
    if let Some(value) = resources
        .pids
        .as_ref()
        .and_then(|p| p.limit)
        .map(v1::pids_max)
    {
        limits.write("pids", FileWrite::new("pids.max", value));
    }
    if let Some(block_io) = &resources.block_io {
        block_io_limits(block_io, &mut limits);
    }
    v1::hugepage_limits(&resources.hugepage_limits, "max", &mut limits)?;
    v1::rdma_limits(&resources.rdma, &mut limits)?;
    if let Some(network) = &resources.network
        && (network.class_id.is_some_and(|c| c != 0) || !network.priorities.is_empty())
    {
        limits.warn("linux.resources.network has no counterpart in cgroup v2 and is ignored");
    }
    Ok(limits)
}

/// 2 to 262144 shares, usually 1024, become a weight of 1 to 10000, usually 100: a curve through these three.
/// COMPAT(runc 1.3.2, crun 1.23)
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

fn cpu_limits(cpu: &Cpu, limits: &mut Limits) {
    let shares = cpu.shares.filter(|s| *s != 0);
    let weight = shares.map(|s| FileWrite::new("cpu.weight", weight_of_shares(s)));
    let idle = cpu.idle.map(|idle| FileWrite::new("cpu.idle", idle));
    // A cgroup that is idle takes no weight, so one that stops to be idle must do that first.
    match (weight, idle) {
        (Some(weight), Some(idle)) => limits.write("cpu", Write::EitherOrder(weight, idle)),
        (Some(one), None) | (None, Some(one)) => limits.write("cpu", one),
        (None, None) => {}
    }
    let quota = cpu.quota.filter(|q| *q != 0);
    let period = cpu.period.filter(|p| *p != 0);
    if quota.is_some() || period.is_some() {
        let quota = quota
            .filter(|q| *q > 0)
            .map_or("max".into(), |q| q.to_string());
        let value = match period {
            Some(period) => format!("{quota} {period}"),
            None => quota,
        };
        limits.write("cpu", FileWrite::new("cpu.max", value));
    }
    if let Some(burst) = cpu.burst {
        limits.write("cpu", FileWrite::new("cpu.max.burst", burst));
    }
    if !cpu.cpus.is_empty() {
        limits.write("cpuset", FileWrite::new("cpuset.cpus", &cpu.cpus));
    }
    if !cpu.mems.is_empty() {
        limits.write("cpuset", FileWrite::new("cpuset.mems", &cpu.mems));
    }
    if cpu.realtime_runtime.is_some_and(|v| v != 0) || cpu.realtime_period.is_some_and(|v| v != 0) {
        limits.warn("linux.resources.cpu.realtime* has no counterpart in cgroup v2 and is ignored");
    }
}

fn memory_limits(memory: &Memory, limits: &mut Limits) -> Result<()> {
    let set = |value: Option<i64>| value.filter(|v| *v != 0);
    let text = |value: i64| {
        if value < 0 {
            "max".into()
        } else {
            value.to_string()
        }
    };
    if let Some(value) = swap_max(set(memory.limit), set(memory.swap))? {
        // Without swap accounting there is no swap to limit: only a limit proper would be missed.
        let absent = match value {
            ..=0 => OnFailure::SkipIfAbsent,
            _ => OnFailure::Fail,
        };
        limits.write(
            "memory",
            FileWrite::new("memory.swap.max", text(value)).or(absent),
        );
    }
    if let Some(value) = set(memory.limit) {
        limits.write("memory", FileWrite::new("memory.max", text(value)));
    }
    if let Some(value) = set(memory.reservation) {
        limits.write("memory", FileWrite::new("memory.low", text(value)));
    }
    let v1_only = [
        ("kernel", set(memory.kernel).is_some()),
        ("kernelTCP", set(memory.kernel_tcp).is_some()),
        ("swappiness", memory.swappiness.is_some()),
        ("disableOOMKiller", memory.disable_oom_killer == Some(true)),
        ("useHierarchy", memory.use_hierarchy == Some(false)),
    ];
    for (field, _) in v1_only.iter().filter(|(_, set)| *set) {
        limits.warn(format!(
            "linux.resources.memory.{field} has no counterpart in cgroup v2 and is ignored"
        ));
    }
    Ok(())
}

/// v1 limits memory and swap together, v2 swap alone. -1 is no limit.
pub(super) fn swap_max(limit: Option<i64>, both: Option<i64>) -> Result<Option<i64>> {
    match (limit, both) {
        (Some(-1), None) | (_, Some(-1)) => Ok(Some(-1)),
        (_, None) => Ok(None),
        (None | Some(-1), Some(_)) => Err(Error::new(
            "linux.resources.memory.swap limits memory and swap together, so it needs memory.limit beside it",
        )),
        (Some(limit), Some(both)) if both < limit => Err(Error::new(format!(
            "linux.resources.memory.swap ({both}) limits memory and swap together, so it can't be below memory.limit ({limit})"
        ))),
        (Some(limit), Some(both)) => Ok(Some(both - limit)),
    }
}

/// 10 to 1000 becomes 1 to 10000.
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.max(10) - 10) * 9999 / 990
}

fn block_io_limits(block_io: &BlockIo, limits: &mut Limits) {
    let mut put = |write: Write| limits.write("io", write);
    if let Some(weight) = block_io.weight.filter(|w| *w != 0) {
        put(Write::FirstPresent(
            FileWrite::new("io.bfq.weight", weight),
            FileWrite::new("io.weight", io_weight(weight)),
        ));
    }
    for device in &block_io.weight_device {
        let (major, minor) = (device.major, device.minor);
        if let Some(weight) = device.weight.filter(|w| *w != 0) {
            put(Write::FirstPresent(
                FileWrite::new("io.bfq.weight", format!("{major}:{minor} {weight}")),
                FileWrite::new(
                    "io.weight",
                    format!("{major}:{minor} {}", io_weight(weight)),
                ),
            ));
        }
    }
    let throttles = [
        ("rbps", &block_io.throttle_read_bps_device),
        ("wbps", &block_io.throttle_write_bps_device),
        ("riops", &block_io.throttle_read_iops_device),
        ("wiops", &block_io.throttle_write_iops_device),
    ];
    for (key, devices) in throttles {
        for device in devices {
            put(FileWrite::new("io.max", io_max(device, key)).into());
        }
    }
    let leaf = block_io.leaf_weight.is_some_and(|w| w != 0);
    if leaf
        || block_io
            .weight_device
            .iter()
            .any(|d| d.leaf_weight.is_some_and(|w| w != 0))
    {
        limits.warn(
            "linux.resources.blockIO leaf weights have no counterpart in cgroup v2 and are ignored",
        );
    }
}

/// A rate of 0 takes the limit away, as it does on v1.
fn io_max(device: &ThrottleDevice, key: &str) -> String {
    let (major, minor) = (device.major, device.minor);
    match device.rate {
        0 => format!("{major}:{minor} {key}=max"),
        rate => format!("{major}:{minor} {key}={rate}"),
    }
}

/// The map of file names, each with its controller. The kernel takes one line a write.
pub(super) fn unified(resources: &Resources) -> Result<Vec<(String, Write)>> {
    let mut writes = Vec::new();
    for (file, value) in &resources.unified {
        let controller = match file.split_once('.') {
            Some((controller, rest)) if !controller.is_empty() && !rest.is_empty() => controller,
            _ => "",
        };
        if controller.is_empty() || file.contains(['/', '\0']) {
            return Err(Error::new(format!(
                "linux.resources.unified: the specified key has not the form CONTROLLER.VALUE `{file}`"
            )));
        }
        let lines = value.trim_end_matches('\n').split('\n');
        writes.extend(lines.map(|line| (controller.to_owned(), FileWrite::new(file, line).into())));
    }
    Ok(writes)
}
