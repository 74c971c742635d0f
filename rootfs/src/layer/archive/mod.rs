//! The tar format: a stream of blocks in, one [`Entry`] after the other out, each with its body; and the way back.
//!
//! One source for every fact: a PAX record overrides the header, and where two of them could be read differently by
//! two implementations the archive is refused (CVE-2025-62518). Never touches a file system.

mod entry;
mod extension;
mod field;
mod header;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use entry::{Entry, Kind, Timestamp, Xattr};
pub(crate) use reader::Archive;
pub(crate) use sparse::Segment;
pub(crate) use writer::{TarEntry, TarWriter};

const BLOCK_BYTES: usize = 512;
