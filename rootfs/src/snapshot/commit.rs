//! A container's changes as a new layer: its upper directory to a tar, overlayfs' marks translated back to OCI's.
//!
//! Names are sorted, so the same changes give the same layer. The container should be stopped or paused meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::write::GzEncoder;
use oci::digest::{Algorithm, Hasher};
use oci::{DiffId, Digest};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, openat, readlinkat, statat,
};
use rustix::io::Errno;

use super::error::{Result, SnapshotError, system};
use super::merged::is_opaque;
use super::store::{Snapshots, open_dir};
use crate::layer::{
    OPAQUE_MARKER, TarEntry, TarWriter, WHITEOUT_PREFIX, is_whiteout, read_xattrs, read_xattrs_at,
};

/// How the new layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// For everybody.
    Gzip,
}

/// A new layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Digest of the blob as written.
    pub digest: Digest,
    /// Bytes of the blob as written.
    pub size: u64,
    /// Digest of the tar inside.
    pub diff_id: DiffId,
}

impl Snapshots {
    /// Writes what changed in a snapshot to `out`, as the blob of a layer that goes on top of the snapshot's chain.
    pub fn commit<W: Write>(
        &self,
        id: &str,
        compression: Compression,
        out: W,
    ) -> Result<Committed> {
        self.commit_without(id, compression, &[], out)
    }

    /// [`Snapshots::commit`] without the empty files and directories that were made for mounts at these places, which are
    /// relative to the root.
    pub fn commit_without<W: Write>(
        &self,
        id: &str,
        compression: Compression,
        places: &[&str],
        out: W,
    ) -> Result<Committed> {
        if self.snapshot_record(id)?.read_only {
            return Err(SnapshotError::Refused(format!(
                "snapshot {id} is read-only: nothing can have changed"
            )));
        }
        pack_without(&self.upper(id)?, compression, places, out)
    }
}

/// Writes a directory to `out` as the blob of a layer. Whiteouts and opaque directories are overlayfs' there.
pub fn pack<W: Write>(upper: &Path, compression: Compression, out: W) -> Result<Committed> {
    pack_without(upper, compression, &[], out)
}

fn pack_without<W: Write>(
    upper: &Path,
    compression: Compression,
    places: &[&str],
    out: W,
) -> Result<Committed> {
    let blob = Hashing::new(out);
    let from = (upper, places);
    match compression {
        Compression::None => write_layer(from, blob, Ok),
        Compression::Gzip => write_layer(
            from,
            GzEncoder::new(blob, flate2::Compression::new(6)),
            GzEncoder::finish,
        ),
    }
}

fn write_layer<P: Write, W: Write>(
    (upper, places): (&Path, &[&str]),
    packer: P,
    finish: impl FnOnce(P) -> io::Result<Hashing<W>>,
) -> Result<Committed> {
    let tar = walk(upper, places, Hashing::new(packer))?;
    let (diff_id, _, packer) = tar.finish();
    let (digest, size, mut out) = finish(packer)
        .map_err(system("write the layer of", upper))?
        .finish();
    out.flush().map_err(system("write the layer of", upper))?;
    Ok(Committed {
        digest,
        size,
        diff_id: DiffId(diff_id),
    })
}

fn walk<W: Write>(upper: &Path, places: &[&str], out: W) -> Result<W> {
    let mut walk = Walk {
        writer: TarWriter::new(out),
        links: HashMap::new(),
        places,
    };
    let root = OwnedFd::from(open_dir(upper)?);
    walk.directory(&root, b"")
        .map_err(|Stopped { path, error }| {
            let path = upper.join(std::ffi::OsStr::from_bytes(&path));
            system("pack", &path)(error)
        })?;
    walk.writer
        .finish()
        .map_err(system("write the layer of", upper))
}

/// Where a walk stopped, and why.
struct Stopped {
    path: Vec<u8>,
    error: io::Error,
}

fn at<E: Into<io::Error>>(path: &[u8]) -> impl FnOnce(E) -> Stopped {
    let path = path.to_vec();
    move |error| Stopped {
        path,
        error: error.into(),
    }
}

struct Walk<'w, W: Write> {
    writer: TarWriter<W>,
    /// Files with several names, by inode, and the first of these.
    links: HashMap<u64, Vec<u8>>,
    /// Where mounts were.
    places: &'w [&'w str],
}

impl<W: Write> Walk<'_, W> {
    /// The directory itself, its marks, and all it holds.
    fn directory(&mut self, dir: &OwnedFd, path: &[u8]) -> std::result::Result<(), Stopped> {
        let stat = rustix::fs::fstat(dir).map_err(at(path))?;
        refuse_references(dir).map_err(at(path))?;
        let name = if path.is_empty() {
            b"./".to_vec()
        } else {
            [path, b"/"].concat()
        };
        let xattrs = read_xattrs(dir).map_err(at(path))?;
        self.write(TarEntry::new(b'5', &name, &stat).xattrs(xattrs), path)?;
        if is_opaque(dir) {
            self.empty(&join(path, OPAQUE_MARKER), &stat)?;
        }
        for name in names(dir).map_err(at(path))? {
            self.child(dir, &name, &join(path, &name))?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
    ) -> std::result::Result<(), Stopped> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(at(path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self
            .is_mere_place(dir, name, path, &stat)
            .map_err(at(path))?
        {
            return Ok(());
        }
        if is_whiteout(&stat) {
            let parent = &path[..path.len() - name.len()];
            return self.empty(&[parent, WHITEOUT_PREFIX, name].concat(), &stat);
        }
        if kind != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                let link = TarEntry::new(b'1', path, &stat).target(first.clone());
                return self.write(link, path);
            }
            self.links.insert(stat.st_ino, path.to_vec());
        }
        match kind {
            FileType::Directory => {
                self.directory(&open(dir, name, OFlags::DIRECTORY).map_err(at(path))?, path)
            }
            FileType::RegularFile => self.file(dir, name, path, &stat),
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new())
                    .map_err(at(path))?
                    .into_bytes();
                let xattrs = read_xattrs_at(dir.as_fd(), name).map_err(at(path))?;
                self.write(
                    TarEntry::new(b'2', path, &stat)
                        .target(target)
                        .xattrs(xattrs),
                    path,
                )
            }
            FileType::Fifo => self.special(b'6', dir, name, path, &stat),
            FileType::CharacterDevice => self.special(b'3', dir, name, path, &stat),
            FileType::BlockDevice => self.special(b'4', dir, name, path, &stat),
            // A socket means nothing without the process that bound it, and tar has no word for it.
            _ => Ok(()),
        }
    }

    /// Whether this is an empty file or directory that a mount was put on.
    fn is_mere_place(
        &self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
    ) -> io::Result<bool> {
        if !self.places.iter().any(|place| place.as_bytes() == path) {
            return Ok(false);
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(stat.st_size == 0),
            FileType::Directory => {
                let inside = open(dir, name, OFlags::DIRECTORY)?;
                Ok(names(&inside)?.is_empty() && !is_opaque(&inside))
            }
            _ => Ok(false),
        }
    }

    fn file(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
    ) -> std::result::Result<(), Stopped> {
        let file = open(dir, name, OFlags::NONBLOCK).map_err(at(path))?;
        // KERNEL(6.7): a whiteout where devices can't be made.
        if stat.st_size == 0
            && has_xattr(&file, ["trusted.overlay.whiteout", "user.overlay.whiteout"])
        {
            let parent = &path[..path.len() - name.len()];
            return self.empty(&[parent, WHITEOUT_PREFIX, name].concat(), stat);
        }
        refuse_references(&file).map_err(at(path))?;
        let entry = TarEntry::new(b'0', path, stat).xattrs(read_xattrs(&file).map_err(at(path))?);
        self.writer
            .file(&entry, File::from(file), stat.st_size as u64)
            .map_err(at(path))
    }

    fn special(
        &mut self,
        flag: u8,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        stat: &Stat,
    ) -> std::result::Result<(), Stopped> {
        let xattrs = read_xattrs_at(dir.as_fd(), name).map_err(at(path))?;
        self.write(TarEntry::new(flag, path, stat).xattrs(xattrs), path)
    }

    /// A marker: only its name counts.
    fn empty(&mut self, name: &[u8], stat: &Stat) -> std::result::Result<(), Stopped> {
        self.write(TarEntry::new(b'0', name, stat).plain(), name)
    }

    fn write(&mut self, entry: TarEntry, path: &[u8]) -> std::result::Result<(), Stopped> {
        self.writer.entry(&entry).map_err(at(path))
    }
}

/// An inode that only makes sense together with another layer can't be packed: we mount so that there are none.
fn refuse_references(fd: &OwnedFd) -> io::Result<()> {
    let references = [
        "trusted.overlay.redirect",
        "trusted.overlay.metacopy",
        "user.overlay.redirect",
        "user.overlay.metacopy",
    ];
    if has_xattr(fd, references) {
        return Err(io::Error::other(
            "it refers to another layer (overlayfs redirect_dir or metacopy)",
        ));
    }
    Ok(())
}

fn has_xattr<const N: usize>(fd: &OwnedFd, names: [&str; N]) -> bool {
    names.iter().any(|name| {
        !matches!(
            fgetxattr(fd, *name, &mut [0u8; 0][..]),
            Err(Errno::NODATA | Errno::NOTSUP)
        )
    })
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

fn open(dir: &OwnedFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    openat(
        dir,
        name,
        flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

/// Hashes and counts what passes to `inner`.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(Algorithm::Sha256),
            bytes: 0,
        }
    }

    fn finish(self) -> (Digest, u64, W) {
        (self.hasher.finish(), self.bytes, self.inner)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
