//! The ways for kernels that lack a call: the runtime runs in a container whose filter says ENOSYS for it.

use crate::support::{Bundle, Sandbox, cases, json, runtime};

cases![
    before_5_12,
    before_5_9,
    before_5_6,
    before_5_3,
    before_5_2,
    a_shared_root_before_5_12,
    recursive_flags_are_refused_before_5_12
];

const SINCE_5_12: &[&str] = &["mount_setattr"];
const SINCE_5_8: &[&str] = &["close_range", "faccessat2"];
const SINCE_5_6: &[&str] = &["openat2", "pidfd_getfd"];
const SINCE_5_3: &[&str] = &["clone3", "pidfd_open"];
const SINCE_5_2: &[&str] = &[
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "open_tree",
    "move_mount",
];

/// What a runtime needs, on the host's own root.
const RIGHTS: [&str; 16] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
];

/// Runs `inner` on a kernel without these calls.
#[track_caller]
fn run_without(t: &Sandbox, calls: &[&[&str]], inner: &Bundle) -> crate::support::Output {
    if !runtime::is_ours() {
        crate::support::skip("how a peer falls back is its own affair");
    }
    inner.write();
    let (program, root) = (runtime::path(), t.root());
    let words = [
        &program.to_string_lossy(),
        "--root",
        &root.to_string_lossy(),
        "run",
        "-b",
        &inner.path.to_string_lossy(),
        &t.new_id(),
    ];
    let rule = json!({"names": calls.concat(), "action": "SCMP_ACT_ERRNO", "errnoRet": 38});
    let kernel = t
        .bundle()
        .args(&words)
        .capabilities(&RIGHTS)
        .set("/process/noNewPrivileges", json!(false))
        .set(
            "/process/env",
            json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]),
        )
        .set("/root", json!({"path": "/"}))
        .without("/hostname")
        .set("/mounts", json!([]))
        .set("/linux/namespaces", json!([{"type": "mount"}]))
        .set(
            "/linux/resources/devices",
            json!([{"allow": true, "access": "rwm"}]),
        )
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}),
        );
    t.run(&kernel)
}

/// A container that shows whether mounts, masks, devices and limits are what they should be.
fn demanding(t: &Sandbox) -> (Bundle, &'static str) {
    let data = t.new_path("data");
    std::fs::create_dir(&data).expect("create a directory to bind");
    std::fs::write(data.join("file"), "shared").expect("write a file to bind");
    let bundle = t
        .bundle()
        .mount(
            "/mnt",
            "bind",
            &data.to_string_lossy(),
            &["rbind", "ro", "nosuid"],
        )
        .mount("/home", "tmpfs", "tmpfs", &["tmpcopyup", "noexec"])
        .mount("/var", "tmpfs", "tmpfs", &["ro"])
        .push("/linux/maskedPaths", json!("/etc/group"))
        .push("/linux/maskedPaths", json!("/usr"))
        .push("/linux/readonlyPaths", json!("/proc/self"));
    let script = "cat /mnt/file; echo; for f in /x /mnt/x /var/x /usr/x; do touch $f 2>/dev/null && echo WRITTEN $f; done
        wc -c </etc/group; ls /usr; touch /home/made && ls /home; test -c /dev/null -a -L /dev/fd && echo devices
        grep -c ' /proc/sys ro' /proc/self/mountinfo; ls /proc/self/fd | wc -l; echo $$";
    let bundle = bundle.shell(script);
    (bundle, "shared\n0\nmade\ndevices\n1\n4\n1")
}

#[track_caller]
fn holds_without(t: &Sandbox, calls: &[&[&str]]) {
    let (bundle, expected) = demanding(t);
    assert_eq!(run_without(t, calls, &bundle).text(), expected);
}

fn before_5_12(t: &Sandbox) {
    holds_without(t, &[SINCE_5_12]);
}

fn before_5_9(t: &Sandbox) {
    holds_without(t, &[SINCE_5_12, SINCE_5_8]);
}

fn before_5_6(t: &Sandbox) {
    holds_without(t, &[SINCE_5_12, SINCE_5_8, SINCE_5_6]);
}

fn before_5_3(t: &Sandbox) {
    holds_without(t, &[SINCE_5_12, SINCE_5_8, SINCE_5_6, SINCE_5_3]);
}

fn before_5_2(t: &Sandbox) {
    holds_without(t, &[SINCE_5_12, SINCE_5_8, SINCE_5_6, SINCE_5_3, SINCE_5_2]);
}

fn a_shared_root_before_5_12(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/rootfsPropagation", json!("shared"))
        .shell("grep -c ' / / .*shared:' /proc/self/mountinfo; true");
    let output = run_without(t, &[SINCE_5_12], &bundle);
    output.ok();
}

/// Less than what was asked for would be no answer.
fn recursive_flags_are_refused_before_5_12(t: &Sandbox) {
    let data = t.new_path("data");
    std::fs::create_dir(&data).expect("create a directory to bind");
    let source = data.to_string_lossy();
    for calls in [&[SINCE_5_12][..], &[SINCE_5_12, SINCE_5_2]] {
        let bundle = t
            .bundle()
            .mount("/mnt", "bind", &source, &["rbind", "rro"])
            .args(&["/bin/true"]);
        run_without(t, calls, &bundle).refused_with(&["/mnt", "function not implemented"]);
    }
}
