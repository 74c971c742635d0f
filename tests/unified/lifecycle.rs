//! Freezing, killing, `exec --cgroup`, and a runtime inside a container of its own.

use crate::support::{Bundle, Sandbox, cases, host, json, sandbox};
use crate::{directory, value};

cases![
    pause_freezes_everything,
    kill_ends_a_frozen_container,
    kill_uses_the_kernels_own,
    exec_enters_a_cgroup_below,
    exec_follows_init_below,
    exec_can_not_leave,
    statistics_are_the_kernels,
    a_runtime_inside_a_container,
    a_runtime_inside_a_user_namespace,
];

fn pause_freezes_everything(t: &Sandbox) {
    let container = t.start(&t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[]).shell(
        "(while :; do echo x >>/mnt/a; sleep 0.02; done) & while :; do echo x >>/mnt/b; sleep 0.02; done",
    ));
    container.pause().ok();
    assert!(value(&container, "cgroup.events").contains("frozen 1"));
    assert_eq!(container.status(), "paused");
    let lines = || {
        let root = format!("/proc/{}/root/mnt", container.pid());
        ["a", "b"].map(|file| {
            std::fs::read(format!("{root}/{file}"))
                .unwrap_or_default()
                .len()
        })
    };
    let before = lines();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(lines(), before);
    container.resume().ok();
    sandbox::wait_for("both to go on", || {
        lines().iter().zip(before).all(|(now, then)| *now > then)
    });
}

fn kill_ends_a_frozen_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    container.kill("KILL").ok();
    container.wait_stopped();
}

fn kill_uses_the_kernels_own(t: &Sandbox) {
    let shared = t
        .bundle()
        .without_namespace("pid")
        .shell("sleep 1000 & sleep 1000 & wait");
    let container = t.start(&shared);
    sandbox::wait_for("three processes", || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).len() == 3
    });
    let trace = t.new_path("trace");
    let trace = trace.to_string_lossy();
    let runtime = crate::support::runtime::path();
    let root = t.root();
    t.program(&[
        "strace",
        "-f",
        "-o",
        &trace,
        &runtime.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "kill",
        &container.id,
        "KILL",
    ])
    .output()
    .ok();
    assert!(sandbox::read(&*trace).contains("cgroup.kill"));
    sandbox::wait_for("the end of all", || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).is_empty()
    });
}

fn exec_enters_a_cgroup_below(t: &Sandbox) {
    let container = t.running(t.bundle());
    std::fs::create_dir(directory(&container).join("part")).expect("create a cgroup");
    let seen = container
        .exec_with(&["--cgroup", "part"], &["cat", "/proc/self/cgroup"])
        .text();
    assert_eq!(seen, format!("0::{}/part", container.bundle.cgroups_path()));
    assert_eq!(
        container.sh("cat /proc/self/cgroup"),
        format!("0::{}", container.bundle.cgroups_path())
    );
}

/// What systemd does in a container: init goes below and gives controllers to its children.
fn exec_follows_init_below(t: &Sandbox) {
    let container = t.running(t.bundle());
    let (own, path) = (
        directory(&container),
        container.bundle.cgroups_path().to_owned(),
    );
    std::fs::create_dir(own.join("init.scope")).expect("create a cgroup");
    let pid = container.pid().to_string();
    std::fs::write(own.join("init.scope/cgroup.procs"), pid).expect("move init");
    assert_eq!(
        container.sh("cat /proc/self/cgroup"),
        format!("0::{path}"),
        "while it still takes processes"
    );
    std::fs::write(own.join("cgroup.subtree_control"), "+memory").expect("give a controller");
    assert_eq!(
        container.sh("cat /proc/self/cgroup"),
        format!("0::{path}/init.scope")
    );
    container
        .exec_with(&["--cgroup", "/"], &["true"])
        .fails_with(&["adding pid", "to cgroups", "device or resource busy"]);
    container.delete(&["--force"]).ok();
}

fn exec_can_not_leave(t: &Sandbox) {
    let container = t.running(t.bundle());
    for path in ["..", "../..", "part/../../.."] {
        container.exec_with(&["--cgroup", path], &["true"]).fails();
    }
}

fn statistics_are_the_kernels(t: &Sandbox) {
    let container = t.running(
        t.bundle()
            .set("/linux/resources/memory", json!({"limit": 64 << 20})),
    );
    let text = container.invoke(&["events", "--stats"]).output().text();
    let data = serde_json::from_str::<crate::support::Value>(&text).expect("JSON")["data"].clone();
    assert_eq!(data["memory"]["usage"]["limit"], json!(64 << 20), "{data}");
    assert!(
        data["memory"]["usage"]["usage"].as_u64() > Some(0),
        "{data}"
    );
    assert!(
        data["memory"]["usage"]["max"].as_u64() > Some(0),
        "memory.peak: {data}"
    );
    assert!(data["cpu"]["usage"]["total"].as_u64() > Some(0), "{data}");
}

/// The inner container has a limit of five processes.
fn inner(t: &Sandbox) -> Bundle {
    t.bundle()
        .without("/linux/resources")
        .set("/linux/cgroupsPath", json!("/inner"))
        .namespace("cgroup")
        .set("/linux/resources/pids", json!({"limit": 5}))
        .shell("cat /sys/fs/cgroup/pids.max /proc/self/cgroup; cat /proc/self/uid_map | xargs; sleep 1 & wait")
}

/// The outer container has its own cgroup namespace with a writable mount; the inner runtime sees a host of its own.
fn outer(t: &Sandbox, inner: &Bundle) -> Bundle {
    inner.write();
    let capabilities = [
        "CAP_SYS_ADMIN",
        "CAP_SYS_CHROOT",
        "CAP_MKNOD",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_SETUID",
        "CAP_SETGID",
        // Maps root. KERNEL(5.12)
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_ADMIN",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_BPF",
        "CAP_SYS_PTRACE",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_RESOURCE",
    ];
    let outer = t
        .bundle()
        .without_mount("/sys/fs/cgroup")
        .mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "rw"],
        )
        .mount("/run", "tmpfs", "tmpfs", &["nosuid"])
        .mount("/inner", "bind", &inner.path.to_string_lossy(), &["rbind"])
        .namespace("cgroup")
        .capabilities(&capabilities)
        .writable()
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set("/process/noNewPrivileges", json!(false));
    let program = outer.rootfs().join("crun-lite");
    crate::support::runtime::copy_program(crate::support::runtime::path(), &program);
    outer.shell("mkdir /sys/fs/cgroup/own && echo 0 >/sys/fs/cgroup/own/cgroup.procs && /crun-lite --root /run/c run --bundle /inner x")
}

fn a_runtime_inside_a_container(t: &Sandbox) {
    let outer = outer(t, &inner(t));
    assert_eq!(t.run(&outer).text(), "5\n0::/\n0 0 4294967295");
}

/// Root of the outer container is nobody on the host, and the inner one has a user namespace below that.
fn a_runtime_inside_a_user_namespace(t: &Sandbox) {
    let ids = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    let inner = inner(t)
        .namespace("user")
        .set("/linux/uidMappings", ids.clone())
        .set("/linux/gidMappings", ids);
    crate::support::bundle::chown_tree(&inner.path, 100_000);
    let outer = outer(t, &inner).user_namespace(100_000, 65_536);
    assert_eq!(t.run(&outer).text(), "5\n0::/\n0 0 1000");
}
