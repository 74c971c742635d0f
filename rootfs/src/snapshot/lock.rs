//! Who works on what: locked files that end with the process that holds them, so that nothing outlives a `kill -9`.
//!
//! A lock counts only while its file still has its name: the last holder removes it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use oci::store::{LockError, has_name, lock_named, open_lock};

use super::error::{Result, system};

/// The right to make or remove one thing. Held until dropped.
pub(super) struct Claim {
    path: PathBuf,
    _file: File,
}

impl Claim {
    /// Waits until nobody else has it.
    pub(super) fn wait(path: &Path) -> Result<Self> {
        let failed = |LockError { operation, error }| system(operation, path)(error);
        Ok(Self {
            path: path.to_owned(),
            _file: lock_named(path).map_err(failed)?,
        })
    }

    /// Nothing when somebody else has it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) if has_name(&file, path).map_err(system("stat", path))? => Ok(Some(Self {
                path: path.to_owned(),
                _file: file,
            })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(system("lock", path)(error)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Still locked: whoever waits finds the name gone and makes the file again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Keeps layers from being removed while they are looked up and put to use, or everybody out while they are removed.
#[derive(Debug)]
pub struct Gate(#[expect(dead_code, reason = "closing it unlocks")] File);

impl Gate {
    pub(super) fn shared(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock_shared().map_err(system("lock", path))?;
        Ok(Self(file))
    }

    pub(super) fn exclusive(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock().map_err(system("lock", path))?;
        Ok(Self(file))
    }

    /// [`Gate::exclusive`] without waiting: nothing while somebody, we perhaps, uses layers.
    pub(super) fn exclusive_now(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(system("lock", path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    open_lock(path).map_err(system("open", path))
}
