//! Containers of images from their beginning to their end, however they end: nothing of them may stay in the store.

use std::fs;
use std::path::PathBuf;

use crate::run_image::{command, run};
use crate::support::runtime::{self, needs_injected_faults};
use crate::support::sandbox::wait_for;
use crate::support::{Container, ImageMaker, Sandbox, cases, host, json};

cases![
    create_start_exec_and_delete,
    state_names_a_bundle_in_the_store,
    run_leaves_nothing,
    a_failed_create_leaves_nothing,
    every_fault_leaves_nothing,
    a_killed_create_is_swept_by_the_next_command,
    a_killed_run_is_swept_when_its_container_has_ended,
    detached_with_rm_deletes_itself,
    the_image_is_pinned_while_a_container_uses_it,
    the_same_id_twice_is_refused_and_harms_nobody,
    a_forgotten_state_directory_is_swept_after_a_reboot,
    what_a_power_cut_left_without_a_record_is_swept,
    an_id_is_free_although_a_reboot_left_its_directory,
    a_process_of_the_same_pid_waits_for_nobody,
    twenty_copies_at_once,
];

/// What is in the store besides images and layers.
fn leftovers(t: &Sandbox) -> Vec<String> {
    let names = |below: &str| {
        let entries = fs::read_dir(t.path.join("store").join(below));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .map(|entry| format!("{below}/{}", entry.file_name().to_string_lossy()))
            .collect::<Vec<_>>()
    };
    [
        "containers",
        "leases",
        "overlay/snapshots",
        "overlay/tended",
        "overlay/uppers",
        "overlay/work",
    ]
    .into_iter()
    .flat_map(names)
    .collect()
}

#[track_caller]
fn nothing_is_left(t: &Sandbox) {
    assert_eq!(leftovers(t), Vec::<String>::new());
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn overlays() -> Vec<String> {
    let mut lines = host::mount_lines();
    lines.retain(|line| line.contains("overlay/snapshots"));
    lines
}

fn create_start_exec_and_delete(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = Container::named(t, &t.bundle(), t.new_id());
    let create = [
        "create", "--image", &image, "--name", &c.id, "--", "sleep", "100",
    ];
    command(t, &create).output().ok();
    assert_eq!(c.status(), "created");
    assert_eq!(
        overlays(),
        Vec::<String>::new(),
        "nothing is mounted on the host"
    );
    c.start().ok();
    assert_eq!(c.status(), "running");
    assert_eq!(c.sh("echo changed > /file; cat /file"), "changed");
    let listed = t.runtime(&["list", "-q"]).output().text();
    assert!(listed.contains(&c.id), "{listed}");
    c.kill("KILL").ok();
    c.wait_stopped();
    c.delete(&[]).ok();
    nothing_is_left(t);
}

fn state_names_a_bundle_in_the_store(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set(
            "Labels",
            json!({"colour": "blue", "run.oci.handler": "evil"}),
        )
        .write();
    let c = Container::named(t, &t.bundle(), t.new_id());
    command(
        t,
        &[
            "create",
            "--image",
            &image,
            "--name",
            &c.id,
            "--annotation",
            "mine=1",
        ],
    )
    .output()
    .ok();
    let state = c.state();
    let bundle = PathBuf::from(state["bundle"].as_str().expect("a path"));
    assert!(
        bundle.starts_with(t.path.join("store")) && bundle.is_dir(),
        "{state}"
    );
    assert_eq!(state["annotations"]["colour"], "blue");
    assert_eq!(state["annotations"]["mine"], "1");
    assert_eq!(state["annotations"]["run.oci.handler"], json!(null));
    c.delete(&["--force"]).ok();
    nothing_is_left(t);
}

fn run_leaves_nothing(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    for options in [&[][..], &["--rm"]] {
        let all = [
            &["--image", image.as_str()],
            options,
            &["--", "sh", "-c", "echo x > /x"],
        ]
        .concat();
        run(t, &all).output().ok();
        nothing_is_left(t);
    }
    let id = t.new_id();
    run(
        t,
        &["--image", &image, "--name", &id, "--keep", "--", "true"],
    )
    .output()
    .ok();
    assert_eq!(t.state_entries(), std::slice::from_ref(&id));
    t.runtime(&["delete", &id]).output().ok();
    nothing_is_left(t);
}

fn a_failed_create_leaves_nothing(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let failed = run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &t.new_id(),
            "--",
            "/no/such/program",
        ],
    );
    failed.output().refused_with(&["/no/such/program"]);
    let failed = run(
        t,
        &[
            "--image",
            &image,
            "--name",
            &t.new_id(),
            "--mount",
            "type=bind,source=/no/such,destination=/x",
            "true",
        ],
    );
    failed.output().refused_with(&["/no/such"]);
    nothing_is_left(t);
}

fn every_fault_leaves_nothing(t: &Sandbox) {
    needs_injected_faults();
    let image = ImageMaker::busybox(t).write();
    run(t, &["--image", &image, "true"]).output().ok();
    for fault in [
        "parent:record:fail",
        "parent:snapshot:fail",
        "parent:cgroup:fail",
        "parent:cgroup-join:fail",
        "parent:claim:fail",
        "parent:created:fail",
        "parent:registered:signal-15",
        "child:0:fail",
        "child:3:fail",
        "child:4:die",
        "child:20:fail",
    ] {
        let output = run(t, &["--image", &image, "--name", &t.new_id(), "true"])
            .env("CRUN_LITE_FAULT", fault)
            .output();
        assert!(!output.status.success(), "{fault}: {output}");
        assert_eq!(leftovers(t), Vec::<String>::new(), "{fault}");
        assert_eq!(t.state_entries(), Vec::<String>::new(), "{fault}");
    }
}

fn a_killed_create_is_swept_by_the_next_command(t: &Sandbox) {
    needs_injected_faults();
    let image = ImageMaker::busybox(t).write();
    run(t, &["--image", &image, "true"]).output().ok();
    for point in [
        "state-directory",
        "record",
        "snapshot",
        "clone",
        "cgroup-join",
        "claim",
        "created",
        "registered",
    ] {
        let id = t.new_id();
        let killed = run(t, &["--image", &image, "--name", &id, "true"])
            .env("CRUN_LITE_FAULT", format!("parent:{point}:die"))
            .output();
        assert!(!killed.status.success(), "{point}");
        assert_ne!(leftovers(t), Vec::<String>::new(), "{point}");
        // The very same id is free again, as soon as the half-made container's init has seen its parent's end too.
        wait_for("the id to be free", || {
            let again = run(t, &["--image", &image, "--name", &id, "true"]).output();
            assert!(
                again.status.success() || again.stderr.contains("already exists"),
                "{point}: {}",
                again.stderr
            );
            again.status.success()
        });
        wait_for("the killed one to be swept", || {
            run(t, &["--image", &image, "true"]).output().ok();
            leftovers(t).is_empty() && t.state_entries().is_empty()
        });
    }
}

fn a_killed_run_is_swept_when_its_container_has_ended(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = Container::named(t, &t.bundle(), t.new_id());
    let running = run(
        t,
        &["--image", &image, "--name", &c.id, "--", "sleep", "100"],
    )
    .spawn();
    // `running` it is already when `run` is about to let it become its program: killed then, both end.
    c.wait_running();
    wait_for("init to become its program", || {
        let name = fs::read_to_string(format!("/proc/{}/comm", c.pid()));
        name.is_ok_and(|name| name == "sleep\n")
    });
    running.signal(nix::sys::signal::Signal::SIGKILL);
    drop(running.wait());
    run(t, &["--image", &image, "true"]).output().ok();
    assert_eq!(
        c.status(),
        "running",
        "it still runs: nobody asked it to end"
    );
    c.kill("KILL").ok();
    c.wait_stopped();
    run(t, &["--image", &image, "true"]).output().ok();
    nothing_is_left(t);
}

fn detached_with_rm_deletes_itself(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let shared = t.new_path("shared");
    let volume = format!("{}:/shared", shared.display());
    let script = "until test -e /shared/go; do sleep 0.05; done";
    let options = ["--image", &image, "-v", &volume, "-d", "--rm", "--"];
    let name = run(t, &[&options[..], &["sh", "-c", script]].concat())
        .output()
        .text();
    let c = Container::named(t, &t.bundle(), name);
    assert_eq!(c.status(), "running");
    fs::write(shared.join("go"), "").expect("write");
    wait_for("it to be deleted", || {
        t.state_entries().is_empty() && leftovers(t).is_empty()
    });
}

fn the_image_is_pinned_while_a_container_uses_it(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    command(t, &["image", "import", &image, "box:1", "-q"])
        .output()
        .ok();
    let c = Container::named(t, &t.bundle(), t.new_id());
    run(
        t,
        &[
            "--image", "box:1", "--name", &c.id, "-d", "--", "sleep", "100",
        ],
    )
    .output()
    .ok();
    command(t, &["image", "rm", "box:1"])
        .output()
        .refused_with(&[&c.id]);
    command(t, &["image", "rm", "--force", "box:1"])
        .output()
        .ok();
    command(t, &["image", "prune", "--all"]).output().ok();
    assert_eq!(c.sh("ls /bin/busybox"), "/bin/busybox", "its layers stay");
    c.delete(&["--force"]).ok();
    command(t, &["image", "prune", "--all"]).output().ok();
    nothing_is_left(t);
    let layers = fs::read_dir(t.path.join("store/overlay/layers/sha256")).expect("read");
    assert_eq!(layers.count(), 0, "prune removes layers that nothing needs");
}

fn the_same_id_twice_is_refused_and_harms_nobody(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = Container::named(t, &t.bundle(), t.new_id());
    run(
        t,
        &[
            "--image", &image, "--name", &c.id, "-d", "--", "sleep", "100",
        ],
    )
    .output()
    .ok();
    c.sh("echo mine > /file");
    run(t, &["--image", &image, "--name", &c.id, "--", "true"])
        .output()
        .refused_with(&["already exists"]);
    assert_eq!(c.sh("cat /file"), "mine");
    c.delete(&["--force"]).ok();
    nothing_is_left(t);
}

fn a_forgotten_state_directory_is_swept_after_a_reboot(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let id = t.new_id();
    run(
        t,
        &["--image", &image, "--name", &id, "--keep", "--", "true"],
    )
    .output()
    .ok();
    // What a reboot does: state and cgroups lie in memory.
    host::remove_traces_of(&id);
    fs::remove_dir_all(t.root().join(&id)).expect("remove the state");
    fs::write(t.path.join("store/overlay/boot"), "another boot").expect("write");
    run(t, &["--image", &image, "true"]).output().ok();
    nothing_is_left(t);
}

/// What was written last before a power cut may not have reached the disk: a record may be empty, or missing.
fn what_a_power_cut_left_without_a_record_is_swept(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let kept: Vec<String> = (0..2).map(|_| t.new_id()).collect();
    for id in &kept {
        let words = ["--image", &image, "--name", id, "--keep", "--", "true"];
        run(t, &words).output().ok();
        host::remove_traces_of(id);
        fs::remove_dir_all(t.root().join(id)).expect("remove the state");
    }
    assert_eq!(leftovers(t).len(), 6, "pins, snapshots and uppers");
    let mut records = fs::read_dir(t.path.join("store/overlay/snapshots"))
        .expect("read")
        .map(|entry| entry.expect("entry").path().join("snapshot.json"));
    fs::write(records.next().expect("one"), "").expect("empty a record");
    fs::remove_file(records.next().expect("two")).expect("remove a record");

    let run_after_boot = || {
        fs::write(t.path.join("store/overlay/boot"), "another boot").expect("write");
        run(t, &["--image", &image, "true"]).output().ok();
    };
    // While somebody uses layers, a snapshot without a record may be in the making.
    let before = leftovers(t);
    let used = fs::File::open(t.path.join("store/overlay/lock")).expect("open");
    used.lock_shared().expect("lock");
    run_after_boot();
    assert_eq!(leftovers(t), before);
    drop(used);
    run(t, &["--image", &image, "true"]).output().ok();
    nothing_is_left(t);
}

fn an_id_is_free_although_a_reboot_left_its_directory(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let id = t.new_id();
    let keep = || {
        let words = [
            "--image", &image, "--name", &id, "--keep", "--", "mkdir", "/made",
        ];
        run(t, &words).output().ok();
    };
    keep();
    host::remove_traces_of(&id);
    fs::remove_dir_all(t.root().join(&id)).expect("remove the state");
    keep();
    command(t, &["delete", &id]).output().ok();
    nothing_is_left(t);
}

/// As after a keeper's maker has ended and its pid was given out again, or in two pid namespaces that share a store.
fn a_process_of_the_same_pid_waits_for_nobody(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    run(t, &["--image", &image, "true"]).output().ok();
    let (program, root) = (runtime::path(), t.root());
    let (program, root) = (program.to_string_lossy(), root.to_string_lossy());
    let as_pid_1 = |words: &[&str]| {
        let namespace = ["unshare", "--pid", "--fork", "--mount-proc"];
        let run = [&program, "--root", &root, "run", "-q", "--image", &image];
        t.program(&[&namespace, &run[..], words].concat())
            .env("CRUN_LITE_STORE", t.path.join("store"))
    };
    let flag = t.new_path("flag");
    fs::create_dir(&flag).expect("mkdir");
    let volume = format!("{}:/flag", flag.display());
    let waits = "until [ -e /flag/end ]; do sleep 0.1; done";
    let other = as_pid_1(&["-v", &volume, "--", "sh", "-c", waits]).spawn();
    let notes = || fs::read_dir(t.path.join("store/overlay/tended")).expect("read");
    wait_for("its note", || notes().count() == 1);
    as_pid_1(&["--", "true"]).output().ok();
    assert_eq!(notes().count(), 1, "the other is still there");
    fs::write(flag.join("end"), "").expect("write");
    other.wait().ok();
    nothing_is_left(t);
}

fn twenty_copies_at_once(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    run(t, &["--image", &image, "true"]).output().ok();
    let script = "echo $HOSTNAME > /own; sleep 0.2; cat /own";
    let ids: Vec<String> = (0..20).map(|_| t.new_id()).collect();
    let running: Vec<_> = ids
        .iter()
        .map(|id| {
            run(
                t,
                &["--image", &image, "--name", id, "--", "sh", "-c", script],
            )
            .spawn()
        })
        .collect();
    for (id, one) in ids.iter().zip(running) {
        assert_eq!(one.wait().text(), *id);
    }
    run(t, &["--image", &image, "true"]).output().ok();
    nothing_is_left(t);
}
