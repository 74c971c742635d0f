//! Consoles: the pty comes from a descriptor, never from a path that the image can swap.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::listeners::{Console, FdListener};
use crate::support::{Bundle, Sandbox, cases, host, json};

cases![
    cve_2025_52565_dev_console_is_a_link,
    cve_2025_52565_dev_pts_is_a_link,
    cve_2026_88264_no_mount_on_dev,
    cve_2025_52565_a_file_of_the_host_is_not_bound,
];

fn run_with_console(t: &Sandbox, bundle: &Bundle) {
    let listener = FdListener::at(&t.new_path("tty"));
    let output = t.try_create(
        bundle,
        &["--console-socket", &listener.path.to_string_lossy()],
    );
    if output.status.success() {
        drop(Console::new(listener.take_fd()));
    }
}

fn terminal(t: &Sandbox) -> Bundle {
    t.bundle()
        .writable()
        .idle()
        .set("/process/terminal", json!(true))
}

/// A file of the host that must stay as it is.
fn victim(t: &Sandbox) -> std::path::PathBuf {
    let path = t.new_path("victim");
    fs::write(&path, "untouched").expect("write a victim");
    path
}

fn cve_2025_52565_dev_console_is_a_link(t: &Sandbox) {
    let victim = victim(t);
    let before = fs::metadata(&victim).expect("stat the victim");
    for target in [
        victim.to_string_lossy().into_owned(),
        format!("../../../../../../..{}", victim.display()),
    ] {
        let bundle = terminal(t).without_mount("/dev");
        symlink(target, bundle.rootfs().join("dev/console")).expect("link /dev/console");
        run_with_console(t, &bundle);
    }
    let after = fs::metadata(&victim).expect("stat the victim");
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&before),
        std::os::unix::fs::MetadataExt::ino(&after)
    );
    assert_eq!(crate::support::sandbox::read(&victim), "untouched");
    assert!(
        host::mount_lines()
            .iter()
            .all(|line| !line.contains(&*victim.to_string_lossy()))
    );
}

fn cve_2025_52565_dev_pts_is_a_link(t: &Sandbox) {
    let directory = t.new_path("victim");
    fs::create_dir(&directory).expect("create a victim");
    let bundle = terminal(t).without_mount("/dev").mount(
        "/dev/pts",
        "devpts",
        "devpts",
        &["newinstance", "ptmxmode=0666"],
    );
    symlink(
        format!("../../../../../../..{}", directory.display()),
        bundle.rootfs().join("dev/pts"),
    )
    .expect("link /dev/pts");
    run_with_console(t, &bundle);
    assert_eq!(
        fs::read_dir(&directory).expect("list the victim").count(),
        0
    );
    assert!(
        host::mount_lines()
            .iter()
            .all(|line| !line.contains(&*directory.to_string_lossy()))
    );
}

fn cve_2026_88264_no_mount_on_dev(t: &Sandbox) {
    use std::os::unix::fs::MetadataExt;
    let victim = victim(t);
    let before = fs::metadata(&victim).expect("stat the victim");
    let bundle = terminal(t)
        .without_mount("/dev")
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .shell("test -t 0 && echo terminal; sleep 1000");
    // What the container's pty would be called, and its neighbours.
    fs::create_dir(bundle.rootfs().join("dev/pts")).expect("create /dev/pts");
    for name in ["pts/0", "pts/1", "pts/2", "pts/ptmx", "console"] {
        symlink(&victim, bundle.rootfs().join("dev").join(name)).expect("link a pty's name");
    }
    run_with_console(t, &bundle);
    let after = fs::metadata(&victim).expect("stat the victim");
    assert_eq!(
        (before.ino(), before.uid(), before.gid(), before.mode()),
        (after.ino(), after.uid(), after.gid(), after.mode())
    );
    assert_eq!(crate::support::sandbox::read(&victim), "untouched");
    let name = victim.to_string_lossy().into_owned();
    assert!(host::mount_lines().iter().all(|line| !line.contains(&name)));
}

fn cve_2025_52565_a_file_of_the_host_is_not_bound(t: &Sandbox) {
    let bundle = terminal(t).without_mount("/dev");
    symlink("/proc/sysrq-trigger", bundle.rootfs().join("dev/console")).expect("link /dev/console");
    let listener = FdListener::at(&t.new_path("tty"));
    let bundle = bundle.shell("grep -c sysrq-trigger /proc/self/mountinfo; sleep 1000");
    let output = t.try_create(
        &bundle,
        &["--console-socket", &listener.path.to_string_lossy()],
    );
    if output.status.success() {
        let mounts = t.runtime(&["list", "-q"]).output().text();
        let pid = t.runtime(&["state", &mounts]).output().text();
        let pid = serde_json::from_str::<serde_json::Value>(&pid).expect("JSON")["pid"].clone();
        let table = crate::support::sandbox::read(format!("/proc/{pid}/mountinfo"));
        assert!(
            !table
                .lines()
                .any(|line| line.contains("devpts") && line.contains("sysrq-trigger")),
            "{table}"
        );
    }
}
