//! `pause`: freezes every process of a running container.

use crate::support::{Sandbox, cases, json};

cases![
    freezes_the_processes,
    refuses_an_unknown_id,
    refuses_a_stopped_container,
    refuses_a_paused_container,
    is_silent,
    kill_reaches_it_after_resume
];

fn freezes_the_processes(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .shell("while true; do echo x >> /beat; sleep 0.02; done");
    let container = t.start(&bundle);
    let beats = || {
        std::fs::metadata(bundle.rootfs().join("beat"))
            .map(|data| data.len())
            .unwrap_or(0)
    };
    crate::support::sandbox::wait_for("a beat", || beats() > 0);
    container.pause().ok();
    assert_eq!(container.state()["status"], json!("paused"));
    let before = beats();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(beats(), before, "a frozen container does nothing");
    container.resume().ok();
    crate::support::sandbox::wait_for("another beat", || beats() > before);
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["pause", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    container.pause().fails();
    assert_eq!(container.status(), "stopped");
}

fn refuses_a_paused_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    container.pause().fails();
    assert_eq!(container.status(), "paused");
}

fn is_silent(t: &Sandbox) {
    assert_eq!(t.running(t.bundle()).pause().silent().stdout, "");
}

fn kill_reaches_it_after_resume(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    container.kill("KILL").ok();
    container.resume();
    container.wait_stopped();
}
