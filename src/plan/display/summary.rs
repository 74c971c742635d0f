//! A whole plan as text: first what the parent prepares, then the steps in order, numbered as errors number them.

use super::list::Texts;
use crate::plan::cgroup::{DirectoryPlan, FileWrite, HierarchyKind, Write};
use crate::plan::intel_rdt::IntelRdtPlan;
use crate::plan::namespaces;
use crate::plan::process::rlimit_name;
use crate::plan::{HookOp, IdMaps, InitPlan, Plan};
use oci::runtime::IdMapping;
use std::fmt::{self, Display, Formatter};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "root file system: {}", self.rootfs.display())?;
        self.init.fmt_preparations(f)?;
        for directory in &self.cgroup.directories {
            fmt_directory(directory, f)?;
        }
        if let Some(rdt) = &self.intel_rdt {
            write!(f, "{rdt}")?;
        }
        if let Some(seccomp) = &self.seccomp {
            writeln!(f, "seccomp filter: {} instructions", seccomp.filter.len())?;
            if let Some(listener) = &seccomp.listener {
                writeln!(f, "seccomp agent: {}", listener.path)?;
            }
        }
        for (moment, hooks) in hooks(self) {
            for hook in hooks {
                writeln!(f, "hook {moment}: {hook}")?;
            }
        }
        writeln!(f, "steps:")?;
        for (index, step) in self.init.steps.iter().enumerate() {
            writeln!(f, "{:4} {step}", index + 1)?;
        }
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl InitPlan {
    fn fmt_preparations(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.new_namespaces != 0 {
            writeln!(
                f,
                "new namespaces: {}",
                namespaces::names(self.new_namespaces).join(",")
            )?;
        }
        for join in &self.join {
            let kind = namespaces::names(join.flag).join(",");
            writeln!(f, "joined namespace: {kind} {}", join.path.display())?;
        }
        if let Some(maps) = &self.id_maps {
            fmt_id_maps(maps, f)?;
        }
        for offset in self.time_offsets.lines() {
            writeln!(f, "clock offset: {offset}")?;
        }
        if let Some(score) = self.oom_score_adj {
            writeln!(f, "oom_score_adj: {score}")?;
        }
        for limit in &self.rlimits {
            let number = |limit: u64| {
                if limit == u64::MAX {
                    "unlimited".into()
                } else {
                    limit.to_string()
                }
            };
            writeln!(
                f,
                "limit: {} {} of {}",
                rlimit_name(limit.resource),
                number(limit.soft),
                number(limit.hard)
            )?;
        }
        let prepared = self.prepared_mounts.iter().enumerate();
        for (index, mount) in prepared {
            let kind = if mount.recursive { "tree" } else { "mount" };
            let source = Texts(std::slice::from_ref(&mount.source));
            if let Some(node) = &mount.node {
                let (major, minor) = (node.major, node.minor);
                writeln!(
                    f,
                    "prepared device {index}: the host's {source}, or a node {major}:{minor}"
                )?;
                continue;
            }
            write!(f, "prepared {kind} {index}: {source}")?;
            match &mount.idmap {
                Some(idmap) => writeln!(f, " ({idmap})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

fn fmt_id_maps(maps: &IdMaps, f: &mut Formatter<'_>) -> fmt::Result {
    let by = if maps.by_helper {
        ", written by newuidmap and newgidmap"
    } else {
        ""
    };
    for (what, ranges) in [("user", &maps.uids), ("group", &maps.gids)] {
        for IdMapping {
            container_id,
            host_id,
            size,
        } in ranges
        {
            writeln!(
                f,
                "{what} ids: {size} from {container_id} are {host_id} on the host{by}"
            )?;
        }
    }
    match maps.deny_setgroups {
        true => writeln!(f, "setgroups: denied"),
        false => Ok(()),
    }
}

fn fmt_directory(directory: &DirectoryPlan, f: &mut Formatter<'_>) -> fmt::Result {
    let kind = match &directory.hierarchy {
        HierarchyKind::V1 { controllers, .. } => format!("v1 {}", controllers.join(",")),
        HierarchyKind::V2 { required, .. } if required.is_empty() => "v2".into(),
        HierarchyKind::V2 { required, .. } => format!("v2 {}", required.join(",")),
    };
    let optional = if directory.optional {
        ", if possible"
    } else {
        ""
    };
    writeln!(
        f,
        "cgroup: {} ({kind}{optional})",
        directory.mount.join(&directory.path).display()
    )?;
    for write in &directory.writes {
        match write {
            Write::One(one) => writeln!(f, "  {}", Written(one))?,
            Write::EitherOrder(first, second) => {
                writeln!(f, "  {}\n  {}", Written(first), Written(second))?
            }
            Write::FirstPresent(first, second) => {
                writeln!(f, "  {}, or else {}", Written(first), Written(second))?
            }
        }
    }
    if let Some(program) = &directory.device_program {
        writeln!(f, "  device program: {} instructions", program.len())?;
    }
    match directory.owner {
        Some(owner) => writeln!(f, "  owner: {owner}"),
        None => Ok(()),
    }
}

impl Display for IntelRdtPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let existing = if self.must_exist {
            ", which must exist"
        } else {
            ""
        };
        writeln!(f, "resctrl group: /{}{existing}", self.group)?;
        for line in self.schema.lines().chain(self.schemata.lines()) {
            writeln!(f, "  schemata = {line}")?;
        }
        match &self.monitor {
            Some(monitor) => writeln!(f, "  monitored as: {monitor}"),
            None => Ok(()),
        }
    }
}

/// A cgroup file and what it gets, on one line.
pub(super) struct Written<'a>(pub &'a FileWrite);

impl Display for Written<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.0.file, self.0.value.escape_debug())
    }
}

/// The hooks that run on the runtime's side, by the point at which they do.
pub(super) fn hooks(plan: &Plan) -> [(&'static str, &[HookOp]); 4] {
    [
        ("before the root changes", &plan.hooks.prestart),
        ("before the root changes", &plan.hooks.create_runtime),
        ("after the start", &plan.hooks.poststart),
        ("after the deletion", &plan.hooks.poststop),
    ]
}
