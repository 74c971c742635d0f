//! Containers whose keeper was killed: notes in `tended/`, each locked as long as the process lives that looks after a
//! container, from before anything of it exists until it needs nobody any more.

use super::home::Home;
use crate::container::delete::delete;
use crate::container::options::Globals;
use crate::container::{Id, Phase, StateDir, Status};
use crate::error::{Context, Error, Result};
use oci::store::{LockError, has_name, lock_named, unique_name};
use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A note that we look after a container; gone when dropped.
#[derive(Debug)]
pub struct Tended {
    path: PathBuf,
    /// Closing it unlocks, after a `fork` only when the last of the processes does.
    _file: File,
    given_away: Cell<bool>,
}

impl Tended {
    /// Notes the container's state directory, which need not exist yet.
    pub(super) fn note(home: &Home, state_dir: &Path) -> Result<Tended> {
        let directory = home.tended();
        // A keeper's note outlives the process that it is named by, whose pid may be ours by now: we would wait for it.
        let path = directory.join(unique_name());
        let locked = match lock_named(&path) {
            Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&directory)
                    .context(format_args!("mkdir {}", directory.display()))?;
                lock_named(&path)
            }
            locked => locked,
        };
        let mut file = locked.map_err(|LockError { operation, error }| {
            Error::io(format_args!("{operation} {}", path.display()), &error)
        })?;
        file.write_all(state_dir.as_os_str().as_bytes())
            .context(format_args!("write {}", path.display()))?;
        Ok(Tended {
            path,
            _file: file,
            given_away: Cell::new(false),
        })
    }
}

impl Tended {
    /// Another process, a copy of us, takes the note away.
    pub fn give_away(&self) {
        self.given_away.set(true);
    }

    /// The container needs nobody any more.
    pub fn remove(&self) {
        if !self.given_away.replace(true) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Tended {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Deletes containers that were left half made, or ended, when their keepers were killed; after a reboot also the
/// directories of containers whose state is gone. What can't be deleted now is left to the next command.
pub fn sweep(globals: &Globals, home: &Home) {
    if let Err(error) = sweep_notes(globals, home).and_then(|()| sweep_after_boot(home)) {
        log::debug!("sweep {}: {error}", home.store.root().display());
    }
}

fn sweep_notes(globals: &Globals, home: &Home) -> Result<()> {
    let directory = home.tended();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context(format_args!("read {}", directory.display()))?,
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) if has_name(&file, &path).unwrap_or(false) => {
                if settle(globals, &path)? {
                    let _ = fs::remove_file(&path);
                }
            }
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(Error::io(format!("lock {}", path.display()), &error));
            }
        }
    }
    Ok(())
}

/// Whether nothing is left to do for a container that its keeper left behind.
fn settle(globals: &Globals, note: &Path) -> Result<bool> {
    let bytes = fs::read(note).context(format_args!("read {}", note.display()))?;
    let state_dir = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let name = state_dir.file_name().and_then(|name| name.to_str());
    let (Some(root), Some(Ok(id))) = (state_dir.parent(), name.map(Id::parse)) else {
        return Ok(true);
    };
    let Ok(dir) = StateDir::open(root, &id) else {
        return Ok(true);
    };
    if dir.is_locked() {
        // Someone works on it: on another container of this name, perhaps.
        return Ok(false);
    }
    let Ok(record) = dir.read() else {
        return delete_there(globals, root, &id);
    };
    let keepers = record.image.as_ref().is_some_and(|image| image.remove);
    match Status::of(&record, &dir) {
        Status::Stopped if record.phase == Phase::Creating || keepers => {
            delete_there(globals, root, &id)
        }
        _ => Ok(!keepers),
    }
}

fn delete_there(globals: &Globals, root: &Path, id: &Id) -> Result<bool> {
    let globals = Globals {
        root: root.to_owned(),
        ..globals.clone()
    };
    delete(&globals, id, true).map(|()| true)
}

/// State lies in memory and is gone after a reboot; containers' directories are not.
fn sweep_after_boot(home: &Home) -> Result<()> {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").context("read the boot id")?;
    let path = home.tended().with_file_name("boot");
    if fs::read(&path).is_ok_and(|seen| seen == boot) {
        return Ok(());
    }
    sweep_snapshots(home)?;
    if sweep_half_made(home)?.is_none() {
        return Ok(());
    }
    fs::write(&path, &boot).context(format_args!("write {}", path.display()))
}

/// Removes the directories of containers whose state is gone; says how many.
pub fn sweep_snapshots(home: &Home) -> Result<usize> {
    super::mounted::forget_unmounted(home)?;
    let mut removed = 0;
    for name in home.snapshots.list()? {
        let owner = home.snapshots.owner(&name);
        if let Ok(Some(owner)) = owner
            && !owner.exists()
        {
            home.snapshots.remove(&name)?;
            home.store.unpin(&name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes the directories of containers whose makers were killed before they said whose they are; says how many. Nothing
/// while somebody uses layers, who may be making one.
pub fn sweep_half_made(home: &Home) -> Result<Option<usize>> {
    let Some(removed) = home.snapshots.remove_half_made()? else {
        return Ok(None);
    };
    for name in &removed {
        home.store.unpin(name)?;
    }
    Ok(Some(removed.len()))
}

/// What [`remove_unused_layers`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many layers went.
    pub count: usize,
    /// Bytes of their files.
    pub bytes: u64,
}

/// Removes unpacked layers that no image of the store and no container stands on.
pub fn remove_unused_layers(home: &Home) -> Result<Freed> {
    let mut chains = Vec::new();
    for image in home.store.images()? {
        let name = image.digest()?.to_string();
        // An image that can't be read keeps nothing: it can't be run either.
        chains.extend(
            home.store
                .open_image(&name)
                .map(|image| image.config.diff_ids),
        );
    }
    let chains = chains.iter().map(Vec::as_slice);
    let removed = home.snapshots.collect_garbage(chains)?;
    Ok(Freed {
        count: removed.layers.len(),
        bytes: removed.bytes,
    })
}
