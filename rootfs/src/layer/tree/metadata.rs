//! Owner, mode, extended attributes and times of an inode, always through a handle of it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr, fstat, futimens, lgetxattr,
    llistxattr, lremovexattr, lsetxattr, openat, utimensat,
};
use rustix::io::Errno;

use super::whiteout::OverlayXattrs;
use crate::layer::archive::{Entry, Timestamp, Xattr};
use crate::layer::error::Fault;

/// What the kernel allows for a list of names and for one value.
const XATTR_BYTES: usize = 65536;
/// What most of them fit in.
const USUAL_XATTR_BYTES: usize = 512;
const ACL_ACCESS: &str = "system.posix_acl_access";
const ACL_DEFAULT: &str = "system.posix_acl_default";

impl From<Timestamp> for Timespec {
    fn from(time: Timestamp) -> Self {
        Timespec {
            tv_sec: time.seconds,
            tv_nsec: i64::from(time.nanos),
        }
    }
}

fn both(mtime: Timespec) -> Timestamps {
    Timestamps {
        last_access: mtime,
        last_modification: mtime,
    }
}

pub(super) fn set_times(fd: impl AsFd, mtime: Timespec) -> Result<(), Errno> {
    futimens(fd, &both(mtime))
}

/// True when children of the directory inherit access lists.
pub(super) fn has_default_acl(fd: impl AsFd) -> bool {
    fgetxattr(fd, ACL_DEFAULT, &mut [0u8; 0][..]).is_ok()
}

/// Attributes a layer may not set: overlayfs would obey them, or they belong to the host.
pub(crate) fn forbidden(name: &[u8]) -> bool {
    name.starts_with(b"trusted.")
        || name.starts_with(b"user.overlay.")
        || name == b"security.selinux"
}

/// What an inode may be refused without harm to the tree.
fn harmless(errno: Errno) -> bool {
    errno == Errno::NOTSUP
}

/// How metadata is applied, and what could not be.
pub(super) struct Metadata {
    /// False when the caller may not change owners.
    pub(super) owners: bool,
    /// Attributes left out: forbidden ones, and those the file system doesn't take.
    pub(super) xattrs_skipped: u64,
    /// What new files get by themselves; nothing where nobody says.
    birth: Option<Birth>,
}

/// Owner and mode of what this process makes.
struct Birth {
    uid: u32,
    gid: u32,
    umask: u32,
}

impl Birth {
    /// From `/proc/self/status`: the ids of file access, and the mask. KERNEL(4.7): before, it doesn't tell the mask.
    fn parse(status: &str) -> Option<Birth> {
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let access = |name: &str| of(name)?.split_whitespace().nth(3)?.parse().ok();
        Some(Birth {
            uid: access("Uid:")?,
            gid: access("Gid:")?,
            umask: u32::from_str_radix(of("Umask:")?.trim(), 8).ok()?,
        })
    }
}

impl Metadata {
    pub(super) fn new(owners: bool) -> Self {
        let status = std::fs::read_to_string("/proc/self/status");
        Self {
            owners,
            xattrs_skipped: 0,
            birth: status.ok().and_then(|status| Birth::parse(&status)),
        }
    }

    /// Whether a file that is made with the entry's mode has that mode and its owner at once, in a directory of this
    /// group: a new file has the directory's where that is set-group-ID, or the mount says so.
    pub(super) fn is_born(&self, entry: &Entry, parent_gid: u32) -> bool {
        self.birth.as_ref().is_some_and(|birth| {
            let owner_is_right = !self.owners
                || (entry.uid == birth.uid && entry.gid == birth.gid && parent_gid == birth.gid);
            owner_is_right && entry.mode & !0o777 == 0 && entry.mode & birth.umask == 0
        })
    }

    /// The attributes alone.
    pub(super) fn apply_xattrs(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), Fault> {
        for (name, value) in &entry.xattrs {
            self.set_xattr(entry, name, |name| {
                fsetxattr(fd, name, value, XattrFlags::empty())
            })?;
        }
        Ok(())
    }

    /// Owner, mode and attributes of an open file or directory, in the order that keeps setuid and capabilities.
    pub(super) fn apply(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), Fault> {
        if self.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            fchown(fd, Some(uid), Some(gid)).map_err(Fault::system("chown", &entry.path))?;
        }
        fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(Fault::system("chmod", &entry.path))?;
        self.apply_xattrs(fd, entry)
    }

    /// The same for what can't be opened: a link, a device or a FIFO just made as `name` in `parent`.
    pub(super) fn apply_at(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
        link: bool,
    ) -> Result<(), Fault> {
        if self.owners {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            chownat(
                parent,
                name,
                Some(uid),
                Some(gid),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(Fault::system("chown", &entry.path))?;
        }
        let node = openat(
            parent,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(Fault::system("open", &entry.path))?;
        if !link {
            chmodat(
                CWD,
                proc_path(&node),
                Mode::from_raw_mode(entry.mode),
                AtFlags::empty(),
            )
            .map_err(Fault::system("chmod", &entry.path))?;
        }
        if !entry.xattrs.is_empty() {
            // The handle of the directory stands for it; only the last component is a name, and it is not followed.
            let path = [proc_path(&parent).as_bytes(), b"/", name].concat();
            for (attribute, value) in &entry.xattrs {
                self.set_xattr(entry, attribute, |attribute| {
                    lsetxattr(path.as_slice(), attribute, value, XattrFlags::empty())
                })?;
            }
        }
        utimensat(
            parent,
            name,
            &both(entry.mtime.into()),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(Fault::system("set times", &entry.path))
    }

    fn set_xattr(
        &mut self,
        entry: &Entry,
        name: &[u8],
        set: impl FnOnce(&[u8]) -> Result<(), Errno>,
    ) -> Result<(), Fault> {
        if forbidden(name) {
            self.xattrs_skipped += 1;
            return Ok(());
        }
        match set(name) {
            Err(errno) if harmless(errno) || (errno == Errno::PERM && !self.owners) => {
                self.xattrs_skipped += 1;
                Ok(())
            }
            done => done.map_err(|errno| Fault::System {
                operation: "set extended attribute",
                path: [name, b" of ", &entry.path].concat(),
                errno,
            }),
        }
    }
}

/// Takes away what a new inode got from its directory's default access list.
pub(super) fn remove_inherited_acl(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let path = [proc_path(&parent).as_bytes(), b"/", name].concat();
    for acl in [ACL_ACCESS, ACL_DEFAULT] {
        match lremovexattr(path.as_slice(), acl) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn proc_path(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// The attribute that makes a directory hide what is below it.
pub(crate) fn opaque_name(xattrs: OverlayXattrs) -> &'static str {
    match xattrs {
        OverlayXattrs::Trusted => "trusted.overlay.opaque",
        OverlayXattrs::User => "user.overlay.opaque",
    }
}

/// Gives directory `to` the owner, mode, attributes and times of directory `from`; overlayfs' own attributes stay behind.
pub(crate) fn copy_metadata(from: impl AsFd, to: impl AsFd) -> Result<(), Errno> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let stat = fstat(from)?;
    match fchown(
        to,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    ) {
        // Without the right to give files away they belong to the caller in every layer.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    for name in xattr_names(from)? {
        if !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.") {
            let value = xattr(from, &name)?;
            match fsetxattr(to, name.as_slice(), &value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    let time = |sec, nsec| Timespec {
        tv_sec: sec,
        tv_nsec: nsec,
    };
    futimens(to, &both(time(stat.st_mtime, stat.st_mtime_nsec as i64)))
}

/// Takes away the attributes an earlier entry gave; overlayfs' own stay.
pub(super) fn clear_xattrs(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in xattr_names(fd)? {
        if !forbidden(&name) {
            fremovexattr(fd, name.as_slice())?;
        }
    }
    Ok(())
}

/// The attributes a layer may say: neither overlayfs' own nor the host's labels.
pub(crate) fn read_xattrs(fd: impl AsFd) -> Result<Vec<Xattr>, Errno> {
    let fd = fd.as_fd();
    let names = xattr_names(fd)?.into_iter().filter(|name| !forbidden(name));
    names
        .map(|name| xattr(fd, &name).map(|value| (name, value)))
        .collect()
}

/// The same for what can't be opened.
pub(crate) fn read_xattrs_at(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<Xattr>, Errno> {
    let path = [proc_path(&parent).as_bytes(), b"/", name].concat();
    let names = names(answer(|buffer| llistxattr(path.as_slice(), buffer)))?;
    let names = names.into_iter().filter(|name| !forbidden(name));
    names
        .map(|name| {
            let value = answer(|buffer| lgetxattr(path.as_slice(), name.as_slice(), buffer))?;
            Ok((name, value))
        })
        .collect()
}

fn xattr_names(fd: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    names(answer(|buffer| flistxattr(fd, buffer)))
}

fn xattr(fd: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    answer(|buffer| fgetxattr(fd, name, buffer))
}

/// The names in what the kernel listed; none where a file system knows no attributes.
fn names(list: Result<Vec<u8>, Errno>) -> Result<Vec<Vec<u8>>, Errno> {
    let list = match list {
        Err(Errno::NOTSUP) => Vec::new(),
        list => list?,
    };
    let names = list.split(|&b| b == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

/// What the kernel writes into a buffer. It allocates as much as it is offered, so most answers get a small one.
fn answer(ask: impl Fn(SpareCapacity<'_, u8>) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(USUAL_XATTR_BYTES);
    match ask(spare_capacity(&mut buffer)) {
        Err(Errno::RANGE) => {
            buffer.reserve(XATTR_BYTES);
            ask(spare_capacity(&mut buffer))?;
        }
        answered => drop(answered?),
    }
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_new_files_get_is_read_from_the_process_itself() {
        let status = "Name:\tx\nUmask:\t0027\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
        let birth = Birth::parse(status).map(|birth| (birth.uid, birth.gid, birth.umask));
        assert_eq!(birth, Some((4, 8, 0o027)));
        assert!(Birth::parse("Uid:\t1\t2\t3\t4\n").is_none());
    }
}
