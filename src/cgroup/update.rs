//! Changing a running container's limits: all of a plan, or none of it.
//!
//! What a file said before is kept, and written back when a later write fails. A v2 memory limit below what is in use
//! would kill: the container stands still while the kernel is asked to reclaim, and the update is refused where that
//! does not help.

use super::create::apply;
use super::directory::Directory;
use super::freezer::{FreezerState, freeze, freezer_state, thaw};
use super::{CgroupRecord, devices};
use crate::error::{Error, Result};
use crate::plan::cgroup::{FileWrite, UpdatePlan, Write};

/// How often the kernel is asked to reclaim what is in use above a new limit.
const RECLAIM_ATTEMPTS: usize = 5;

/// Applies the plan; returns warnings.
pub fn update(record: &CgroupRecord, plan: &UpdatePlan) -> Result<Vec<String>> {
    let mut warnings = plan.warnings.clone();
    let mut done: Vec<(&Directory, FileWrite)> = Vec::new();
    let mut opened: Vec<Directory> = Vec::new();
    for (controller, _) in &plan.writes {
        opened.push(open(record, controller)?);
    }
    let result = (|| {
        for (directory, (_, write)) in opened.iter().zip(&plan.writes) {
            let _stopped = make_room(record, directory, write, plan)?;
            let before: Vec<_> = files(write).filter_map(|f| undo_of(directory, f)).collect();
            apply(directory, write, &mut warnings).map_err(|e| explain(directory, write, e))?;
            done.extend(before.into_iter().map(|undo| (directory, undo)));
        }
        super::systemd::update_scope(record, plan)?;
        match &plan.device_program {
            Some(program) => devices::replace(&open(record, "devices")?, program.as_deref()),
            None => Ok(()),
        }
    })();
    if result.is_err() {
        for (directory, undo) in done.iter().rev() {
            // The first error is the one to tell.
            let _ = directory.write(&undo.file, &undo.value);
        }
    }
    result.map(|()| warnings)
}

fn open(record: &CgroupRecord, controller: &str) -> Result<Directory> {
    let found = match controller {
        "cgroup" => record.unified(),
        controller => record.of(controller),
    };
    let found = found.ok_or_else(|| {
        Error::new(format!(
            "the container has no cgroup with the {controller} controller"
        ))
    })?;
    Directory::open(found.path())
}

fn files(write: &Write) -> impl Iterator<Item = &FileWrite> {
    let (first, second) = match write {
        Write::One(one) => (one, None),
        Write::EitherOrder(first, second) | Write::FirstPresent(first, second) => {
            (first, Some(second))
        }
    };
    std::iter::once(first).chain(second)
}

/// The write that brings the present value back. A value for one device only replaces that device's line.
fn undo_of(directory: &Directory, write: &FileWrite) -> Option<FileWrite> {
    let text = directory.read_present(&write.file).ok()??;
    let value = match write.value.split_once(' ') {
        Some((device, _)) if device.contains(':') => {
            let line = text.lines().find(|l| l.split(' ').next() == Some(device));
            line.map_or_else(
                || format!("{device} {}", no_limit(&write.value)),
                str::to_owned,
            )
        }
        _ => text.trim().to_owned(),
    };
    Some(FileWrite {
        value,
        ..write.clone()
    })
}

/// v2 says `key=max`, v1 `0`.
fn no_limit(value: &str) -> String {
    let key = value
        .split_once(' ')
        .and_then(|(_, rest)| rest.split_once('='));
    key.map_or("0".to_owned(), |(key, _)| format!("{key}=max"))
}

fn number(directory: &Directory, file: &str) -> Option<u64> {
    directory.read_present(file).ok()??.trim().parse().ok()
}

/// v1's kernel reclaims by itself and says EBUSY where that is not enough; then tell how much is in use.
fn explain(directory: &Directory, write: &Write, error: Error) -> Error {
    let limits_memory = files(write).any(|f| f.file == "memory.limit_in_bytes");
    let usage = number(directory, "memory.usage_in_bytes").filter(|_| limits_memory);
    let peak = number(directory, "memory.max_usage_in_bytes");
    match (usage, peak) {
        (Some(usage), Some(peak)) => error.hint(format!(
            "{usage} bytes of memory are in use, {peak} at the peak"
        )),
        _ => error,
    }
}

/// Processes that stand still while their memory limit is lowered; they go on when this is dropped.
struct Stopped<'r>(Option<&'r CgroupRecord>);

impl<'r> Stopped<'r> {
    /// A paused container stays paused. One that can't be stopped in time is not worth failing for: `memory.high` keeps
    /// it from growing meanwhile.
    fn stop(record: &'r CgroupRecord) -> Stopped<'r> {
        let running = freezer_state(record) == FreezerState::Thawed;
        Stopped(Some(record).filter(|record| running && freeze(record).is_ok()))
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.0 {
            let _ = thaw(record);
        }
    }
}

/// KERNEL: lowering `memory.max` below the use kills. So nothing in the container runs from before the kernel is asked
/// to reclaim until the new limit stands, which the caller sees to by keeping what this returns.
fn make_room<'r>(
    record: &'r CgroupRecord,
    directory: &Directory,
    write: &Write,
    plan: &UpdatePlan,
) -> Result<Stopped<'r>> {
    let Some(limit) = plan.memory_limit else {
        return Ok(Stopped(None));
    };
    let current = || number(directory, "memory.current").unwrap_or(0);
    let lowered = number(directory, "memory.max").is_none_or(|present| limit < present);
    // A container close below the limit may grow over it before it stands.
    if !files(write).any(|f| f.file == "memory.max") || !lowered || current() <= limit / 2 {
        return Ok(Stopped(None));
    }
    let in_use = current();
    let stopped = Stopped::stop(record);
    if !plan.check_before_update && current() > limit {
        reclaim(directory, limit, &current)?;
    }
    match current() <= limit {
        true => Ok(stopped),
        false => Err(Error::new(format!(
            "memory limit {limit} is below what the container uses: {in_use} bytes, {} after reclaim",
            current()
        ))
        .hint("free memory in the container first; a lower limit now would kill it")),
    }
}

/// `memory.high` only reclaims, at once and whenever something is added.
fn reclaim(directory: &Directory, limit: u64, current: &dyn Fn() -> u64) -> Result<()> {
    let high = directory.read("memory.high")?;
    directory.set("memory.high", &limit.to_string())?;
    for _ in 0..RECLAIM_ATTEMPTS {
        let excess = current().saturating_sub(limit);
        if excess == 0 {
            break;
        }
        // KERNEL(5.19). EAGAIN: less was reclaimed than asked for; what counts is the use.
        let _ = directory.write("memory.reclaim", &excess.to_string());
    }
    directory.set("memory.high", high.trim())
}
