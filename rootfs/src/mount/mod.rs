//! Runtime-spec mounts as inert mount operations. Pure: nothing here looks at the file system.
//!
//! [`MountOp`] is what one entry of `mounts` comes to; `init` executes it in the container's mount namespace,
//! resolving its destination inside the root by handle. [`plan_mount`] makes one from a specification's entry.

pub mod dev;
mod display;
mod idmap;
mod inner;
mod options;
mod plan;
mod reading;

pub use display::Shown;
pub use options::mount_option_names;
pub use plan::{MountError, MountFacts, is_bind, plan_mount};

use std::ffi::CString;

/// One mount, ready to be made. Masks are the kernel's: `MS_*`, `MOUNT_ATTR_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOp {
    /// Absolute path in the container, without `.`, `..` or doubled slashes.
    pub destination: CString,
    /// What is mounted there.
    pub what: Mounted,
    /// `MOUNT_ATTR_*` to set and to clear on the mount itself; what is set wins where both name a bit.
    pub attributes: Attributes,
    /// `MOUNT_ATTR_*` to set and to clear on the mount and all below it (`rro`, `rnosuid`, …).
    pub recursive_attributes: Attributes,
    /// Propagation changes, in order.
    pub propagation: Vec<Propagation>,
    /// Id mapping of the mount.
    pub idmap: Option<Idmap>,
    /// `tmpcopyup`: the directory's former content is copied into the new tmpfs, or into an image's new volume.
    pub copy_up: bool,
    /// The new file system's root gets the mode of an existing directory that it covers. COMPAT(runc)
    pub keep_mode: bool,
    /// `dest-nofollow`: the last component of the destination is not followed when it is a symlink.
    pub no_follow_destination: bool,
    /// A host path that is bound recursively instead where the kernel refuses the mount (EPERM, EBUSY).
    pub fallback_bind: Option<CString>,
    /// `ro` on a tmpfs or `/dev`: later mounts and nodes still need places in it, so `attributes` leaves it writable
    /// and [`MountOp::late_readonly`] is to be done when all else is in place.
    pub readonly_later: bool,
}

impl MountOp {
    /// The change that makes this mount read-only at the end, where `ro` was put off.
    pub fn late_readonly(&self) -> Option<MountOp> {
        self.readonly_later.then(|| MountOp {
            destination: self.destination.clone(),
            what: Mounted::Remount {
                superblock_flags: None,
                options: Vec::new(),
            },
            attributes: Attributes {
                set: libc::MOUNT_ATTR_RDONLY,
                clear: 0,
            },
            recursive_attributes: Attributes::default(),
            propagation: Vec::new(),
            idmap: None,
            copy_up: false,
            keep_mode: false,
            no_follow_destination: self.no_follow_destination,
            fallback_bind: None,
            readonly_later: false,
        })
    }
}

/// What a [`MountOp`] mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mounted {
    /// A new instance of a file system.
    FileSystem {
        /// Such as `tmpfs`.
        fs_type: CString,
        /// Device or dummy name.
        source: CString,
        /// `MS_*` flags of the superblock: `MS_RDONLY`, `MS_SYNCHRONOUS`, `MS_DIRSYNC`, `MS_LAZYTIME`, `MS_MANDLOCK`,
        /// `MS_I_VERSION`, `MS_SILENT`. The last two have no `fsconfig` name and no effect there.
        superblock_flags: u64,
        /// The file system's own options, in order.
        options: Vec<FsOption>,
    },
    /// A directory or file of the host, seen again.
    Bind {
        /// Absolute path on the host.
        source: CString,
        /// `rbind`: with the mounts below it.
        recursive: bool,
        /// `src-nofollow` and `copy-symlink`: the source's last component is not followed.
        no_follow: bool,
        /// `copy-symlink`: a source that is a symlink is made again as a symlink instead of being mounted.
        copy_symlink: bool,
    },
    /// A place in the container, where earlier mounts lie, seen again. COMPAT(runc): the entry names it by the host's
    /// path of the root.
    Inner {
        /// Absolute path in the container, without `.`, `..` or doubled slashes.
        source: CString,
        /// `rbind`: with the mounts below it.
        recursive: bool,
        /// `src-nofollow`: the source's last component is not followed.
        no_follow: bool,
    },
    /// A change of an existing mount (`remount`): only attributes and superblock flags.
    Remount {
        /// `MS_*` flags of the superblock, `None` for `remount,bind`, which leaves it alone.
        superblock_flags: Option<u64>,
        /// The file system's own options.
        options: Vec<FsOption>,
    },
}

/// One option for the file system itself: `key` alone or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsOption {
    /// Name.
    pub key: CString,
    /// Value as it is, without quotes; `None` is a flag.
    pub value: Option<CString>,
}

/// Attribute masks as `mount_setattr(2)` takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `attr_set`.
    pub set: u64,
    /// `attr_clr`.
    pub clear: u64,
}

/// A propagation type: one of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// The `MS_*` flag.
    pub flag: u64,
    /// Also on all mounts below.
    pub recursive: bool,
}

/// Which user namespace maps the ids of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idmap {
    /// Where the mapping comes from.
    pub mapping: IdmapSource,
    /// `ridmap`: with the mounts below it.
    pub recursive: bool,
}

/// Where an [`Idmap`]'s mapping comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdmapSource {
    /// The container's own user namespace.
    Container,
    /// A namespace made for the mount, with these ranges.
    Ranges {
        /// User ids.
        uids: Vec<oci::runtime::IdMapping>,
        /// Group ids.
        gids: Vec<oci::runtime::IdMapping>,
    },
}

#[cfg(test)]
mod tests;
