//! Containers made from images: from a reference to layers on disk, to a plan's overlay, to the directory that goes with
//! the container.
//!
//! [`fetch`](fetch::fetch) brings an image in and unpacks it; [`Staged`] is a container of it that is about to be made;
//! [`ImageRecord`] is what `delete` needs to know. Nothing here mounts: init does, in its own mount namespace.

mod author;
mod commit;
pub mod demo;
mod erofs;
mod fetch;
mod home;
mod mounted;
mod places;
mod staged;
mod subordinate;
mod sweep;

pub use author::{Author, compression};
pub use commit::{CommitOptions, commit};
pub use fetch::{FetchOptions, Fetched, Pull, fetch};
pub use home::Home;
pub use mounted::{copy_image, mount_image, unmount_image};
pub use staged::{ETC_FILES, ImageRecord, Staged, discard, write_config};
pub use subordinate::{enter, outer_uid, own_maps};
pub use sweep::{Tended, remove_unused_layers, sweep, sweep_half_made, sweep_snapshots};

use crate::error::{Context, Result};
use oci::bundle::RunOptions;
use rootfs::snapshot::{Chain, Hold};
use std::path::PathBuf;
use std::sync::Arc;

/// What a container's root file system is made of, and what the user wants of the container.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// The store.
    pub home: Home,
    /// What lies below the container's own directory.
    pub base: Base,
    /// Everything that the command line says about the container.
    pub run: RunOptions,
    /// `--rm`: whoever waits for the container's end deletes it.
    pub remove: bool,
}

/// What lies below a container's own directory.
#[derive(Debug, Clone)]
pub enum Base {
    /// An image's layers.
    Image(Arc<Fetched>),
    /// `--rootfs DIR:O`.
    Directory(PathBuf),
}

impl Base {
    fn chain(&self) -> Chain {
        match self {
            Base::Image(image) => image.chain.clone(),
            Base::Directory(directory) => Chain::directory(directory),
        }
    }

    /// Keeps the layers, and what is being made on them, until a container stands on them: that keeps them then.
    fn hold(&self, home: &Home) -> Result<Hold> {
        let held = match self {
            Base::Image(image) => image.hold.lock().ok().and_then(|mut hold| hold.take()),
            Base::Directory(_) => None,
        };
        held.map_or_else(|| Ok(home.snapshots.hold()?), Ok)
    }
}

/// Whether we are root of the machine, and not of a user namespace only.
pub fn is_machine_root() -> bool {
    crate::host::is_machine_root()
}

/// COMPAT(docker): without `--interactive` a container reads nothing.
pub fn silence_standard_input() -> Result<()> {
    crate::sys::open::silence_standard_input().context("open /dev/null as standard input")
}
