//! Options before the subcommand, logs, and commands that aren't ones.

use std::fs;
use std::path::Path;

use crate::support::runtime::{self, Invocation};
use crate::support::{Bundle, Sandbox, Value, cases, sandbox};

cases![
    prints_its_version,
    refuses_an_unknown_command,
    refuses_an_unknown_flag,
    logs_json_that_containerd_parses,
    logs_warnings_before_the_program_has_ended,
    logs_text_in_logrus_form,
    logs_nothing_on_success,
    writes_one_json_line_an_error,
    takes_the_peers_global_flags,
    disables_cgroups,
    keeps_the_state_of_a_namespaces_root_with_the_session,
    prints_help,
    refuses_checkpoint_but_not_its_help,
    prints_completions,
];

fn prints_its_version(t: &Sandbox) {
    for flag in ["--version", "-v"] {
        let text = t.runtime_without_root(&[flag]).output().silent().stdout;
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("crun-lite version "), "{text}");
        assert!(
            lines.iter().any(|line| line.starts_with("commit: ")),
            "{text}"
        );
        assert!(lines.contains(&"spec: 1.3.0"), "{text}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with('+') && line.contains("+SECCOMP")),
            "{text}"
        );
    }
}

fn refuses_an_unknown_command(t: &Sandbox) {
    t.runtime_without_root(&["no-such-command"])
        .output()
        .fails_with(&["no-such-command"]);
}

fn refuses_an_unknown_flag(t: &Sandbox) {
    t.runtime_without_root(&["state", "--no-such-flag", "x"])
        .output()
        .fails_with(&["no-such-flag"]);
}

/// Lets `start` fail with a log of this format and gives the log.
fn log_of_a_failure(t: &Sandbox, format: &str) -> String {
    let log = t.new_path("log");
    fs::create_dir(t.root()).expect("create --root");
    let root = t.root();
    let arguments = [
        "--root",
        &root.to_string_lossy(),
        "--log",
        &log.to_string_lossy(),
        "--log-format",
        format,
        "start",
        "nope",
    ];
    t.runtime_without_root(&arguments)
        .output()
        .fails_with(&["does not exist"]);
    crate::support::sandbox::read(log)
}

fn logs_json_that_containerd_parses(t: &Sandbox) {
    let log = log_of_a_failure(t, "json");
    let line: Value = serde_json::from_str(log.lines().last().unwrap_or_default())
        .expect("the last line is JSON");
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"]
            .as_str()
            .is_some_and(|message| message.contains("does not exist")),
        "{line}"
    );
    let time = line["time"].as_str().unwrap_or_default();
    let zone = time.ends_with('Z')
        || time
            .as_bytes()
            .iter()
            .rev()
            .nth(5)
            .is_some_and(|sign| b"+-".contains(sign));
    assert!(
        time.len() >= 20 && time.as_bytes()[10] == b'T' && zone,
        "RFC 3339, not {time:?}"
    );
}

fn writes_one_json_line_an_error(t: &Sandbox) {
    let log = log_of_a_failure(t, "json");
    assert_eq!(
        log.lines().count(),
        1,
        "Podman reads the whole file as one object: {log}"
    );
    assert!(log.ends_with('\n'));
}

fn logs_text_in_logrus_form(t: &Sandbox) {
    let log = log_of_a_failure(t, "text");
    assert!(
        log.starts_with("time=\"") && log.contains(" level=error msg=\""),
        "{log}"
    );
}

/// `run` of the bundle in the foreground with a log in JSON.
fn run_with_json_log(t: &Sandbox, bundle: &Bundle, log: &Path, id: &str) -> Invocation {
    let (root, path, log) = (
        t.root(),
        bundle.path.to_string_lossy(),
        log.to_string_lossy(),
    );
    let root = root.to_string_lossy();
    let words = [
        "--root",
        &*root,
        "--log",
        &*log,
        "--log-format",
        "json",
        "run",
        "-b",
        &*path,
        id,
    ];
    t.runtime_without_root(&words)
}

fn logs_warnings_before_the_program_has_ended(t: &Sandbox) {
    let log = t.new_path("log");
    let bundle = t.bundle().idle().push(
        "/process/capabilities/bounding",
        serde_json::json!("CAP_NONSENSE"),
    );
    bundle.write();
    let id = t.new_id();
    let running = run_with_json_log(t, &bundle, &log, &id).spawn();
    sandbox::wait_for("the warning", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("CAP_NONSENSE"))
    });
    t.runtime(&["kill", &id, "KILL"]).output().ok();
    assert_eq!(running.wait().code(), 137);
}

fn logs_nothing_on_success(t: &Sandbox) {
    let log = t.new_path("log");
    let bundle = t.bundle().args(&["/bin/true"]);
    bundle.write();
    run_with_json_log(t, &bundle, &log, &t.new_id())
        .output()
        .silent();
    assert_eq!(fs::read_to_string(&log).unwrap_or_default(), "");
}

fn takes_the_peers_global_flags(t: &Sandbox) {
    let root = t.root();
    let flags = [
        "--root",
        &root.to_string_lossy(),
        "--debug",
        "--log",
        "/dev/null",
        "--log-format",
        "json",
        "--rootless",
        "false",
    ];
    let bundle = t.bundle().args(&["/bin/true"]);
    bundle.write();
    let id = t.new_id();
    let arguments: Vec<&str> = flags
        .iter()
        .copied()
        .chain(["run", "-b", bundle.path.to_str().expect("UTF-8"), &id])
        .collect();
    t.runtime_without_root(&arguments).output().ok();
}

fn disables_cgroups(t: &Sandbox) {
    let bundle = t
        .bundle()
        .without("/linux/resources")
        .without_mount("/sys/fs/cgroup")
        .shell("cat /proc/self/cgroup");
    bundle.write();
    let (root, path) = (t.root(), bundle.path.to_string_lossy());
    let arguments = [
        "--cgroup-manager",
        "disabled",
        "--root",
        &root.to_string_lossy(),
        "run",
        "-b",
        &path,
        &t.new_id(),
    ];
    let inside = t.runtime_without_root(&arguments).output().text();
    assert!(!inside.contains(&t.tag), "{inside}");
}

/// Podman's rootless containers: id 0, but not the machine's root.
fn keeps_the_state_of_a_namespaces_root_with_the_session(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("peers have directories of their own names");
    }
    let session = t.new_path("session");
    let id = t.new_id();
    fs::create_dir_all(session.join("crun-lite").join(&id)).expect("create a state directory");
    let program = runtime::path();
    let program = program.to_string_lossy();
    let namespace = ["unshare", "--user", "--map-root-user"];
    for (starter, user, is_found) in [
        (&namespace[..], &["USER=somebody"][..], true),
        (&namespace, &["-u", "USER"], true),
        (&namespace, &["USER=root"], false),
        (&[], &["-u", "USER"], false),
    ] {
        let output = t
            .program(&[starter, &["env"], user, &[&program, "state", &id]].concat())
            .env("XDG_RUNTIME_DIR", &session)
            .output()
            .fails();
        let found = output.stderr.contains("does not exist completely");
        assert_eq!(found, is_found, "{output}");
    }
}

fn prints_help(t: &Sandbox) {
    for command in [
        "create", "start", "run", "exec", "state", "kill", "delete", "list", "ps", "pause",
        "resume", "update", "events", "spec", "features",
    ] {
        let text = t.runtime_without_root(&[command, "--help"]).output().ok();
        assert!(
            (text.stdout + &text.stderr)
                .to_lowercase()
                .contains("usage"),
            "{command}"
        );
    }
    assert!(
        t.runtime_without_root(&["--help"])
            .output()
            .text()
            .to_lowercase()
            .contains("usage")
    );
}

fn refuses_checkpoint_but_not_its_help(t: &Sandbox) {
    t.runtime_without_root(&["checkpoint", "--help"])
        .output()
        .ok();
    let text = t
        .runtime_without_root(&["restore", "--lsm-mount-context"])
        .output()
        .fails();
    assert!(
        (text.stdout + &text.stderr).contains("flag needs an argument"),
        "Podman's probe"
    );
}

fn prints_completions(t: &Sandbox) {
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            t.runtime_without_root(&["completion", shell])
                .output()
                .text()
                .contains("create"),
            "{shell}"
        );
    }
}
