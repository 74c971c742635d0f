//! `linux.maskedPaths` and `linux.readonlyPaths`.

use crate::support::{Sandbox, cases, json};

cases![
    masked_file_is_empty,
    masked_directory_is_empty,
    masked_absent_path_is_fine,
    masked_twice,
    masked_under_a_link_stays_inside,
    readonly_path,
    readonly_absent_path_is_fine,
    readonly_file,
    readonly_keeps_flags,
    defaults_hold,
    masks_cannot_be_written,
    many_masked_paths
];

fn masked_file_is_empty(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/maskedPaths", json!("/etc/passwd"));
    assert_eq!(t.sh(bundle, "cat /etc/passwd; ! echo x 2>/dev/null > /etc/passwd || cat /etc/passwd; stat -c %F /etc/passwd"), "character special file");
}

fn masked_directory_is_empty(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/maskedPaths", json!("/etc"));
    assert_eq!(
        t.sh(
            bundle.clone(),
            "ls -A /etc; touch /etc/x 2>/dev/null || echo read-only"
        ),
        "read-only"
    );
    assert!(bundle.rootfs().join("etc/passwd").exists());
}

fn masked_absent_path_is_fine(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/maskedPaths", json!("/no/such/path"));
    assert_eq!(
        t.sh(bundle.clone(), "ls /no 2>/dev/null || echo absent"),
        "absent"
    );
    assert!(!bundle.rootfs().join("no").exists());
}

fn masked_twice(t: &Sandbox) {
    let bundle = t
        .bundle()
        .push("/linux/maskedPaths", json!("/etc"))
        .push("/linux/maskedPaths", json!("/etc"));
    assert_eq!(t.sh(bundle, "ls -A /etc"), "");
}

fn masked_under_a_link_stays_inside(t: &Sandbox) {
    let bundle = t.bundle().push("/linux/maskedPaths", json!("/link/passwd"));
    std::os::unix::fs::symlink("../../../../etc", bundle.rootfs().join("link")).expect("link");
    assert_eq!(t.sh(bundle, "cat /etc/passwd"), "");
}

fn readonly_path(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/readonlyPaths", json!("/etc"));
    assert_eq!(
        t.sh(
            bundle,
            "touch /etc/x 2>/dev/null || echo read-only; touch /x && cat /etc/group | head -n 1"
        ),
        "read-only\nroot:x:0:"
    );
}

fn readonly_absent_path_is_fine(t: &Sandbox) {
    t.run(
        &t.bundle()
            .push("/linux/readonlyPaths", json!("/no/such/path"))
            .args(&["/bin/true"]),
    )
    .ok();
}

fn readonly_file(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/readonlyPaths", json!("/etc/group"));
    assert_eq!(
        t.sh(bundle, "echo x 2>/dev/null >> /etc/group || echo read-only"),
        "read-only"
    );
}

fn readonly_keeps_flags(t: &Sandbox) {
    let bundle = t
        .bundle()
        .mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "nodev", "noexec"])
        .push("/linux/readonlyPaths", json!("/mnt"));
    let flags = t.sh(
        bundle,
        "grep ' /mnt ' /proc/self/mountinfo | tail -n 1 | cut -d ' ' -f 6",
    );
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(
            flags.split(',').any(|word| word == flag),
            "{flag} in {flags}"
        );
    }
}

fn defaults_hold(t: &Sandbox) {
    let script = "cat /proc/keys /proc/timer_list | wc -c; for f in /proc/sysrq-trigger /proc/sys/kernel/panic; do echo 1 2>/dev/null > $f || echo read-only; done; ls /sys/firmware";
    assert_eq!(t.sh(t.bundle(), script), "0\nread-only\nread-only");
}

fn masks_cannot_be_written(t: &Sandbox) {
    let bundle = t
        .bundle()
        .writable()
        .push("/linux/maskedPaths", json!("/var"));
    t.run(&bundle.shell("! mkdir /var/x 2>/dev/null && ! chmod 777 /var 2>/dev/null"))
        .ok();
}

fn many_masked_paths(t: &Sandbox) {
    let mut bundle = t.bundle();
    for number in 0..300 {
        std::fs::write(bundle.rootfs().join(format!("tmp/{number}")), "secret")
            .expect("write a file");
        bundle = bundle.push("/linux/maskedPaths", json!(format!("/tmp/{number}")));
    }
    assert_eq!(t.sh(bundle, "cat /tmp/* | wc -c"), "0");
}
