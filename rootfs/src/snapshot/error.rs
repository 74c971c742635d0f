//! What can go wrong with snapshots, as one sentence with the operation and the path.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::layer::LayerError;

/// A snapshot operation failed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A layer could not be unpacked.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A blob could not be opened.
    #[error("open the blob of layer {layer}: {error}")]
    Blob {
        /// The layer's diffID.
        layer: String,
        /// Why.
        error: io::Error,
    },
    /// A system call on the store failed.
    #[error("{operation} {}: {error}", path.display())]
    System {
        /// The call.
        operation: &'static str,
        /// Its path.
        path: PathBuf,
        /// Its error.
        error: io::Error,
    },
    /// A layer's image could not be mounted.
    #[error("mount {}: {cause}", file.display())]
    Mount {
        /// The image.
        file: PathBuf,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The name is taken.
    #[error("snapshot {0} exists already")]
    Exists(String),
    /// There is no such snapshot.
    #[error("snapshot {0} does not exist")]
    Missing(String),
    /// A name that can't be a snapshot's.
    #[error(
        "snapshot name {0:?}: use letters, digits and _ + - . and begin with another than a dot"
    )]
    Name(String),
    /// A layer of the chain was never unpacked, or was removed.
    #[error("layer {0} is not unpacked here")]
    NotUnpacked(String),
    /// Snapshots that can't be what was asked for.
    #[error("{0}")]
    Refused(String),
    /// The store has something that crun-lite did not write.
    #[error("{}: damaged; remove it, and the image is unpacked again", .0.display())]
    Damaged(PathBuf),
}

/// Shorthand of the room.
pub type Result<T> = std::result::Result<T, SnapshotError>;

pub(super) fn system<E: Into<io::Error>>(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> SnapshotError {
    let path = path.to_owned();
    move |error| SnapshotError::System {
        operation,
        path,
        error: error.into(),
    }
}

pub(super) fn errno(operation: &'static str, path: &Path) -> impl FnOnce(Errno) -> SnapshotError {
    system(operation, path)
}
