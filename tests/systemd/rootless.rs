//! An ordinary user: with and without subordinate ids, with and without a part of the cgroup tree of its own.

use crate::support::{Bundle, ImageMaker, Output, Sandbox, cases, json, sandbox};
use crate::user::{self, AS_USER, ID, IN_SERVICE, NAME};

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
    runs_an_image,
    limits_an_image_where_delegated,
];

/// The runtime as the user, in a service of root's: nothing of the cgroup tree is the user's.
#[track_caller]
fn plain(t: &Sandbox, words: &[&str]) -> Output {
    let (runtime, root) = (crate::support::runtime::path(), t.root());
    let (runtime, root) = (runtime.to_string_lossy(), root.to_string_lossy());
    let start = [&runtime, "--root", &root];
    t.program(&[&AS_USER[..], &start, words].concat())
        .env("XDG_RUNTIME_DIR", format!("/run/user/{ID}"))
        .env("HOME", format!("/home/{NAME}"))
        .env("CRUN_LITE_STORE", store(t))
        .output()
}

/// The runtime as the user, in a service of the user's own manager.
#[track_caller]
fn managed(t: &Sandbox, service: &[&str], words: &[&str]) -> Output {
    let (runtime, root) = (crate::support::runtime::path(), t.root());
    let (runtime, root) = (runtime.to_string_lossy(), root.to_string_lossy());
    let runtime_dir = format!("XDG_RUNTIME_DIR=/run/user/{ID}");
    let env = ["env", &runtime_dir];
    let start = ["--", &runtime, "--root", &root];
    t.program(&[&AS_USER, &env[..], &IN_SERVICE, service, &start, words].concat())
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
    t.program(&[&AS_USER[..], &words].concat())
        .output()
        .refused_with(&["reach the user's systemd", "/nowhere"]);
}

/// An image of two layers, the second of which deletes a file of the first: whiteouts that a user can make.
fn image(t: &Sandbox) -> String {
    let image = ImageMaker::busybox(t)
        .layer(|dir| std::fs::write(dir.join("gone"), "1").expect("write"))
        .layer(|dir| {
            std::fs::write(dir.join(".wh.gone"), "").expect("write");
            std::fs::write(dir.join("kept"), "2").expect("write");
        })
        .write();
    user::give(t);
    image
}

/// Layers and changes are the user's own, stacked by overlayfs with `userxattr`.
fn runs_an_image(t: &Sandbox) {
    let image = image(t);
    let script = "ls /gone /kept 2>/dev/null; echo 3 >>/kept; cat /kept; grep -c ' / overlay .*userxattr' /proc/mounts; id -u";
    for _ in 0..2 {
        let id = t.new_id();
        let words = image_words(&image, &id, &["sh", "-c", script]);
        // The second run begins anew.
        assert_eq!(plain(t, &words).text(), "/kept\n23\n1\n0");
    }
}

fn image_words<'a>(image: &'a str, id: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let head = ["run", "-q", "--image", image, "--name", id];
    [&head, rest].concat()
}

fn limits_an_image_where_delegated(t: &Sandbox) {
    let (image, id) = (image(t), t.new_id());
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
    let limits = ["--memory", "64m", "--pids-limit", "33", "sh", "-c", script];
    let words = image_words(&image, &id, &limits);
    plain(t, &words).refused_with(&["cgroup", "delegated"]);
    let store = format!("--setenv=CRUN_LITE_STORE={}", store(t));
    let own = [&["--systemd-cgroup"], &words[..]].concat();
    assert_eq!(managed(t, &[&store], &own).text(), "67108864\n33");
}

fn store(t: &Sandbox) -> String {
    t.path.join("store").to_string_lossy().into_owned()
}
