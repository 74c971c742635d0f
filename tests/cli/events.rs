//! `events`: runc's JSON, one object a line.

use std::time::Duration;

use crate::support::{Container, Sandbox, Value, cases, host, json, runtime, sandbox};

cases![
    prints_stats_once,
    has_runcs_keys,
    streams,
    counts_processes,
    counts_memory,
    refuses_a_stopped_container,
    refuses_an_unknown_id,
    reports_running_out_of_memory
];

fn stats(container: &Container<'_>) -> Value {
    let text = container.invoke(&["events", "--stats"]).output().text();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn prints_stats_once(t: &Sandbox) {
    let container = t.running(t.bundle());
    let event = stats(&container);
    assert_eq!(event["type"], json!("stats"));
    assert_eq!(event["id"], json!(container.id));
    let text = container.invoke(&["events", "--stats"]).output().text();
    let start = format!("{{\"type\":\"stats\",\"id\":\"{}\",\"data\":", container.id);
    assert!(text.starts_with(&start), "{text}");
}

fn has_runcs_keys(t: &Sandbox) {
    let container = t.running(
        t.bundle()
            .set("/linux/resources/pids", json!({"limit": 77})),
    );
    let data = &stats(&container)["data"];
    assert!(
        data["cpu"]["usage"]["total"]
            .as_u64()
            .is_some_and(|total| total > 0),
        "{data}"
    );
    // cgroup v2 doesn't count by CPU.
    assert!(
        host::is_pure_v2()
            || data["cpu"]["usage"]["percpu"]
                .as_array()
                .is_some_and(|list| list.len() >= 2),
        "{data}"
    );
    for key in ["kernel", "user"] {
        assert!(
            data["cpu"]["usage"][key].is_u64(),
            "cpu.usage.{key} in {data}"
        );
    }
    assert!(data["cpu"]["throttling"].is_object(), "{data}");
    assert_eq!(data["pids"]["limit"], json!(77));
    for key in ["usage", "swap", "kernel", "kernelTCP"] {
        assert!(data["memory"][key].is_object(), "memory.{key} in {data}");
    }
    assert!(
        data["memory"]["raw"]["total_rss"].is_u64() || data["memory"]["raw"]["anon"].is_u64(),
        "{data}"
    );
    assert!(data["blkio"].is_object(), "{data}");
    assert!(
        data["intel_rdt"].is_object() || data["intel_rdt"].is_null(),
        "{data}"
    );
}

fn streams(t: &Sandbox) {
    let container = t.running(t.bundle());
    let running = container.invoke(&["events", "--interval", "100ms"]).spawn();
    sandbox::wait_for("three events", || {
        running.stdout_so_far().lines().count() >= 3
    });
    let whole: Vec<Value> = running
        .stdout_so_far()
        .lines()
        .take(3)
        .map(|line| serde_json::from_str(line).expect("an event is JSON"))
        .collect();
    assert!(whole.iter().all(|event| event["type"] == "stats"));
    container.delete(&["--force"]).ok();
    running.wait();
}

fn counts_processes(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(stats(&container)["data"]["pids"]["current"], json!(1));
    container.exec_with(&["--detach"], &["sleep", "5000"]).ok();
    assert_eq!(stats(&container)["data"]["pids"]["current"], json!(2));
}

fn counts_memory(t: &Sandbox) {
    let limit = 64 << 20;
    let bundle = t
        .bundle()
        .set("/linux/resources/memory", json!({"limit": limit}))
        .mount("/mnt", "tmpfs", "tmpfs", &[]);
    let container = t.running(bundle);
    container
        .exec("dd if=/dev/zero of=/mnt/file bs=1M count=16 2>/dev/null")
        .ok();
    let usage = stats(&container)["data"]["memory"]["usage"].clone();
    assert_eq!(usage["limit"], json!(limit));
    assert!(
        usage["usage"]
            .as_u64()
            .is_some_and(|bytes| bytes > 16 << 20 && bytes < limit),
        "{usage}"
    );
    assert!(usage["max"].as_u64() >= usage["usage"].as_u64(), "{usage}");
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    container.invoke(&["events", "--stats"]).output().fails();
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["events", "--stats", &t.new_id()])
        .output()
        .fails_with(&["does not exist"]);
}

fn reports_running_out_of_memory(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/resources/memory", json!({"limit": 20 << 20}))
        .set("/process/oomScoreAdj", json!(0));
    let container = t.running(bundle);
    let running = container.invoke(&["events", "--interval", "1s"]).spawn();
    sandbox::wait_for("the first event", || !running.stdout_so_far().is_empty());
    let eater = container
        .exec_invocation(&[], &["sh", "-c", "tail /dev/zero"])
        .time_limit(Duration::from_secs(60))
        .output();
    eater.fails();
    let event = format!(
        "{{\"type\":\"oom\",\"id\":\"{}\"}}\n{{\"type\":\"stats\",",
        container.id
    );
    // Peers say the second line only when its time has come.
    let event = match runtime::is_ours() {
        true => event.as_str(),
        false => event.lines().next().unwrap_or_default(),
    };
    sandbox::wait_for("an oom event, and what was used then", || {
        running.stdout_so_far().contains(event)
    });
    container.delete(&["--force"]).ok();
    running.wait();
}
