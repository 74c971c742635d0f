//! Names to directory handles, never leaving the root: `openat2(RESOLVE_IN_ROOT)`, else a walk of our own.
//!
//! Symbolic links mean what they mean in a container: absolute ones start at the root, `..` stops there.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;

const LINKS_FOLLOWED: usize = 40;
const WALK_DEPTH: usize = 512;

pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

/// A directory that is `/` for every name resolved through it.
pub(crate) struct Root {
    fd: OwnedFd,
    openat2: bool,
}

/// A directory reached by a walk.
pub(crate) struct Found {
    pub(crate) fd: OwnedFd,
    /// Its path from the root with all links resolved, `a/b`; empty for the root.
    pub(crate) path: Vec<u8>,
}

/// What a walk does with a component that is not a directory or link.
pub(crate) trait Missing {
    /// Makes `name` in `parent` a directory, or says why not. `errno` is ENOENT or ENOTDIR.
    fn make(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        errno: Errno,
    ) -> Result<(), Errno>;
}

/// A walk that changes nothing.
pub(crate) struct Refuse;

impl Missing for Refuse {
    fn make(&mut self, _: BorrowedFd<'_>, _: &[u8], _: &[u8], errno: Errno) -> Result<(), Errno> {
        Err(errno)
    }
}

impl Root {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, openat2: true }
    }

    /// A root that behaves as on a kernel before 5.6.
    #[cfg(test)]
    pub(crate) fn without_openat2(fd: OwnedFd) -> Self {
        Self { fd, openat2: false }
    }

    /// Opens the directory `path`, links followed.
    pub(crate) fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return openat(&self.fd, ".", DIRECTORY, Mode::empty());
        }
        if self.openat2 {
            let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
            match openat2(&self.fd, path, flags, Mode::empty(), inside) {
                // ENOSYS and EPERM: no openat2 here, or a filter that doesn't know it. EAGAIN: something moved.
                Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
                done => return done,
            }
        }
        self.walk(path, &mut Refuse).map(|found| found.fd)
    }

    /// Walks to `path` component by component; `missing` may make what is not there.
    pub(crate) fn walk(&self, path: &[u8], missing: &mut impl Missing) -> Result<Found, Errno> {
        Walk::new(self.fd.as_fd())?.run(path, missing)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The state of a walk: the directories from the root down to here, and what is still to go.
struct Walk {
    stack: Vec<(OwnedFd, Vec<u8>)>,
    root: OwnedFd,
    ahead: VecDeque<Vec<u8>>,
    links: usize,
}

impl Walk {
    fn new(root: BorrowedFd<'_>) -> Result<Self, Errno> {
        let root = openat(root, ".", DIRECTORY, Mode::empty())?;
        Ok(Self {
            stack: Vec::new(),
            root,
            ahead: VecDeque::new(),
            links: 0,
        })
    }

    fn run(mut self, path: &[u8], missing: &mut impl Missing) -> Result<Found, Errno> {
        self.push_front(path);
        while let Some(part) = self.ahead.pop_front() {
            match part.as_slice() {
                b"" | b"." => {}
                b".." => drop(self.stack.pop()),
                name => self.enter(name, missing)?,
            }
        }
        let path = self.path();
        let fd = self.stack.pop().map_or(self.root, |(fd, _)| fd);
        Ok(Found { fd, path })
    }

    /// The directory that the walk is in.
    fn here(&self) -> BorrowedFd<'_> {
        match self.stack.last() {
            Some((fd, _)) => fd.as_fd(),
            None => self.root.as_fd(),
        }
    }

    fn enter(&mut self, name: &[u8], missing: &mut impl Missing) -> Result<(), Errno> {
        for attempt in 0.. {
            let here = self.here();
            let errno = match statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => break,
                    FileType::Symlink => return self.follow(name),
                    _ => Errno::NOTDIR,
                },
                Err(errno) => errno,
            };
            if attempt > 0 || !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
                return Err(errno);
            }
            let path = join(&self.path(), name);
            missing.make(here, name, &path, errno)?;
        }
        if self.stack.len() >= WALK_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let fd = openat(self.here(), name, DIRECTORY, Mode::empty())?;
        self.stack.push((fd, name.to_vec()));
        Ok(())
    }

    fn follow(&mut self, name: &[u8]) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_FOLLOWED {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(self.here(), name, Vec::new())?;
        if target.as_bytes().starts_with(b"/") {
            self.stack.clear();
        }
        self.push_front(target.as_bytes());
        Ok(())
    }

    fn push_front(&mut self, path: &[u8]) {
        for part in path.rsplit(|&b| b == b'/') {
            self.ahead.push_front(part.to_vec());
        }
    }

    fn path(&self) -> Vec<u8> {
        let names: Vec<&[u8]> = self.stack.iter().map(|(_, name)| name.as_slice()).collect();
        names.join(&b'/')
    }
}

/// `parent/name`, or `name` at the root.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}
