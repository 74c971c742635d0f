//! Hosts that plans are made for.

use crun_lite::host::{CgroupLayout, Hierarchy, Host};

const ALL: u64 = (1 << 41) - 1;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// Every host, by the name that golden files use.
pub fn all() -> Vec<(&'static str, Host)> {
    let v2 = Host {
        uid: 0,
        gid: 0,
        in_initial_userns: true,
        capabilities: ALL,
        bounding: ALL,
        last_capability: 40,
        cgroups: unified(),
        own_cgroups: vec![],
        apparmor: false,
        selinux: false,
    };
    let v1 = Host {
        cgroups: legacy(false),
        ..v2.clone()
    };
    let hybrid = Host {
        cgroups: legacy(true),
        capabilities: ALL & !CAP_SYS_RESOURCE,
        bounding: ALL & !CAP_SYS_RESOURCE,
        own_cgroups: vec![("memory".into(), "/session".into())],
        ..v2.clone()
    };
    let old = Host {
        cgroups: legacy(false),
        last_capability: 37,
        ..v2.clone()
    };
    let rootless = Host {
        uid: 1000,
        gid: 1000,
        capabilities: 0,
        own_cgroups: vec![(
            String::new(),
            "/user.slice/user-1000.slice/session-1.scope".into(),
        )],
        ..v2.clone()
    };
    vec![
        ("v1", v1),
        ("hybrid", hybrid),
        ("v2", v2),
        ("old", old),
        ("rootless", rootless),
    ]
}

fn unified() -> CgroupLayout {
    let controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"];
    CgroupLayout::V2 {
        mount: "/sys/fs/cgroup".into(),
        controllers: controllers.map(str::to_owned).into(),
    }
}

fn legacy(hybrid: bool) -> CgroupLayout {
    let together = [
        "cpuset",
        "cpu,cpuacct",
        "blkio",
        "memory",
        "devices",
        "freezer",
        "hugetlb",
        "pids",
        "name=systemd",
    ];
    let hierarchy = |controllers: &str| Hierarchy {
        mount: format!("/sys/fs/cgroup/{}", controllers.trim_start_matches("name=")).into(),
        controllers: controllers.split(',').map(str::to_owned).collect(),
    };
    CgroupLayout::V1 {
        hierarchies: together
            .iter()
            .map(|controllers| hierarchy(controllers))
            .collect(),
        unified: hybrid.then(|| "/sys/fs/cgroup/unified".into()),
    }
}
