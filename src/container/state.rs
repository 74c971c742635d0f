//! A container's state directory `<root>/<id>`: the record, the configuration it was made from, and the lock.
//!
//! The directory is private (0700) and its existence is what makes an id taken. Files in it change by rename, so they
//! are read without the lock; whoever changes a container holds it. What is read is not trusted to be well formed.

use super::Id;
use super::host_mounts::HostMounts;
use super::image::{ETC_FILES, ImageRecord};
use super::intel_rdt::RdtRecord;
use crate::cgroup::CgroupRecord;
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The record's file.
const STATE: &str = "state.json";
/// The record's file while the container is being created. KERNEL: ext4 writes a file to disk at once that is renamed
/// over another, so nothing is renamed over it.
const CREATING: &str = "creating.json";
/// The configuration as it was at `create`. SPEC(runtime.md#lifecycle): later changes of the bundle's have no effect.
const CONFIG: &str = "config.json";
/// Nearly every record fits in this, in bytes.
const LIKELY_STATE_BYTES: usize = 4 << 10;
/// A state file larger than this isn't ours, in bytes: annotations are all that grows in it.
const MAX_STATE_BYTES: u64 = 2 * oci::runtime::MAX_CONFIG_BYTES;

/// What is remembered of a container between commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of the specification that the configuration names.
    pub oci_version: String,
    /// The container's id; equals the directory's name.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Absolute path of the root file system.
    pub rootfs: PathBuf,
    /// Init's pid as the runtime sees it, 0 before it was made.
    pub pid: i32,
    /// Init's start in clock ticks since boot: tells it from a later process with its pid.
    #[serde(rename = "pidStartTicks")]
    pub pid_start_ticks: u64,
    /// When, as RFC 3339 with nanoseconds.
    pub created: String,
    /// Effective user id of the creator.
    pub owner: u32,
    /// From the configuration.
    #[serde(default)]
    pub annotations: crate::plan::Annotations,
    /// How far `create` came.
    pub phase: Phase,
    /// Where the container's cgroups are; no directories without a cgroup of its own.
    #[serde(default)]
    pub cgroup: CgroupRecord,
    /// Its group of Intel's resource control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<RdtRecord>,
    /// Its mounts, where they are in our mount namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_mounts: Option<HostMounts>,
    /// The image that it was made from, and its own directory there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRecord>,
}

/// How far `create` came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `create` is at work, or was killed there.
    #[default]
    Creating,
    /// `create` is done.
    Created,
}

/// One container's directory, perhaps locked.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    id: Id,
    lock: Option<Flock<File>>,
}

impl StateDir {
    /// Takes the id: makes the directory, and `root` where it is missing, and locks it.
    pub fn create(root: &Path, id: &Id) -> Result<StateDir> {
        let path = root.join(id);
        match private_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(root)
                    .context(format_args!("make state directory {}", root.display()))?;
                private_dir(&path)
            }
            result => result,
        }
        .map_err(|error| taken_or_denied(&path, id, &error))?;
        let mut dir = StateDir::unlocked(path, id);
        dir.lock(FlockArg::LockExclusive)?;
        Ok(dir)
    }

    /// An existing container's, for reading: not locked.
    pub fn open(root: &Path, id: &Id) -> Result<StateDir> {
        let path = root.join(id);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(StateDir::unlocked(path, id)),
            Ok(_) => Err(Error::new(format!(
                "state of container {id}: {} is not a directory",
                path.display()
            ))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(id)),
            Err(error) => Err(Error::io(format!("stat {}", path.display()), &error)),
        }
    }

    /// An existing container's, for changing it: waits for whoever else does.
    pub fn open_locked(root: &Path, id: &Id) -> Result<StateDir> {
        let mut dir = StateDir::open(root, id)?;
        dir.lock(FlockArg::LockExclusive)?;
        Ok(dir)
    }

    fn unlocked(path: PathBuf, id: &Id) -> StateDir {
        StateDir {
            path,
            id: id.clone(),
            lock: None,
        }
    }

    fn lock(&mut self, how: FlockArg) -> Result<()> {
        let mut dir = self.open_self()?;
        let lock = loop {
            dir = match Flock::lock(dir, how) {
                Ok(lock) => break lock,
                Err((dir, Errno::EINTR)) => dir,
                Err((_, errno)) => {
                    return Err(Error::errno(
                        format_args!("lock {}", self.path.display()),
                        errno,
                    ));
                }
            };
        };
        // While we waited, the directory may have been deleted, and the id even been taken again.
        let deleted = lock.metadata().map_or(true, |held| held.nlink() == 0);
        if deleted {
            return Err(missing(&self.id));
        }
        self.lock = Some(lock);
        Ok(())
    }

    fn open_self(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(&self.id),
            _ => Error::io(format!("open {}", self.path.display()), &error),
        })
    }

    /// Lets others change the container while this value lives on.
    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// Whether someone (we, perhaps) holds the lock: a `create` that still works on it.
    pub fn is_locked(&self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let Ok(dir) = File::open(&self.path) else {
            return false;
        };
        matches!(
            Flock::lock(dir, FlockArg::LockSharedNonblock),
            Err((_, Errno::EWOULDBLOCK))
        )
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Path of the socket at which init waits for `start`.
    pub fn start_socket(&self) -> PathBuf {
        self.path.join(super::listener::START_SOCKET)
    }

    /// Whether init still waits for `start`.
    pub fn awaits_start(&self) -> bool {
        fs::symlink_metadata(self.start_socket()).is_ok()
    }

    /// Reads the record, with its fields checked as far as commands rely on them.
    pub fn read(&self) -> Result<Record> {
        // The last look is for one that was completed between the first two.
        let looks = [STATE, CREATING, STATE].map(|file| self.path.join(file));
        let mut found = looks
            .iter()
            .map(|path| (read_bounded(path, MAX_STATE_BYTES), path));
        let absent = || (Err(std::io::ErrorKind::NotFound.into()), &looks[0]);
        let (read, path) = found
            .find(|(read, _)| !is_absent(read))
            .unwrap_or_else(absent);
        let bytes = read.map_err(|error| self.unreadable(path, &error))?;
        self.parse(&bytes, path)
    }

    /// The record that a container's creation began with, before anything of it was made: it stays beside later ones.
    /// Nothing when there is none.
    pub fn read_first(&self) -> Result<Option<Record>> {
        let path = self.path.join(CREATING);
        match read_bounded(&path, MAX_STATE_BYTES) {
            read if is_absent(&read) => Ok(None),
            Ok(bytes) => self.parse(&bytes, &path).map(Some),
            Err(error) => Err(self.unreadable(&path, &error)),
        }
    }

    fn parse(&self, bytes: &[u8], path: &Path) -> Result<Record> {
        let record: Record = oci::runtime::parse(bytes)
            .map_err(|error| damaged(&self.id, path, &error.to_string()))?;
        match implausible(&record, &self.id) {
            Some(problem) => Err(damaged(&self.id, path, &problem)),
            None => Ok(record),
        }
    }

    /// Writes the record: of a container that is being created in place, later ones in one step.
    ///
    /// A reader that comes between the making and the first writing finds it empty, which is as good as absent.
    pub fn write(&self, record: &Record) -> Result<()> {
        let (state, creating) = (self.path.join(STATE), self.path.join(CREATING));
        let json = encode(record, &state)?;
        match record.phase {
            Phase::Creating => write_new(&creating, &json),
            Phase::Created => replace(&state, &json),
        }
    }

    /// Writes the record of a container that is soon complete; [`Unpublished::publish`] makes it the one that counts.
    pub fn stage(&self, record: &Record) -> Result<Unpublished> {
        let state = self.path.join(STATE);
        let fresh = state.with_extension("new");
        write_new(&fresh, &encode(record, &fresh)?)?;
        Ok(Unpublished { fresh, state })
    }

    /// Keeps the configuration that a new container is made from. Nobody reads it before the container is created.
    pub fn write_first_config(&self, json: &[u8]) -> Result<()> {
        write_new(&self.path.join(CONFIG), json)
    }

    /// Replaces the configuration in one step.
    pub fn write_config(&self, json: &[u8]) -> Result<()> {
        replace(&self.path.join(CONFIG), json)
    }

    /// The configuration that the container was made from.
    pub fn config(&self) -> Result<oci::runtime::Spec> {
        let path = self.path.join(CONFIG);
        let bytes = read_bounded(&path, oci::runtime::MAX_CONFIG_BYTES)
            .map_err(|error| self.unreadable(&path, &error))?;
        oci::runtime::Spec::parse(&bytes)
            .map_err(|error| damaged(&self.id, &path, &error.to_string()))
    }

    /// Takes the lock that [`StateDir::unlock`] gave up; an error when the container was deleted meanwhile.
    pub fn lock_again(&mut self) -> Result<()> {
        self.lock(FlockArg::LockExclusive)
    }

    /// Frees the id: removes the directory with all that is in it.
    pub fn remove(self) -> Result<()> {
        // Usually there is nothing else, but where an image's container has files bound over the image's.
        for files in [&[STATE, CREATING, CONFIG], &ETC_FILES] {
            for file in files {
                let _ = fs::remove_file(self.path.join(file));
            }
            if fs::remove_dir(&self.path).is_ok() {
                return Ok(());
            }
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(
                format!("remove state directory {}", self.path.display()),
                &error,
            )),
            _ => Ok(()),
        }
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Error {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Error::io(format!("read {}", path.display()), error);
        }
        Error::new(format!(
            "container {} does not exist completely: no {}",
            self.id,
            path.display()
        ))
        .hint(format!(
            "its creation is under way or was interrupted; remove what is left with `delete --force {}`",
            self.id
        ))
    }
}

/// A record that is written but not yet the container's.
#[must_use]
#[derive(Debug)]
pub struct Unpublished {
    fresh: PathBuf,
    state: PathBuf,
}

impl Unpublished {
    /// From here on other commands see the container as this record says.
    pub fn publish(self) -> Result<()> {
        fs::rename(&self.fresh, &self.state).context(format_args!("write {}", self.state.display()))
    }
}

/// The ids under `root` that have a directory, sorted. A missing `root` has none.
pub fn list_ids(root: &Path) -> Result<Vec<Id>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(format_args!("read directory {}", root.display()))?,
    };
    let mut ids: Vec<Id> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| Id::parse(entry.file_name().to_str()?).ok())
        .collect();
    ids.sort();
    Ok(ids)
}

fn private_dir(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn taken_or_denied(path: &Path, id: &Id, error: &std::io::Error) -> Error {
    let denied = Error::io(format!("make state directory {}", path.display()), error);
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(format!("container with id {id} already exists"))
        }
        std::io::ErrorKind::PermissionDenied => {
            denied.hint("set XDG_RUNTIME_DIR, or name a directory of your own with --root")
        }
        _ => denied,
    }
}

/// COMPAT(containerd, podman): both look for `does not exist`.
fn missing(id: &Id) -> Error {
    Error::new(format!("container {id} does not exist"))
}

fn damaged(id: &Id, path: &Path, problem: &str) -> Error {
    Error::new(format!(
        "state of container {id}: {} is damaged: {problem}",
        path.display()
    ))
    .hint(format!("remove what is left with `delete --force {id}`"))
}

/// A pid of 0 or less would make `kill` mean a whole process group.
fn implausible(record: &Record, id: &Id) -> Option<String> {
    if record.id != id.as_str() {
        return Some(format!("id: it says {:?}", record.id));
    }
    if record.pid < 0 || (record.pid == 0 && record.phase == Phase::Created) {
        return Some(format!("pid: {} is no process", record.pid));
    }
    None
}

/// An empty one was just made and is about to be written.
fn is_absent(read: &std::io::Result<Vec<u8>>) -> bool {
    match read {
        Ok(bytes) => bytes.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn read_bounded(path: &Path, max_bytes: u64) -> std::io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(std::io::Error::other(format!(
            "more than {max_bytes} bytes"
        ))),
        false => Ok(bytes),
    }
}

/// Writes a neighbour and renames it over `path`: readers see the old text or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let fresh = path.with_extension("new");
    write_new(&fresh, bytes)?;
    fs::rename(&fresh, path).context(format_args!("write {}", path.display()))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .context(format_args!("write {}", path.display()))
}

fn encode(record: &Record, path: &Path) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(LIKELY_STATE_BYTES);
    serde_json::to_writer(&mut json, record)
        .map_err(|error| Error::new(format!("write {}: {error}", path.display())))?;
    Ok(json)
}

#[cfg(test)]
mod tests;
