//! File locks: who may write, and which files belong to someone alive. For those too who keep files beside the store's.
//!
//! `flock` ends with the process that holds it, so nothing here outlives a `kill -9`. A lock counts only while the
//! locked file still has its name: another process may have unlinked it between `open` and `flock`.

use super::Store;
use crate::error::{Context, Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it unlocks")] File);

impl Store {
    /// For those who write `index.json` or remove files.
    pub(super) fn lock_exclusive(&self) -> Result<Lock> {
        let file = self.lock_file()?;
        file.lock()
            .context(format_args!("lock {}", self.root().join("lock").display()))?;
        Ok(Lock(file))
    }

    /// For those who take something that must not be removed.
    pub(super) fn lock_shared(&self) -> Result<Lock> {
        let file = self.lock_file()?;
        file.lock_shared()
            .context(format_args!("lock {}", self.root().join("lock").display()))?;
        Ok(Lock(file))
    }

    fn lock_file(&self) -> Result<File> {
        open(&self.root().join("lock"))
    }
}

/// What came of trying to own a file.
pub(super) enum Owned {
    /// It is ours, locked.
    Yes(File),
    /// Someone alive has it.
    No,
}

/// Makes or opens a file and locks it, unless someone has it locked.
pub(super) fn try_own(path: &Path) -> Result<Owned> {
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(Owned::No),
            Err(TryLockError::Error(error)) => {
                return Err(Error::io(format_args!("lock {}", path.display()), error));
            }
            Ok(()) if is_named(&file, path)? => return Ok(Owned::Yes(file)),
            Ok(()) => continue,
        }
    }
}

/// Locks an existing file, unless someone has it locked. A file that vanished is nobody's.
pub(super) fn try_own_existing(path: &Path) -> Result<Option<Owned>> {
    match fs::symlink_metadata(path) {
        Ok(_) => try_own(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format_args!("stat {}", path.display()), error)),
    }
}

/// Waits until nobody has the file locked.
pub(super) fn wait_for_owner(path: &Path) -> Result<()> {
    match File::open(path) {
        Ok(file) => file
            .lock_shared()
            .context(format_args!("lock {}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(format_args!("open {}", path.display()), error)),
    }
}

fn open(path: &Path) -> Result<File> {
    open_lock(path).context(format_args!("open {}", path.display()))
}

fn is_named(file: &File, path: &Path) -> Result<bool> {
    has_name(file, path).context(format_args!("stat {}", path.display()))
}

/// A name that no other process gives, nor this one again: a pid alone comes back, and other pid namespaces have it too.
pub fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{nanoseconds}-{count}", std::process::id())
}

/// What could not be done with a lock's file.
#[derive(Debug)]
pub struct LockError {
    /// The call: open, lock or stat.
    pub operation: &'static str,
    /// Its error.
    pub error: io::Error,
}

impl LockError {
    fn of(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { operation, error }
    }
}

/// Makes or opens a file and waits for its lock. One that loses its name meanwhile is made again: whoever had it locked
/// may have removed it.
pub fn lock_named(path: &Path) -> Result<File, LockError> {
    loop {
        let file = open_lock(path).map_err(LockError::of("open"))?;
        file.lock().map_err(LockError::of("lock"))?;
        if has_name(&file, path).map_err(LockError::of("stat"))? {
            return Ok(file);
        }
    }
}

/// Opens a file to be locked, made where it is missing; what is in it stays.
pub fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Whether a locked file still has its name: a lock on one that has not counts for nothing.
pub fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
