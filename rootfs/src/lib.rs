//! Everything that decides what a container sees as `/`.
//!
//! [`mount`] turns the runtime-spec's mounts into inert mount operations; it does no I/O.

pub mod mount;
