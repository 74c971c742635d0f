//! SPEC(config.md#linux-mount-options): every mount option by name, and what each one means to the kernel.
//!
//! A name that isn't in the table belongs to the file system. Nothing here knows which options go together:
//! that is judged by `plan_mount`.

use super::Attributes;

/// What one option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: `defaults`.
    Nothing,
    /// `ro` and `rw`: of the mount, and of the superblock where there is a new one.
    Readonly(bool),
    /// A mount attribute (`MOUNT_ATTR_*`) is set or cleared.
    Attribute(Reach, u64, bool),
    /// One of the three mutually exclusive access-time modes is chosen or left.
    AccessTime(Reach, TimeChange),
    /// A superblock flag (`MS_*`) is set or cleared.
    Superblock(u64, bool),
    /// Propagation, by `MS_*` flag.
    Propagation(u64, bool),
    /// `bind`, and `rbind` with the mounts below.
    Bind(bool),
    /// An existing mount is changed.
    Remount,
    /// `idmap`, and `ridmap` with the mounts below.
    Idmap(bool),
    /// The former content is copied into the new tmpfs.
    CopyUp,
    /// A source that is a symlink is made again.
    CopySymlink,
    /// The source's last component is not followed.
    SourceNoFollow,
    /// The destination's last component is not followed.
    DestinationNoFollow,
}

/// Whether an attribute reaches the mounts below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// This mount.
    One,
    /// All mounts of the tree.
    Tree,
}

/// How an option changes the access-time mode. The kernel knows three modes, relatime by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeChange {
    /// Use this `MOUNT_ATTR__ATIME` value.
    Use(u64),
    /// Leave this value for relatime, when it is the one in force.
    Leave(u64),
}

use Meaning::*;
use Reach::{One, Tree};
use TimeChange::{Leave, Use};
use libc::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME as NOATIME, MOUNT_ATTR_NODEV as NODEV,
    MOUNT_ATTR_NODIRATIME as NODIRATIME, MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_NOSUID as NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW as NOSYMFOLLOW, MOUNT_ATTR_RDONLY as RDONLY,
    MOUNT_ATTR_RELATIME as RELATIME, MOUNT_ATTR_STRICTATIME as STRICTATIME,
};

/// Every option with a meaning of its own, sorted by name.
const OPTIONS: &[(&str, Meaning)] = &[
    // COMPAT(runc): a superblock flag that no file system asks for any more.
    ("acl", Superblock(libc::MS_POSIXACL, true)),
    ("async", Superblock(libc::MS_SYNCHRONOUS, false)),
    ("atime", AccessTime(One, Leave(NOATIME))),
    ("bind", Bind(false)),
    ("copy-symlink", CopySymlink),
    ("defaults", Nothing),
    ("dest-nofollow", DestinationNoFollow),
    ("dev", Attribute(One, NODEV, false)),
    ("diratime", Attribute(One, NODIRATIME, false)),
    ("dirsync", Superblock(libc::MS_DIRSYNC, true)),
    ("exec", Attribute(One, NOEXEC, false)),
    ("idmap", Idmap(false)),
    ("iversion", Superblock(libc::MS_I_VERSION, true)),
    ("lazytime", Superblock(libc::MS_LAZYTIME, true)),
    ("loud", Superblock(libc::MS_SILENT, false)),
    ("mand", Superblock(libc::MS_MANDLOCK, true)),
    ("noacl", Superblock(libc::MS_POSIXACL, false)),
    ("noatime", AccessTime(One, Use(NOATIME))),
    ("nodev", Attribute(One, NODEV, true)),
    ("nodiratime", Attribute(One, NODIRATIME, true)),
    ("noexec", Attribute(One, NOEXEC, true)),
    ("noiversion", Superblock(libc::MS_I_VERSION, false)),
    ("nolazytime", Superblock(libc::MS_LAZYTIME, false)),
    ("nomand", Superblock(libc::MS_MANDLOCK, false)),
    ("norelatime", Nothing),
    ("nostrictatime", AccessTime(One, Leave(STRICTATIME))),
    ("nosuid", Attribute(One, NOSUID, true)),
    ("nosymfollow", Attribute(One, NOSYMFOLLOW, true)),
    ("private", Propagation(libc::MS_PRIVATE, false)),
    // COMPAT(crun): a superblock has no mounts below it, so the recursive names mean the plain ones.
    ("rasync", Superblock(libc::MS_SYNCHRONOUS, false)),
    ("ratime", AccessTime(Tree, Leave(NOATIME))),
    ("rbind", Bind(true)),
    ("rdev", Attribute(Tree, NODEV, false)),
    ("rdiratime", Attribute(Tree, NODIRATIME, false)),
    ("rdirsync", Superblock(libc::MS_DIRSYNC, true)),
    ("relatime", AccessTime(One, Use(RELATIME))),
    ("remount", Remount),
    ("rexec", Attribute(Tree, NOEXEC, false)),
    ("ridmap", Idmap(true)),
    ("rmand", Superblock(libc::MS_MANDLOCK, true)),
    ("rnoatime", AccessTime(Tree, Use(NOATIME))),
    ("rnodev", Attribute(Tree, NODEV, true)),
    ("rnodiratime", Attribute(Tree, NODIRATIME, true)),
    ("rnoexec", Attribute(Tree, NOEXEC, true)),
    ("rnomand", Superblock(libc::MS_MANDLOCK, false)),
    ("rnorelatime", Nothing),
    ("rnostrictatime", AccessTime(Tree, Leave(STRICTATIME))),
    ("rnosuid", Attribute(Tree, NOSUID, true)),
    ("rnosymfollow", Attribute(Tree, NOSYMFOLLOW, true)),
    ("ro", Readonly(true)),
    ("rprivate", Propagation(libc::MS_PRIVATE, true)),
    ("rrelatime", AccessTime(Tree, Use(RELATIME))),
    ("rro", Attribute(Tree, RDONLY, true)),
    ("rrw", Attribute(Tree, RDONLY, false)),
    ("rshared", Propagation(libc::MS_SHARED, true)),
    ("rslave", Propagation(libc::MS_SLAVE, true)),
    ("rstrictatime", AccessTime(Tree, Use(STRICTATIME))),
    ("rsuid", Attribute(Tree, NOSUID, false)),
    ("rsymfollow", Attribute(Tree, NOSYMFOLLOW, false)),
    ("rsync", Superblock(libc::MS_SYNCHRONOUS, true)),
    ("runbindable", Propagation(libc::MS_UNBINDABLE, true)),
    ("rw", Readonly(false)),
    ("shared", Propagation(libc::MS_SHARED, false)),
    ("silent", Superblock(libc::MS_SILENT, true)),
    ("slave", Propagation(libc::MS_SLAVE, false)),
    ("src-nofollow", SourceNoFollow),
    ("strictatime", AccessTime(One, Use(STRICTATIME))),
    ("suid", Attribute(One, NOSUID, false)),
    ("symfollow", Attribute(One, NOSYMFOLLOW, false)),
    ("sync", Superblock(libc::MS_SYNCHRONOUS, true)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(libc::MS_UNBINDABLE, false)),
];

/// What `name` means, `None` where it belongs to the file system.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    let found = OPTIONS.binary_search_by_key(&name, |(option, _)| option);
    found.ok().map(|index| OPTIONS[index].1)
}

/// The options that have a meaning of their own, sorted, for `features`.
pub fn mount_option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// The names of attributes, as `ro` and `nosuid`, or `suid` where one is cleared.
pub(super) fn attribute_names(
    reach: Reach,
    attributes: Attributes,
) -> impl Iterator<Item = &'static str> {
    let Attributes { set, clear } = attributes;
    let clear = clear & !set;
    OPTIONS.iter().filter_map(move |(name, meaning)| {
        let named = match *meaning {
            Readonly(readonly) => {
                reach == One && (if readonly { set } else { clear }) & RDONLY != 0
            }
            Attribute(at, flag, to_set) => {
                at == reach && (if to_set { set } else { clear }) & flag != 0
            }
            AccessTime(at, Use(RELATIME)) => {
                at == reach && clear & MOUNT_ATTR__ATIME == MOUNT_ATTR__ATIME
            }
            AccessTime(at, Use(value)) => at == reach && set & value != 0,
            _ => false,
        };
        named.then_some(*name)
    })
}
