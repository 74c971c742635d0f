//! One layer of an image as one EROFS file: the same single pass as a directory, without an inode on disk for each entry.
//!
//! File contents go to the image as they arrive; the tree is kept in memory and written behind them. The kernel mounts the
//! file read-only (KERNEL(6.12): without a loop device), as a lower layer like any other. Knows nothing of mounting.

mod builder;
mod format;
mod image;
mod tree;

use std::fs::File;
use std::io::Read;

use builder::Builder;

use crate::layer::{Applied, LayerError, Options, read_into};

/// Entries whose tree still fits into the memory a layer may cost.
pub const MAX_ENTRIES: u64 = 150_000;

/// Writes the layer in `blob` to the empty file `image`. `spool` is an empty file for what is placed last; it may be
/// removed afterwards. What leans on lower layers is returned, as with a directory.
pub fn write<R: Read + Send>(
    blob: R,
    image: File,
    spool: File,
    options: &Options,
) -> Result<Applied, LayerError> {
    let mut options = options.clone();
    options.limits.entries = options.limits.entries.min(MAX_ENTRIES);
    read_into(blob, Builder::new(image, spool, &options), &options)
}
