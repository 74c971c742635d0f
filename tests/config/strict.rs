//! What the specification forbids and both peers accept: a warning in the log by default, refused under `--strict`.

use crate::support::{Bundle, Sandbox, cases, json, runtime, skip};

cases![
    duplicate_rlimits,
    listener_metadata_without_path,
    syscalls_without_names,
    a_device_over_a_file,
    a_relative_poststop_hook,
    relative_masked_and_readonly_paths
];

/// Runs the bundle without and with `--strict`.
#[track_caller]
fn warned_then_refused(t: &Sandbox, bundle: &Bundle, path: &str) {
    if !runtime::is_ours() {
        skip("--strict is ours");
    }
    let bundle = bundle.clone().args(&["/bin/true"]);
    bundle.write();
    let (root, log) = (t.root(), t.new_path("log"));
    let arguments = |strict: &[&'static str]| -> Vec<String> {
        let words = strict.iter().map(|word| (*word).to_owned());
        let rest = [
            "--root",
            &root.to_string_lossy(),
            "--log",
            &log.to_string_lossy(),
            "run",
            "-b",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ];
        words.chain(rest.map(str::to_owned)).collect()
    };
    t.runtime_without_root(&arguments(&[])).output().ok();
    assert!(
        crate::support::sandbox::read(&log).contains(path),
        "the warning names {path}"
    );
    t.runtime_without_root(&arguments(&["--strict"]))
        .output()
        .refused_with(&[path]);
}

fn duplicate_rlimits(t: &Sandbox) {
    let limit = json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0});
    warned_then_refused(
        t,
        &t.bundle().set("/process/rlimits", json!([limit, limit])),
        "process.rlimits[1]",
    );
}

fn listener_metadata_without_path(t: &Sandbox) {
    let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"});
    warned_then_refused(
        t,
        &t.bundle().set("/linux/seccomp", seccomp),
        "linux.seccomp.listenerMetadata",
    );
}

fn syscalls_without_names(t: &Sandbox) {
    let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]});
    warned_then_refused(
        t,
        &t.bundle().set("/linux/seccomp", seccomp),
        "linux.seccomp.syscalls[0].names",
    );
}

fn a_device_over_a_file(t: &Sandbox) {
    let bundle = t.bundle().writable().push(
        "/linux/devices",
        json!({"type": "c", "path": "/opt/file", "major": 1, "minor": 3}),
    );
    std::fs::create_dir(bundle.rootfs().join("opt")).expect("create /opt");
    std::fs::write(bundle.rootfs().join("opt/file"), "").expect("write a file");
    if !runtime::is_ours() {
        skip("--strict is ours");
    }
    bundle.write();
    let root = t.root();
    let arguments = [
        "--strict",
        "--root",
        &root.to_string_lossy(),
        "run",
        "-b",
        &bundle.path.to_string_lossy(),
        &t.new_id(),
    ];
    t.runtime_without_root(&arguments)
        .output()
        .fails_with(&["/opt/file"]);
}

fn a_relative_poststop_hook(t: &Sandbox) {
    let bundle = t.bundle().hook("poststop", json!({"path": "relative"}));
    warned_then_refused(t, &bundle, "hooks.poststop[0].path");
}

fn relative_masked_and_readonly_paths(t: &Sandbox) {
    for key in ["maskedPaths", "readonlyPaths"] {
        let bundle = t
            .bundle()
            .set(&format!("/linux/{key}"), json!(["relative"]));
        warned_then_refused(t, &bundle, &format!("linux.{key}[0]"));
    }
}
