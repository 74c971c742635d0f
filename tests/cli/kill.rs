//! `kill`: to a created or running container, by any name of the signal.

use crate::support::{Container, Sandbox, cases, host, runtime, sandbox};

cases![
    takes_every_spelling_of_a_signal,
    sends_term_by_default,
    lets_a_container_that_handles_it_run,
    takes_real_time_signals,
    refuses_an_unknown_signal,
    refuses_an_unknown_id,
    refuses_a_stopped_container,
    reaches_a_created_container,
    asks_a_created_container_to_end,
    reaches_all_processes,
    reaches_the_rest_when_init_is_gone,
    ends_the_rest_when_init_is_gone,
    has_nothing_to_say_when_all_are_gone,
    matches_a_regular_expression,
    takes_options_after_the_id,
    accepts_signal_zero,
];

/// A container whose init prints the names of signals it gets.
fn trapping(t: &Sandbox) -> Container<'_> {
    let script = "for s in HUP USR1 USR2 TERM INT; do trap \"echo $s >> /seen\" $s; done; touch /ready; while true; do sleep 0.05; done";
    let container = t.start(&t.bundle().writable().shell(script));
    sandbox::wait_for("the traps", || {
        container.bundle.rootfs().join("ready").exists()
    });
    container
}

fn wait_seen(container: &Container<'_>, signals: &str) {
    let seen =
        || std::fs::read_to_string(container.bundle.rootfs().join("seen")).unwrap_or_default();
    sandbox::wait_for(&format!("{signals:?} to arrive"), || seen() == signals);
}

fn takes_every_spelling_of_a_signal(t: &Sandbox) {
    let container = trapping(t);
    let mut expected = String::new();
    for (spelling, name) in [
        ("HUP", "HUP"),
        ("SIGUSR1", "USR1"),
        ("12", "USR2"),
        ("sighup", "HUP"),
        ("usr1", "USR1"),
    ] {
        container.kill(spelling).silent();
        expected.push_str(&format!("{name}\n"));
        wait_seen(&container, &expected);
    }
}

fn sends_term_by_default(t: &Sandbox) {
    let container = trapping(t);
    container.invoke(&["kill"]).output().silent();
    wait_seen(&container, "TERM\n");
}

fn lets_a_container_that_handles_it_run(t: &Sandbox) {
    let container = trapping(t);
    container.kill("HUP").ok();
    wait_seen(&container, "HUP\n");
    assert_eq!(container.status(), "running");
}

fn takes_real_time_signals(t: &Sandbox) {
    let container = t.running(t.bundle().without_namespace("pid"));
    container.kill("SIGRTMIN+3").ok();
    container.wait_stopped();
}

fn refuses_an_unknown_signal(t: &Sandbox) {
    let container = t.running(t.bundle());
    for signal in ["NOSUCH", "SIGSIG", "999", "-5", ""] {
        container.kill(signal).fails();
    }
    assert_eq!(container.status(), "running");
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["kill", &t.new_id(), "KILL"])
        .output()
        .refused_with(&["does not exist"]);
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    container
        .kill("TERM")
        .refused_with(&["container not running"]);
}

fn reaches_a_created_container(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    container.kill("KILL").silent();
    container.wait_stopped();
}

// It has no program yet that could do anything with such a signal.
fn asks_a_created_container_to_end(t: &Sandbox) {
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let container = t.create(&t.bundle().idle());
        container.kill(signal).silent();
        container.wait_stopped();
        container.delete(&[]).silent();
    }
    let container = t.create(&t.bundle().idle());
    container.kill("USR1").silent();
    container.start().silent();
    container.wait_running();
}

fn reaches_all_processes(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.exec_with(&["--detach"], &["sleep", "5000"]).ok();
    assert_eq!(
        host::pids_in_cgroup(container.bundle.cgroups_path()).len(),
        2
    );
    t.runtime(&["kill", "--all", &container.id, "KILL"])
        .output()
        .silent();
    sandbox::wait_for("the cgroup to be empty", || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).is_empty()
    });
}

fn reaches_the_rest_when_init_is_gone(t: &Sandbox) {
    let container = t.outlived();
    assert_eq!(
        host::pids_in_cgroup(container.bundle.cgroups_path()).len(),
        1,
        "the child outlives init"
    );
    t.runtime(&["kill", "--all", &container.id, "KILL"])
        .output()
        .ok();
    sandbox::wait_for("the cgroup to be empty", || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).is_empty()
    });
}

/// What shares the host's pid namespace outlives its init, and SIGKILL is meant for it too.
fn ends_the_rest_when_init_is_gone(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("runc has it since 1.2");
    }
    let container = t.outlived();
    container
        .kill("TERM")
        .fails_with(&["container not running"]);
    container.kill("KILL").silent();
    sandbox::wait_for("the cgroup to be empty", || {
        host::pids_in_cgroup(container.bundle.cgroups_path()).is_empty()
    });
    container
        .kill("KILL")
        .fails_with(&["container not running"]);
}

fn has_nothing_to_say_when_all_are_gone(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("runc has it since 1.2");
    }
    let container = t.running(t.bundle());
    container.kill("KILL").silent();
    container.wait_stopped();
    t.runtime(&["kill", "--all", &container.id, "TERM"])
        .output()
        .silent();
}

fn matches_a_regular_expression(t: &Sandbox) {
    let (one, two) = (t.running(t.bundle()), t.running(t.bundle()));
    t.runtime(&["kill", "--regex", &format!("{}-.*", t.tag), "KILL"])
        .output()
        .ok();
    one.wait_stopped();
    two.wait_stopped();
}

fn takes_options_after_the_id(t: &Sandbox) {
    let container = t.running(t.bundle());
    t.runtime(&["kill", &container.id, "KILL", "--all"])
        .output()
        .ok();
    container.wait_stopped();
}

fn accepts_signal_zero(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("peers differ about signal 0");
    }
    let container = t.running(t.bundle());
    container.kill("0").ok();
    assert_eq!(container.status(), "running");
}
