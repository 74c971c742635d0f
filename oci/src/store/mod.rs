//! The local store: an OCI image layout on disk that other tools read, shared by many processes.
//!
//! ```text
//! oci-layout index.json blobs/sha256/…    the standard; a name is the annotation org.opencontainers.image.ref.name
//! ingest/                                 what is being written; a partial download stays here and is resumed
//! leases/                                 one flocked file for each running pull: what gc must leave alone
//! containers/                             one file for each container: the manifest it uses
//! lock                                    shared to take a lease, exclusive to write index.json and to collect garbage
//! ```
//! A file appears under its final name by `rename` only, whole and verified, so `kill -9` anywhere leaves a store.

mod fresh;
mod gc;
mod ingest;
mod lease;
mod listing;
mod lock;
mod pin;
mod refs;

pub use fresh::FreshBlob;
pub use gc::{Garbage, GcOptions};
pub use ingest::{Begin, Ingest, Receiver};
pub use lease::Lease;
pub use listing::{Listed, Opened, Pruned};
pub use lock::{LockError, has_name, lock_named, open_lock, unique_name};
pub use refs::Image;
pub(crate) use refs::SOURCE_INDEX;

use crate::descriptor::Blob;
use crate::digest::{Algorithm, Digest};
use crate::error::{Context, Error, Kind, Result};
use crate::image_config::{ImageConfig, MAX_CONFIG_BYTES};
use crate::manifest::{Document, MAX_MANIFEST_BYTES, Manifest};
use crate::verify::VerifyingReader;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An image store. Cheap to open; holds no lock while idle.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store, making what is missing of it.
    pub fn open(root: impl Into<PathBuf>) -> Result<Store> {
        let store = Store { root: root.into() };
        // One question to a store in use: the last of them is here when all are.
        let missing: &[&str] = match store.root.join("containers").is_dir() {
            true => &[],
            false => &["blobs/sha256", "ingest", "leases", "containers"],
        };
        for dir in missing {
            let dir = store.root.join(dir);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)
                .context(format_args!("create {}", dir.display()))?;
        }
        store.write_layout()?;
        Ok(store)
    }

    /// A store that was opened before: nothing is made, nothing is looked at.
    pub fn reopen(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// Where the store is when the user doesn't say.
    ///
    /// `data_home` is `$XDG_DATA_HOME` or `$HOME/.local/share` of an ordinary user, and none for root.
    pub fn default_root(data_home: Option<&Path>) -> PathBuf {
        data_home.unwrap_or(Path::new("/var/lib")).join("crun-lite")
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn write_layout(&self) -> Result<()> {
        let path = self.root.join("oci-layout");
        match fs::read(&path) {
            Ok(text) if text == LAYOUT => Ok(()),
            Ok(text) => {
                let version = serde_json::from_slice::<serde_json::Value>(&text).ok();
                let version = version
                    .as_ref()
                    .and_then(|v| v["imageLayoutVersion"].as_str());
                if version == Some("1.0.0") {
                    return Ok(());
                }
                let what = format!("{}: no image layout of version 1.0.0", path.display());
                Err(Error::new(Kind::Invalid, what))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _lock = self.lock_exclusive()?;
                self.replace_file("oci-layout", LAYOUT)
            }
            Err(error) => Err(Error::io(format_args!("read {}", path.display()), error)),
        }
    }

    /// Puts a file of the store's top directory in place, whole or not at all. The caller holds the lock.
    fn replace_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut temporary = self.temporary()?;
        temporary.write(bytes)?;
        temporary.move_to(&self.root.join(name))?;
        sync_dir(&self.root)
    }

    /// The path of a blob, present or not.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blob_dir(digest.algorithm()).join(digest.hex())
    }

    fn blob_dir(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.name())
    }

    /// Whether a blob is here. One of another size, as a power cut may leave, doesn't count.
    pub fn has(&self, blob: &Blob) -> bool {
        fs::metadata(self.blob_path(&blob.digest))
            .is_ok_and(|m| m.is_file() && m.len() == blob.size)
    }

    /// A blob's bytes, verified as they are read.
    pub fn open_blob(&self, blob: &Blob) -> Result<VerifyingReader<File>> {
        let path = self.blob_path(&blob.digest);
        let file = File::open(&path).context(format_args!("open {}", path.display()))?;
        Ok(VerifyingReader::new(file, blob.digest.clone(), blob.size))
    }

    /// A small blob in memory, verified.
    pub fn read_blob(&self, blob: &Blob, max_bytes: u64) -> Result<Vec<u8>> {
        if blob.size > max_bytes {
            let what = format!(
                "blob {} of {} bytes is larger than {max_bytes}",
                blob.digest, blob.size
            );
            return Err(Error::new(Kind::TooLarge, what));
        }
        let mut bytes = Vec::with_capacity(blob.size as usize);
        self.open_blob(blob)?
            .read_to_end(&mut bytes)
            .context(format_args!(
                "read {}",
                self.blob_path(&blob.digest).display()
            ))?;
        Ok(bytes)
    }

    /// An index or manifest.
    pub fn read_document(&self, descriptor: &crate::spec::Descriptor) -> Result<Document> {
        let blob = Blob::of(descriptor)?;
        let bytes = self.read_blob(&blob, MAX_MANIFEST_BYTES)?;
        Document::parse(&bytes, Some(descriptor.media_type().as_ref()))
            .context(format_args!("blob {}", blob.digest))
    }

    /// An image's configuration, agreeing with its manifest.
    pub fn read_config(&self, manifest: &Manifest) -> Result<ImageConfig> {
        let bytes = self.read_blob(&manifest.config, MAX_CONFIG_BYTES)?;
        let config =
            ImageConfig::parse(&bytes).context(format_args!("blob {}", manifest.config.digest))?;
        config.check_layers(manifest)?;
        Ok(config)
    }

    /// Stores a small blob.
    pub fn put(&self, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob::of_bytes(bytes);
        if !self.has(&blob) {
            let mut temporary = self.temporary()?;
            temporary.write(bytes)?;
            temporary.move_to(&self.blob_path(&blob.digest))?;
        }
        Ok(blob)
    }
}

/// Makes renames within a directory last.
fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .context(format_args!("fsync {}", dir.display()))
}

#[cfg(test)]
mod tests;
