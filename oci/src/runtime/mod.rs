//! The runtime specification's `config.json` (version 1.3) as plain structs.
//!
//! Reading is lenient: every field may be absent or `null`, and enumerated values stay the strings that the author
//! wrote, so that whoever judges them can name the offending text. What the specification requires is checked by
//! `plan::validate`, not here. Unknown fields are ignored (SPEC(config.md#extensibility)).

#[macro_use]
mod object;
mod linux;
mod locate;
mod mount;
mod process;
mod resources;
mod seccomp;

pub use linux::*;
pub use mount::*;
pub use process::*;
pub use resources::*;
pub use seccomp::*;

use object::Texts;
use std::collections::BTreeMap;

/// The newest version of the runtime specification that this crate knows.
pub const VERSION: &str = "1.3.0";

/// A `config.json` larger than this is refused unread, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;

object! {
    /// A container's configuration. SPEC(config.md).
    pub struct Spec {
        /// The version of the specification that the bundle follows (`ociVersion`); required.
        #[serde(rename = "ociVersion")]
        pub version: String,
        /// The container's root file system.
        pub root: Option<Root>,
        /// Mounts besides the root, in the order they are made.
        pub mounts: Vec<Mount>,
        /// The process that `start` runs.
        pub process: Option<Process>,
        /// The host name that processes in the container see.
        pub hostname: String,
        /// The NIS domain name that processes in the container see.
        pub domainname: String,
        /// Programs to run at points of the life cycle.
        pub hooks: Option<Hooks>,
        /// Arbitrary metadata.
        pub annotations: BTreeMap<String, String>,
        /// The Linux part of the configuration.
        pub linux: Option<Linux>,
    }
}

object! {
    /// SPEC(config.md#root).
    pub struct Root {
        /// Absolute, or relative to the bundle.
        pub path: String,
        /// Whether the root file system is read-only inside the container.
        pub readonly: bool,
    }
}

object! {
    /// SPEC(config.md#posix-platform-hooks).
    pub struct Hooks {
        /// Deprecated: run with `create_runtime`, before it.
        pub prestart: Vec<Hook>,
        /// Run in the runtime's namespaces after the container's were made, before `pivot_root`.
        pub create_runtime: Vec<Hook>,
        /// Run in the container's namespaces, paths resolved on the host, before `pivot_root`.
        pub create_container: Vec<Hook>,
        /// Run in the container as part of `start`, before the user's process.
        pub start_container: Vec<Hook>,
        /// Run in the runtime's namespaces after the user's process was started.
        pub poststart: Vec<Hook>,
        /// Run in the runtime's namespaces after the container was deleted.
        pub poststop: Vec<Hook>,
    }
}

object! {
    /// One hook. SPEC(config.md#posix-platform-hooks).
    pub struct Hook {
        /// Absolute path of the program.
        pub path: String,
        /// Its arguments, `argv[0]` included.
        pub args: Vec<String>,
        /// Its whole environment, as `NAME=VALUE`.
        pub env: Option<Vec<String>>,
        /// Seconds until it is killed; must be positive.
        pub timeout: Option<i64>,
    }
}

/// Why a `config.json` could not be read as a [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct ParseError {
    /// The JSON path of the culprit, such as `linux.resources.memory.limit`; `.` is the document.
    pub at: String,
    /// What is wrong there, with line and column.
    pub problem: String,
}

impl Spec {
    /// Reads a `config.json`. An error names the JSON path of the field at fault.
    pub fn parse(json: &[u8]) -> Result<Spec, ParseError> {
        // Structs may be written as arrays of their fields, as far as serde is concerned.
        match json.trim_ascii_start().first() {
            Some(b'[') => Err(ParseError {
                at: ".".into(),
                problem: "invalid type: sequence, expected an object".into(),
            }),
            _ => parse(json),
        }
    }

    /// Whether any text holds a NUL: a system call would see only what is before it.
    pub fn holds_nul(&self) -> bool {
        self.hold_nul()
    }
}

/// Reads one JSON document as `T`. An error names the JSON path of the field at fault.
pub fn parse<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, ParseError> {
    serde_json::from_slice(json).map_err(|error| ParseError {
        at: locate::path_at(json, error.line(), error.column()),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
