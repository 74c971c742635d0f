//! Paths inside a root, by handle only. CVE-2015-3629 CVE-2021-30465 CVE-2024-45310
//!
//! The kernel resolves what exists (`openat2`, `RESOLVE_IN_ROOT`). What is missing is made component by component, and
//! so is everything where the kernel has no openat2; links are read and their targets taken from the root. Nothing
//! here allocates: it runs after `clone3`.

use crate::sys::{Result, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// What to make when nothing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: ENOENT.
    Refuse,
    /// A directory, and the directories above it.
    Directory,
    /// An empty file, and the directories above it.
    File,
}

/// How many links one resolution follows, as in the kernel.
const MAX_LINKS: u32 = 40;

/// Opens `path` under `root` with `O_PATH`, making what is missing. `follow` is about a link in the last place.
pub fn open_or_make(root: RawFd, path: &CStr, missing: Missing, follow: bool) -> Result<RawFd> {
    let flags = libc::O_PATH | if follow { 0 } else { libc::O_NOFOLLOW };
    match open::open_in_root(root, path, flags, 0) {
        Err(Errno::ENOENT) if missing != Missing::Refuse => {}
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        other => return other,
    }
    Walk::new(root, path)?.finish(missing, follow)
}

/// Opens an existing `path` under `root` with these flags. `O_NOFOLLOW` is about the last place only.
pub fn open_existing(root: RawFd, path: &CStr, flags: i32) -> Result<RawFd> {
    match open::open_in_root(root, path, flags, 0) {
        Err(Errno::ENOSYS) => {}
        other => return other,
    }
    let handle = Walk::new(root, path)?.finish(Missing::Refuse, flags & libc::O_NOFOLLOW == 0)?;
    if flags & libc::O_PATH != 0 {
        return Ok(handle);
    }
    // An O_PATH handle is opened for real through its magic link; the link of our own fd can't be redirected.
    let mut buffer = [0; crate::sys::mount::FD_PATH_BYTES];
    let opened = open::open_at(
        libc::AT_FDCWD,
        crate::sys::mount::fd_path(handle, &mut buffer),
        flags & !libc::O_NOFOLLOW,
        0,
    );
    open::close(handle);
    opened
}

/// Opens the directory that `path` lies in, made when missing, and gives the last component.
pub fn open_parent(root: RawFd, path: &CStr) -> Result<(RawFd, &CStr)> {
    let mut directory = Text::new();
    let name = split(path, &mut directory)?;
    Ok((
        open_or_make(root, directory.as_c_str()?, Missing::Directory, true)?,
        name,
    ))
}

/// The last component, which is a name; what is before it goes into `directory`.
fn split<'p>(path: &'p CStr, directory: &mut Text) -> Result<&'p CStr> {
    let bytes = path.to_bytes();
    let slash = bytes
        .iter()
        .rposition(|&byte| byte == b'/')
        .ok_or(Errno::EINVAL)?;
    let name = CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[slash + 1..])
        .map_err(|_| Errno::EINVAL)?;
    if name.is_empty() || name == c"." || name == c".." {
        return Err(Errno::EINVAL);
    }
    directory.append(&bytes[..slash.max(1)])?;
    Ok(name)
}

/// The directory that the last path lay in, kept open: the next one often lies there too.
///
/// It is right as long as nothing is mounted over it. Paths of mounts come through here, so a mount on the directory
/// or above it replaces it; before anything else mounts, it must be [forgotten](Above::forget).
pub struct Above {
    path: [u8; ABOVE_PATH_BYTES],
    length: usize,
    /// -1 without one.
    fd: RawFd,
}

/// A directory with a longer path is not kept.
const ABOVE_PATH_BYTES: usize = 128;

impl Default for Above {
    fn default() -> Above {
        Above {
            path: [0; ABOVE_PATH_BYTES],
            length: 0,
            fd: -1,
        }
    }
}

impl Above {
    /// Closes it.
    pub fn forget(&mut self) {
        if self.fd >= 0 {
            open::close(self.fd);
            self.fd = -1;
        }
    }

    /// [`open_or_make`], in one or two calls where a directory is to be made beside the last one.
    pub fn open_or_make(
        &mut self,
        root: RawFd,
        path: &CStr,
        missing: Missing,
        follow: bool,
    ) -> Result<RawFd> {
        let mut directory = Text::new();
        let Ok(name) = split(path, &mut directory) else {
            self.forget();
            return open_or_make(root, path, missing, follow);
        };
        if self.is(&directory)
            && missing == Missing::Directory
            && let Ok(made) = make_directory(self.fd, name)
        {
            return Ok(made);
        }
        let flags = libc::O_PATH | if follow { 0 } else { libc::O_NOFOLLOW };
        match open::open_in_root(root, path, flags, 0) {
            Err(Errno::ENOENT) if missing == Missing::Directory => {}
            Err(Errno::ENOSYS | Errno::EPERM | Errno::ENOENT) => {
                self.forget();
                return open_or_make(root, path, missing, follow);
            }
            other => {
                self.forget_unless(&directory);
                return other;
            }
        }
        // More than the last component may be missing, or a link be in the way: step by step then.
        match self
            .find(root, &directory)
            .and_then(|above| make_directory(above, name))
        {
            Err(_) => open_or_make(root, path, missing, follow),
            made => made,
        }
    }

    /// The directory that `path` lies in, made when missing, which stays ours, and the last component.
    pub fn parent<'p>(&mut self, root: RawFd, path: &'p CStr) -> Result<(RawFd, &'p CStr)> {
        let mut directory = Text::new();
        let name = split(path, &mut directory)?;
        if !self.is(&directory) {
            let (fd, _) = open_parent(root, path)?;
            self.keep(&directory, fd);
        }
        Ok((self.fd, name))
    }

    fn is(&self, directory: &Text) -> bool {
        self.fd >= 0 && self.path[..self.length] == *directory.as_bytes()
    }

    fn forget_unless(&mut self, directory: &Text) {
        if !self.is(directory) {
            self.forget();
        }
    }

    fn find(&mut self, root: RawFd, directory: &Text) -> Result<RawFd> {
        if !self.is(directory) {
            let flags = libc::O_PATH | libc::O_DIRECTORY;
            let fd = open::open_in_root(root, directory.as_c_str()?, flags, 0)?;
            self.keep(directory, fd);
        }
        Ok(self.fd)
    }

    fn keep(&mut self, directory: &Text, fd: RawFd) {
        self.forget();
        // One whose path is too long is kept under none: it is never found again, and closed with the next.
        let path = directory.as_bytes();
        self.length = if path.len() > ABOVE_PATH_BYTES {
            0
        } else {
            path.len()
        };
        self.path[..self.length].copy_from_slice(&path[..self.length]);
        self.fd = fd;
    }
}

fn make_directory(above: RawFd, name: &CStr) -> Result<RawFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    open::make_directory(above, name, 0o755).and_then(|()| open::open_at(above, name, flags, 0))
}

/// A text of bounded length on the stack, NUL-terminated.
struct Text {
    bytes: [u8; libc::PATH_MAX as usize],
    length: usize,
}

impl Text {
    fn new() -> Text {
        Text {
            bytes: [0; libc::PATH_MAX as usize],
            length: 0,
        }
    }

    fn append(&mut self, more: &[u8]) -> Result<()> {
        let end = self.length + more.len();
        if end >= self.bytes.len() {
            return Err(Errno::ENAMETOOLONG);
        }
        self.bytes[self.length..end].copy_from_slice(more);
        self.bytes[end] = 0;
        self.length = end;
        Ok(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_with_nul(&self.bytes[..=self.length]).map_err(|_| Errno::EINVAL)
    }
}

/// A resolution under way: a directory handle, how we got there, and what is still to come.
struct Walk {
    root: RawFd,
    /// Where we are; `root` itself at the beginning.
    here: RawFd,
    /// The components from the root to `here`, none of them a link.
    walked: Text,
    rest: Text,
    links: u32,
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Walk {
    fn new(root: RawFd, path: &CStr) -> Result<Walk> {
        let mut rest = Text::new();
        rest.append(path.to_bytes())?;
        Ok(Walk {
            root,
            here: root,
            walked: Text::new(),
            rest,
            links: 0,
        })
    }

    /// Walks to the end. The returned handle is the caller's.
    fn finish(mut self, missing: Missing, follow: bool) -> Result<RawFd> {
        loop {
            let mut name = Text::new();
            let last = self.next_component(&mut name)?;
            match name.as_bytes() {
                b"" if last => return self.take_here(),
                b"" | b"." => {}
                b".." => self.up()?,
                _ => self.down(name.as_c_str()?, last, missing, follow)?,
            }
        }
    }

    /// Moves the next component out of `rest`; says whether nothing but slashes follows.
    fn next_component(&mut self, name: &mut Text) -> Result<bool> {
        let rest = self.rest.as_bytes();
        let start = rest
            .iter()
            .position(|&byte| byte != b'/')
            .unwrap_or(rest.len());
        let end = rest[start..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(rest.len(), |at| start + at);
        name.append(&rest[start..end])?;
        let remaining = rest[end..].iter().any(|&byte| byte != b'/');
        let length = self.rest.length;
        self.rest.bytes.copy_within(end..length, 0);
        self.rest.length = length - end;
        Ok(!remaining)
    }

    fn down(&mut self, name: &CStr, last: bool, missing: Missing, follow: bool) -> Result<()> {
        let found = match open::open_at(self.here, name, libc::O_PATH | libc::O_NOFOLLOW, 0) {
            Err(Errno::ENOENT) => self.make(name, last, missing)?,
            other => other?,
        };
        let kind = open::stat(found)
            .inspect_err(|_| open::close(found))?
            .st_mode
            & libc::S_IFMT;
        if kind == libc::S_IFLNK && (follow || !last) {
            let followed = self.follow_link(found);
            open::close(found);
            return followed;
        }
        self.leave();
        self.here = found;
        self.walked.append(b"/")?;
        self.walked.append(name.to_bytes())
    }

    fn make(&self, name: &CStr, last: bool, missing: Missing) -> Result<RawFd> {
        let made = match missing {
            Missing::Refuse => return Err(Errno::ENOENT),
            Missing::File if last => open::make_node(self.here, name, libc::S_IFREG | 0o644, 0, 0),
            _ => open::make_directory(self.here, name, 0o755),
        };
        match made {
            // Somebody else was quicker: what is there now is looked at like anything else.
            Ok(()) | Err(Errno::EEXIST) => {
                open::open_at(self.here, name, libc::O_PATH | libc::O_NOFOLLOW, 0)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Puts a link's target in front of what is still to come.
    fn follow_link(&mut self, link: RawFd) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let mut target = [0; libc::PATH_MAX as usize];
        let target = open::read_link(link, c"", &mut target)?;
        if target.first() == Some(&b'/') {
            self.leave();
            self.walked.length = 0;
        }
        let mut rest = Text::new();
        rest.append(target)?;
        rest.append(self.rest.as_bytes())?;
        self.rest = rest;
        Ok(())
    }

    /// `..`: the walked components without the last, opened again from the root, which has no parent.
    fn up(&mut self) -> Result<()> {
        let shorter = self
            .walked
            .as_bytes()
            .iter()
            .rposition(|&byte| byte == b'/')
            .unwrap_or(0);
        self.leave();
        let mut again = Walk::new(self.root, c"")?;
        again.rest.append(&self.walked.as_bytes()[..shorter])?;
        self.walked.length = 0;
        let mut name = Text::new();
        while !again.next_component(&mut name)? || name.length > 0 {
            let found = open::open_at(
                again.here,
                name.as_c_str()?,
                libc::O_PATH | libc::O_NOFOLLOW | libc::O_DIRECTORY,
                0,
            )?;
            again.leave();
            again.here = found;
            self.walked.append(b"/")?;
            self.walked.append(name.as_bytes())?;
            name.length = 0;
        }
        self.here = std::mem::replace(&mut again.here, self.root);
        Ok(())
    }

    /// Back at the root; the handle we had is closed.
    fn leave(&mut self) {
        if self.here != self.root {
            open::close(self.here);
            self.here = self.root;
        }
    }

    fn take_here(&mut self) -> Result<RawFd> {
        if self.here == self.root {
            return open::open_at(self.root, c".", libc::O_PATH, 0);
        }
        Ok(std::mem::replace(&mut self.here, self.root))
    }
}

#[cfg(test)]
mod tests;
