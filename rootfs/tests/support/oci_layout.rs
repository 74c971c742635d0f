//! A minimal OCI image layout on disk, and what umoci makes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oci::{DiffId, Digest};

/// Writes an image of these uncompressed layers, the lowest first, gzipped.
pub fn write(dir: &Path, layers: &[Vec<u8>]) -> Vec<DiffId> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest
    };
    let diff_ids: Vec<DiffId> = layers
        .iter()
        .map(|layer| DiffId(Digest::of(layer)))
        .collect();
    let descriptors: Vec<_> = layers
        .iter()
        .map(|layer| {
            let blob = super::tar::gzip(layer);
            let media = "application/vnd.oci.image.layer.v1.tar+gzip";
            serde_json::json!({"mediaType": media, "digest": put(&blob).to_string(), "size": blob.len()})
        })
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>()},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": put(&config).to_string(), "size": config.len()},
        "layers": descriptors,
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": put(&manifest).to_string(), "size": manifest.len(),
        "annotations": {"org.opencontainers.image.ref.name": "test"},
    }]});
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    diff_ids
}

/// The tree umoci unpacks; nothing where umoci is not installed.
pub fn umoci_unpack(layout: &Path, bundle: &Path) -> Option<PathBuf> {
    let image = format!("{}:test", layout.display());
    match Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(bundle)
        .output()
    {
        Ok(output) if output.status.success() => Some(bundle.join("rootfs")),
        Ok(output) => panic!("umoci: {}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            eprintln!("skipped: umoci is not installed");
            None
        }
    }
}
