//! Indexes and manifests: from untrusted bytes to an image's parts.
//!
//! One document has one meaning: what has both `manifests` and `layers`, or disagrees with its media type, is refused
//! (CVE-2021-41190). SPEC(image-spec/manifest.md), SPEC(image-spec/image-index.md).

use crate::descriptor::{Blob, Compression, MediaKind, media_kind};
use crate::document;
use crate::error::{Context, Error, Kind, Result};
use crate::runtime;
use crate::spec;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A larger index or manifest is refused unread (CVE-2023-25153), in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// One of the two documents that a tag or digest can name.
#[derive(Debug, Clone)]
pub enum Document {
    /// Manifests by platform.
    Index(Box<spec::ImageIndex>),
    /// One image.
    Manifest(Box<Manifest>),
}

/// One image's parts, checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The whole document.
    pub document: spec::ImageManifest,
    /// The image configuration.
    pub config: Blob,
    /// The layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The blob as it is stored and sent.
    pub blob: Blob,
    /// Its media type, word for word.
    pub media_type: String,
    /// What the media type claims about compression.
    pub compression: Compression,
}

/// What a document looks like, before it is believed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Reads an index or manifest. `media_type` is what the descriptor or the registry called it, where one did.
    pub fn parse(bytes: &[u8], media_type: Option<&str>) -> Result<Document> {
        document::check(bytes, "manifest", MAX_MANIFEST_BYTES)?;
        let shape: Shape = json(bytes, "manifest")?;
        match judge(&shape, media_type)? {
            MediaKind::Index => Ok(Document::Index(Box::new(json(bytes, "index")?))),
            _ => Manifest::new(json(bytes, "manifest")?)
                .map(|manifest| Document::Manifest(Box::new(manifest))),
        }
    }
}

/// Decides between index and manifest; every statement of the document and about it must agree.
fn judge(shape: &Shape, outside: Option<&str>) -> Result<MediaKind> {
    let refuse = |why: String| Err(Error::new(Kind::Corrupt, format!("manifest: {why}")));
    if shape.schema_version == Some(1) || shape.fs_layers.is_some() {
        return refuse("Docker schema 1, which is no longer supported".into())
            .map_err(|error: Error| error.hint("push the image again with a current tool"));
    }
    if shape.schema_version.is_some_and(|version| version != 2) {
        return refuse(format!("schemaVersion {:?} is not 2", shape.schema_version));
    }
    let looks_like = match (&shape.manifests, &shape.layers, &shape.config) {
        (Some(_), None, None) => MediaKind::Index,
        (None, Some(_), Some(_)) => MediaKind::Manifest,
        (Some(_), _, _) => return refuse("both an index and a manifest".into()),
        _ => return refuse("neither an index nor a manifest".into()),
    };
    if let (Some(inside), Some(outside)) = (&shape.media_type, outside)
        && media_kind(outside) != MediaKind::Other
        && media_kind(inside) != media_kind(outside)
    {
        return refuse(format!(
            "calls itself {inside:?} but was announced as {outside:?}"
        ));
    }
    for stated in [shape.media_type.as_deref(), outside].into_iter().flatten() {
        let kind = media_kind(stated);
        // A registry that sends `application/json` says nothing; the document itself must not be so vague.
        let vague = kind == MediaKind::Other && shape.media_type.as_deref() != Some(stated);
        if kind != looks_like && !vague {
            return refuse(format!(
                "its media type is {stated:?} but it looks like another document"
            ));
        }
    }
    Ok(looks_like)
}

impl Manifest {
    /// Checks the parts of a manifest.
    pub fn new(document: spec::ImageManifest) -> Result<Manifest> {
        let config_type = document.config().media_type().as_ref();
        if media_kind(config_type) != MediaKind::Config {
            return Err(Error::new(
                Kind::Invalid,
                format!("manifest: no container image: its config is {config_type:?}"),
            ));
        }
        let config = Blob::of(document.config()).context("manifest: config")?;
        let layers = document
            .layers()
            .iter()
            .enumerate()
            .map(|(i, layer)| Layer::of(layer).context(format_args!("manifest: layer {}", i + 1)))
            .collect::<Result<_>>()?;
        Ok(Manifest {
            document,
            config,
            layers,
        })
    }

    /// Bytes of config and layers together.
    pub fn total_bytes(&self) -> u64 {
        let layers = self.layers.iter().map(|layer| layer.blob.size);
        layers.fold(self.config.size, u64::saturating_add)
    }
}

impl Layer {
    fn of(descriptor: &spec::Descriptor) -> Result<Layer> {
        let media_type: &str = descriptor.media_type().as_ref();
        let MediaKind::Layer(compression) = media_kind(media_type) else {
            return Err(Error::new(
                Kind::Invalid,
                format!("media type {media_type:?} is no layer"),
            ));
        };
        Ok(Layer {
            blob: Blob::of(descriptor)?,
            media_type: media_type.to_owned(),
            compression,
        })
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    runtime::parse(bytes).map_err(|error| Error::new(Kind::Corrupt, format!("{what}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{
        DOCKER_INDEX, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
    };
    use crate::digest::Digest;

    fn manifest(media_type: Option<&str>, extra: &str) -> String {
        let digest = Digest::of(b"x");
        let stated = media_type.map_or(String::new(), |m| format!(r#""mediaType":"{m}","#));
        format!(
            r#"{{"schemaVersion":2,{stated}{extra}"config":{{"mediaType":"{OCI_CONFIG}","digest":"{digest}","size":1}},
            "layers":[{{"mediaType":"{OCI_LAYER}+gzip","digest":"{digest}","size":1}}]}}"#
        )
    }

    fn error(text: &str, outside: Option<&str>) -> String {
        Document::parse(text.as_bytes(), outside)
            .expect_err("is refused")
            .to_string()
    }

    #[test]
    fn manifests_of_both_families_parse() {
        for stated in [None, Some(OCI_MANIFEST), Some(DOCKER_MANIFEST)] {
            for outside in [None, Some(OCI_MANIFEST), Some("application/json")] {
                let text = manifest(stated, "");
                let parsed = Document::parse(text.as_bytes(), outside).expect("parses");
                let Document::Manifest(parsed) = parsed else {
                    panic!("an index?")
                };
                assert_eq!(parsed.layers[0].compression, Compression::Gzip);
            }
        }
    }

    #[test]
    fn type_confusion_is_refused() {
        assert!(
            error(&manifest(None, r#""manifests":[],"#), None)
                .contains("both an index and a manifest")
        );
        assert!(
            error(&manifest(Some(OCI_INDEX), ""), None).contains("looks like another document")
        );
        assert!(
            error(&manifest(None, ""), Some(DOCKER_INDEX)).contains("looks like another document")
        );
        assert!(
            error(&manifest(Some(OCI_MANIFEST), ""), Some(OCI_INDEX)).contains("was announced as")
        );
        assert!(error(r#"{"schemaVersion":2}"#, None).contains("neither"));
        assert!(error(r#"{"schemaVersion":1,"fsLayers":[]}"#, None).contains("schema 1"));
        assert!(error(&manifest(None, r#""layers":[],"#), None).contains("duplicate field"));
    }

    #[test]
    fn a_huge_or_deep_document_is_refused() {
        let huge = " ".repeat(MAX_MANIFEST_BYTES as usize + 1);
        assert!(error(&huge, None).contains("is larger than"));
        let deep = format!(r#"{{"schemaVersion":2,"layers":{}"#, "[".repeat(100_000));
        assert!(error(&deep, None).contains("manifest: "));
    }

    #[test]
    fn a_digest_that_is_a_path_is_refused() {
        let text = manifest(None, "").replace(
            &Digest::of(b"x").to_string(),
            "sha256:../../../../etc/passwd",
        );
        assert!(Document::parse(text.as_bytes(), None).is_err());
    }

    #[test]
    fn an_artifact_is_no_image() {
        let text =
            manifest(None, "").replace(OCI_CONFIG, "application/vnd.cncf.helm.config.v1+json");
        assert!(error(&text, None).contains("no container image"));
    }
}
