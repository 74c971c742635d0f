//! Bytes on their way into the store: written below `ingest/`, verified while they pass, renamed when they are right.
//!
//! [`Receiver`] is the tee of the one-pass pull: whoever reads from it (hash, inflate, unpack) gets the blob's bytes while
//! they are stored. A download that was cut stays, and the next one goes on from its end.

use super::lock::{Owned, try_own, try_own_existing, unique_name, wait_for_owner};
use super::{Store, sync_dir};
use crate::descriptor::Blob;
use crate::digest::Hasher;
use crate::error::{Context, Error, Kind, Result};
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How many bytes pass at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What comes of wanting to store a blob.
#[derive(Debug)]
pub enum Begin {
    /// It is here.
    Present,
    /// Another process or thread is just fetching it: [`Store::await_ingest`], then ask again.
    Busy,
    /// The caller fetches it.
    Started(Ingest),
}

/// A blob that the caller is to bring. Dropping it keeps what came so far for the next attempt.
#[derive(Debug)]
pub struct Ingest {
    blob: Blob,
    file: File,
    path: PathBuf,
    target: PathBuf,
    kept: u64,
}

impl Store {
    /// Starts, or goes on, to store a blob. Take a [`super::Lease`] on its digest before.
    pub fn ingest(&self, blob: &Blob) -> Result<Begin> {
        if self.has(blob) {
            return Ok(Begin::Present);
        }
        let path = self.ingest_path(blob);
        let Owned::Yes(file) = try_own(&path)? else {
            return Ok(Begin::Busy);
        };
        // Its former owner may have finished between our look and our lock.
        if self.has(blob) {
            fs::remove_file(&path).context(format_args!("remove {}", path.display()))?;
            return Ok(Begin::Present);
        }
        let kept = file
            .metadata()
            .context(format_args!("stat {}", path.display()))?
            .len();
        let mut ingest = Ingest {
            blob: blob.clone(),
            file,
            path,
            target: self.blob_path(&blob.digest),
            kept,
        };
        if kept > blob.size {
            ingest.restart()?;
        }
        Ok(Begin::Started(ingest))
    }

    /// Waits until nobody fetches the blob any more.
    pub fn await_ingest(&self, blob: &Blob) -> Result<()> {
        wait_for_owner(&self.ingest_path(blob))
    }

    /// Removes what an interrupted download left, unless someone goes on with it just now.
    pub fn forget_partial(&self, blob: &Blob) -> Result<()> {
        let path = self.ingest_path(blob);
        match try_own_existing(&path)? {
            Some(Owned::Yes(_)) => {
                fs::remove_file(&path).context(format_args!("remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn ingest_path(&self, blob: &Blob) -> PathBuf {
        let name = format!("{}-{}", blob.digest.algorithm().name(), blob.digest.hex());
        self.root().join("ingest").join(name)
    }

    /// A new file below `ingest/`, ours alone.
    pub(super) fn temporary(&self) -> Result<Temporary> {
        let name = format!("tmp-{}", unique_name());
        let path = self.root().join("ingest").join(name);
        match try_own(&path)? {
            Owned::Yes(file) => Ok(Temporary { file, path }),
            Owned::No => Err(Error::new(Kind::Busy, format!("lock {}", path.display()))),
        }
    }
}

/// A small file that is written whole before it gets its name.
pub(super) struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .context(format_args!("write {}", self.path.display()))
    }

    pub(super) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    pub(super) fn move_to(self, target: &Path) -> Result<()> {
        settle(&self.file, &self.path, target, 0o644)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already when it was moved; gc takes what a failure leaves.
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a finished file its final name.
fn settle(file: &File, path: &Path, target: &Path, mode: u32) -> Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
        .context(format_args!("chmod {}", path.display()))?;
    file.sync_data()
        .context(format_args!("fsync {}", path.display()))?;
    if let Some(dir) = target.parent() {
        fs::create_dir_all(dir).context(format_args!("create {}", dir.display()))?;
    }
    fs::rename(path, target).context(format_args!(
        "rename {} to {}",
        path.display(),
        target.display()
    ))
}

impl Ingest {
    /// The blob that is to come.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// How many of its first bytes are here from an earlier attempt: where the source is to begin.
    pub fn offset(&self) -> u64 {
        self.kept
    }

    /// Forgets what came in earlier attempts.
    pub fn restart(&mut self) -> Result<()> {
        self.kept = 0;
        self.file
            .set_len(0)
            .context(format_args!("truncate {}", self.path.display()))
    }

    /// Takes the blob's bytes from `source`, which begins at [`Ingest::offset`], and passes the whole blob on.
    pub fn receive<R: Read>(mut self, source: R) -> Result<Receiver<R>> {
        self.file
            .seek(SeekFrom::Start(0))
            .context(format_args!("seek {}", self.path.display()))?;
        Ok(Receiver {
            hasher: Some(Hasher::new(self.blob.digest.algorithm())),
            ingest: self,
            source,
            seen: 0,
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
            unread: 0..0,
            verified: false,
        })
    }
}

/// Reads a blob from its source, storing, hashing and bounding it on the way.
///
/// EOF is only returned for the right bytes; [`Receiver::commit`] then makes the blob visible.
pub struct Receiver<R> {
    ingest: Ingest,
    source: R,
    hasher: Option<Hasher>,
    seen: u64,
    chunk: Box<[u8]>,
    unread: std::ops::Range<usize>,
    verified: bool,
}

impl<R: Read> Receiver<R> {
    /// The next chunk; empty at a verified end. The slice form of [`Read`], for those who pass chunks between threads.
    pub fn next_chunk(&mut self) -> io::Result<&[u8]> {
        if self.verified {
            return Ok(&[]);
        }
        let count = match self.seen < self.ingest.kept {
            true => self.replay()?,
            false => self.fetch()?,
        };
        if count == 0 {
            self.verify()?;
            return Ok(&[]);
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&self.chunk[..count]);
        }
        self.seen += count as u64;
        Ok(&self.chunk[..count])
    }

    /// Bytes that an earlier attempt stored.
    fn replay(&mut self) -> io::Result<usize> {
        let left = (self.ingest.kept - self.seen).min(self.chunk.len() as u64) as usize;
        let count = self.ingest.file.read(&mut self.chunk[..left])?;
        match count {
            0 => Err(self.wrong("its partial download shrank".into())),
            _ => Ok(count),
        }
    }

    /// New bytes, stored before anyone sees them.
    fn fetch(&mut self) -> io::Result<usize> {
        let mut count = 0;
        // Whole chunks: a source may give a few hundred bytes at a time, and every write costs.
        while count < self.chunk.len() {
            match self.source.read(&mut self.chunk[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let _ = self.ingest.file.write_all(&self.chunk[..count]);
                    return Err(error);
                }
            }
        }
        let end = self.seen + count as u64;
        if end > self.ingest.blob.size {
            return Err(self.discard(format!(
                "goes on behind its {} bytes",
                self.ingest.blob.size
            )));
        }
        self.ingest
            .file
            .write_all(&self.chunk[..count])
            .map_err(|error| {
                Error::io(format_args!("write {}", self.ingest.path.display()), error).into_io()
            })?;
        Ok(count)
    }

    fn verify(&mut self) -> io::Result<()> {
        let (seen, size) = (self.seen, self.ingest.blob.size);
        if seen < size {
            return Err(self.wrong(format!("ends after {seen} of {size} bytes")));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found == self.ingest.blob.digest => {
                self.verified = true;
                Ok(())
            }
            Some(found) => Err(self.discard(format!("its bytes have the digest {found}"))),
            None => Err(self.wrong("was wrong before".into())),
        }
    }

    fn wrong(&self, how: String) -> io::Error {
        Error::new(
            Kind::Corrupt,
            format!("blob {}: {how}", self.ingest.blob.digest),
        )
        .into_io()
    }

    /// Wrong for good: nothing of it is worth keeping.
    fn discard(&mut self, how: String) -> io::Error {
        self.hasher = None;
        let _ = self.ingest.restart();
        let _ = fs::remove_file(&self.ingest.path);
        self.wrong(how)
    }

    /// Reads what is left, then makes the blob visible under its digest.
    pub fn commit(mut self) -> Result<Blob> {
        let what = format!("store blob {}", self.ingest.blob.digest);
        while !self.next_chunk().context(&what)?.is_empty() {}
        let ingest = self.ingest;
        settle(&ingest.file, &ingest.path, &ingest.target, 0o444).context(&what)?;
        Ok(ingest.blob)
    }
}

impl<R: Read> BufRead for Receiver<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            let count = self.next_chunk()?.len();
            self.unread = 0..count;
        }
        Ok(&self.chunk[self.unread.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.unread.start = (self.unread.start + count).min(self.unread.end);
    }
}

impl<R: Read> Read for Receiver<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Makes the renames of committed blobs last.
pub(super) fn sync_blobs(store: &Store) -> Result<()> {
    sync_dir(&store.root().join("blobs/sha256"))
}
