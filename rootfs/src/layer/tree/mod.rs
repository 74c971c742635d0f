//! The directory a layer becomes: entries in, inodes out, in the form overlayfs stacks.
//!
//! Every name is resolved under one directory handle and created with `*at` calls of a single component. Knows nothing of
//! tar's bytes, of compression, or of other layers; what leans on them is remembered as [`Loose`] ends.

mod dirs;
mod loose;
mod metadata;
mod name;
mod node;
mod remove;
mod resolve;
#[cfg(test)]
mod tests;
mod unpack;
mod whiteout;

pub use loose::Loose;
pub(crate) use loose::{LooseEnds, PendingLink};
pub(crate) use metadata::{copy_metadata, forbidden, opaque_name, read_xattrs, read_xattrs_at};
pub(crate) use name::{components, split};
pub(crate) use remove::remove_tree;
pub(crate) use resolve::Root;
pub(crate) use unpack::{Unpacked, Unpacker};
pub use whiteout::OverlayXattrs;
pub(crate) use whiteout::{Marker, OPAQUE_MARKER, WHITEOUT_PREFIX, is_whiteout, marker};
