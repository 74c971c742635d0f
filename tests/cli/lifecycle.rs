//! The whole lifecycle of the specification, and that a finished container leaves the host as it was.

use crate::support::{Container, Sandbox, cases, host, json, sandbox};

cases![
    goes_through_every_state,
    stops_by_itself,
    serves_many_containers_at_once,
    every_command_is_silent,
    leaves_no_descriptor_or_process_of_the_runtime,
    a_second_root_knows_nothing_of_the_first,
    default_root_needs_no_flag,
    survives_a_lost_bundle,
    orders_concurrent_commands,
    two_creates_of_one_id_make_one,
    reaps_nothing_of_the_callers,
    a_zombie_init_is_stopped,
];

fn goes_through_every_state(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    container.start().ok();
    container.exec("true").ok();
    container.pause().ok();
    container.resume().ok();
    container.kill("TERM").ok();
    container.kill("KILL");
    container.wait_stopped();
    container.delete(&[]).ok();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn stops_by_itself(t: &Sandbox) {
    let container = t.start(&t.bundle().args(&["/bin/true"]));
    container.wait_stopped();
    container.delete(&[]).ok();
}

fn serves_many_containers_at_once(t: &Sandbox) {
    let containers: Vec<Container<'_>> = (0..10).map(|_| t.running(t.bundle())).collect();
    for container in &containers {
        assert_eq!(container.status(), "running");
    }
    std::thread::scope(|scope| {
        for container in &containers {
            scope.spawn(|| container.delete(&["--force"]).ok());
        }
    });
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn every_command_is_silent(t: &Sandbox) {
    let container = Container::named(t, &t.bundle().idle(), t.new_id());
    container.create(&[]).silent();
    container.start().silent();
    container.invoke(&["state"]).output().silent();
    container.update(&["--pids-limit", "50"]).silent();
    container.pause().silent();
    container.resume().silent();
    container.kill("KILL").silent();
    container.wait_stopped();
    container.delete(&[]).silent();
}

fn leaves_no_descriptor_or_process_of_the_runtime(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    assert_eq!(
        t.traces()
            .iter()
            .filter(|trace| trace.starts_with("process"))
            .count(),
        1,
        "only init lives: {:?}",
        t.traces()
    );
    container.start().ok();
    let fds = std::fs::read_dir(format!("/proc/{}/fd", container.pid()))
        .expect("list init's descriptors");
    assert_eq!(fds.count(), 3);
}

fn a_second_root_knows_nothing_of_the_first(t: &Sandbox) {
    let container = t.running(t.bundle());
    let other = t.new_path("other-root");
    std::fs::create_dir(&other).expect("create another root");
    t.runtime_without_root(&["--root", &other.to_string_lossy(), "state", &container.id])
        .output()
        .fails_with(&["does not exist"]);
    assert_eq!(container.status(), "running");
}

fn default_root_needs_no_flag(t: &Sandbox) {
    let bundle = t.bundle().args(&["/bin/echo", "default"]);
    bundle.write();
    assert_eq!(
        t.runtime_without_root(&["run", "-b", &bundle.path.to_string_lossy(), &t.new_id()])
            .output()
            .text(),
        "default"
    );
    t.runtime_without_root(&["list"]).output().ok();
}

fn survives_a_lost_bundle(t: &Sandbox) {
    let container = t.running(t.bundle());
    std::fs::remove_file(container.bundle.path.join("config.json")).expect("remove config.json");
    assert_eq!(container.status(), "running");
    container.exec("true").ok();
    container.stop();
    container.delete(&[]).ok();
}

fn orders_concurrent_commands(t: &Sandbox) {
    let container = t.running(t.bundle());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| container.exec("true").ok());
            scope.spawn(|| assert_eq!(container.status(), "running"));
        }
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| container.delete(&["--force"]).ok());
        }
    });
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn two_creates_of_one_id_make_one(t: &Sandbox) {
    let bundles = [t.bundle().idle(), t.bundle().idle(), t.bundle().idle()];
    let id = t.new_id();
    let results: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = bundles
            .iter()
            .map(|bundle| {
                scope.spawn(|| {
                    Container::named(t, bundle, id.clone())
                        .create(&[])
                        .status
                        .success()
                })
            })
            .collect();
        all.into_iter()
            .map(|thread| thread.join().expect("a create panicked"))
            .collect()
    });
    assert_eq!(
        results.iter().filter(|success| **success).count(),
        1,
        "{results:?}"
    );
    let container = Container::named(t, &bundles[0], id);
    assert_eq!(container.status(), "created");
    container.start().ok();
    assert_eq!(container.status(), "running");
}

fn reaps_nothing_of_the_callers(t: &Sandbox) {
    let bundle = t.bundle().shell("sleep 0.2; exit 5");
    bundle.write();
    let root = t.root();
    let script = "(exit 3) & child=$!; \"$@\"; code=$?; wait $child; echo $? $code";
    let program = crate::support::runtime::path();
    if crate::support::runtime::name() == "crun" {
        crate::support::skip("this case starts the runtime itself");
    }
    let words = [
        "sh",
        "-c",
        script,
        "sh",
        &program.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "run",
        "-b",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ];
    assert_eq!(t.program(&words).output().text(), "3 5");
}

fn a_zombie_init_is_stopped(t: &Sandbox) {
    let bundle = t.bundle().shell("exit 0").set("/annotations", json!({}));
    let container = t.create(&bundle);
    let pid = container.pid();
    container.start().ok();
    sandbox::wait_for("init to end", || !host::is_alive(pid));
    assert_eq!(container.status(), "stopped");
}
