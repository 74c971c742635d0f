//! The one error type of the binary: a sentence with its operation, arguments and errno, and sometimes a hint.
//!
//! An error is made where something failed, gains context on its way up, and is printed once, by `cli::run`.

use nix::errno::Errno;
use std::fmt;

/// The binary's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, outermost operation first: `create web1: mount proc on /proc: EPERM (Operation not permitted)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    errno: Option<Errno>,
    hint: Option<String>,
}

impl Error {
    /// A failure that no system call reported.
    pub fn new(message: impl Into<String>) -> Self {
        Error {
            message: message.into(),
            errno: None,
            hint: None,
        }
    }

    /// A failed system call; `operation` names it with its arguments.
    pub fn errno(operation: impl fmt::Display, errno: Errno) -> Self {
        Error {
            message: format!("{operation}: {}", errno.desc().to_lowercase()),
            errno: Some(errno),
            hint: None,
        }
    }

    /// A failed `std` operation; `operation` names it with its arguments.
    pub fn io(operation: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Error::errno(operation, Errno::from_raw(code)),
            None => Error::new(format!("{operation}: {error}")),
        }
    }

    /// Puts the enclosing operation in front.
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.message.insert_str(0, &format!("{operation}: "));
        self
    }

    /// Adds advice for a known stumbling block.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// The system call's errno, where one is the cause.
    pub fn os(&self) -> Option<Errno> {
        self.errno
    }

    /// The advice, where there is one.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
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

impl<T> Context<T> for std::result::Result<T, Errno> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|errno| Error::errno(operation, errno))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(operation, &error))
    }
}

impl<T> Context<T> for Result<T> {
    fn context(self, operation: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.context(operation))
    }
}
