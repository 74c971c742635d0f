//! `update`: every flag and `--resources`, on the cgroup v1 hierarchies of this host.

use crate::support::{Container, Sandbox, cases, json, runtime, sandbox};

cases![
    sets_pids_limit,
    sets_memory,
    sets_cpu,
    sets_cpu_burst_and_idle,
    an_idle_container_keeps_its_shares_for_later,
    sets_cpusets,
    reads_a_file,
    reads_standard_input,
    accepts_what_containerd_sends,
    takes_options_after_the_id,
    leaves_the_rest_alone,
    raises_and_lowers_memory_with_swap,
    refuses_an_unknown_id,
    refuses_a_stopped_container,
    refuses_bad_numbers,
    refuses_bad_json,
    refuses_a_limit_below_usage_when_asked,
    sets_block_io,
    survives_the_next_command,
];

fn limited(t: &Sandbox) -> Container<'_> {
    let resources = json!({
        "memory": {"limit": 64 << 20}, "cpu": {"shares": 512, "quota": 50_000, "period": 100_000}, "pids": {"limit": 100},
        "devices": [{"allow": false, "access": "rwm"}]
    });
    t.running(t.bundle().set("/linux/resources", resources))
}

fn sets_pids_limit(t: &Sandbox) {
    let container = limited(t);
    container.update(&["--pids-limit", "20"]).silent();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "20");
    container.update(&["--pids-limit=-1"]).ok();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "max");
}

fn sets_memory(t: &Sandbox) {
    let container = limited(t);
    container
        .update(&["--memory", "50331648", "--memory-reservation", "33554432"])
        .ok();
    assert_eq!(
        container.cgroup_value("memory", "memory.limit_in_bytes"),
        "50331648"
    );
    assert_eq!(
        container.cgroup_value("memory", "memory.soft_limit_in_bytes"),
        "33554432"
    );
    container
        .update(&["--memory", "50331648", "--memory-swap", "100663296"])
        .ok();
    assert_eq!(
        container.cgroup_value("memory", "memory.memsw.limit_in_bytes"),
        "100663296"
    );
}

fn sets_cpu(t: &Sandbox) {
    let container = limited(t);
    container
        .update(&[
            "--cpu-share",
            "200",
            "--cpu-quota",
            "30000",
            "--cpu-period",
            "60000",
        ])
        .ok();
    for (file, value) in [
        ("cpu.shares", "200"),
        ("cpu.cfs_quota_us", "30000"),
        ("cpu.cfs_period_us", "60000"),
    ] {
        assert_eq!(container.cgroup_value("cpu", file), value, "{file}");
    }
}

fn sets_cpu_burst_and_idle(t: &Sandbox) {
    let container = limited(t);
    container.update(&["--cpu-burst", "10000"]).ok();
    assert_eq!(container.cgroup_value("cpu", "cpu.cfs_burst_us"), "10000");
    container.update(&["--cpu-idle", "1"]).ok();
    assert_eq!(container.cgroup_value("cpu", "cpu.idle"), "1");
}

/// KERNEL: a cgroup takes no shares while it is idle, and forgets those that it had.
fn an_idle_container_keeps_its_shares_for_later(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("Debian's peers predate the field");
    }
    let container = limited(t);
    let shares = || container.cgroup_value("cpu", "cpu.shares");
    for idle in ["1", "0", "1"] {
        container
            .update_from(&json!({"cpu": {"idle": idle.parse::<i64>().expect("a number")}}))
            .ok();
        assert_eq!(container.cgroup_value("cpu", "cpu.idle"), idle);
    }
    container.update(&["--cpu-period", "10000"]).ok();
    assert_eq!(container.cgroup_value("cpu", "cpu.idle"), "1");
    container.update(&["--cpu-idle", "0"]).ok();
    assert_eq!(shares(), "512");
    container.update(&["--cpu-idle", "1"]).ok();
    container
        .update_from(&json!({"cpu": {"idle": 0, "shares": 256}}))
        .ok();
    assert_eq!(shares(), "256");
}

fn sets_cpusets(t: &Sandbox) {
    let container = limited(t);
    container
        .update(&["--cpuset-cpus", "1", "--cpuset-mems", "0"])
        .ok();
    assert_eq!(container.cgroup_value("cpuset", "cpuset.cpus"), "1");
    assert_eq!(container.cgroup_value("cpuset", "cpuset.mems"), "0");
}

fn reads_a_file(t: &Sandbox) {
    let container = limited(t);
    let file = t.new_path("resources.json");
    std::fs::write(&file, json!({"pids": {"limit": 33}}).to_string()).expect("write resources");
    for flag in ["--resources", "-r"] {
        container.update(&[flag, &file.to_string_lossy()]).ok();
        assert_eq!(container.cgroup_value("pids", "pids.max"), "33");
        container.update(&["--pids-limit", "34"]).ok();
    }
}

fn reads_standard_input(t: &Sandbox) {
    let container = limited(t);
    container
        .update_from(&json!({"pids": {"limit": 21}, "cpu": {"shares": 333}}))
        .ok();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "21");
    assert_eq!(container.cgroup_value("cpu", "cpu.shares"), "333");
}

fn accepts_what_containerd_sends(t: &Sandbox) {
    let container = limited(t);
    let arguments = ["update", "--resources=-", &container.id];
    let resources = json!({"memory": {"limit": 83_886_080}, "cpu": {"shares": 128, "quota": -1, "cpus": "", "mems": ""}});
    t.runtime(&arguments)
        .stdin(&resources.to_string())
        .output()
        .ok();
    assert_eq!(
        container.cgroup_value("memory", "memory.limit_in_bytes"),
        "83886080"
    );
    assert_eq!(container.cgroup_value("cpu", "cpu.cfs_quota_us"), "-1");
}

fn takes_options_after_the_id(t: &Sandbox) {
    let container = limited(t);
    t.runtime(&["update", &container.id, "--pids-limit", "19"])
        .output()
        .ok();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "19");
}

fn leaves_the_rest_alone(t: &Sandbox) {
    let container = limited(t);
    container.update(&["--pids-limit", "10"]).ok();
    assert_eq!(
        container.cgroup_value("memory", "memory.limit_in_bytes"),
        (64 << 20).to_string()
    );
    assert_eq!(container.cgroup_value("cpu", "cpu.shares"), "512");
    assert_eq!(container.cgroup_value("cpu", "cpu.cfs_quota_us"), "50000");
}

/// v1 refuses a limit above the one for memory and swap together, so the order of the writes matters.
fn raises_and_lowers_memory_with_swap(t: &Sandbox) {
    let container = limited(t);
    for (limit, swap) in [
        (64 << 20, 96 << 20),
        (256 << 20, 512 << 20),
        (32 << 20, 48 << 20),
        (32 << 20, 32 << 20),
        (128 << 20, 128 << 20),
    ] {
        container
            .update_from(&json!({"memory": {"limit": limit, "swap": swap}}))
            .ok();
        assert_eq!(
            container.cgroup_value("memory", "memory.limit_in_bytes"),
            limit.to_string()
        );
        assert_eq!(
            container.cgroup_value("memory", "memory.memsw.limit_in_bytes"),
            swap.to_string()
        );
    }
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["update", "--pids-limit", "5", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = limited(t);
    container.stop();
    container.update(&["--pids-limit", "5"]).fails();
}

fn refuses_bad_numbers(t: &Sandbox) {
    let container = limited(t);
    for flags in [
        ["--memory", "many"],
        ["--cpu-share", "-7x"],
        ["--pids-limit", "1.5"],
    ] {
        container.update(&flags).fails();
    }
    assert_eq!(container.cgroup_value("pids", "pids.max"), "100");
}

fn refuses_bad_json(t: &Sandbox) {
    let container = limited(t);
    for text in ["{", "[]", "{\"pids\": {\"limit\": \"x\"}}", ""] {
        container
            .invoke(&["update", "--resources", "-"])
            .stdin(text)
            .output()
            .fails();
    }
    assert_eq!(container.cgroup_value("pids", "pids.max"), "100");
}

fn refuses_a_limit_below_usage_when_asked(t: &Sandbox) {
    let container = t.running(
        t.bundle()
            .mount("/mnt", "tmpfs", "tmpfs", &[])
            .set("/linux/resources/memory", json!({"limit": 128 << 20})),
    );
    container
        .exec("dd if=/dev/zero of=/mnt/file bs=1M count=40 2>/dev/null")
        .ok();
    container
        .update_from(&json!({"memory": {"limit": 8 << 20, "checkBeforeUpdate": true}}))
        .fails();
    assert_eq!(
        container.cgroup_value("memory", "memory.limit_in_bytes"),
        (128 << 20).to_string()
    );
    assert_eq!(container.status(), "running");
}

fn sets_block_io(t: &Sandbox) {
    let container = limited(t);
    let weight = container.v1_cgroup("blkio").join("blkio.bfq.weight");
    let resources = json!({"blockIO": {"throttleReadBpsDevice": [{"major": 254, "minor": 0, "rate": 1_048_576}]}});
    container.update_from(&resources).ok();
    assert_eq!(
        container.cgroup_value("blkio", "blkio.throttle.read_bps_device"),
        "254:0 1048576"
    );
    if weight.exists() {
        container.update(&["--blkio-weight", "300"]).ok();
        assert!(sandbox::read(weight).contains("300"));
    }
}

fn survives_the_next_command(t: &Sandbox) {
    let container = limited(t);
    container.update(&["--pids-limit", "23"]).ok();
    container.exec("true").ok();
    container.pause().ok();
    container.resume().ok();
    assert_eq!(container.cgroup_value("pids", "pids.max"), "23");
}
