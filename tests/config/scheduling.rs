//! `scheduler`, `ioPriority`, CPU affinity, `personality`, `memoryPolicy`.

use crate::support::{Sandbox, cases, json};

cases![
    batch_and_nice,
    idle_policy,
    fifo_and_round_robin,
    deadline,
    io_priority_classes,
    affinity_of_the_caller_is_undone,
    personality_of_32_bits,
    personality_default,
    memory_policies,
    memory_policy_flags
];

/// Policy and priority as the kernel prints them.
const SCHED: &str = "grep -E '^(policy|prio) ' /proc/self/sched | tr -d ' ' | tr '\\n' ' '";

fn seen(t: &Sandbox, scheduler: crate::support::Value) -> String {
    let text = t.sh(t.bundle().set("/process/scheduler", scheduler), SCHED);
    if text.is_empty() {
        crate::support::skip("this kernel has no /proc/PID/sched");
    }
    text.trim_end().to_owned()
}

fn batch_and_nice(t: &Sandbox) {
    assert_eq!(
        seen(t, json!({"policy": "SCHED_BATCH", "nice": 7})),
        "policy:3 prio:127"
    );
    assert_eq!(
        seen(t, json!({"policy": "SCHED_OTHER", "nice": -5})),
        "policy:0 prio:115"
    );
}

fn idle_policy(t: &Sandbox) {
    let shown = seen(t, json!({"policy": "SCHED_IDLE"}));
    assert!(shown.starts_with("policy:5 "), "{shown}");
}

fn fifo_and_round_robin(t: &Sandbox) {
    // A cgroup of v1 with realtime group scheduling has no realtime share of its own.
    let bundle = t
        .bundle()
        .set(
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO", "priority": 10}),
        )
        .shell(SCHED);
    let output = t.run(&bundle);
    if !output.status.success() {
        let bundle = bundle.set(
            "/linux/resources/cpu",
            json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}),
        );
        let output = t.run(&bundle);
        if !output.status.success() {
            crate::support::skip("this host gives no realtime share to cgroups");
        }
    }
    assert!(output.stdout.contains("policy:1"), "{output}");
}

fn deadline(t: &Sandbox) {
    let scheduler = json!({"policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 30_000_000, "period": 30_000_000, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let output = t.run(
        &t.bundle()
            .set("/process/scheduler", scheduler)
            .shell("true"),
    );
    if !output.status.success() {
        assert!(
            output.stderr.contains("SCHED_DEADLINE") || output.stderr.contains("sched"),
            "{output}"
        );
    }
}

fn io_priority_classes(t: &Sandbox) {
    for (class, shown) in [
        ("IOPRIO_CLASS_RT", "realtime: prio 4"),
        ("IOPRIO_CLASS_BE", "best-effort: prio 4"),
        ("IOPRIO_CLASS_IDLE", "idle"),
    ] {
        let bundle = t.bundle().set(
            "/process/ioPriority",
            json!({"class": class, "priority": 4}),
        );
        assert!(t.sh(bundle, "ionice").starts_with(shown), "{class}");
    }
}

fn affinity_of_the_caller_is_undone(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/grep", "Cpus_allowed_list", "/proc/self/status"]);
    bundle.write();
    let all = crate::support::sandbox::read("/proc/self/status");
    let all = all
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"))
        .unwrap_or_default()
        .to_owned();
    assert_eq!(t.run_through(&["taskset", "-c", "1"], &bundle).text(), all);
}

fn personality_of_32_bits(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle()
                .set("/linux/personality", json!({"domain": "LINUX32"})),
            "uname -m"
        ),
        "i686"
    );
}

fn personality_default(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle()
                .set("/linux/personality", json!({"domain": "LINUX"})),
            "uname -m"
        ),
        "x86_64"
    );
}

/// The policy of the process as numa_maps shows it.
fn policy(t: &Sandbox, policy: crate::support::Value) -> String {
    let bundle = t.bundle().set("/linux/memoryPolicy", policy);
    t.sh(
        bundle,
        "test -e /proc/self/numa_maps && head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2",
    )
}

fn memory_policies(t: &Sandbox) {
    let none = policy(t, json!({}));
    assert!(none.starts_with("default"), "{none}");
    for (mode, nodes, shown) in [
        ("MPOL_BIND", "0", "bind"),
        ("MPOL_INTERLEAVE", "0", "interleave"),
        ("MPOL_PREFERRED", "0", "prefer"),
        ("MPOL_PREFERRED_MANY", "0", "prefer"),
        ("MPOL_LOCAL", "", "local"),
        ("MPOL_DEFAULT", "", "default"),
    ] {
        let seen = policy(t, json!({"mode": mode, "nodes": nodes}));
        assert!(seen.starts_with(shown), "{mode}: {seen}");
    }
}

fn memory_policy_flags(t: &Sandbox) {
    let seen = policy(
        t,
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
    );
    assert!(
        seen.starts_with("bind=static") || seen.starts_with("bind"),
        "{seen}"
    );
}
