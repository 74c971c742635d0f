//! The directories being filled: a few open handles, found by name.
//!
//! Filling a directory changes its time, so each remembers the time it shall have and gets it when its handle is let go.
//! That takes the place of a list of all directories, whose length a hostile layer would choose.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Timespec, fstat};
use rustix::io::Errno;

use super::metadata::{has_default_acl, set_times};
use crate::layer::archive::Timestamp;

const OPEN_DIRECTORIES: usize = 32;

/// An open directory.
pub(super) struct Directory {
    pub(super) fd: Rc<OwnedFd>,
    pub(super) inode: u64,
    /// Whose group new files may get: it depends on the directory's mode and on how the file system is mounted.
    pub(super) gid: u32,
    /// Children inherit access lists that they must lose again.
    pub(super) default_acl: bool,
    mtime: Timespec,
    names: Vec<Vec<u8>>,
}

/// The open directories, the last used one first.
#[derive(Default)]
pub(super) struct Directories {
    open: Vec<Directory>,
}

impl Directories {
    /// The directory once opened by `path`.
    pub(super) fn get(&mut self, path: &[u8]) -> Option<&mut Directory> {
        let at = self
            .open
            .iter()
            .position(|dir| dir.names.iter().any(|name| name == path))?;
        self.open[..=at].rotate_right(1);
        self.open.first_mut()
    }

    /// Takes a freshly opened directory in; the same directory under another name is one.
    pub(super) fn insert(&mut self, path: &[u8], fd: Rc<OwnedFd>) -> Result<&mut Directory, Errno> {
        self.keep(fd)?;
        let dir = &mut self.open[0];
        // A few names are enough: a forgotten one costs a resolution.
        dir.names.truncate(7);
        dir.names.push(path.to_vec());
        Ok(dir)
    }

    /// Puts a directory first, without a name if it is new.
    pub(super) fn keep(&mut self, fd: Rc<OwnedFd>) -> Result<(), Errno> {
        let stat = fstat(&fd)?;
        let at = match self.open.iter().position(|dir| dir.inode == stat.st_ino) {
            Some(at) => at,
            None => {
                self.make_room()?;
                let mtime = Timespec {
                    tv_sec: stat.st_mtime as i64,
                    tv_nsec: stat.st_mtime_nsec as i64,
                };
                let default_acl = has_default_acl(&fd);
                self.open.push(Directory {
                    fd,
                    inode: stat.st_ino,
                    gid: stat.st_gid,
                    default_acl,
                    mtime,
                    names: Vec::new(),
                });
                self.open.len() - 1
            }
        };
        self.open[at].gid = stat.st_gid;
        self.open[..=at].rotate_right(1);
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), Errno> {
        if self.open.len() < OPEN_DIRECTORIES {
            return Ok(());
        }
        self.open
            .pop()
            .map_or(Ok(()), |dir| set_times(&dir.fd, dir.mtime))
    }

    /// Lets all handles go. Needed whenever a name may have come to mean something else.
    pub(super) fn close(&mut self) -> Result<(), Errno> {
        while let Some(dir) = self.open.pop() {
            set_times(&dir.fd, dir.mtime)?;
        }
        Ok(())
    }
}

impl Directory {
    pub(super) fn set_mtime(&mut self, mtime: Timestamp) {
        self.mtime = mtime.into();
    }
}
