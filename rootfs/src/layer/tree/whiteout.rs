//! Whiteouts: how a layer's archive and overlayfs each say that something below is gone. Pure but for one test of an inode.
//!
//! KERNEL(5.8): anybody may make the 0/0 character device that overlayfs reads as a whiteout; no privilege is needed.

use rustix::fs::{FileType, Stat};

/// A name with this in front deletes the rest of it in lower layers.
pub(crate) const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// This name deletes all that lower layers have in its directory.
pub(crate) const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";

/// Which attributes overlayfs will look at: `user.` ones when it is mounted with `userxattr`, without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`
    Trusted,
    /// `user.overlay.*`
    User,
}

/// What a name in an archive says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marker<'a> {
    /// The directory is opaque.
    Opaque,
    /// This name is gone.
    Gone(&'a [u8]),
    /// Bookkeeping of the file system that whiteouts come from; means nothing here.
    Ignored,
    /// Names that would delete a directory itself or its parent.
    Refused,
}

/// The marker that `name` is, if it is one.
pub(crate) fn marker(name: &[u8]) -> Option<Marker<'_>> {
    let gone = name.strip_prefix(WHITEOUT_PREFIX)?;
    Some(match gone {
        _ if name == OPAQUE_MARKER => Marker::Opaque,
        b"" | b"." | b".." => Marker::Refused,
        _ if gone.starts_with(WHITEOUT_PREFIX) => Marker::Ignored,
        _ => Marker::Gone(gone),
    })
}

/// True for the device that overlayfs reads as "gone".
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
