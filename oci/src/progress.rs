//! How work on images tells what it does, without knowing who listens.
//!
//! The command line draws bars or prints lines from this; tests count calls. All methods may come from several threads.

use crate::digest::Digest;

/// What happens with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was there already: nothing to do.
    Present,
    /// Another process fetches it just now; this one waits.
    Waiting,
    /// Its bytes come in.
    Fetching,
    /// It is stored and verified.
    Done,
}

/// What a blob is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An index or manifest.
    Manifest,
    /// The image's configuration.
    Config,
    /// A layer.
    Layer,
}

/// Listens. Every method does nothing unless implemented.
pub trait Progress: Sync {
    /// A blob enters a stage; `size` is its whole size in bytes.
    fn stage(&self, _blob: &Digest, _role: Role, _size: u64, _stage: Stage) {}

    /// `done` of the blob's bytes are here. Called about every 256 KiB.
    fn bytes(&self, _blob: &Digest, _done: u64) {}

    /// Something that a person may want to know: a retry, a mirror that failed.
    fn note(&self, _text: &str) {}
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {}
