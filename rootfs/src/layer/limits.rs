//! How much a layer may ask for. Every number that a hostile layer chooses is compared with one of these.
//!
//! The defaults let every real image pass and stop bombs early; command-line flags change them.

use super::error::Fault;

/// Bounds on one layer.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Uncompressed bytes of the stream, and apparent bytes of the files made from it.
    pub bytes: u64,
    /// Uncompressed bytes a compressed byte may become, once `ratio_from_bytes` are out.
    pub ratio: u64,
    /// Below this many uncompressed bytes the ratio is not looked at.
    pub ratio_from_bytes: u64,
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of an entry's name or a link's target.
    pub path_bytes: usize,
    /// Components of an entry's name.
    pub path_depth: usize,
    /// Bytes of one extended attribute's value; the kernel takes no more than 64 KiB.
    pub xattr_bytes: usize,
    /// Bytes of one PAX or GNU extension header.
    pub header_bytes: u64,
    /// Data segments of one sparse file.
    pub sparse_segments: usize,
    /// Bytes remembered about directories and links that lean on lower layers.
    pub loose_bytes: usize,
    /// Binary logarithm of the largest zstd window; 25 is 32 MiB.
    pub zstd_window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 30,
            ratio: 400,
            ratio_from_bytes: 1 << 30,
            entries: 5_000_000,
            path_bytes: 4095,
            path_depth: 256,
            xattr_bytes: 65536,
            header_bytes: 1 << 20,
            sparse_segments: 131_072,
            loose_bytes: 16 << 20,
            zstd_window_log: 25,
        }
    }
}

impl Limits {
    /// Refuses a name, or a link's target, of so many bytes.
    pub(crate) fn check_name_bytes(&self, bytes: usize) -> Result<(), Fault> {
        within("name length in bytes", bytes as u64, self.path_bytes as u64)
    }

    /// Refuses files that together look so large, holes included.
    pub(crate) fn check_apparent_bytes(&self, bytes: u64) -> Result<(), Fault> {
        within("apparent size of all files in bytes", bytes, self.bytes)
    }

    /// Refuses a sparse file of so many segments.
    pub(crate) fn check_segments(&self, count: u64) -> Result<(), Fault> {
        within("sparse segments", count, self.sparse_segments as u64)
    }
}

/// Refuses `actual` above `limit`.
pub(crate) fn within(what: &'static str, actual: u64, limit: u64) -> Result<(), Fault> {
    if actual > limit {
        Err(Fault::Limit {
            what,
            actual,
            limit,
        })
    } else {
        Ok(())
    }
}
