//! Containers' claims on images: `containers/NAME` is a link to the manifest that the container was made from.
//!
//! A pin outlives processes and even the image's name; `delete` of the container removes it. A hard link is made whole by
//! one call and takes no place on the disk; where there can be none, a symbolic link says the digest.

use super::Store;
use crate::digest::{Algorithm, Digest};
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::MAX_MANIFEST_BYTES;
use std::fs;
use std::io;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

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
        let link = || match manifest.algorithm() {
            Algorithm::Sha256 => fs::hard_link(self.blob_path(manifest), &target)
                .or_else(|_| symlink(manifest.to_string(), &target)),
            // Nothing but the name says which algorithm a file was named by.
            Algorithm::Sha512 => symlink(manifest.to_string(), &target),
        };
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
            let pinned = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => {
                    fs::read_link(&path).map(|text| text.to_string_lossy().parse::<Digest>())
                }
                _ => read(&path).map(|bytes| Ok(Digest::of(&bytes))),
            };
            match pinned {
                Ok(digest) => {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    pins.push((name, digest.context(path.display())?));
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

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_MANIFEST_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
