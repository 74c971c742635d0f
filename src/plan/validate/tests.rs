//! What the specification forbids, what peers accept, and what reaches the host.

use super::*;
use crate::host::CgroupLayout;
use serde_json::{Value, json};

mod refused;

fn host() -> Host {
    Host {
        uid: 0,
        gid: 0,
        in_initial_userns: true,
        capabilities: u64::MAX,
        bounding: u64::MAX,
        last_capability: 40,
        cgroups: CgroupLayout::None,
        own_cgroups: vec![],
        apparmor: false,
        selinux: false,
    }
}

/// A configuration that breaks no rule, with every namespace.
fn valid() -> Value {
    let kinds = [
        "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time",
    ];
    json!({
        "ociVersion": "1.3.0",
        "root": { "path": "rootfs" },
        "process": { "args": ["sh"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "hostname": "web1",
        "linux": {
            "namespaces": kinds.map(|kind| json!({ "type": kind })),
            "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
            "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
        },
    })
}

/// Puts `value` at a JSON pointer, making objects on the way; null removes.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    let mut parts = pointer.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let part = part.replace("~1", "/");
        if value.is_null() && parts.peek().is_none() {
            place.as_object_mut().expect("an object").remove(&part);
            return;
        }
        place = match place {
            Value::Array(items) => &mut items[part.parse::<usize>().expect("an index")],
            object => object
                .as_object_mut()
                .expect("an object")
                .entry(part)
                .or_insert_with(|| json!({})),
        };
    }
    *place = value;
}

fn judged(document: &Value, strict: bool) -> Result<Vec<String>> {
    let spec = Spec::parse(document.to_string().as_bytes()).expect("parses");
    let options = Options {
        strict,
        ..Options::default()
    };
    validate(&spec, &host(), &options)
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = valid();
    put(&mut document, pointer, value);
    document
}

fn without_namespace(kind: &str, pointer: &str, value: Value) -> Value {
    let mut document = with(pointer, value);
    let namespaces = document["linux"]["namespaces"]
        .as_array_mut()
        .expect("an array");
    namespaces.retain(|namespace| namespace["type"] != kind);
    document
}

#[test]
fn the_base_of_all_these_tests_is_valid() {
    assert_eq!(judged(&valid(), true).expect("is valid"), [""; 0]);
}

#[test]
fn what_peers_accept_is_a_warning_unless_strict() {
    let table = [
        ("/annotations", json!({"": "x"}), "annotations: a key"),
        (
            "/hooks/prestart",
            json!([{"path": "bin/x"}]),
            "hooks.prestart[0].path: must be absolute",
        ),
        ("/process/user/umask", json!(0o1000), "process.user.umask: "),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_AS", "soft": 1, "hard": 1}, {"type": "RLIMIT_AS", "soft": 1, "hard": 2}]),
            "process.rlimits[1].type: RLIMIT_AS is given twice",
        ),
        (
            "/linux/namespaces/0/path",
            json!("proc/1/ns/pid"),
            "linux.namespaces[0].path: must be absolute",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "/a", "major": 1, "minor": 2}, {"type": "c", "path": "/b", "major": 1, "minor": 2}]),
            "linux.devices[1]: an earlier entry",
        ),
        (
            "/linux/resources/devices",
            json!([{"allow": false, "access": "rwa"}]),
            "linux.resources.devices[0].access: \"rwa\" is not made of r, w, m",
        ),
        (
            "/linux/maskedPaths",
            json!(["proc/kcore"]),
            "linux.maskedPaths[0]: ",
        ),
        (
            "/linux/readonlyPaths",
            json!(["/proc/sys", "x"]),
            "linux.readonlyPaths[1]: ",
        ),
        (
            "/linux/intelRdt/l3CacheSchema",
            json!("MB:0=1"),
            "linux.intelRdt.l3CacheSchema: ",
        ),
        (
            "/linux/resources/pids",
            json!({}),
            "linux.resources.pids.limit: is required",
        ),
        (
            "/linux/resources/memory/swappiness",
            json!(101),
            "linux.resources.memory.swappiness: ",
        ),
        (
            "/linux/resources/blockIO/weight",
            json!(9),
            "linux.resources.blockIO.weight: ",
        ),
        (
            "/linux/resources/blockIO/weightDevice",
            json!([{"major": 8, "minor": 0}]),
            "linux.resources.blockIO.weightDevice[0]: ",
        ),
        (
            "/linux/resources/rdma",
            json!({"mlx5_1": {}}),
            "linux.resources.rdma[\"mlx5_1\"]: ",
        ),
        (
            "/linux/resources/network/priorities",
            json!([{"priority": 1}]),
            "linux.resources.network.priorities[0].name: ",
        ),
        (
            "/mounts",
            json!([{"destination": "/x", "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "options": ["bind"]}]),
            "mounts[0].options: should hold idmap",
        ),
    ];
    for (pointer, value, expected) in table {
        let document = with(pointer, value);
        let warnings = judged(&document, false).expect(pointer);
        assert_eq!(warnings.len(), 1, "{pointer}: {warnings:?}");
        assert!(
            warnings[0].starts_with(expected),
            "{} should start with {expected}",
            warnings[0]
        );
        let error = judged(&document, true).expect_err(pointer).to_string();
        assert!(
            error.starts_with(expected),
            "{error} should start with {expected}"
        );
    }
}

#[test]
fn a_setting_without_its_namespace_would_reach_the_host() {
    let table = [
        (
            "uts",
            "/domainname",
            json!("x"),
            "hostname: needs a \"uts\" namespace",
        ),
        (
            "uts",
            "/linux/sysctl",
            json!({"kernel.domainname": "x"}),
            "hostname: ",
        ),
        (
            "ipc",
            "/linux/sysctl",
            json!({"kernel.shmmax": "1"}),
            "linux.sysctl[\"kernel.shmmax\"]: needs a \"ipc\" namespace",
        ),
        (
            "ipc",
            "/linux/sysctl",
            json!({"fs.mqueue.msg_max": "1"}),
            "linux.sysctl",
        ),
        (
            "network",
            "/linux/sysctl",
            json!({"net/ipv4/conf/eth0.1/forwarding": "1"}),
            "linux.sysctl",
        ),
        (
            "user",
            "/linux/sysctl",
            json!({"user.max_user_namespaces": "1"}),
            "linux.uidMappings: needs a \"user\" namespace",
        ),
        (
            "network",
            "/linux/netDevices",
            json!({"eth0": {}}),
            "linux.netDevices: unable to move network devices without a NET namespace",
        ),
        (
            "time",
            "/linux/timeOffsets",
            json!({"boottime": {"secs": 1}}),
            "linux.timeOffsets: needs a new \"time\"",
        ),
        (
            "mount",
            "/linux/maskedPaths",
            json!(["/x"]),
            "linux.maskedPaths: needs a \"mount\" namespace",
        ),
        (
            "mount",
            "/linux/readonlyPaths",
            json!(["/x"]),
            "linux.readonlyPaths: needs a \"mount\" namespace",
        ),
        (
            "mount",
            "/root/readonly",
            json!(true),
            "root.readonly: needs a \"mount\" namespace",
        ),
    ];
    for (kind, pointer, value, expected) in table {
        assert!(
            judged(&with(pointer, value.clone()), true).is_ok(),
            "{pointer} is valid with {kind}"
        );
        let error = judged(&without_namespace(kind, pointer, value), false)
            .expect_err(pointer)
            .to_string();
        assert!(
            error.starts_with(expected),
            "{pointer}: {error}\n  should start with {expected}"
        );
    }
    let joined = with("/linux/namespaces/7/path", json!("/ns"));
    let mut offsets = joined.clone();
    put(
        &mut offsets,
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1}}),
    );
    assert!(judged(&joined, true).is_ok() && judged(&offsets, false).is_err());
}

#[test]
fn versions_of_the_first_series_are_accepted() {
    for version in [
        "1.0.0",
        "1.0.2-dev",
        "1.1.0+dev",
        "1.3.0",
        "1.99.0-rc.1+build.5",
    ] {
        assert!(
            judged(&with("/ociVersion", json!(version)), true).is_ok(),
            "{version}"
        );
    }
    for version in [
        "1.0.0-",
        "1.0.0+",
        "01.0.0",
        "1.0.0.0",
        "1.0.x",
        "v1.0.0",
        "1..0",
        "1.0.0-a..b",
    ] {
        assert!(
            judged(&with("/ociVersion", json!(version)), false).is_err(),
            "{version}"
        );
    }
}

#[test]
fn a_configuration_without_a_process_is_valid() {
    assert!(judged(&with("/process", Value::Null), true).is_ok());
}

#[test]
fn a_nul_is_found_anywhere() {
    let table = [
        (
            "/annotations",
            json!({"k": "a\0"}),
            "annotations.k: holds a NUL byte",
        ),
        (
            "/process/args",
            json!(["sh", "\0"]),
            "process.args[1]: holds a NUL byte",
        ),
        (
            "/linux/sysctl",
            json!({"net.\0": "1"}),
            "linux.sysctl.net.\\u{0}: holds a NUL byte",
        ),
        ("/root/path", json!("a\0b"), "root.path: holds a NUL byte"),
    ];
    for (pointer, value, expected) in table {
        let error = judged(&with(pointer, value), false)
            .expect_err(pointer)
            .to_string();
        assert_eq!(error, expected);
    }
    assert!(
        judged(&with("/annotations", json!({"k": r"a\u0000"})), true).is_ok(),
        "only an escaped backslash"
    );
}

#[test]
fn an_ordinary_caller_needs_a_user_namespace() {
    let document = without_namespace("user", "/linux/uidMappings", Value::Null);
    let mut document = document;
    put(&mut document, "/linux/gidMappings", Value::Null);
    let spec = Spec::parse(document.to_string().as_bytes()).expect("parses");
    let ordinary = Host {
        uid: 1000,
        ..host()
    };
    let error = validate(&spec, &ordinary, &Options::default()).expect_err("must be refused");
    assert!(
        error
            .to_string()
            .starts_with("linux.namespaces: needs a \"user\" namespace")
    );
    assert!(validate(&spec, &host(), &Options::default()).is_ok());
}

#[test]
fn a_long_list_is_judged_in_no_time() {
    let limits: Vec<_> = (0..20_000)
        .map(|index| json!({"type": format!("RLIMIT_{index}")}))
        .collect();
    assert!(judged(&with("/process/rlimits", json!(limits)), false).is_err());
}

#[test]
fn a_parameter_is_found_by_either_spelling() {
    use crate::plan::field::parameter_path;
    let table = [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        (
            "net/ipv4/conf/eth0.100/forwarding",
            "net/ipv4/conf/eth0.100/forwarding",
        ),
        (
            "net.ipv4.conf.eth0/100.forwarding",
            "net/ipv4/conf/eth0.100/forwarding",
        ),
        ("x", "x"),
    ];
    for (name, path) in table {
        assert_eq!(parameter_path(name), path);
    }
}
