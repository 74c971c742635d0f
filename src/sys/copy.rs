//! copy_file_range(2), fchown(2), utimensat(2), xattr(7): a file's content and what else belongs to it.
//!
//! Everything here is async-signal-safe.

use super::{Result, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// linkat(2) of a name that is not followed.
pub fn link(from: RawFd, name: &CStr, to: RawFd, new_name: &CStr) -> Result<()> {
    // SAFETY: both names are NUL-terminated.
    unsafe { syscall!(SYS_linkat, from, name.as_ptr(), to, new_name.as_ptr(), 0) }.map(drop)
}

/// All bytes of one file into another; by reading and writing where the file systems can't share.
pub fn content(from: RawFd, to: RawFd) -> Result<()> {
    let mut buffer = [0u8; 16 << 10];
    loop {
        match open::read(from, &mut buffer)? {
            0 => return Ok(()),
            count => open::write_all(to, &buffer[..count])?,
        }
    }
}

/// Owner, mode, xattrs and times of an open file or directory.
pub fn metadata(from: RawFd, to: RawFd) -> Result<()> {
    let stat = open::stat(from)?;
    open::change_owner(to, stat.st_uid, stat.st_gid)?;
    open::change_mode(to, stat.st_mode & 0o7777)?;
    attributes(from, to)?;
    times(to, std::ptr::null(), &stat, 0)
}

/// Owner and times of a symlink or special file, by its name.
pub fn owner_and_times(directory: RawFd, name: &CStr, stat: &libc::stat) -> Result<()> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: name is NUL-terminated.
    unsafe {
        syscall!(
            SYS_fchownat,
            directory,
            name.as_ptr(),
            stat.st_uid,
            stat.st_gid,
            flags
        )
    }?;
    times(directory, name.as_ptr(), stat, flags)
}

fn times(fd: RawFd, name: *const libc::c_char, stat: &libc::stat, flags: i32) -> Result<()> {
    let times = [
        libc::timespec {
            tv_sec: stat.st_atime,
            tv_nsec: stat.st_atime_nsec,
        },
        libc::timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec,
        },
    ];
    // SAFETY: name is null, meaning the fd itself, or NUL-terminated; times has the two elements that are read.
    unsafe { syscall!(SYS_utimensat, fd, name, times.as_ptr(), flags) }.map(drop)
}

/// Extended attributes, but those that the target can't have.
fn attributes(from: RawFd, to: RawFd) -> Result<()> {
    let mut names = [0u8; 4096];
    // SAFETY: the buffer is valid for its length.
    let length = match unsafe { syscall!(SYS_flistxattr, from, names.as_mut_ptr(), names.len()) } {
        Err(Errno::ENOTSUP) => return Ok(()),
        other => other? as usize,
    };
    let mut rest = &names[..length];
    while let Ok(name) = CStr::from_bytes_until_nul(rest) {
        let mut value = [0u8; 4096];
        // SAFETY: name is NUL-terminated, the buffer is valid for its length.
        let size = unsafe {
            syscall!(
                SYS_fgetxattr,
                from,
                name.as_ptr(),
                value.as_mut_ptr(),
                value.len()
            )
        }? as usize;
        // SAFETY: as above, for reading.
        match unsafe { syscall!(SYS_fsetxattr, to, name.as_ptr(), value.as_ptr(), size, 0) } {
            Err(Errno::ENOTSUP | Errno::EPERM) => {}
            other => drop(other?),
        }
        rest = &rest[name.count_bytes() + 1..];
    }
    Ok(())
}
