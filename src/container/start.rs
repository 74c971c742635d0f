//! `start`: tells a created container's init to become its program. SPEC(runtime.md#start)

use super::life::Life;
use super::notify::Notify;
use super::options::Globals;
use super::{Id, Record, StateDir, Status, delete, hooks, listener};
use crate::error::{Context, Error, Result};
use crate::host::Host;
use crate::init::message::{ParentEnd, ToInit};
use crate::init::parent::{await_exec, describe, step_from_last};
use crate::plan::{self, HookPlan, Step};
use oci::runtime::Spec;
use std::os::fd::AsRawFd;

/// Returns when the process runs and the poststart hooks are done.
pub fn start(globals: &Globals, id: &Id) -> Result<()> {
    let dir = StateDir::open_locked(&globals.root, id)?;
    let record = dir.read().context(format_args!("start {id}"))?;
    let begun = begin(&dir, &record).context(format_args!("start {id}"))?;
    let hooked = match begun {
        Begun::HookFailed(error) => Err(error),
        Begun::Runs(spec, readiness) => poststart(&spec, &record).map(|()| readiness),
    };
    let readiness = match hooked {
        Ok(readiness) => readiness,
        // SPEC(runtime.md#lifecycle): a failed hook stops and deletes the container; its failure is what there is to tell.
        Err(error) => {
            let _ = delete::end(&dir, &record).and_then(|()| delete::remove(dir, &record));
            return Err(error.context(format_args!("start {id}")));
        }
    };
    drop(dir);
    match readiness {
        Some((notify, life)) => notify.await_ready(record.pid, |socket| life.poll(socket, -1)),
        None => Ok(()),
    }
}

/// What came of init's last steps.
enum Begun {
    /// The process runs, or did: whom to ask whether it is ready, where the caller waits for that.
    Runs(Box<Spec>, Option<(Notify, Life)>),
    /// A startContainer hook failed.
    HookFailed(Error),
}

/// From `created` to `running`.
fn begin(dir: &StateDir, record: &Record) -> Result<Begun> {
    match Status::of(record, dir) {
        Status::Created => {}
        Status::Stopped => return Err(Error::new("cannot start a container that has stopped")),
        Status::Creating => {
            return Err(Error::new("cannot start a container that is being created"));
        }
        other => {
            return Err(Error::new(format!(
                "cannot start an already running container: it is {other}"
            )));
        }
    }
    let spec = dir.config()?;
    if spec.process.is_none() {
        return Err(Error::new("cannot start a container without process")
            .hint("its config.json has no \"process\""));
    }
    let init = listener::call(dir.path())?;
    let messages = ParentEnd(init.as_raw_fd());
    // From here on it is no longer `created`, whatever happens to us.
    listener::remove(dir.path())?;
    let readiness = match Notify::listen(dir.path())? {
        // Its handle is taken while init surely lives: the program may have ended before we wait for it.
        Some(notify) => Some((notify, Life::of(record)?)),
        None => None,
    };
    messages
        .send(ToInit::Start, &[])
        .context("tell the container's init to start")?;
    let Some((step, failure)) = await_exec(messages, None)? else {
        return Ok(Begun::Runs(Box::new(spec), readiness));
    };
    let plan = replan(record, &spec)?;
    let error = describe(&plan, step, failure);
    match step_from_last(&plan, step) {
        Some(Step::StartContainerHook(_)) => Ok(Begun::HookFailed(error)),
        _ => Err(error),
    }
}

/// The steps as `create` planned them, from the last up to where it waited: the sentence for a failure needs them, a
/// success does not. What `create` was told besides changes earlier steps only. Nor do cgroups change later ones, and ours
/// may be made by another manager than theirs, by which their path means nothing.
fn replan(record: &Record, spec: &Spec) -> Result<plan::InitPlan> {
    let options = plan::Options {
        id: record.id.clone(),
        bundle: record.bundle.clone(),
        cgroup_manager: plan::CgroupManager::Disabled,
        ..plan::Options::default()
    };
    Ok(plan::plan(spec, &Host::probe()?, &options)?.init)
}

/// SPEC(config.md#poststart): a failing hook stops the container, and then it is deleted. COMPAT(crun)
pub fn poststart(spec: &Spec, record: &Record) -> Result<()> {
    let moment = hooks::Moment {
        record,
        status: Status::Running,
        pid: record.pid,
        interrupt: -1,
    };
    hooks::run_all("poststart", &HookPlan::of(spec)?.poststart, &moment)
}
