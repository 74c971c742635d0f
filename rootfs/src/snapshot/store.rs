//! The directories on disk and the verbs of a snapshot's life: prepare, view, mounts, remove.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci::store::unique_name;
use oci::{ChainId, DiffId};
use serde::{Deserialize, Serialize};

use super::Chain;
use super::error::{Result, SnapshotError, errno, system};
use super::lock::{Claim, Gate};
use super::lower::{Form, Lower, MountImage};
use super::mounts::OverlayMount;
use crate::layer::{Loose, OverlayXattrs, copy_metadata, remove_tree};

/// What is kept beside a snapshot's directories.
const RECORD: &str = "snapshot.json";
const LOCK_SUFFIX: &str = ".lock";
/// How overlayfs marks the directory of a `volatile` mount, so that it is not mounted again: a file in two directories.
const VOLATILE_MARK: &str = "work/incompat/volatile/dirty";
/// A layer that is an image.
pub(super) const IMAGE: &str = "layer.erofs";

/// All unpacked layers and all snapshots below one directory.
#[derive(Debug, Clone)]
pub struct Snapshots {
    pub(super) root: PathBuf,
    pub(super) overlay_xattrs: OverlayXattrs,
    pub(super) mount_image: Option<MountImage>,
}

/// What is kept beside an unpacked layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// The layer says what the root directory is like.
    pub(super) root_listed: bool,
    /// Nothing below the layer is visible.
    pub(super) opaque_root: bool,
    /// There is a file `loose` too.
    pub(super) has_loose_ends: bool,
    /// It is a file `layer.erofs` and not a directory `fs`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) erofs: bool,
}

/// What is kept beside a snapshot's directories.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    pub(super) diff_ids: Vec<DiffId>,
    /// A directory of the host in place of layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) directory: Option<PathBuf>,
    /// Without this directory the snapshot is garbage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<PathBuf>,
    pub(super) read_only: bool,
    pub(super) volatile: bool,
}

impl Snapshots {
    /// Opens the store, makes what is missing of it, and removes what killed processes left half-made.
    pub fn open(root: impl Into<PathBuf>, overlay_xattrs: OverlayXattrs) -> Result<Self> {
        let store = Self::reopen(root, overlay_xattrs);
        // One question to a store in use: the last of them is here when all are.
        let missing: &[&str] = match store.root.join("uppers").is_dir() {
            true => &[],
            false => &[
                "layers/sha256",
                "layers/sha512",
                "seams/sha256",
                "snapshots",
                "work",
                "uppers",
            ],
        };
        for dir in missing {
            make_private(&store.root.join(dir))?;
        }
        store.remove_junk()?;
        Ok(store)
    }

    /// A store that was opened before: nothing is made, nothing is looked at.
    pub fn reopen(root: impl Into<PathBuf>, overlay_xattrs: OverlayXattrs) -> Self {
        Self {
            root: root.into(),
            overlay_xattrs,
            mount_image: None,
        }
    }

    /// The same store for those who can mount layers that are images.
    pub fn mounting(self, mount_image: MountImage) -> Self {
        Self {
            mount_image: Some(mount_image),
            ..self
        }
    }

    /// In what form a layer is here; nothing when it is not unpacked.
    pub fn form(&self, diff_id: &DiffId) -> Result<Option<Form>> {
        match self.layer_record(diff_id) {
            Ok(record) if record.erofs => Ok(Some(Form::Erofs)),
            Ok(_) => Ok(Some(Form::Directory)),
            Err(SnapshotError::NotUnpacked(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The chain of these layers, the lowest first, when all are unpacked.
    pub fn chain(&self, diff_ids: &[DiffId]) -> Result<Chain> {
        let mut records = Vec::with_capacity(diff_ids.len());
        for (diff_id, chain_id) in diff_ids.iter().zip(ChainId::chain(diff_ids)) {
            let record = self.layer_record(diff_id)?;
            let seam = record
                .has_loose_ends
                .then(|| self.seam_dir(&chain_id))
                .filter(|seam| seam.is_dir());
            if record.has_loose_ends && seam.is_none() {
                return Err(SnapshotError::NotUnpacked(diff_id.to_string()));
            }
            records.push((diff_id, record, seam));
        }
        let listed = records
            .iter()
            .rev()
            .find(|(_, record, _)| record.root_listed);
        let listed = listed.map(|(diff_id, record, _)| self.layer_file(diff_id, record));
        let lowers = self.stack(&records)?;
        let root = match listed {
            // Below an opaque one it is not in the stack.
            Some(listed) => match lowers.iter().find(|lower| lower.name() == listed) {
                Some(lower) => Some(lower.clone()),
                None => Some(self.lower(listed)?),
            },
            None => None,
        };
        Ok(Chain {
            root,
            lowers,
            diff_ids: diff_ids.to_vec(),
            directory: None,
        })
    }

    /// What to stack, the topmost first.
    fn stack(&self, layers: &[(&DiffId, LayerRecord, Option<PathBuf>)]) -> Result<Vec<Lower>> {
        let mut lowers: Vec<Lower> = Vec::new();
        for (diff_id, record, seam) in layers.iter().rev() {
            let seam = seam.iter().map(|seam| seam.join("fs"));
            lowers.extend(seam.filter(|seam| seam.is_dir()).map(Lower::Directory));
            let layer = self.layer_file(diff_id, record);
            // A layer that comes again higher up adds nothing here: all it says is said there. overlayfs refuses it twice.
            if !lowers.iter().any(|lower| lower.name() == layer) {
                lowers.push(self.lower(layer)?);
            }
            if record.opaque_root {
                break;
            }
        }
        Ok(lowers)
    }

    /// The layer's directory, or its image.
    pub(super) fn layer_file(&self, diff_id: &DiffId, record: &LayerRecord) -> PathBuf {
        let name = if record.erofs { IMAGE } else { "fs" };
        self.layer_dir(diff_id).join(name)
    }

    /// The layer in a directory or image.
    pub(super) fn lower(&self, file: PathBuf) -> Result<Lower> {
        match file.ends_with(IMAGE) {
            true => Lower::mounted(file, self.mount_image),
            false => Ok(Lower::Directory(file)),
        }
    }

    /// The stack of layers of which the upper ones' seams may still be missing.
    pub(super) fn lowers(&self, diff_ids: &[DiffId]) -> Result<Vec<Lower>> {
        let layers = diff_ids.iter().zip(ChainId::chain(diff_ids));
        let layers = layers.map(|(diff_id, chain_id)| {
            let record = self.layer_record(diff_id)?;
            let seam = record.has_loose_ends.then(|| self.seam_dir(&chain_id));
            Ok((diff_id, record, seam))
        });
        self.stack(&layers.collect::<Result<Vec<_>>>()?)
    }

    /// Keeps all layers where they are until the value is dropped.
    pub fn hold(&self) -> Result<Gate> {
        self.gate()
    }

    /// A snapshot's own directory. Whoever prepared it may keep files of its own there, gone with it.
    pub fn directory(&self, id: &str) -> Result<PathBuf> {
        self.snapshot_dir(id)
    }

    /// Where a writable snapshot's changes are.
    pub fn upper(&self, id: &str) -> Result<PathBuf> {
        self.snapshot_dir(id)?;
        Ok(self.root.join("uppers").join(id))
    }

    /// A writable snapshot on top of a chain, named `id`: the container's own copy of the image, of nothing but an
    /// empty directory. `volatile` is for those whose changes need not survive a power cut.
    pub fn prepare(&self, id: &str, chain: &Chain, volatile: bool) -> Result<OverlayMount> {
        let _gate = self.gate()?;
        need_layers(chain)?;
        self.reserve(id, chain)?;
        self.record(id, chain, volatile, None)?;
        self.plan(id, chain, volatile)
    }

    /// What [`Snapshots::prepare`] would return; nothing is made.
    pub fn plan(&self, id: &str, chain: &Chain, volatile: bool) -> Result<OverlayMount> {
        self.describe(id, chain, false, volatile)
    }

    /// The first half of [`Snapshots::prepare`], for whoever [holds](Snapshots::hold) the layers until the second is done:
    /// the directories, of which nothing says yet whose they are.
    pub fn reserve(&self, id: &str, chain: &Chain) -> Result<()> {
        let (path, upper) = (self.snapshot_dir(id)?, self.upper(id)?);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(SnapshotError::Exists(id.to_owned()))
            }
            made => made.map_err(system("create", &path)),
        }?;
        if chain.lowers.is_empty() {
            make_private(&self.nothing())?;
        }
        make_like_root(chain, &upper)
    }

    /// The second half: on which layers the snapshot stands. Without the directory `owner` it is garbage.
    pub fn record(
        &self,
        id: &str,
        chain: &Chain,
        volatile: bool,
        owner: Option<&Path>,
    ) -> Result<()> {
        let record = SnapshotRecord {
            owner: owner.map(Path::to_owned),
            read_only: false,
            volatile,
            ..SnapshotRecord::view(chain)
        };
        write_json(&self.snapshot_dir(id)?.join(RECORD), &record)
    }

    /// The directory without which a snapshot is garbage.
    pub fn owner(&self, id: &str) -> Result<Option<PathBuf>> {
        Ok(self.snapshot_record(id)?.owner)
    }

    /// A read-only snapshot of a chain, named `id`.
    pub fn view(&self, id: &str, chain: &Chain) -> Result<OverlayMount> {
        self.create_view(id, chain)?;
        self.describe(id, chain, true, false)
    }

    /// What to mount for a snapshot made earlier.
    pub fn mounts(&self, id: &str) -> Result<OverlayMount> {
        let record = self.snapshot_record(id)?;
        let chain = match &record.directory {
            Some(directory) => Chain::directory(directory),
            None => self.chain(&record.diff_ids)?,
        };
        self.describe(id, &chain, record.read_only, record.volatile)
    }

    /// Takes away the mark that a mounted `volatile` snapshot is not to be mounted again: for whoever removes it anyway
    /// when it has ended, and has time now. What can't be done is left to [`Snapshots::remove`].
    pub fn forget_mount(&self, id: &str) {
        let Ok(path) = self.snapshot_dir(id) else {
            return;
        };
        let mark = path.join(VOLATILE_MARK);
        let _ = fs::remove_file(&mark);
        for directory in mark.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(directory);
        }
    }

    /// Removes a snapshot and what was written in it. It must not be mounted.
    pub fn remove(&self, id: &str) -> Result<()> {
        let path = self.snapshot_dir(id)?;
        if !self.snapshot_record(id)?.read_only {
            return self.remove_writable(id);
        }
        let work = self.work_name("removed");
        let _claim = Claim::wait(&lock_path(&work))?;
        match fs::rename(&path, &work) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SnapshotError::Missing(id.to_owned()))
            }
            Err(error) => Err(system("remove", &path)(error)),
            Ok(()) => remove_dir(&work),
        }
    }

    /// [`Snapshots::remove`] of one that is known to be writable, or half made or removed.
    pub fn remove_writable(&self, id: &str) -> Result<()> {
        let (path, upper) = (self.snapshot_dir(id)?, self.upper(id)?);
        // All are empty more often than not: then nobody has to look into them.
        if fs::remove_dir(&upper).is_err() {
            remove_dir(&upper)?;
        }
        let _ = fs::remove_dir(path.join("work"));
        let _ = fs::remove_file(path.join(RECORD));
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SnapshotError::Missing(id.to_owned()))
            }
            Err(_) => remove_dir(&path),
            Ok(()) => Ok(()),
        }
    }

    /// The snapshots there are.
    pub fn list(&self) -> Result<Vec<String>> {
        let dir = self.root.join("snapshots");
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(system("read", &dir))? {
            let name = entry.map_err(system("read", &dir))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Complete before it has its name.
    fn create_view(&self, id: &str, chain: &Chain) -> Result<()> {
        let _gate = self.gate()?;
        need_layers(chain)?;
        let path = self.snapshot_dir(id)?;
        let work = self.work_name("snapshot");
        let _claim = Claim::wait(&lock_path(&work))?;
        make_private(&work)?;
        write_json(&work.join(RECORD), &SnapshotRecord::view(chain))?;
        make_like_root(chain, &work.join("root"))?;
        let Err(error) = fs::rename(&work, &path) else {
            return Ok(());
        };
        remove_dir(&work)?;
        Err(match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                SnapshotError::Exists(id.to_owned())
            }
            _ => system("rename to", &path)(error),
        })
    }

    fn describe(
        &self,
        id: &str,
        chain: &Chain,
        read_only: bool,
        volatile: bool,
    ) -> Result<OverlayMount> {
        let path = self.snapshot_dir(id)?;
        let mut lowers = chain.lowers.clone();
        // Without an upper directory overlayfs wants two lower ones, and with one it wants one.
        if read_only {
            lowers.insert(0, Lower::Directory(path.join("root")));
        } else if lowers.is_empty() {
            lowers.push(Lower::Directory(self.nothing()));
        }
        let upper = self.upper(id)?;
        Ok(OverlayMount {
            lowers,
            upper: (!read_only).then_some(upper),
            // overlayfs makes a directory `work` in it.
            work: (!read_only).then_some(path),
            userxattr: self.overlay_xattrs == OverlayXattrs::User,
            volatile,
        })
    }

    /// The lower directory of those who have no layers.
    fn nothing(&self) -> PathBuf {
        self.root.join("nothing")
    }

    pub(super) fn layer_dir(&self, diff_id: &DiffId) -> PathBuf {
        self.root
            .join("layers")
            .join(diff_id.0.algorithm().name())
            .join(diff_id.0.hex())
    }

    pub(super) fn seam_dir(&self, chain_id: &ChainId) -> PathBuf {
        self.root
            .join("seams")
            .join(chain_id.0.algorithm().name())
            .join(chain_id.0.hex())
    }

    pub(super) fn snapshot_dir(&self, id: &str) -> Result<PathBuf> {
        let letter = |c: char| c.is_ascii_alphanumeric();
        let valid = !id.is_empty()
            && !id.starts_with('.')
            && id.len() <= 255
            && id
                .chars()
                .all(|c| letter(c) || matches!(c, '_' | '+' | '-' | '.'));
        if valid {
            Ok(self.root.join("snapshots").join(id))
        } else {
            Err(SnapshotError::Name(id.to_owned()))
        }
    }

    pub(super) fn layer_record(&self, diff_id: &DiffId) -> Result<LayerRecord> {
        let path = self.layer_dir(diff_id).join("layer.json");
        match read_json(&path) {
            Ok(None) => Err(SnapshotError::NotUnpacked(diff_id.to_string())),
            Ok(Some(record)) => Ok(record),
            Err(error) => Err(error),
        }
    }

    pub(super) fn loose_ends(&self, diff_id: &DiffId) -> Result<Loose> {
        let path = self.layer_dir(diff_id).join("loose");
        let bytes = fs::read(&path).map_err(system("read", &path))?;
        Loose::from_bytes(&bytes).ok_or(SnapshotError::Damaged(path))
    }

    pub(super) fn snapshot_record(&self, id: &str) -> Result<SnapshotRecord> {
        let path = self.snapshot_dir(id)?.join(RECORD);
        read_json(&path)?.ok_or_else(|| SnapshotError::Missing(id.to_owned()))
    }

    /// Layers stay while this is held.
    pub(super) fn gate(&self) -> Result<Gate> {
        Gate::shared(&self.root.join("lock"))
    }

    /// A name below `work/` that nobody else has.
    pub(super) fn work_name(&self, kind: &str) -> PathBuf {
        self.root
            .join("work")
            .join(format!("{kind}-{}", unique_name()))
    }

    fn remove_junk(&self) -> Result<()> {
        let dir = self.root.join("work");
        for entry in fs::read_dir(&dir).map_err(system("read", &dir))? {
            let name = entry.map_err(system("read", &dir))?.file_name();
            let text = name.to_string_lossy();
            let name = text.strip_suffix(LOCK_SUFFIX).unwrap_or(&text);
            let path = dir.join(name);
            if let Some(_claim) = Claim::take(&lock_path(&path))? {
                remove_dir(&path)?;
            }
        }
        Ok(())
    }
}

impl SnapshotRecord {
    fn view(chain: &Chain) -> SnapshotRecord {
        SnapshotRecord {
            diff_ids: chain.diff_ids.clone(),
            directory: chain.directory.clone(),
            owner: None,
            read_only: true,
            volatile: false,
        }
    }
}

fn need_layers(chain: &Chain) -> Result<()> {
    match chain.lowers.iter().find(|lower| !lower.name().exists()) {
        Some(missing) => Err(SnapshotError::NotUnpacked(
            missing.name().display().to_string(),
        )),
        None => Ok(()),
    }
}

/// Makes the directory of a stack that decides what `/` itself looks like: it must look as the image says.
fn make_like_root(chain: &Chain, dir: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(dir);
    made.map_err(system("create", dir))?;
    let to = open_dir(dir)?;
    match &chain.root {
        Some(root) => root
            .open()
            .and_then(|root| copy_metadata(root, to))
            .map_err(errno("copy metadata to", dir)),
        None => rustix::fs::fchmod(to, rustix::fs::Mode::from_raw_mode(0o755))
            .map_err(errno("chmod", dir)),
    }
}

/// The file to lock for the work directory `path`.
pub(super) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(LOCK_SUFFIX);
    PathBuf::from(name)
}

pub(super) fn make_private(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(system("create", path))
}

pub(super) fn open_dir(path: &Path) -> Result<File> {
    File::open(path).map_err(system("open", path))
}

/// Removes a directory of the store with all it holds; one that is gone is fine.
pub(super) fn remove_dir(path: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let name: &OsStr = name;
    match remove_tree(open_dir(parent)?, name.as_bytes(), &mut |_| ()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(errno("remove", path)(error)),
    }
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(system("encode", path))?;
    fs::write(path, bytes).map_err(system("write", path))
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| SnapshotError::Damaged(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(system("read", path)(error)),
    }
}
