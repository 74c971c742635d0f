//! The systemd driver where systemd keeps cgroup v1: alone, or with an empty v2 hierarchy beside it (hybrid).
//!
//! systemd moves the process in its own hierarchy and in those of controllers that the scope's limits switch on; the
//! others are ours.

use std::path::PathBuf;

use crate::scoped::{DRIVER, Scoped, scoped};
use crate::support::{Bundle, Sandbox, cases, host, json, sandbox};

cases![
    every_hierarchy_has_the_scope,
    limits_survive_a_reload,
    an_update_survives_a_reload,
    devices_survive_a_reload,
    exec_pause_and_kill,
    out_of_memory_is_told,
    the_containers_view,
    twenty_at_once,
];

fn limits(bundle: Bundle) -> Bundle {
    bundle
        .set(
            "/linux/resources/memory",
            json!({"limit": 64 << 20, "reservation": 32 << 20}),
        )
        .set(
            "/linux/resources/cpu",
            json!({"shares": 2048, "quota": 50_000, "period": 100_000, "cpus": "1", "mems": "0"}),
        )
        .set("/linux/resources/pids", json!({"limit": 42}))
}

/// Where the scope is in a controller's hierarchy.
fn directory(scope: &Scoped<'_>, controller: &str) -> PathBuf {
    host::v1_hierarchy(controller)
        .unwrap_or_else(|| panic!("no {controller} hierarchy"))
        .join("system.slice")
        .join(&scope.unit)
}

#[track_caller]
fn has(scope: &Scoped<'_>, rows: &[(&str, &str, &str)]) {
    for (controller, file, wanted) in rows {
        let text = sandbox::read(directory(scope, controller).join(file));
        assert_eq!(text.trim_end(), *wanted, "{file}");
    }
}

fn every_hierarchy_has_the_scope(t: &Sandbox) {
    let scope = scoped(t, t.bundle());
    assert_eq!(scope.shows("ActiveState"), "active");
    let seen = sandbox::read(format!("/proc/{}/cgroup", scope.pid()));
    let wanted = format!("/system.slice/{}", scope.unit);
    let unified = "0::";
    for line in seen.lines().filter(|line| !line.starts_with(unified)) {
        assert!(line.ends_with(&wanted), "{line} of\n{seen}");
    }
    scope.runtime(&["delete", "--force", &scope.id]).silent();
    assert_eq!(scope.shows("LoadState"), "not-found");
    // What is left of it in a hierarchy is found by the sandbox.
}

fn limits_survive_a_reload(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    for _ in 0..2 {
        has(
            &scope,
            &[
                ("memory", "memory.limit_in_bytes", "67108864"),
                ("memory", "memory.soft_limit_in_bytes", "33554432"),
                ("cpu", "cpu.shares", "2048"),
                ("cpu", "cpu.cfs_quota_us", "50000"),
                ("pids", "pids.max", "42"),
                ("cpuset", "cpuset.cpus", "1"),
            ],
        );
        scope.reload();
    }
    assert_eq!(scope.shows("TasksMax"), "42");
    scope.sh("true").ok();
}

fn an_update_survives_a_reload(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    let flags = "--memory 50331648 --cpu-quota 20000 --cpu-share 1024 --pids-limit 17";
    let words: Vec<&str> = ["update"]
        .into_iter()
        .chain(flags.split(' '))
        .chain([scope.id.as_str()])
        .collect();
    scope.runtime(&words).silent();
    for _ in 0..2 {
        has(
            &scope,
            &[
                ("memory", "memory.limit_in_bytes", "50331648"),
                ("cpu", "cpu.shares", "1024"),
                ("cpu", "cpu.cfs_quota_us", "20000"),
                ("pids", "pids.max", "17"),
            ],
        );
        scope.reload();
    }
}

fn devices_survive_a_reload(t: &Sandbox) {
    let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"}]);
    let bundle = t
        .bundle()
        .mount("/tmp", "tmpfs", "tmpfs", &[])
        .capabilities(&["CAP_MKNOD", "CAP_SYSLOG"])
        .set("/linux/resources/devices", rules);
    let scope = scoped(t, bundle);
    for _ in 0..2 {
        scope
            .sh("rm -f /tmp/k; mknod /tmp/k c 1 11 && exec 3</tmp/k")
            .ok();
        scope.sh("mknod /tmp/m c 1 1 && exec 3</tmp/m").fails();
        scope.sh("head -c 1 /dev/zero >/dev/null").ok();
        scope.reload();
    }
}

fn exec_pause_and_kill(t: &Sandbox) {
    let scope = scoped(t, t.bundle());
    let seen = scope.sh("cat /proc/self/cgroup").text();
    for line in seen.lines().filter(|line| !line.starts_with("0::")) {
        assert!(line.ends_with(&scope.unit), "{line}");
    }
    scope.runtime(&["pause", &scope.id]).silent();
    has(&scope, &[("freezer", "freezer.state", "FROZEN")]);
    scope.runtime(&["resume", &scope.id]).silent();
    scope.runtime(&["kill", &scope.id, "KILL"]).silent();
    sandbox::wait_for("the end", || {
        scope
            .runtime(&["state", &scope.id])
            .text()
            .contains("stopped")
    });
    scope.runtime(&["delete", &scope.id]).silent();
    assert_eq!(scope.shows("LoadState"), "not-found");
}

fn out_of_memory_is_told(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/tail", "/dev/zero"])
        .set(
            "/linux/cgroupsPath",
            json!(format!("system.slice:clt:{}", t.new_id())),
        )
        .set("/linux/resources/memory", json!({"limit": 16 << 20}));
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let output = t
        .runtime(&[DRIVER, "run", "--bundle", &path, &t.new_id()])
        .output();
    assert_eq!(output.code(), 137, "{output}");
    assert!(output.stderr.contains("out of memory"), "{output}");
}

/// A cgroup namespace shows the scope as the root of each hierarchy.
fn the_containers_view(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle().namespace("cgroup")));
    let seen = scope
        .sh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max")
        .text();
    assert_eq!(seen, "67108864\n42");
}

fn twenty_at_once(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/linux/cgroupsPath", json!(""));
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let started: Vec<_> = (0..20)
        .map(|_| {
            let words = [DRIVER, "run", "--bundle", &path, &t.new_id()].map(str::to_owned);
            let limit = std::time::Duration::from_secs(170);
            t.runtime(&words).time_limit(limit).spawn()
        })
        .collect();
    for running in started {
        running.wait().silent();
    }
}
