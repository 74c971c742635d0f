//! `resume`: thaws a paused container, and only that.

use crate::support::{Sandbox, cases};

cases![
    thaws,
    refuses_a_running_container,
    refuses_a_stopped_container,
    refuses_an_unknown_id
];

fn thaws(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    assert_eq!(container.resume().silent().stdout, "");
    assert_eq!(container.status(), "running");
    assert_eq!(container.sh("echo awake"), "awake");
}

fn refuses_a_running_container(t: &Sandbox) {
    t.running(t.bundle()).resume().fails();
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    container.resume().fails();
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["resume", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}
