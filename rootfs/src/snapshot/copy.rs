//! One inode copied from layer to layer, where it can't be linked: from a mounted image to a directory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat,
    chownat, ftruncate, lsetxattr, mknodat, openat, readlinkat, symlinkat, utimensat,
};
use rustix::io::{Errno, pread, pwrite};

use crate::layer::{copy_metadata, read_xattrs_at};

/// Copies in pieces of this size; what is all zeros becomes a hole.
const PIECE_BYTES: usize = 4096 * 16;

/// Makes `base` in `to` what `name` in `from` is: anything but a directory.
pub(super) fn copy_inode(
    (from, name): (BorrowedFd<'_>, &[u8]),
    stat: &Stat,
    (to, base): (BorrowedFd<'_>, &[u8]),
) -> Result<(), Errno> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::RegularFile => return copy_file((from, name), stat, (to, base)),
        FileType::Symlink => symlinkat(readlinkat(from, name, Vec::new())?, to, base)?,
        _ => mknodat(to, base, kind, Mode::RUSR, stat.st_rdev)?,
    }
    let owner = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(
        to,
        base,
        Some(owner.0),
        Some(owner.1),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    if kind != FileType::Symlink {
        chmodat(
            to,
            base,
            Mode::from_raw_mode(stat.st_mode & 0o7777),
            AtFlags::empty(),
        )?;
    }
    let path = format!("/proc/self/fd/{}/", to.as_raw_fd()).into_bytes();
    let path = [path.as_slice(), base].concat();
    for (attribute, value) in read_xattrs_at(from, name)? {
        lsetxattr(path.as_slice(), attribute, &value, XattrFlags::empty())?;
    }
    let time = Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: stat.st_mtime_nsec as i64,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(to, base, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn copy_file(
    (from, name): (BorrowedFd<'_>, &[u8]),
    stat: &Stat,
    (to, base): (BorrowedFd<'_>, &[u8]),
) -> Result<(), Errno> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = openat(from, name, read, Mode::empty())?;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = openat(to, base, write, Mode::RUSR | Mode::WUSR)?;
    copy_content(&source, &copy)?;
    ftruncate(&copy, stat.st_size as u64)?;
    copy_metadata(source.as_fd(), copy.as_fd())
}

fn copy_content(source: &OwnedFd, copy: &OwnedFd) -> Result<(), Errno> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        let mut bytes = match pread(source, &mut piece[..], at)? {
            0 => return Ok(()),
            count => &piece[..count],
        };
        if bytes.iter().all(|&byte| byte == 0) {
            at += bytes.len() as u64;
            bytes = &[];
        }
        while !bytes.is_empty() {
            let written = pwrite(copy, bytes, at)?;
            bytes = &bytes[written..];
            at += written as u64;
        }
    }
}
