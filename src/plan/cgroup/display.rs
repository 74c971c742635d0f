//! The cgroup plan as lines, for `crun-lite plan` and for golden tests.

use super::{CgroupPlan, DirectoryPlan, FileWrite, HierarchyKind, OnFailure, Write};
use std::fmt;

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scope) = &self.systemd {
            writeln!(f, "systemd scope {} in {}", scope.scope, scope.slice)?;
            for (name, value) in &scope.properties {
                writeln!(f, "  {name} = {value:?}")?;
            }
        }
        self.directories
            .iter()
            .try_for_each(|directory| write!(f, "{directory}"))?;
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl fmt::Display for DirectoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = if self.optional {
            " (where permitted)"
        } else {
            ""
        };
        writeln!(f, "cgroup {}/{}{optional}", self.mount.display(), self.path)?;
        match &self.hierarchy {
            HierarchyKind::V1 {
                inherit_cpuset: true,
                ..
            } => {
                writeln!(f, "  cpuset.cpus, cpuset.mems: from the parent where empty")?;
            }
            HierarchyKind::V2 { required, wanted } if !wanted.is_empty() => {
                writeln!(f, "  enable {}; need {required:?}", wanted.join(" "))?;
            }
            _ => {}
        }
        self.writes.iter().try_for_each(|w| writeln!(f, "  {w}"))?;
        if let Some(program) = &self.device_program {
            writeln!(f, "  device rules: {} eBPF instructions", program.len())?;
        }
        match self.owner {
            Some(uid) => writeln!(f, "  owned by {uid}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Write::One(one) => write!(f, "{one}"),
            Write::EitherOrder(first, second) => write!(f, "{first}, {second} (in either order)"),
            Write::FirstPresent(first, second) => write!(f, "{first}, or if absent {second}"),
        }
    }
}

impl fmt::Display for FileWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = match self.on_failure {
            OnFailure::Fail => "",
            OnFailure::Warn => " (a refusal is a warning)",
            OnFailure::SkipIfAbsent => " (if present)",
        };
        write!(f, "{} = {:?}{note}", self.file, self.value)
    }
}
