//! Removing a container's cgroup: deepest first, and only what was made for it.

use super::{CgroupRecord, DirectoryRecord};
use crate::error::{Error, Result};
use nix::errno::Errno;
use std::path::Path;
use std::time::Duration;

/// A killed process leaves its cgroup a moment after it was reaped, and on a machine with more work than processors a
/// moment is long: waits of 1, 2, 4 … 64 ms, then of 100 ms, ten seconds in all.
const ATTEMPTS: u32 = 106;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Removes the container's directories, those that processes in it made, and parents that were made for it and are now
/// empty. What existed before stays. Absent is fine: a second call, or one after a creation that was cut short, succeeds.
pub fn destroy(record: &CgroupRecord) -> Result<()> {
    // A scope that never came to be needs no systemd to be gone.
    let exists = || record.directories.iter().any(|d| d.path().exists());
    let scope = record.scope.as_ref().filter(|_| exists());
    let mut first_error = scope.and_then(|scope| super::systemd::stop_scope(scope).err());
    for directory in record.directories.iter().rev() {
        if let Err(error) = remove(directory) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// [`destroy`] where no process is left, which the kernel tells by letting go of the directory that
/// [`pids`](super::pids()) would ask. `false`, and nothing is removed, where there may be one.
pub fn destroy_empty(record: &CgroupRecord) -> Result<bool> {
    let judge = super::pids::witness(record)
        .filter(|directory| record.scope.is_none() && directory.kept_levels < directory.depth());
    match judge.map(|directory| remove_directory(&directory.path())) {
        Some(Ok(())) => destroy(record).map(|()| true),
        _ => Ok(false),
    }
}

fn remove(record: &DirectoryRecord) -> Result<()> {
    let depth = record.depth();
    if record.kept_levels >= depth {
        return Ok(());
    }
    remove_tree(&record.path())?;
    for level in (record.kept_levels + 1..depth).rev() {
        // Others may live in a parent that was made for this container.
        if remove_directory(&record.level(level)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A cgroup and those below it.
fn remove_tree(path: &Path) -> Result<()> {
    let mut pause = Duration::from_millis(1);
    for attempt in 1.. {
        match remove_directory(path) {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) if attempt < ATTEMPTS => {
                for child in children(path) {
                    remove_tree(&child)?;
                }
                if attempt > 1 {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            Err(errno) => {
                return Err(Error::errno(
                    format_args!("remove cgroup {}", path.display()),
                    errno,
                ));
            }
        }
    }
    Ok(())
}

fn remove_directory(path: &Path) -> Result<(), Errno> {
    match std::fs::remove_dir(path).map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0))) {
        Err(Errno::ENOENT) => Ok(()),
        done => done,
    }
}

/// The cgroups directly below one. One that vanished has none.
pub(super) fn children(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    directories.map(|e| e.path()).collect()
}
