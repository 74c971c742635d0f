//! What a hook finds besides its state: environment, working directory, the container's filter.

use crate::support::{Sandbox, Value, cases, json, runtime, sandbox};

cases![
    host_hooks_inherit_the_environment,
    container_hooks_inherit_none,
    an_empty_environment_is_empty,
    host_hooks_start_in_the_bundle,
    create_container_hooks_start_in_the_root,
    start_container_hooks_run_under_the_filter,
    hooks_hold_no_other_descriptors
];

fn shell(script: &str) -> Value {
    json!({"path": "/bin/busybox", "args": ["sh", "-c", script]})
}

/// A directory for what hooks write, at the same path inside and outside.
fn log(t: &Sandbox) -> String {
    let directory = t.new_path("log");
    std::fs::create_dir(&directory).expect("create the log's directory");
    directory.to_string_lossy().into_owned()
}

fn host_hooks_inherit_the_environment(t: &Sandbox) {
    let log = log(t);
    let kinds = ["prestart", "createRuntime", "poststart", "poststop"];
    let bundle = kinds.iter().fold(t.bundle(), |bundle, kind| {
        bundle.hook(kind, shell(&format!("/bin/busybox env > {log}/{kind}")))
    });
    t.run(&bundle.args(&["/bin/true"])).ok();
    for kind in kinds {
        let environment = sandbox::read(format!("{log}/{kind}"));
        assert!(
            environment.contains("CRUN_LITE_TEST="),
            "{kind}: {environment}"
        );
    }
}

/// The caller's: only the program's own, and that only where the program's file system is.
fn container_hooks_inherit_none(t: &Sandbox) {
    let log = log(t);
    let bundle = t
        .bundle()
        .writable()
        .set("/process/env", json!(["PATH=/bin", "COLOUR=green"]))
        .mount(&log, "bind", &log, &["bind", "rw"]);
    let kinds = ["createContainer", "startContainer"];
    let bundle = kinds.iter().fold(bundle, |bundle, kind| {
        bundle.hook(kind, shell(&format!("/bin/busybox env > {log}/{kind}")))
    });
    t.run(&bundle.args(&["/bin/true"])).ok();
    for kind in kinds {
        let environment = sandbox::read(format!("{log}/{kind}"));
        assert!(
            !environment.contains("CRUN_LITE_TEST="),
            "{kind}: {environment}"
        );
    }
    if !runtime::is_ours() {
        return;
    }
    let environment = sandbox::read(format!("{log}/startContainer"));
    assert!(
        environment.contains("COLOUR=green\n") && environment.contains("HOME=/"),
        "{environment}"
    );
    let environment = sandbox::read(format!("{log}/createContainer"));
    assert!(!environment.contains("COLOUR="), "{environment}");
}

fn an_empty_environment_is_empty(t: &Sandbox) {
    let log = log(t);
    let mut hook = shell(&format!("/bin/busybox env > {log}/env"));
    hook["env"] = json!([]);
    t.run(&t.bundle().hook("createRuntime", hook).args(&["/bin/true"]))
        .ok();
    let environment = sandbox::read(format!("{log}/env"));
    assert!(!environment.contains("CRUN_LITE_TEST="), "{environment}");
}

fn host_hooks_start_in_the_bundle(t: &Sandbox) {
    let bundle = t
        .bundle()
        .hook("prestart", shell("pwd > prestart"))
        .hook("createRuntime", shell("pwd > createRuntime"));
    t.run(&bundle.clone().args(&["/bin/true"])).ok();
    for kind in ["prestart", "createRuntime"] {
        let place = sandbox::read(bundle.path.join(kind));
        assert_eq!(place.trim_end(), bundle.path.to_string_lossy());
    }
}

fn create_container_hooks_start_in_the_root(t: &Sandbox) {
    let script = "test -e proc/self && pwd > tmp/place && mount -t tmpfs x mnt && touch mnt/file";
    let bundle = t.bundle().hook("createContainer", shell(script));
    let seen = t.sh(bundle.clone(), "ls /mnt; cat /tmp/place");
    assert_eq!(seen, format!("file\n{}", bundle.rootfs().display()));
    let left = bundle.rootfs().join("mnt/file");
    assert!(!left.exists(), "mounted in the container's namespace only");
}

fn start_container_hooks_run_under_the_filter(t: &Sandbox) {
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    for no_new_privileges in [true, false] {
        let bundle = t
            .bundle()
            .set("/linux/seccomp", profile.clone())
            .set("/process/noNewPrivileges", json!(no_new_privileges))
            .hook("startContainer", shell("mkdir /dev/shm/foo"))
            .args(&["/bin/true"]);
        t.run(&bundle)
            .refused_with(&["error running startContainer hook #0", "bad system call"]);
    }
    // One on the host's side is not.
    let script = format!("mkdir {}/made", log(t));
    let bundle = t.bundle().set("/linux/seccomp", profile);
    t.run(
        &bundle
            .hook("createRuntime", shell(&script))
            .args(&["/bin/true"]),
    )
    .ok();
}

fn hooks_hold_no_other_descriptors(t: &Sandbox) {
    let log = log(t);
    let bundle = t
        .bundle()
        .writable()
        .mount(&log, "bind", &log, &["bind", "rw"]);
    let kinds = [
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ];
    let bundle = kinds.iter().fold(bundle, |bundle, kind| {
        // ls holds one for the directory that it reads.
        bundle.hook(kind, shell(&format!("ls /proc/self/fd > {log}/{kind}")))
    });
    t.run(&bundle.args(&["/bin/true"])).ok();
    for kind in kinds {
        assert_eq!(
            sandbox::read(format!("{log}/{kind}")),
            "0\n1\n2\n3\n",
            "{kind}"
        );
    }
}
