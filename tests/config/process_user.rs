//! `process.user`: ids, groups, umask, and that they are numbers only.

use crate::support::{Sandbox, Value, cases, json};

cases![
    keeps_original_groups_when_told,
    keeps_unmapped_groups_when_told,
    ids,
    additional_groups,
    no_groups_of_the_caller,
    umask,
    umask_defaults_to_022,
    large_ids,
    passwd_is_never_asked_for_ids,
    files_belong_to_the_user
];

fn ids(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 1000, "gid": 2000}));
    assert_eq!(
        t.sh(bundle, "grep -E '^(Uid|Gid)' /proc/self/status"),
        "Uid:\t1000\t1000\t1000\t1000\nGid:\t2000\t2000\t2000\t2000"
    );
}

fn additional_groups(t: &Sandbox) {
    let bundle = t.bundle().set(
        "/process/user",
        json!({"uid": 1000, "gid": 2000, "additionalGids": [5, 70000, 6]}),
    );
    assert_eq!(t.sh(bundle, "id -G"), "2000 5 6 70000");
}

fn no_groups_of_the_caller(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/grep", "Groups", "/proc/self/status"]);
    bundle.write();
    assert_eq!(
        t.run_through(&["setpriv", "--groups", "7,8,9"], &bundle)
            .text()
            .trim_end(),
        "Groups:"
    );
}

fn umask(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o077}));
    assert_eq!(t.sh(bundle, "umask"), "0077");
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0}));
    assert_eq!(t.sh(bundle, "umask"), "0000");
}

fn umask_defaults_to_022(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "umask"), "0022");
}

fn large_ids(t: &Sandbox) {
    let bundle = t.bundle().set(
        "/process/user",
        json!({"uid": 4_294_967_294_u32, "gid": 4_294_967_293_u32}),
    );
    assert_eq!(t.sh(bundle, "id -u; id -g"), "4294967294\n4294967293");
}

fn passwd_is_never_asked_for_ids(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    std::fs::write(
        bundle.rootfs().join("etc/passwd"),
        "1000:x:0:0:trap:/root:/bin/sh\n",
    )
    .expect("write /etc/passwd");
    assert_eq!(t.sh(bundle, "id -u; id -g; id -G"), "1000\n1000\n1000");
}

fn files_belong_to_the_user(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 1000, "gid": 2000}));
    assert_eq!(
        t.sh(
            bundle,
            "touch /tmp/x 2>/dev/null; touch /dev/shm/x && stat -c %u:%g /dev/shm/x"
        ),
        "1000:2000"
    );
}

fn keeps_original_groups_when_told(t: &Sandbox) {
    let groups = |annotations: Value| {
        let bundle = t
            .bundle()
            .set("/annotations", annotations)
            .args(&["id", "-G"]);
        bundle.write();
        t.run_through(&["setpriv", "--groups", "4321"], &bundle)
            .text()
    };
    assert_eq!(groups(json!({})), "0");
    assert_eq!(
        groups(json!({"run.oci.keep_original_groups": "1"})),
        "0 4321"
    );
}

fn keeps_unmapped_groups_when_told(t: &Sandbox) {
    let bundle = t
        .bundle()
        .user_namespace(100_000, 1000)
        .set("/annotations", json!({"run.oci.keep_original_groups": "1"}))
        .args(&["id", "-G"]);
    bundle.write();
    let groups = t.run_through(&["setpriv", "--groups", "4321"], &bundle);
    assert_eq!(groups.text(), "0 65534");
}
