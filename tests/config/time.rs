//! The time namespace and `linux.timeOffsets`.

use crate::support::{Sandbox, cases, host, json};

cases![
    shifts_boottime,
    shifts_monotonic_down,
    new_without_offsets,
    exec_sees_the_offsets,
    crun_annotation_sets_offsets,
    offsets_into_a_joined_namespace_are_refused
];

fn uptime(text: &str) -> f64 {
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(-1.0)
}

fn host_uptime() -> f64 {
    uptime(&crate::support::sandbox::read("/proc/uptime"))
}

fn shifts_boottime(t: &Sandbox) {
    let bundle = t.bundle().namespace("time").set(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 360_000, "nanosecs": 500_000_000}}),
    );
    let shift = uptime(&t.sh(bundle, "cat /proc/uptime")) - host_uptime();
    assert!((359_970.0..360_030.0).contains(&shift), "{shift}");
}

fn shifts_monotonic_down(t: &Sandbox) {
    let bundle = t.bundle().namespace("time").set(
        "/linux/timeOffsets",
        json!({"monotonic": {"secs": -1}, "boottime": {"secs": 7}}),
    );
    assert_eq!(
        t.sh(bundle, "tr -s ' ' < /proc/self/timens_offsets"),
        "monotonic -1 0\nboottime 7 0"
    );
}

fn crun_annotation_sets_offsets(t: &Sandbox) {
    let offsets = json!({"run.oci.timens_offset": "monotonic 7 0\nboottime 70 500"});
    let bundle = t
        .bundle()
        .namespace("time")
        .set("/annotations", offsets.clone());
    let read = "tr -s ' ' < /proc/self/timens_offsets";
    assert_eq!(t.sh(bundle.clone(), read), "monotonic 7 0\nboottime 70 500");
    let own = bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 3}}));
    assert_eq!(
        t.sh(own, read),
        "monotonic 0 0\nboottime 3 0",
        "the specification's own field comes first"
    );
    let bad = json!({"run.oci.timens_offset": "monotonic soon"});
    t.run(&t.bundle().namespace("time").set("/annotations", bad))
        .refused_with(&["monotonic soon", "timens_offsets"]);
    // Without a time namespace of the container's own there is nothing to set.
    t.run(&t.bundle().set("/annotations", offsets).args(&["true"]))
        .ok();
}

fn new_without_offsets(t: &Sandbox) {
    assert_ne!(
        t.sh(t.bundle().namespace("time"), "readlink /proc/self/ns/time"),
        host::namespace("self", "time")
    );
}

fn exec_sees_the_offsets(t: &Sandbox) {
    let bundle = t
        .bundle()
        .namespace("time")
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 99_000}}));
    let container = t.running(bundle);
    let shift = uptime(&container.sh("cat /proc/uptime")) - host_uptime();
    assert!((98_970.0..99_030.0).contains(&shift), "{shift}");
}

fn offsets_into_a_joined_namespace_are_refused(t: &Sandbox) {
    let first = t.running(t.bundle().namespace("time"));
    let bundle = t
        .bundle()
        .idle()
        .namespace_at("time", &format!("/proc/{}/ns/time", first.pid()))
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}));
    t.try_create(&bundle, &[])
        .refused_with(&["linux.timeOffsets"]);
}
