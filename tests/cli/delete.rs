//! `delete`: a stopped container, or any with `--force`; exactly what `create` made.

use nix::sys::signal::Signal;

use crate::support::{Container, Sandbox, cases, host, json, runtime, sandbox, skip};

cases![
    refuses_a_created_container_when_strict,
    removes_a_stopped_container,
    refuses_a_running_container,
    refuses_an_unknown_id,
    forces_a_running_container,
    forces_a_created_container,
    forces_a_paused_container,
    forces_one_with_a_damaged_record,
    accepts_an_unknown_id_with_force,
    is_idempotent_with_force,
    removes_what_a_killed_create_left,
    matches_a_regular_expression,
    removes_processes_that_outlive_init,
    keeps_the_rootfs_and_the_bundle,
    frees_the_id,
    removes_cgroups_made_by_the_container,
    keeps_a_cgroup_above,
];

fn removes_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    assert_eq!(container.delete(&[]).silent().stdout, "");
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
    container
        .invoke(&["state"])
        .output()
        .fails_with(&["does not exist"]);
}

fn refuses_a_running_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.delete(&[]).refused_with(&[&container.id]);
    assert_eq!(container.status(), "running");
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["delete", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn forces_a_running_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    let pid = container.pid();
    container.delete(&["--force"]).silent();
    assert!(!host::is_alive(pid));
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

/// Its processes and cgroups end all the same: what it has made was written down before it was made.
fn forces_one_with_a_damaged_record(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("what a record is called, and what is beside it, is ours");
    }
    let container = t.running(t.bundle());
    let pid = container.pid();
    let record = t.root().join(&container.id).join("state.json");
    std::fs::write(&record, "{\"id\":").expect("damage the record");
    container
        .delete(&[])
        .refused_with(&["state.json is damaged"]);
    let told = container.delete(&["--force"]).ok();
    assert!(told.stderr.contains("state.json is damaged"), "{told}");
    assert!(!host::is_alive(pid));
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn forces_a_created_container(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    container.delete(&["-f"]).silent();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn forces_a_paused_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    container.delete(&["--force"]).ok();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn accepts_an_unknown_id_with_force(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["delete", "--force", &t.new_id()])
        .output()
        .silent();
}

fn is_idempotent_with_force(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.delete(&["--force"]).ok();
    container.delete(&["--force"]).ok();
}

/// Kills `create` after ever longer times, so that it dies at different steps.
fn removes_what_a_killed_create_left(t: &Sandbox) {
    for pause_us in (0..12_000).step_by(600) {
        let bundle = t.bundle().idle();
        bundle.write();
        let id = t.new_id();
        let running = t
            .runtime(&["create", "--bundle", &bundle.path.to_string_lossy(), &id])
            .spawn();
        std::thread::sleep(std::time::Duration::from_micros(pause_us));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid()), Signal::SIGKILL).ok();
        running.wait();
        t.runtime(&["delete", "--force", &id]).output().ok();
        assert_eq!(
            t.state_entries(),
            Vec::<String>::new(),
            "killed after {pause_us} us"
        );
        assert_eq!(
            t.wait_until_gone(),
            Vec::<String>::new(),
            "killed after {pause_us} us"
        );
    }
}

fn matches_a_regular_expression(t: &Sandbox) {
    let (one, two) = (t.running(t.bundle()), t.create(&t.bundle().idle()));
    t.runtime(&["delete", "--force", "--regex", &format!("{}-[0-9]+", t.tag)])
        .output()
        .ok();
    for container in [one, two] {
        container.invoke(&["state"]).output().fails();
    }
}

fn removes_processes_that_outlive_init(t: &Sandbox) {
    let container = t.outlived();
    container.delete(&["--force"]).ok();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn keeps_the_rootfs_and_the_bundle(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.delete(&["--force"]).ok();
    assert!(container.bundle.rootfs().join("bin/busybox").exists());
    assert!(container.bundle.path.join("config.json").exists());
}

fn frees_the_id(t: &Sandbox) {
    let first = t.running(t.bundle());
    first.delete(&["--force"]).ok();
    let second = Container::named(t, &t.bundle().idle(), first.id.clone());
    second.create(&[]).ok();
    assert_eq!(second.status(), "created");
}

fn removes_cgroups_made_by_the_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    let inner = container.v1_cgroup("pids").join("inner/innermost");
    std::fs::create_dir_all(&inner).expect("create cgroups inside the container's");
    container.delete(&["--force"]).ok();
    assert!(
        !container.v1_cgroup("pids").exists(),
        "the cgroup and those below are removed"
    );
}

fn keeps_a_cgroup_above(t: &Sandbox) {
    let bundle = t.bundle();
    let path = format!("{}/inner", bundle.cgroups_path());
    let outer = host::v1_cgroup("pids", bundle.cgroups_path());
    std::fs::create_dir_all(&outer).expect("create a cgroup");
    let container = t.running(bundle.set("/linux/cgroupsPath", json!(path)));
    assert!(outer.join("inner").exists());
    container.delete(&["--force"]).ok();
    assert!(
        outer.exists(),
        "a cgroup that create didn't make stays ({})",
        runtime::name()
    );
    sandbox::wait_for("the inner cgroup to go", || !outer.join("inner").exists());
    host::remove_traces_of(&t.tag);
}

fn refuses_a_created_container_when_strict(t: &Sandbox) {
    if !crate::support::runtime::is_ours() {
        crate::support::skip("a flag of crun-lite");
    }
    let container = t.create(&t.bundle().idle());
    let strict = |words: &[&str]| {
        let all = [&["--strict", "delete"], words, &[container.id.as_str()]].concat();
        t.runtime(&all).output()
    };
    strict(&[]).refused_with(&["not stopped", "created"]);
    assert_eq!(container.status(), "created", "nothing happened to it");
    strict(&["--force"]).ok();
    assert_eq!(t.state_entries(), Vec::<String>::new());
}
