//! Changes of a running container's limits.

use super::*;

fn resources(json: &str) -> Resources {
    oci::runtime::parse(json.as_bytes()).expect("resources")
}

fn update(current: &str, change: &str, pure_v2: bool) -> Result<(String, UpdatePlan)> {
    let plan = plan_update(&resources(current), &resources(change), pure_v2)?;
    let lines = plan
        .writes
        .iter()
        .map(|(controller, write)| format!("{controller}: {write}"));
    Ok((lines.collect::<Vec<_>>().join("\n"), plan))
}

#[test]
fn only_the_groups_that_change_are_written() {
    let current = r#"{"cpu":{"shares":512},"memory":{"limit":1000},"pids":{"limit":5}}"#;
    let (lines, plan) = update(current, r#"{"pids":{"limit":9}}"#, true).expect("plan");
    assert_eq!(lines, "pids: pids.max = \"9\"");
    assert_eq!(plan.resources.memory.and_then(|m| m.limit), Some(1000));
}

#[test]
fn values_that_belong_together_are_taken_from_what_is_there() {
    let (lines, _) = update(
        r#"{"cpu":{"quota":20000}}"#,
        r#"{"cpu":{"period":50000}}"#,
        true,
    )
    .expect("plan");
    assert_eq!(lines, "cpu: cpu.max = \"20000 50000\"");
    let (lines, plan) = update(
        r#"{"memory":{"limit":1000}}"#,
        r#"{"memory":{"swap":1500}}"#,
        true,
    )
    .expect("plan");
    assert_eq!(
        lines,
        "memory: memory.swap.max = \"500\"\nmemory: memory.max = \"1000\""
    );
    assert_eq!(plan.memory_limit, Some(1000));
}

#[test]
fn a_limit_above_that_of_memory_and_swap_together_is_refused() {
    for v2 in [true, false] {
        let error = update(
            r#"{"memory":{"limit":1000,"swap":1000}}"#,
            r#"{"memory":{"limit":2000}}"#,
            v2,
        );
        let error = error.expect_err("swap below memory").to_string();
        assert!(error.contains("memory and swap together"), "{error}");
    }
}

#[test]
fn v1_device_rules_change_without_a_gap() {
    let old = r#"{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"rwm"},
        {"allow":true,"type":"b","major":8,"minor":0,"access":"r"}]}"#;
    let new = r#"{"devices":[{"allow":true,"type":"c","major":10,"minor":229,"access":"r"},
        {"allow":true,"type":"c","major":10,"minor":200,"access":"rw"}]}"#;
    let (lines, _) = update(old, new, false).expect("plan");
    assert_eq!(
        lines,
        "devices: devices.allow = \"c 10:200 rw\"\ndevices: devices.deny = \"c 10:229 wm\"\ndevices: devices.deny = \"b 8:0 r\""
    );
    assert_eq!(update(new, new, false).expect("plan").0, "");
}

#[test]
fn v2_device_rules_are_one_new_program() {
    let all = r#"{"devices":[{"allow":true,"access":"rwm"}]}"#;
    assert_eq!(
        update("{}", all, true).expect("plan").1.device_program,
        Some(None)
    );
    assert_eq!(
        update("{}", "{}", true).expect("plan").1.device_program,
        None
    );
}

#[test]
fn what_the_kernel_checks_against_each_other_goes_in_either_order() {
    let (lines, _) = update(
        r#"{"cpu":{"realtimeRuntime":9000}}"#,
        r#"{"cpu":{"realtimePeriod":10000}}"#,
        false,
    )
    .expect("plan");
    let both = "cpu: cpu.rt_period_us = \"10000\", cpu.rt_runtime_us = \"9000\" (in either order)";
    assert_eq!(lines, both);
}

#[test]
fn shares_are_not_written_while_idle_and_come_back_afterwards() {
    let idle = r#"{"cpu":{"shares":512,"idle":1}}"#;
    let written = |change| update(idle, change, false).expect("plan").0;
    assert_eq!(
        written(r#"{"cpu":{"period":50000}}"#),
        "cpu: cpu.cfs_period_us = \"50000\""
    );
    assert_eq!(written(r#"{"cpu":{"idle":1}}"#), "cpu: cpu.idle = \"1\"");
    assert_eq!(
        written(r#"{"cpu":{"idle":0}}"#),
        "cpu: cpu.shares = \"512\", cpu.idle = \"0\" (in either order)"
    );
}
