//! `exec --cgroup`: below the container's own cgroup, and never out of it.

use super::Record;
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::error::{Context, Error, Result};

/// The container's cgroups, or those that `--cgroup [CONTROLLERS:]PATH` names below them.
pub fn open(record: &Record, wishes: &[String]) -> Result<Cgroup> {
    let mut cgroups = record.cgroup.clone();
    wishes
        .iter()
        .try_for_each(|wish| apply(&mut cgroups, wish))?;
    // COMPAT(runc): scripts written for it look for these words.
    Cgroup::open(&cgroups).context("adding pid of the new process to cgroups")
}

fn apply(cgroups: &mut CgroupRecord, wish: &str) -> Result<()> {
    let (controllers, below) = match wish.split_once(':') {
        Some((controllers, below)) => (controllers.split(',').collect(), below),
        None => (Vec::new(), wish),
    };
    if below.split('/').any(|component| component == "..") {
        return Err(Error::new(format!(
            "--cgroup {wish}: bad sub cgroup path: it leads out of the container's cgroup"
        )));
    }
    let mut matched = controllers.is_empty();
    for directory in &mut cgroups.directories {
        if controllers.is_empty()
            || controllers
                .iter()
                .any(|controller| directory.has(controller))
        {
            directory.path = format!("{}/{}", directory.path, below.trim_matches('/'));
            matched = true;
        }
    }
    match matched {
        true => Ok(()),
        false => Err(Error::new(format!(
            "--cgroup {wish}: unknown controller: no hierarchy has it"
        ))),
    }
}
