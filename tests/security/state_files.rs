//! State, cgroups and ids: private, and not steered by what a container or a caller writes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Sandbox, cases, host, json, runtime, sandbox};

cases![
    cve_2021_41103_state_is_private,
    cve_2024_25621_umask_of_the_caller_is_ignored,
    exec_cgroup_stays_below,
    delegate_cgroup_stays_below,
    a_state_entry_that_is_a_link,
    a_container_cannot_reach_its_state,
    a_cgroup_of_the_host_survives,
    cve_2025_24965_handlers_write_nothing_outside,
    ids_name_nothing_outside,
];

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path)
        .expect("stat a state file")
        .permissions()
        .mode()
        & 0o777
}

fn cve_2021_41103_state_is_private(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(mode(&t.root()), 0o700);
    for entry in fs::read_dir(t.root().join(&container.id))
        .expect("list the state directory")
        .flatten()
    {
        assert_eq!(mode(&entry.path()) & 0o022, 0, "{}", entry.path().display());
    }
    let path = t.root().join(&container.id);
    let output = t
        .program(&[
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "ls",
            &path.to_string_lossy(),
        ])
        .output();
    assert!(
        !output.status.success(),
        "another user can list the state: {output}"
    );
}

fn cve_2024_25621_umask_of_the_caller_is_ignored(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    t.runtime_through(
        &["sh", "-c", "umask 0; exec \"$0\" \"$@\""],
        &["create", "-b", &bundle.path.to_string_lossy(), &t.new_id()],
    )
    .output()
    .ok();
    assert_eq!(mode(&t.root()) & 0o077, 0);
}

fn exec_cgroup_stays_below(t: &Sandbox) {
    let container = t.running(t.bundle());
    for path in ["..", "../x", "a/../..", "/..", "/../../x", "./../.."] {
        container.exec_with(&["--cgroup", path], &["true"]).fails();
    }
    assert!(
        host::cgroup_hierarchies()
            .iter()
            .all(|hierarchy| !hierarchy.join("x").exists())
    );
}

fn delegate_cgroup_stays_below(t: &Sandbox) {
    for path in ["..", "../../x", "/../x", "a/../../x"] {
        let bundle = t.bundle().args(&["/bin/true"]).set(
            "/annotations",
            json!({"run.oci.delegate-cgroup": path, "run.oci.systemd.subgroup": path}),
        );
        t.run(&bundle);
        assert!(
            host::cgroup_hierarchies()
                .iter()
                .all(|hierarchy| !hierarchy.join("x").exists()),
            "{path}"
        );
    }
}

fn a_state_entry_that_is_a_link(t: &Sandbox) {
    let elsewhere = t.new_path("elsewhere");
    fs::create_dir(&elsewhere).expect("create a directory");
    fs::write(elsewhere.join("file"), "").expect("write a file");
    fs::create_dir(t.root()).expect("create --root");
    symlink(&elsewhere, t.root().join("linked")).expect("link");
    t.runtime(&["delete", "--force", "linked"]).output();
    assert!(
        elsewhere.join("file").exists(),
        "delete followed a link out of --root"
    );
    fs::remove_file(t.root().join("linked")).ok();
}

fn a_container_cannot_reach_its_state(t: &Sandbox) {
    let container = t.running(t.bundle());
    let seen = container.sh(&format!(
        "find / -name '*{}*' -not -path '/proc/*' -not -path '/sys/*' 2>/dev/null || true",
        t.tag
    ));
    assert_eq!(seen, "");
}

fn a_cgroup_of_the_host_survives(t: &Sandbox) {
    let outside = host::v1_cgroup("pids", &format!("/{}-outside", t.tag));
    fs::create_dir(&outside).expect("create a cgroup");
    let bundle = t.bundle();
    let path = format!("{}/../../{}-outside", bundle.cgroups_path(), t.tag);
    t.run(
        &bundle
            .set("/linux/cgroupsPath", json!(path))
            .args(&["/bin/true"]),
    );
    assert!(outside.exists(), "a cgroup of the host was removed");
    fs::remove_dir(outside).expect("remove the cgroup");
}

fn cve_2025_24965_handlers_write_nothing_outside(t: &Sandbox) {
    let victim = t.new_path("victim");
    fs::write(&victim, "untouched").expect("write a victim");
    let bundle = t
        .bundle()
        .writable()
        .args(&["/bin/true"])
        .set("/annotations", json!({"run.oci.handler": "krun"}));
    symlink(&victim, bundle.rootfs().join(".krun_config.json")).expect("link");
    t.run(&bundle);
    assert_eq!(sandbox::read(victim), "untouched");
}

fn ids_name_nothing_outside(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("a peer that fails here removes directories");
    }
    let outside = t.path.join("outside");
    fs::create_dir_all(outside.join("inner")).expect("create a directory");
    fs::create_dir(t.root()).expect("create --root");
    for id in ["../outside", "..", ".", "/", "./../outside/inner"] {
        for command in ["state", "start", "kill", "pause", "resume"] {
            t.runtime(&[command, id]).output().fails();
        }
        t.runtime(&["delete", "--force", id]).output();
        assert!(outside.join("inner").exists(), "{id}");
    }
}
