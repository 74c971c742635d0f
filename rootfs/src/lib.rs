//! Everything that decides what a container sees as `/`.
//!
//! [`layer`] applies one tar layer under a directory handle; its input is hostile.
//! [`snapshot`] keeps unpacked layers and stacks them; it describes overlay mounts and never mounts.
//! [`erofs`] writes a layer as one read-only image file instead.
//! [`mount`] turns the runtime-spec's mounts into inert mount operations; it does no I/O.

pub mod erofs;
pub mod layer;
pub mod mount;
pub mod snapshot;
