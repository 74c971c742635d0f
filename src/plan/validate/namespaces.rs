//! SPEC(config-linux.md#namespaces), and every setting that would reach the host without its namespace.

use super::{Findings, Subject, duplicate, id_ranges};
use crate::plan::field::parameter_path;
use crate::plan::namespaces::TYPES;
use std::collections::HashSet;

pub(super) fn types(subject: &Subject<'_>, findings: &mut Findings) {
    let namespaces = &subject.linux.namespaces;
    for (index, namespace) in namespaces.iter().enumerate() {
        if !TYPES.iter().any(|(kind, _)| namespace.kind == *kind) {
            let problem = format!("{:?} is no namespace type", namespace.kind);
            findings.refuse(format_args!("linux.namespaces[{index}].type"), problem);
        }
        if !namespace.path.is_empty() && !namespace.path.starts_with('/') {
            findings.tolerate(
                format_args!("linux.namespaces[{index}].path"),
                "must be absolute",
            );
        }
    }
    if let Some(index) = duplicate(namespaces, |namespace| namespace.kind.as_str()) {
        let kind = &namespaces[index].kind;
        findings.refuse(
            format_args!("linux.namespaces[{index}].type"),
            format_args!("{kind:?} is given twice"),
        );
    }
    if subject.host.uid != 0 && !subject.has("user") {
        let problem = "needs a \"user\" namespace when the caller is not root";
        findings.refuse("linux.namespaces", problem);
    }
}

/// Without a mount namespace every mount is the host's: the container's own go with it, but nothing of the host's may
/// change.
pub(super) fn mount(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.has("mount") {
        return;
    }
    if !subject.spec.mounts.is_empty() {
        let warning =
            "mounts: without a \"mount\" namespace they are made in the caller's, until `delete`";
        findings.warnings.push(warning.into());
    }
    let readonly_root = subject.spec.root.as_ref().is_some_and(|root| root.readonly);
    let settings = [
        ("root.readonly", readonly_root),
        ("linux.maskedPaths", !subject.linux.masked_paths.is_empty()),
        (
            "linux.readonlyPaths",
            !subject.linux.readonly_paths.is_empty(),
        ),
        (
            "linux.rootfsPropagation",
            !subject.linux.rootfs_propagation.is_empty(),
        ),
    ];
    for (at, _) in settings.iter().filter(|(_, used)| *used) {
        findings.refuse(
            at,
            "needs a \"mount\" namespace: the host's mounts must not change",
        );
    }
}

/// SPEC(config-linux.md#user-namespace-mappings)
pub(super) fn id_mappings(subject: &Subject<'_>, findings: &mut Findings) {
    let lists = [
        ("linux.uidMappings", &subject.linux.uid_mappings),
        ("linux.gidMappings", &subject.linux.gid_mappings),
    ];
    for (at, ranges) in lists {
        if !ranges.is_empty() && !subject.has("user") {
            findings.refuse(at, "needs a \"user\" namespace");
        }
        id_ranges(at, ranges, findings);
    }
}

/// SPEC(config-linux.md#offset-for-time-namespace). The kernel takes offsets only before anyone is inside.
pub(super) fn time_offsets(subject: &Subject<'_>, findings: &mut Findings) {
    let at = "linux.timeOffsets";
    if !subject.linux.time_offsets.is_empty() && !subject.makes("time") {
        findings.refuse(at, "needs a new \"time\" namespace");
    }
    for (clock, offset) in &subject.linux.time_offsets {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            findings.refuse(at, format_args!("{clock:?} is none of monotonic, boottime"));
        }
        if offset.nanosecs > 999_999_999 {
            findings.refuse(
                format_args!("{at}.{clock}.nanosecs"),
                "must be below a second",
            );
        }
    }
}

/// System V message queues, semaphores and shared memory: the `kernel.*` parameters that belong to an IPC namespace.
const IPC_PARAMETERS: [&str; 11] = [
    "kernel/auto_msgmni",
    "kernel/msg_next_id",
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/sem_next_id",
    "kernel/shm_next_id",
    "kernel/shm_rmid_forced",
    "kernel/shmall",
    "kernel/shmmax",
];

/// SPEC(config-linux.md#sysctl): only parameters that a namespace of the container's own holds.
pub(super) fn sysctls(subject: &Subject<'_>, findings: &mut Findings) {
    for name in subject.linux.sysctl.keys() {
        let path = parameter_path(name);
        if let Some(problem) = sysctl_problem(&path, subject) {
            findings.refuse(format_args!("linux.sysctl[{name:?}]"), problem);
        }
    }
}

fn sysctl_problem(path: &str, subject: &Subject<'_>) -> Option<String> {
    // CVE-2025-52881: a write must land where the name says.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("is no name of a kernel parameter".into());
    }
    let conflict = |field: &str| Some(format!("is set by {field:?} instead"));
    let namespace = match path {
        "kernel/hostname" => return conflict("hostname"),
        "kernel/domainname" if !subject.spec.domainname.is_empty() => {
            return conflict("domainname");
        }
        "kernel/domainname" => "uts",
        "kernel/shmmni" => "ipc",
        _ if IPC_PARAMETERS.contains(&path) || path.starts_with("fs/mqueue/") => "ipc",
        _ if path.starts_with("net/") => "network",
        _ if path.starts_with("user/") => "user",
        _ => return Some("belongs to no namespace: it would change the host".into()),
    };
    (!subject.has(namespace))
        .then(|| format!("needs a {namespace:?} namespace: the host must not change"))
}

/// SPEC(config-linux.md#network-devices)
pub(super) fn net_devices(subject: &Subject<'_>, findings: &mut Findings) {
    let devices = &subject.linux.net_devices;
    if !devices.is_empty() && !subject.has("network") {
        // COMPAT(runc): its words, which scripts look for.
        let problem = "unable to move network devices without a NET namespace";
        findings.refuse("linux.netDevices", problem);
    }
    let mut taken = HashSet::new();
    for (outside, device) in devices {
        let inside = if device.name.is_empty() {
            outside
        } else {
            &device.name
        };
        for name in [outside, inside]
            .into_iter()
            .filter(|name| !is_interface_name(name))
        {
            let problem = format!("{name:?} is no name of a network device");
            findings.refuse(format_args!("linux.netDevices[{outside:?}]"), problem);
        }
        // The kernel numbers `%d` itself, so that two such names don't clash.
        if !taken.insert(inside) && !inside.contains("%d") {
            let problem = format!("another device is called {inside:?} inside too");
            findings.refuse(format_args!("linux.netDevices[{outside:?}].name"), problem);
        }
    }
}

/// The kernel's own rule for names of network devices.
fn is_interface_name(name: &str) -> bool {
    const LONGEST: usize = 15;
    let forbidden = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace();
    !matches!(name, "" | "." | "..") && name.len() <= LONGEST && !name.bytes().any(forbidden)
}
