//! The `cgroup` mount on each kind of host.

use super::*;
use crate::plan::Step;
use rootfs::mount::{MountFacts, Mounted, plan_mount};

fn mounts(host: &Host, options: &str, namespace: bool) -> Vec<String> {
    let entry = format!(
        r#"{{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":[{options}]}}"#
    );
    let entry = oci::runtime::parse(entry.as_bytes()).expect("mount");
    let facts = MountFacts {
        bundle: Path::new("/b"),
        root: None,
        label: "",
        label_option: "context",
        user_namespace: false,
        new_network_namespace: true,
        new_ipc_namespace: true,
        uid_mappings: &[],
        gid_mappings: &[],
    };
    let mount = plan_mount(&entry, 0, &facts).expect("mount op");
    let plan = plan_on(host, r#"{"cgroupsPath":"/c/web"}"#).expect("plan");
    let steps = cgroup_mounts(mount, host, &plan, namespace).expect("steps");
    steps.iter().map(render).collect()
}

fn render(step: &Step) -> String {
    let text = |c: &std::ffi::CString| c.to_string_lossy().into_owned();
    match step {
        Step::Symlink { target, path } => format!("{} -> {}", text(path), text(target)),
        Step::Mount(mount) => {
            let what = match &mount.what {
                Mounted::FileSystem {
                    fs_type, options, ..
                } => {
                    let options = options.iter().map(|o| match &o.value {
                        Some(value) => format!("{}={}", text(&o.key), text(value)),
                        None => text(&o.key),
                    });
                    format!(
                        "{} {}",
                        text(fs_type),
                        options.collect::<Vec<_>>().join(",")
                    )
                }
                Mounted::Bind { source, .. } => format!("bind {}", text(source)),
                other => format!("{other:?}"),
            };
            let readonly = mount.attributes.set & libc::MOUNT_ATTR_RDONLY != 0;
            let fallback = mount
                .fallback_bind
                .as_ref()
                .map(|f| format!(" else {}", text(f)));
            format!(
                "{}: {what}{}{}{}",
                text(&mount.destination),
                if readonly { " ro" } else { "" },
                if mount.readonly_later {
                    " ro-later"
                } else {
                    ""
                },
                fallback.unwrap_or_default()
            )
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn v2_is_one_mount() {
    assert_eq!(
        mounts(&v2(), "\"ro\"", true),
        ["/sys/fs/cgroup: cgroup2  ro else /cg/c/web"]
    );
    assert_eq!(
        mounts(&v2(), "\"nosuid\"", false),
        ["/sys/fs/cgroup: bind /cg"]
    );
}

#[test]
fn v1_with_a_namespace_mounts_each_hierarchy() {
    let lines = mounts(&hybrid(), "\"ro\"", true);
    assert_eq!(lines[0], "/sys/fs/cgroup: tmpfs mode=755 ro-later");
    assert_eq!(
        lines[1],
        "/sys/fs/cgroup/cpu,cpuacct: cgroup cpu,cpuacct ro else /cg/cpu,cpuacct/c/web"
    );
    assert_eq!(lines[2], "/sys/fs/cgroup/cpu -> cpu,cpuacct");
    assert_eq!(lines[3], "/sys/fs/cgroup/cpuacct -> cpu,cpuacct");
    assert!(lines.contains(
        &"/sys/fs/cgroup/systemd: cgroup name=systemd ro else /cg/systemd/c/web".to_owned()
    ));
    // The v2 hierarchy is not among them.
    assert_eq!(lines.len(), 1 + 10 + 4);
}

#[test]
fn v1_without_a_namespace_binds_the_containers_directories() {
    let lines = mounts(&hybrid(), "", false);
    assert_eq!(lines[0], "/sys/fs/cgroup: tmpfs mode=755");
    assert!(
        lines.contains(&"/sys/fs/cgroup/memory: bind /cg/memory/c/web".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn rootless_binds_the_callers_directory_since_its_own_may_not_be_made() {
    let mut host = hybrid();
    host.uid = 1000;
    host.own_cgroups = vec![("memory".into(), "/u".into())];
    let lines = mounts(&host, "", false);
    assert!(
        lines.contains(&"/sys/fs/cgroup/memory: bind /cg/memory/u".to_owned()),
        "{lines:?}"
    );
}
