//! `features`: what engines read before they use the runtime.

use crate::support::{Sandbox, Value, cases, json};

cases![
    names_the_versions,
    lists_hooks_namespaces_and_capabilities,
    lists_mount_options,
    describes_cgroups,
    describes_seccomp,
    describes_the_other_parts,
    needs_no_privileges_or_root
];

fn features(t: &Sandbox) -> Value {
    let text = t
        .runtime_without_root(&["features"])
        .output()
        .silent()
        .stdout;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn has_all(list: &Value, names: &[&str]) {
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("want a list, got {list}"));
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !list.contains(&json!(name)))
        .collect();
    assert!(missing.is_empty(), "missing {missing:?}");
}

fn names_the_versions(t: &Sandbox) {
    let features = features(t);
    assert_eq!(features["ociVersionMin"], json!("1.0.0"));
    assert!(
        features["ociVersionMax"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.3")),
        "{features}"
    );
}

fn lists_hooks_namespaces_and_capabilities(t: &Sandbox) {
    let features = features(t);
    has_all(
        &features["hooks"],
        &[
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ],
    );
    let linux = &features["linux"];
    has_all(
        &linux["namespaces"],
        &[
            "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts",
        ],
    );
    has_all(
        &linux["capabilities"],
        &[
            "CAP_CHOWN",
            "CAP_SYS_ADMIN",
            "CAP_CHECKPOINT_RESTORE",
            "CAP_BPF",
        ],
    );
}

fn lists_mount_options(t: &Sandbox) {
    has_all(
        &features(t)["mountOptions"],
        &[
            "acl",
            "async",
            "atime",
            "bind",
            "defaults",
            "dev",
            "diratime",
            "dirsync",
            "exec",
            "idmap",
            "iversion",
            "lazytime",
            "loud",
            "mand",
            "noatime",
            "nodev",
            "nodiratime",
            "noexec",
            "noiversion",
            "nolazytime",
            "nomand",
            "norelatime",
            "nostrictatime",
            "nosuid",
            "nosymfollow",
            "private",
            "ratime",
            "rbind",
            "rdev",
            "rdiratime",
            "relatime",
            "remount",
            "rexec",
            "ridmap",
            "rnoatime",
            "rnodev",
            "rnodiratime",
            "rnoexec",
            "rnorelatime",
            "rnostrictatime",
            "rnosuid",
            "rnosymfollow",
            "ro",
            "rprivate",
            "rrelatime",
            "rro",
            "rrw",
            "rshared",
            "rslave",
            "rstrictatime",
            "rsuid",
            "rsymfollow",
            "runbindable",
            "rw",
            "shared",
            "silent",
            "slave",
            "strictatime",
            "suid",
            "symfollow",
            "sync",
            "tmpcopyup",
            "unbindable",
        ],
    );
}

fn describes_cgroups(t: &Sandbox) {
    let cgroup = &features(t)["linux"]["cgroup"];
    for key in ["v1", "v2", "systemd", "systemdUser", "rdma"] {
        assert!(cgroup[key].is_boolean(), "{key} in {cgroup}");
    }
    assert_eq!(
        (&cgroup["v1"], &cgroup["v2"], &cgroup["rdma"]),
        (&json!(true), &json!(true), &json!(true))
    );
}

fn describes_seccomp(t: &Sandbox) {
    let seccomp = &features(t)["linux"]["seccomp"];
    assert_eq!(seccomp["enabled"], json!(true));
    has_all(
        &seccomp["actions"],
        &[
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_ERRNO",
            "SCMP_ACT_KILL",
            "SCMP_ACT_KILL_PROCESS",
            "SCMP_ACT_KILL_THREAD",
            "SCMP_ACT_LOG",
            "SCMP_ACT_NOTIFY",
            "SCMP_ACT_TRACE",
            "SCMP_ACT_TRAP",
        ],
    );
    has_all(
        &seccomp["operators"],
        &[
            "SCMP_CMP_EQ",
            "SCMP_CMP_GE",
            "SCMP_CMP_GT",
            "SCMP_CMP_LE",
            "SCMP_CMP_LT",
            "SCMP_CMP_MASKED_EQ",
            "SCMP_CMP_NE",
        ],
    );
    has_all(
        &seccomp["archs"],
        &[
            "SCMP_ARCH_X86_64",
            "SCMP_ARCH_X86",
            "SCMP_ARCH_X32",
            "SCMP_ARCH_AARCH64",
            "SCMP_ARCH_ARM",
            "SCMP_ARCH_RISCV64",
        ],
    );
    let flags = [
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];
    has_all(&seccomp["knownFlags"], &flags);
    assert!(seccomp["supportedFlags"].is_array(), "{seccomp}");
}

fn describes_the_other_parts(t: &Sandbox) {
    let features = features(t);
    let linux = &features["linux"];
    assert!(
        linux["apparmor"]["enabled"].is_boolean() && linux["selinux"]["enabled"].is_boolean(),
        "{linux}"
    );
    assert!(linux["intelRdt"]["enabled"].is_boolean(), "{linux}");
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], json!(true));
    assert_eq!(linux["netDevices"]["enabled"], json!(true));
    has_all(
        &linux["memoryPolicy"]["modes"],
        &[
            "MPOL_DEFAULT",
            "MPOL_BIND",
            "MPOL_INTERLEAVE",
            "MPOL_PREFERRED",
            "MPOL_LOCAL",
        ],
    );
    assert!(features["annotations"].is_object(), "{features}");
    has_all(
        &features["potentiallyUnsafeConfigAnnotations"],
        &[
            "bundle",
            "org.systemd.property.",
            "org.criu.config",
            "run.oci.",
        ],
    );
}

fn needs_no_privileges_or_root(t: &Sandbox) {
    let program = crate::support::runtime::path();
    let copy = t.path.join("runtime");
    // To where everybody can run it.
    crate::support::runtime::copy_program(program, &copy);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&copy, mode).expect("make the copy executable");
    let path = copy.to_string_lossy();
    t.program(&[
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        &path,
        "features",
    ])
    .output()
    .ok();
}
