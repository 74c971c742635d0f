//! Garbage collection: removes blobs that no name, no container and no running pull leads to.
//!
//! Under the exclusive lock nobody can name, pin or lease anything, so what is unmarked stays unmarked. A document that
//! can't be read stops the collection: what it needs is unknown.

use super::Store;
use super::lock::{Owned, try_own_existing};
use crate::descriptor::{Blob, MediaKind, media_kind};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::{Document, MAX_MANIFEST_BYTES};
use crate::spec;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Indexes in indexes are followed this deep.
const MAX_DEPTH: usize = 8;

/// What else goes.
#[derive(Debug, Clone, Copy)]
pub struct GcOptions {
    /// Partial downloads that nobody works on go when they are older.
    pub partials_older_than: Duration,
}

impl Default for GcOptions {
    fn default() -> Self {
        GcOptions {
            partials_older_than: Duration::from_secs(24 * 3600),
        }
    }
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Garbage {
    /// The blobs.
    pub blobs: Vec<Digest>,
    /// Bytes of blobs and partial downloads.
    pub bytes: u64,
}

impl Store {
    /// Removes what nothing leads to.
    pub fn collect_garbage(&self, options: &GcOptions) -> Result<Garbage> {
        let _lock = self.lock_exclusive()?;
        let marked = self.mark()?;
        let mut garbage = Garbage::default();
        for algorithm in ["sha256", "sha512"] {
            self.sweep_blobs(algorithm, &marked, &mut garbage)?;
        }
        self.sweep_partials(options, &mut garbage)?;
        Ok(garbage)
    }

    fn mark(&self) -> Result<HashSet<Digest>> {
        let mut marked = HashSet::new();
        for image in self.images()? {
            let name = image.name.as_deref().unwrap_or("without a name");
            self.mark_descriptor(&image.descriptor, &mut marked, 0)
                .map_err(|error| {
                    error
                        .context(format_args!("collect garbage: image {name}"))
                        .hint(format!(
                            "`crun-lite image rm {name}` removes the damaged image"
                        ))
                })?;
        }
        for (container, manifest) in self.pins()? {
            self.mark_pinned(&manifest, &mut marked)
                .context(format_args!(
                    "collect garbage: image of container {container}"
                ))?;
        }
        marked.extend(self.leased()?);
        Ok(marked)
    }

    fn mark_descriptor(
        &self,
        descriptor: &spec::Descriptor,
        marked: &mut HashSet<Digest>,
        depth: usize,
    ) -> Result<()> {
        let blob = Blob::of(descriptor)?;
        let is_document = matches!(
            media_kind(descriptor.media_type().as_ref()),
            MediaKind::Index | MediaKind::Manifest
        );
        let fresh = marked.insert(blob.digest.clone());
        // An index may list images of other platforms that were never fetched.
        if !fresh || !is_document || !self.blob_path(&blob.digest).exists() {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(Error::new(
                Kind::Corrupt,
                format!("index {} is nested too deep", blob.digest),
            ));
        }
        self.mark_document(&self.read_document(descriptor)?, marked, depth)
    }

    fn mark_document(
        &self,
        document: &Document,
        marked: &mut HashSet<Digest>,
        depth: usize,
    ) -> Result<()> {
        match document {
            Document::Index(index) => index
                .manifests()
                .iter()
                .try_for_each(|inner| self.mark_descriptor(inner, marked, depth + 1)),
            Document::Manifest(manifest) => {
                marked.insert(manifest.config.digest.clone());
                marked.extend(
                    manifest
                        .layers
                        .iter()
                        .map(|layer| layer.blob.digest.clone()),
                );
                Ok(())
            }
        }
    }

    /// A pin names a digest alone: size and media type are what the blob has.
    fn mark_pinned(&self, manifest: &Digest, marked: &mut HashSet<Digest>) -> Result<()> {
        let path = self.blob_path(manifest);
        let size = match fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io(format_args!("stat {}", path.display()), error)),
        };
        let blob = Blob {
            digest: manifest.clone(),
            size,
        };
        let document = Document::parse(&self.read_blob(&blob, MAX_MANIFEST_BYTES)?, None)?;
        marked.insert(blob.digest);
        self.mark_document(&document, marked, 0)
    }

    fn sweep_blobs(
        &self,
        algorithm: &str,
        marked: &HashSet<Digest>,
        garbage: &mut Garbage,
    ) -> Result<()> {
        let dir = self.root().join("blobs").join(algorithm);
        let Some(entries) = list(&dir)? else {
            return Ok(());
        };
        for entry in entries {
            let name = entry.file_name();
            // A file whose name is no digest isn't ours.
            let Ok(digest) = format!("{algorithm}:{}", name.to_string_lossy()).parse::<Digest>()
            else {
                continue;
            };
            if !marked.contains(&digest) {
                garbage.bytes += remove(&entry.path())?;
                garbage.blobs.push(digest);
            }
        }
        Ok(())
    }

    fn sweep_partials(&self, options: &GcOptions, garbage: &mut Garbage) -> Result<()> {
        let dir = self.root().join("ingest");
        for entry in list(&dir)?.unwrap_or_default() {
            let path = entry.path();
            let Some(Owned::Yes(file)) = try_own_existing(&path)? else {
                continue;
            };
            let meta = file
                .metadata()
                .context(format_args!("stat {}", path.display()))?;
            let age = meta
                .modified()
                .ok()
                .and_then(|m| SystemTime::now().duration_since(m).ok());
            let is_partial = !entry.file_name().to_string_lossy().starts_with("tmp-");
            if !is_partial || age.unwrap_or_default() >= options.partials_older_than {
                garbage.bytes += remove(&path)?;
            }
        }
        Ok(())
    }
}

fn list(dir: &Path) -> Result<Option<Vec<fs::DirEntry>>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .collect::<io::Result<_>>()
            .map(Some)
            .context(format_args!("read {}", dir.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format_args!("read {}", dir.display()), error)),
    }
}

fn remove(path: &Path) -> Result<u64> {
    let size = fs::symlink_metadata(path)
        .map(|meta| meta.len())
        .unwrap_or(0);
    match fs::remove_file(path) {
        Ok(()) => Ok(size),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io(format_args!("remove {}", path.display()), error)),
    }
}
