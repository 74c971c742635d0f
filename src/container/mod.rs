//! The noun: a container by its id, its state directory, and the verbs on it.
//!
//! The command line fills the structs of [`options`] and calls a verb; nothing here prints, parses arguments or knows
//! an exit code beyond the container's own.

mod companion;
mod console;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
mod exec_cgroup;
pub mod front;
mod hooks;
mod host_mounts;
pub mod id;
mod idmap;
pub mod image;
mod inherited;
mod intel_rdt;
pub mod kill;
mod life;
mod listener;
mod make;
mod monitor;
pub mod mounts;
mod namespace;
mod net_device;
mod node;
mod notify;
pub mod options;
mod out_of_memory;
pub mod own_binary;
pub mod pause;
mod pid_file;
pub mod processes;
pub mod report;
mod rtnetlink;
pub mod run;
mod seccomp_agent;
pub mod signal;
pub mod start;
pub mod state;
pub mod status;
pub mod timestamp;
pub mod trace;
pub mod update;

pub use id::Id;
pub use make::planned;
pub use options::{CreateOptions, ExecOptions, Globals, UpdateOptions};
pub use state::{Phase, Record, StateDir};
pub use status::Status;

/// Lets the signals through that were held back while something half made existed.
pub fn deliver_signals() {
    let _ = crate::sys::signal::unblock_all();
}
