//! `mounts add` and `mounts remove`: what a running container sees of it.

use crate::support::{Container, Output, Sandbox, Value, cases, json};

cases![
    adds_and_removes_one_of_each_kind,
    gives_no_label_where_no_host_knows_it,
    refuses_a_stopped_container
];

/// `mounts VERB` with these mounts; skips runtimes that have no such command.
#[track_caller]
fn change(t: &Sandbox, verb: &str, container: &Container<'_>, mounts: &Value) -> Output {
    if !crate::support::runtime::is_ours() {
        crate::support::skip("runc has no mounts command");
    }
    let file = t.new_path("mounts.json");
    std::fs::write(&file, mounts.to_string()).expect("write the mounts");
    let file = file.to_string_lossy();
    t.runtime(&["mounts", verb, &container.id, &file]).output()
}

fn adds_and_removes_one_of_each_kind(t: &Sandbox) {
    let container = t.running(t.bundle().writable());
    let source = t.new_path("data");
    std::fs::create_dir(&source).expect("create a directory to mount");
    std::fs::write(source.join("file"), "new\n").expect("write a file");
    let mounts = json!([
        {"destination": "/mnt", "source": source.to_string_lossy(), "type": "bind", "options": ["bind", "ro"]},
        {"destination": "/mem", "source": "tmpfs", "type": "tmpfs"},
    ]);
    change(t, "add", &container, &mounts).ok();
    let seen = container.sh(
        "cat /mnt/file; touch /mnt/x 2>&1 | grep -o Read-only; grep -c ' /mem tmpfs' /proc/mounts",
    );
    assert_eq!(seen, "new\nRead-only\n1");
    change(t, "remove", &container, &mounts).ok();
    assert_eq!(
        container.sh("ls /mnt; grep ' /mem ' /proc/mounts || echo gone"),
        "gone"
    );
}

fn gives_no_label_where_no_host_knows_it(t: &Sandbox) {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        crate::support::skip("this host has SELinux");
    }
    let label = json!("system_u:object_r:container_file_t:s0:c1,c2");
    let container = t.running(t.bundle().writable().set("/linux/mountLabel", label));
    let mounts = json!([{"destination": "/mem", "source": "tmpfs", "type": "tmpfs"}]);
    change(t, "add", &container, &mounts).ok();
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    change(t, "add", &container, &json!([])).refused_with(&["container not running"]);
}
