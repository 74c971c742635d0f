//! OCI images made by hand: each layer a directory that GNU tar packs, the documents written as JSON. Nothing of the
//! product has a part in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Sandbox, rootfs};

/// An image in the making.
pub struct ImageMaker {
    path: PathBuf,
    layers: Vec<(Value, String)>,
    config: Value,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn sha256(path: &Path) -> String {
    let line = run("sha256sum", &[&path.to_string_lossy()]);
    line.split(' ').next().unwrap_or_default().to_owned()
}

impl ImageMaker {
    /// An image without layers, whose command is a shell.
    pub fn empty(sandbox: &Sandbox) -> Self {
        let path = sandbox.new_path("image");
        fs::create_dir_all(path.join("blobs/sha256")).expect("make the layout");
        ImageMaker {
            path,
            layers: Vec::new(),
            config: json!({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}),
        }
    }

    /// An image of busybox.
    pub fn busybox(sandbox: &Sandbox) -> Self {
        ImageMaker::empty(sandbox).layer(|dir| {
            rootfs::make(dir);
            // A file with names in other sandboxes changes while tar reads it: their number does.
            let own = dir.join("bin/busybox.own");
            fs::copy(dir.join("bin/busybox"), &own).expect("copy busybox");
            fs::rename(&own, dir.join("bin/busybox")).expect("put the copy in place");
        })
    }

    /// One more layer: what `fill` puts into a directory. A whiteout is a file `.wh.NAME`.
    pub fn layer(mut self, fill: impl FnOnce(&Path)) -> Self {
        let (tree, tar) = (self.path.join("tree"), self.path.join("layer.tar"));
        fs::create_dir(&tree).expect("make a layer's directory");
        fill(&tree);
        let (tree_text, tar_text) = (tree.to_string_lossy(), tar.to_string_lossy());
        let pack = [
            "--numeric-owner",
            "--xattrs",
            "-C",
            &tree_text,
            "-cf",
            &tar_text,
            ".",
        ];
        run("tar", &pack);
        let diff_id = format!("sha256:{}", sha256(&tar));
        run("gzip", &["-1n", &tar_text]);
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let blob = self.store(&self.path.join("layer.tar.gz"), media_type);
        fs::remove_dir_all(&tree).expect("remove the layer's directory");
        self.layers.push((blob, diff_id));
        self
    }

    /// One more layer: an archive that is there already, as it is.
    pub fn archive(mut self, archive: &Path) -> Self {
        let own = self.path.join("layer.tar");
        fs::hard_link(archive, &own)
            .or_else(|_| fs::copy(archive, &own).map(drop))
            .expect("take an archive");
        let blob = self.store(&own, "application/vnd.oci.image.layer.v1.tar");
        let diff_id = blob["digest"].as_str().unwrap_or_default().to_owned();
        self.layers.push((blob, diff_id));
        self
    }

    /// A field of the image's `config`.
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    fn store(&self, file: &Path, media_type: &str) -> Value {
        let digest = sha256(file);
        let size = fs::metadata(file).expect("stat a blob").len();
        let blob = self.path.join("blobs/sha256").join(&digest);
        fs::rename(file, blob).expect("store a blob");
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
    }

    fn store_json(&self, value: &Value, media_type: &str) -> Value {
        let file = self.path.join("document");
        fs::write(&file, value.to_string()).expect("write a document");
        self.store(&file, media_type)
    }

    /// Writes the documents; the reference that names the image.
    pub fn write(self) -> String {
        let diff_ids: Vec<&String> = self.layers.iter().map(|(_, diff_id)| diff_id).collect();
        let config = self.store_json(
            &json!({"architecture": "amd64", "os": "linux", "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": diff_ids}}),
            "application/vnd.oci.image.config.v1+json",
        );
        let layers: Vec<&Value> = self.layers.iter().map(|(blob, _)| blob).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut manifest = self.store_json(&manifest, media_type);
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(self.path.join("index.json"), index.to_string()).expect("write index.json");
        fs::write(
            self.path.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .expect("write oci-layout");
        format!("oci:{}", self.path.display())
    }
}
