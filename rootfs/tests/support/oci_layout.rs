//! A minimal OCI image layout on disk, and what umoci and Podman make of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use oci::{DiffId, Digest};

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub fn pack(self, layer: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => layer.to_vec(),
            Packing::Gzip => super::tar::gzip(layer),
            Packing::Zstd => super::tar::zstd(layer),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// Writes an image of these uncompressed layers, the lowest first.
pub fn write(dir: &Path, layers: &[Vec<u8>], packing: Packing) -> Vec<DiffId> {
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
            let blob = packing.pack(layer);
            serde_json::json!({"mediaType": packing.media_type(), "digest": put(&blob).to_string(), "size": blob.len()})
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

/// What a peer makes of an image: a tree to look at, or its words of refusal.
pub type Tree<T> = Result<T, String>;

/// Looks at the tree umoci unpacks; nothing where umoci is not installed.
pub fn umoci<T>(ground: &Path, layout: &Path, look: impl FnOnce(&Path) -> T) -> Option<Tree<T>> {
    let (image, bundle) = (format!("{}:test", layout.display()), ground.join("umoci"));
    let mut unpack = Command::new("umoci");
    unpack.args(["unpack", "--image", &image]).arg(&bundle);
    let unpacked = said(unpack)?;
    Some(unpacked.map(|_| look(&bundle.join("rootfs"))))
}

/// Looks at the tree Podman mounts, from a store of its own; nothing where Podman is not installed.
pub fn podman<T: Send>(
    ground: &Path,
    layout: &Path,
    look: impl FnOnce(&Path) -> T + Send,
) -> Option<Tree<T>> {
    let own = ground.join("podman");
    let podman = |words: &[&str]| {
        let mut command = Command::new("podman");
        for (option, directory) in [("--root", "s"), ("--runroot", "r"), ("--tmpdir", "t")] {
            command.arg(option).arg(own.join(directory));
        }
        command.args(["--storage-driver", "overlay"]).args(words);
        command.current_dir(layout.parent().unwrap());
        said(command)
    };
    // It makes a name of the path, which must be in lower case.
    let image = format!("oci:{}:test", layout.file_name().unwrap().display());
    super::tree::with_own_mounts(|| {
        let mounted = podman(&["pull", "--quiet", &image])?
            .and_then(|id| podman(&["image", "mount", id.trim()]).unwrap_or(Ok(String::new())));
        let seen = mounted.map(|place| look(Path::new(place.trim())));
        let _ = podman(&["image", "umount", "--all"]);
        Some(seen)
    })
}

/// What a program printed, or why it failed; nothing where it is not installed.
fn said(mut command: Command) -> Option<Tree<String>> {
    match command.output() {
        Ok(output) if output.status.success() => {
            Some(Ok(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => Some(Err(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(_) => {
            eprintln!("skipped: {:?} is not installed", command.get_program());
            None
        }
    }
}
