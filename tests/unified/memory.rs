//! Memory: a limit that kills and says so, and a limit that is lowered under a running container without killing it.

use crate::support::{Bundle, Container, Sandbox, Value, cases, json, sandbox};
use crate::value;

cases![
    run_says_who_was_killed_and_why,
    run_says_nothing_of_another_kill,
    state_tells_of_it_until_deleted,
    events_count_it,
    a_group_is_killed_as_one,
    lowering_reclaims_caches,
    lowering_below_what_is_needed_is_refused,
    lowering_kills_no_busy_container,
    lowering_a_paused_container_leaves_it_paused,
    a_check_reclaims_nothing,
];

fn limit(bundle: Bundle, megabytes: u64) -> Bundle {
    let bytes = megabytes << 20;
    bundle.set(
        "/linux/resources/memory",
        json!({"limit": bytes, "swap": bytes}),
    )
}

fn run_says_who_was_killed_and_why(t: &Sandbox) {
    let output = t.run(&limit(t.bundle(), 16).shell("tail /dev/zero; exit $?"));
    assert_eq!(output.code(), 137, "{output}");
    for part in [
        "out of memory",
        "killed 1",
        "limit 16777216 bytes",
        "peak use 167",
        "memory.limit",
    ] {
        assert!(output.stderr.contains(part), "no {part:?}: {output}");
    }
    let output = t.run(&limit(t.bundle(), 16).args(&["/bin/tail", "/dev/zero"]));
    assert!(output.stderr.contains("out of memory"), "{output}");
}

fn run_says_nothing_of_another_kill(t: &Sandbox) {
    let output = t.run(&limit(t.bundle(), 16).shell("sh -c 'kill -9 $$'; exit $?"));
    assert_eq!(output.code(), 137, "{output}");
    assert!(!output.stderr.contains("out of memory"), "{output}");
}

fn state_tells_of_it_until_deleted(t: &Sandbox) {
    let container = t.start(&limit(t.bundle(), 16).args(&["/bin/tail", "/dev/zero"]));
    container.wait_stopped();
    let state = container.state();
    let told = &state["outOfMemory"];
    assert_eq!(
        (&told["kills"], &told["limitBytes"]),
        (&json!(1), &json!(16 << 20)),
        "{state}"
    );
    assert!(told["peakBytes"].as_u64() > Some(15 << 20), "{state}");
    let quiet = t.start(&limit(t.bundle(), 16).args(&["/bin/true"]));
    quiet.wait_stopped();
    assert!(quiet.state().get("outOfMemory").is_none());
}

fn events_count_it(t: &Sandbox) {
    let container = t.running(limit(t.bundle(), 16));
    let running = container.invoke(&["events", "--interval", "1h"]).spawn();
    sandbox::wait_for("the first event", || {
        running.stdout_so_far().lines().count() == 1
    });
    container.exec("tail /dev/zero").fails();
    // What was used at that moment follows, whatever the interval.
    let said = || running.stdout_so_far();
    let behind = |text: &str| {
        let lines = text.lines().map(str::to_owned);
        let mut rest = lines.skip_while(|line| !line.contains("\"oom\""));
        rest.find(|line| line.contains("\"stats\"") && line.ends_with('}'))
    };
    sandbox::wait_for("the event of the kill", || behind(&said()).is_some());
    let line = behind(&said()).expect("it was there");
    let event: Value = serde_json::from_str(&line).expect("an event is JSON");
    let memory = &event["data"]["memory"]["usage"];
    assert_eq!(memory["limit"], json!(16 << 20), "{event}");
    let peak = memory["max"].as_u64().expect("the peak is there");
    assert!(((8 << 20)..=(16 << 20)).contains(&peak), "{event}");
    container.delete(&["--force"]).ok();
    running.wait();
}

fn a_group_is_killed_as_one(t: &Sandbox) {
    let bundle =
        limit(t.bundle(), 16).set("/linux/resources/unified", json!({"memory.oom.group": "1"}));
    let output = t.run(&bundle.shell("sleep 100 & tail /dev/zero; echo survived"));
    assert_eq!(output.code(), 137, "{output}");
    assert!(!output.stdout.contains("survived"), "{output}");
}

/// A container that holds this much in a tmpfs, which can't be reclaimed without swap.
fn holding(t: &Sandbox, megabytes: u32) -> Container<'_> {
    let container = t.running(limit(t.bundle(), 128).mount("/mnt", "tmpfs", "tmpfs", &[]));
    container
        .exec(&format!(
            "dd if=/dev/zero of=/mnt/file bs=1M count={megabytes} 2>/dev/null"
        ))
        .ok();
    container
}

fn lowering_reclaims_caches(t: &Sandbox) {
    let host = t.new_path("data");
    std::fs::create_dir(&host).expect("create a directory");
    let bundle = limit(t.bundle(), 128).mount("/mnt", "bind", &host.to_string_lossy(), &["bind"]);
    let container = t.running(bundle);
    container
        .exec("dd if=/dev/zero of=/mnt/file bs=1M count=60 conv=fsync 2>/dev/null")
        .ok();
    let used: u64 = value(&container, "memory.current")
        .parse()
        .expect("a number");
    assert!(used > 40 << 20, "the cache counts: {used}");
    container
        .update_from(&json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}}))
        .silent();
    assert_eq!(value(&container, "memory.max"), (16 << 20).to_string());
    assert_eq!(value(&container, "memory.high"), "max");
    assert_eq!(container.status(), "running");
    assert!(value(&container, "memory.events").contains("oom_kill 0"));
}

fn lowering_below_what_is_needed_is_refused(t: &Sandbox) {
    let container = holding(t, 40);
    let output = container.update(&[
        "--memory",
        "8388608",
        "--memory-swap",
        "8388608",
        "--pids-limit",
        "33",
    ]);
    output.refused_with(&[
        "memory limit 8388608 is below what the container uses",
        "after reclaim",
        "would kill",
    ]);
    assert_eq!(value(&container, "memory.max"), (128 << 20).to_string());
    assert_eq!(value(&container, "memory.high"), "max");
    assert_eq!(value(&container, "pids.max"), "max");
    assert_eq!(value(&container, "cgroup.freeze"), "0");
    assert_eq!(container.status(), "running");
    container.exec("rm /mnt/file").ok();
    container
        .update(&["--memory", "8388608", "--memory-swap", "8388608"])
        .ok();
    assert_eq!(value(&container, "memory.max"), (8 << 20).to_string());
}

/// Caches that grow all the time make room, whatever the moment; what is held stays below the limit.
fn lowering_kills_no_busy_container(t: &Sandbox) {
    let host = t.new_path("data");
    std::fs::create_dir(&host).expect("create a directory");
    let script = "dd if=/dev/zero of=/mnt/file bs=1M count=8 2>/dev/null; touch /mnt/ready
        while :; do dd if=/dev/zero of=/data/file bs=64k count=400 2>/dev/null; rm /data/file; done";
    let bundle = limit(t.bundle(), 128)
        .mount("/mnt", "tmpfs", "tmpfs", &[])
        .mount("/data", "bind", &host.to_string_lossy(), &["bind"])
        .shell(script);
    let container = t.start(&bundle);
    let ready = format!("/proc/{}/root/mnt/ready", container.pid());
    sandbox::wait_for("the container to be busy", || {
        std::path::Path::new(&ready).exists()
    });
    for _ in 0..5 {
        for limit in ["25165824", "134217728"] {
            let output = container.update(&["--memory", limit, "--memory-swap", limit]);
            // Pages on their way to the disk can't be dropped at once: then nothing has changed.
            if !output.status.success() {
                output.fails_with(&["below what the container uses"]);
            }
        }
    }
    assert_eq!(container.status(), "running");
    assert!(value(&container, "memory.events").contains("oom_kill 0"));
}

fn lowering_a_paused_container_leaves_it_paused(t: &Sandbox) {
    let container = holding(t, 20);
    container.pause().ok();
    container
        .update(&["--memory", "33554432", "--memory-swap", "33554432"])
        .ok();
    assert_eq!(container.status(), "paused");
    container
        .update(&["--memory", "8388608", "--memory-swap", "8388608"])
        .fails();
    assert_eq!(container.status(), "paused");
    container.resume().ok();
}

fn a_check_reclaims_nothing(t: &Sandbox) {
    let container = holding(t, 40);
    container
        .update_from(&json!({"memory": {"limit": 8 << 20, "checkBeforeUpdate": true}}))
        .fails_with(&["below what the container uses"]);
    assert_eq!(value(&container, "memory.max"), (128 << 20).to_string());
}
