//! Device rules as an eBPF program: denied, allowed, changed while the container runs, and never without a program.

use crate::support::{Container, Sandbox, cases, json};

cases![
    denied_without_a_rule,
    allowed_by_a_rule,
    update_replaces_the_rules,
    a_container_inside_can_not_widen_them,
];

const PROBE: &str = "rm -f /tmp/n; mknod /tmp/n c 1 5 && head -c 1 /tmp/n | wc -c";

/// A container that may make nodes as far as the cgroup lets it.
fn with_rules(t: &Sandbox, rules: crate::support::Value) -> Container<'_> {
    let bundle = t
        .bundle()
        .mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"])
        .capabilities(&["CAP_MKNOD", "CAP_SYS_ADMIN"])
        .set("/linux/resources/devices", rules);
    t.running(bundle)
}

fn denied_without_a_rule(t: &Sandbox) {
    // The default devices stay, so a node that isn't one of them: the kernel's log.
    let container = with_rules(t, json!([{"allow": false, "access": "rwm"}]));
    let output = container.exec("mknod /tmp/n c 1 11 && head -c 1 /tmp/n");
    assert!(output.stderr.contains("not permitted"), "{output}");
    assert_eq!(container.sh("head -c 1 /dev/zero | wc -c"), "1");
}

fn allowed_by_a_rule(t: &Sandbox) {
    let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rm"}]);
    let container = with_rules(t, rules);
    container.exec("mknod /tmp/n c 1 11 && exec 3</tmp/n").ok();
    let output = container.exec("exec 3>/tmp/n");
    assert!(
        output.stderr.contains("not permitted"),
        "writing was not allowed: {output}"
    );
    assert_eq!(container.sh(PROBE), "1");
}

fn update_replaces_the_rules(t: &Sandbox) {
    let container = with_rules(t, json!([{"allow": false, "access": "rwm"}]));
    let kmsg = "rm -f /tmp/n; mknod /tmp/n c 1 11 && exec 3</tmp/n";
    container.exec(kmsg).fails();
    let wider = json!({"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"}]});
    container.update_from(&wider).ok();
    container.exec(kmsg).ok();
    let narrower = json!({"devices": [{"allow": false, "access": "rwm"}]});
    container.update_from(&narrower).ok();
    container.exec(kmsg).fails();
}

/// Programs of a cgroup's ancestors are asked too.
fn a_container_inside_can_not_widen_them(t: &Sandbox) {
    let outer = with_rules(t, json!([{"allow": false, "access": "rwm"}]));
    let path = format!("{}/inner", outer.bundle.cgroups_path());
    let bundle = t
        .bundle()
        .mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"])
        .capabilities(&["CAP_MKNOD"])
        .set("/linux/cgroupsPath", json!(path))
        .set(
            "/linux/resources/devices",
            json!([{"allow": true, "access": "rwm"}]),
        );
    let inner = t.running(bundle);
    inner.exec("mknod /tmp/n c 1 11 && exec 3</tmp/n").fails();
    inner.delete(&["--force"]).ok();
}
