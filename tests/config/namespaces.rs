//! `linux.namespaces`: each kind new, by path, and the host's.

use crate::support::idle_process::IdleProcess;
use crate::support::{Bundle, Sandbox, cases, host, json, sandbox};
use nix::mount::MsFlags;

cases![
    a_shared_mount_namespace_is_left_as_it_was,
    what_would_change_the_hosts_mounts_is_refused,
    new_ones,
    the_hosts,
    by_path,
    pid_by_path,
    user_by_path,
    joined_network_is_shared,
    loopback_is_up,
    loopback_of_a_joined_network_is_left,
    pid_one_is_the_program,
    ipc_is_separate,
    all_eight_at_once,
    init_of_a_shared_pid_namespace,
    none_but_mount
];

/// The kinds as the specification and as /proc name them.
const KINDS: [(&str, &str); 6] = [
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("pid", "pid"),
    ("cgroup", "cgroup"),
];

fn inside(t: &Sandbox, bundle: Bundle, kind: &str) -> String {
    t.sh(bundle, &format!("readlink /proc/self/ns/{kind}"))
}

fn new_ones(t: &Sandbox) {
    for (name, kind) in KINDS {
        assert_ne!(
            inside(t, t.bundle().namespace(name), kind),
            host::namespace("self", kind),
            "{name}"
        );
    }
    assert_ne!(
        inside(t, t.bundle().namespace("time"), "time"),
        host::namespace("self", "time")
    );
}

fn the_hosts(t: &Sandbox) {
    for (name, kind) in [
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("pid", "pid"),
        ("cgroup", "cgroup"),
        ("time", "time"),
        ("user", "user"),
    ] {
        let bundle = t
            .bundle()
            .without("/hostname")
            .without_namespace(name)
            .without_mount("/dev/mqueue");
        // Without a network namespace of its own sysfs can still be mounted by the host's root.
        assert_eq!(
            inside(t, bundle, kind),
            host::namespace("self", kind),
            "{name}"
        );
    }
}

fn by_path(t: &Sandbox) {
    for (name, kind, flag) in [
        ("network", "net", "--net"),
        ("ipc", "ipc", "--ipc"),
        ("uts", "uts", "--uts"),
        ("cgroup", "cgroup", "--cgroup"),
    ] {
        let other = IdleProcess::in_new(t, flag, kind);
        let seen = inside(
            t,
            t.bundle()
                .without("/hostname")
                .namespace_at(name, &other.path()),
            kind,
        );
        assert_eq!(seen, host::namespace(other.pid(), kind), "{name}");
    }
}

fn pid_by_path(t: &Sandbox) {
    let first = t.running(t.bundle());
    let path = format!("/proc/{}/ns/pid", first.pid());
    let seen = t.sh(
        t.bundle().namespace_at("pid", &path),
        "readlink /proc/self/ns/pid; pidof sleep; test $$ -gt 1 && echo later",
    );
    assert_eq!(
        seen,
        format!("{}\n1\nlater", host::namespace(first.pid(), "pid"))
    );
}

fn user_by_path(t: &Sandbox) {
    let first = t.running(t.bundle().user_namespace(100_000, 65_536));
    let path = format!("/proc/{}/ns/user", first.pid());
    let second = t.bundle();
    crate::support::bundle::chown_tree(&second.rootfs(), 100_000);
    let seen = inside(t, second.namespace_at("user", &path), "user");
    assert_eq!(seen, host::namespace(first.pid(), "user"));
}

fn joined_network_is_shared(t: &Sandbox) {
    let first = t.running(t.bundle().capabilities(&["CAP_NET_ADMIN"]));
    first
        .exec("ip link add name left type veth peer name right")
        .ok();
    let path = format!("/proc/{}/ns/net", first.pid());
    assert!(
        t.sh(t.bundle().namespace_at("network", &path), "ip link")
            .contains("left")
    );
}

fn loopback_is_up(t: &Sandbox) {
    assert!(
        t.sh(t.bundle(), "ip address show lo")
            .contains("127.0.0.1/8")
    );
    assert!(t.sh(t.bundle(), "ip link show lo").contains(",UP"));
}

fn loopback_of_a_joined_network_is_left(t: &Sandbox) {
    let other = IdleProcess::in_new(t, "--net", "net");
    assert!(
        !t.sh(
            t.bundle().namespace_at("network", &other.path()),
            "ip link show lo"
        )
        .contains(",UP")
    );
}

fn pid_one_is_the_program(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "echo $$ $PPID"), "1 0");
}

fn ipc_is_separate(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "wc -l < /proc/sysvipc/shm"), "1");
}

fn all_eight_at_once(t: &Sandbox) {
    let bundle = t
        .bundle()
        .namespace("cgroup")
        .namespace("time")
        .user_namespace(100_000, 65_536);
    let container = t.running(bundle);
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"] {
        assert_ne!(
            host::namespace(container.pid(), kind),
            host::namespace("self", kind),
            "{kind}"
        );
    }
}

fn init_of_a_shared_pid_namespace(t: &Sandbox) {
    let container = t.running(t.bundle().without_namespace("pid"));
    assert_eq!(
        container.sh("cat /proc/1/comm"),
        crate::support::sandbox::read("/proc/1/comm").trim_end()
    );
    container.stop();
}

fn none_but_mount(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/namespaces", json!([{"type": "mount"}]))
        .without("/hostname")
        .without_mount("/dev/mqueue");
    assert_eq!(t.sh(bundle, "echo fine"), "fine");
}

fn shares_mounts(t: &Sandbox) -> Bundle {
    t.bundle()
        .writable()
        .without_namespace("mount")
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
}

/// Lines of the host's mount table below a bundle.
fn mounted_below(bundle: &Bundle) -> Vec<String> {
    let root = bundle.rootfs().to_string_lossy().into_owned();
    let mut lines = host::mount_lines();
    lines.retain(|line| line.contains(&root));
    lines
}

fn a_shared_mount_namespace_is_left_as_it_was(t: &Sandbox) {
    // What was there before stays.
    let bundle = shares_mounts(t);
    let place = bundle.rootfs().join("mnt");
    let _before = sandbox::HostMount::tmpfs_at(&place.to_string_lossy(), MsFlags::empty());
    let before = mounted_below(&bundle);
    let script = "test -d /proc/self && test -c /dev/null && readlink /proc/self/ns/mnt";
    let output = t.run(&bundle.clone().shell(script)).ok();
    assert_eq!(output.stdout.trim_end(), host::namespace("self", "mnt"));
    assert_eq!(mounted_below(&bundle), before, "after run");
    let container = t.create(&bundle.clone().idle());
    assert!(mounted_below(&bundle).len() > before.len());
    container.start().ok();
    container.exec("test -d /proc/self").ok();
    container.delete(&["--force"]).ok();
    assert_eq!(mounted_below(&bundle), before, "after delete");
    let broken = bundle.clone().mount("/x", "nofs", "nofs", &[]);
    t.try_create(&broken.idle(), &[]).fails_with(&["nofs"]);
    assert_eq!(mounted_below(&bundle), before, "after a create that failed");
    let hook = json!({"path": "/bin/false"});
    t.run(&bundle.clone().hook("createRuntime", hook)).fails();
    assert_eq!(mounted_below(&bundle), before, "after a hook that failed");
}

fn what_would_change_the_hosts_mounts_is_refused(t: &Sandbox) {
    for (pointer, value) in [
        ("/root/readonly", json!(true)),
        ("/linux/maskedPaths", json!(["/proc/keys"])),
        ("/linux/readonlyPaths", json!(["/proc/sys"])),
        ("/linux/rootfsPropagation", json!("shared")),
    ] {
        let bundle = shares_mounts(t).set(pointer, value).args(&["/bin/true"]);
        t.run(&bundle)
            .refused_with(&[&pointer[1..].replace('/', "."), "\"mount\" namespace"]);
        assert_eq!(mounted_below(&bundle), Vec::<String>::new());
    }
}
