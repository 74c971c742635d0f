//! `root` and `linux.rootfsPropagation`.

use crate::support::{Sandbox, cases, host, json};

cases![
    absolute_path,
    relative_path,
    path_through_a_link,
    read_only,
    writable,
    submounts_stay_writable,
    propagation,
    host_mounts_stay_hidden,
    old_root_is_gone
];

fn absolute_path(t: &Sandbox) {
    let bundle = t.bundle();
    let path = bundle.rootfs().to_string_lossy().into_owned();
    assert_eq!(
        t.sh(
            bundle.set("/root/path", json!(path)),
            "cat /etc/group | head -n 1"
        ),
        "root:x:0:"
    );
}

fn relative_path(t: &Sandbox) {
    let bundle = t.bundle().set("/root/path", json!("./rootfs/../rootfs"));
    assert_eq!(t.sh(bundle, "echo fine"), "fine");
}

fn path_through_a_link(t: &Sandbox) {
    let bundle = t.bundle().set("/root/path", json!("link"));
    std::os::unix::fs::symlink("rootfs", bundle.path.join("link"))
        .expect("link to the root file system");
    assert_eq!(t.sh(bundle, "echo fine"), "fine");
}

fn read_only(t: &Sandbox) {
    let output = t.run(&t.bundle().shell("touch /x")).fails();
    assert!(output.stderr.contains("Read-only file system"), "{output}");
}

fn writable(t: &Sandbox) {
    let bundle = t.bundle().writable();
    t.run(&bundle.clone().shell("echo word > /x")).ok();
    assert_eq!(
        crate::support::sandbox::read(bundle.rootfs().join("x")),
        "word\n"
    );
}

fn submounts_stay_writable(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[]),
            "echo word > /mnt/x && cat /mnt/x; echo word > /dev/x && cat /dev/x"
        ),
        "word\nword"
    );
}

/// The optional fields of the root mount's line.
fn root_line(t: &Sandbox, propagation: &str) -> String {
    let bundle = t
        .bundle()
        .set("/linux/rootfsPropagation", json!(propagation));
    t.sh(bundle, "awk '$5 == \"/\"' /proc/self/mountinfo")
}

fn propagation(t: &Sandbox) {
    assert!(root_line(t, "shared").contains(" shared:"));
    assert!(root_line(t, "unbindable").contains(" unbindable"));
    for mode in ["private", "rprivate", "slave", "rslave"] {
        assert!(!root_line(t, mode).contains("shared:"), "{mode}");
    }
}

fn host_mounts_stay_hidden(t: &Sandbox) {
    let bundle = t.bundle();
    let seen = t.sh(bundle, "cut -d ' ' -f 5 /proc/self/mountinfo");
    assert!(!seen.contains(&t.tag), "{seen}");
    let before = host::mount_lines().len();
    let container = t.running(t.bundle());
    assert!(
        host::mount_lines().len() <= before + 2,
        "a container's mounts aren't the host's"
    );
    container.delete(&["-f"]).ok();
}

fn old_root_is_gone(t: &Sandbox) {
    let seen = t.sh(
        t.bundle(),
        "ls -a / | tr '\\n' ' '; cut -d ' ' -f 5 /proc/1/mountinfo | sort | head -n 1",
    );
    assert_eq!(
        seen,
        ". .. bin dev etc home mnt proc root run sys tmp usr var /"
    );
}
