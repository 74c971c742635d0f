//! Which processes are in a container's cgroup.

use super::{CgroupRecord, DirectoryRecord, destroy::children};
use crate::error::{Error, Result};
use std::path::Path;

/// The processes of the container, those in cgroups below its own too, in ascending order.
pub fn pids(record: &CgroupRecord) -> Result<Vec<i32>> {
    match witness(record) {
        Some(directory) => below(&directory.path()),
        None => Ok(Vec::new()),
    }
}

/// The directory that tells which processes there are: of a hierarchy that processes are seldom moved in.
pub(super) fn witness(record: &CgroupRecord) -> Option<&DirectoryRecord> {
    let preferred = ["freezer", "pids", "devices", "memory"];
    let directory = preferred.iter().find_map(|c| record.of(c));
    directory.or_else(|| record.directories.first())
}

/// The processes in a cgroup and those below it. One that is gone has none.
pub(super) fn below(path: &Path) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<i32>) -> Result<()> {
    match crate::sys::open::read_text(path.join("cgroup.procs")) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => {
            return Ok(());
        }
        // A threaded cgroup's processes are listed by the domain above it.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => {
            return Err(Error::io(
                format_args!("read {}/cgroup.procs", path.display()),
                &error,
            ));
        }
    }
    children(path)
        .iter()
        .try_for_each(|child| collect(child, found))
}
