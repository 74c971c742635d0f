//! New images: directories packed into layers, documents written, a name given.

use super::Home;
use crate::container::timestamp;
use crate::error::{Error, Result};
use oci::Digest;
use oci::build::{self, Change, NewLayer};
use oci::descriptor::{self, OCI_MANIFEST};
use oci::store::{FreshBlob, Lease, Opened, Store};
use rootfs::snapshot::{Committed, Compression, SnapshotError, pack};
use std::path::Path;

/// An image in the making. Its blobs stay while this lives; it exists once it has a name.
pub struct Author<'s> {
    store: &'s Store,
    lease: Lease,
    layers: Vec<NewLayer>,
}

impl<'s> Author<'s> {
    /// Begins an image.
    pub fn new(store: &'s Store) -> Result<Author<'s>> {
        Ok(Author {
            store,
            lease: store.lease()?,
            layers: Vec::new(),
        })
    }

    /// One more layer: all that is in a directory.
    pub fn pack(&mut self, directory: &Path, how: Compression, created_by: &str) -> Result<()> {
        self.layer(how, created_by, |out| pack(directory, how, out))
    }

    /// One more layer, written by `write`.
    pub fn layer(
        &mut self,
        how: Compression,
        created_by: &str,
        write: impl FnOnce(&mut FreshBlob<'s>) -> Result<Committed, SnapshotError>,
    ) -> Result<()> {
        let mut blob = self.store.write_blob()?;
        let committed = write(&mut blob)?;
        self.layers.push(NewLayer {
            blob: blob.finish(&self.lease)?,
            diff_id: committed.diff_id,
            compression: described(how),
            created_by: created_by.to_owned(),
        });
        Ok(())
    }

    /// Writes the documents, on top of another image's or not, and names the image.
    pub fn publish(self, parent: Option<&Opened>, change: &Change, name: &str) -> Result<Digest> {
        let parent_config = parent
            .map(|parent| {
                let limit = oci::image_config::MAX_CONFIG_BYTES;
                self.store.read_blob(&parent.manifest.config, limit)
            })
            .transpose()?;
        if let Some(parent) = parent {
            let below = parent.manifest.layers.iter();
            self.lease.add(below.map(|layer| &layer.blob.digest))?;
        }
        let change = Change {
            created: timestamp::now_seconds(),
            ..change.clone()
        };
        let config = build::config(parent_config.as_deref(), &self.layers, &change)?;
        let config = self.put(&config)?;
        let manifest = parent.map(|parent| &parent.manifest);
        let manifest = self.put(&build::manifest(manifest, &config, &self.layers)?)?;
        let descriptor = manifest.descriptor(OCI_MANIFEST)?;
        self.store.set_ref(name, &descriptor)?;
        Ok(manifest.digest)
    }

    fn put(&self, bytes: &[u8]) -> Result<oci::descriptor::Blob> {
        // Claimed before it is looked for: garbage collection may run at any moment.
        self.lease.add([&Digest::of(bytes)])?;
        Ok(self.store.put(bytes)?)
    }
}

/// The descriptor's word for it.
fn described(how: Compression) -> descriptor::Compression {
    match how {
        Compression::None => descriptor::Compression::None,
        Compression::Gzip => descriptor::Compression::Gzip,
    }
}

/// `none` or `gzip`. Layers packed with zstd are read, not written: its compressor would weigh more than our TLS.
pub fn compression(word: &str) -> Result<Compression> {
    match word {
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        other => Err(Error::new(format!(
            "--compression: unknown value {other:?}, want none or gzip"
        ))),
    }
}

impl Home {
    /// An image by the digest of its manifest, whether it has a name or not.
    pub fn open_manifest(&self, manifest: &Digest) -> Result<Opened> {
        Ok(self.store.open_manifest(manifest)?)
    }
}
