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
    /// A system call that we don't know is an error.
    pub unknown_fails: bool,
}

/// The kernel takes no longer program (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;
const INSTRUCTION_BYTES: usize = size_of::<libc::sock_filter>();

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

/// What [`compile`] makes of the default profile for the default capabilities: compiled once and for all, since no start
/// spends as much on anything else that it decides. `None` where nobody has done so yet for the native architecture.
pub fn default_filter() -> Option<SeccompPlan> {
    #[cfg(target_arch = "x86_64")]
    return Some(SeccompPlan {
        flags: rules::SPEC_ALLOW,
        ..from_bytes(include_bytes!("default.x86_64.bpf"))
    });
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// A filter that somebody else compiled: the kernel's instructions in base64.
pub fn ready_made(text: &str) -> Result<SeccompPlan> {
    let bytes = base64(text.trim()).ok_or_else(|| Error::new("is not base64"))?;
    let count = bytes.len() / INSTRUCTION_BYTES;
    if bytes.len() % INSTRUCTION_BYTES != 0 || !(1..=MAX_INSTRUCTIONS).contains(&count) {
        let found = bytes.len();
        return Err(Error::new(format!("{found} bytes are no filter")));
    }
    Ok(from_bytes(&bytes))
}

/// `struct sock_filter`, one after the other.
fn from_bytes(bytes: &[u8]) -> SeccompPlan {
    let filter = bytes.chunks_exact(INSTRUCTION_BYTES).map(|bytes| {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes.try_into().unwrap_or_default();
        libc::sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    });
    SeccompPlan {
        filter: filter.collect(),
        flags: 0,
        listener: None,
        warnings: Vec::new(),
    }
}

/// RFC 4648, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes();
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
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
