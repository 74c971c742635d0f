//! The systemd driver: a transient scope for the container, asked for over D-Bus.
//!
//! systemd moves the container's process itself, so the scope is made after the process and not before it.

mod bus;
mod wire;

use super::{Cgroup, CgroupRecord, create, survey};
use crate::error::{Context, Error, Result};
use crate::plan::cgroup::{CgroupPlan, SystemdPlan, UpdatePlan, Value, systemd_limits};
use bus::Manager;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The scope of a container, as its state file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRecord {
    /// Unit name.
    pub unit: String,
    /// Whether it is the user's manager's.
    pub user: bool,
}

/// Makes the scope with process `pid` in it, then what systemd has no words for: the other v1 hierarchies, all values,
/// the device program.
pub fn create_scope(plan: &CgroupPlan, scope: &SystemdPlan, pid: i32) -> Result<Cgroup> {
    start_scope(scope, pid)?;
    let record = ScopeRecord {
        unit: scope.scope.clone(),
        user: scope.user,
    };
    let mut plan = plan.clone();
    let made = locate(&mut plan, pid).and_then(|()| create(&plan, &survey(&plan)));
    match made {
        Ok(mut cgroup) => {
            cgroup.record.scope = Some(record);
            Ok(cgroup)
        }
        Err(error) => {
            // Our child, not reaped yet, is as good as dead; systemd would ask it in vain to end, and wait.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            // The first error is the one to tell.
            let _ = stop_scope(&record);
            Err(error)
        }
    }
}

/// A user's manager knows best where its part of the tree is: the process is there now.
fn locate(plan: &mut CgroupPlan, pid: i32) -> Result<()> {
    let path = format!("/proc/{pid}/cgroup");
    let text = std::fs::read_to_string(&path).context(format_args!("read {path}"))?;
    let scope = plan.systemd.as_ref().map_or("", |s| s.scope.as_str());
    let found = text.lines().find_map(|line| {
        line.rsplit_once(':')
            .map(|(_, p)| p)
            .filter(|p| p.ends_with(scope))
    });
    if let Some(found) = found {
        for directory in &mut plan.directories {
            directory.path = found.trim_start_matches('/').to_owned();
            directory.joined = true;
        }
    }
    Ok(())
}

fn start_scope(scope: &SystemdPlan, pid: i32) -> Result<()> {
    let operation = format!("start systemd scope {} in {}", scope.scope, scope.slice);
    let pids = Value::Array("u".into(), vec![Value::U32(pid as u32)]);
    let mut properties = vec![("PIDs".to_owned(), pids)];
    properties.extend(scope.properties.iter().cloned());
    let mut manager = Manager::connect(scope.user)?;
    for attempt in 0.. {
        let serial = manager.call("StartTransientUnit", "ssa(sv)a(sa(sv))", |body| {
            body.text(&scope.scope);
            body.text("replace");
            body.properties(&properties);
            body.array(8, |_| {});
        });
        match manager.job(serial).context(&operation)? {
            Ok(result) if result == "done" => return Ok(()),
            Ok(result) => {
                return Err(Error::new(format!(
                    "{operation}: the job ended with {result:?}"
                )));
            }
            // A unit of that name that failed is kept until it is forgotten.
            Err(refusal) if refusal.is("UnitExists") && attempt == 0 => {
                let serial = manager.call("ResetFailedUnit", "s", |body| body.text(&scope.scope));
                let _ = manager.reply(serial).context(&operation)?;
            }
            Err(refusal) => return Err(refusal.into_error(&operation)),
        }
    }
    Ok(())
}

/// Stops the scope and makes systemd forget it. One that is gone is fine.
pub fn stop_scope(record: &ScopeRecord) -> Result<()> {
    let operation = format!("stop systemd scope {}", record.unit);
    let mut manager = Manager::connect(record.user)?;
    let serial = manager.call("StopUnit", "ss", |body| {
        body.text(&record.unit);
        body.text("replace");
    });
    match manager.job(serial).context(&operation)? {
        Ok(_) => {}
        Err(refusal) if refusal.is("NoSuchUnit") => return Ok(()),
        Err(refusal) => return Err(refusal.into_error(&operation)),
    }
    let serial = manager.call("ResetFailedUnit", "s", |body| body.text(&record.unit));
    // A unit that ended well is forgotten already.
    let _ = manager.reply(serial).context(&operation)?;
    Ok(())
}

/// Tells systemd an update's limits, so that it does not write the old ones again.
pub(super) fn update_scope(record: &CgroupRecord, plan: &UpdatePlan) -> Result<()> {
    let Some(scope) = &record.scope else {
        return Ok(());
    };
    let properties = systemd_limits(&plan.resources, record.is_pure_v2())?;
    if properties.is_empty() {
        return Ok(());
    }
    let operation = format!("set properties of systemd scope {}", scope.unit);
    let mut manager = Manager::connect(scope.user)?;
    let serial = manager.call("SetUnitProperties", "sba(sv)", |body| {
        body.text(&scope.unit);
        body.u32(1);
        body.properties(&properties);
    });
    match manager.reply(serial).context(&operation)? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.into_error(&operation)),
    }
}

#[cfg(test)]
mod tests;
