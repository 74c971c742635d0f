//! How each step is done: one file a subject. Runs in the child: no allocation, no lock, errors as numbers.

pub mod copy_up;
pub mod device;
pub mod hook;
pub mod identity;
pub mod legacy;
pub mod mount;
pub mod overlay;
pub mod page;
pub mod path;
pub mod procfs;
pub mod program;
pub mod root;
pub mod terminal;
