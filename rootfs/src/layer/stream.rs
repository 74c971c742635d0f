//! The two threads of an unpack: one inflates and hashes into a few large buffers, the other reads them as a `BufRead`.
//!
//! Buffers go round: memory is bounded whatever the layer holds. Dropping the reading end stops the inflating one.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use oci::DiffId;
use oci::digest::{Algorithm, Hasher};

use super::error::Fault;
use super::inflate::{Inflater, Opened};
use super::limits::Limits;

const BUFFER_BYTES: usize = 256 << 10;
const BUFFERS: usize = 6;

/// What the inflating thread knows when the stream is over.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) diff_id: DiffId,
    pub(super) bytes: u64,
}

enum Chunk {
    Data(Vec<u8>, usize),
    Ended(Ended),
    Failed(Fault),
}

/// The inflating end, to be run in its own thread.
pub(super) struct Producer {
    chunks: SyncSender<Chunk>,
    spent: Receiver<Vec<u8>>,
}

/// The reading end.
pub(super) struct Stream {
    chunks: Receiver<Chunk>,
    spent: SyncSender<Vec<u8>>,
    buffer: Vec<u8>,
    position: usize,
    length: usize,
    ended: Option<Ended>,
}

/// Both ends, with their buffers in circulation.
pub(super) fn stream() -> (Producer, Stream) {
    let (chunks, from_producer) = sync_channel(BUFFERS);
    let (spent, to_producer) = sync_channel(BUFFERS + 1);
    for _ in 0..BUFFERS {
        // The channel holds them all, and its other end is alive: this cannot fail.
        let _ = spent.send(Vec::new());
    }
    let reading = Stream {
        chunks: from_producer,
        spent,
        buffer: Vec::new(),
        position: 0,
        length: 0,
        ended: None,
    };
    (
        Producer {
            chunks,
            spent: to_producer,
        },
        reading,
    )
}

impl Producer {
    /// Inflates all of `blob`. A send fails only when the reader gave up, and then there is nobody to tell.
    pub(super) fn run<R: Read>(self, blob: Opened<R>, algorithm: Algorithm, limits: &Limits) {
        if let Err(fault) = self.inflate(blob, algorithm, limits) {
            let _ = self.chunks.send(Chunk::Failed(fault));
        }
    }

    fn inflate<R: Read>(
        &self,
        blob: Opened<R>,
        algorithm: Algorithm,
        limits: &Limits,
    ) -> Result<(), Fault> {
        let mut inflater = Inflater::new(blob, limits)?;
        let mut hash = Hasher::new(algorithm);
        let mut bytes = 0;
        while let Ok(mut buffer) = self.spent.recv() {
            buffer.resize(BUFFER_BYTES, 0);
            let filled = inflater.fill(&mut buffer)?;
            if filled == 0 {
                let diff_id = DiffId(hash.finish());
                let _ = self.chunks.send(Chunk::Ended(Ended { diff_id, bytes }));
                return Ok(());
            }
            hash.update(&buffer[..filled]);
            bytes += filled as u64;
            if self.chunks.send(Chunk::Data(buffer, filled)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Reads what is left, so that the hash covers all of it.
    pub(super) fn drain(&mut self) -> Result<Ended, Fault> {
        loop {
            let left = self.fill_buf()?.len();
            match &self.ended {
                Some(ended) if left == 0 => return Ok(ended.clone()),
                _ => self.consume(left),
            }
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        match self.chunks.recv() {
            Ok(Chunk::Data(buffer, length)) => {
                let spent = std::mem::replace(&mut self.buffer, buffer);
                (self.position, self.length) = (0, length);
                // The producer is gone once it sent its last chunk; the buffer is then no longer needed.
                if !spent.is_empty() {
                    let _ = self.spent.send(spent);
                }
                Ok(())
            }
            Ok(Chunk::Ended(ended)) => {
                self.ended = Some(ended);
                Ok(())
            }
            Ok(Chunk::Failed(fault)) => Err(io::Error::other(fault)),
            Err(_) => Err(io::Error::other(Fault::Truncated("stream"))),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.length && self.ended.is_none() {
            (self.position, self.length) = (0, 0);
            self.next_chunk()?;
        }
        Ok(&self.buffer[self.position..self.length])
    }

    fn consume(&mut self, n: usize) {
        self.position += n;
    }
}
