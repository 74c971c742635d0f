//! Cgroups on this host, for real: every test makes cgroups with names of its own and removes them.
//!
//! Needs root and a mounted cgroup hierarchy.

use crun_lite::cgroup::{self, Cgroup, CgroupRecord, FreezerState, OomNews, OomWatch};
use crun_lite::host::{self, CgroupLayout, Host};
use crun_lite::plan::Options;
use crun_lite::plan::cgroup::{CgroupPlan, plan_cgroup, plan_update};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use oci::runtime::{Resources, Spec};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

fn this_host() -> Host {
    let (cgroups, own_cgroups) = host::probe_cgroups().expect("probe");
    Host {
        uid: 0,
        gid: 0,
        in_initial_userns: true,
        capabilities: u64::MAX,
        bounding: u64::MAX,
        last_capability: 40,
        cgroups,
        own_cgroups,
        apparmor: false,
        selinux: false,
    }
}

/// A plan for a container of this test, below a parent of its own.
fn plan(name: &str, resources: &str) -> CgroupPlan {
    let id = format!("crun-lite-cgroup-test-{}-{name}", std::process::id());
    let json = format!(r#"{{"linux":{{"cgroupsPath":"/{id}/c","resources":{resources}}}}}"#);
    let spec = Spec::parse(json.as_bytes()).expect("spec");
    let options = Options {
        id,
        ..Options::default()
    };
    plan_cgroup(&spec, &this_host(), &options).expect("plan")
}

fn create(plan: &CgroupPlan) -> Cgroup {
    cgroup::create(plan, &cgroup::survey(plan)).expect("create")
}

/// Whether anything of a container or its parent is left.
fn exists(record: &CgroupRecord) -> bool {
    let mut parents = record
        .directories
        .iter()
        .map(|d| d.path().with_file_name("."));
    parents.any(|parent| parent.exists())
}

fn is_v1() -> bool {
    matches!(this_host().cgroups, CgroupLayout::V1 { .. })
}

/// A shell that enters every hierarchy, runs the script, and waits for its stdin's end.
fn enter(cgroup: &Cgroup, script: &str) -> (Child, String) {
    let files = cgroup.record.directories.iter();
    let files = files.map(|d| d.path().join(if d.v2 { "cgroup.procs" } else { "tasks" }));
    let script = format!(r#"for f in "$@"; do echo 0 > "$f"; done; {script}; echo in; read x"#);
    let mut shell = Command::new("sh")
        .args(["-c", &script, "sh"])
        .args(files)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut line = String::new();
    let output = shell.stdout.as_mut().expect("stdout");
    BufReader::new(output).read_line(&mut line).expect("line");
    (shell, line)
}

fn leave(mut shell: Child) {
    drop(shell.stdin.take());
    shell.wait().expect("wait");
}

#[test]
fn a_cgroup_is_made_in_every_hierarchy_and_removed_with_its_parents() {
    let plan = plan("life", "{}");
    let cgroup = create(&plan);
    assert_eq!(cgroup.record.directories.len(), plan.directories.len());
    assert!(cgroup.record.directories.iter().all(|d| d.path().is_dir()));
    let json = serde_json::to_string(&cgroup.record).expect("json");
    let read: CgroupRecord = serde_json::from_str(&json).expect("record");
    assert_eq!(read, cgroup.record);
    cgroup::destroy(&read).expect("destroy");
    assert!(!exists(&read));
    cgroup::destroy(&read).expect("twice");
}

#[test]
fn limits_arrive_in_the_kernel() {
    if !is_v1() {
        return;
    }
    let plan = plan(
        "limits",
        r#"{"memory":{"limit":33554432,"swap":67108864,"reservation":16777216},
            "cpu":{"shares":512,"quota":20000,"period":50000,"cpus":"0","mems":"0"},
            "pids":{"limit":7},
            "devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"}]}"#,
    );
    let cgroup = create(&plan);
    let read = |controller: &str, file: &str| {
        let directory = cgroup.record.of(controller).expect("hierarchy").path();
        let text = std::fs::read_to_string(directory.join(file)).expect("file");
        text.trim().to_owned()
    };
    assert_eq!(read("memory", "memory.limit_in_bytes"), "33554432");
    assert_eq!(read("memory", "memory.memsw.limit_in_bytes"), "67108864");
    assert_eq!(read("memory", "memory.soft_limit_in_bytes"), "16777216");
    assert_eq!(read("cpu", "cpu.shares"), "512");
    assert_eq!(read("cpu", "cpu.cfs_quota_us"), "20000");
    assert_eq!(read("cpu", "cpu.cfs_period_us"), "50000");
    assert_eq!(read("cpuset", "cpuset.cpus"), "0");
    assert_eq!(read("pids", "pids.max"), "7");
    let devices = read("devices", "devices.list");
    assert!(
        devices.contains("c 10:229 rwm") && !devices.contains("a *:*"),
        "{devices}"
    );
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn processes_in_it_are_listed_and_keep_others_out() {
    let plan = plan("join", "{}");
    let cgroup = create(&plan);
    let (shell, _) = enter(&cgroup, ":");
    assert_eq!(
        cgroup::pids(&cgroup.record).expect("pids"),
        [shell.id() as i32]
    );
    let again = cgroup::create(&plan, &cgroup::survey(&plan)).expect_err("in use");
    assert!(
        again
            .to_string()
            .contains("container's cgroup is not empty"),
        "{again}"
    );
    leave(shell);
    cgroup::destroy(&cgroup.record).expect("destroy");
    assert!(!exists(&cgroup.record));
}

#[test]
fn handles_admit_the_writer_itself() {
    let cgroup = create(&plan("handle", "{}"));
    for fd in cgroup.join_fds().expect("fds") {
        let status = Command::new("sh")
            .args(["-c", "echo 0 >&0"])
            .stdin(fd)
            .status();
        assert!(status.expect("sh").success());
    }
    assert!(cgroup.clone_into_fd().is_some() || is_v1());
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn what_existed_before_stays() {
    let plan = plan("kept", "{}");
    let first = create(&plan);
    let second = create(&plan);
    cgroup::destroy(&second.record).expect("second");
    assert!(first.record.directories.iter().all(|d| d.path().is_dir()));
    cgroup::destroy(&first.record).expect("first");
    assert!(!exists(&first.record));
}

#[test]
fn a_refused_value_leaves_nothing() {
    let plan = plan("refused", r#"{"cpu":{"cpus":"4095"}}"#);
    let survey = cgroup::survey(&plan);
    let error = cgroup::create(&plan, &survey).expect_err("no such CPU");
    assert!(error.to_string().contains("cpuset.cpus"), "{error}");
    assert!(!exists(&survey));
}

#[test]
fn freezing_stops_processes_and_killing_ends_frozen_ones() {
    let cgroup = create(&plan("freeze", "{}"));
    let record = &cgroup.record;
    let (mut shell, _) = enter(&cgroup, "{ sleep 100 & sleep 100 & }");
    assert_eq!(cgroup::freezer_state(record), FreezerState::Thawed);
    cgroup::freeze(record).expect("freeze");
    assert_eq!(cgroup::freezer_state(record), FreezerState::Frozen);
    cgroup::thaw(record).expect("thaw");
    assert_eq!(cgroup::freezer_state(record), FreezerState::Thawed);
    cgroup::freeze(record).expect("freeze");
    assert_eq!(
        cgroup::signal_all(record, Signal::SIGKILL).expect("kill"),
        3
    );
    let status = shell.wait().expect("wait");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    cgroup::destroy(record).expect("destroy");
    assert!(!exists(record));
}

#[test]
fn a_signal_reaches_every_process() {
    let cgroup = create(&plan("signal", "{}"));
    let (mut shell, _) = enter(&cgroup, "{ sleep 100 & sleep 100 & }");
    assert_eq!(
        cgroup::signal_all(&cgroup.record, Signal::SIGTERM).expect("signal"),
        3
    );
    shell.wait().expect("wait");
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn nested_cgroups_are_listed_and_removed() {
    let cgroup = create(&plan("nested", "{}"));
    let first = cgroup
        .record
        .of("pids")
        .or(cgroup.record.unified())
        .expect("directory");
    std::fs::create_dir_all(first.path().join("a/b")).expect("mkdir");
    let procs = first.path().join("a/b/cgroup.procs");
    let mut sleep = Command::new("sleep").arg("100").spawn().expect("sleep");
    std::fs::write(procs, sleep.id().to_string()).expect("enter");
    if first.has("pids") {
        let mine = [sleep.id() as i32];
        assert!(
            cgroup::pids(&cgroup.record).expect("pids").is_empty()
                || cgroup::pids(&cgroup.record).expect("pids") == mine
        );
    }
    sleep.kill().expect("kill");
    sleep.wait().expect("wait");
    cgroup::destroy(&cgroup.record).expect("destroy");
    assert!(!exists(&cgroup.record));
}

fn resources(json: &str) -> Resources {
    oci::runtime::parse(json.as_bytes()).expect("resources")
}

fn read(record: &CgroupRecord, controller: &str, file: &str) -> String {
    let directory = record.of(controller).expect("hierarchy").path();
    std::fs::read_to_string(directory.join(file))
        .expect("file")
        .trim()
        .to_owned()
}

#[test]
fn an_update_applies_in_whatever_order_the_kernel_takes() {
    if !is_v1() {
        return;
    }
    let mut current = resources(r#"{"memory":{"limit":33554432,"swap":33554432}}"#);
    let text = r#"{"memory":{"limit":33554432,"swap":33554432}}"#;
    let cgroup = create(&plan("update", text));
    for (limit, swap) in [
        (67108864_u64, 134217728_u64),
        (16777216, 16777216),
        (50331648, 50331648),
    ] {
        let change = resources(&format!(
            r#"{{"memory":{{"limit":{limit},"swap":{swap}}}}}"#
        ));
        let plan = plan_update(&current, &change, false).expect("plan");
        cgroup::update(&cgroup.record, &plan).expect("update");
        assert_eq!(
            read(&cgroup.record, "memory", "memory.limit_in_bytes"),
            limit.to_string()
        );
        assert_eq!(
            read(&cgroup.record, "memory", "memory.memsw.limit_in_bytes"),
            swap.to_string()
        );
        current = plan.resources;
    }
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn a_failed_update_changes_nothing() {
    if !is_v1() {
        return;
    }
    let cgroup = create(&plan(
        "rollback",
        r#"{"cpu":{"shares":512,"quota":20000},"pids":{"limit":7}}"#,
    ));
    let change =
        resources(r#"{"cpu":{"shares":100,"quota":50000,"cpus":"4095"},"pids":{"limit":9}}"#);
    let plan = plan_update(&Resources::default(), &change, false).expect("plan");
    let error = cgroup::update(&cgroup.record, &plan).expect_err("no such CPU");
    assert!(error.to_string().contains("cpuset.cpus"), "{error}");
    assert_eq!(read(&cgroup.record, "cpu", "cpu.shares"), "512");
    assert_eq!(read(&cgroup.record, "cpu", "cpu.cfs_quota_us"), "20000");
    assert_eq!(read(&cgroup.record, "pids", "pids.max"), "7");
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn statistics_tell_what_the_kernel_counts() {
    let cgroup = create(&plan(
        "stats",
        r#"{"pids":{"limit":50},"memory":{"limit":67108864}}"#,
    ));
    let (shell, _) = enter(&cgroup, "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done");
    let stats = cgroup::stats(&cgroup.record).expect("stats");
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 50));
    assert_eq!(stats.memory.usage.limit, 67_108_864);
    assert!(stats.memory.usage.usage > 0 && stats.memory.usage.max >= stats.memory.usage.usage);
    assert!(stats.cpu.usage.total > 0);
    assert!(!stats.cpuset.cpus.is_empty());
    if is_v1() {
        assert_eq!(stats.memory.raw["hierarchical_memory_limit"], 67_108_864);
        let per_cpu: u64 = stats.cpu.usage.percpu.iter().sum();
        assert!(per_cpu > 0 && !stats.cpu.usage.percpu_user.is_empty());
    }
    leave(shell);
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn the_out_of_memory_killer_is_noticed() {
    let cgroup = create(&plan(
        "oom",
        r#"{"memory":{"limit":8388608,"swap":8388608}}"#,
    ));
    let mut watch = OomWatch::new(&cgroup.record).expect("watch");
    let (mut shell, _) = enter(&cgroup, "(x=a; while :; do x=$x$x; done); true");
    let mut fds = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, 5000_u16).expect("poll"), 1, "no event");
    assert!(matches!(watch.news(), Ok(OomNews::Kills(1..))));
    drop(shell.stdin.take());
    shell.wait().expect("wait");
    assert!(cgroup::oom_report(&cgroup.record).is_some_and(|oom| oom.kills > 0));
    cgroup::destroy(&cgroup.record).expect("destroy");
}

/// Stands still while two readers look at it: one process, frozen, after some work.
fn still(name: &str) -> (Cgroup, Child) {
    let cgroup = create(&plan(
        name,
        r#"{"pids":{"limit":50},"memory":{"limit":67108864,"swap":134217728}}"#,
    ));
    let work = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; cat /bin/sh > /dev/null";
    let (shell, _) = enter(&cgroup, work);
    cgroup::freeze(&cgroup.record).expect("freeze");
    (cgroup, shell)
}

/// The same cgroup as the package cgroups-rs finds it by its path below each mount point.
fn oracle(cgroup: &Cgroup) -> cgroups_rs::fs::Cgroup {
    let path = &cgroup.record.of("memory").expect("memory").path;
    cgroups_rs::fs::Cgroup::load(cgroups_rs::fs::hierarchies::auto(), path)
}

#[test]
fn cgroups_rs_reads_the_same_statistics() {
    use cgroups_rs::fs::{MaxValue, blkio, cpuacct, memory, pid};
    if !is_v1() {
        return;
    }
    let (cgroup, shell) = still("oracle");
    let theirs = oracle(&cgroup);
    let ours = cgroup::stats(&cgroup.record).expect("stats");

    let pids: &pid::PidController = theirs.controller_of().expect("pids");
    assert_eq!(pids.get_pid_current().expect("current"), ours.pids.current);
    let limit = MaxValue::Value(ours.pids.limit as i64);
    assert_eq!(pids.get_pid_max().expect("max"), limit);

    let memory: &memory::MemController = theirs.controller_of().expect("memory");
    let (all, swap) = (memory.memory_stat(), memory.memswap());
    assert_eq!(all.limit_in_bytes as u64, ours.memory.usage.limit);
    assert_eq!(all.max_usage_in_bytes, ours.memory.usage.max);
    assert_eq!(all.fail_cnt, ours.memory.usage.failcnt);
    assert_eq!(swap.limit_in_bytes as u64, ours.memory.swap.limit);
    let close = |a: u64, b: u64| a.abs_diff(b) <= 1 << 20;
    // The kernel folds in per-CPU counters between two reads.
    assert!(close(all.usage_in_bytes, ours.memory.usage.usage));
    assert!(close(all.stat.cache, ours.memory.cache));

    let time: &cpuacct::CpuAcctController = theirs.controller_of().expect("cpuacct");
    let time = time.cpuacct();
    assert_eq!(time.usage, ours.cpu.usage.total);
    let numbers = time.usage_percpu.split_whitespace();
    let per_cpu: Vec<u64> = numbers.filter_map(|n| n.parse().ok()).collect();
    assert_eq!(per_cpu, ours.cpu.usage.percpu);

    let io: &blkio::BlkIoController = theirs.controller_of().expect("blkio");
    let entries = io.blkio().throttle.io_service_bytes_recursive;
    // Ours prefers the scheduler's counters, which the package doesn't know.
    let blkio = cgroup.record.of("blkio").expect("blkio").path();
    let bfq = std::fs::read_to_string(blkio.join("blkio.bfq.io_service_bytes_recursive"));
    let bfq = bfq.unwrap_or_default();
    let compared = ours.blkio.io_service_bytes_recursive.iter();
    for entry in compared.filter(|_| !bfq.contains(':')) {
        let device =
            |e: &&blkio::IoService| (e.major as u64, e.minor as u64) == (entry.major, entry.minor);
        let found = entries.iter().find(device).expect("device");
        match entry.op.as_str() {
            "Read" => assert_eq!(found.read, entry.value),
            "Write" => assert_eq!(found.write, entry.value),
            _ => {}
        }
    }
    cgroup::thaw(&cgroup.record).expect("thaw");
    leave(shell);
    cgroup::destroy(&cgroup.record).expect("destroy");
}

#[test]
fn cgroups_rs_finds_the_same_hierarchies() {
    use cgroups_rs::fs::{Controllers, hierarchies};
    let CgroupLayout::V1 {
        hierarchies: ours, ..
    } = this_host().cgroups
    else {
        return;
    };
    let theirs = hierarchies::V1::new();
    let mut compared = 0;
    for controller in [
        Controllers::Pids,
        Controllers::Mem,
        Controllers::CpuAcct,
        Controllers::Cpu,
        Controllers::CpuSet,
        Controllers::Devices,
        Controllers::Freezer,
        Controllers::BlkIo,
        Controllers::HugeTlb,
    ] {
        let name = controller.to_string();
        let mount = ours.iter().find(|h| h.controllers.contains(&name));
        let found = theirs.get_mount_point(controller);
        assert_eq!(
            mount.map(|h| h.mount.clone()),
            found.map(|(mount, _)| mount),
            "{name}"
        );
        compared += usize::from(mount.is_some());
    }
    assert!(compared > 0);
}
