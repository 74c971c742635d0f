//! Chunks from the thread that fetches to the thread that unpacks, a few at a time.

use crate::error::{Error, Kind};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// So many chunks may wait: what evens out a network and a disk, and all the memory a layer needs here.
const DEPTH: usize = 4;

type Message = io::Result<Vec<u8>>;

/// The end that fetches.
pub(super) struct Sender(SyncSender<Message>);

/// The end that reads.
pub(super) struct Pipe {
    incoming: Receiver<Message>,
    chunk: Vec<u8>,
    read: usize,
    ended: bool,
}

pub(super) fn pipe() -> (Sender, Pipe) {
    let (sender, incoming) = sync_channel(DEPTH);
    let pipe = Pipe {
        incoming,
        chunk: Vec::new(),
        read: 0,
        ended: false,
    };
    (Sender(sender), pipe)
}

impl Sender {
    /// Passes a chunk on; false when nobody reads any more.
    pub(super) fn send(&self, chunk: &[u8]) -> bool {
        self.0.send(Ok(chunk.to_vec())).is_ok()
    }

    /// The empty chunk: everything was right. Without it the reader sees an error, never a short success.
    pub(super) fn finish(self) {
        let _ = self.0.send(Ok(Vec::new()));
    }

    /// Lets the reader fail as the fetch did.
    pub(super) fn fail(self, error: &Error) {
        let _ = self.0.send(Err(error.clone().into_io()));
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() && !self.ended {
            let gone = || Err(Error::new(Kind::Corrupt, "the transfer was given up").into_io());
            self.chunk = self.incoming.recv().unwrap_or_else(|_| gone())?;
            self.read = 0;
            self.ended = self.chunk.is_empty();
        }
        let count = buffer.len().min(self.chunk.len() - self.read);
        buffer[..count].copy_from_slice(&self.chunk[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}
