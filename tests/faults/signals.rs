//! Signals to the runtime while a hook keeps it waiting, and the ends of its other long moments.

use nix::sys::signal::Signal;

use crate::rich;
use crate::support::runtime::died_of;
use crate::support::{Container, Sandbox, cases, host, json, sandbox};

cases![
    create_in_a_hook_is_asked_to_end,
    run_in_a_hook_is_asked_to_end,
    create_in_a_hook_is_killed,
    run_in_a_hook_is_killed,
    a_caller_may_ignore_them,
    a_killed_monitor_leaves_the_container,
    a_foreign_process_survives,
];

/// Sends `signal` once the hook of this kind runs, and gives how the command ended.
fn signal_in_hook(t: &Sandbox, command: &str, kind: &str, signal: Signal) {
    let mark = t.new_path("mark");
    let directory = mark.with_extension("d");
    std::fs::create_dir(&directory).expect("create a directory");
    let place = directory.to_string_lossy();
    let script = format!("echo > {place}/mark; sleep 10000");
    let bundle = t
        .bundle()
        .idle()
        .mount(&place, "bind", &place, &["bind", "rw"])
        .hook(kind, rich::hook(t, &script));
    bundle.write();
    let id = t.new_id();
    let path = bundle.path.to_string_lossy();
    // Whoever runs the tests may ignore some, as nohup(1) does.
    let heard = ["env", "--default-signal=HUP,INT,QUIT,TERM"];
    let words = [command, "--bundle", &path, &id];
    let running = t.runtime_through(&heard, &words).spawn();
    sandbox::wait_for("the hook to run", || directory.join("mark").exists());
    running.signal(signal);
    let output = running.wait();
    let what = format!("{command}, {kind}, {signal}: {output}");
    assert_eq!(died_of(&output), Some(signal as i32), "{what}");
    if signal == Signal::SIGKILL {
        t.runtime(&["delete", "--force", &id]).output().ok();
    }
    assert_eq!(t.state_entries(), Vec::<String>::new(), "{what}");
    assert_eq!(t.wait_until_gone(), Vec::<String>::new(), "{what}");
}

const ASKING: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];
const BEFORE_START: [&str; 3] = ["prestart", "createRuntime", "createContainer"];

fn create_in_a_hook_is_asked_to_end(t: &Sandbox) {
    for (kind, signal) in BEFORE_START.iter().cycle().zip(ASKING) {
        signal_in_hook(t, "create", kind, signal);
    }
}

fn run_in_a_hook_is_asked_to_end(t: &Sandbox) {
    for kind in BEFORE_START.iter().chain(&["startContainer"]) {
        signal_in_hook(t, "run", kind, Signal::SIGTERM);
    }
}

fn create_in_a_hook_is_killed(t: &Sandbox) {
    for kind in BEFORE_START {
        signal_in_hook(t, "create", kind, Signal::SIGKILL);
    }
}

fn run_in_a_hook_is_killed(t: &Sandbox) {
    for kind in BEFORE_START.iter().chain(&["startContainer", "poststart"]) {
        signal_in_hook(t, "run", kind, Signal::SIGKILL);
    }
}

/// `nohup crun-lite create`: a hangup stops nothing.
fn a_caller_may_ignore_them(t: &Sandbox) {
    let bundle = t
        .bundle()
        .idle()
        .hook("createRuntime", rich::hook(t, "kill -HUP $PPID"));
    bundle.write();
    let id = t.new_id();
    let (root, program) = (t.root(), crate::support::runtime::path());
    let words = [
        "sh",
        "-c",
        "trap '' HUP; exec \"$0\" \"$@\"",
        &program.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "create",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &id,
    ];
    t.program(&words).output().ok();
    assert_eq!(Container::named(t, &bundle, id).status(), "created");
}

fn a_killed_monitor_leaves_the_container(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let container = Container::named(t, &bundle, t.new_id());
    let path = bundle.path.to_string_lossy();
    let monitor = t
        .runtime(&["run", "--bundle", &path, &container.id])
        .spawn();
    sandbox::wait_for("the container to run", || {
        let state = container.invoke(&["state"]).output();
        state.stdout.contains("\"running\"")
    });
    monitor.signal(Signal::SIGKILL);
    monitor.wait();
    assert_eq!(container.status(), "running");
    container.delete(&["--force"]).ok();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
    container.create(&[]).ok();
}

/// A creation that was cut short before it saw that its cgroup is in use: deleting it ends nobody else's process.
fn a_foreign_process_survives(t: &Sandbox) {
    let bundle = t.bundle().idle();
    for hierarchy in host::cgroup_hierarchies() {
        let path = hierarchy.join(bundle.cgroups_path().trim_start_matches('/'));
        std::fs::create_dir_all(path).expect("create a cgroup");
    }
    let foreign = t.program(&["sleep", "1000"]).spawn();
    let procs = host::v1_cgroup("freezer", bundle.cgroups_path()).join("cgroup.procs");
    std::fs::write(procs, foreign.pid().to_string()).expect("move a process");
    bundle.write();
    let id = t.new_id();
    let path = bundle.path.to_string_lossy();
    t.runtime(&["create", "--bundle", &path, &id])
        .env("CRUN_LITE_FAULT", "parent:record:die")
        .output();
    t.runtime(&["delete", "--force", &id]).output().ok();
    assert!(host::is_alive(foreign.pid()), "delete ended a stranger");
    t.try_create(&bundle.set("/annotations", json!({})), &[])
        .fails();
    assert!(host::is_alive(foreign.pid()), "create ended a stranger");
    drop(foreign);
    host::remove_traces_of(&t.tag);
}
