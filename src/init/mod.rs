//! The two-process protocol of a container's start: the parent on the host, the child that becomes the container.
//!
//! [`parent`] spawns the child and answers its messages; [`child`] executes the plan's steps one by one. The child is
//! a copy of the parent made by one `clone3`: until `execve` it allocates nothing, takes no lock and leaves only by
//! `execve` or `_exit`. docs/init-protocol.md draws the exchange. The `Spec` never comes here.

pub mod attach;
pub mod child;
pub mod failure;
pub mod fault;
pub mod hook;
pub mod message;
pub mod parent;
pub mod path;
pub mod prepare;
pub mod spawn;
mod step;
pub mod trace;

pub use step::overlay::{mount_by_numbers, stack as stack_overlay, wants_numbers};
