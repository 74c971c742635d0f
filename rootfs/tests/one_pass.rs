//! An image is fetched, hashed, stored, inflated and unpacked in one pass: `oci::transfer` and `rootfs::snapshot` together.

use oci::descriptor::{Blob, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use oci::digest::Digest;
use oci::progress::{Role, Silent};
use oci::store::Store;
use oci::transfer::{Options, Root, Session, Source};
use oci::{Error, Kind, Result};
use rootfs::layer::OverlayXattrs;
use rootfs::snapshot::{LayerBlob, Snapshots, UnpackOptions};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Mutex;

/// An image in memory, and which blobs were asked for.
struct Memory {
    blobs: HashMap<Digest, Vec<u8>>,
    root: Root,
    opened: Mutex<Vec<Digest>>,
}

fn gzipped_layer(name: &str, content: &[u8]) -> (Vec<u8>, Digest) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, name, content)
        .expect("appends");
    let plain = builder.into_inner().expect("finishes");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).expect("compresses");
    (gzip.finish().expect("finishes"), Digest::of(&plain))
}

impl Memory {
    fn new(layers: &[(&str, &[u8])]) -> Memory {
        let made: Vec<(Vec<u8>, Digest)> = layers
            .iter()
            .map(|(name, bytes)| gzipped_layer(name, bytes))
            .collect();
        let diff_ids: Vec<&Digest> = made.iter().map(|(_, diff_id)| diff_id).collect();
        let config = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let entries: Vec<_> = made
            .iter()
            .map(|(bytes, _)| {
                Blob::of_bytes(bytes)
                    .descriptor(&format!("{OCI_LAYER}+gzip"))
                    .expect("fits")
            })
            .collect();
        let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": entries,
            "config": Blob::of_bytes(&config).descriptor(OCI_CONFIG).expect("fits")});
        let bytes = manifest.to_string().into_bytes();
        let descriptor = Blob::of_bytes(&bytes)
            .descriptor(OCI_MANIFEST)
            .expect("fits");
        let all = made.into_iter().map(|(bytes, _)| bytes).chain([config]);
        Memory {
            blobs: all.map(|bytes| (Digest::of(&bytes), bytes)).collect(),
            root: Root { descriptor, bytes },
            opened: Mutex::default(),
        }
    }
}

impl Source for Memory {
    fn root(&self) -> Result<Root> {
        Ok(self.root.clone())
    }

    fn read_document(&self, _: &oci::spec::Descriptor) -> Result<Vec<u8>> {
        Err(Error::new(Kind::NotFound, "no index here"))
    }

    fn open(&self, blob: &Blob, _: Role, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        self.opened
            .lock()
            .expect("is whole")
            .push(blob.digest.clone());
        Ok(Box::new(&self.blobs[&blob.digest][offset as usize..]))
    }
}

#[test]
fn pull_and_unpack_read_every_layer_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(dir.path().join("store")).expect("opens");
    let snapshots =
        Snapshots::open(dir.path().join("snapshots"), OverlayXattrs::User).expect("opens");
    let big: Vec<u8> = (0..2_000_000u32).map(|n| (n ^ (n >> 9)) as u8).collect();
    let image = Memory::new(&[("big", &big), ("small", b"content")]);
    let how = Options {
        platform: "linux/amd64".parse().expect("parses"),
        ..Options::default()
    };

    let session = Session::begin(&store, &image, &how, &Silent).expect("begins");
    let blob = |index: usize| LayerBlob {
        diff_id: session.config().diff_ids[index].clone(),
        open: {
            let session = &session;
            Box::new(move || session.open_layer(index).map_err(Error::into_io))
        },
    };
    let blobs: Vec<LayerBlob> = (0..2).map(blob).collect();
    let options = UnpackOptions {
        owners: false,
        devices: false,
        ..UnpackOptions::default()
    };
    let chain = snapshots.unpack(&blobs, &options).expect("unpacks");
    drop(blobs);
    let stored = session.finish("app:1").expect("finishes");

    assert_eq!(chain.diff_ids(), stored.config.diff_ids);
    let opened = image.opened.lock().expect("is whole").len();
    assert_eq!(opened, 3, "the configuration and two layers, once each");
    for layer in &stored.manifest.layers {
        assert!(store.has(&layer.blob));
    }
    assert_eq!(
        store
            .resolve("app:1")
            .expect("is named")
            .digest()
            .expect("fits"),
        Blob::of(&stored.descriptor).expect("fits").digest
    );
}
