//! A blob of our own making, whose digest nobody knows before its last byte.

use super::Store;
use super::ingest::Temporary;
use super::lease::Lease;
use crate::descriptor::Blob;
use crate::digest::{Algorithm, Hasher};
use crate::error::Result;
use std::io::{self, Write};

/// A blob that is being written. Dropped before [`FreshBlob::finish`], it never was.
pub struct FreshBlob<'s> {
    store: &'s Store,
    temporary: Temporary,
    hasher: Hasher,
    bytes: u64,
}

impl Store {
    /// Begins a blob.
    pub fn write_blob(&self) -> Result<FreshBlob<'_>> {
        Ok(FreshBlob {
            store: self,
            temporary: self.temporary()?,
            hasher: Hasher::new(Algorithm::Sha256),
            bytes: 0,
        })
    }
}

impl FreshBlob<'_> {
    /// Gives the blob its name. `lease` keeps it until an image leads to it.
    pub fn finish(self, lease: &Lease) -> Result<Blob> {
        let blob = Blob {
            digest: self.hasher.finish(),
            size: self.bytes,
        };
        lease.add([&blob.digest])?;
        if !self.store.has(&blob) {
            self.temporary
                .move_to(&self.store.blob_path(&blob.digest))?;
        }
        Ok(blob)
    }
}

impl Write for FreshBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.temporary.write_some(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
