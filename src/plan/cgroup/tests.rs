//! Cgroup plans for hosts that we don't have: v1, hybrid, v2, rootless.

mod devices;
mod mounts;
mod paths;
mod resources;
mod systemd;
mod update;

use super::*;

fn host(cgroups: CgroupLayout) -> Host {
    Host {
        uid: 0,
        gid: 0,
        in_initial_userns: true,
        capabilities: u64::MAX,
        bounding: u64::MAX,
        last_capability: 40,
        cgroups,
        own_cgroups: Vec::new(),
        apparmor: false,
        selinux: false,
    }
}

fn hierarchy(mount: &str, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        mount: mount.into(),
        controllers: controllers.iter().map(|c| c.to_string()).collect(),
    }
}

/// As systemd lays a hybrid host out.
fn hybrid() -> Host {
    host(CgroupLayout::V1 {
        hierarchies: vec![
            hierarchy("/cg/cpu,cpuacct", &["cpu", "cpuacct"]),
            hierarchy("/cg/cpuset", &["cpuset"]),
            hierarchy("/cg/memory", &["memory"]),
            hierarchy("/cg/devices", &["devices"]),
            hierarchy("/cg/blkio", &["blkio"]),
            hierarchy("/cg/pids", &["pids"]),
            hierarchy("/cg/hugetlb", &["hugetlb"]),
            hierarchy("/cg/rdma", &["rdma"]),
            hierarchy("/cg/net_cls,net_prio", &["net_cls", "net_prio"]),
            hierarchy("/cg/systemd", &["name=systemd"]),
        ],
        unified: Some("/cg/unified".into()),
    })
}

fn v2() -> Host {
    let controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"];
    host(CgroupLayout::V2 {
        mount: "/cg".into(),
        controllers: controllers.map(str::to_owned).to_vec(),
    })
}

fn spec(linux: &str) -> Spec {
    Spec::parse(format!(r#"{{"linux":{linux}}}"#).as_bytes()).expect("spec")
}

fn plan_on(host: &Host, linux: &str) -> Result<CgroupPlan> {
    let options = Options {
        id: "web".into(),
        ..Options::default()
    };
    plan_cgroup(&spec(linux), host, &options)
}

/// The plan's lines without those of the directory and its device rules.
fn written(host: &Host, resources: &str) -> String {
    let plan = plan_on(host, &format!(r#"{{"resources":{resources}}}"#)).expect("plan");
    let text = plan.to_string();
    let boring = [
        "cgroup ",
        "  devices.",
        "  device rules",
        "  enable",
        "  cpuset.cpus, ",
    ];
    let lines = text
        .lines()
        .filter(|l| !boring.iter().any(|b| l.starts_with(b)));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}
