//! Layers on disk, stacked: unpacked once, shared by all, with one writable directory a container.
//!
//! ```text
//! layers/sha256/DIFFID/{fs,layer.json,loose}   one unpacked layer, whatever is below it; `layer.erofs` may be in place of `fs`
//! seams/sha256/CHAINID/fs                      what a layer leaves to those below it: seam.rs
//! snapshots/ID/{snapshot.json,work,root}       what a snapshot is; overlayfs' `work` of a writable one, `/` of a view
//! uppers/ID                                    what a container has changed
//! nothing/                                     the layer of those who have none
//! work/                                        being made or removed; what no process holds is removed by the next
//! lock                                         shared to use layers and make a snapshot, exclusive to remove them
//! ```
//! Everything appears under its name by `rename`, complete, but a writable snapshot: it is made in place, its record last,
//! and without one it is garbage unless somebody holds the lock. Snapshots *return* mounts, they never mount.

mod commit;
mod copy;
mod error;
mod gc;
mod lock;
mod lower;
mod merged;
mod mounts;
mod read;
mod seam;
mod store;
#[cfg(test)]
mod tests;
mod unpack;

pub use commit::{Committed, Compression, pack};
pub use error::{Result, SnapshotError};
pub use gc::Removed;
pub use lock::Gate as Hold;
pub use lower::{Form, Lower, MountImage};
pub use mounts::{OverlayMount, Parameter};
pub use read::Tree;
pub use store::Snapshots;
pub use unpack::{LayerBlob, UnpackOptions};

use oci::{ChainId, DiffId};
use std::path::PathBuf;

/// Layers that belong on top of each other, the lowest first, all unpacked; or a directory of the host in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    diff_ids: Vec<DiffId>,
    directory: Option<PathBuf>,
    /// What to stack, the topmost first.
    lowers: Vec<Lower>,
    /// The one whose own looks are those of `/`.
    root: Option<Lower>,
}

impl Chain {
    /// Any directory as the one layer: it is only read.
    pub fn directory(path: impl Into<PathBuf>) -> Chain {
        let path = path.into();
        Chain {
            diff_ids: Vec::new(),
            lowers: vec![Lower::Directory(path.clone())],
            root: Some(Lower::Directory(path.clone())),
            directory: Some(path),
        }
    }

    /// The layers' diffIDs, the lowest first.
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// The identity of all of it; none without layers.
    pub fn id(&self) -> Option<ChainId> {
        ChainId::chain(&self.diff_ids).pop()
    }
}
