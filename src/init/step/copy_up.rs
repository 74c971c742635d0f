//! `tmpcopyup`: a new tmpfs begins with what it covers. Owners, modes, times, xattrs, links, special files.
//!
//! The source is the image's, so every name is opened without following links and the depth is bounded.

use crate::sys::{Result, copy, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Directories deeper than this are refused: each level keeps two fds and a buffer on the stack.
const MAX_DEPTH: u32 = 128;

/// Where files with several names wait for their other names, by inode number. Removed at the end.
const LINKS: &CStr = c".crun-lite-copy-up";

/// Copies everything below `from` into `to`, the root of a new tmpfs, and `from`'s own mode and owner.
pub fn fill(from: RawFd, to: RawFd) -> Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let source = open::open_at(from, c".", flags, 0)?;
    let target = open::open_at(to, c".", flags, 0)?;
    open::make_directory(target, LINKS, 0o700)?;
    let links = open::open_at(target, LINKS, flags | libc::O_NOFOLLOW, 0)?;
    let copied = copy_directory(source, target, links, MAX_DEPTH)
        .and_then(|()| open::each_entry(links, &mut |name, _| open::unlink(links, name, 0)))
        .and_then(|()| open::unlink(target, LINKS, libc::AT_REMOVEDIR))
        .and_then(|()| copy::metadata(source, target));
    [source, target, links].into_iter().for_each(open::close);
    copied
}

fn copy_directory(from: RawFd, to: RawFd, links: RawFd, depth: u32) -> Result<()> {
    if depth == 0 {
        return Err(Errno::ELOOP);
    }
    open::each_entry(from, &mut |name, _| {
        copy_entry(from, to, name, links, depth)
    })
}

fn copy_entry(from: RawFd, to: RawFd, name: &CStr, links: RawFd, depth: u32) -> Result<()> {
    let handle = open::open_at(from, name, libc::O_PATH | libc::O_NOFOLLOW, 0)?;
    let stat = open::stat(handle).inspect_err(|_| open::close(handle))?;
    let copied = match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => copy_subdirectory(from, to, name, links, depth),
        _ if stat.st_nlink > 1 => copy_linked(from, to, name, handle, &stat, links),
        _ => copy_one(from, to, name, handle, &stat),
    };
    open::close(handle);
    copied
}

fn copy_subdirectory(from: RawFd, to: RawFd, name: &CStr, links: RawFd, depth: u32) -> Result<()> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    open::make_directory(to, name, 0o700)?;
    let source = open::open_at(from, name, flags, 0)?;
    let target = open::open_at(to, name, flags, 0).inspect_err(|_| open::close(source))?;
    let copied = copy_directory(source, target, links, depth - 1)
        .and_then(|()| copy::metadata(source, target));
    open::close(source);
    open::close(target);
    copied
}

/// The first name of a file is also linked by inode number; the others become links to that.
fn copy_linked(
    from: RawFd,
    to: RawFd,
    name: &CStr,
    handle: RawFd,
    stat: &libc::stat,
    links: RawFd,
) -> Result<()> {
    let mut buffer = [0; 24];
    let inode = inode_name(stat.st_ino, &mut buffer);
    match copy::link(links, inode, to, name) {
        Err(Errno::ENOENT) => {
            copy_one(from, to, name, handle, stat)?;
            copy::link(to, name, links, inode)
        }
        other => other,
    }
}

fn copy_one(from: RawFd, to: RawFd, name: &CStr, handle: RawFd, stat: &libc::stat) -> Result<()> {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => {
            let source = open::open_at(
                from,
                name,
                libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK,
                0,
            )?;
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let target =
                open::open_at(to, name, flags, 0o600).inspect_err(|_| open::close(source))?;
            let copied =
                copy::content(source, target).and_then(|()| copy::metadata(source, target));
            open::close(source);
            open::close(target);
            copied
        }
        libc::S_IFLNK => {
            let mut buffer = [0; libc::PATH_MAX as usize];
            let length =
                open::read_link(handle, c"", &mut buffer[..libc::PATH_MAX as usize - 1])?.len();
            let target =
                CStr::from_bytes_until_nul(&buffer[..=length]).map_err(|_| Errno::EINVAL)?;
            open::make_symlink(target, to, name)?;
            copy::owner_and_times(to, name, stat)
        }
        _ => {
            open::make_node(
                to,
                name,
                stat.st_mode,
                libc::major(stat.st_rdev),
                libc::minor(stat.st_rdev),
            )?;
            copy::owner_and_times(to, name, stat)
        }
    }
}

/// An inode number in hexadecimal.
fn inode_name(inode: u64, buffer: &mut [u8; 24]) -> &CStr {
    buffer.fill(0);
    for (place, digit) in buffer.iter_mut().take(16).enumerate() {
        *digit = b"0123456789abcdef"[(inode >> (60 - 4 * place) & 15) as usize];
    }
    CStr::from_bytes_until_nul(buffer).unwrap_or(c"0")
}
