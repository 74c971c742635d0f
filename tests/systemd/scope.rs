//! The systemd driver as root: where a scope is, what systemd thinks of it, and what outlives systemd's own writing.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::scoped::{
    ALLOWED_DEVICE, DRIVER, Scoped, limits, runs_out_of_memory, scoped, with_device_rules,
};
use crate::support::{Sandbox, Value, cases, host, json, sandbox};

cases![
    is_made_and_gone,
    names_and_nested_slices,
    default_name,
    bad_names_are_refused,
    properties_are_those_of_the_limits,
    annotations_are_properties,
    bad_annotations_are_refused,
    limits_survive_a_reload,
    an_update_survives_a_reload,
    devices_survive_a_reload,
    systemctl_stops_a_container,
    exec_pause_and_kill,
    exec_into_a_cgroup_namespace,
    out_of_memory_is_told,
    init_is_never_moved_by_us,
    many_at_once,
    without_systemd_is_a_clear_error,
    a_failed_create_leaves_no_scope,
];

fn is_made_and_gone(t: &Sandbox) {
    let scope = scoped(t, t.bundle());
    scope.has_properties(&[("ActiveState", "active"), ("Delegate", "yes")]);
    assert!(scope.shows("Description").contains(&scope.id));
    assert_eq!(
        scope.directory(),
        Path::new("/sys/fs/cgroup/system.slice").join(&scope.unit)
    );
    let state: Value =
        serde_json::from_str(&scope.runtime(&["state", &scope.id]).text()).expect("JSON");
    assert_eq!(state["systemd-scope"], json!(scope.unit));
    scope.runtime(&["delete", "--force", &scope.id]).silent();
    assert_eq!(scope.shows("LoadState"), "not-found");
}

fn names_and_nested_slices(t: &Sandbox) {
    let id = t.new_id();
    let slice = format!("clt{}-below.slice", t.tag);
    let bundle = t
        .bundle()
        .set("/linux/cgroupsPath", json!(format!("{slice}::{id}")));
    bundle.clone().shell("cat /proc/self/cgroup").write();
    let path = bundle.path.to_string_lossy().into_owned();
    let seen = t
        .runtime(&[DRIVER, "run", "--bundle", &path, &id])
        .output()
        .text();
    assert_eq!(seen, format!("0::/clt{}.slice/{slice}/{id}.scope", t.tag));
    t.program(&["systemctl", "stop", &format!("clt{}.slice", t.tag), &slice])
        .output()
        .ok();
}

fn default_name(t: &Sandbox) {
    let id = t.new_id();
    let bundle = t
        .bundle()
        .without("/linux/cgroupsPath")
        .shell("cat /proc/self/cgroup");
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let seen = t
        .runtime(&[DRIVER, "run", "--bundle", &path, &id])
        .output()
        .text();
    assert_eq!(seen, format!("0::/system.slice/crun-lite-{id}.scope"));
}

fn bad_names_are_refused(t: &Sandbox) {
    for (path, text) in [
        ("/a/path", "slice:prefix:name"),
        ("a-.slice:b:c", "a-.slice"),
        ("system.slice:a:b c", "unit's name"),
    ] {
        let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(path));
        bundle.write();
        let path = bundle.path.to_string_lossy().into_owned();
        t.runtime(&[DRIVER, "create", "--bundle", &path, &t.new_id()])
            .output()
            .refused_with(&[text]);
    }
}

fn properties_are_those_of_the_limits(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    let rows = [
        ("MemoryMax", "67108864"),
        ("MemoryLow", "33554432"),
        ("MemorySwapMax", "33554432"),
        ("CPUWeight", "174"),
        ("CPUQuotaPerSecUSec", "500ms"),
        ("TasksMax", "42"),
        ("AllowedCPUs", "1"),
        ("AllowedMemoryNodes", "0"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
    ];
    scope.has_properties(&rows);
    kernel_has_the_limits(&scope);
}

#[track_caller]
fn kernel_has_the_limits(scope: &Scoped<'_>) {
    let rows = [
        ("memory.max", "67108864"),
        ("memory.low", "33554432"),
        ("memory.swap.max", "33554432"),
        ("cpu.weight", "174"),
        ("cpu.max", "50000 100000"),
        ("pids.max", "42"),
        ("cpuset.cpus", "1"),
        ("cpuset.mems", "0"),
    ];
    for (file, wanted) in rows {
        assert_eq!(scope.value(file), wanted, "{file}");
    }
}

fn annotations_are_properties(t: &Sandbox) {
    let bundle = t.bundle().set(
        "/annotations",
        json!({
            "org.systemd.property.TimeoutStopSec": "uint64 7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.Description": "'by annotation'",
            "org.systemd.property.Documentation": "['man:true(1)', 'man:false(1)']"
        }),
    );
    let scope = scoped(t, bundle);
    scope.has_properties(&[
        ("TimeoutStopUSec", "7s"),
        ("CollectMode", "inactive-or-failed"),
        ("Description", "by annotation"),
        ("Documentation", "\"man:true(1)\" \"man:false(1)\""),
    ]);
}

fn bad_annotations_are_refused(t: &Sandbox) {
    for (name, value, text) in [
        ("TimeoutStopUSec", "seven", "TimeoutStopUSec"),
        ("NoSuchProperty", "true", "NoSuchProperty"),
        ("MemoryMax", "'a text'", "MemoryMax"),
    ] {
        let key = format!("org.systemd.property.{name}");
        let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(""));
        let bundle = bundle.set("/annotations", json!({key: value}));
        bundle.write();
        let path = bundle.path.to_string_lossy().into_owned();
        let id = t.new_id();
        let output = t
            .runtime(&[DRIVER, "create", "--bundle", &path, &id])
            .output();
        let output = output.refused_with(&[]);
        assert!(
            output.stderr.contains(text) || output.stderr.contains("scope"),
            "{output}"
        );
        assert_eq!(t.state_entries(), Vec::<String>::new());
    }
}

fn limits_survive_a_reload(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    scope.reload();
    kernel_has_the_limits(&scope);
    scope.sh("true").ok();
}

fn an_update_survives_a_reload(t: &Sandbox) {
    let scope = scoped(t, limits(t.bundle()));
    let memory = "--memory 50331648 --memory-swap 50331648";
    scope.update(&format!(
        "{memory} --cpu-quota 20000 --cpu-share 1024 --pids-limit 17 --cpuset-cpus 0-1"
    ));
    scope.outlives_a_reload(|| {
        let rows = [
            ("memory.max", "50331648"),
            ("memory.swap.max", "0"),
            ("cpu.max", "20000 100000"),
            ("cpu.weight", "100"),
            ("pids.max", "17"),
            ("cpuset.cpus", "0-1"),
            ("memory.low", "33554432"),
        ];
        for (file, wanted) in rows {
            assert_eq!(scope.value(file), wanted, "{file}");
        }
    });
    scope.has_properties(&[("MemoryMax", "50331648"), ("TasksMax", "17")]);
}

fn devices_survive_a_reload(t: &Sandbox) {
    let scope = with_device_rules(t);
    let change = json!({"devices": [{"allow": false, "access": "rwm"}]}).to_string();
    t.runtime(&[DRIVER, "update", "--resources", "-", &scope.id])
        .stdin(&change)
        .output()
        .ok();
    scope.outlives_a_reload(|| {
        scope.sh(ALLOWED_DEVICE).fails();
    });
}

fn systemctl_stops_a_container(t: &Sandbox) {
    let scope = scoped(
        t,
        t.bundle().set(
            "/annotations",
            json!({"org.systemd.property.TimeoutStopUSec": "uint64 500000"}),
        ),
    );
    let pid = i32::try_from(scope.pid()).expect("pids fit");
    t.program(&["systemctl", "stop", &scope.unit]).output().ok();
    assert!(!host::is_alive(pid));
    let state: Value =
        serde_json::from_str(&scope.runtime(&["state", &scope.id]).text()).expect("JSON");
    assert_eq!(state["status"], "stopped");
    scope.runtime(&["delete", &scope.id]).silent();
}

fn exec_pause_and_kill(t: &Sandbox) {
    let scope = scoped(t, t.bundle());
    let seen = scope.sh("cat /proc/self/cgroup").text();
    assert_eq!(seen, format!("0::/system.slice/{}", scope.unit));
    scope.is_paused_killed_and_gone(|| scope.value("cgroup.events").contains("frozen 1"));
}

/// systemd mounts cgroup2 with `nsdelegate`: nobody in a cgroup namespace may come into a cgroup from outside.
fn exec_into_a_cgroup_namespace(t: &Sandbox) {
    let scope = scoped(t, t.bundle().namespace("cgroup"));
    assert_eq!(scope.sh("cat /proc/self/cgroup").text(), "0::/");
    let own = host::namespace(scope.pid(), "cgroup");
    assert_eq!(scope.sh("readlink /proc/self/ns/cgroup").text(), own);
}

/// systemd takes the cgroup away with its last process, so what `run` says must not depend on it.
fn out_of_memory_is_told(t: &Sandbox) {
    runs_out_of_memory(t, json!({"limit": 16 << 20, "swap": 16 << 20}));
}

/// systemd moves it; the runtime writes no `cgroup.procs`.
fn init_is_never_moved_by_us(t: &Sandbox) {
    let id = t.new_id();
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/linux/cgroupsPath", json!(""));
    bundle.write();
    let trace = t.new_path("trace");
    let (root, runtime) = (t.root(), crate::support::runtime::path());
    t.program(&[
        "strace",
        "-f",
        "-e",
        "trace=openat,openat2,open,connect",
        "-o",
        &trace.to_string_lossy(),
        &runtime.to_string_lossy(),
        DRIVER,
        "--root",
        &root.to_string_lossy(),
        "run",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &id,
    ])
    .output()
    .ok();
    let text = sandbox::read(&trace);
    assert!(
        !text.contains("cgroup.procs\", O_WRONLY") && !text.contains("cgroup.procs\", O_RDWR"),
        "{text}"
    );
    // One connection to make the scope and one to remove it, neither by way of the bus.
    let connections = text
        .lines()
        .filter(|line| line.contains("connect(") && line.contains("systemd"));
    assert!(connections.count() <= 2, "{text}");
    assert!(!text.contains("system_bus_socket"), "{text}");
}

/// How many scopes are asked for at the same moment; `CRUN_LITE_SCOPES` says more.
fn many() -> usize {
    let asked = std::env::var("CRUN_LITE_SCOPES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// All live at once while systemd is made to read its units again; none is lost, and none is left.
fn many_at_once(t: &Sandbox) {
    let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(""));
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let all = |verb: &[&str], ids: &[String]| {
        let started: Vec<_> = ids
            .iter()
            .map(|id| {
                let words = [&[DRIVER], verb, &[id]].concat();
                let started = t.runtime(&words).time_limit(Duration::from_secs(400));
                started.spawn()
            })
            .collect();
        for running in started {
            running.wait().silent();
        }
    };
    let began = Instant::now();
    let ids: Vec<String> = (0..many()).map(|_| t.new_id()).collect();
    std::thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            for _ in 0..3 {
                let reload = t.program(&["systemctl", "daemon-reload"]);
                reload.time_limit(Duration::from_secs(300)).output().ok();
            }
        });
        all(&["run", "-d", "--bundle", &path], &ids);
        reloads.join().expect("systemd reads its units again");
    });
    let units = || {
        let pattern = format!("crun-lite-{}*.scope", t.tag);
        let words = [
            "systemctl",
            "list-units",
            "--all",
            "--no-legend",
            "--plain",
            &pattern,
        ];
        t.program(&words).output().text()
    };
    let listed = units();
    let active = listed.lines().filter(|line| line.contains(" running "));
    assert_eq!(active.count(), many(), "{listed}");
    all(&["delete", "--force"], &ids);
    assert_eq!(units(), "");
    println!("{} scopes came and went in {:?}", many(), began.elapsed());
}

fn without_systemd_is_a_clear_error(t: &Sandbox) {
    let bundle = t.bundle().idle().set("/linux/cgroupsPath", json!(""));
    bundle.write();
    let script = "mount -t tmpfs none /run/systemd && mount -t tmpfs none /run/dbus && exec \"$@\"";
    let (root, runtime) = (t.root(), crate::support::runtime::path());
    t.program(&[
        "unshare",
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        &runtime.to_string_lossy(),
        DRIVER,
        "--root",
        &root.to_string_lossy(),
        "create",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ])
    .output()
    .refused_with(&[
        "reach the system's systemd",
        "/run/systemd/private",
        "leave --systemd-cgroup out",
    ]);
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn a_failed_create_leaves_no_scope(t: &Sandbox) {
    let id = t.new_id();
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/cgroupsPath", json!(""))
        .mount("/mnt", "bind", "/nowhere/at/all", &["bind"]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    t.runtime(&[DRIVER, "create", "--bundle", &path, &id])
        .output()
        .refused_with(&["/nowhere/at/all"]);
    let unit = format!("crun-lite-{id}.scope");
    let words = ["systemctl", "show", "--value", "-p", "LoadState", &unit];
    assert_eq!(t.program(&words).output().text(), "not-found");
}
