//! Limits as the files of both cgroup versions have them.

use super::*;

const ALL: &str = r#"{
    "cpu":{"shares":1024,"quota":20000,"period":50000,"burst":1000,"idle":0,"cpus":"0-3","mems":"0"},
    "memory":{"limit":1000,"swap":3000,"reservation":500},
    "pids":{"limit":100},
    "blockIO":{"weight":500,"weightDevice":[{"major":8,"minor":0,"weight":10}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1048576}],
        "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":0}]},
    "hugepageLimits":[{"pageSize":"2MB","limit":4194304}],
    "rdma":{"mlx5_0":{"hcaHandles":3,"hcaObjects":7}}
}"#;

#[test]
fn v1_writes_what_the_specification_says() {
    let expected = r#"
cpu.shares = "1024", cpu.idle = "0" (in either order)
cpu.cfs_period_us = "50000", cpu.cfs_quota_us = "20000" (in either order)
cpu.cfs_burst_us = "1000"
cpuset.cpus = "0-3"
cpuset.mems = "0"
memory.limit_in_bytes = "1000", memory.memsw.limit_in_bytes = "3000" (in either order)
memory.soft_limit_in_bytes = "500"
blkio.weight = "500", or if absent blkio.bfq.weight = "500"
blkio.weight_device = "8:0 10", or if absent blkio.bfq.weight_device = "8:0 10"
blkio.throttle.read_bps_device = "8:0 1048576"
blkio.throttle.write_iops_device = "8:16 0"
pids.max = "100"
hugetlb.2MB.limit_in_bytes = "4194304"
hugetlb.2MB.rsvd.limit_in_bytes = "4194304" (if present)
rdma.max = "mlx5_0 hca_handle=3 hca_object=7"
"#;
    assert_eq!(written(&hybrid(), ALL), expected.trim());
}

#[test]
fn v2_converts_what_v1_words_mean() {
    let expected = r#"
cpu.weight = "100", cpu.idle = "0" (in either order)
cpu.max = "20000 50000"
cpu.max.burst = "1000"
cpuset.cpus = "0-3"
cpuset.mems = "0"
memory.swap.max = "2000"
memory.max = "1000"
memory.low = "500"
pids.max = "100"
io.bfq.weight = "500", or if absent io.weight = "4950"
io.bfq.weight = "8:0 10", or if absent io.weight = "8:0 1"
io.max = "8:0 rbps=1048576"
io.max = "8:16 wiops=max"
hugetlb.2MB.max = "4194304"
hugetlb.2MB.rsvd.max = "4194304" (if present)
rdma.max = "mlx5_0 hca_handle=3 hca_object=7"
"#;
    assert_eq!(written(&v2(), ALL), expected.trim());
}

#[test]
fn v2_needs_the_controllers_of_its_limits_and_wants_all() {
    let plan = plan_on(
        &v2(),
        r#"{"resources":{"pids":{"limit":1},"unified":{"io.latency":"8:0 target=1","cgroup.max.depth":"3"}}}"#,
    );
    let plan = plan.expect("plan");
    let HierarchyKind::V2 { required, wanted } = &plan.directories[0].hierarchy else {
        panic!("{plan}")
    };
    assert_eq!((required.join(" "), wanted.len()), ("pids io".into(), 7));
}

#[test]
fn shares_become_weights_along_the_curve() {
    let pairs = [
        (0, 1),
        (1, 1),
        (2, 1),
        (3, 2),
        (100, 17),
        (1024, 100),
        (2048, 174),
        (262_144, 10_000),
        (u64::MAX, 10_000),
    ];
    for (shares, weight) in pairs {
        assert_eq!(v2::weight_of_shares(shares), weight, "{shares}");
    }
    let weights: Vec<u64> = (2..=262_144).map(v2::weight_of_shares).collect();
    assert!(weights.is_sorted() && weights.iter().all(|w| (1..=10_000).contains(w)));
}

#[test]
fn memory_and_swap_together_become_swap_alone() {
    assert_eq!(v2::swap_max(Some(100), Some(100)), Ok(Some(0)));
    assert_eq!(v2::swap_max(Some(100), Some(-1)), Ok(Some(-1)));
    assert_eq!(v2::swap_max(Some(-1), None), Ok(Some(-1)));
    assert_eq!(v2::swap_max(Some(100), None), Ok(None));
    assert!(v2::swap_max(None, Some(100)).is_err());
    assert!(v2::swap_max(Some(100), Some(99)).is_err());
}

#[test]
fn minus_one_is_no_limit() {
    let resources = r#"{"memory":{"limit":-1},"cpu":{"quota":-1},"pids":{"limit":-1}}"#;
    let v1 = "cpu.cfs_quota_us = \"-1\"\nmemory.memsw.limit_in_bytes = \"-1\" (if present)\nmemory.limit_in_bytes = \"-1\"\npids.max = \"max\"";
    assert_eq!(written(&hybrid(), resources), v1);
    let v2_text = "cpu.max = \"max\"\nmemory.swap.max = \"max\" (if present)\nmemory.max = \"max\"\npids.max = \"max\"";
    assert_eq!(written(&v2(), resources), v2_text);
}

#[test]
fn zeros_that_engines_write_for_unset_are_unset() {
    let zeros = r#"{"memory":{"limit":0,"swap":0,"reservation":0,"disableOOMKiller":false},
        "cpu":{"shares":0,"quota":0,"period":0,"realtimeRuntime":0,"realtimePeriod":0},
        "blockIO":{"weight":0,"leafWeight":0},"network":{"classID":0}}"#;
    assert_eq!(written(&hybrid(), zeros), "");
    assert_eq!(written(&v2(), zeros), "");
}

#[test]
fn a_pids_limit_of_zero_is_one() {
    assert_eq!(
        written(&v2(), r#"{"pids":{"limit":0}}"#),
        "pids.max = \"1\""
    );
}

#[test]
fn v2_warns_of_what_only_v1_has() {
    let v1_only = r#"{"memory":{"kernel":1,"kernelTCP":1,"swappiness":10,"disableOOMKiller":true},
        "cpu":{"realtimeRuntime":1},"network":{"classID":1},"blockIO":{"leafWeight":10}}"#;
    let lines = written(&v2(), v1_only);
    assert!(lines.lines().all(|l| l.starts_with("warning: ")), "{lines}");
    assert_eq!(lines.lines().count(), 7);
}

#[test]
fn bad_values_name_their_field() {
    let cases = [
        (
            v2(),
            r#"{"unified":{"../memory.max":"1"}}"#,
            "linux.resources.unified",
        ),
        (
            v2(),
            r#"{"unified":{"memory":"1"}}"#,
            "linux.resources.unified",
        ),
        (v2(), r#"{"unified":{"misc.max":"1"}}"#, "misc"),
        (
            hybrid(),
            r#"{"unified":{"memory.high":"1"}}"#,
            "linux.resources.unified",
        ),
        (
            v2(),
            r#"{"hugepageLimits":[{"pageSize":"2/../MB","limit":1}]}"#,
            "pageSize",
        ),
        (
            hybrid(),
            r#"{"memory":{"swappiness":101}}"#,
            "linux.resources.memory.swappiness",
        ),
        (
            v2(),
            r#"{"rdma":{"a b":{"hcaHandles":1}}}"#,
            "linux.resources.rdma",
        ),
        (
            v2(),
            r#"{"devices":[{"allow":true,"type":"x","access":"r"}]}"#,
            "linux.resources.devices[0]",
        ),
        (
            v2(),
            r#"{"devices":[{"allow":true,"access":"z"}]}"#,
            "linux.resources.devices[0]",
        ),
        (
            v2(),
            r#"{"devices":[{"allow":true,"major":-2,"access":"r"}]}"#,
            "linux.resources.devices[0]",
        ),
    ];
    for (host, resources, field) in cases {
        let linux = format!(r#"{{"resources":{resources}}}"#);
        let error = plan_on(&host, &linux).expect_err(resources);
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn a_controller_that_v1_lacks_is_named() {
    let mut host = hybrid();
    if let CgroupLayout::V1 { hierarchies, .. } = &mut host.cgroups {
        hierarchies.retain(|h| h.controllers[0] != "pids");
    }
    let error = plan_on(&host, r#"{"resources":{"pids":{"limit":5}}}"#).expect_err("no pids");
    assert!(
        error.to_string().contains("pids cgroup controller"),
        "{error}"
    );
}
