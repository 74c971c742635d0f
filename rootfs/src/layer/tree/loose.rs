//! What a layer says only in terms of the layers below it: parents it doesn't list, hard links to files it doesn't have.
//!
//! A layer is unpacked without looking at others, so these ends stay loose until a chain of layers is known.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use crate::layer::error::Fault;
use crate::layer::limits::within;

/// A hard link whose target this layer doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingLink {
    /// Where the link goes, links resolved.
    pub(crate) path: Vec<u8>,
    /// The target as the archive spells it.
    pub(crate) target: Vec<u8>,
}

/// The loose ends of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loose {
    /// Directories made because something was in them, parents before children.
    pub(crate) implicit: Vec<Vec<u8>>,
    pub(crate) links: Vec<PendingLink>,
}

impl Loose {
    /// True when the layer means the same whatever is below it.
    pub fn is_empty(&self) -> bool {
        self.implicit.is_empty() && self.links.is_empty()
    }

    /// Writes records of a kind, a name and a target, each ended by a NUL, which no name has in it.
    pub(crate) fn write_to(&self, out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        for path in &self.implicit {
            out.write_all(&[b"d\0", path.as_slice(), b"\0\0"].concat())?;
        }
        for link in &self.links {
            out.write_all(&[b"l\0", link.path.as_slice(), b"\0", &link.target, b"\0"].concat())?;
        }
        out.flush()
    }

    /// What [`Loose::write_to`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut loose = Self::default();
        let mut fields = bytes.split(|&b| b == 0);
        loop {
            match (fields.next()?, fields.next(), fields.next()) {
                (b"", None, None) => return Some(loose),
                (b"d", Some(path), Some(b"")) => loose.implicit.push(path.to_vec()),
                (b"l", Some(path), Some(target)) => {
                    loose.links.push(PendingLink {
                        path: path.to_vec(),
                        target: target.to_vec(),
                    });
                }
                _ => return None,
            }
        }
    }
}

/// What a directory costs besides its name: its slot in a map that grows by doubling, its allocation.
const DIRECTORY_BYTES: usize = 144;
/// What a link costs besides its names.
const LINK_BYTES: usize = 256;

/// Loose ends while the layer grows: later entries may tie them.
#[derive(Default)]
pub(crate) struct LooseEnds {
    /// By inode, so that it doesn't matter by which name a directory is reached later.
    implicit: HashMap<u64, Vec<u8>>,
    /// By the link's own path, with its place in the archive and its target.
    links: HashMap<Vec<u8>, (usize, Vec<u8>)>,
    seen: usize,
    bytes: usize,
}

impl LooseEnds {
    pub(super) fn add_directory(
        &mut self,
        inode: u64,
        path: &[u8],
        limit: usize,
    ) -> Result<(), Fault> {
        self.charge(path.len() + DIRECTORY_BYTES, limit)?;
        self.implicit.insert(inode, path.to_vec());
        Ok(())
    }

    pub(crate) fn add_link(&mut self, link: PendingLink, limit: usize) -> Result<(), Fault> {
        self.charge(link.path.len() + link.target.len() + LINK_BYTES, limit)?;
        self.seen += 1;
        self.links.insert(link.path, (self.seen, link.target));
        Ok(())
    }

    fn charge(&mut self, bytes: usize, limit: usize) -> Result<(), Fault> {
        self.bytes += bytes;
        within(
            "memory for names that lean on lower layers, in bytes",
            self.bytes as u64,
            limit as u64,
        )
    }

    /// Memory that all of them ever cost.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The directory has an entry of its own now, or is gone.
    pub(super) fn settle_directory(&mut self, inode: u64) {
        self.implicit.remove(&inode);
    }

    pub(crate) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Something else was made in the link's place.
    pub(crate) fn drop_link(&mut self, path: &[u8]) {
        self.links.remove(path);
    }

    pub(crate) fn finish(self) -> Loose {
        let mut implicit: Vec<Vec<u8>> = self.implicit.into_values().collect();
        implicit.sort();
        let mut links: Vec<_> = self.links.into_iter().collect();
        links.sort_by_key(|(_, (at, _))| *at);
        let links = links
            .into_iter()
            .map(|(path, (_, target))| PendingLink { path, target });
        Loose {
            implicit,
            links: links.collect(),
        }
    }
}
