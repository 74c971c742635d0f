//! The one error of image work: what kind it is, a sentence with operation and arguments, sometimes a hint.
//!
//! An error made inside a `Read` travels in a `std::io::Error` and comes out whole again by [`Error::io`].

use std::fmt;
use std::io;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A system call failed; the errno where one is known.
    Io(Option<i32>),
    /// The bytes are not what their digest, size or format promises.
    Corrupt,
    /// There is no such image, blob or tag.
    NotFound,
    /// The registry wants other credentials, or none would do.
    Denied,
    /// The user asked for something that makes no sense.
    Invalid,
    /// A document or stream is larger than its limit.
    TooLarge,
    /// The other side failed in a way that may pass: a stall, a cut, a busy server.
    Transient,
    /// The other side failed in a way that will not pass.
    Remote,
    /// Someone uses it.
    Busy,
}

/// What went wrong, outermost operation first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// A failure that no system call reported.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// A failed `std` operation; `operation` names it with its arguments.
    pub fn io(operation: impl fmt::Display, error: io::Error) -> Self {
        if let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            return inner.clone().context(operation);
        }
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::UnexpectedEof => Kind::Corrupt,
            _ => Kind::Io(error.raw_os_error()),
        };
        let made = Error::new(kind, format!("{operation}: {}", plain(&error)));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                made.hint("free some space (for example with `crun-lite image prune`) and run the same command again")
            }
            _ => made,
        }
    }

    /// Puts the enclosing operation in front.
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.message.insert_str(0, &format!("{operation}: "));
        self
    }

    /// Adds advice for a known stumbling block; the first advice stays.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The advice, where there is one.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The errno, where a system call was the cause.
    pub fn os(&self) -> Option<i32> {
        match self.kind {
            Kind::Io(errno) => errno,
            _ => None,
        }
    }

    /// The error as a `Read` or `Write` must return it.
    pub fn into_io(self) -> io::Error {
        let kind = match self.kind {
            Kind::Io(Some(errno)) => io::Error::from_raw_os_error(errno).kind(),
            Kind::NotFound => io::ErrorKind::NotFound,
            Kind::Denied => io::ErrorKind::PermissionDenied,
            Kind::Transient => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// `std`'s text without the redundant number behind it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds the operation to whatever a fallible call returns.
pub trait Context<T> {
    /// Names the operation with its arguments; only rendered on failure.
    fn context(self, operation: impl fmt::Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(operation, error))
    }
}

impl<T> Context<T> for Result<T> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.context(operation))
    }
}
