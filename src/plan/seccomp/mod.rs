//! The seccomp compiler: a profile of the runtime specification -> the instructions and flags of `seccomp(2)`.
//!
//! Start at [`compile`]. A profile becomes numbers (`rules`), numbers become ranges of calls an architecture (`tree`),
//! ranges become instructions (`bpf`). The meaning of a profile is libseccomp's, as runc uses it; the tests interpret
//! both filters and compare. No I/O and no system call here: `sys::seccomp` loads what this makes.

mod arch;
mod bpf;
mod compare;
mod rules;
mod syscalls;
mod tree;

pub use arch::Arch;
pub use bpf::SockFilter;

use crate::error::{Error, Result};
use oci::runtime::Seccomp;

/// What a start needs to install a filter.
#[derive(Debug, Clone)]
pub struct SeccompPlan {
    /// The program.
    pub filter: Vec<SockFilter>,
    /// `SECCOMP_FILTER_FLAG_*`; with `NEW_LISTENER` where a rule notifies.
    pub flags: u32,
    /// Who gets the notify fd, where a rule notifies.
    pub listener: Option<Listener>,
    /// What the author should know.
    pub warnings: Vec<String>,
}

/// The agent that decides on calls with `SCMP_ACT_NOTIFY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its Unix socket.
    pub path: String,
    /// Passed to it as it is.
    pub metadata: String,
}

/// How a profile is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Calls newer than any in the profile fail with ENOSYS, so that programs fall back to older ones. COMPAT(runc)
    pub enosys_stub: bool,
    /// What the specification forbids is an error even where runc and crun accept it.
    pub strict: bool,
}

/// The kernel takes no longer program (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// Compiles a profile for a kernel of the native architecture.
pub fn compile(profile: &Seccomp, native: Arch, options: &Options) -> Result<SeccompPlan> {
    let read = rules::Profile::read(profile, native, options)?;
    let filter = bpf::assemble(&tree::Forest::grow(&read, options));
    if filter.len() > MAX_INSTRUCTIONS {
        return Err(Error::new(format!(
            "linux.seccomp: the filter takes {} instructions, the kernel at most {MAX_INSTRUCTIONS}",
            filter.len()
        ))
        .hint("drop architectures or conditions on arguments from the profile"));
    }
    let listener = read.notifies().then(|| Listener {
        path: profile.listener_path.clone(),
        metadata: profile.listener_metadata.clone(),
    });
    Ok(SeccompPlan {
        filter,
        flags: read.flags,
        listener,
        warnings: read.warnings,
    })
}

/// The action names that a profile may use.
pub fn actions() -> impl Iterator<Item = &'static str> {
    rules::ACTIONS.iter().map(|row| row.0)
}

/// The operator names that a profile may use.
pub fn operators() -> impl Iterator<Item = &'static str> {
    rules::OPERATORS.iter().map(|row| row.0)
}

/// The architecture names that a profile may use.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    Arch::all().map(Arch::name)
}

/// The flag names that a profile may use, each with its bit for `seccomp(2)`.
pub fn flags() -> impl Iterator<Item = (&'static str, u32)> {
    rules::FLAGS.iter().copied()
}

/// The action names, each with the value that `SECCOMP_GET_ACTION_AVAIL` takes.
pub fn action_values() -> impl Iterator<Item = (&'static str, u32)> {
    rules::ACTIONS.iter().copied()
}
