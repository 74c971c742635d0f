//! Images outside the store: an OCI layout in a directory or a tar file, and what `docker save` writes.
//!
//! [`open`] makes a [`Source`] of one; [`export()`] writes one. All of it is hostile input: names lead nowhere outside, only
//! plain files are read, and every blob is verified behind the reader.

mod docker;
mod export;
mod layout;
mod tarball;

pub use export::{export, write_docker_archive, write_oci_archive};

use crate::error::{Context, Error, Kind, Result};
use crate::progress::Progress;
use crate::reference::Location;
use crate::store::Store;
use crate::transfer::{self, LayerSink, Source, Stored};
use docker::DockerArchive;
use layout::Layout;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use tarball::Tarball;

/// Opens an image outside the store and any registry.
pub fn open(location: &Location) -> Result<Box<dyn Source>> {
    match location {
        Location::OciDir(place) => {
            let files = Directory(place.path.clone());
            Ok(Box::new(Layout::new(files, place.tag.clone())))
        }
        Location::OciArchive(place) => {
            let files = Tarball::open(&place.path)?;
            Ok(Box::new(Layout::new(files, place.tag.clone())))
        }
        Location::DockerArchive(place) => {
            let files = Tarball::open(&place.path)?;
            Ok(Box::new(DockerArchive::open(files, place.tag.as_deref())?))
        }
        Location::Registry(_) | Location::Name(_) => Err(Error::new(
            Kind::Invalid,
            format!("{location}: not a file or directory"),
        )),
    }
}

/// Imports an image into the store, under a name: the given one, or one made of the place.
pub fn import(
    store: &Store,
    location: &Location,
    name: Option<&str>,
    how: &transfer::Options,
    sink: &dyn LayerSink,
    progress: &dyn Progress,
) -> Result<(String, Stored)> {
    let (Location::OciDir(place) | Location::OciArchive(place) | Location::DockerArchive(place)) =
        location
    else {
        return Err(Error::new(
            Kind::Invalid,
            format!("import {location}: not a file or directory"),
        )
        .hint(
            "write oci:DIR, oci-archive:FILE or docker-archive:FILE; `image pull` asks registries",
        ));
    };
    let source = open(location)?;
    let name = name.map(str::to_owned).or_else(|| source.name());
    let name = name.unwrap_or_else(|| place.store_name());
    let stored = transfer::transfer(store, &*source, &name, how, sink, progress)
        .context(format_args!("import {location}"))?;
    Ok((name, stored))
}

/// Named files, wherever they are.
trait Files: Sync {
    /// What errors call the whole.
    fn place(&self) -> String;

    /// A file's size, and its bytes from an offset on.
    fn open(&self, name: &str, offset: u64) -> Result<(u64, Box<dyn Read + Send>)>;

    /// A small file.
    fn read(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let (size, reader) = self.open(name, 0)?;
        let place = format!("{}: {name}", self.place());
        if size > max_bytes {
            return Err(Error::new(
                Kind::TooLarge,
                format!("{place}: {size} bytes are more than {max_bytes}"),
            ));
        }
        let mut bytes = Vec::new();
        match reader.take(max_bytes).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Error::io(place, error)),
        }
    }
}

/// Files of a directory.
struct Directory(PathBuf);

impl Files for Directory {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn open(&self, name: &str, offset: u64) -> Result<(u64, Box<dyn Read + Send>)> {
        let file = open_plain(&self.0.join(name))?;
        let size = file
            .metadata()
            .map_err(|error| Error::io(format_args!("stat {name}"), error))?
            .len();
        from(file, offset, size.saturating_sub(offset)).map(|reader| (size, reader))
    }
}

/// `O_NONBLOCK | O_NOFOLLOW`: neither waits for a FIFO's writer nor follows a link out of the directory.
fn open_plain(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error| Error::io(format_args!("open {}", path.display()), error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK | O_NOFOLLOW)
        .open(path)
        .map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(Error::new(
            Kind::Invalid,
            format!("open {}: not a plain file", path.display()),
        )),
    }
}

/// The same numbers on every architecture that Rust builds this for but MIPS, SPARC and Alpha.
const O_NONBLOCK: i32 = 0o4000;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "powerpc64"
))]
const O_NOFOLLOW: i32 = 0o100000;
#[cfg(not(any(
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "powerpc64"
)))]
const O_NOFOLLOW: i32 = 0o400000;

/// `length` bytes of a file from an offset on.
fn from(mut file: File, offset: u64, length: u64) -> Result<Box<dyn Read + Send>> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))
        .map_err(|error| Error::io("seek", error))?;
    Ok(Box::new(file.take(length)))
}

/// A file beside the target that becomes the target.
fn temporary(target: &Path) -> PathBuf {
    let name = target
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    target.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Writes a file whole or not at all. The directory may be one where others write, such as /tmp: no link of theirs is
/// followed.
fn replace(target: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let temporary = temporary(target);
    let failed = |error| Error::io(format_args!("write {}", target.display()), error);
    // What an ended process of our number left behind.
    let _ = fs::remove_file(&temporary);
    let mut file = File::create_new(&temporary).map_err(failed)?;
    let written = write(&mut file)
        .and_then(|()| file.sync_all().map_err(failed))
        .and_then(|()| fs::rename(&temporary, target).map_err(failed));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests;
