//! AppArmor enforcing: the profile of `create` and of `exec`, what it forbids, and a profile that isn't loaded.

use std::process::Command;
use std::sync::Once;

use crate::support::{Sandbox, cases, json, skip};

cases![
    a_profile_is_set_and_holds,
    exec_has_the_containers_profile,
    exec_may_name_another,
    a_missing_profile_is_a_clear_error,
    a_profile_and_no_new_privileges,
    a_fake_procfs_gets_no_label,
];

const PROFILES: &str = "
profile crun-lite-one flags=(attach_disconnected,mediate_deleted) {
  capability, network, mount, umount, pivot_root, ptrace, signal, unix,
  file,
  deny /etc/group r,
}
profile crun-lite-two flags=(attach_disconnected,mediate_deleted) {
  capability, network, mount, umount, pivot_root, ptrace, signal, unix,
  file,
  deny /etc/passwd r,
}
";

fn load() {
    static LOADED: Once = Once::new();
    if !std::fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .unwrap_or_default()
        .starts_with('Y')
    {
        skip("this kernel runs without AppArmor");
    }
    LOADED.call_once(|| {
        let file = "/run/crun-lite-profiles";
        std::fs::write(file, PROFILES).expect("write profiles");
        let status = Command::new("apparmor_parser").args(["-r", file]).status();
        assert!(
            status.expect("start apparmor_parser").success(),
            "load the profiles"
        );
    });
}

const SEEN: &str = "cat /proc/self/attr/current; cat /etc/group >/dev/null 2>&1 || echo no-group; cat /etc/passwd >/dev/null 2>&1 || echo no-passwd";

fn a_profile_is_set_and_holds(t: &Sandbox) {
    load();
    let bundle = t
        .bundle()
        .set("/process/apparmorProfile", json!("crun-lite-one"));
    assert_eq!(t.sh(bundle, SEEN), "crun-lite-one (enforce)\nno-group");
    assert_eq!(
        t.sh(t.bundle(), "cat /proc/self/attr/current"),
        "unconfined"
    );
}

fn exec_has_the_containers_profile(t: &Sandbox) {
    load();
    let container = t.running(
        t.bundle()
            .set("/process/apparmorProfile", json!("crun-lite-one")),
    );
    assert_eq!(container.sh(SEEN), "crun-lite-one (enforce)\nno-group");
}

fn exec_may_name_another(t: &Sandbox) {
    load();
    let container = t.running(
        t.bundle()
            .set("/process/apparmorProfile", json!("crun-lite-one")),
    );
    let seen = container
        .exec_with(&["--apparmor", "crun-lite-two"], &["/bin/sh", "-c", SEEN])
        .text();
    assert_eq!(seen, "crun-lite-two (enforce)\nno-passwd");
}

fn a_missing_profile_is_a_clear_error(t: &Sandbox) {
    load();
    let bundle = t
        .bundle()
        .idle()
        .set("/process/apparmorProfile", json!("no-such-profile"));
    t.try_create(&bundle, &[])
        .refused_with(&["exec no-such-profile", "AppArmor profile is not loaded"]);
    assert_eq!(t.state_entries(), Vec::<String>::new());
    let container = t.running(t.bundle());
    container
        .exec_with(&["--apparmor", "no-such-profile"], &["true"])
        .fails_with(&["AppArmor profile is not loaded"]);
}

fn a_profile_and_no_new_privileges(t: &Sandbox) {
    load();
    for no_new_privileges in [true, false] {
        let bundle = t
            .bundle()
            .set("/process/apparmorProfile", json!("crun-lite-one"))
            .set("/process/noNewPrivileges", json!(no_new_privileges));
        assert_eq!(
            t.sh(bundle, "cat /proc/self/attr/current"),
            "crun-lite-one (enforce)"
        );
    }
}

/// CVE-2019-16884: an image that brings its own /proc must not catch what is written to the attribute.
fn a_fake_procfs_gets_no_label(t: &Sandbox) {
    load();
    let fake = t.new_path("fake");
    std::fs::create_dir_all(fake.join("self/attr/apparmor")).expect("make a fake procfs");
    std::fs::create_dir_all(fake.join("thread-self/attr/apparmor")).expect("make a fake procfs");
    for file in [
        "self/attr/exec",
        "self/attr/apparmor/exec",
        "thread-self/attr/exec",
        "thread-self/attr/apparmor/exec",
    ] {
        std::fs::write(fake.join(file), "").expect("write a fake attribute");
    }
    let bundle = t
        .bundle()
        .without_mount("/proc")
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .mount("/proc", "bind", &fake.to_string_lossy(), &["rbind"])
        .set("/process/apparmorProfile", json!("crun-lite-one"))
        .shell("cat /etc/group");
    // Refused, or confined all the same: never run without the profile.
    let output = t.run(&bundle);
    assert!(!output.status.success(), "{output}");
    assert_eq!(
        std::fs::read_to_string(fake.join("self/attr/exec")).expect("read"),
        ""
    );
    assert_eq!(
        std::fs::read_to_string(fake.join("thread-self/attr/apparmor/exec")).expect("read"),
        ""
    );
}
