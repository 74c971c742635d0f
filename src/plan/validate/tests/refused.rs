//! Values that no namespace makes valid, one a line.

use super::*;

#[test]
fn a_forbidden_value_is_refused_by_its_json_path() {
    let mapping =
        |container, host, size| json!({"containerID": container, "hostID": host, "size": size});
    let table = [
        ("/ociVersion", Value::Null, "ociVersion: is required"),
        (
            "/ociVersion",
            json!("2.0.0"),
            "ociVersion: \"2.0.0\" is not supported: this runtime knows 1.0.0 to 1.3.0",
        ),
        (
            "/ociVersion",
            json!("0.5.0"),
            "ociVersion: \"0.5.0\" is not supported",
        ),
        (
            "/ociVersion",
            json!("1.0"),
            "ociVersion: \"1.0\" is no version",
        ),
        (
            "/ociVersion",
            json!("latest"),
            "ociVersion: \"latest\" is no version",
        ),
        ("/root", Value::Null, "root: is required"),
        ("/root/path", Value::Null, "root.path: is required"),
        (
            "/hostname",
            json!("x".repeat(65)),
            "hostname: is 65 bytes long",
        ),
        (
            "/hooks/poststop",
            json!([{"args": ["x"]}]),
            "hooks.poststop[0].path: is required",
        ),
        (
            "/hooks/createRuntime",
            json!([{"path": "/x", "timeout": 0}]),
            "hooks.createRuntime[0].timeout: must be greater than 0, not 0",
        ),
        (
            "/hooks/startContainer",
            json!([{"path": "/x", "timeout": -3}]),
            "hooks.startContainer[0].timeout: must be",
        ),
        (
            "/mounts",
            json!([{"destination": "/x", "options": ["idmap"], "uidMappings": [mapping(0, 0, 0)]}]),
            "mounts[0].uidMappings[0].size: must not be 0",
        ),
        ("/process/args", json!([]), "process.args: needs a program"),
        ("/process/cwd", json!(""), "process.cwd: is required"),
        (
            "/process/cwd",
            json!("tmp"),
            "process.cwd: \"tmp\" is not absolute",
        ),
        (
            "/process/user/uid",
            json!(10),
            "process.user.uid: 10 is not mapped",
        ),
        (
            "/process/user/gid",
            json!(10),
            "process.user.gid: 10 is not mapped",
        ),
        (
            "/process/user/additionalGids",
            json!([1, 11]),
            "process.user.additionalGids[1]: 11 is not mapped",
        ),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NO", "soft": 1, "hard": 1}]),
            "process.rlimits[0].type: \"RLIMIT_NO\"",
        ),
        (
            "/process/oomScoreAdj",
            json!(1001),
            "process.oomScoreAdj: must lie",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_NO"}),
            "process.scheduler.policy: ",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "process.ioPriority.priority: ",
        ),
        (
            "/process/execCPUAffinity",
            json!({"initial": "0", "final": "a"}),
            "process.execCPUAffinity.final: ",
        ),
        (
            "/linux/namespaces/3/type",
            json!("ipcs"),
            "linux.namespaces[3].type: \"ipcs\" is no namespace type",
        ),
        (
            "/linux/namespaces/3/type",
            json!("pid"),
            "linux.namespaces[3].type: \"pid\" is given twice",
        ),
        (
            "/linux/uidMappings",
            json!([mapping(0, 0, 0)]),
            "linux.uidMappings[0].size: must not be 0",
        ),
        (
            "/linux/uidMappings",
            json!([mapping(0, u32::MAX, 2)]),
            "linux.uidMappings[0]: runs past",
        ),
        (
            "/linux/gidMappings",
            json!([mapping(0, 0, 5), mapping(4, 9, 1)]),
            "linux.gidMappings[1]: overlaps",
        ),
        (
            "/linux/gidMappings",
            json!([mapping(0, 0, 5), mapping(9, 4, 1)]),
            "linux.gidMappings[1]: overlaps",
        ),
        (
            "/linux/gidMappings",
            Value::Array((0..341).map(|id| mapping(id, id, 1)).collect()),
            "linux.gidMappings: the kernel takes at most 340",
        ),
        (
            "/linux/timeOffsets",
            json!({"realtime": {"secs": 1}}),
            "linux.timeOffsets: \"realtime\" is none of",
        ),
        (
            "/linux/timeOffsets",
            json!({"boottime": {"nanosecs": 1_000_000_000}}),
            "linux.timeOffsets.boottime.nanosecs: ",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.hostname": "x"}),
            "linux.sysctl[\"kernel.hostname\"]: is set by \"hostname\"",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.panic": "1"}),
            "linux.sysctl[\"kernel.panic\"]: belongs to no namespace",
        ),
        (
            "/linux/sysctl",
            json!({"vm.swappiness": "1"}),
            "linux.sysctl[\"vm.swappiness\"]: belongs to no namespace",
        ),
        (
            "/linux/sysctl",
            json!({"net/../kernel/panic": "1"}),
            "linux.sysctl[\"net/../kernel/panic\"]: is no name",
        ),
        (
            "/linux/sysctl",
            json!({"net..x": "1"}),
            "linux.sysctl[\"net..x\"]: is no name",
        ),
        (
            "/linux/devices",
            json!([{"type": "x", "path": "/x"}]),
            "linux.devices[0].type: \"x\" is none of",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "x"}]),
            "linux.devices[0].path: \"x\" is not absolute",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "/x", "major": -1}]),
            "linux.devices[0].major: -1 is no device number",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "/x", "major": 1}, {"type": "b", "path": "/x", "major": 1}]),
            "linux.devices[1].path: /x is already another device",
        ),
        (
            "/linux/netDevices",
            json!({"eth0": {"name": "a/b"}}),
            "linux.netDevices[\"eth0\"]: \"a/b\" is no name",
        ),
        (
            "/linux/netDevices",
            json!({"a-name-of-16-char": {}}),
            "linux.netDevices[\"a-name-of-16-char\"]: ",
        ),
        (
            "/linux/netDevices",
            json!({"eth0": {"name": "x"}, "eth1": {"name": "x"}}),
            "linux.netDevices[\"eth1\"].name: another device",
        ),
        (
            "/linux/rootfsPropagation",
            json!("public"),
            "linux.rootfsPropagation: \"public\" is none of",
        ),
        (
            "/linux/rootfsPropagation",
            json!("r"),
            "linux.rootfsPropagation: \"r\" is none of",
        ),
        (
            "/linux/intelRdt/closID",
            json!("a/b"),
            "linux.intelRdt.closID: ",
        ),
        (
            "/linux/intelRdt/closID",
            json!(".."),
            "linux.intelRdt.closID: ",
        ),
        (
            "/linux/intelRdt/memBwSchema",
            json!("L3:0=f"),
            "linux.intelRdt.memBwSchema: ",
        ),
        (
            "/linux/intelRdt/schemata",
            json!(["L3:0=f", "MB:0=1\nL2:0=1"]),
            "linux.intelRdt.schemata[1]: must be one line",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND"}),
            "linux.memoryPolicy: set_mempolicy: invalid argument: this mode needs nodes",
        ),
        (
            "/linux/personality",
            json!({"domain": "BSD"}),
            "linux.personality.domain: ",
        ),
        (
            "/linux/resources/devices",
            json!([{"allow": true, "type": "p"}]),
            "linux.resources.devices[0].type: ",
        ),
        (
            "/linux/resources/devices",
            json!([{"allow": true, "access": "x"}]),
            "linux.resources.devices[0].access: ",
        ),
        (
            "/linux/resources/devices",
            json!([{"allow": true, "minor": -2}]),
            "linux.resources.devices[0].minor: ",
        ),
        (
            "/linux/resources/memory",
            json!({"limit": -2}),
            "linux.resources.memory.limit: ",
        ),
        (
            "/linux/resources/memory",
            json!({"limit": 100, "swap": 50}),
            "linux.resources.memory.swap: 50 counts memory too",
        ),
        (
            "/linux/resources/cpu",
            json!({"quota": 10, "burst": 11}),
            "linux.resources.cpu.burst: 11 must not be above",
        ),
        (
            "/linux/resources/cpu",
            json!({"idle": 2}),
            "linux.resources.cpu.idle: must be 0 or 1",
        ),
        (
            "/linux/resources/cpu",
            json!({"cpus": "0\u{1}"}),
            "linux.resources.cpu.cpus: is no list",
        ),
        (
            "/linux/resources/hugepageLimits",
            json!([{"pageSize": "../2MB", "limit": 1}]),
            "linux.resources.hugepageLimits[0].pageSize: ",
        ),
        (
            "/linux/resources/rdma",
            json!({"a b": {"hcaHandles": 1}}),
            "linux.resources.rdma: \"a b\" is no name",
        ),
        (
            "/linux/resources/unified",
            json!({"../x": "1"}),
            "linux.resources.unified: \"../x\" is no name",
        ),
    ];
    for (pointer, value, expected) in table
        .into_iter()
        .filter(|(.., expected)| !expected.is_empty())
    {
        let error = judged(&with(pointer, value), false)
            .expect_err(pointer)
            .to_string();
        assert!(
            error.starts_with(expected),
            "{pointer}: {error}\n  should start with {expected}"
        );
    }
}
