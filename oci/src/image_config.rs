//! The image configuration: what to run, and the DiffIDs of the layers.
//!
//! Lenient as Docker's own reader is (`null` for empty, absent `diff_ids`), strict about what identifies layers.
//! SPEC(image-spec/config.md).

use crate::digest::{ChainId, DiffId};
use crate::document;
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::Manifest;
use crate::spec;
use serde_json::Value;

/// A larger configuration is refused unread, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 8 << 20;

/// Only a configuration up to this size is worth the memory of a lenient second reading, in bytes.
const MAX_LENIENT_BYTES: usize = 1 << 20;

/// An image's configuration, checked.
#[derive(Debug, Clone)]
pub struct ImageConfig {
    /// The whole document.
    pub document: spec::ImageConfiguration,
    /// One for each layer, the lowest first.
    pub diff_ids: Vec<DiffId>,
}

impl ImageConfig {
    /// Reads a configuration.
    pub fn parse(bytes: &[u8]) -> Result<ImageConfig> {
        document::check(bytes, "image config", MAX_CONFIG_BYTES)?;
        let document = match serde_json::from_slice(bytes) {
            Ok(document) => document,
            Err(error) if bytes.len() > MAX_LENIENT_BYTES => return Err(malformed(&error)),
            Err(_) => lenient(bytes)?,
        };
        ImageConfig::new(document)
    }

    fn new(document: spec::ImageConfiguration) -> Result<ImageConfig> {
        let diff_ids = document
            .rootfs()
            .diff_ids()
            .iter()
            .map(|text| text.parse().map(DiffId))
            .collect::<Result<_>>()
            .context("image config: rootfs.diff_ids")?;
        Ok(ImageConfig { document, diff_ids })
    }

    /// Refuses a configuration that speaks of other layers than the manifest.
    pub fn check_layers(&self, manifest: &Manifest) -> Result<()> {
        let (ids, layers) = (self.diff_ids.len(), manifest.layers.len());
        if ids == layers {
            return Ok(());
        }
        Err(Error::new(
            Kind::Corrupt,
            format!("image config names {ids} layers, the manifest {layers}"),
        ))
    }

    /// One for each layer, the lowest first; the last names the whole root file system.
    pub fn chain_ids(&self) -> Vec<ChainId> {
        ChainId::chain(&self.diff_ids)
    }

    /// The execution defaults, where the image has any.
    pub fn execution(&self) -> Option<&spec::Config> {
        self.document.config().as_ref()
    }

    /// Whether the image says what to run.
    pub fn has_command(&self) -> bool {
        self.execution().is_some_and(|run| {
            let mut words = [run.entrypoint(), run.cmd()]
                .into_iter()
                .flatten()
                .flatten();
            words.next().is_some_and(|program| !program.is_empty())
        })
    }
}

/// Reads what Docker's Go structs read too: `null` everywhere, an absent `diff_ids` of an image without layers.
fn lenient(bytes: &[u8]) -> Result<spec::ImageConfiguration> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    remove_nulls(&mut value);
    if let Some(top) = value.as_object_mut() {
        for key in ["architecture", "os"] {
            top.entry(key).or_insert_with(|| Value::from(""));
        }
        let rootfs = top.entry("rootfs").or_insert_with(|| serde_json::json!({}));
        if let Some(rootfs) = rootfs.as_object_mut() {
            rootfs
                .entry("type")
                .or_insert_with(|| Value::from("layers"));
            rootfs
                .entry("diff_ids")
                .or_insert_with(|| Value::from(Vec::<Value>::new()));
        }
    }
    serde_json::from_value(value).map_err(|error| malformed(&error))
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(Kind::Corrupt, format!("image config: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn docker_writes_nulls_and_leaves_fields_out() {
        let text = br#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["sh"],"Volumes":null,
            "Entrypoint":null,"OnBuild":null,"Labels":null,"Healthcheck":{"Test":["CMD","x"]}},"rootfs":{"type":"layers"}}"#;
        let config = ImageConfig::parse(text).expect("parses");
        assert!(config.diff_ids.is_empty());
        let execution = config.execution().expect("present");
        assert_eq!(execution.cmd().as_deref(), Some(&["sh".to_owned()][..]));
    }

    #[test]
    fn diff_ids_are_digests() {
        let id = Digest::of(b"layer");
        let text = |id: &str| {
            format!(
                r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
            )
        };
        let config = ImageConfig::parse(text(&id.to_string()).as_bytes()).expect("parses");
        assert_eq!(config.chain_ids()[0].0, id);
        assert!(ImageConfig::parse(text("sha256:../x").as_bytes()).is_err());
    }

    #[test]
    fn a_huge_config_is_refused() {
        let error =
            ImageConfig::parse(&vec![b' '; MAX_CONFIG_BYTES as usize + 1]).expect_err("is refused");
        assert_eq!(error.kind(), Kind::TooLarge);
    }
}
