//! Containers' claims on images: the link `containers/ID` says the digest of the manifest that the container was made from.
//!
//! A pin outlives processes and even the image's name; `delete` of the container removes it. A link is made whole by one
//! call that waits for no disk: after a power cut there is no container either.

use super::Store;
use crate::digest::Digest;
use crate::error::{Context, Error, Kind, Result};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

impl Store {
    /// Keeps an image for a container, until [`Store::unpin`].
    pub fn pin(&self, container: &str, manifest: &Digest) -> Result<()> {
        let target = self.pin_path(container)?;
        let _lock = self.lock_shared()?;
        if !self.blob_path(manifest).exists() {
            return Err(Error::new(
                Kind::NotFound,
                format!("pin {container}: no manifest {manifest}"),
            ));
        }
        let link = || symlink(manifest.to_string(), &target);
        let made = match link() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&target).and_then(|()| link())
            }
            made => made,
        };
        made.context(format_args!("pin {}", target.display()))
    }

    /// Ends a container's claim; one that has none is no error.
    pub fn unpin(&self, container: &str) -> Result<()> {
        let path = self.pin_path(container)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format_args!("remove {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Containers with their manifests.
    pub fn pins(&self) -> Result<Vec<(String, Digest)>> {
        let dir = self.root().join("containers");
        let mut pins = Vec::new();
        for entry in fs::read_dir(&dir).context(format_args!("read {}", dir.display()))? {
            let entry = entry.context(format_args!("read {}", dir.display()))?;
            let path = entry.path();
            match fs::read_link(&path) {
                Ok(text) => {
                    let digest = text.to_string_lossy().parse::<Digest>();
                    let digest = digest.context(path.display())?;
                    pins.push((entry.file_name().to_string_lossy().into_owned(), digest));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::io(format_args!("read {}", path.display()), error));
                }
            }
        }
        Ok(pins)
    }

    fn pin_path(&self, container: &str) -> Result<PathBuf> {
        let fits = !container.is_empty()
            && !container.starts_with('.')
            && container
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b));
        match fits {
            true => Ok(self.root().join("containers").join(container)),
            false => Err(Error::new(
                Kind::Invalid,
                format!("container id {container:?}"),
            )),
        }
    }
}
