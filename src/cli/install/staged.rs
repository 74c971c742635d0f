//! A complete file beside the place where it belongs: `place` renames it there, dropping it leaves no trace.
//!
//! Knows nothing of what is installed.

use crate::error::{Context, Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIRECTORY_MODE: u32 = 0o755;

/// A file that isn't in its place yet.
#[derive(Debug)]
pub struct Staged {
    here: PathBuf,
    place: PathBuf,
    /// The directories that were made for it, outermost first.
    made: Vec<PathBuf>,
    placed: bool,
}

impl Staged {
    /// Writes the whole file, to the disk, and the directories that it needs.
    pub fn write(place: &Path, content: &[u8], mode: u32) -> Result<Self> {
        let (Some(directory), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(Error::new(format!("{} is no file's path", place.display())));
        };
        let hidden = format!(".{}.{}.new", name.to_string_lossy(), std::process::id());
        let mut staged = Staged {
            here: directory.join(hidden),
            place: place.to_owned(),
            made: Vec::new(),
            placed: false,
        };
        staged.make_directories(directory)?;
        staged
            .fill(content, mode)
            .context(format_args!("write {}", staged.here.display()))?;
        Ok(staged)
    }

    fn make_directories(&mut self, directory: &Path) -> Result<()> {
        if let Some(parent) = directory.parent().filter(|_| !directory.exists()) {
            self.make_directories(parent)?;
        }
        let operation = format_args!("make directory {}", directory.display()).to_string();
        match fs::create_dir(directory) {
            Ok(()) => self.made.push(directory.to_owned()),
            // A file of that name is told by what is written below it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            Err(_) if directory.is_dir() => return Ok(()),
            Err(error) => return Err(Error::io(operation, &error)),
        }
        // Whatever the caller's umask: a program that others can't reach isn't installed.
        fs::set_permissions(directory, PermissionsExt::from_mode(DIRECTORY_MODE)).context(operation)
    }

    fn fill(&self, content: &[u8], mode: u32) -> std::io::Result<()> {
        // What an ended process of our number left behind.
        let _ = fs::remove_file(&self.here);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&self.here)?;
        file.write_all(content)?;
        file.set_permissions(PermissionsExt::from_mode(mode))?;
        file.sync_all()
    }

    /// Renames the file to its place.
    pub fn place(mut self) -> Result<()> {
        fs::rename(&self.here, &self.place).context(format_args!(
            "rename {} to {}",
            self.here.display(),
            self.place.display()
        ))?;
        self.placed = true;
        // The name is as durable as the content.
        if let Some(directory) = self.place.parent() {
            File::open(directory)
                .and_then(|directory| directory.sync_all())
                .context(format_args!("sync {}", directory.display()))?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        let _ = fs::remove_file(&self.here);
        // Only those that are empty go.
        for directory in self.made.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
