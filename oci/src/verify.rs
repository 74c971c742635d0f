//! A reader that hashes and bounds what passes: its last read only succeeds when size and digest are right.
//!
//! It knows nothing of where the bytes come from or go to.

use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Kind, Result};
use std::io::{self, Read};

/// Passes on a blob's bytes. EOF is only returned once exactly `size` bytes with the right digest went through.
pub struct VerifyingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    seen: u64,
}

impl<R: Read> VerifyingReader<R> {
    /// Expects exactly the blob of this digest and size from `inner`.
    pub fn new(inner: R, digest: Digest, size: u64) -> Self {
        VerifyingReader {
            inner,
            hasher: Some(Hasher::new(digest.algorithm())),
            digest,
            size,
            seen: 0,
        }
    }

    /// Bytes passed on so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    fn finish(&mut self) -> io::Result<usize> {
        if self.seen < self.size {
            return Err(self.wrong(format!("ends after {} of {} bytes", self.seen, self.size)));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.digest => {
                Err(self.wrong(format!("its bytes have the digest {found}")))
            }
            _ => Ok(0),
        }
    }

    fn wrong(&self, how: String) -> io::Error {
        Error::new(Kind::Corrupt, format!("blob {}: {how}", self.digest)).into_io()
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return self.finish();
        }
        self.seen += count as u64;
        if self.seen > self.size {
            return Err(self.wrong(format!("goes on behind its {} bytes", self.size)));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Refuses a manifest or an index that isn't the blob of this digest and size.
pub(crate) fn manifest(bytes: &[u8], digest: Digest, size: u64) -> Result<()> {
    io::copy(
        &mut VerifyingReader::new(bytes, digest, size),
        &mut io::sink(),
    )
    .map(drop)
    .context("manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], of: &[u8], size: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        VerifyingReader::new(bytes, Digest::of(of), size).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn the_right_bytes_pass() {
        assert_eq!(read(b"hello", b"hello", 5).expect("passes"), b"hello");
        assert_eq!(read(b"", b"", 0).expect("passes"), b"");
    }

    #[test]
    fn every_lie_is_told() {
        for (bytes, size, what) in [
            (&b"hell"[..], 5, "ends after 4 of 5"),
            (b"hello!", 5, "goes on behind"),
            (b"hallo", 5, "have the digest"),
        ] {
            let error = read(bytes, b"hello", size)
                .expect_err("is refused")
                .to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
