//! An ordinary user: with and without subordinate ids, with and without a part of the cgroup tree of its own.

use crate::support::{Bundle, Output, Sandbox, cases, json, sandbox};
use crate::user::{self, ID, NAME};

cases![
    runs_with_one_id,
    runs_with_subordinate_ids,
    root_inside_is_the_user_outside,
    limits_without_delegation_name_the_remedy,
    the_users_manager_makes_scopes,
    the_users_manager_limits,
    a_controller_that_was_not_delegated_is_named,
    a_delegated_cgroup_limits,
    exec_kill_and_delete,
    without_a_manager_is_a_clear_error,
];

/// The runtime as the user, in a service of root's: nothing of the cgroup tree is the user's.
#[track_caller]
fn plain(t: &Sandbox, words: &[&str]) -> Output {
    let (runtime, root) = (crate::support::runtime::path(), t.root());
    let (runtime, root) = (runtime.to_string_lossy(), root.to_string_lossy());
    let start = [
        "setpriv",
        "--reuid",
        NAME,
        "--regid",
        NAME,
        "--init-groups",
        &runtime,
        "--root",
        &root,
    ];
    t.program(&[&start, words].concat())
        .env("XDG_RUNTIME_DIR", format!("/run/user/{ID}"))
        .output()
}

/// The runtime as the user, in a service of the user's own manager.
#[track_caller]
fn managed(t: &Sandbox, service: &[&str], words: &[&str]) -> Output {
    let (runtime, root) = (crate::support::runtime::path(), t.root());
    let (runtime, root) = (runtime.to_string_lossy(), root.to_string_lossy());
    let runtime_dir = format!("XDG_RUNTIME_DIR=/run/user/{ID}");
    let user = [
        "setpriv",
        "--reuid",
        NAME,
        "--regid",
        NAME,
        "--init-groups",
        "env",
        &runtime_dir,
    ];
    let run = [
        "systemd-run",
        "--user",
        "--pipe",
        "--wait",
        "--quiet",
        "--collect",
    ];
    let start = ["--", &runtime, "--root", &root];
    t.program(&[&user, &run[..], service, &start, words].concat())
        .output()
}

fn run_words<'a>(path: &'a str, id: &'a str) -> [&'a str; 4] {
    ["run", "--bundle", path, id]
}

fn written(bundle: &Bundle) -> String {
    bundle.write();
    bundle.path.to_string_lossy().into_owned()
}

fn runs_with_one_id(t: &Sandbox) {
    let path = written(&user::bundle(t, false).shell("id -u; cat /proc/self/uid_map | xargs"));
    assert_eq!(
        plain(t, &run_words(&path, &t.new_id())).text(),
        format!("0\n0 {ID} 1")
    );
}

fn runs_with_subordinate_ids(t: &Sandbox) {
    let bundle = user::bundle(t, true).set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let path = written(&bundle.shell("wc -l </proc/self/uid_map; id -u"));
    assert_eq!(plain(t, &run_words(&path, &t.new_id())).text(), "2\n1000");
}

fn root_inside_is_the_user_outside(t: &Sandbox) {
    let bundle = user::bundle(t, true).writable();
    let path = written(&bundle.clone().shell("touch /made"));
    plain(t, &run_words(&path, &t.new_id())).silent();
    let made = std::fs::metadata(bundle.rootfs().join("made")).expect("stat");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), ID);
}

fn limits_without_delegation_name_the_remedy(t: &Sandbox) {
    let bundle = user::bundle(t, true).args(&["/bin/true"]);
    let path = written(&bundle.set("/linux/resources", json!({"memory": {"limit": 64 << 20}})));
    plain(t, &run_words(&path, &t.new_id())).refused_with(&[
        "cgroup",
        "delegated",
        "systemd-run --user",
    ]);
    assert_eq!(t.state_entries(), Vec::<String>::new());
}

fn the_users_manager_makes_scopes(t: &Sandbox) {
    let path = written(&user::bundle(t, true).shell("cat /proc/self/cgroup"));
    let id = t.new_id();
    let words = [&["--systemd-cgroup"], &run_words(&path, &id)[..]].concat();
    let seen = managed(t, &[], &words).text();
    assert_eq!(
        seen,
        format!("0::/user.slice/user-{ID}.slice/user@{ID}.service/user.slice/crun-lite-{id}.scope")
    );
}

fn the_users_manager_limits(t: &Sandbox) {
    let bundle = user::bundle(t, true).set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 33}}),
    );
    let path = written(
        &bundle
            .namespace("cgroup")
            .shell("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"),
    );
    let id = t.new_id();
    let words = [&["--systemd-cgroup"], &run_words(&path, &id)[..]].concat();
    assert_eq!(managed(t, &[], &words).text(), "67108864\n33");
}

/// Debian delegates cpu, memory and pids to a user's manager, not cpuset.
fn a_controller_that_was_not_delegated_is_named(t: &Sandbox) {
    let bundle = user::bundle(t, true).set("/linux/resources", json!({"cpu": {"cpus": "0"}}));
    let path = written(&bundle.args(&["/bin/true"]));
    let id = t.new_id();
    let words = [&["--systemd-cgroup"], &run_words(&path, &id)[..]].concat();
    managed(t, &[], &words).fails_with(&["cpuset", "Delegate="]);
}

/// The cgroupfs driver in a service of the user's manager: containers go beside it, where the user may limit.
fn a_delegated_cgroup_limits(t: &Sandbox) {
    let bundle =
        user::bundle(t, true).set("/linux/resources", json!({"memory": {"limit": 64 << 20}}));
    let path = written(
        &bundle
            .namespace("cgroup")
            .shell("cat /sys/fs/cgroup/memory.max"),
    );
    let output = managed(t, &["-p", "Delegate=yes"], &run_words(&path, &t.new_id()));
    assert_eq!(output.text(), "67108864");
}

fn exec_kill_and_delete(t: &Sandbox) {
    let path = written(&user::bundle(t, true).idle());
    let id = t.new_id();
    plain(t, &["run", "-d", "--bundle", &path, &id]).silent();
    assert_eq!(plain(t, &["exec", &id, "id", "-u"]).text(), "0");
    plain(t, &["kill", &id, "KILL"]).silent();
    sandbox::wait_for("the end", || {
        plain(t, &["state", &id]).text().contains("stopped")
    });
    plain(t, &["delete", &id]).silent();
    managed(
        t,
        &[],
        &["--systemd-cgroup", "run", "-d", "--bundle", &path, &id],
    )
    .silent();
    assert_eq!(managed(t, &[], &["exec", &id, "id", "-u"]).text(), "0");
    managed(t, &[], &["delete", "--force", &id]).silent();
}

fn without_a_manager_is_a_clear_error(t: &Sandbox) {
    let path = written(&user::bundle(t, true).args(&["/bin/true"]));
    let (runtime, root) = (crate::support::runtime::path(), t.root());
    let words = [
        "setpriv",
        "--reuid",
        NAME,
        "--regid",
        NAME,
        "--init-groups",
        "env",
        "XDG_RUNTIME_DIR=/nowhere",
        &runtime.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "--systemd-cgroup",
        "run",
        "--bundle",
        &path,
        &t.new_id(),
    ];
    t.program(&words)
        .output()
        .refused_with(&["reach the user's systemd", "/nowhere"]);
}
