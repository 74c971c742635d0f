//! `run`: create, start, wait and delete in one command.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Container, Sandbox, cases, host, json, rootfs, runtime, sandbox};

cases![
    gives_the_programs_exit_code,
    gives_128_and_the_signals_number,
    connects_the_standard_streams,
    deletes_the_container,
    keeps_the_container_when_told,
    detaches,
    writes_the_pid_file,
    runs_a_bundle_that_is_named,
    names_a_program_that_is_missing,
    names_a_program_that_is_not_executable,
    names_a_working_directory_that_is_a_file,
    takes_an_interpreter_script,
    forwards_signals,
    takes_no_subreaper,
    takes_flags_of_the_peers,
    serves_a_short_program_many_times,
    finds_programs_on_the_containers_path,
    ends_when_init_ends_though_children_live,
];

fn gives_the_programs_exit_code(t: &Sandbox) {
    for code in [0, 1, 7, 42, 126, 127, 255] {
        assert_eq!(
            t.run(&t.bundle().shell(&format!("exit {code}"))).code(),
            code
        );
    }
}

fn gives_128_and_the_signals_number(t: &Sandbox) {
    // Pid 1 of a namespace ignores signals without a handler that it sends itself, so the parent's namespace it is.
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        let bundle = t
            .bundle()
            .without_namespace("pid")
            .shell(&format!("kill -{signal} $$"));
        assert_eq!(t.run(&bundle).code(), code, "{signal}");
    }
}

fn connects_the_standard_streams(t: &Sandbox) {
    let bundle = t
        .bundle()
        .shell("read word; echo out $word; echo err $word >&2");
    bundle.write();
    let output = t
        .runtime(&["run", "-b", &bundle.path.to_string_lossy(), &t.new_id()])
        .stdin("hello\n")
        .output()
        .ok();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out hello\n", "err hello\n")
    );
}

fn deletes_the_container(t: &Sandbox) {
    t.run(&t.bundle().args(&["/bin/true"])).silent();
    assert_eq!(t.state_entries(), Vec::<String>::new());
    assert_eq!(
        t.traces(),
        Vec::<String>::new(),
        "run returns when everything is gone"
    );
}

fn keeps_the_container_when_told(t: &Sandbox) {
    let bundle = t.bundle().shell("exit 3");
    bundle.write();
    let id = t.new_id();
    let output = t
        .runtime(&[
            "run",
            "--keep",
            "--bundle",
            &bundle.path.to_string_lossy(),
            &id,
        ])
        .output();
    assert_eq!(output.code(), 3);
    let container = Container::named(t, &bundle, id);
    assert_eq!(container.status(), "stopped");
    container.delete(&[]).ok();
}

fn detaches(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    let id = t.new_id();
    t.runtime(&[
        "run",
        "--detach",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &id,
    ])
    .output()
    .silent();
    let container = Container::named(t, &bundle, id);
    assert_eq!(container.status(), "running");
    container.stop();
    container.delete(&[]).ok();
}

fn writes_the_pid_file(t: &Sandbox) {
    let file = t.new_path("pid");
    let bundle = t.bundle().idle();
    bundle.write();
    let id = t.new_id();
    let (path, file_name) = (bundle.path.to_string_lossy(), file.to_string_lossy());
    t.runtime(&["run", "-d", "--pid-file", &file_name, "-b", &path, &id])
        .output()
        .ok();
    assert_eq!(
        sandbox::read(&file).trim_end(),
        Container::named(t, &bundle, id).pid().to_string()
    );
}

fn runs_a_bundle_that_is_named(t: &Sandbox) {
    let bundle = t.bundle().shell("echo from the bundle");
    bundle.write();
    let output = t
        .runtime(&["run", &bundle.path.to_string_lossy()])
        .cwd(&t.path)
        .output();
    assert_eq!(output.text(), "from the bundle");
}

/// What Docker and Podman look for in a message, in lower case.
fn says(output: &runtime::Output, texts: &[&str]) -> bool {
    let message = output.stderr.to_lowercase();
    texts.iter().any(|text| message.contains(text))
}

fn names_a_program_that_is_missing(t: &Sandbox) {
    let output = t
        .run(&t.bundle().args(&["no-such-program"]))
        .fails_with(&["no-such-program"]);
    assert!(
        says(
            &output,
            &[
                "executable file not found in $path",
                "no such file or directory"
            ]
        ),
        "{output}"
    );
    let output = t
        .run(&t.bundle().args(&["/no/such/program"]))
        .fails_with(&["/no/such/program"]);
    assert!(says(&output, &["no such file or directory"]), "{output}");
}

fn names_a_program_that_is_not_executable(t: &Sandbox) {
    let output = t
        .run(&t.bundle().args(&["/etc/passwd"]))
        .fails_with(&["/etc/passwd"]);
    assert!(says(&output, &["permission denied"]), "{output}");
}

fn names_a_working_directory_that_is_a_file(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/process/cwd", json!("/etc/passwd"));
    let output = t.run(&bundle).fails_with(&["/etc/passwd"]);
    assert!(says(&output, &["not a directory"]), "{output}");
}

fn takes_an_interpreter_script(t: &Sandbox) {
    let bundle = t.bundle().args(&["/script", "word"]);
    rootfs::write_script(
        &bundle.rootfs().join("script"),
        "#!/bin/sh\necho script $1\n",
    );
    assert_eq!(t.run(&bundle).text(), "script word");
}

fn forwards_signals(t: &Sandbox) {
    let bundle = t
        .bundle()
        .shell("trap 'echo got it; exit 9' TERM; echo ready; while true; do sleep 0.1; done");
    bundle.write();
    let running = t
        .runtime(&[
            "run",
            "--bundle",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ])
        .spawn();
    sandbox::wait_for("the program to be ready", || {
        running.stdout_so_far().contains("ready")
    });
    running.signal(Signal::SIGTERM);
    let output = running.wait();
    assert_eq!(
        (output.code(), output.stdout.as_str()),
        (9, "ready\ngot it\n")
    );
}

fn takes_no_subreaper(t: &Sandbox) {
    for spelling in ["--no-subreaper", "-no-subreaper"] {
        t.run_with(&t.bundle().args(&["/bin/true"]), &[spelling])
            .ok();
    }
}

fn takes_flags_of_the_peers(t: &Sandbox) {
    t.run_with(&t.bundle().args(&["/bin/true"]), &["--no-pivot"])
        .ok();
    t.run_with(
        &t.bundle().args(&["/bin/true"]),
        &["--no-new-keyring", "--preserve-fds", "0"],
    )
    .ok();
}

fn serves_a_short_program_many_times(t: &Sandbox) {
    let bundle = t
        .bundle()
        .shell("exit 5")
        .set("/root/readonly", json!(true));
    for _ in 0..runtime::rounds(30) {
        assert_eq!(t.run(&bundle).code(), 5);
    }
}

fn finds_programs_on_the_containers_path(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["tool"])
        .set("/process/env", json!(["PATH=/opt/none:/opt/tools"]));
    std::fs::create_dir_all(bundle.rootfs().join("opt/tools")).expect("create /opt/tools");
    rootfs::write_script(
        &bundle.rootfs().join("opt/tools/tool"),
        "#!/bin/sh\necho found\n",
    );
    assert_eq!(t.run(&bundle).text(), "found");
}

fn ends_when_init_ends_though_children_live(t: &Sandbox) {
    let bundle = t.bundle().shell("sleep 1000 & exit 4");
    bundle.write();
    let arguments = [
        "run",
        "--bundle",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ];
    let output = t
        .runtime(&arguments)
        .time_limit(Duration::from_secs(20))
        .output();
    assert_eq!(output.code(), 4);
    assert_eq!(
        host::pids_in_cgroup(bundle.cgroups_path()),
        Vec::<i32>::new()
    );
}
