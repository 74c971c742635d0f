//! Removing a tree by handles, one component at a time: never follows a link, never leaves the directory it is given.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, chmodat, fchmod, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::resolve::DIRECTORY;

const SWEEPS: usize = 8;

/// Removes `name` in `parent` with all it holds; `gone` hears the inode of each directory.
pub(crate) fn remove_tree(
    parent: impl AsFd,
    name: &[u8],
    gone: &mut dyn FnMut(u64),
) -> Result<(), Errno> {
    let parent = parent.as_fd();
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        done => return done,
    }
    remove_directory(parent, name, gone)
}

fn remove_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
    gone: &mut dyn FnMut(u64),
) -> Result<(), Errno> {
    let dir = match openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) if is_directory(parent, name)? => {
            chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(parent, name, DIRECTORY, Mode::empty())?
        }
        opened => opened?,
    };
    gone(fstat(&dir)?.st_ino);
    for _ in 0..SWEEPS {
        match sweep(&dir, gone) {
            // Only root may change a directory whatever its mode says.
            Err(Errno::ACCESS) => {
                fchmod(&dir, Mode::RWXU)?;
                sweep(&dir, gone)?;
            }
            swept => swept?,
        }
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // Some file systems skip names while others are being removed.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            done => return done,
        }
    }
    Err(Errno::NOTEMPTY)
}

fn sweep(dir: impl AsFd, gone: &mut dyn FnMut(u64)) -> Result<(), Errno> {
    let dir = dir.as_fd();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let child = entry.file_name().to_bytes();
        match (child, entry.file_type()) {
            (b"." | b"..", _) => {}
            (_, FileType::Directory) => remove_directory(dir, child, gone)?,
            (_, FileType::Unknown) => remove_tree(dir, child, gone)?,
            _ => unlinkat(dir, child, AtFlags::empty())?,
        }
    }
    Ok(())
}

fn is_directory(dir: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
