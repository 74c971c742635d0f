//! An OCI image layout, in a directory or a tar file. SPEC(image-spec/image-layout.md).

use super::Files;
use crate::descriptor::{Blob, annotation, ref_name};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::progress::Role;
use crate::transfer::{Root, Source};
use crate::{runtime, spec};
use std::io::Read;

/// One image of a layout.
pub(super) struct Layout<F> {
    files: F,
    tag: Option<String>,
}

impl<F: Files> Layout<F> {
    pub(super) fn new(files: F, tag: Option<String>) -> Self {
        Layout { files, tag }
    }

    fn index(&self) -> Result<spec::ImageIndex> {
        let bytes = self.files.read("index.json", MAX_MANIFEST_BYTES)?;
        runtime::parse(&bytes).map_err(|error| {
            Error::new(
                Kind::Corrupt,
                format!("{}: index.json: {error}", self.files.place()),
            )
        })
    }

    /// The entry of that tag, name or digest; without a tag, the only entry.
    fn choose(&self, index: &spec::ImageIndex) -> Result<spec::Descriptor> {
        let entries = index.manifests();
        let place = self.files.place();
        let Some(tag) = &self.tag else {
            return match &entries[..] {
                [only] => Ok(only.clone()),
                [] => Err(Error::new(
                    Kind::NotFound,
                    format!("{place}: holds no image"),
                )),
                _ => {
                    let names: Vec<&str> = entries.iter().filter_map(name).collect();
                    let what = format!(
                        "{place}: holds {} images: {}",
                        entries.len(),
                        names.join(", ")
                    );
                    Err(Error::new(Kind::Invalid, what).hint("say which one: …:TAG"))
                }
            };
        };
        let found = entries.iter().find(|entry| {
            ref_name(entry) == Some(tag)
                || name(entry) == Some(tag)
                || entry.digest().as_ref() == tag
        });
        found
            .cloned()
            .ok_or_else(|| Error::new(Kind::NotFound, format!("{place}: no image {tag:?} in it")))
    }
}

/// COMPAT(containerd): its full name is in an annotation of its own.
fn name(descriptor: &spec::Descriptor) -> Option<&str> {
    annotation(descriptor, "io.containerd.image.name").or(ref_name(descriptor))
}

/// Where a layout has a blob.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

impl<F: Files> Source for Layout<F> {
    fn root(&self) -> Result<Root> {
        let mut descriptor = self.choose(&self.index()?)?;
        let bytes = self.read_document(&descriptor)?;
        // The name there is not the name here.
        descriptor.set_annotations(None);
        Ok(Root { descriptor, bytes })
    }

    fn read_document(&self, descriptor: &spec::Descriptor) -> Result<Vec<u8>> {
        let blob = Blob::of(descriptor)?;
        self.files
            .read(&blob_path(&blob.digest), MAX_MANIFEST_BYTES)
    }

    fn open(&self, blob: &Blob, _role: Role, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let (size, reader) = self.files.open(&blob_path(&blob.digest), offset)?;
        match size == blob.size {
            true => Ok(reader),
            false => {
                let what = format!("blob {} has {size} bytes, not {}", blob.digest, blob.size);
                Err(Error::new(Kind::Corrupt, what)).context(self.files.place())
            }
        }
    }
}
