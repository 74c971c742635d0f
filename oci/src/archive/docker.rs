//! What `docker save` writes: a list of images, their configurations and layers, without manifests and digests.
//!
//! A manifest is made up for it. Plain layers are their DiffID; compressed ones are hashed once more to learn their digest.

use super::Files;
use super::tarball::Tarball;
use crate::descriptor::{Blob, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Context, Error, Kind, Result};
use crate::image_config::{ImageConfig, MAX_CONFIG_BYTES};
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::progress::Role;
use crate::transfer::{Root, Source};
use crate::{reference, runtime, spec};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::Read;

/// One image of the archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// One image of the archive as a source.
pub(super) struct DockerArchive {
    files: Tarball,
    name: Option<String>,
    root: Root,
    /// Where the blobs are in the archive.
    names: HashMap<Digest, String>,
}

impl DockerArchive {
    pub(super) fn open(files: Tarball, tag: Option<&str>) -> Result<DockerArchive> {
        let place = files.place();
        let list = files.read("manifest.json", MAX_MANIFEST_BYTES)?;
        let items: Vec<Item> = runtime::parse(&list).map_err(|error| {
            Error::new(Kind::Corrupt, format!("{place}: manifest.json: {error}"))
        })?;
        let item = choose(items, tag).context(&place)?;
        let first = item.repo_tags.iter().flatten().next();
        let name = tag.or(first.map(String::as_str)).and_then(complete);
        let bytes = files.read(&item.config, MAX_CONFIG_BYTES)?;
        let config =
            ImageConfig::parse(&bytes).context(format_args!("{place}: {}", item.config))?;
        let layers = item.layers.unwrap_or_default();
        if layers.len() != config.diff_ids.len() {
            let what = format!(
                "{place}: {} layers, but the image config names {}",
                layers.len(),
                config.diff_ids.len()
            );
            return Err(Error::new(Kind::Corrupt, what));
        }
        let config_blob = Blob::of_bytes(&bytes);
        let mut names: HashMap<Digest, String> = [(config_blob.digest.clone(), item.config)].into();
        let mut entries = Vec::new();
        for (name, diff_id) in layers.into_iter().zip(&config.diff_ids) {
            let (blob, suffix) = identify(&files, &name, &diff_id.0)?;
            entries.push(blob.descriptor(&format!("{OCI_LAYER}{suffix}"))?);
            names.insert(blob.digest, name);
        }
        let root = manifest(&config_blob, entries)?;
        Ok(DockerArchive {
            files,
            name,
            root,
            names,
        })
    }
}

fn choose(items: Vec<Item>, tag: Option<&str>) -> Result<Item> {
    let tags: Vec<String> = items
        .iter()
        .flat_map(|item| item.repo_tags.iter().flatten().cloned())
        .collect();
    let count = items.len();
    let Some(tag) = tag else {
        let mut items = items.into_iter();
        return match (items.next(), count) {
            (Some(only), 1) => Ok(only),
            (None, _) => Err(Error::new(Kind::NotFound, "holds no image")),
            _ => Err(Error::new(
                Kind::Invalid,
                format!("holds {count} images: {}", tags.join(", ")),
            )
            .hint("say which one: …:NAME:TAG")),
        };
    };
    let is_it = |written: &String| {
        written == tag || complete(written).is_some_and(|name| complete(tag) == Some(name))
    };
    let found = items
        .into_iter()
        .find(|item| item.repo_tags.iter().flatten().any(is_it));
    found.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("no image {tag:?} in it; there is {}", tags.join(", ")),
        )
    })
}

/// COMPAT(docker): `hello:1` is `docker.io/library/hello:1`.
fn complete(name: &str) -> Option<String> {
    let reference = reference::parse(name).ok()?;
    Some(reference::store_name(&reference))
}

/// A layer's blob and the end of its media type.
fn identify(files: &Tarball, name: &str, diff_id: &Digest) -> Result<(Blob, &'static str)> {
    let (size, mut reader) = files.open(name, 0)?;
    let mut chunk = vec![0; 256 << 10];
    let mut first = reader.read(&mut chunk).context(name)?;
    let suffix = match &chunk[..first] {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "+zstd",
        _ => {
            let digest = diff_id.clone();
            return Ok((Blob { digest, size }, ""));
        }
    };
    let mut hasher = Hasher::new(Algorithm::Sha256);
    while first > 0 {
        hasher.update(&chunk[..first]);
        first = reader.read(&mut chunk).context(name)?;
    }
    let digest = hasher.finish();
    Ok((Blob { digest, size }, suffix))
}

fn manifest(config: &Blob, layers: Vec<spec::Descriptor>) -> Result<Root> {
    let value = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.descriptor(OCI_CONFIG)?,
        "layers": layers,
    });
    let bytes = value.to_string().into_bytes();
    let descriptor = Blob::of_bytes(&bytes).descriptor(OCI_MANIFEST)?;
    Ok(Root { descriptor, bytes })
}

impl Source for DockerArchive {
    fn name(&self) -> Option<String> {
        self.name.clone()
    }

    fn root(&self) -> Result<Root> {
        Ok(self.root.clone())
    }

    fn read_document(&self, descriptor: &spec::Descriptor) -> Result<Vec<u8>> {
        Err(Error::new(
            Kind::NotFound,
            format!(
                "{}: no manifest {} in it",
                self.files.place(),
                descriptor.digest()
            ),
        ))
    }

    fn open(&self, blob: &Blob, _role: Role, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let name = self.names.get(&blob.digest).map_or("", String::as_str);
        self.files.open(name, offset).map(|(_, reader)| reader)
    }
}
