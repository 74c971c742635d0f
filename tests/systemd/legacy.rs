//! The systemd driver where systemd keeps cgroup v1: alone, or with an empty v2 hierarchy beside it (hybrid).
//!
//! systemd moves the process in its own hierarchy and in those of controllers that the scope's limits switch on; the
//! others are ours.

use std::path::PathBuf;

use crate::scoped::{DRIVER, Scoped, limits, runs_out_of_memory, scoped, with_device_rules};
use crate::support::{Sandbox, cases, host, json, sandbox};

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
    scope.outlives_a_reload(|| {
        has(
            &scope,
            &[
                ("memory", "memory.limit_in_bytes", "67108864"),
                ("memory", "memory.soft_limit_in_bytes", "33554432"),
                ("memory", "memory.memsw.limit_in_bytes", "100663296"),
                ("cpu", "cpu.shares", "2048"),
                ("cpu", "cpu.cfs_quota_us", "50000"),
                ("pids", "pids.max", "42"),
                ("cpuset", "cpuset.cpus", "1"),
            ],
        );
    });
    assert_eq!(scope.shows("TasksMax"), "42");
    scope.sh("true").ok();
}

fn an_update_survives_a_reload(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    scope.update("--memory 50331648 --cpu-quota 20000 --cpu-share 1024 --pids-limit 17");
    scope.outlives_a_reload(|| {
        has(
            &scope,
            &[
                ("memory", "memory.limit_in_bytes", "50331648"),
                ("cpu", "cpu.shares", "1024"),
                ("cpu", "cpu.cfs_quota_us", "20000"),
                ("pids", "pids.max", "17"),
            ],
        );
    });
}

fn devices_survive_a_reload(t: &Sandbox) {
    with_device_rules(t);
}

fn exec_pause_and_kill(t: &Sandbox) {
    let scope = scoped(t, t.bundle());
    let seen = scope.sh("cat /proc/self/cgroup").text();
    for line in seen.lines().filter(|line| !line.starts_with("0::")) {
        assert!(line.ends_with(&scope.unit), "{line}");
    }
    let state = directory(&scope, "freezer").join("freezer.state");
    scope.is_paused_killed_and_gone(|| sandbox::read(&state).trim_end() == "FROZEN");
}

fn out_of_memory_is_told(t: &Sandbox) {
    runs_out_of_memory(t, json!({"limit": 16 << 20}));
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
