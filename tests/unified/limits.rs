//! CPU, processes, io, huge pages, the unified map: what the kernel was told, and what a greedy container notices.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::support::{Container, Sandbox, Value, cases, json, sandbox};
use crate::{counter, value};

cases![
    every_value_is_read_back,
    a_cpu_hog_is_throttled,
    a_fork_bomb_is_stopped,
    writing_is_slowed_down,
    update_changes_every_value,
    update_of_one_value_leaves_the_rest,
    a_refused_update_changes_nothing,
    what_only_v1_has_is_a_warning,
    unified_map_is_written,
    unified_file_that_is_missing_is_named,
    controller_that_is_missing_is_named,
    events_tell_pressure,
];

fn with(t: &Sandbox, resources: Value) -> Container<'_> {
    t.running(t.bundle().resources(resources))
}

#[track_caller]
fn shows(container: &Container<'_>, rows: &[(&str, &str)]) {
    for (file, wanted) in rows {
        assert_eq!(value(container, file), *wanted, "{file}");
    }
}

/// The disk that holds the sandbox.
fn disk(t: &Sandbox) -> (u64, u64) {
    let number = std::fs::metadata(&t.path).expect("stat the sandbox").dev();
    (nix::sys::stat::major(number), nix::sys::stat::minor(number))
}

fn every_value_is_read_back(t: &Sandbox) {
    let (major, minor) = disk(t);
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let container = with(
        t,
        json!({
            "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20},
            "cpu": {"shares": 1024, "quota": 20_000, "period": 50_000, "burst": 5000, "cpus": "1", "mems": "0"},
            "pids": {"limit": 42},
            "blockIO": {"throttleReadBpsDevice": rate(1_048_576), "throttleWriteIOPSDevice": rate(300)},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}],
            "unified": {"memory.high": "50331648"}
        }),
    );
    let io = format!("{major}:{minor} rbps=1048576 wbps=max riops=max wiops=300");
    shows(
        &container,
        &[
            ("memory.max", "67108864"),
            ("memory.low", "33554432"),
            ("memory.swap.max", "33554432"),
            ("memory.high", "50331648"),
            ("cpu.weight", "100"),
            ("cpu.max", "20000 50000"),
            ("cpu.max.burst", "5000"),
            ("cpuset.cpus", "1"),
            ("cpuset.mems", "0"),
            ("pids.max", "42"),
            ("io.max", &io),
            ("hugetlb.2MB.max", "4194304"),
            ("hugetlb.2MB.rsvd.max", "4194304"),
        ],
    );
    let seen = container.sh("grep Cpus_allowed_list /proc/1/status | cut -f 2");
    assert_eq!(seen, "1");
    shows(&with(t, json!({"cpu": {"idle": 1}})), &[("cpu.idle", "1")]);
    shows(
        &with(t, json!({"pids": {"limit": -1}})),
        &[("pids.max", "max")],
    );
}

fn a_cpu_hog_is_throttled(t: &Sandbox) {
    let resources = json!({"cpu": {"quota": 10_000, "period": 100_000}});
    let bundle = t.bundle().shell("while :; do :; done");
    let container = t.start(&bundle.set("/linux/resources/cpu", resources["cpu"].clone()));
    let before = (
        Instant::now(),
        counter(&container, "cpu.stat", "usage_usec"),
    );
    std::thread::sleep(Duration::from_secs(3));
    let used = counter(&container, "cpu.stat", "usage_usec") - before.1;
    let share = used as f64 / before.0.elapsed().as_micros() as f64;
    assert!(share < 0.2, "uses {share} of a CPU, may use a tenth");
    assert!(counter(&container, "cpu.stat", "nr_throttled") > 5);
}

fn a_fork_bomb_is_stopped(t: &Sandbox) {
    let container = with(t, json!({"pids": {"limit": 25}}));
    let output = container.exec("i=0; while test $i -lt 40; do sleep 100 & i=$((i+1)); done; true");
    assert!(output.stderr.contains("can't fork"), "{output}");
    assert!(counter(&container, "pids.events", "max") > 0);
    assert!(
        value(&container, "pids.current")
            .parse::<u32>()
            .expect("a number")
            <= 25
    );
}

fn writing_is_slowed_down(t: &Sandbox) {
    let (major, minor) = disk(t);
    let limit = json!([{"major": major, "minor": minor, "rate": 1 << 20}]);
    let host = t.new_path("data");
    std::fs::create_dir(&host).expect("create a directory");
    let bundle = t
        .bundle()
        .mount("/mnt", "bind", &host.to_string_lossy(), &["bind"])
        .set(
            "/linux/resources/blockIO",
            json!({"throttleWriteBpsDevice": limit}),
        );
    let container = t.running(bundle);
    let before = Instant::now();
    container
        .exec("dd if=/dev/zero of=/mnt/file bs=1M count=4 conv=fsync 2>/dev/null")
        .ok();
    let took = before.elapsed();
    assert!(
        took > Duration::from_secs(2),
        "4 MiB at 1 MiB/s took {took:?}"
    );
}

fn limited(t: &Sandbox) -> Container<'_> {
    with(
        t,
        json!({
            "memory": {"limit": 64 << 20}, "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
            "pids": {"limit": 100}
        }),
    )
}

fn update_changes_every_value(t: &Sandbox) {
    let container = limited(t);
    let (major, minor) = disk(t);
    let flags = "--memory 50331648 --memory-swap 67108864 --memory-reservation 16777216 --cpu-share 2048 \
                 --cpu-quota 30000 --cpu-period 60000 --cpu-burst 10000 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 20";
    container
        .update(&flags.split_whitespace().collect::<Vec<_>>())
        .silent();
    shows(
        &container,
        &[
            ("memory.max", "50331648"),
            ("memory.swap.max", "16777216"),
            ("memory.low", "16777216"),
            ("cpu.weight", "174"),
            ("cpu.max", "30000 60000"),
            ("cpu.max.burst", "10000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "20"),
        ],
    );
    container
        .update(&["--pids-limit=-1", "--cpu-quota=-1"])
        .ok();
    shows(&container, &[("pids.max", "max"), ("cpu.max", "max 60000")]);
    let rate = json!({"blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": 1_048_576}]}});
    container.update_from(&rate).ok();
    assert!(value(&container, "io.max").contains("rbps=1048576"));
    container
        .update_from(&json!({"unified": {"memory.high": "40000000"}}))
        .ok();
    assert_eq!(
        value(&container, "memory.high"),
        (40_000_000 / 4096 * 4096).to_string()
    );
}

fn update_of_one_value_leaves_the_rest(t: &Sandbox) {
    let container = limited(t);
    container.update(&["--pids-limit", "10"]).ok();
    shows(
        &container,
        &[
            ("memory.max", "67108864"),
            ("cpu.max", "50000 100000"),
            ("pids.max", "10"),
        ],
    );
    container.exec("true").ok();
    container.pause().ok();
    container.resume().ok();
    assert_eq!(value(&container, "pids.max"), "10");
}

fn a_refused_update_changes_nothing(t: &Sandbox) {
    let container = limited(t);
    let change =
        json!({"pids": {"limit": 7}, "memory": {"limit": 80 << 20}, "cpu": {"cpus": "4000"}});
    container.update_from(&change).fails_with(&["cpuset.cpus"]);
    shows(
        &container,
        &[("pids.max", "100"), ("memory.max", "67108864")],
    );
    assert_eq!(container.status(), "running");
}

fn what_only_v1_has_is_a_warning(t: &Sandbox) {
    let memory = json!({"limit": 64 << 20, "kernel": 16 << 20, "kernelTCP": 16 << 20, "swappiness": 10, "disableOOMKiller": true});
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/linux/resources/memory", memory)
        .set("/linux/resources/network", json!({"classID": 1_048_577}));
    let output = t.run(&bundle).ok();
    for field in [
        "kernel",
        "kernelTCP",
        "swappiness",
        "disableOOMKiller",
        "network",
    ] {
        assert!(
            output.stderr.contains(field),
            "no warning of {field}: {output}"
        );
    }
}

fn unified_map_is_written(t: &Sandbox) {
    let map = json!({"memory.oom.group": "1", "cpu.weight": "77", "pids.max": "9", "cgroup.max.descendants": "3"});
    shows(
        &with(t, json!({"unified": map})),
        &[
            ("memory.oom.group", "1"),
            ("cpu.weight", "77"),
            ("pids.max", "9"),
            ("cgroup.max.descendants", "3"),
        ],
    );
}

fn unified_file_that_is_missing_is_named(t: &Sandbox) {
    let idle = t.bundle().idle();
    let bundle = idle
        .clone()
        .set("/linux/resources/unified", json!({"memory.nonsense": "1"}));
    t.try_create(&bundle, &[])
        .refused_with(&["memory.nonsense"]);
    let bundle = idle.set("/linux/resources/unified", json!({"nonsense.max": "1"}));
    t.try_create(&bundle, &[])
        .refused_with(&["nonsense", "controller"]);
}

/// In a cgroup namespace whose root was given one controller only, as a container's or a session's may be.
fn controller_that_is_missing_is_named(t: &Sandbox) {
    let bundle = t.bundle().args(&["/bin/true"]);
    let script = r#"
        mkdir -p /sys/fs/cgroup/$1/below && echo +pids >/sys/fs/cgroup/$1/cgroup.subtree_control || exit 9
        echo $$ >/sys/fs/cgroup/$1/below/cgroup.procs || exit 9
        exec unshare -C -m sh -c 'umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup /sys/fs/cgroup
            mkdir /sys/fs/cgroup/leaf && echo 0 >/sys/fs/cgroup/leaf/cgroup.procs && exec "$@"' sh "$2" --root "$3" run --bundle "$4" "$5"
    "#;
    let run = |bundle: &crate::support::Bundle| {
        bundle.write();
        let runtime = crate::support::runtime::path();
        let words = [
            "sh".to_owned(),
            "-c".to_owned(),
            script.to_owned(),
            "sh".to_owned(),
            t.new_id(),
            runtime.to_string_lossy().into_owned(),
            t.root().to_string_lossy().into_owned(),
            bundle.path.to_string_lossy().into_owned(),
            t.new_id(),
        ];
        t.program(&words.iter().map(String::as_str).collect::<Vec<_>>())
            .output()
    };
    let bundle = bundle.set("/linux/cgroupsPath", json!(format!("/{}", t.new_id())));
    run(&bundle
        .clone()
        .set("/linux/resources/pids", json!({"limit": 50})))
    .ok();
    run(&bundle.set("/linux/resources/memory", json!({"limit": 64 << 20})))
        .refused_with(&["memory controller", "delegated"]);
    crate::support::host::remove_traces_of(&t.tag);
}

fn events_tell_pressure(t: &Sandbox) {
    let container = with(t, json!({"cpu": {"quota": 5000, "period": 100_000}}));
    container
        .exec("i=0; while test $i -lt 3000; do i=$((i+1)); done")
        .ok();
    let text = container.invoke(&["events", "--stats"]).output().text();
    let event: Value = serde_json::from_str(&text).expect("an event is JSON");
    let data = &event["data"];
    assert!(
        data["cpu"]["throttling"]["throttledPeriods"].as_u64() > Some(0),
        "{data}"
    );
    for part in ["cpu", "memory", "blkio"] {
        assert!(
            data[part]["psi"]["some"]["total"].is_u64(),
            "{part}: {data}"
        );
    }
    assert!(
        data["cpu"]["psi"]["some"]["total"].as_u64() > Some(0),
        "{data}"
    );
    sandbox::wait_for("the kernel's own number", || {
        value(&container, "cpu.pressure").contains("some")
    });
}
