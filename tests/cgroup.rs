//! Cgroups on this host, for real: every test makes cgroups with names of its own and removes them.
//!
//! Needs root and a mounted cgroup hierarchy.

use crun_lite::cgroup::{self, Cgroup, CgroupRecord};
use crun_lite::host::{self, CgroupLayout, Host};
use crun_lite::plan::Options;
use crun_lite::plan::cgroup::{CgroupPlan, plan_cgroup};
use oci::runtime::Spec;
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
    cgroup::create(plan, cgroup::survey(plan)).expect("create")
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
    let again = cgroup::create(&plan, cgroup::survey(&plan)).expect_err("in use");
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
    let error = cgroup::create(&plan, survey.clone()).expect_err("no such CPU");
    assert!(error.to_string().contains("cpuset.cpus"), "{error}");
    assert!(!exists(&survey));
}
