//! `pause` and `resume`: stops a container's processes where they are, and lets them go on.

use super::{Globals, Id, Record, StateDir, Status};
use crate::cgroup;
use crate::error::{Context, Error, Result};

/// Returns when every process has stopped.
pub fn pause(globals: &Globals, id: &Id) -> Result<()> {
    let (_dir, record, status) = open(globals, id).context(format_args!("pause {id}"))?;
    match status {
        Status::Running | Status::Created => cgroup::freeze(&record.cgroup),
        other => Err(Error::new(format!("container not running: it is {other}"))),
    }
    .context(format_args!("pause {id}"))
}

/// Returns when every process may go on.
pub fn resume(globals: &Globals, id: &Id) -> Result<()> {
    let (_dir, record, status) = open(globals, id).context(format_args!("resume {id}"))?;
    match status {
        Status::Paused => cgroup::thaw(&record.cgroup),
        other => Err(Error::new(format!("container not paused: it is {other}"))),
    }
    .context(format_args!("resume {id}"))
}

fn open(globals: &Globals, id: &Id) -> Result<(StateDir, Record, Status)> {
    let dir = StateDir::open_locked(&globals.root, id)?;
    let record = dir.read()?;
    let status = Status::of(&record, &dir);
    Ok((dir, record, status))
}
