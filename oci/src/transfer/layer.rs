//! One layer: from its source into the store and, in the same pass, to whoever unpacks it.
//!
//! A wanted layer has two threads: one fetches, hashes and stores, the other runs the sink. The first failure stops all.

use super::pipe::{Sender, pipe};
use super::{LayerInfo, Transfer};
use crate::digest::DiffId;
use crate::error::{Context, Error, Kind, Result};
use crate::image_config::ImageConfig;
use crate::manifest::{Layer, Manifest};
use crate::progress::{Role, Stage};
use crate::store::{Begin, Ingest, Receiver};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The layers to come, and the first failure.
struct Queue<'q> {
    layers: &'q [LayerInfo],
    next: AtomicUsize,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
}

/// All layers, the lowest first.
pub(super) fn layers(manifest: &Manifest, config: &ImageConfig) -> Vec<LayerInfo> {
    let pairs = manifest.layers.iter().zip(&config.diff_ids).enumerate();
    let info = |(index, (layer, diff_id)): (usize, (&Layer, &DiffId))| LayerInfo {
        index,
        blob: layer.blob.clone(),
        compression: layer.compression,
        diff_id: diff_id.clone(),
    };
    pairs.map(info).collect()
}

/// Passes a layer's bytes on and puts it into the store at its end.
struct Storing<'s> {
    transfer: &'s Transfer<'s>,
    layer: LayerInfo,
    receiver: Option<Receiver<Box<dyn Read + Send + 's>>>,
    done: u64,
}

impl Read for Storing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(receiver) = &mut self.receiver else {
            return Ok(0);
        };
        let count = receiver.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            self.done += count as u64;
            let progress = self.transfer.progress;
            progress.bytes(&self.layer.blob.digest, self.done);
            return Ok(count);
        }
        if let Some(receiver) = self.receiver.take() {
            receiver.commit().map_err(Error::into_io)?;
            self.transfer.stage(&self.layer, Stage::Done);
        }
        Ok(0)
    }
}

impl Transfer<'_> {
    /// A layer's bytes, stored while they are read.
    pub(super) fn open_layer(&self, layer: LayerInfo) -> Result<Box<dyn Read + Send + '_>> {
        loop {
            match self.store.ingest(&layer.blob)? {
                Begin::Present => {
                    self.stage(&layer, Stage::Present);
                    return Ok(Box::new(self.store.open_blob(&layer.blob)?));
                }
                Begin::Busy => {
                    self.stage(&layer, Stage::Waiting);
                    self.store.await_ingest(&layer.blob)?;
                }
                Begin::Started(ingest) => {
                    self.stage(&layer, Stage::Fetching);
                    let source = self
                        .source
                        .open(&layer.blob, Role::Layer, ingest.offset())?;
                    return Ok(Box::new(Storing {
                        transfer: self,
                        receiver: Some(ingest.receive(source)?),
                        layer,
                        done: 0,
                    }));
                }
            }
        }
    }

    /// Brings all layers, some at once.
    pub(super) fn layers(&self, manifest: &Manifest, config: &ImageConfig) -> Result<()> {
        let layers = layers(manifest, config);
        let queue = Queue {
            layers: &layers,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        std::thread::scope(|scope| {
            let extra = self.options.jobs.min(layers.len()).saturating_sub(1);
            for _ in 0..extra {
                scope.spawn(|| self.work(&queue));
            }
            self.work(&queue);
        });
        let failure = queue
            .failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }

    fn work(&self, queue: &Queue) {
        while !queue.stop.load(Ordering::Relaxed) {
            let Some(layer) = queue.layers.get(queue.next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(error) = self.layer(layer, &queue.stop) {
                let count = queue.layers.len();
                let error = error.context(format_args!(
                    "layer {} of {count} ({})",
                    layer.index + 1,
                    layer.blob.digest.short()
                ));
                let mut failure = queue.failure.lock().unwrap_or_else(PoisonError::into_inner);
                // Told to others under the lock: whoever gives up because of it comes later.
                failure.get_or_insert(error);
                queue.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn layer(&self, layer: &LayerInfo, stop: &AtomicBool) -> Result<()> {
        let wanted = self.sink.wants(layer);
        loop {
            match self.store.ingest(&layer.blob)? {
                Begin::Present => {
                    self.stage(layer, Stage::Present);
                    return match wanted {
                        true => self.unpack_present(layer),
                        false => Ok(()),
                    };
                }
                Begin::Busy => {
                    self.stage(layer, Stage::Waiting);
                    self.store.await_ingest(&layer.blob)?;
                }
                Begin::Started(ingest) => {
                    let resumed = ingest.offset() > 0;
                    match self.fetch(layer, ingest, wanted, stop) {
                        // What an earlier attempt left may be what is wrong: once more, from the start.
                        Err(error)
                            if resumed
                                && error.kind() == Kind::Corrupt
                                && !stop.load(Ordering::Relaxed) =>
                        {
                            self.progress.note(&format!("{error}; fetching it again"));
                            self.store.forget_partial(&layer.blob)?;
                        }
                        result => return result,
                    }
                }
            }
        }
    }

    fn unpack_present(&self, layer: &LayerInfo) -> Result<()> {
        let mut blob = self.store.open_blob(&layer.blob)?;
        self.sink.receive(layer, &mut blob).context("stored blob")
    }

    fn fetch(
        &self,
        layer: &LayerInfo,
        ingest: Ingest,
        wanted: bool,
        stop: &AtomicBool,
    ) -> Result<()> {
        self.stage(layer, Stage::Fetching);
        if !wanted {
            return match self.store_layer(layer, ingest, stop, |_| true)? {
                Stored::Whole => Ok(()),
                Stored::GivenUp => Err(given_up()),
            };
        }
        let (sender, mut incoming) = pipe();
        std::thread::scope(|scope| {
            let fetching = scope.spawn(|| self.feed(layer, ingest, stop, sender));
            let received = self.sink.receive(layer, &mut incoming).and_then(|()| {
                // What the sink didn't care to read must still go through, or the fetch waits for ever.
                let rest = std::io::copy(&mut incoming, &mut std::io::sink());
                rest.map(drop).context("fetch")
            });
            drop(incoming);
            let panicked = |_| Err(Error::new(Kind::Invalid, "the fetching thread panicked"));
            let fetched = fetching.join().unwrap_or_else(panicked);
            // A failed fetch makes the sink fail too: the fetch's words are the cause, unless it is the sink that gave up.
            match fetched? {
                Stored::Whole => received,
                Stored::GivenUp => received.and_then(|()| Err(given_up())),
            }
        })
    }

    fn feed(
        &self,
        layer: &LayerInfo,
        ingest: Ingest,
        stop: &AtomicBool,
        sender: Sender,
    ) -> Result<Stored> {
        let stored = self.store_layer(layer, ingest, stop, |chunk| sender.send(chunk));
        match &stored {
            Ok(Stored::Whole) => sender.finish(),
            Ok(Stored::GivenUp) => sender.fail(&given_up()),
            Err(error) => sender.fail(error),
        }
        stored
    }

    /// Fetches, hashes and stores; `pass_on` gets every chunk and may end it all.
    fn store_layer(
        &self,
        layer: &LayerInfo,
        ingest: Ingest,
        stop: &AtomicBool,
        pass_on: impl Fn(&[u8]) -> bool,
    ) -> Result<Stored> {
        let blob = &layer.blob;
        let source = self.source.open(blob, Role::Layer, ingest.offset())?;
        let mut receiver = ingest.receive(source)?;
        let mut done = 0;
        loop {
            let chunk = receiver.next_chunk().context("fetch")?;
            if chunk.is_empty() {
                break;
            }
            done += chunk.len() as u64;
            if stop.load(Ordering::Relaxed) || !pass_on(chunk) {
                return Ok(Stored::GivenUp);
            }
            self.progress.bytes(&blob.digest, done);
        }
        receiver.commit()?;
        self.stage(layer, Stage::Done);
        Ok(Stored::Whole)
    }

    fn stage(&self, layer: &LayerInfo, stage: Stage) {
        self.progress
            .stage(&layer.blob.digest, Role::Layer, layer.blob.size, stage);
    }
}

/// How far a layer came.
enum Stored {
    /// It is in the store.
    Whole,
    /// Another part failed, and nobody wants the rest.
    GivenUp,
}

fn given_up() -> Error {
    Error::new(Kind::Busy, "given up because another part failed")
}
