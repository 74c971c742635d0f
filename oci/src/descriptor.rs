//! Descriptors, judged: a digest that is safe to use, a size, and what the media type says the bytes are.
//!
//! Reading and writing JSON is `oci-spec`'s; this adds the checks that a hostile registry makes necessary.

use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::spec;

/// Media type of an OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a plain OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media type of Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The annotation that holds an image's name in an `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How a layer's tar is wrapped, as its media type claims. The unpacker looks at the bytes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a media type says that the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A list of manifests.
    Index,
    /// One image.
    Manifest,
    /// An image's configuration.
    Config,
    /// A layer's tar.
    Layer(Compression),
    /// Nothing that an image is made of.
    Other,
}

/// Judges a media type. Parameters behind a `;` don't count.
pub fn media_kind(media_type: &str) -> MediaKind {
    let bare = media_type.split(';').next().unwrap_or_default().trim();
    match bare {
        OCI_INDEX | DOCKER_INDEX => MediaKind::Index,
        OCI_MANIFEST | DOCKER_MANIFEST => MediaKind::Manifest,
        OCI_CONFIG | DOCKER_CONFIG => MediaKind::Config,
        _ => layer_kind(bare),
    }
}

fn layer_kind(media_type: &str) -> MediaKind {
    const FAMILIES: [&str; 4] = [
        OCI_LAYER,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ];
    let suffix = FAMILIES
        .iter()
        .find_map(|family| media_type.strip_prefix(family));
    match suffix {
        Some("") => MediaKind::Layer(Compression::None),
        Some("+gzip" | ".gzip") => MediaKind::Layer(Compression::Gzip),
        Some("+zstd" | ".zstd") => MediaKind::Layer(Compression::Zstd),
        _ => MediaKind::Other,
    }
}

/// What is needed to fetch and to verify some bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Blob {
    /// What the bytes hash to.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

impl Blob {
    /// Takes a descriptor at its word, once its digest is well-formed.
    pub fn of(descriptor: &spec::Descriptor) -> Result<Blob> {
        Ok(Blob {
            digest: Digest::try_from(descriptor.digest()).context("descriptor")?,
            size: descriptor.size(),
        })
    }

    /// The blob that some bytes in memory are.
    pub fn of_bytes(bytes: &[u8]) -> Blob {
        Blob {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// As a descriptor of this media type.
    pub fn descriptor(&self, media_type: &str) -> Result<spec::Descriptor> {
        Ok(spec::Descriptor::new(
            media_type.into(),
            self.size,
            oci_digest(&self.digest)?,
        ))
    }
}

fn oci_digest(digest: &Digest) -> Result<spec::Digest> {
    use crate::error::{Error, Kind};
    digest
        .to_string()
        .parse()
        .map_err(|error| Error::new(Kind::Invalid, format!("digest {digest}: {error}")))
}

/// The image's name in an `index.json`, where the descriptor has one.
pub fn ref_name(descriptor: &spec::Descriptor) -> Option<&str> {
    annotation(descriptor, REF_NAME)
}

/// One annotation of a descriptor.
pub fn annotation<'a>(descriptor: &'a spec::Descriptor, key: &str) -> Option<&'a str> {
    let annotations = descriptor.annotations().as_ref()?;
    annotations.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_both_families() {
        let layer = |text| match media_kind(text) {
            MediaKind::Layer(compression) => Some(compression),
            _ => None,
        };
        assert_eq!(layer(OCI_LAYER), Some(Compression::None));
        assert_eq!(
            layer("application/vnd.oci.image.layer.v1.tar+zstd"),
            Some(Compression::Zstd)
        );
        assert_eq!(
            layer("application/vnd.docker.image.rootfs.diff.tar.gzip"),
            Some(Compression::Gzip)
        );
        assert_eq!(layer("application/vnd.oci.image.layer.v1.tar+bzip2"), None);
        assert_eq!(
            media_kind("application/vnd.oci.image.index.v1+json; charset=utf-8"),
            MediaKind::Index
        );
        assert_eq!(media_kind("application/json"), MediaKind::Other);
    }
}
