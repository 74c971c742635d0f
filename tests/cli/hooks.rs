//! Hooks of all six kinds: order, state on stdin, namespaces, environment, time limits, failures.

use crate::support::{Bundle, Sandbox, Value, cases, host, json, runtime, sandbox};

cases![
    run_in_order,
    get_the_state_on_stdin,
    see_the_right_namespaces,
    get_argv_and_a_clean_environment,
    fail_create_when_they_fail_before,
    fail_start_when_start_container_fails,
    are_heard_on_a_terminal_when_they_fail,
    fail_start_when_poststart_fails,
    warn_when_poststop_fails,
    are_killed_after_their_timeout,
    may_ignore_their_stdin,
    must_have_an_absolute_path,
    must_have_a_positive_timeout,
    must_exist,
    are_run_in_the_order_listed,
    stop_at_the_first_failure,
    are_numbered_by_kind,
    get_the_pid_as_their_namespace_sees_it,
    get_annotations,
    poststop_runs_on_forced_delete,
    poststop_runs_on_delete_of_what_a_killed_create_left,
];

const KINDS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// A hook that runs a shell script; the container's busybox is at the same path as the host's.
fn shell(script: &str) -> Value {
    json!({"path": "/bin/busybox", "args": ["sh", "-c", script]})
}

/// A bundle with a writable place `/log` that the host and the container see.
fn logged(t: &Sandbox) -> (Bundle, String) {
    let directory = t.new_path("log");
    std::fs::create_dir(&directory).expect("create the log's directory");
    let path = directory.to_string_lossy().into_owned();
    // The same path inside, so that a hook's script is the same in either mount namespace.
    let bundle = t
        .bundle()
        .writable()
        .mount(&path, "bind", &path, &["bind", "rw"]);
    (bundle, path)
}

fn with_all_hooks(mut bundle: Bundle, script: impl Fn(&str) -> String) -> Bundle {
    for kind in KINDS {
        bundle = bundle.hook(kind, shell(&script(kind)));
    }
    bundle
}

fn run_in_order(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = with_all_hooks(bundle, |kind| format!("echo {kind} >> {log}/all"));
    let container = t.create(&bundle.shell(&format!("echo process >> {log}/all")));
    assert_eq!(
        sandbox::read(format!("{log}/all")),
        "prestart\ncreateRuntime\ncreateContainer\n"
    );
    container.start().ok();
    container.wait_stopped();
    container.delete(&[]).ok();
    let all = sandbox::read(format!("{log}/all"));
    let lines: Vec<&str> = all.lines().filter(|line| *line != "poststart").collect();
    assert_eq!(
        lines,
        [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "process",
            "poststop"
        ]
    );
    assert!(all.contains("poststart\n"), "{all}");
}

fn states(t: &Sandbox) -> (Vec<Value>, String, i32) {
    let (bundle, log) = logged(t);
    let bundle = with_all_hooks(bundle.idle(), |kind| format!("cat > {log}/{kind}"));
    let container = t.start(&bundle);
    let pid = container.pid();
    container.stop();
    container.delete(&[]).ok();
    let read = |kind: &&str| {
        serde_json::from_str(&sandbox::read(format!("{log}/{kind}")))
            .expect("a hook's stdin is JSON")
    };
    (KINDS.iter().map(read).collect(), container.id.clone(), pid)
}

fn get_the_state_on_stdin(t: &Sandbox) {
    let (states, id, _) = states(t);
    for state in &states {
        assert_eq!(state["id"], json!(id));
        assert!(
            state["ociVersion"].is_string() && state["bundle"].is_string(),
            "{state}"
        );
    }
    let statuses: Vec<&str> = states
        .iter()
        .map(|state| state["status"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        statuses,
        [
            "creating", "creating", "created", "created", "running", "stopped"
        ]
    );
}

fn get_the_pid_as_their_namespace_sees_it(t: &Sandbox) {
    let (states, _, pid) = states(t);
    assert_eq!(
        (&states[0]["pid"], &states[1]["pid"]),
        (&json!(pid), &json!(pid)),
        "runtime namespace"
    );
    assert_eq!(
        (&states[2]["pid"], &states[3]["pid"]),
        (&json!(1), &json!(1)),
        "container namespace"
    );
    assert_eq!(states[4]["pid"], json!(pid));
}

fn see_the_right_namespaces(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = with_all_hooks(bundle, |kind| {
        format!("readlink /proc/self/ns/mnt > {log}/{kind}")
    });
    let container = t.start(&bundle.shell(&format!(
        "readlink /proc/self/ns/mnt > {log}/process; sleep 1000"
    )));
    sandbox::wait_for("the program", || {
        std::fs::read_to_string(format!("{log}/process")).is_ok_and(|text| !text.is_empty())
    });
    container.stop();
    container.delete(&[]).ok();
    let seen = |kind: &str| sandbox::read(format!("{log}/{kind}"));
    for kind in ["createContainer", "startContainer"] {
        assert_eq!(seen(kind), seen("process"), "{kind}");
    }
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert_ne!(seen(kind), seen("process"), "{kind}");
    }
    if crate::support::runtime::name() != "crun" {
        assert_eq!(
            seen("createRuntime").trim_end(),
            host::namespace("self", "mnt")
        );
    }
}

fn get_argv_and_a_clean_environment(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let hook = json!({"path": "/bin/busybox", "args": ["sh", "-c", format!("echo \"$0 $1\" > {log}/args; /bin/busybox env > {log}/env"), "zero", "one"],
                      "env": ["COLOUR=blue"]});
    t.run(&bundle.hook("createRuntime", hook).args(&["/bin/true"]))
        .ok();
    assert_eq!(sandbox::read(format!("{log}/args")), "zero one\n");
    let environment = sandbox::read(format!("{log}/env"));
    assert!(environment.contains("COLOUR=blue"), "{environment}");
    assert!(
        !environment.contains("CRUN_LITE_TEST"),
        "the caller's environment doesn't reach hooks: {environment}"
    );
}

fn fail_create_when_they_fail_before(t: &Sandbox) {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let (bundle, log) = logged(t);
        let bundle = bundle
            .idle()
            .hook(kind, shell("exit 17"))
            .hook("poststop", shell(&format!("echo ran > {log}/poststop")));
        t.try_create(&bundle, &[])
            .fails_with(&[&format!("error running {kind} hook #0:")]);
        assert_eq!(t.state_entries(), Vec::<String>::new(), "{kind}");
        assert_eq!(t.wait_until_gone(), Vec::<String>::new(), "{kind}");
        let stopped = sandbox::read(format!("{log}/poststop"));
        assert_eq!(stopped, "ran\n", "the life cycle goes on: {kind}");
    }
}

/// Its words went to the container's terminal, which nobody will read any more.
fn are_heard_on_a_terminal_when_they_fail(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("peers differ about where");
    }
    let bundle = t
        .bundle()
        .set("/process/terminal", json!(true))
        .hook("startContainer", shell("echo no such luck; exit 3"))
        .args(&["/bin/true"]);
    let output = t.run(&bundle).fails();
    assert!(output.stdout.contains("no such luck"), "{output}");
}

fn fail_start_when_start_container_fails(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = bundle
        .shell(&format!("echo ran > {log}/process; sleep 100"))
        .hook("startContainer", shell("exit 17"));
    let bundle = bundle.hook("poststop", shell(&format!("echo ran >> {log}/poststop")));
    t.run(&bundle)
        .fails_with(&["error running startContainer hook #0:"]);
    t.create(&bundle)
        .start()
        .fails_with(&["error running startContainer hook #0:"]);
    assert!(
        !std::path::Path::new(&format!("{log}/process")).exists(),
        "the program must not run"
    );
    assert_eq!(t.state_entries(), Vec::<String>::new(), "deleted");
    assert_eq!(sandbox::read(format!("{log}/poststop")), "ran\nran\n");
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn are_numbered_by_kind(t: &Sandbox) {
    for kind in [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
    ] {
        let bundle = (KINDS.iter()).fold(t.bundle().idle(), |bundle, other| {
            bundle.hook(other, json!({"path": "/bin/true"}))
        });
        let bundle = bundle.hook(kind, json!({"path": "/bin/false"}));
        t.run(&bundle)
            .refused_with(&[&format!("error running {kind} hook #1:")]);
    }
}

fn fail_start_when_poststart_fails(t: &Sandbox) {
    let container = t.create(&t.bundle().idle().hook("poststart", shell("exit 17")));
    container
        .start()
        .fails_with(&["error running poststart hook #0:"]);
    sandbox::wait_for("the container to be deleted", || {
        !container.invoke(&["state"]).output().status.success()
    });
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn warn_when_poststop_fails(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = bundle
        .idle()
        .hook("poststop", shell("exit 17"))
        .hook("poststop", shell(&format!("echo ran > {log}/second")));
    let container = t.running(bundle);
    container.stop();
    let output = container.delete(&[]).ok();
    assert!(output.stderr.contains("hook"), "a warning is due: {output}");
    assert_eq!(
        sandbox::read(format!("{log}/second")),
        "ran\n",
        "the remaining hooks run"
    );
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn are_killed_after_their_timeout(t: &Sandbox) {
    let started = std::time::Instant::now();
    let mut hook = shell("sleep 50");
    hook["timeout"] = json!(1);
    t.try_create(&t.bundle().idle().hook("createRuntime", hook), &[])
        .fails_with(&["hook"]);
    assert!(started.elapsed().as_secs() < 30, "the hook was waited for");
    assert_eq!(
        t.wait_until_gone(),
        Vec::<String>::new(),
        "the hook's process is killed"
    );
}

fn may_ignore_their_stdin(t: &Sandbox) {
    let annotations = json!({"big": "x".repeat(200 << 10)});
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/annotations", annotations)
        .hook("createRuntime", json!({"path": "/bin/true"}));
    t.run(&bundle).ok();
}

fn must_have_an_absolute_path(t: &Sandbox) {
    t.try_create(
        &t.bundle()
            .idle()
            .hook("createRuntime", json!({"path": "true"})),
        &[],
    )
    .refused_with(&["hooks.createRuntime[0].path"]);
}

fn must_have_a_positive_timeout(t: &Sandbox) {
    for timeout in [0, -1] {
        let hook = json!({"path": "/bin/true", "timeout": timeout});
        let output = t.try_create(&t.bundle().idle().hook("createRuntime", hook), &[]);
        output.refused_with(&["hooks.createRuntime[0].timeout"]);
    }
}

fn must_exist(t: &Sandbox) {
    t.try_create(
        &t.bundle()
            .idle()
            .hook("createRuntime", json!({"path": "/no/such/hook"})),
        &[],
    )
    .fails_with(&["/no/such/hook"]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn are_run_in_the_order_listed(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = (0..5).fold(bundle, |bundle, number| {
        bundle.hook(
            "createRuntime",
            shell(&format!("echo {number} >> {log}/all")),
        )
    });
    t.run(&bundle.args(&["/bin/true"])).ok();
    assert_eq!(sandbox::read(format!("{log}/all")), "0\n1\n2\n3\n4\n");
}

fn stop_at_the_first_failure(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = bundle
        .idle()
        .hook("createRuntime", shell("exit 1"))
        .hook("createRuntime", shell(&format!("echo ran > {log}/second")));
    t.try_create(&bundle, &[]).fails();
    assert!(!std::path::Path::new(&format!("{log}/second")).exists());
}

fn get_annotations(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let bundle = bundle
        .set("/annotations", json!({"colour": "blue"}))
        .hook("createRuntime", shell(&format!("cat > {log}/state")));
    t.run(&bundle.args(&["/bin/true"])).ok();
    let state: Value = serde_json::from_str(&sandbox::read(format!("{log}/state"))).expect("JSON");
    assert_eq!(state["annotations"]["colour"], json!("blue"));
}

fn poststop_runs_on_forced_delete(t: &Sandbox) {
    let (bundle, log) = logged(t);
    let container =
        t.running(bundle.hook("poststop", shell(&format!("echo ran > {log}/poststop"))));
    container.delete(&["--force"]).ok();
    assert_eq!(sandbox::read(format!("{log}/poststop")), "ran\n");
}

fn poststop_runs_on_delete_of_what_a_killed_create_left(t: &Sandbox) {
    runtime::needs_injected_faults();
    let (bundle, log) = logged(t);
    let bundle = bundle.hook("poststop", shell(&format!("echo ran > {log}/poststop")));
    bundle.write();
    let (id, path) = (t.new_id(), bundle.path.to_string_lossy());
    t.runtime(&["create", "--bundle", &path, &id])
        .env("CRUN_LITE_FAULT", "parent:cgroup-join:die")
        .output();
    t.runtime(&["delete", "--force", &id]).output().ok();
    assert_eq!(sandbox::read(format!("{log}/poststop")), "ran\n");
}
