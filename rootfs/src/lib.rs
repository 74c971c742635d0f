//! Everything that decides what a container sees as `/`.
//!
//! [`layer`] applies one tar layer under a directory handle; its input is hostile.
//! [`mount`] turns the runtime-spec's mounts into inert mount operations; it does no I/O.

pub mod layer;
pub mod mount;
