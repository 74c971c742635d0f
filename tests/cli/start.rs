//! `start`: from `created` only.

use crate::support::listeners::NotifySocket;
use crate::support::{Sandbox, cases, json, runtime};

cases![
    runs_the_program,
    refuses_a_running_container,
    refuses_a_stopped_container,
    refuses_an_unknown_id,
    is_silent,
    waits_for_no_readiness_of_a_program_that_has_ended,
    reports_a_missing_program,
    reports_a_failure_whatever_manages_its_own_cgroups
];

fn runs_the_program(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    container.start().ok();
    assert_eq!(container.status(), "running");
    let command = crate::support::sandbox::read(format!("/proc/{}/cmdline", container.pid()));
    assert_eq!(command, "/bin/sleep\x00100000\x00");
}

fn refuses_a_running_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.start().refused_with(&["cannot start"]);
    assert_eq!(container.status(), "running");
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.start(&t.bundle().args(&["/bin/true"]));
    container.wait_stopped();
    container
        .start()
        .refused_with(&["cannot start a container that has stopped"]);
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["start", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn is_silent(t: &Sandbox) {
    assert_eq!(t.create(&t.bundle().idle()).start().silent().stdout, "");
}

/// The hook ends when the program is gone, and reaped if somebody does that here.
fn waits_for_no_readiness_of_a_program_that_has_ended(t: &Sandbox) {
    let script = r#"pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); tries=0
        while [ -e /proc/$pid ] && [ $((tries += 1)) -lt 100 ]; do usleep 10000; done"#;
    let hook = json!({"path": "/bin/busybox", "args": ["sh", "-c", script]});
    let bundle = t.bundle().args(&["/bin/true"]).hook("poststart", hook);
    let container = crate::support::Container::named(t, &bundle, t.new_id());
    container.bundle.write();
    let path = t.new_path("notify.sock");
    let _listens = NotifySocket::at(&path);
    let bundle_path = container.bundle.path.to_string_lossy();
    container
        .invoke(&["create", "--bundle", &bundle_path])
        .env("NOTIFY_SOCKET", &path)
        .output()
        .ok();
    container
        .invoke(&["start"])
        .env("NOTIFY_SOCKET", &path)
        .output()
        .ok();
}

fn reports_a_missing_program(t: &Sandbox) {
    let container =
        crate::support::Container::named(t, &t.bundle().args(&["no-such-program"]), t.new_id());
    let created = container.create(&[]);
    let failed = if created.status.success() {
        container.start()
    } else {
        created
    };
    failed.fails_with(&["no-such-program", "not found in $PATH"]);
}

/// Only `start` is told of systemd, to which the path of the container's cgroup means nothing.
fn reports_a_failure_whatever_manages_its_own_cgroups(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("peers return before the hook has ended");
    }
    let hook = json!({"path": "/bin/false"});
    let container = t.create(&t.bundle().idle().hook("startContainer", hook));
    container
        .invoke(&["--systemd-cgroup", "start"])
        .output()
        .fails_with(&["error running startContainer hook #0:"]);
    assert_eq!(t.state_entries(), Vec::<String>::new(), "deleted");
}
