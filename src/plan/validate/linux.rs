//! SPEC(config-linux.md): devices, paths, propagation, resource director, memory policy and personality.

use super::{Findings, Subject};
use crate::plan::process::{plan_memory_policy, plan_personality, says_something};
use oci::runtime::Device;
use std::collections::{HashMap, HashSet};

/// SPEC(config-linux.md#devices)
pub(super) fn devices(subject: &Subject<'_>, findings: &mut Findings) {
    let (mut at_path, mut nodes) = (HashMap::new(), HashSet::new());
    for (index, device) in subject.linux.devices.iter().enumerate() {
        let at = format!("linux.devices[{index}]");
        judge_device(&at, device, findings);
        let node = (device.kind.as_str(), device.major, device.minor);
        if *at_path.entry(device.path.as_str()).or_insert(node) != node {
            findings.refuse(
                format_args!("{at}.path"),
                format_args!("{} is already another device", device.path),
            );
        }
        if device.kind != "p" && !nodes.insert(node) {
            findings.tolerate(at, "an earlier entry has the same type, major and minor");
        }
    }
}

fn judge_device(at: &str, device: &Device, findings: &mut Findings) {
    if !matches!(device.kind.as_str(), "c" | "b" | "u" | "p") {
        findings.refuse(
            format_args!("{at}.type"),
            format_args!("{:?} is none of c, b, u, p", device.kind),
        );
    }
    if !device.path.starts_with('/') {
        findings.refuse(
            format_args!("{at}.path"),
            format_args!("{:?} is not absolute", device.path),
        );
    }
    for (field, number, most) in [
        ("major", device.major, 0xfff),
        ("minor", device.minor, 0xf_ffff),
    ] {
        if device.kind != "p" && !(0..=most).contains(&number) {
            findings.refuse(
                format_args!("{at}.{field}"),
                format_args!("{number} is no device number"),
            );
        }
    }
}

/// SPEC(config-linux.md#masked-paths), SPEC(config-linux.md#readonly-paths)
pub(super) fn paths(subject: &Subject<'_>, findings: &mut Findings) {
    let lists = [
        ("linux.maskedPaths", &subject.linux.masked_paths),
        ("linux.readonlyPaths", &subject.linux.readonly_paths),
    ];
    for (at, paths) in lists {
        for (index, path) in paths
            .iter()
            .enumerate()
            .filter(|(_, path)| !path.starts_with('/'))
        {
            findings.tolerate(
                format_args!("{at}[{index}]"),
                format_args!("{path:?} is not absolute"),
            );
        }
    }
}

/// SPEC(config-linux.md#rootfs-mount-propagation). COMPAT(runc, crun): the recursive names too.
pub(super) fn propagation(subject: &Subject<'_>, findings: &mut Findings) {
    let value = subject.linux.rootfs_propagation.as_str();
    let plain = value.strip_prefix('r').unwrap_or(value);
    if !matches!(plain, "" | "shared" | "slave" | "private" | "unbindable") || value == "r" {
        let problem = format!("{value:?} is none of shared, slave, private, unbindable");
        findings.refuse("linux.rootfsPropagation", problem);
    }
}

/// SPEC(config-linux.md#intelrdt)
pub(super) fn intel_rdt(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(rdt) = &subject.linux.intel_rdt else {
        return;
    };
    let class = rdt.clos_id.as_str();
    // `/` is the root class; anything else is the name of one directory.
    if class != "/" && (class.contains(['/', '\n']) || matches!(class, "." | "..")) {
        findings.refuse(
            "linux.intelRdt.closID",
            format_args!("{class:?} is no name of a class"),
        );
    }
    let bandwidth = rdt.mem_bw_schema.as_str();
    if !bandwidth.is_empty() && (!bandwidth.starts_with("MB:") || bandwidth.contains('\n')) {
        findings.refuse(
            "linux.intelRdt.memBwSchema",
            "must be one line that starts with MB:",
        );
    }
    let cache = rdt.l3_cache_schema.as_str();
    if !cache.is_empty() && (!cache.starts_with("L3") || cache.contains('\n')) {
        findings.tolerate(
            "linux.intelRdt.l3CacheSchema",
            "should be one line that starts with L3:",
        );
    }
    for (index, _) in rdt
        .schemata
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains('\n'))
    {
        findings.refuse(
            format_args!("linux.intelRdt.schemata[{index}]"),
            "must be one line",
        );
    }
}

/// SPEC(config-linux.md#memory-policy), SPEC(config-linux.md#personality)
pub(super) fn policies(subject: &Subject<'_>, findings: &mut Findings) {
    if let Some(policy) = subject.linux.memory_policy.as_ref().filter(says_something) {
        findings.check(plan_memory_policy(policy));
    }
    if let Some(personality) = &subject.linux.personality {
        findings.check(plan_personality(personality));
    }
}
