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
    let mut directory = Text::new();
    directory.append(&bytes[..slash])?;
    let directory = if slash == 0 {
        c"/"
    } else {
        directory.as_c_str()?
    };
    Ok((
        open_or_make(root, directory, Missing::Directory, true)?,
        name,
    ))
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
