//! Making one inode: directory, file with its bytes, link, device, whiteout. Each in a parent that is already open.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, fchmod, fchown, fstat, ftruncate, mkdirat, openat,
    unlinkat,
};
use rustix::fs::{Gid, Timestamps, Uid, XattrFlags, fsetxattr, makedev, mknodat, utimensat};
use rustix::io::{Errno, pwrite};

use super::loose::LooseEnds;
use super::metadata::{opaque_name, remove_inherited_acl, set_times};
use super::resolve::{DIRECTORY, Missing};
use super::whiteout::{OverlayXattrs, is_whiteout};
use crate::layer::archive::{Archive, Entry};
use crate::layer::error::Fault;

/// What a file is made with; its own mode comes later.
const PRIVATE: Mode = Mode::RWXU;
/// What a directory without an entry gets.
const IMPLICIT_MODE: u32 = 0o755;

/// A new, empty file that nothing stood in the way of; private unless its mode is known to be right.
pub(super) fn create_file(
    parent: BorrowedFd<'_>,
    name: &[u8],
    mode: Option<u32>,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = mode.map_or(Mode::RUSR | Mode::WUSR, Mode::from_raw_mode);
    openat(parent, name, flags, mode)
}

/// Writes the current body of `archive` to `file`, holes left out.
pub(super) fn write_body<R: BufRead>(
    file: BorrowedFd<'_>,
    entry: &Entry,
    archive: &mut Archive<'_, R>,
) -> Result<(), Fault> {
    let Some(segments) = &entry.segments else {
        return write_run(file, entry, archive, 0, entry.size);
    };
    for segment in segments {
        write_run(file, entry, archive, segment.offset, segment.length)?;
    }
    ftruncate(file, entry.size).map_err(Fault::system("truncate", &entry.path))
}

fn write_run<R: BufRead>(
    file: BorrowedFd<'_>,
    entry: &Entry,
    archive: &mut Archive<'_, R>,
    mut offset: u64,
    mut length: u64,
) -> Result<(), Fault> {
    while length > 0 {
        let body = archive.body()?;
        let n = usize::try_from(length).map_or(body.len(), |length| length.min(body.len()));
        if n == 0 {
            return Err(Fault::Truncated("file"));
        }
        let written = match pwrite(file, &body[..n], offset) {
            Err(Errno::INTR) => 0,
            Ok(0) => return Err(Fault::system("write", &entry.path)(Errno::NOSPC)),
            done => done.map_err(Fault::system("write", &entry.path))?,
        };
        archive.consume(written);
        offset += written as u64;
        length -= written as u64;
    }
    Ok(())
}

/// Makes a directory only its owner can enter, and opens it.
pub(super) fn create_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    mkdirat(parent, name, PRIVATE)?;
    open_directory(parent, name)
}

pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(parent, name, DIRECTORY, Mode::empty())
}

/// Makes a directory hide what lower layers have in it.
pub(super) fn set_opaque(dir: BorrowedFd<'_>, xattrs: OverlayXattrs) -> Result<(), Errno> {
    fsetxattr(dir, opaque_name(xattrs), b"y", XattrFlags::empty())
}

/// Makes overlayfs' mark for "gone". Its time is fixed: the same layer is the same tree.
pub(super) fn make_whiteout(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    mknodat(
        parent,
        name,
        FileType::CharacterDevice,
        Mode::empty(),
        makedev(0, 0),
    )?;
    let epoch = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: epoch,
        last_modification: epoch,
    };
    utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

pub(super) fn is_directory(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::Directory
}

/// Makes the directories that a layer puts things in without listing them.
pub(super) struct Implicit<'a> {
    pub(super) loose: &'a mut LooseEnds,
    pub(super) xattrs: OverlayXattrs,
    pub(super) owners: bool,
    pub(super) limit: usize,
    /// A limit that was passed, which an `Errno` can't carry.
    pub(super) fault: Option<Fault>,
}

impl Missing for Implicit<'_> {
    fn make(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        errno: Errno,
    ) -> Result<(), Errno> {
        let before = fstat(parent)?;
        let deleted = errno == Errno::NOTDIR;
        if deleted {
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if !is_whiteout(&stat) {
                return Err(errno);
            }
            unlinkat(parent, name, AtFlags::empty())?;
        }
        let dir = create_directory(parent, name)?;
        remove_inherited_acl(parent, name)?;
        if self.owners {
            fchown(&dir, Some(Uid::ROOT), Some(Gid::ROOT))?;
        }
        fchmod(&dir, Mode::from_raw_mode(IMPLICIT_MODE))?;
        set_times(
            &dir,
            Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
        )?;
        set_times(
            parent,
            Timespec {
                tv_sec: before.st_mtime as i64,
                tv_nsec: before.st_mtime_nsec as i64,
            },
        )?;
        if deleted {
            // What is deleted below and made anew here owes nothing to the layers below.
            return set_opaque(dir.as_fd(), self.xattrs);
        }
        if let Err(fault) = self
            .loose
            .add_directory(fstat(&dir)?.st_ino, path, self.limit)
        {
            self.fault = Some(fault);
            return Err(Errno::NOMEM);
        }
        Ok(())
    }
}
