//! A whole plan for programs: what `plan --json` prints. Fields are only ever added.

use super::summary::Written;
use crate::plan::cgroup::{DirectoryPlan, HierarchyKind, Write};
use crate::plan::namespaces;
use crate::plan::process::rlimit_name;
use crate::plan::{HookOp, IdMaps, InitPlan, Plan};
use oci::runtime::IdMapping;
use serde_json::{Value, json};

impl Plan {
    /// The plan as one JSON object.
    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self
            .init
            .steps
            .iter()
            .map(|step| json!({ "kind": step.kind(), "does": step.to_string() }))
            .collect();
        let cgroups: Vec<Value> = self.cgroup.directories.iter().map(cgroup).collect();
        json!({
            "rootfs": self.rootfs.to_string_lossy(),
            "namespaces": namespaces(&self.init),
            "idMaps": self.init.id_maps.as_ref().map(id_maps),
            "timeOffsets": self.init.time_offsets.lines().collect::<Vec<_>>(),
            "oomScoreAdj": self.init.oom_score_adj,
            "rlimits": rlimits(&self.init),
            "cgroups": cgroups,
            "intelRdt": self.intel_rdt.as_ref().map(|rdt| json!({
                "group": format!("/{}", rdt.group),
                "mustExist": rdt.must_exist,
                "schemata": rdt.schema.lines().chain(rdt.schemata.lines()).collect::<Vec<_>>(),
                "monitor": rdt.monitor,
            })),
            "seccomp": self.seccomp.as_ref().map(|seccomp| json!({
                "instructions": seccomp.filter.len(),
                "flags": seccomp.flags,
                "listenerPath": seccomp.listener.as_ref().map(|listener| &listener.path),
            })),
            "hooks": {
                "prestart": texts(&self.hooks.prestart),
                "createRuntime": texts(&self.hooks.create_runtime),
                "poststart": texts(&self.hooks.poststart),
                "poststop": texts(&self.hooks.poststop),
            },
            "steps": steps,
            "warnings": self.warnings,
        })
    }
}

fn namespaces(init: &InitPlan) -> Value {
    let joined: Vec<Value> = init
        .join
        .iter()
        .map(|join| json!({ "type": namespaces::names(join.flag).concat(), "path": join.path.to_string_lossy() }))
        .collect();
    json!({ "new": namespaces::names(init.new_namespaces), "joined": joined })
}

fn id_maps(maps: &IdMaps) -> Value {
    let ranges = |ranges: &[IdMapping]| -> Vec<Value> {
        ranges
            .iter()
            .map(|range| json!([range.container_id, range.host_id, range.size]))
            .collect()
    };
    json!({
        "uids": ranges(&maps.uids),
        "gids": ranges(&maps.gids),
        "byHelper": maps.by_helper,
        "denySetgroups": maps.deny_setgroups,
    })
}

fn rlimits(init: &InitPlan) -> Vec<Value> {
    let limits = init.rlimits.iter();
    limits
        .map(|limit| json!({ "type": rlimit_name(limit.resource), "soft": limit.soft, "hard": limit.hard }))
        .collect()
}

fn cgroup(directory: &DirectoryPlan) -> Value {
    let (version, controllers) = match &directory.hierarchy {
        HierarchyKind::V1 { controllers, .. } => (1, controllers),
        HierarchyKind::V2 { required, .. } => (2, required),
    };
    let writes = directory.writes.iter().flat_map(|write| match write {
        Write::One(one) => vec![Written(one).to_string()],
        Write::EitherOrder(first, second) => {
            vec![Written(first).to_string(), Written(second).to_string()]
        }
        Write::FirstPresent(first, second) => {
            vec![format!("{}, or else {}", Written(first), Written(second))]
        }
    });
    json!({
        "path": directory.mount.join(&directory.path).to_string_lossy(),
        "version": version,
        "controllers": controllers,
        "writes": writes.collect::<Vec<_>>(),
        "deviceInstructions": directory.device_program.as_ref().map(Vec::len),
        "owner": directory.owner,
        "optional": directory.optional,
    })
}

fn texts(hooks: &[HookOp]) -> Vec<String> {
    hooks.iter().map(HookOp::to_string).collect()
}
