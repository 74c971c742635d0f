//! `linux.cgroupsPath` and `linux.resources` on the v1 hierarchies of this host.

use crate::support::{Container, Sandbox, Value, cases, host, json, sandbox};

cases![
    absolute_path,
    every_hierarchy_is_joined,
    relative_path,
    no_path,
    memory,
    memory_swap_unlimited,
    memory_details,
    cpu,
    cpu_burst_and_idle,
    cpusets,
    pids,
    pids_limit_holds,
    pids_zero_and_minus_one,
    block_io,
    hugetlb,
    network,
    unified_on_v1_is_refused,
    out_of_memory_kills,
    a_limit_of_512_kib_starts,
    is_in_its_cgroup_from_the_start,
    unknown_device_is_refused,
    nested_paths,
];

fn with(t: &Sandbox, resources: Value) -> Container<'_> {
    t.running(t.bundle().resources(resources))
}

#[track_caller]
fn shows(container: &Container<'_>, controller: &str, rows: &[(&str, &str)]) {
    for (file, value) in rows {
        assert_eq!(container.cgroup_value(controller, file), *value, "{file}");
    }
}

fn absolute_path(t: &Sandbox) {
    let container = t.running(t.bundle());
    let file = container.v1_cgroup("pids").join("cgroup.procs");
    assert_eq!(sandbox::read(file).trim_end(), container.pid().to_string());
}

fn every_hierarchy_is_joined(t: &Sandbox) {
    let container = t.running(t.bundle());
    let cgroups = sandbox::read(format!("/proc/{}/cgroup", container.pid()));
    for line in cgroups.lines().filter(|line| !line.starts_with("0::")) {
        assert!(line.ends_with(container.bundle.cgroups_path()), "{line}");
    }
}

fn relative_path(t: &Sandbox) {
    let path = format!("{}-relative", t.tag);
    let container = t.running(t.bundle().set("/linux/cgroupsPath", json!(path)));
    assert!(sandbox::read(format!("/proc/{}/cgroup", container.pid())).contains(&path));
}

fn no_path(t: &Sandbox) {
    let container = t.running(t.bundle().without("/linux/cgroupsPath"));
    let cgroups = sandbox::read(format!("/proc/{}/cgroup", container.pid()));
    assert!(
        cgroups.contains(&container.id),
        "a cgroup named after the container: {cgroups}"
    );
    container.delete(&["-f"]).ok();
}

fn nested_paths(t: &Sandbox) {
    let bundle = t.bundle();
    let path = format!("{}/a/b/c", bundle.cgroups_path());
    let container = t.running(bundle.set("/linux/cgroupsPath", json!(path)));
    assert_eq!(host::pids_in_cgroup(&path), [container.pid()]);
    container.delete(&["-f"]).ok();
    host::remove_traces_of(&t.tag);
}

fn memory(t: &Sandbox) {
    let container = with(
        t,
        json!({"memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20}}),
    );
    let rows = [
        ("memory.limit_in_bytes", "67108864"),
        ("memory.soft_limit_in_bytes", "33554432"),
        ("memory.memsw.limit_in_bytes", "100663296"),
    ];
    shows(&container, "memory", &rows);
}

fn memory_swap_unlimited(t: &Sandbox) {
    let container = with(t, json!({"memory": {"limit": 64 << 20, "swap": -1}}));
    shows(
        &container,
        "memory",
        &[
            ("memory.limit_in_bytes", "67108864"),
            ("memory.memsw.limit_in_bytes", "9223372036854771712"),
        ],
    );
    let container = with(t, json!({"memory": {"limit": -1}}));
    shows(
        &container,
        "memory",
        &[("memory.limit_in_bytes", "9223372036854771712")],
    );
}

fn memory_details(t: &Sandbox) {
    let container = with(
        t,
        json!({"memory": {"limit": 64 << 20, "swappiness": 10, "disableOOMKiller": true, "useHierarchy": true, "kernelTCP": 16 << 20}}),
    );
    shows(
        &container,
        "memory",
        &[
            ("memory.swappiness", "10"),
            ("memory.kmem.tcp.limit_in_bytes", "16777216"),
        ],
    );
    assert!(
        container
            .cgroup_value("memory", "memory.oom_control")
            .contains("oom_kill_disable 1")
    );
}

fn cpu(t: &Sandbox) {
    let container = with(
        t,
        json!({"cpu": {"shares": 77, "quota": 20_000, "period": 40_000}}),
    );
    shows(
        &container,
        "cpu",
        &[
            ("cpu.shares", "77"),
            ("cpu.cfs_quota_us", "20000"),
            ("cpu.cfs_period_us", "40000"),
        ],
    );
    let container = with(t, json!({"cpu": {"shares": 0, "quota": -1}}));
    shows(
        &container,
        "cpu",
        &[("cpu.shares", "1024"), ("cpu.cfs_quota_us", "-1")],
    );
}

fn cpu_burst_and_idle(t: &Sandbox) {
    let container = with(
        t,
        json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 10_000}}),
    );
    shows(&container, "cpu", &[("cpu.cfs_burst_us", "10000")]);
    let container = with(t, json!({"cpu": {"idle": 1}}));
    shows(&container, "cpu", &[("cpu.idle", "1")]);
}

fn cpusets(t: &Sandbox) {
    let container = with(t, json!({"cpu": {"cpus": "1", "mems": "0"}}));
    shows(
        &container,
        "cpuset",
        &[("cpuset.cpus", "1"), ("cpuset.mems", "0")],
    );
    assert_eq!(
        container.sh("grep Cpus_allowed_list /proc/self/status | cut -f 2"),
        "1"
    );
    assert_eq!(
        container.sh("grep Cpus_allowed_list /proc/1/status | cut -f 2"),
        "1"
    );
}

fn pids(t: &Sandbox) {
    shows(
        &with(t, json!({"pids": {"limit": 42}})),
        "pids",
        &[("pids.max", "42")],
    );
}

fn pids_limit_holds(t: &Sandbox) {
    let container = with(t, json!({"pids": {"limit": 25}}));
    let output = container.exec("i=0; while test $i -lt 40; do sleep 100 & i=$((i+1)); done; true");
    assert!(output.stderr.contains("can't fork"), "{output}");
}

fn pids_zero_and_minus_one(t: &Sandbox) {
    shows(
        &with(t, json!({"pids": {"limit": -1}})),
        "pids",
        &[("pids.max", "max")],
    );
    let zero = with(t, json!({"pids": {"limit": 0}}));
    let value = zero.cgroup_value("pids", "pids.max");
    assert!(
        ["0", "1"].contains(&value.as_str()),
        "0 is a limit, not its absence: {value}"
    );
}

fn block_io(t: &Sandbox) {
    let device = |rate: u64| json!([{"major": 254, "minor": 0, "rate": rate}]);
    let resources = json!({"blockIO": {"throttleReadBpsDevice": device(1_000_000), "throttleWriteBpsDevice": device(2_000_000),
        "throttleReadIOPSDevice": device(300), "throttleWriteIOPSDevice": device(400)}});
    let rows = [
        ("blkio.throttle.read_bps_device", "254:0 1000000"),
        ("blkio.throttle.write_bps_device", "254:0 2000000"),
        ("blkio.throttle.read_iops_device", "254:0 300"),
        ("blkio.throttle.write_iops_device", "254:0 400"),
    ];
    shows(&with(t, resources), "blkio", &rows);
}

fn hugetlb(t: &Sandbox) {
    if host::v1_hierarchy("hugetlb").is_none() {
        crate::support::skip("no v1 hierarchy of hugetlb on this host");
    }
    let container = with(
        t,
        json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}),
    );
    shows(
        &container,
        "hugetlb",
        &[
            ("hugetlb.2MB.limit_in_bytes", "4194304"),
            ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
        ],
    );
}

fn network(t: &Sandbox) {
    if host::v1_hierarchy("net_cls").is_none() {
        crate::support::skip("no v1 hierarchy of net_cls on this host");
    }
    shows(
        &with(t, json!({"network": {"classID": 1_048_577}})),
        "net_cls",
        &[("net_cls.classid", "1048577")],
    );
}

fn unified_on_v1_is_refused(t: &Sandbox) {
    let bundle = t.bundle().idle().set(
        "/linux/resources/unified",
        json!({"memory.no_such_file": "1"}),
    );
    if host::is_pure_v2() {
        crate::support::skip("this host has nothing but cgroup v2");
    }
    t.try_create(&bundle, &[]).refused_with(&["unified"]);
}

fn out_of_memory_kills(t: &Sandbox) {
    let bundle = t.bundle().set(
        "/linux/resources/memory",
        json!({"limit": 16 << 20, "swap": 16 << 20}),
    );
    assert_eq!(
        t.run(&bundle.shell("tail /dev/zero; echo $?")).text(),
        "137"
    );
}

fn a_limit_of_512_kib_starts(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set(
            "/linux/resources/memory",
            json!({"limit": 512 << 10, "swap": 512 << 10}),
        )
        .args(&["/bin/true"]);
    t.run(&bundle).ok();
}

fn is_in_its_cgroup_from_the_start(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    assert_eq!(
        host::pids_in_cgroup(container.bundle.cgroups_path()),
        [container.pid()]
    );
}

fn unknown_device_is_refused(t: &Sandbox) {
    let resources = json!({"throttleReadBpsDevice": [{"major": 999, "minor": 99, "rate": 5}]});
    t.try_create(
        &t.bundle().idle().set("/linux/resources/blockIO", resources),
        &[],
    )
    .fails_with(&[if host::is_pure_v2() {
        "io.max"
    } else {
        "blkio"
    }]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}
