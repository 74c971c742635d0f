//! The documents of a new image: another image's with more layers, or an image from nothing. Pure: bytes out.
//!
//! What the parent's documents say beyond what this crate knows is kept, so nothing is lost in a commit.

use crate::descriptor::{Blob, Compression, OCI_CONFIG, OCI_MANIFEST};
use crate::digest::DiffId;
use crate::error::{Error, Kind, Result};
use crate::manifest::Manifest;
use crate::platform::Platform;
use serde_json::{Map, Value, json};

/// A layer to put on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    /// The blob, in the store.
    pub blob: Blob,
    /// The digest of the tar inside.
    pub diff_id: DiffId,
    /// How the blob is packed.
    pub compression: Compression,
    /// For the image's history.
    pub created_by: String,
}

/// What else is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// RFC 3339.
    pub created: String,
    /// For the image's history.
    pub author: Option<String>,
    /// For the image's history.
    pub comment: Option<String>,
    /// Fields of `config` to set; `null` removes one, objects are merged, `Env` is an object of `NAME: "NAME=VALUE"`.
    pub config: Map<String, Value>,
}

/// Makes the configuration of an image on top of `parent`'s, or of none.
pub fn config(parent: Option<&[u8]>, layers: &[NewLayer], change: &Change) -> Result<Vec<u8>> {
    let mut document = match parent {
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| Error::new(Kind::Corrupt, format!("image config: {error}")))?,
        None => from_nothing(),
    };
    let Some(top) = document.as_object_mut() else {
        return Err(Error::new(Kind::Corrupt, "image config: not an object"));
    };
    // Docker's, of the container that it was built in.
    for stale in ["container", "container_config", "id", "parent"] {
        top.remove(stale);
    }
    top.insert("created".into(), json!(change.created));
    if let Some(author) = &change.author {
        top.insert("author".into(), json!(author));
    }
    let mut execution = take_object(top, "config");
    for (key, value) in &change.config {
        lay_over(&mut execution, key, value);
    }
    top.insert("config".into(), Value::Object(execution));
    let mut rootfs = take_object(top, "rootfs");
    rootfs.insert("type".into(), json!("layers"));
    let diff_ids = layers.iter().map(|layer| json!(layer.diff_id));
    extend(&mut rootfs, "diff_ids", diff_ids);
    top.insert("rootfs".into(), Value::Object(rootfs));
    let history = layers.iter().map(|layer| {
        let mut entry = json!({"created": change.created, "created_by": layer.created_by});
        if let Some(comment) = &change.comment {
            entry["comment"] = json!(comment);
        }
        entry
    });
    extend(top, "history", history);
    to_bytes(&document)
}

/// Objects are merged, `Env` by its variables' names; anything else replaces what was there.
fn lay_over(execution: &mut Map<String, Value>, key: &str, value: &Value) {
    match (key, value) {
        (_, Value::Null) => drop(execution.remove(key)),
        ("Env", Value::Object(variables)) => {
            let mut env = match execution.remove(key) {
                Some(Value::Array(env)) => env,
                _ => Vec::new(),
            };
            let name_of = |entry: &Value| {
                let entry = entry.as_str().unwrap_or_default();
                entry.split('=').next().unwrap_or_default().to_owned()
            };
            env.retain(|entry| !variables.contains_key(&name_of(entry)));
            env.extend(variables.values().cloned());
            execution.insert(key.to_owned(), Value::Array(env));
        }
        (_, Value::Object(fields)) => {
            let mut merged = take_object(execution, key);
            merged.extend(fields.clone());
            execution.insert(key.to_owned(), Value::Object(merged));
        }
        (_, value) => drop(execution.insert(key.to_owned(), value.clone())),
    }
}

/// Makes the manifest of an image with this configuration.
pub fn manifest(parent: Option<&Manifest>, config: &Blob, layers: &[NewLayer]) -> Result<Vec<u8>> {
    let below = parent.iter().flat_map(|parent| &parent.layers);
    let below = below.map(|layer| descriptor(&layer.blob, media_type(layer.compression)));
    let above = layers
        .iter()
        .map(|layer| descriptor(&layer.blob, media_type(layer.compression)));
    let all: Vec<Value> = below.chain(above).collect();
    to_bytes(&json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG),
        "layers": all,
    }))
}

fn descriptor(blob: &Blob, media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size})
}

fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

fn from_nothing() -> Value {
    let host = Platform::host();
    json!({"architecture": host.architecture, "os": "linux"})
}

/// The object in a field, or an empty one.
fn take_object(parent: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match parent.remove(key) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Adds to the array in a field, or makes one.
fn extend(parent: &mut Map<String, Value>, key: &str, items: impl Iterator<Item = Value>) {
    let mut all = match parent.remove(key) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    all.extend(items);
    parent.insert(key.to_owned(), Value::Array(all));
}

fn to_bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new(Kind::Invalid, format!("write a document: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::image_config::ImageConfig;
    use crate::manifest::Document;

    fn layer(content: &[u8]) -> NewLayer {
        NewLayer {
            blob: Blob::of_bytes(content),
            diff_id: DiffId(Digest::of(content)),
            compression: Compression::Gzip,
            created_by: "test".into(),
        }
    }

    fn change(field: &str, value: Value) -> Change {
        Change {
            created: "2026-11-21T00:00:00Z".into(),
            config: [(field.to_owned(), value)].into_iter().collect(),
            ..Change::default()
        }
    }

    #[test]
    fn an_image_from_nothing_and_one_on_top() {
        let (one, two) = (layer(b"1"), layer(b"2"));
        let first = config(
            None,
            std::slice::from_ref(&one),
            &change("Cmd", json!(["sh"])),
        )
        .expect("is made");
        let below = manifest(None, &Blob::of_bytes(&first), &[one]).expect("is made");
        let Document::Manifest(below) = Document::parse(&below, None).expect("parses") else {
            panic!("not a manifest");
        };
        let second = config(
            Some(&first),
            std::slice::from_ref(&two),
            &change("User", json!("web")),
        )
        .expect("is made");
        let above = manifest(Some(&below), &Blob::of_bytes(&second), &[two]).expect("is made");
        let Document::Manifest(above) =
            Document::parse(&above, Some(OCI_MANIFEST)).expect("parses")
        else {
            panic!("not a manifest");
        };
        let parsed = ImageConfig::parse(&second).expect("parses");
        parsed.check_layers(&above).expect("two layers each");
        assert_eq!(above.layers[0], below.layers[0]);
        let execution = parsed.execution().expect("is there");
        assert_eq!(execution.user().as_deref(), Some("web"));
        assert_eq!(execution.cmd().as_deref(), Some(&["sh".to_owned()][..]));
    }

    #[test]
    fn null_forgets_and_strangers_stay() {
        let parent = br#"{"os":"linux","architecture":"amd64","config":{"Cmd":["x"],"Healthcheck":{"Test":["CMD"]}},
            "rootfs":{"type":"layers","diff_ids":null},"container_config":{}}"#;
        let made = config(Some(parent), &[], &change("Cmd", Value::Null)).expect("is made");
        let made: Value = serde_json::from_slice(&made).expect("is JSON");
        assert_eq!(made["config"], json!({"Healthcheck": {"Test": ["CMD"]}}));
        assert!(made.get("container_config").is_none());
        assert_eq!(made["rootfs"]["diff_ids"], json!([]));
    }
}
