//! `linux.devices` and the default devices, and what the cgroup lets through.

use crate::support::{Bundle, Sandbox, cases, json, runtime, skip};

cases![
    default_devices,
    default_devices_work,
    default_links,
    ptmx_stays_the_link,
    configured_device,
    device_outside_dev,
    fifo,
    umask_of_the_caller_is_ignored,
    default_is_deny,
    rules_apply_in_order,
    allows_a_class,
    makes_no_node_on_the_host,
    replaces_nothing_that_is_right,
    user_namespace_binds_devices,
    user_namespace_binds_what_the_host_has,
    user_namespace_gets_what_the_host_lacks,
    user_namespace_owners_must_be_mapped,
    full_rules
];

fn default_devices(t: &Sandbox) {
    let script = "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a %u:%g %F' /dev/$d; done";
    let numbers = [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ];
    let expected: Vec<String> = numbers
        .iter()
        .map(|(name, number)| format!("/dev/{name} {number} 666 0:0 character special file"))
        .collect();
    assert_eq!(t.sh(t.bundle(), script), expected.join("\n"));
}

fn default_devices_work(t: &Sandbox) {
    t.run(&t.bundle().shell("echo x > /dev/null && head -c 1 /dev/zero >/dev/null && head -c 1 /dev/urandom > /dev/null && ! echo x > /dev/full")).ok();
}

fn default_links(t: &Sandbox) {
    let seen = t.sh(
        t.bundle(),
        "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done",
    );
    assert_eq!(
        seen,
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx"
    );
}

// An engine lists the host's devices for a privileged container, and among them the multiplexer of terminals.
fn ptmx_stays_the_link(t: &Sandbox) {
    let device = json!({"type": "c", "path": "/dev/ptmx", "major": 5, "minor": 2});
    let bundle = t.bundle().push("/linux/devices", device);
    assert_eq!(t.sh(bundle, "readlink /dev/ptmx"), "pts/ptmx");
}

fn configured_device(t: &Sandbox) {
    let device = json!({"type": "c", "path": "/dev/kmsg2", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 5, "gid": 6});
    let seen = t.sh(
        t.bundle().push("/linux/devices", device),
        "stat -c '%t:%T %a %u:%g' /dev/kmsg2",
    );
    assert_eq!(seen, "1:b 640 5:6");
    let block =
        json!({"type": "b", "path": "/dev/disk/loop", "major": 7, "minor": 200, "fileMode": 0o600});
    let seen = t.sh(
        t.bundle().push("/linux/devices", block),
        "stat -c '%F %t:%T %a' /dev/disk/loop",
    );
    assert_eq!(seen, "block special file 7:c8 600");
    if !runtime::is_ours() {
        return;
    }
    let slash = json!({"type": "p", "path": "/dev/pipe/", "fileMode": 0o600});
    let seen = t.sh(
        t.bundle().push("/linux/devices", slash),
        "stat -c %F /dev/pipe",
    );
    assert_eq!(seen, "fifo");
}

fn device_outside_dev(t: &Sandbox) {
    let device =
        json!({"type": "u", "path": "/opt/a/null", "major": 1, "minor": 3, "fileMode": 0o666});
    let bundle = t.bundle().writable().push("/linux/devices", device).push(
        "/linux/resources/devices",
        json!({"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}),
    );
    assert_eq!(
        t.sh(bundle, "echo x > /opt/a/null && stat -c %t:%T /opt/a/null"),
        "1:3"
    );
}

fn fifo(t: &Sandbox) {
    let device = json!({"type": "p", "path": "/dev/pipe", "fileMode": 0o622});
    assert_eq!(
        t.sh(
            t.bundle().push("/linux/devices", device),
            "stat -c '%F %a' /dev/pipe"
        ),
        "fifo 622"
    );
}

fn umask_of_the_caller_is_ignored(t: &Sandbox) {
    let device =
        json!({"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o666});
    let bundle = t
        .bundle()
        .push("/linux/devices", device)
        .shell("stat -c %a /dev/mine /dev/null");
    bundle.write();
    let output = t.run_through(&["sh", "-c", "umask 077; exec \"$0\" \"$@\""], &bundle);
    assert_eq!(output.text(), "666\n666");
}

fn default_is_deny(t: &Sandbox) {
    let device =
        json!({"type": "b", "path": "/dev/vda", "major": 254, "minor": 0, "fileMode": 0o666});
    let bundle = t.bundle().push("/linux/devices", device);
    let output = t.run(&bundle.shell("head -c 1 /dev/vda")).fails();
    assert!(
        output.stderr.contains("Operation not permitted"),
        "{output}"
    );
}

fn rules_apply_in_order(t: &Sandbox) {
    let device =
        json!({"type": "c", "path": "/dev/fuse2", "major": 10, "minor": 229, "fileMode": 0o666});
    let allow = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"});
    let bundle = t
        .bundle()
        .push("/linux/devices", device)
        .push("/linux/resources/devices", allow);
    t.run(&bundle.clone().shell(": < /dev/fuse2")).ok();
    t.run(&bundle.clone().shell(": > /dev/fuse2")).fails();
    let deny = json!({"allow": false, "type": "c", "major": 10, "minor": 229, "access": "r"});
    t.run(
        &bundle
            .push("/linux/resources/devices", deny)
            .shell(": < /dev/fuse2"),
    )
    .fails();
}

fn allows_a_class(t: &Sandbox) {
    let device =
        json!({"type": "c", "path": "/dev/fuse2", "major": 10, "minor": 229, "fileMode": 0o666});
    for rule in [
        json!({"allow": true, "type": "c", "major": 10, "access": "rwm"}),
        json!({"allow": true, "access": "rwm"}),
        json!({"allow": true, "type": "a", "access": "rwm"}),
    ] {
        let bundle = t
            .bundle()
            .push("/linux/devices", device.clone())
            .push("/linux/resources/devices", rule);
        t.run(&bundle.shell(": < /dev/fuse2")).ok();
    }
}

fn makes_no_node_on_the_host(t: &Sandbox) {
    let bundle = t.bundle().writable();
    t.run(&bundle.clone().args(&["/bin/true"])).ok();
    assert_eq!(
        std::fs::read_dir(bundle.rootfs().join("dev"))
            .expect("list /dev")
            .count(),
        0,
        "/dev of the root file system is covered by a tmpfs"
    );
}

fn replaces_nothing_that_is_right(t: &Sandbox) {
    let device =
        json!({"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o666});
    assert_eq!(
        t.sh(
            t.bundle().push("/linux/devices", device),
            "echo x > /dev/null; stat -c %t:%T /dev/null"
        ),
        "1:3"
    );
}

fn user_namespace_binds_devices(t: &Sandbox) {
    let bundle = t.bundle().user_namespace(100_000, 65_536);
    assert_eq!(
        t.sh(
            bundle,
            "echo x > /dev/null; stat -c '%t:%T %F' /dev/null; head -c 2 /dev/zero | wc -c"
        ),
        "1:3 character special file\n2"
    );
}

/// The first two paths are none of the host's, the last is there another device's.
fn not_the_hosts(bundle: Bundle) -> Bundle {
    let devices = json!([
        {"type": "c", "path": "/dev/of-its-own", "major": 1, "minor": 5, "fileMode": 0o644, "uid": 10, "gid": 11},
        {"type": "b", "path": "/dev/deep/disk", "major": 7, "minor": 200},
        {"type": "c", "path": "/dev/full", "major": 1, "minor": 3, "fileMode": 0o606},
    ]);
    bundle.set("/linux/devices", devices)
}

// COMPAT(crun)
fn user_namespace_gets_what_the_host_lacks(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("crun has it since 1.9");
    }
    let bundle = not_the_hosts(t.bundle().user_namespace(100_000, 65_536));
    let script = "cd /dev; stat -c '%n %F %t:%T %a %u:%g' of-its-own deep/disk full; \
        head -c 2 of-its-own | wc -c; echo x >full && echo written; cat /proc/self/uid_map | tr -s ' '";
    let expected = "of-its-own character special file 1:5 644 10:11\n\
        deep/disk block special file 7:c8 666 0:0\n\
        full character special file 1:3 606 0:0\n2\nwritten\n 0 100000 65536";
    assert_eq!(t.sh(bundle.clone(), script), expected);
    let container = t.running(bundle);
    assert_eq!(
        container
            .sh("head -c 2 /dev/of-its-own | wc -c; grep -c ' /dev/of-its-own ' /proc/1/mountinfo"),
        "2\n1"
    );
    assert!(!std::path::Path::new("/dev/of-its-own").exists());
}

// The container's root gets no more of the host's device than its id has on the host.
fn user_namespace_binds_what_the_host_has(t: &Sandbox) {
    let device = json!({"type": "c", "path": "/dev/zero", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 10, "gid": 11});
    let bundle = t.bundle().user_namespace(100_000, 65_536);
    let bundle = bundle.push("/linux/devices", device);
    assert_eq!(
        t.sh(bundle, "stat -c '%t:%T %a %u:%g' /dev/zero"),
        "1:5 666 65534:65534"
    );
}

fn user_namespace_owners_must_be_mapped(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("the others bind the host's device only, or take an owner of their own choice");
    }
    let bundle = not_the_hosts(t.bundle().user_namespace(100_000, 10));
    let output = t.run(&bundle.args(&["/bin/true"])).fails();
    let said = "the device /dev/of-its-own: its owner 10:11 is not mapped by the container's user namespace";
    assert!(output.stderr.contains(said), "{output}");
}

fn full_rules(t: &Sandbox) {
    let rule = |kind: &str, major: i64, minor: i64, access: &str| json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": access});
    let rules = json!([{"allow": false, "access": "rwm"}, rule("c", 10, 229, "rw"), rule("b", 7, -1, "m"), rule("c", -1, -1, "m")]);
    let container = t.running(t.bundle().set("/linux/resources/devices", rules));
    let list = container.cgroup_value("devices", "devices.list");
    for line in [
        "c 10:229 rw",
        "b 7:* m",
        "c *:* m",
        "c 1:3 rwm",
        "c 136:* rwm",
        "c 5:2 rwm",
    ] {
        assert!(list.lines().any(|seen| seen == line), "{line} in {list}");
    }
    assert!(!list.contains("a *:* rwm"), "{list}");
}
