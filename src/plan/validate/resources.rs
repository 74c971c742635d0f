//! SPEC(config-linux.md#control-groups): limits that no kernel takes, or that would reach beyond their file.

use super::{Findings, Subject};
use oci::runtime::{BlockIo, Cpu, DeviceRule, Memory, Resources};

pub(super) fn judge(subject: &Subject<'_>, findings: &mut Findings) {
    if let Some(resources) = &subject.linux.resources {
        judge_resources(resources, findings);
    }
}

fn judge_resources(resources: &Resources, findings: &mut Findings) {
    for (index, rule) in resources.devices.iter().enumerate() {
        device_rule(&format!("linux.resources.devices[{index}]"), rule, findings);
    }
    if let Some(memory) = &resources.memory {
        judge_memory(memory, findings);
    }
    if let Some(cpu) = &resources.cpu {
        judge_cpu(cpu, findings);
    }
    if let Some(block_io) = &resources.block_io {
        judge_block_io(block_io, findings);
    }
    if resources
        .pids
        .as_ref()
        .is_some_and(|pids| pids.limit.is_none())
    {
        findings.tolerate("linux.resources.pids.limit", "is required");
    }
    named_limits(resources, findings);
}

/// SPEC(config-linux.md#allowed-device-list)
fn device_rule(at: &str, rule: &DeviceRule, findings: &mut Findings) {
    if !matches!(rule.kind.as_str(), "" | "a" | "b" | "c") {
        findings.refuse(
            format_args!("{at}.type"),
            format_args!("{:?} is none of a, b, c", rule.kind),
        );
    }
    if !rule.access.bytes().all(|access| b"rwm".contains(&access)) {
        let problem = format!("{:?} is not made of r, w, m", rule.access);
        match rule.access.contains(['r', 'w', 'm']) {
            // COMPAT(runc, crun)
            true => findings.tolerate(format_args!("{at}.access"), problem),
            false => findings.refuse(format_args!("{at}.access"), problem),
        }
    }
    for (field, number) in [("major", rule.major), ("minor", rule.minor)] {
        if number.is_some_and(|number| !(-1..=i64::from(u32::MAX)).contains(&number)) {
            findings.refuse(format_args!("{at}.{field}"), "is no device number");
        }
    }
}

/// SPEC(config-linux.md#memory)
fn judge_memory(memory: &Memory, findings: &mut Findings) {
    let at = "linux.resources.memory";
    let limits = [
        ("limit", memory.limit),
        ("reservation", memory.reservation),
        ("swap", memory.swap),
        ("kernel", memory.kernel),
        ("kernelTCP", memory.kernel_tcp),
    ];
    for (field, _) in limits
        .iter()
        .filter(|(_, limit)| limit.is_some_and(|limit| limit < -1))
    {
        findings.refuse(
            format_args!("{at}.{field}"),
            "must be a number of bytes, or -1 for no limit",
        );
    }
    if let (Some(limit @ 1..), Some(swap @ 1..)) = (memory.limit, memory.swap)
        && swap < limit
    {
        let problem = format!("{swap} counts memory too and must not be below the limit {limit}");
        findings.refuse(format_args!("{at}.swap"), problem);
    }
    if memory.swappiness.is_some_and(|swappiness| swappiness > 100) {
        findings.tolerate(
            format_args!("{at}.swappiness"),
            "must lie between 0 and 100",
        );
    }
}

/// SPEC(config-linux.md#cpu)
fn judge_cpu(cpu: &Cpu, findings: &mut Findings) {
    let at = "linux.resources.cpu";
    if let (Some(quota @ 1..), Some(burst)) = (cpu.quota, cpu.burst)
        && burst > quota.unsigned_abs()
    {
        let problem = format!("{burst} must not be above the quota {quota}");
        findings.refuse(format_args!("{at}.burst"), problem);
    }
    if cpu.idle.is_some_and(|idle| !matches!(idle, 0 | 1)) {
        findings.refuse(format_args!("{at}.idle"), "must be 0 or 1");
    }
    // Lists go to the kernel as they are; strides and names such as `all` are its business.
    let foreign = |byte: u8| byte.is_ascii_control() && byte != b'\n';
    for (field, list) in [("cpus", &cpu.cpus), ("mems", &cpu.mems)] {
        if list.bytes().any(foreign) {
            findings.refuse(format_args!("{at}.{field}"), "is no list such as 0-3,7");
        }
    }
}

/// SPEC(config-linux.md#block-io)
fn judge_block_io(block_io: &BlockIo, findings: &mut Findings) {
    let at = "linux.resources.blockIO";
    let out_of_range = |weight: Option<u16>| {
        weight.is_some_and(|weight| weight != 0 && !(10..=1000).contains(&weight))
    };
    if out_of_range(block_io.weight) || out_of_range(block_io.leaf_weight) {
        findings.tolerate(format_args!("{at}.weight"), "must lie between 10 and 1000");
    }
    for (index, device) in block_io.weight_device.iter().enumerate() {
        if device.weight.is_none() && device.leaf_weight.is_none() {
            findings.tolerate(
                format_args!("{at}.weightDevice[{index}]"),
                "needs a weight or a leafWeight",
            );
        }
    }
}

/// Limits whose names become part of a file's name or a line.
fn named_limits(resources: &Resources, findings: &mut Findings) {
    let at = "linux.resources";
    for (index, limit) in resources.hugepage_limits.iter().enumerate() {
        if !is_page_size(&limit.page_size) {
            let problem = format!("{:?} is no page size such as 2MB", limit.page_size);
            findings.refuse(
                format_args!("{at}.hugepageLimits[{index}].pageSize"),
                problem,
            );
        }
    }
    for (device, limit) in &resources.rdma {
        if device.is_empty() || device.contains(char::is_whitespace) {
            findings.refuse(
                format_args!("{at}.rdma"),
                format_args!("{device:?} is no name of a device"),
            );
        }
        if limit.hca_handles.is_none() && limit.hca_objects.is_none() {
            findings.tolerate(
                format_args!("{at}.rdma[{device:?}]"),
                "needs hcaHandles or hcaObjects",
            );
        }
    }
    for file in resources.unified.keys() {
        if file.contains('/') || matches!(file.as_str(), "" | "." | "..") {
            findings.refuse(
                format_args!("{at}.unified"),
                format_args!("{file:?} is no name of a file"),
            );
        }
    }
    let priorities = resources
        .network
        .iter()
        .flat_map(|network| &network.priorities);
    for (index, _) in priorities
        .enumerate()
        .filter(|(_, priority)| priority.name.is_empty())
    {
        findings.tolerate(
            format_args!("{at}.network.priorities[{index}].name"),
            "is required",
        );
    }
}

/// `<size><unit>B`, such as `64KB`.
pub(in crate::plan) fn is_page_size(text: &str) -> bool {
    let number = text
        .strip_suffix("KB")
        .or_else(|| text.strip_suffix("MB"))
        .or_else(|| text.strip_suffix("GB"));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
