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

/// Writes the layer in `blob` to the empty file `image`. `spool` is an empty file for what is placed last; it may be
/// removed afterwards. What leans on lower layers is returned, as with a directory.
pub fn write<R: Read + Send>(
    blob: R,
    image: File,
    spool: File,
    options: &Options,
) -> Result<Applied, LayerError> {
    write_then(blob, (image, spool), options, |applied| applied)
}

/// [`write`], and what is to be done while the layer still has its share of memory.
pub(crate) fn write_then<R: Read + Send, T>(
    blob: R,
    (image, spool): (File, File),
    options: &Options,
    then: impl FnOnce(Applied) -> T,
) -> Result<T, LayerError> {
    read_into(blob, Builder::new(image, spool, options), options, then)
}
