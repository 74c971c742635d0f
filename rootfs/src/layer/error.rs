//! What can go wrong with a layer, as one sentence that names the layer, the entry, the operation and its arguments.
//!
//! A [`Fault`] says what is wrong; a [`LayerError`] adds where. Nothing here prints or logs.

use std::fmt;
use std::io;

use oci::DiffId;
use rustix::io::Errno;

/// A layer could not be applied.
#[derive(Debug)]
pub struct LayerError {
    layer: String,
    entry: Option<Vec<u8>>,
    fault: Fault,
}

impl LayerError {
    pub(crate) fn new(layer: &str, entry: Option<Vec<u8>>, fault: Fault) -> Self {
        Self {
            layer: layer.to_owned(),
            entry,
            fault,
        }
    }

    /// What was wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The entry's name as the archive spells it, when the fault belongs to one.
    pub fn entry(&self) -> Option<&[u8]> {
        self.entry.as_deref()
    }
}

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {}: ", self.layer)?;
        if let Some(entry) = &self.entry {
            write!(f, "entry {}: ", Shown(entry))?;
        }
        write!(f, "{}", self.fault)
    }
}

impl std::error::Error for LayerError {}

/// What is wrong with a layer or an entry.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The blob could not be read or inflated.
    #[error("{what}: {error}")]
    Read {
        /// The stage that failed.
        what: &'static str,
        /// Its error.
        error: io::Error,
    },
    /// The bytes end before the archive does.
    #[error("the {0} ends too early")]
    Truncated(&'static str),
    /// The archive breaks the tar format, or two implementations would read it differently.
    #[error("malformed archive: {0}")]
    Malformed(String),
    /// A name that may not appear in a layer.
    #[error("refused name: {0}")]
    Name(&'static str),
    /// The blob is packed in a way that OCI layers are not.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
    /// A limit was passed.
    #[error("{what} is {actual}, above the limit of {limit}")]
    Limit {
        /// What was counted, with its unit.
        what: &'static str,
        /// How much there was.
        actual: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Together the layer needs more memory than one may take.
    #[error(
        "memory in bytes is {actual} (zstd window {window}, tree {tree}), above the limit of {limit}"
    )]
    Memory {
        /// For the decoder.
        window: u64,
        /// For the tree, and for what leans on lower layers.
        tree: u64,
        /// For everything.
        actual: u64,
        /// What a layer may take.
        limit: u64,
    },
    /// A system call failed.
    #[error("{operation} {}: {}", Shown(.path), symbol(*.errno))]
    System {
        /// The call and its telling arguments.
        operation: &'static str,
        /// What it was about, inside the layer.
        path: Vec<u8>,
        /// Why.
        errno: Errno,
    },
    /// A hard link to something that neither this layer nor one below has.
    #[error("hard link to {}, which this layer and those below don't have", Shown(.0))]
    LinkTarget(Vec<u8>),
    /// The uncompressed stream is not the one the image's configuration names.
    #[error("diffID is {actual}, the image's configuration says {expected}")]
    DiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What was read.
        actual: DiffId,
    },
}

impl Fault {
    pub(crate) fn system(operation: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Fault {
        let path = path.to_vec();
        move |errno| Fault::System {
            operation,
            path,
            errno,
        }
    }
}

/// A [`Fault`] travels through `BufRead` inside an `io::Error`; this takes it out again.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof && error.get_ref().is_none() {
            return Fault::Truncated("archive");
        }
        match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(error) => Fault::Read {
                what: "read the layer",
                error,
            },
        }
    }
}

/// `ENOSPC`, not a number and not a sentence.
fn symbol(errno: Errno) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno.raw_os_error()))
}

/// Bytes of a name, printable: control characters and invalid UTF-8 are escaped, long names cut.
pub(crate) struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let cut = &self.0[..self.0.len().min(LONGEST)];
        write!(f, "\"{}\"", cut.escape_ascii())?;
        if cut.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}
