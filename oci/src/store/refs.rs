//! Names: `index.json`, read at any time, written under the store's lock by replacing the file.
//!
//! Entries that other tools wrote are kept as they are.

use super::Store;
use super::ingest::sync_blobs;
use crate::descriptor::{REF_NAME, ref_name};
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::{reference, runtime, spec};
use std::fs::File;
use std::io::{self, Read};

/// The shortest digest prefix that names an image, in digits.
const MIN_PREFIX: usize = 6;

/// A named image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its name; none for an entry that another tool left nameless.
    pub name: Option<String>,
    /// Its manifest or index.
    pub descriptor: spec::Descriptor,
}

impl Image {
    /// The digest of its manifest or index.
    pub fn digest(&self) -> Result<Digest> {
        Digest::try_from(self.descriptor.digest())
    }
}

impl Store {
    /// All images, in the order of `index.json`.
    pub fn images(&self) -> Result<Vec<Image>> {
        let index = self.read_index()?;
        let image = |descriptor: &spec::Descriptor| Image {
            name: ref_name(descriptor).map(str::to_owned),
            descriptor: descriptor.clone(),
        };
        Ok(index.manifests().iter().map(image).collect())
    }

    /// Finds an image by its name, its name as Docker completes it, or its manifest's digest or the beginning of it.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let images = self.images()?;
        let mut wanted = vec![name.to_owned(), format!("{name}:latest")];
        let complete = reference::parse(name).ok();
        wanted.extend(complete.as_ref().map(reference::store_name));
        for candidate in &wanted {
            if let Some(found) = images.iter().find(|i| i.name.as_deref() == Some(candidate)) {
                return agree(found, complete.as_ref());
            }
        }
        by_digest(&images, name, complete.as_ref())
    }

    /// Gives a manifest or index a name, taking the name from whatever had it.
    pub fn set_ref(&self, name: &str, descriptor: &spec::Descriptor) -> Result<()> {
        check_name(name)?;
        let mut named = descriptor.clone();
        let mut annotations = named.annotations().clone().unwrap_or_default();
        annotations.insert(REF_NAME.into(), name.into());
        named.set_annotations(Some(annotations));
        sync_blobs(self)?;
        let _lock = self.lock_exclusive()?;
        let mut index = self.read_index()?;
        let mut entries = index.manifests().clone();
        entries.retain(|d| ref_name(d) != Some(name));
        entries.push(named);
        index.set_manifests(entries);
        self.write_index(&index)
    }

    /// Takes one name away. What it named stays until garbage collection.
    pub fn remove_ref(&self, name: &str) -> Result<()> {
        self.remove_entries(|image| ref_name(image) == Some(name))
            .and_then(|count| match count {
                0 => Err(Error::new(
                    Kind::NotFound,
                    format!("no image {name:?} in {}", self.root().display()),
                )),
                _ => Ok(()),
            })
    }

    /// Takes entries out of the index; says how many.
    pub fn remove_entries(
        &self,
        mut which: impl FnMut(&spec::Descriptor) -> bool,
    ) -> Result<usize> {
        let _lock = self.lock_exclusive()?;
        let mut index = self.read_index()?;
        let mut entries = index.manifests().clone();
        entries.retain(|descriptor| !which(descriptor));
        let removed = index.manifests().len() - entries.len();
        index.set_manifests(entries);
        if removed > 0 {
            self.write_index(&index)?;
        }
        Ok(removed)
    }

    pub(super) fn read_index(&self) -> Result<spec::ImageIndex> {
        let path = self.root().join("index.json");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty_index()),
            Err(error) => return Err(Error::io(format_args!("open {}", path.display()), error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST_BYTES + 1)
            .read_to_end(&mut bytes)
            .context(format_args!("read {}", path.display()))?;
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            let what = format!(
                "{} is larger than {MAX_MANIFEST_BYTES} bytes",
                path.display()
            );
            return Err(Error::new(Kind::TooLarge, what));
        }
        runtime::parse(&bytes)
            .map_err(|error| Error::new(Kind::Corrupt, format!("{}: {error}", path.display())))
    }

    fn write_index(&self, index: &spec::ImageIndex) -> Result<()> {
        let text = serde_json::to_vec(index)
            .map_err(|error| Error::new(Kind::Invalid, format!("index.json: {error}")))?;
        self.replace_file("index.json", &text)
    }
}

fn empty_index() -> spec::ImageIndex {
    let mut index = spec::ImageIndex::default();
    index.set_media_type(Some(spec::MediaType::ImageIndex));
    index
}

/// A name with a digest only names the image that has it.
fn agree(found: &Image, wanted: Option<&reference::Reference>) -> Result<Image> {
    if let Some(digest) = wanted.and_then(|reference| reference.digest())
        && !has_digest(found, digest)
    {
        let name = found.name.as_deref().unwrap_or_default();
        let what = format!(
            "image {name} is now {}, not {digest}",
            found.descriptor.digest()
        );
        return Err(Error::new(Kind::NotFound, what));
    }
    Ok(found.clone())
}

/// The annotation that remembers the index an image was chosen from.
pub(crate) const SOURCE_INDEX: &str = "org.crun-lite.image.index";

fn has_digest(image: &Image, digest: &str) -> bool {
    image.descriptor.digest().as_ref() == digest
        || crate::descriptor::annotation(&image.descriptor, SOURCE_INDEX) == Some(digest)
}

fn by_digest(images: &[Image], name: &str, wanted: Option<&reference::Reference>) -> Result<Image> {
    let missing = || {
        Error::new(
            Kind::NotFound,
            format!("no image {name:?} in the local store"),
        )
        .hint(format!(
            "`crun-lite image pull {name}` fetches it, `crun-lite image ls` shows what is here"
        ))
    };
    if let Some(digest) = wanted.and_then(|reference| reference.digest()) {
        return images
            .iter()
            .find(|i| has_digest(i, digest))
            .cloned()
            .ok_or_else(missing);
    }
    let prefix = name.strip_prefix("sha256:").unwrap_or(name);
    if prefix.len() < MIN_PREFIX || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let mut found: Vec<&Image> = images
        .iter()
        .filter(|image| image.descriptor.digest().digest().starts_with(prefix))
        .collect();
    found.dedup_by_key(|image| image.descriptor.digest());
    match found[..] {
        [one] => Ok(one.clone()),
        [] => Err(missing()),
        _ => Err(Error::new(
            Kind::Invalid,
            format!("{name:?} is the beginning of several digests"),
        )),
    }
}

/// SPEC(image-spec/annotations.md): what a ref name may look like; also keeps control characters out of listings.
fn check_name(name: &str) -> Result<()> {
    let fits = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:@/+[]".contains(&b));
    match fits && !name.is_empty() && name.len() <= 512 {
        true => Ok(()),
        false => Err(Error::new(Kind::Invalid, format!("image name {name:?}"))
            .hint("a name has letters, digits and -._:@/+")),
    }
}
