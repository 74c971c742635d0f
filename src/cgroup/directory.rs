//! One open cgroup directory, and reading and writing its files by handle.

use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An open cgroup.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Directory {
    /// Opens a cgroup that exists.
    pub fn open(path: PathBuf) -> Result<Directory> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open(&path, flags, Mode::empty())
            .context(format_args!("open cgroup {}", path.display()))?;
        Ok(Directory { fd, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one of its files.
    pub fn open_file(&self, file: &str, flags: OFlag) -> Result<OwnedFd> {
        self.open_raw(file, flags)
            .context(format_args!("open {}/{file}", self.path.display()))
    }

    fn open_raw(&self, file: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        openat(&self.fd, file, flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Writes one value in one `write(2)`: what follows in a second one would be another value.
    pub fn write(&self, file: &str, value: &str) -> Result<(), Errno> {
        let fd = self.open_to_write(file)?;
        nix::unistd::write(&fd, value.as_bytes()).map(drop)
    }

    /// Opens a file for several values, each in a `write(2)` of its own.
    pub fn open_to_write(&self, file: &str) -> Result<OwnedFd, Errno> {
        self.open_raw(file, OFlag::O_WRONLY)
    }

    /// Writes one value; an error tells which.
    pub fn set(&self, file: &str, value: &str) -> Result<()> {
        self.write(file, value)
            .map_err(|errno| self.refused(file, value, errno))
    }

    /// The error of a refused write.
    pub fn refused(&self, file: &str, value: &str, errno: Errno) -> Error {
        Error::errno(
            format_args!("write {value:?} to {}/{file}", self.path.display()),
            errno,
        )
    }

    /// A file's whole text.
    pub fn read(&self, file: &str) -> Result<String> {
        self.read_raw(file)
            .context(format_args!("read {}/{file}", self.path.display()))
    }

    /// A file's whole text, `None` where there is no such file: the controller or the kernel's feature is absent.
    pub fn read_present(&self, file: &str) -> Result<Option<String>> {
        match self.read_raw(file) {
            Err(Errno::ENOENT | Errno::EOPNOTSUPP) => Ok(None),
            text => text
                .map(Some)
                .context(format_args!("read {}/{file}", self.path.display())),
        }
    }

    fn read_raw(&self, file: &str) -> Result<String, Errno> {
        let fd = self.open_raw(file, OFlag::O_RDONLY)?;
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match nix::unistd::read(&fd, &mut chunk) {
                Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Ok(count) => text.extend_from_slice(&chunk[..count]),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
