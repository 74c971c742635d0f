//! User namespaces with id maps, and idmapped mounts.

use crate::support::{Bundle, Sandbox, cases, host, json, runtime, sandbox, skip};

cases![
    root_need_not_be_mapped,
    maps_root,
    several_ranges,
    unmapped_ids_are_nobody,
    setgroups_works_for_root,
    is_root_inside_only,
    no_mappings_means_the_callers_default,
    three_hundred_lines,
    idmapped_bind,
    idmapped_bind_with_several_ranges,
    idmapped_tmpfs,
    idmapped_tmpfs_in_a_user_namespace,
    idmapped_mount_of_the_containers_own,
    ridmap_reaches_submounts,
    idmap_follows_the_user_namespace,
    idmap_follows_a_joined_user_namespace,
    sysfs_without_network_namespace,
    proc_and_devpts_in_a_user_namespace,
    masked_paths_in_a_user_namespace,
    ordinary_user_in_a_user_namespace,
];

fn mapped(t: &Sandbox) -> Bundle {
    t.bundle().user_namespace(100_000, 65_536)
}

fn maps_root(t: &Sandbox) {
    let container = t.running(mapped(t));
    assert_eq!(
        container.sh("id -u; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '"),
        "0\n 0 100000 65536\n 0 100000 65536"
    );
    let status = sandbox::read(format!("/proc/{}/status", container.pid()));
    assert!(
        status.contains("Uid:\t100000\t100000\t100000\t100000"),
        "{status}"
    );
}

fn several_ranges(t: &Sandbox) {
    let ranges = json!([{"containerID": 0, "hostID": 100_000, "size": 10}, {"containerID": 10, "hostID": 200_000, "size": 5}, {"containerID": 5000, "hostID": 300_000, "size": 1}]);
    let bundle = mapped(t)
        .set("/linux/uidMappings", ranges.clone())
        .set("/linux/gidMappings", ranges);
    assert_eq!(
        t.sh(bundle, "cat /proc/self/uid_map | tr -s ' '"),
        " 0 100000 10\n 10 200000 5\n 5000 300000 1"
    );
}

fn unmapped_ids_are_nobody(t: &Sandbox) {
    let bundle = mapped(t);
    std::fs::write(bundle.rootfs().join("etc/foreign"), "").expect("write a file");
    assert_eq!(
        t.sh(bundle, "stat -c %u:%g /etc/foreign /etc/passwd"),
        "65534:65534\n0:0"
    );
}

fn setgroups_works_for_root(t: &Sandbox) {
    let bundle = mapped(t).set(
        "/process/user",
        json!({"uid": 0, "gid": 0, "additionalGids": [5, 6]}),
    );
    assert_eq!(
        t.sh(bundle, "id -G; cat /proc/self/setgroups"),
        "0 5 6\nallow"
    );
}

fn is_root_inside_only(t: &Sandbox) {
    let bundle =
        mapped(t)
            .writable()
            .capabilities(&["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    std::fs::write(bundle.rootfs().join("etc/foreign"), "secret").expect("write a file");
    std::fs::set_permissions(
        bundle.rootfs().join("etc/foreign"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .expect("chmod");
    let seen = t.sh(bundle, "chown 1:1 /etc/passwd && stat -c %u /etc/passwd; cat /etc/foreign 2>/dev/null || echo refused");
    assert_eq!(seen, "1\nrefused");
}

fn no_mappings_means_the_callers_default(t: &Sandbox) {
    let bundle = t.bundle().namespace("user");
    assert_eq!(t.sh(bundle, "id -u"), "0");
}

fn three_hundred_lines(t: &Sandbox) {
    let ranges: Vec<_> = (0..300)
        .map(|number| json!({"containerID": number, "hostID": 100_000 + number, "size": 1}))
        .collect();
    let bundle = mapped(t)
        .set("/linux/uidMappings", json!(ranges))
        .set("/linux/gidMappings", json!(ranges));
    assert_eq!(t.sh(bundle, "wc -l < /proc/self/uid_map"), "300");
}

/// A directory of the host with files of these owners.
fn owned(t: &Sandbox, owners: &[u32]) -> String {
    let directory = t.new_path("owned");
    std::fs::create_dir(&directory).expect("create a directory");
    for owner in owners {
        let file = directory.join(owner.to_string());
        std::fs::write(&file, "").expect("write a file");
        std::os::unix::fs::chown(&file, Some(*owner), Some(*owner)).expect("chown a file");
    }
    directory.to_string_lossy().into_owned()
}

fn idmapped(
    bundle: Bundle,
    kind: &str,
    source: &str,
    options: &[&str],
    ranges: &crate::support::Value,
) -> Bundle {
    bundle.push("/mounts", json!({"destination": "/mnt", "type": kind, "source": source, "options": options, "uidMappings": ranges, "gidMappings": ranges}))
}

fn idmapped_bind(t: &Sandbox) {
    let source = owned(t, &[0, 1000]);
    let ranges = json!([{"containerID": 0, "hostID": 70_000, "size": 65_536}]);
    let bundle = idmapped(t.bundle(), "bind", &source, &["bind", "idmap"], &ranges);
    let seen = t.sh(
        bundle,
        "stat -c %n:%u:%g /mnt/*; touch /mnt/new && stat -c %u /mnt/new 2>/dev/null || true",
    );
    assert!(
        seen.starts_with("/mnt/0:70000:70000\n/mnt/1000:71000:71000"),
        "{seen}"
    );
}

fn idmapped_bind_with_several_ranges(t: &Sandbox) {
    let source = owned(t, &[0, 1, 2, 9]);
    let ranges = json!([{"containerID": 0, "hostID": 50, "size": 2}, {"containerID": 2, "hostID": 2000, "size": 1}]);
    let bundle = idmapped(t.bundle(), "bind", &source, &["rbind", "idmap"], &ranges);
    assert_eq!(
        t.sh(bundle, "stat -c %u /mnt/0 /mnt/1 /mnt/2 /mnt/9"),
        "50\n51\n2000\n65534"
    );
}

fn idmapped_tmpfs(t: &Sandbox) {
    if !host::has_linux(6, 3) {
        skip("this kernel's tmpfs has no id mappings");
    }
    let ranges = json!([{"containerID": 0, "hostID": 900, "size": 10}]);
    let bundle = idmapped(t.bundle(), "tmpfs", "tmpfs", &["idmap"], &ranges);
    assert_eq!(t.sh(bundle, "stat -c %u /mnt"), "900");
}

// Init asks its parent: only the host's side has a right to both user namespaces.
fn idmapped_tmpfs_in_a_user_namespace(t: &Sandbox) {
    if !host::has_linux(6, 3) {
        skip("this kernel's tmpfs has no id mappings");
    }
    let ranges = json!([{"containerID": 0, "hostID": 100_900, "size": 10}]);
    let bundle = idmapped(mapped(t), "tmpfs", "tmpfs", &["idmap"], &ranges);
    assert_eq!(t.sh(bundle, "stat -c %u:%g /mnt"), "900:900");
}

// COMPAT(runc): the source is named by the host's path of the root, and is what an earlier entry mounts there.
fn idmapped_mount_of_the_containers_own(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("runc has it since 1.2");
    }
    let source = owned(t, &[0, 1000]);
    let sub = owned(t, &[5]);
    std::fs::create_dir(format!("{source}/sub")).expect("create a directory");
    let bundle = mapped(t).writable();
    let inner = bundle.rootfs().join("mnt").to_string_lossy().into_owned();
    let bundle = bundle
        .mount("/mnt", "bind", &source, &["bind"])
        .mount("/mnt/sub", "bind", &sub, &["bind"])
        .mount("/tmp/one", "bind", &inner, &["rbind", "idmap"])
        .mount("/tmp/all", "bind", &inner, &["rbind", "ridmap"]);
    let script = "stat -c %u /mnt/0 /tmp/one/0 /tmp/one/1000 /tmp/one/sub/5 /tmp/all/sub/5; touch /tmp/one/new";
    assert_eq!(t.sh(bundle, script), "65534\n0\n1000\n65534\n5");
    let new = std::fs::metadata(format!("{source}/new")).expect("stat the new file");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&new), 0);
}

fn ridmap_reaches_submounts(t: &Sandbox) {
    if !host::has_linux(6, 3) {
        skip("this kernel's tmpfs has no id mappings");
    }
    let top = sandbox::HostMount::tmpfs(t, nix::mount::MsFlags::empty());
    std::fs::create_dir(format!("{}/sub", top.path())).expect("create a directory");
    let below =
        sandbox::HostMount::tmpfs_at(&format!("{}/sub", top.path()), nix::mount::MsFlags::empty());
    std::fs::write(format!("{}/file", below.path()), "").expect("write a file");
    let ranges = json!([{"containerID": 0, "hostID": 900, "size": 10}]);
    let bundle = idmapped(
        t.bundle(),
        "bind",
        &top.path(),
        &["rbind", "ridmap"],
        &ranges,
    );
    assert_eq!(t.sh(bundle, "stat -c %u /mnt /mnt/sub/file"), "900\n900");
    let bundle = idmapped(
        t.bundle(),
        "bind",
        &top.path(),
        &["rbind", "idmap"],
        &ranges,
    );
    assert_eq!(t.sh(bundle, "stat -c %u /mnt /mnt/sub/file"), "900\n0");
}

fn idmap_follows_the_user_namespace(t: &Sandbox) {
    let source = owned(t, &[0, 1000]);
    let ranges = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    let bundle = idmapped(mapped(t), "bind", &source, &["bind", "idmap"], &ranges);
    assert_eq!(
        t.sh(
            bundle,
            "stat -c %u /mnt/0 /mnt/1000; touch /mnt/new && stat -c %u /mnt/new"
        ),
        "0\n1000\n0"
    );
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(
            &std::fs::metadata(format!("{source}/new")).expect("stat the new file")
        ),
        0
    );
}

fn idmap_follows_a_joined_user_namespace(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("runc has it since 1.2");
    }
    let other = t.running(mapped(t));
    let source = owned(t, &[0, 1000]);
    let namespace = json!({"type": "user", "path": format!("/proc/{}/ns/user", other.pid())});
    let bundle = t.bundle().push("/linux/namespaces", namespace).mount(
        "/mnt",
        "bind",
        &source,
        &["bind", "idmap"],
    );
    assert_eq!(t.sh(bundle, "stat -c %u /mnt/0 /mnt/1000"), "0\n1000");
}

fn sysfs_without_network_namespace(t: &Sandbox) {
    let bundle = mapped(t).without_namespace("network");
    assert_eq!(t.sh(bundle, "test -d /sys/class && ! mkdir /sys/x 2>/dev/null && grep ' /sys ' /proc/self/mountinfo | tail -n 1 | cut -d ' ' -f 6 | cut -d , -f 1"), "ro");
}

fn proc_and_devpts_in_a_user_namespace(t: &Sandbox) {
    assert_eq!(
        t.sh(
            mapped(t),
            "cat /proc/1/comm; ls /dev/pts; stat -c %u /proc/self/status"
        ),
        "sh\nptmx\n0"
    );
}

fn masked_paths_in_a_user_namespace(t: &Sandbox) {
    assert_eq!(t.sh(mapped(t), "cat /proc/keys /proc/timer_list | wc -c; echo 1 2>/dev/null > /proc/sysrq-trigger || echo refused"), "0\nrefused");
}

fn ordinary_user_in_a_user_namespace(t: &Sandbox) {
    let container = t.running(mapped(t).set("/process/user", json!({"uid": 1000, "gid": 1000})));
    let status = sandbox::read(format!("/proc/{}/status", container.pid()));
    assert!(status.contains("Uid:\t101000\t101000"), "{status}");
}

fn root_need_not_be_mapped(t: &Sandbox) {
    let bundle = t.bundle();
    crate::support::bundle::chown_tree(&bundle.rootfs(), 100_000);
    let mapping = json!([{"containerID": 1000, "hostID": 100_000, "size": 1}]);
    let pts = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
    ];
    let bundle = bundle
        .namespace("user")
        .set("/linux/uidMappings", mapping.clone())
        .set("/linux/gidMappings", mapping)
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .without_mount("/dev/pts")
        .mount("/dev/pts", "devpts", "devpts", &pts);
    let script = "id -u; id -g; tr -s ' ' </proc/self/uid_map";
    assert_eq!(t.sh(bundle.clone(), script), "1000\n1000\n 1000 100000 1");
    let container = t.running(bundle);
    assert_eq!(container.sh("id -u; id -g"), "1000\n1000");
}
