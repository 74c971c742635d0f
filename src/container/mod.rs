//! The noun: a container by its id, its state directory, and the verbs on it.
//!
//! The command line fills the structs of [`options`] and calls a verb; nothing here prints, parses arguments or knows
//! an exit code beyond the container's own.

pub mod id;
pub mod kill;
pub mod mounts;
pub mod options;
pub mod processes;
pub mod report;
pub mod signal;
pub mod state;
pub mod status;
pub mod timestamp;

pub use id::Id;
pub use options::{CreateOptions, ExecOptions, Globals, UpdateOptions};
pub use state::{Phase, Record, StateDir};
pub use status::Status;
