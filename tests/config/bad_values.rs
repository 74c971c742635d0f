//! Fields with values that can't be: the message names the field's JSON path, the exit code is 1, nothing is left.

use crate::support::{Bundle, Sandbox, Value, cases, json};

cases![
    wrong_types,
    nuls_in_strings,
    versions,
    missing_requirements,
    contradictions,
    namespaces,
    mounts,
    process,
    rlimits,
    linux,
    resources,
    hooks,
    id_mappings,
    sysctls,
];

/// A change to the default configuration and the path that the refusal must name.
pub type Row = (fn(Bundle) -> Bundle, &'static str);

/// Checks every row and reports all that fail at once.
#[track_caller]
pub fn refuse(t: &Sandbox, rows: &[Row]) {
    let mut problems = Vec::new();
    for (change, path) in rows {
        let bundle = change(t.bundle().args(&["/bin/true"]));
        let output = t.run(&bundle);
        let named = output.stderr.contains(path);
        if output.status.code() != Some(1) || !named || output.error_lines() != 1 {
            problems.push(format!("{path}: {output}"));
        }
        if !t.state_entries().is_empty() {
            problems.push(format!("{path}: state is left"));
        }
    }
    assert!(
        problems.is_empty(),
        "{} of {} not refused as they should be:\n{}",
        problems.len(),
        rows.len(),
        problems.join("\n")
    );
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

pub fn with(bundle: Bundle, pointer: &str, value: Value) -> Bundle {
    bundle.set(pointer, value)
}

fn wrong_types(t: &Sandbox) {
    refuse(
        t,
        &[
            (|b| with(b, "/ociVersion", json!(1)), "ociVersion"),
            (|b| with(b, "/process", json!("x")), "process"),
            (|b| with(b, "/process/args", json!("sh")), "process.args"),
            (
                |b| with(b, "/process/args", json!(["sh", 5])),
                "process.args[1]",
            ),
            (
                |b| with(b, "/process/user/uid", json!("root")),
                "process.user.uid",
            ),
            (
                |b| with(b, "/process/user/uid", json!(-1)),
                "process.user.uid",
            ),
            (
                |b| with(b, "/process/user/uid", json!(4_294_967_296_u64)),
                "process.user.uid",
            ),
            (
                |b| with(b, "/process/terminal", json!("yes")),
                "process.terminal",
            ),
            (|b| with(b, "/root", json!([])), "root"),
            (|b| with(b, "/root/path", json!({})), "root.path"),
            (|b| with(b, "/mounts", json!({})), "mounts"),
            (
                |b| with(b, "/mounts/2/options", json!("ro")),
                "mounts[2].options",
            ),
            (|b| with(b, "/hostname", json!(["a"])), "hostname"),
            (
                |b| with(b, "/linux/namespaces", json!({})),
                "linux.namespaces",
            ),
            (
                |b| with(b, "/linux/resources/memory", json!({"limit": "1G"})),
                "linux.resources.memory.limit",
            ),
            (
                |b| with(b, "/linux/resources/memory", json!({"limit": 1e30})),
                "linux.resources.memory.limit",
            ),
            (
                |b| with(b, "/linux/resources/cpu", json!({"shares": -1})),
                "linux.resources.cpu.shares",
            ),
            (|b| with(b, "/annotations", json!({"a": 1})), "annotations"),
            (
                |b| with(b, "/hooks", json!({"prestart": {}})),
                "hooks.prestart",
            ),
        ],
    );
}

fn nuls_in_strings(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| with(b, "/process/args", json!(["/bin/true", "a\0b"])),
                "process.args[1]",
            ),
            (
                |b| with(b, "/process/env", json!(["A=b\0c"])),
                "process.env[0]",
            ),
            (|b| with(b, "/process/cwd", json!("/\0")), "process.cwd"),
            (|b| with(b, "/root/path", json!("root\0fs")), "root.path"),
            (|b| with(b, "/hostname", json!("a\0b")), "hostname"),
            (
                |b| with(b, "/mounts/0/destination", json!("/pr\0oc")),
                "mounts[0].destination",
            ),
            (
                |b| with(b, "/mounts/0/source", json!("pr\0oc")),
                "mounts[0].source",
            ),
            (
                |b| with(b, "/mounts/1/options", json!(["mode=\0"])),
                "mounts[1].options[0]",
            ),
            (
                |b| with(b, "/linux/maskedPaths", json!(["/proc/a\0b"])),
                "linux.maskedPaths[0]",
            ),
            (
                |b| with(b, "/linux/readonlyPaths", json!(["/proc/a\0b"])),
                "linux.readonlyPaths[0]",
            ),
            (
                |b| with(b, "/linux/cgroupsPath", json!("/a\0b")),
                "linux.cgroupsPath",
            ),
        ],
    );
}

fn versions(t: &Sandbox) {
    refuse(
        t,
        &[
            (|b| b.without("/ociVersion"), "ociVersion"),
            (|b| with(b, "/ociVersion", json!("")), "ociVersion"),
            (|b| with(b, "/ociVersion", json!("2.0.0")), "ociVersion"),
            (|b| with(b, "/ociVersion", json!("0.9.0")), "ociVersion"),
            (|b| with(b, "/ociVersion", json!("one")), "ociVersion"),
        ],
    );
    for version in ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.3.0+dev"] {
        t.run(
            &t.bundle()
                .args(&["/bin/true"])
                .set("/ociVersion", json!(version)),
        )
        .ok();
    }
}

fn missing_requirements(t: &Sandbox) {
    refuse(
        t,
        &[
            (|b| b.without("/root"), "root"),
            (|b| b.without("/root/path"), "root.path"),
            (|b| with(b, "/root/path", json!("")), "root.path"),
            (|b| b.without("/process/args"), "process.args"),
            (|b| with(b, "/process/args", json!([])), "process.args"),
            (|b| b.without("/process/cwd"), "process.cwd"),
            (
                |b| with(b, "/mounts/0", json!({"type": "proc"})),
                "mounts[0].destination",
            ),
            (
                |b| b.push("/linux/namespaces", json!({})),
                "linux.namespaces[5].type",
            ),
            (
                |b| {
                    b.push(
                        "/linux/devices",
                        json!({"type": "c", "major": 1, "minor": 3}),
                    )
                },
                "linux.devices[0].path",
            ),
            (
                |b| with(b, "/linux/seccomp", json!({})),
                "linux.seccomp.defaultAction",
            ),
        ],
    );
}

fn contradictions(t: &Sandbox) {
    refuse(
        t,
        &[
            (|b| b.without_namespace("uts"), "hostname"),
            (
                |b| {
                    b.without_namespace("uts")
                        .without("/hostname")
                        .set("/domainname", json!("x"))
                },
                "domainname",
            ),
            (
                |b| with(b, "/linux/timeOffsets", json!({"boottime": {"secs": 1}})),
                "linux.timeOffsets",
            ),
            (
                |b| {
                    b.without_namespace("network")
                        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))
                },
                "linux.sysctl",
            ),
        ],
    );
}

fn namespaces(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| b.push("/linux/namespaces", json!({"type": "pid"})),
                "linux.namespaces[5]",
            ),
            (
                |b| b.push("/linux/namespaces", json!({"type": "space"})),
                "linux.namespaces[5].type",
            ),
            (
                |b| b.namespace_at("ipc", "/proc/self/ns/net"),
                "/proc/self/ns/net",
            ),
            (
                |b| b.namespace_at("ipc", "/no/such/namespace"),
                "/no/such/namespace",
            ),
            (|b| b.namespace_at("ipc", "/etc/passwd"), "/etc/passwd"),
            (
                |b| b.namespace_at("ipc", "relative"),
                "linux.namespaces[4].path",
            ),
        ],
    );
}

fn mounts(t: &Sandbox) {
    refuse(
        t,
        &[
            (|b| b.mount("/mnt", "nosuchfs", "none", &[]), "nosuchfs"),
            (
                |b| b.mount("/mnt", "tmpfs", "tmpfs", &["nosuchoption"]),
                "nosuchoption",
            ),
            (
                |b| b.mount("/mnt", "tmpfs", "tmpfs", &["size=many"]),
                "size=many",
            ),
            (
                |b| b.mount("/mnt", "bind", "/no/such/source", &["bind"]),
                "/no/such/source",
            ),
            (
                |b| b.mount("/mnt", "tmpfs", "tmpfs", &["idmap"]),
                "mounts[7]",
            ),
        ],
    );
}

fn process(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| with(b, "/process/cwd", json!("relative")),
                "process.cwd",
            ),
            (|b| with(b, "/process/cwd", json!("")), "process.cwd"),
            (
                |b| with(b, "/process/oomScoreAdj", json!(5000)),
                "process.oomScoreAdj",
            ),
            (
                |b| with(b, "/process/oomScoreAdj", json!(-1001)),
                "process.oomScoreAdj",
            ),
            (
                |b| with(b, "/process/scheduler", json!({"policy": "SCHED_NONE"})),
                "process.scheduler.policy",
            ),
            (
                |b| {
                    with(
                        b,
                        "/process/scheduler",
                        json!({"policy": "SCHED_OTHER", "flags": ["NO"]}),
                    )
                },
                "process.scheduler.flags[0]",
            ),
            (
                |b| {
                    with(
                        b,
                        "/process/ioPriority",
                        json!({"class": "HIGH", "priority": 1}),
                    )
                },
                "process.ioPriority.class",
            ),
            (
                |b| {
                    with(
                        b,
                        "/process/ioPriority",
                        json!({"class": "IOPRIO_CLASS_BE", "priority": 9}),
                    )
                },
                "process.ioPriority.priority",
            ),
            (
                |b| with(b, "/process/execCPUAffinity", json!({"initial": "a-b"})),
                "process.execCPUAffinity.initial",
            ),
        ],
    );
}

fn rlimits(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| {
                    with(
                        b,
                        "/process/rlimits",
                        json!([{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}]),
                    )
                },
                "process.rlimits[0].type",
            ),
            (
                |b| {
                    with(
                        b,
                        "/process/rlimits",
                        json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
                    )
                },
                "process.rlimits[0]",
            ),
            (
                |b| with(b, "/process/rlimits", json!([{"soft": 1, "hard": 1}])),
                "process.rlimits[0].type",
            ),
            (
                |b| {
                    with(
                        b,
                        "/process/rlimits",
                        json!([{"type": "RLIMIT_CORE", "soft": -1, "hard": 1}]),
                    )
                },
                "process.rlimits[0].soft",
            ),
        ],
    );
}

fn linux(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| with(b, "/linux/rootfsPropagation", json!("sideways")),
                "linux.rootfsPropagation",
            ),
            (
                |b| with(b, "/linux/personality", json!({"domain": "BSD"})),
                "linux.personality.domain",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/personality",
                        json!({"domain": "LINUX", "flags": ["X"]}),
                    )
                },
                "linux.personality.flags",
            ),
            (
                |b| with(b, "/linux/memoryPolicy", json!({"mode": "MPOL_MINE"})),
                "linux.memoryPolicy.mode",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/memoryPolicy",
                        json!({"mode": "MPOL_BIND", "nodes": "x"}),
                    )
                },
                "linux.memoryPolicy.nodes",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/devices",
                        json!([{"type": "x", "path": "/dev/x", "major": 1, "minor": 3}]),
                    )
                },
                "linux.devices[0].type",
            ),
            (
                |b| {
                    with(b, "/linux/timeOffsets", json!({"wallclock": {"secs": 1}}))
                        .namespace("time")
                },
                "linux.timeOffsets",
            ),
        ],
    );
}

fn resources(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| {
                    with(
                        b,
                        "/linux/resources/devices",
                        json!([{"allow": true, "type": "z", "access": "r"}]),
                    )
                },
                "linux.resources.devices[0].type",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/resources/devices",
                        json!([{"allow": true, "type": "c", "access": "q"}]),
                    )
                },
                "linux.resources.devices[0].access",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/resources/memory",
                        json!({"limit": 10_000_000, "swap": 5_000_000}),
                    )
                },
                "linux.resources.memory.swap",
            ),
            (
                |b| with(b, "/linux/resources/cpu", json!({"cpus": "nope"})),
                "cpus",
            ),
        ],
    );
}

fn hooks(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| b.hook("createRuntime", json!({})),
                "hooks.createRuntime[0].path",
            ),
            (
                |b| {
                    b.hook("poststart", json!({"path": "/bin/true"}))
                        .hook("poststart", json!({"path": "/bin/true", "timeout": 0}))
                },
                "hooks.poststart[1].timeout",
            ),
        ],
    );
}

/// A user namespace with these uid mappings and one good gid mapping.
fn mapped(bundle: Bundle, ranges: Value) -> Bundle {
    let good = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle
        .namespace("user")
        .set("/linux/uidMappings", ranges)
        .set("/linux/gidMappings", good)
}

fn id_mappings(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| mapped(b, json!([{"containerID": 0, "hostID": 0, "size": 0}])),
                "linux.uidMappings",
            ),
            (
                |b| {
                    let ranges = json!([{"containerID": 0, "hostID": 0, "size": 5}, {"containerID": 2, "hostID": 9, "size": 1}]);
                    mapped(b, ranges)
                },
                "linux.uidMappings",
            ),
            (
                |b| {
                    mapped(
                        b,
                        json!([{"containerID": 0, "hostID": 4_294_967_000_u32, "size": 4_294_967_295_u32}]),
                    )
                },
                "linux.uidMappings",
            ),
        ],
    );
}

fn sysctls(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| with(b, "/linux/sysctl", json!({"vm.swappiness": "10"})),
                "linux.sysctl",
            ),
            (
                |b| with(b, "/linux/sysctl", json!({"kernel.core_pattern": "x"})),
                "linux.sysctl",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/sysctl",
                        json!({"net.ipv4/../../kernel.panic": "1"}),
                    )
                },
                "linux.sysctl",
            ),
            (
                |b| with(b, "/linux/sysctl", json!({"kernel.hostname": "a"})),
                "kernel.hostname",
            ),
            (
                |b| with(b, "/linux/sysctl", json!({"net.no.such": "1"})),
                "net.no.such",
            ),
        ],
    );
}
