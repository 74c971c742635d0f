//! Bringing an image into the store, from wherever: choose the platform, fetch what is missing, name the image.
//!
//! [`Source`] is where it comes from. [`LayerSink`] gets every layer's bytes while they are fetched and hashed: the place
//! where a layer is unpacked in the same pass. Layers run in parallel and in no order.

mod layer;
mod pipe;

use crate::descriptor::{Blob, Compression, MediaKind, media_kind};
use crate::digest::DiffId;
use crate::error::{Context, Error, Kind, Result};
use crate::image_config::{ImageConfig, MAX_CONFIG_BYTES};
use crate::manifest::{Document, Manifest};
use crate::platform::Platform;
use crate::progress::{Progress, Role, Stage};
use crate::spec;
use crate::store::{Begin, Lease, Store};
use crate::verify;
use std::io::Read;

/// Indexes in indexes are followed this deep.
const MAX_INDEX_DEPTH: usize = 4;

/// The document that a reference names, unverified but for what the reference says.
#[derive(Debug, Clone)]
pub struct Root {
    /// What it is.
    pub descriptor: spec::Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Where an image comes from. Nothing that it returns is believed: digests and sizes are checked behind it.
pub trait Source: Sync {
    /// What the source itself calls the image, as a name for the store.
    fn name(&self) -> Option<String> {
        None
    }

    /// The index or manifest that was asked for.
    fn root(&self) -> Result<Root>;

    /// An index or manifest that another document names.
    fn read_document(&self, descriptor: &spec::Descriptor) -> Result<Vec<u8>>;

    /// A blob's bytes from an offset on.
    fn open(&self, blob: &Blob, role: Role, offset: u64) -> Result<Box<dyn Read + Send + '_>>;
}

/// One layer of an image on its way.
#[derive(Debug, Clone)]
pub struct LayerInfo {
    /// Counted from the lowest, from 0.
    pub index: usize,
    /// The blob as it is stored.
    pub blob: Blob,
    /// What the media type claims; the bytes may say otherwise.
    pub compression: Compression,
    /// What the uncompressed tar must hash to.
    pub diff_id: DiffId,
}

/// Takes layers as they come.
pub trait LayerSink: Sync {
    /// Called once, before any layer.
    fn begin(&self, _manifest: &Manifest, _config: &ImageConfig) -> Result<()> {
        Ok(())
    }

    /// Whether this layer's bytes are wanted; those that are not are only stored.
    fn wants(&self, layer: &LayerInfo) -> bool;

    /// Takes one layer: the blob's bytes, compressed as they are stored. A read to EOF only succeeds when size and digest are
    /// right, so whoever stops before must not make its work visible. May run for several layers at once.
    fn receive(&self, layer: &LayerInfo, blob: &mut (dyn Read + Send)) -> Result<()>;
}

/// Layers are only stored.
pub struct StoreOnly;

impl LayerSink for StoreOnly {
    fn wants(&self, _: &LayerInfo) -> bool {
        false
    }

    fn receive(&self, _: &LayerInfo, _: &mut (dyn Read + Send)) -> Result<()> {
        Ok(())
    }
}

/// How to bring an image in.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which image of an index.
    pub platform: Platform,
    /// Layers at once.
    pub jobs: usize,
    /// The largest layer, in bytes as it is stored.
    pub max_layer_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            platform: Platform::host(),
            jobs: 3,
            max_layer_bytes: u64::MAX,
        }
    }
}

/// An image that is in the store now.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its manifest.
    pub descriptor: spec::Descriptor,
    /// The manifest's content.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Brings an image into the store under a name.
pub fn transfer(
    store: &Store,
    source: &dyn Source,
    name: &str,
    options: &Options,
    sink: &dyn LayerSink,
    progress: &dyn Progress,
) -> Result<Stored> {
    let session = Session::with_sink(store, source, options, sink, progress)?;
    sink.begin(&session.manifest, &session.config)?;
    session.finish(name)
}

/// Before a byte of it is fetched: no layer may be larger than its descriptor says.
fn refuse_large(manifest: &Manifest, limit: u64) -> Result<()> {
    let mut layers = manifest.layers.iter();
    let Some(layer) = layers.find(|layer| layer.blob.size > limit) else {
        return Ok(());
    };
    let (digest, size) = (&layer.blob.digest, layer.blob.size);
    let text = format!("layer {digest}: size in bytes is {size}, above the limit of {limit}");
    Err(Error::new(Kind::Invalid, text)
        .hint("if you trust the image, --max-layer-size allows more"))
}

/// An image on its way, for those who want to read its layers themselves: what is read is stored.
///
/// Nothing has a name before [`Session::finish`]; until then the session keeps its blobs from garbage collection.
pub struct Session<'a> {
    run: Transfer<'a>,
    descriptor: spec::Descriptor,
    manifest: Manifest,
    bytes: Vec<u8>,
    config: ImageConfig,
}

impl<'a> Session<'a> {
    /// Chooses the image and fetches its documents.
    pub fn begin(
        store: &'a Store,
        source: &'a dyn Source,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Result<Session<'a>> {
        Session::with_sink(store, source, options, &StoreOnly, progress)
    }

    fn with_sink(
        store: &'a Store,
        source: &'a dyn Source,
        options: &'a Options,
        sink: &'a dyn LayerSink,
        progress: &'a dyn Progress,
    ) -> Result<Session<'a>> {
        let run = Transfer {
            store,
            source,
            options,
            sink,
            progress,
            lease: store.lease()?,
        };
        let (descriptor, manifest, bytes) = run.choose()?;
        refuse_large(&manifest, options.max_layer_bytes)?;
        let layers = manifest.layers.iter().map(|layer| &layer.blob.digest);
        run.lease.add(layers)?;
        run.lease
            .add([&manifest.config.digest, &Blob::of(&descriptor)?.digest])?;
        let config = run.config(&manifest)?;
        Ok(Session {
            run,
            descriptor,
            manifest,
            bytes,
            config,
        })
    }

    /// The image's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The image's configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// One layer's blob, compressed as it is stored: from the store, else fetched, hashed and stored while it is read.
    /// EOF means that size and digest are right and the blob is in the store. May be called from several threads.
    pub fn open_layer(&self, index: usize) -> Result<Box<dyn Read + Send + '_>> {
        let layers = layer::layers(&self.manifest, &self.config);
        match layers.into_iter().nth(index) {
            Some(layer) => self.run.open_layer(layer),
            None => Err(Error::new(
                Kind::Invalid,
                format!("there is no layer {index}"),
            )),
        }
    }

    /// Fetches what nobody read, and names the image.
    pub fn finish(self, name: &str) -> Result<Stored> {
        self.run.layers(&self.manifest, &self.config)?;
        self.run.put_document(&self.descriptor, &self.bytes)?;
        self.run.store.set_ref(name, &self.descriptor)?;
        Ok(Stored {
            descriptor: self.descriptor,
            manifest: self.manifest,
            config: self.config,
        })
    }
}

struct Transfer<'a> {
    store: &'a Store,
    source: &'a dyn Source,
    options: &'a Options,
    sink: &'a dyn LayerSink,
    progress: &'a dyn Progress,
    lease: Lease,
}

impl Transfer<'_> {
    /// Follows indexes to the one manifest for the platform.
    fn choose(&self) -> Result<(spec::Descriptor, Manifest, Vec<u8>)> {
        let Root {
            mut descriptor,
            mut bytes,
        } = self.source.root()?;
        let top = descriptor.digest().to_string();
        for depth in 0..=MAX_INDEX_DEPTH {
            let media_type = descriptor.media_type().to_string();
            let blob = Blob::of(&descriptor)?;
            verify::manifest(&bytes, blob.digest, blob.size)?;
            match Document::parse(&bytes, Some(&media_type))? {
                Document::Manifest(manifest) => {
                    if depth > 0 {
                        remember_index(&mut descriptor, top);
                    }
                    return Ok((descriptor, *manifest, bytes));
                }
                Document::Index(index) => {
                    descriptor = self.options.platform.select(&index)?.clone();
                    bytes = self.source.read_document(&descriptor)?;
                }
            }
        }
        Err(Error::new(
            Kind::Corrupt,
            format!("index {top}: nested too deep"),
        ))
    }

    fn config(&self, manifest: &Manifest) -> Result<ImageConfig> {
        let blob = &manifest.config;
        if blob.size > MAX_CONFIG_BYTES {
            let what = format!(
                "image config of {} bytes is larger than {MAX_CONFIG_BYTES}",
                blob.size
            );
            return Err(Error::new(Kind::TooLarge, what));
        }
        loop {
            match self.store.ingest(blob)? {
                Begin::Present => {
                    self.progress
                        .stage(&blob.digest, Role::Config, blob.size, Stage::Present);
                    break;
                }
                Begin::Busy => self.store.await_ingest(blob)?,
                Begin::Started(mut ingest) => {
                    self.progress
                        .stage(&blob.digest, Role::Config, blob.size, Stage::Fetching);
                    ingest.restart()?;
                    let body = self
                        .source
                        .open(blob, Role::Config, 0)
                        .context("image config")?;
                    ingest.receive(body)?.commit()?;
                    self.progress
                        .stage(&blob.digest, Role::Config, blob.size, Stage::Done);
                    break;
                }
            }
        }
        self.store.read_config(manifest)
    }

    fn put_document(&self, descriptor: &spec::Descriptor, bytes: &[u8]) -> Result<()> {
        let blob = Blob::of(descriptor)?;
        // `put` names by SHA-256; a manifest that is known by another digest is stored by that.
        match self.store.ingest(&blob)? {
            Begin::Started(mut ingest) => {
                ingest.restart()?;
                ingest.receive(bytes)?.commit()?;
            }
            Begin::Present => {}
            Begin::Busy => {
                self.store.await_ingest(&blob)?;
                self.lease.add([&blob.digest])?;
            }
        }
        match self.store.has(&blob) {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Busy,
                format!("blob {}: another process gave up on it", blob.digest),
            )),
        }
    }
}

/// So that `NAME@DIGEST` finds the image by the digest that the registry shows, too.
fn remember_index(descriptor: &mut spec::Descriptor, index: String) {
    let mut annotations = descriptor.annotations().clone().unwrap_or_default();
    annotations.insert(crate::store::SOURCE_INDEX.into(), index);
    descriptor.set_annotations(Some(annotations));
    debug_assert_eq!(
        media_kind(descriptor.media_type().as_ref()),
        MediaKind::Manifest
    );
}
