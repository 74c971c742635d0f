//! `delete`: removes what `create` made, and nothing else. SPEC(runtime.md#delete)

use super::life::Life;
use super::options::Globals;
use super::status::{doing, is_alive};
use super::{Id, Record, StateDir, Status, hooks, host_mounts, image, intel_rdt, kill};
use crate::cgroup;
use crate::error::{Context, Error, Result};
use crate::plan::{HookOp, HookPlan};

/// How long a killed init may take to end, in milliseconds: one in uninterruptible sleep takes its time.
const KILL_TIMEOUT_MS: i32 = 10_000;

/// Deletes a stopped container, or a created one, whose init is killed. `force` also ends a running one, and takes an
/// id that doesn't exist for done.
pub fn delete(globals: &Globals, id: &Id, force: bool) -> Result<()> {
    let dir = match StateDir::open_locked(&globals.root, id) {
        Err(_) if force && !globals.root.join(id).exists() => return Ok(()),
        other => other?,
    };
    delete_locked(globals, dir, force).context(format_args!("delete {id}"))
}

fn delete_locked(globals: &Globals, dir: StateDir, force: bool) -> Result<()> {
    let record = match dir.read() {
        Err(error) if force => return delete_unreadable(dir, &error),
        other => other?,
    };
    match Status::of(&record, &dir) {
        Status::Stopped => {}
        // The letter is `stopped` only; both peers, and engines after a failed start, delete a created one too.
        Status::Created if force || !globals.strict => end(&dir, &record)?,
        _ if force => end(&dir, &record)?,
        status => {
            let hint = format!("kill it first, or use delete --force {}", record.id);
            return Err(Error::new(format!(
                "cannot delete a container that is not stopped: it is {status}"
            ))
            .hint(hint));
        }
    }
    remove(dir, &record)
}

/// Goes by what was written before anything was made: it knows no pid, but cgroups, mounts and the image.
fn delete_unreadable(dir: StateDir, error: &Error) -> Result<()> {
    match dir.read_first() {
        Ok(Some(record)) => {
            log::warn!("{error}; deleting by the record that its creation began with");
            remove(dir, &record)
        }
        // A create that was killed before it wrote anything has made nothing else either.
        Ok(None) => dir.remove(),
        Err(_) => {
            log::warn!("{error}; its cgroups, mounts and processes, if any, are left as they are");
            dir.remove()
        }
    }
}

/// Kills the container's processes and waits for init's end.
pub fn end(dir: &StateDir, record: &Record) -> Result<()> {
    let life = (record.pid > 0).then(|| Life::of(record).ok()).flatten();
    if Status::of(record, dir).has_process() {
        kill::end_init(dir, record).context(format_args!("kill {}", dir.id()))?;
    }
    let seen = life.is_some_and(|life| {
        let waited = life.poll(-1, KILL_TIMEOUT_MS);
        waited.is_ok_and(|[_, ended]| ended)
    });
    match seen || !is_alive(record.pid, record.pid_start_ticks) {
        true => Ok(()),
        false => Err(lingers(record.pid)),
    }
}

fn lingers(pid: i32) -> Error {
    let doing = doing(pid);
    let hint = match doing.ends_with("zap_pid_ns_processes") {
        // KERNEL: a pid namespace's init goes last, after every member was reaped; one that `exec --detach` made is the
        // host's init's to reap.
        true => {
            "it waits for a process of its pid namespace that has ended and is not reaped by its parent, the host's init or another process outside"
        }
        false => {
            "it may sit in uninterruptible sleep on a device or network file system, or in a frozen cgroup"
        }
    };
    Error::new(format!(
        "process {pid} still exists 10 s after SIGKILL ({doing})"
    ))
    .hint(hint)
}

/// Removes a container that has no init any more: leftover processes, cgroups, state; then tells the poststop hooks.
pub fn remove(dir: StateDir, record: &Record) -> Result<()> {
    let hooks = dir
        .config()
        .and_then(|spec| HookPlan::of(&spec))
        .map(|hooks| hooks.poststop)
        .unwrap_or_default();
    remove_and_tell(dir, record, &hooks)
}

/// [`remove`] for a caller that knows the poststop hooks.
pub fn remove_and_tell(dir: StateDir, record: &Record, hooks: &[HookOp]) -> Result<()> {
    if !cgroup::destroy_empty(&record.cgroup)? {
        kill::end_all(record)?;
        cgroup::destroy(&record.cgroup)?;
    }
    if let Some(mounts) = &record.host_mounts {
        host_mounts::unmount(mounts)?;
    }
    if let Some(rdt) = &record.intel_rdt {
        intel_rdt::remove(rdt)?;
    }
    if let Some(image) = &record.image {
        image::discard(image)?;
    }
    dir.remove()?;
    if !hooks.is_empty() {
        hooks::run_all_and_warn("poststop", hooks, record);
    }
    Ok(())
}
