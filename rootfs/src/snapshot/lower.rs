//! One layer of a stack: a directory of the store, or an EROFS image that somebody mounted for us.
//!
//! Who mounts is told from outside. A mounted image is attached nowhere: it ends with its handle and whatever stands on it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::error::{Result, SnapshotError};

/// Mounts the EROFS image in a file, read-only, and gives a handle of its root.
pub type MountImage =
    fn(&Path) -> std::result::Result<OwnedFd, Box<dyn std::error::Error + Send + Sync>>;

/// In what form a layer is kept when it is unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// A directory with all its files.
    #[default]
    Directory,
    /// One EROFS image.
    Erofs,
}

/// One layer of a stack.
#[derive(Debug, Clone)]
pub enum Lower {
    /// A directory.
    Directory(PathBuf),
    /// The root of a mounted image.
    Image {
        /// The image.
        file: PathBuf,
        /// Its mount, attached nowhere.
        mount: Arc<OwnedFd>,
    },
}

impl Lower {
    /// What it is on disk.
    pub fn name(&self) -> &Path {
        match self {
            Lower::Directory(path) => path,
            Lower::Image { file, .. } => file,
        }
    }

    /// A path by which this process reaches the root.
    pub fn path(&self) -> PathBuf {
        match self {
            Lower::Directory(path) => path.clone(),
            Lower::Image { mount, .. } => format!("/proc/self/fd/{}", mount.as_raw_fd()).into(),
        }
    }

    /// The mount, of an image.
    pub fn mount(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Lower::Directory(_) => None,
            Lower::Image { mount, .. } => Some(mount.as_fd()),
        }
    }

    /// Opens the root directory.
    pub(super) fn open(&self) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self {
            Lower::Directory(path) => openat(CWD, path, flags, Mode::empty()),
            Lower::Image { mount, .. } => openat(mount, ".", flags, Mode::empty()),
        }
    }

    /// Mounts an image.
    pub(super) fn mounted(file: PathBuf, mount_image: Option<MountImage>) -> Result<Lower> {
        let failed = |cause| SnapshotError::Mount {
            file: file.clone(),
            cause,
        };
        let Some(mount_image) = mount_image else {
            return Err(failed("nobody here mounts images".into()));
        };
        let mount = Arc::new(mount_image(&file).map_err(failed)?);
        Ok(Lower::Image { file, mount })
    }
}

/// The same layer, however often it is mounted.
impl PartialEq for Lower {
    fn eq(&self, other: &Lower) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Lower {}
