//! What people do with the images here: list, look at, remove, prune.

use super::{Garbage, GcOptions, Image, Store};
use crate::descriptor::Blob;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::image_config::ImageConfig;
use crate::manifest::{Document, MAX_MANIFEST_BYTES, Manifest};
use crate::spec;
use std::time::Duration;

/// One line of a list of images.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The name; none for an entry that another tool left nameless.
    pub name: Option<String>,
    /// The digest of the manifest.
    pub digest: Digest,
    /// `os/architecture`; empty where the image can't be read.
    pub platform: String,
    /// RFC 3339, as the image says.
    pub created: String,
    /// Number of layers.
    pub layers: usize,
    /// Bytes of config and layers as they are stored.
    pub bytes: u64,
    /// Containers made from it.
    pub containers: Vec<String>,
    /// Why the image can't be used, where it can't.
    pub problem: Option<String>,
}

/// An image with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its entry in the index.
    pub image: Image,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// What `prune` took away.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Names of images.
    pub names: Vec<String>,
    /// Their blobs, and others that nothing led to.
    pub garbage: Garbage,
}

impl Store {
    /// Finds an image and reads its documents.
    pub fn open_image(&self, name: &str) -> Result<Opened> {
        let image = self.resolve(name)?;
        let (manifest, config) = self.read_image(&image)?;
        Ok(Opened {
            image,
            manifest,
            config,
        })
    }

    /// An image by the digest of its manifest, whether it has a name or not: the size is what the blob has.
    pub fn open_manifest(&self, manifest: &Digest) -> Result<Opened> {
        let path = self.blob_path(manifest);
        let size = std::fs::metadata(&path)
            .context(format_args!("open {}", path.display()))?
            .len();
        let blob = Blob {
            digest: manifest.clone(),
            size,
        };
        let bytes = self.read_blob(&blob, MAX_MANIFEST_BYTES)?;
        let Document::Manifest(document) = Document::parse(&bytes, None)? else {
            return Err(Error::new(Kind::Invalid, "an index of several images"));
        };
        let media_type = document.document.media_type().clone();
        let media_type = media_type.unwrap_or(spec::MediaType::ImageManifest);
        Ok(Opened {
            image: Image {
                name: None,
                descriptor: blob.descriptor(media_type.as_ref())?,
            },
            config: self.read_config(&document)?,
            manifest: *document,
        })
    }

    fn read_image(&self, image: &Image) -> Result<(Manifest, ImageConfig)> {
        match self.read_document(&image.descriptor)? {
            Document::Manifest(manifest) => {
                let config = self.read_config(&manifest)?;
                Ok((*manifest, config))
            }
            Document::Index(_) => Err(Error::new(Kind::Invalid, "an index of several images")),
        }
    }

    /// All images, by name. An image that can't be read is listed with its problem.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let pins = self.pins()?;
        let mut listed = Vec::new();
        for image in self.images()? {
            let digest = image.digest()?;
            let used = pins.iter().filter(|(_, pinned)| *pinned == digest);
            let mut line = Listed {
                name: image.name.clone(),
                containers: used.map(|(container, _)| container.clone()).collect(),
                digest,
                platform: String::new(),
                created: String::new(),
                layers: 0,
                bytes: 0,
                problem: None,
            };
            match self.read_image(&image) {
                Ok((manifest, config)) => {
                    line.platform = format!(
                        "{}/{}",
                        config.document.os(),
                        config.document.architecture()
                    );
                    line.created = config.document.created().clone().unwrap_or_default();
                    line.layers = manifest.layers.len();
                    line.bytes = manifest.total_bytes();
                }
                Err(error) => line.problem = Some(error.to_string()),
            }
            listed.push(line);
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Takes a name away, and what nothing needs any more. The last name of an image that containers use stays, unless forced.
    pub fn remove(&self, name: &str, force: bool) -> Result<Garbage> {
        let image = self.resolve(name)?;
        let digest = image.digest()?;
        let names = self
            .images()?
            .iter()
            .filter(|other| other.descriptor.digest() == image.descriptor.digest())
            .count();
        let users: Vec<String> = self
            .pins()?
            .into_iter()
            .filter(|(_, d)| *d == digest)
            .map(|(c, _)| c)
            .collect();
        if names == 1 && !users.is_empty() && !force {
            let what = format!(
                "remove image {name}: containers use it: {}",
                users.join(", ")
            );
            return Err(Error::new(Kind::Busy, what)
                .hint("delete them first, or give --force to take only its name away"));
        }
        match &image.name {
            Some(name) => self.remove_ref(name)?,
            None => {
                self.remove_entries(|d| {
                    d.digest() == image.descriptor.digest()
                        && crate::descriptor::ref_name(d).is_none()
                })?;
            }
        }
        self.collect_garbage(&GcOptions::default())
    }

    /// Removes what nothing leads to, partial downloads included; with `all`, every image that no container uses.
    pub fn prune(&self, all: bool) -> Result<Pruned> {
        let mut names = Vec::new();
        if all {
            let used: Vec<Digest> = self.pins()?.into_iter().map(|(_, digest)| digest).collect();
            self.remove_entries(|descriptor| {
                let is_unused = Blob::of(descriptor).is_ok_and(|blob| !used.contains(&blob.digest));
                if is_unused {
                    names.extend(crate::descriptor::ref_name(descriptor).map(str::to_owned));
                }
                is_unused
            })?;
        }
        let garbage = self.collect_garbage(&GcOptions {
            partials_older_than: Duration::ZERO,
        })?;
        Ok(Pruned { names, garbage })
    }
}
