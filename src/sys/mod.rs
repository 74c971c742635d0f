//! System calls: the only unsafe code of the project, one file a man-page section.
//!
//! Two storeys: a documented, typed function over a one-to-three-line raw call. Functions that run in a container's
//! init between `clone3` and `execve` allocate nothing and take no lock; their docs say *async-signal-safe*.
//! Raw calls go through `syscall!` and not through libc's wrappers where those keep state (set*id, setgroups).
#![allow(unsafe_code)]

/// A raw system call as `Result<c_long, Errno>`.
///
/// Expands to an `unsafe` call; each use states why its arguments are valid for the kernel.
macro_rules! syscall {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        nix::errno::Errno::result(libc::syscall(libc::$number $(, $argument)*))
    };
}

pub mod allocator;
pub mod bpf;
pub mod clock;
pub mod clone;
pub mod copy;
pub mod credentials;
pub mod decimal;
pub mod entry;
pub mod exe;
pub mod loop_device;
pub mod memory;
pub mod mount;
pub mod open;
pub mod process;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod socket;
#[cfg(all(target_arch = "x86_64", any(test, linked_with_musl)))]
pub mod string;
pub mod tty;

use nix::errno::Errno;

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Errno>;
