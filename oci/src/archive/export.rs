//! Images out of the store: to a layout, to a tar of one, to what `docker load` reads.
//!
//! Every blob is verified on its way out; a file appears whole or not at all, and the same image makes the same bytes.

use super::layout::blob_path;
use super::replace;
use crate::descriptor::{Blob, Compression, REF_NAME, ref_name};
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::{Document, Manifest};
use crate::reference::{Location, Place};
use crate::store::{Image, Store};
use crate::{runtime, spec};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes an image to a directory or file.
pub fn export(store: &Store, image: &Image, to: &Location) -> Result<()> {
    let named = |place: &Place| place.tag.clone().or(image.name.clone());
    match to {
        Location::OciDir(place) => write_layout(store, image, &place.path, named(place)),
        Location::OciArchive(place) => replace(&place.path, |file| {
            write_oci_archive(store, image, named(place).as_deref(), file)
        }),
        Location::DockerArchive(place) => replace(&place.path, |file| {
            write_docker_archive(store, image, named(place).as_deref(), file)
        }),
        Location::Registry(_) | Location::Name(_) => Err(Error::new(
            Kind::Invalid,
            format!("export to {to}: not a file or directory"),
        )
        .hint("write oci:DIR, oci-archive:FILE or docker-archive:FILE")),
    }
}

fn manifest_of(store: &Store, image: &Image) -> Result<Manifest> {
    match store.read_document(&image.descriptor)? {
        Document::Manifest(manifest) => Ok(*manifest),
        Document::Index(_) => Err(Error::new(
            Kind::Invalid,
            "the image is an index of several",
        )),
    }
}

/// Manifest, config and layers, each once.
fn blobs(image: &Image, manifest: &Manifest) -> Result<Vec<Blob>> {
    let mut blobs = vec![Blob::of(&image.descriptor)?, manifest.config.clone()];
    for layer in &manifest.layers {
        if !blobs.contains(&layer.blob) {
            blobs.push(layer.blob.clone());
        }
    }
    Ok(blobs)
}

fn entry(image: &Image, name: Option<&str>) -> spec::Descriptor {
    let mut descriptor = image.descriptor.clone();
    let mut annotations = descriptor.annotations().clone().unwrap_or_default();
    annotations.remove(REF_NAME);
    annotations.extend(name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
    descriptor.set_annotations((!annotations.is_empty()).then_some(annotations));
    descriptor
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new(Kind::Invalid, format!("write JSON: {error}")))
}

/// Adds the image to a layout in a directory, beside what is there.
fn write_layout(store: &Store, image: &Image, dir: &Path, name: Option<String>) -> Result<()> {
    let manifest = manifest_of(store, image)?;
    for blob in blobs(image, &manifest)? {
        let target = dir.join(blob_path(&blob.digest));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).context(format_args!("create {}", parent.display()))?;
        }
        if fs::metadata(&target).is_ok_and(|meta| meta.len() == blob.size) {
            continue;
        }
        replace(&target, |file| copy(store, &blob, file))?;
    }
    let path = dir.join("index.json");
    let mut index = match fs::read(&path) {
        Ok(bytes) => runtime::parse::<spec::ImageIndex>(&bytes)
            .map_err(|error| Error::new(Kind::Corrupt, format!("{}: {error}", path.display())))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_index(),
        Err(error) => return Err(Error::io(format_args!("read {}", path.display()), error)),
    };
    let added = entry(image, name.as_deref());
    let mut entries = index.manifests().clone();
    entries.retain(|old| match ref_name(&added) {
        Some(name) => ref_name(old) != Some(name),
        None => old.digest() != added.digest(),
    });
    entries.push(added);
    index.set_manifests(entries);
    let write = |bytes: Vec<u8>| move |file: &mut fs::File| file.write_all(&bytes).context("write");
    replace(&dir.join("oci-layout"), write(LAYOUT.to_vec()))?;
    replace(&path, write(json(&index)?))
}

fn new_index() -> spec::ImageIndex {
    let mut index = spec::ImageIndex::default();
    index.set_media_type(Some(spec::MediaType::ImageIndex));
    index
}

fn copy(store: &Store, blob: &Blob, to: &mut impl Write) -> Result<()> {
    let mut reader = store.open_blob(blob)?;
    io::copy(&mut reader, to)
        .map(drop)
        .context(format_args!("copy blob {}", blob.digest))
}

/// Writes a layout of one image as a tar.
pub fn write_oci_archive(
    store: &Store,
    image: &Image,
    name: Option<&str>,
    to: impl Write,
) -> Result<()> {
    let manifest = manifest_of(store, image)?;
    let mut index = new_index();
    index.set_manifests(vec![entry(image, name)]);
    let mut archive = Writer(tar::Builder::new(to));
    archive.bytes("oci-layout", LAYOUT)?;
    archive.bytes("index.json", &json(&index)?)?;
    for blob in blobs(image, &manifest)? {
        archive.blob(store, &blob_path(&blob.digest), &blob)?;
    }
    archive.finish()
}

/// Writes what `docker load` and `podman load` read. Layers stay compressed as they are: both inflate what they find.
pub fn write_docker_archive(
    store: &Store,
    image: &Image,
    name: Option<&str>,
    to: impl Write,
) -> Result<()> {
    let manifest = manifest_of(store, image)?;
    let config = store.read_config(&manifest)?;
    let mut archive = Writer(tar::Builder::new(to));
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
        let suffix = match layer.compression {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        };
        let path = format!("{}.tar{suffix}", diff_id.0.hex());
        if !layers.contains(&path) {
            archive.blob(store, &path, &layer.blob)?;
        }
        layers.push(path);
    }
    let config_path = format!("{}.json", manifest.config.digest.hex());
    archive.blob(store, &config_path, &manifest.config)?;
    // A name by digest is no tag that Docker could take.
    let tags: Vec<&str> = name
        .into_iter()
        .filter(|name| !name.contains('@'))
        .collect();
    let list = serde_json::json!([{"Config": config_path, "RepoTags": tags, "Layers": layers}]);
    archive.bytes("manifest.json", &json(&list)?)?;
    archive.finish()
}

struct Writer<W: Write>(tar::Builder<W>);

impl<W: Write> Writer<W> {
    fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.append(path, bytes.len() as u64, bytes)
    }

    fn blob(&mut self, store: &Store, path: &str, blob: &Blob) -> Result<()> {
        let reader = store.open_blob(blob)?;
        self.append(path, blob.size, reader)
    }

    fn append(&mut self, path: &str, size: u64, mut reader: impl io::Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        let failed = format!("write {path} to the archive");
        self.0
            .append_data(&mut header, path, &mut reader)
            .context(&failed)?;
        // The last read is what verifies.
        io::copy(&mut reader, &mut io::sink())
            .map(drop)
            .context(failed)
    }

    fn finish(self) -> Result<()> {
        self.0
            .into_inner()
            .and_then(|mut to| to.flush())
            .context("write the end of the archive")
    }
}
