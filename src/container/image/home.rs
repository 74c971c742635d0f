//! The store on disk: images as they came, layers as they are mounted. Opened, nothing more.

use super::erofs::mount_erofs;
use crate::error::{Context, Error, Result};
use oci::store::Store;
use rootfs::layer::{Fault, OverlayXattrs};
use rootfs::snapshot::{SnapshotError, Snapshots};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Unpacked layers and containers' directories, below the image store.
const OVERLAY: &str = "overlay";

/// An image store with its unpacked layers.
#[derive(Debug, Clone)]
pub struct Home {
    /// Images as they came.
    pub store: Store,
    /// Layers as they are mounted.
    pub snapshots: Snapshots,
}

impl Home {
    /// Opens the store, making what is missing of it.
    pub fn open(root: &Path) -> Result<Home> {
        // A later command may be called from another directory.
        let root = std::path::absolute(root)
            .map_err(|error| Error::io(format!("make {} absolute", root.display()), &error))?;
        let store = Store::open(&root)?;
        let snapshots = Snapshots::open(root.join(OVERLAY), overlay_xattrs())?;
        Ok(Home {
            store,
            snapshots: snapshots.mounting(mount_erofs),
        })
    }

    /// The store of a container that exists: nothing of it is missing.
    pub(super) fn reopen(root: &Path) -> Home {
        Home {
            store: Store::reopen(root),
            snapshots: Snapshots::reopen(root.join(OVERLAY), overlay_xattrs()),
        }
    }

    /// A copy of this program that containers may execute, for `--init`: made once for each build. Our own file is out
    /// of their reach, and may have no path any more (CVE-2019-5736).
    pub fn init_program(&self) -> Result<PathBuf> {
        let own = fs::File::open("/proc/self/exe").context("open /proc/self/exe")?;
        let facts = own.metadata().context("stat /proc/self/exe")?;
        let directory = self.store.root().join(OVERLAY).join("init");
        let name = format!(
            "{:x}-{:x}-{:x}",
            facts.len(),
            facts.mtime(),
            facts.mtime_nsec()
        );
        let path = directory.join(&name);
        if path.exists() {
            return Ok(path);
        }
        let fresh = directory.join(format!("{name}.{}", std::process::id()));
        let made = fs::create_dir_all(&directory)
            .and_then(|()| fs::File::create(&fresh))
            .and_then(|mut file| {
                io::copy(&mut &own, &mut file)?;
                file.set_permissions(fs::Permissions::from_mode(0o555))
            })
            .and_then(|()| fs::rename(&fresh, &path));
        made.context(format_args!("copy this program to {}", path.display()))?;
        Ok(path)
    }

    /// The lowest layer of containers.
    pub(super) fn places(&self) -> PathBuf {
        self.store.root().join(OVERLAY).join("places")
    }

    /// Where notes about containers that a living process looks after are kept.
    pub(super) fn tended(&self) -> PathBuf {
        self.store.root().join(OVERLAY).join("tended")
    }
}

/// Only the machine's root may write overlayfs' own attributes.
fn overlay_xattrs() -> OverlayXattrs {
    match crate::host::is_machine_root() {
        true => OverlayXattrs::Trusted,
        false => OverlayXattrs::User,
    }
}

/// The sentence and the advice of the crate's error.
impl From<oci::Error> for Error {
    fn from(error: oci::Error) -> Error {
        let ours = Error::new(error.to_string());
        match error.advice() {
            Some(advice) => ours.hint(advice),
            None => ours,
        }
    }
}

/// A layer that is too large for an EROFS image.
const SMALLER: &str = "an EROFS image's tree is built in memory; --snapshotter overlay keeps none";
/// A layer that is packed with too large a window.
const REPACK: &str = "have the layer packed with a window of at most 8 MiB (zstd --long=23)";

/// What changes a layer's limit.
fn changing(what: &str) -> Option<String> {
    let flag = match what {
        "zstd window in bytes" => return Some(REPACK.into()),
        "number of entries" => "--max-files",
        "compression ratio" => "--max-ratio",
        "name depth in components" => "--max-depth",
        "extended attribute size in bytes" => "--max-xattr-size",
        "extension header size in bytes" => "--max-header-size",
        "size in bytes" | "uncompressed size in bytes" | "apparent size of all files in bytes" => {
            "--max-layer-size"
        }
        _ => return None,
    };
    Some(format!("if you trust the image, {flag} allows more"))
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Error {
        match &error {
            SnapshotError::System {
                operation,
                path,
                error,
            } => Error::io(format!("{operation} {}", path.display()), error),
            SnapshotError::Layer(layer) => match layer.fault() {
                Fault::System { errno, .. } if errno.raw_os_error() == libc::ENOSPC => {
                    Error::new(layer.to_string())
                        .hint("the store's disk is full; `image prune` removes what nothing needs")
                }
                // The larger part is what to change.
                Fault::Memory { window, tree, .. } => {
                    let advice = if window > tree { REPACK } else { SMALLER };
                    Error::new(layer.to_string()).hint(advice)
                }
                Fault::Limit { what, .. } => {
                    let ours = Error::new(layer.to_string());
                    match changing(what) {
                        Some(advice) => ours.hint(advice),
                        None => ours,
                    }
                }
                _ => Error::new(layer.to_string()),
            },
            SnapshotError::Mount { file, cause } => match cause.downcast_ref::<Error>() {
                Some(cause) => cause
                    .clone()
                    .context(format_args!("mount {}", file.display())),
                None => Error::new(error.to_string()),
            },
            _ => Error::new(error.to_string()),
        }
    }
}
