//! The walk through an archive: headers with their extensions, bodies, padding, and the end.

use std::io::BufRead;

use super::BLOCK_BYTES;
use super::entry::{Entry, Kind};
use super::extension::{Extension, check_global};
use super::field::{decimal, id, malformed};
use super::header::Block;
use super::sparse::{self, Form, Segment};
use crate::layer::error::Fault;
use crate::layer::limits::{Limits, within};
use crate::layer::memory::{Purpose, Share};

/// An extension header up to this size is among a layer's buffers, a larger one is charged.
const SMALL_HEADER_BYTES: u64 = 64 << 10;
/// What a byte of an extension header costs at most: itself, its copy as an attribute or its part of a sparse map.
const HEADER_COST: u64 = 6;
/// A segment in a list that grows by doubling.
const SEGMENT_GROWTH: usize = 3 * size_of::<Segment>();

/// Reads entries from a stream of blocks.
pub(crate) struct Archive<'l, R> {
    stream: R,
    limits: &'l Limits,
    share: Option<&'l Share>,
    /// What the headers of this entry cost, as far as it is charged.
    charged_bytes: u64,
    /// Bytes of the current body not read yet, and those of its padding.
    body: u64,
    padding: u64,
    /// The byte behind the last body, of its padding.
    first_padding: u8,
    /// The name of the entry being decoded, for errors.
    name: Option<Vec<u8>>,
}

impl<'l, R: BufRead> Archive<'l, R> {
    pub(crate) fn new(stream: R, limits: &'l Limits) -> Self {
        Self {
            stream,
            limits,
            share: None,
            charged_bytes: 0,
            body: 0,
            padding: 0,
            first_padding: 0,
            name: None,
        }
    }

    /// Charges what large headers cost.
    pub(crate) fn charging(mut self, share: &'l Share) -> Self {
        self.share = Some(share);
        self
    }

    /// Charges `bytes` more, until the next entry.
    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.charged_bytes += bytes;
        match self.share {
            Some(share) => share.set(Purpose::Header, self.charged_bytes),
            None => Ok(()),
        }
    }

    /// The stream again, for what follows the archive's end.
    pub(crate) fn into_stream(self) -> R {
        self.stream
    }

    /// The name of the entry last begun.
    pub(crate) fn name(&self) -> Option<Vec<u8>> {
        self.name.clone()
    }

    /// The next entry; what is left of the last one's body is skipped.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        self.skip_body()?;
        self.charged_bytes = 0;
        self.charge(0)?;
        self.name = None;
        let mut extension = Extension::default();
        loop {
            let Some(block) = self.block()? else {
                return if extension.is_empty() {
                    Ok(None)
                } else {
                    Err(Fault::Truncated("archive"))
                };
            };
            if block.iter().all(|&b| b == 0) {
                self.expect_end()?;
                return if extension.is_empty() {
                    Ok(None)
                } else {
                    Err(malformed("an extension header without an entry"))
                };
            }
            let block = Block::new(&block)?;
            match block.flag() {
                b'x' => extension.set_pax(&self.small_body(&block)?, self.limits)?,
                b'g' => check_global(&self.small_body(&block)?)?,
                b'L' => extension.set_long_path(self.long_name(&block)?)?,
                b'K' => extension.set_long_target(self.long_name(&block)?)?,
                _ => return self.entry(&block, extension).map(Some),
            }
        }
    }

    /// The next bytes of the current body, at most as many as are buffered; empty at its end.
    pub(crate) fn body(&mut self) -> Result<&[u8], Fault> {
        if self.body == 0 {
            return Ok(&[]);
        }
        let available = self.stream.fill_buf()?;
        if available.is_empty() {
            return Err(Fault::Truncated("archive"));
        }
        let n =
            usize::try_from(self.body).map_or(available.len(), |body| body.min(available.len()));
        Ok(&available[..n])
    }

    /// Takes `n` bytes that [`Archive::body`] showed.
    pub(crate) fn consume(&mut self, n: usize) {
        self.stream.consume(n);
        self.body -= n as u64;
    }

    fn entry(&mut self, block: &Block, mut extension: Extension) -> Result<Entry, Fault> {
        let path = extension
            .sparse
            .name
            .take()
            .or(extension.path.take())
            .unwrap_or_else(|| block.path());
        if path.is_empty() {
            return Err(Fault::Name("it is empty"));
        }
        self.name = Some(path.clone());
        self.limits.check_name_bytes(path.len())?;
        let stored = extension.size.map_or_else(|| block.size(), Ok)?;
        let kind = self.kind(block, &path, &mut extension)?;
        let mut entry = Entry {
            mode: block.mode()?,
            uid: id("user id", extension.uid.map_or_else(|| block.uid(), Ok)?)?,
            gid: id("group id", extension.gid.map_or_else(|| block.gid(), Ok)?)?,
            mtime: extension.mtime.map_or_else(|| block.mtime(), Ok)?,
            xattrs: std::mem::take(&mut extension.xattrs),
            size: 0,
            segments: None,
            path,
            kind,
        };
        self.begin_body(&entry.kind, stored, extension.size)?;
        self.lay_out(&mut entry, block, extension, stored)?;
        Ok(entry)
    }

    fn kind(&self, block: &Block, path: &[u8], extension: &mut Extension) -> Result<Kind, Fault> {
        let mut target = || {
            let target = extension
                .link_target
                .take()
                .unwrap_or_else(|| block.link_target());
            within(
                "link target length in bytes",
                target.len() as u64,
                self.limits.path_bytes as u64,
            )?;
            if target.is_empty() {
                Err(malformed("a link without a target"))
            } else {
                Ok(target)
            }
        };
        Ok(match block.flag() {
            // Before directories had a flag of their own they were files with a slash at the end.
            0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink { target: target()? },
            b'2' => Kind::Symlink { target: target()? },
            b'3' => {
                let (major, minor) = block.device()?;
                Kind::CharDevice { major, minor }
            }
            b'4' => {
                let (major, minor) = block.device()?;
                Kind::BlockDevice { major, minor }
            }
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            flag => {
                return Err(malformed(format!(
                    "unknown entry type '{}'",
                    flag.escape_ascii()
                )));
            }
        })
    }

    /// Only files have bodies. The size in a hard link's header is its target's and no body follows; elsewhere, and
    /// for a PAX size, readers differ.
    fn begin_body(&mut self, kind: &Kind, stored: u64, pax: Option<u64>) -> Result<(), Fault> {
        match kind {
            Kind::File => self.set_body(stored),
            Kind::HardLink { .. } if pax.unwrap_or(0) == 0 => Ok(()),
            _ if stored == 0 => Ok(()),
            _ => Err(malformed("a body on an entry that is no file")),
        }
    }

    fn set_body(&mut self, bytes: u64) -> Result<(), Fault> {
        within("size in bytes", bytes, self.limits.bytes)?;
        self.body = bytes;
        self.padding = bytes.next_multiple_of(BLOCK_BYTES as u64) - bytes;
        Ok(())
    }

    /// Sets the apparent size, and the segments of a sparse file.
    fn lay_out(
        &mut self,
        entry: &mut Entry,
        block: &Block,
        mut extension: Extension,
        stored: u64,
    ) -> Result<(), Fault> {
        let form = extension.sparse.form()?;
        if entry.kind != Kind::File {
            return match form {
                None => Ok(()),
                Some(_) => Err(malformed("a sparse map on an entry that is no file")),
            };
        }
        let (segments, size) = match form {
            None if block.flag() == b'S' => self.gnu_map(block)?,
            None => {
                entry.size = stored;
                return Ok(());
            }
            Some(_) if block.flag() == b'S' => {
                return Err(malformed("two sparse maps for one file"));
            }
            Some(form) => {
                let size = extension
                    .sparse
                    .size
                    .ok_or_else(|| malformed("a sparse file without a size"))?;
                let map = match form {
                    Form::Listed(map) => map,
                    Form::InBody => self.map_in_body()?,
                };
                (map, size)
            }
        };
        within("size in bytes", size, self.limits.bytes)?;
        sparse::check(&segments, size, self.body)?;
        entry.size = size;
        entry.segments = Some(segments);
        Ok(())
    }

    /// The old GNU map: four slots in the header, then blocks of 21 between header and body.
    fn gnu_map(&mut self, block: &Block) -> Result<(Vec<Segment>, u64), Fault> {
        let gnu = block
            .gnu()
            .ok_or_else(|| malformed("a sparse file in a header that is not GNU's"))?;
        let size = super::field::size("real size", &gnu.realsize)?;
        let mut map = Vec::new();
        sparse::push_slots(&mut map, &gnu.sparse, self.limits)?;
        let mut extended = gnu.isextended[0] != 0;
        let mut blocks = 0usize;
        while extended {
            let bytes = self.block()?.ok_or(Fault::Truncated("archive"))?;
            let mut more = tar::GnuExtSparseHeader::new();
            more.as_mut_bytes().copy_from_slice(&bytes);
            sparse::push_slots(&mut map, &more.sparse, self.limits)?;
            self.charge((21 * SEGMENT_GROWTH) as u64)?;
            extended = more.isextended[0] != 0;
            blocks += 1;
            within(
                "sparse header blocks",
                blocks as u64,
                self.limits.sparse_segments as u64 / 21 + 1,
            )?;
        }
        Ok((map, size))
    }

    /// The 1.0 map: decimal lines at the start of the body, filled up to a whole block.
    fn map_in_body(&mut self) -> Result<Vec<Segment>, Fault> {
        let before = self.body;
        let count = self.line()?;
        self.limits.check_segments(count)?;
        self.charge(count * size_of::<Segment>() as u64)?;
        let mut map = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (offset, length) = (self.line()?, self.line()?);
            map.push(Segment { offset, length });
        }
        let read = before - self.body;
        let mut fill = read.next_multiple_of(BLOCK_BYTES as u64) - read;
        while fill > 0 {
            let n = (self.body()?.len() as u64).min(fill);
            if n == 0 {
                return Err(malformed("a sparse map longer than its body"));
            }
            self.consume(n as usize);
            fill -= n;
        }
        Ok(map)
    }

    fn line(&mut self) -> Result<u64, Fault> {
        let mut digits = Vec::new();
        loop {
            let byte = *self
                .body()?
                .first()
                .ok_or_else(|| malformed("a sparse map longer than its body"))?;
            self.consume(1);
            match byte {
                b'\n' => return decimal("sparse number", &digits),
                _ if digits.len() < 20 => digits.push(byte),
                _ => return Err(malformed("a sparse number is too long")),
            }
        }
    }

    /// The body of an extension header. An override of the size never applies to it.
    fn small_body(&mut self, block: &Block) -> Result<Vec<u8>, Fault> {
        let size = block.size()?;
        within(
            "extension header size in bytes",
            size,
            self.limits.header_bytes,
        )?;
        if size > SMALL_HEADER_BYTES {
            self.charge(size * HEADER_COST)?;
        }
        self.set_body(size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        while self.body > 0 {
            let chunk = self.body()?;
            let n = chunk.len();
            bytes.extend_from_slice(chunk);
            self.consume(n);
        }
        self.skip_body()?;
        Ok(bytes)
    }

    /// The body of a GNU long name, with what ends it: GNU tar reads on to the next NUL, others to the stated size.
    fn long_name(&mut self, block: &Block) -> Result<Vec<u8>, Fault> {
        // With the NUL behind it; the name itself is looked at when all is known of the entry.
        let longest = self.limits.path_bytes as u64 + 1;
        within("name length in bytes", block.size()?, longest)?;
        let padding = block.size()?.next_multiple_of(BLOCK_BYTES as u64) - block.size()?;
        let mut name = self.small_body(block)?;
        if name.last() != Some(&0) && (padding == 0 || self.first_padding != 0) {
            return Err(malformed("a GNU long name without an end"));
        }
        name.push(0);
        Ok(name)
    }

    fn skip_body(&mut self) -> Result<(), Fault> {
        while self.body > 0 {
            let n = self.body()?.len();
            self.consume(n);
        }
        self.body = std::mem::take(&mut self.padding);
        self.first_padding = 0;
        // COMPAT(umoci): `insert` leaves the last entry unpadded, with no end mark; Go's reader takes that for the end.
        if self.body > 0 && self.stream.fill_buf()?.is_empty() {
            self.body = 0;
            return Ok(());
        }
        self.first_padding = self.body()?.first().copied().unwrap_or_default();
        while self.body > 0 {
            let n = self.body()?.len();
            self.consume(n);
        }
        Ok(())
    }

    /// One block, or nothing at the stream's end.
    fn block(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, Fault> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            let available = self.stream.fill_buf()?;
            if available.is_empty() {
                return if filled == 0 {
                    Ok(None)
                } else {
                    Err(Fault::Truncated("archive"))
                };
            }
            let n = available.len().min(BLOCK_BYTES - filled);
            block[filled..filled + n].copy_from_slice(&available[..n]);
            self.stream.consume(n);
            filled += n;
        }
        Ok(Some(block))
    }

    /// After a block of zeros comes another or nothing; readers differ on anything else.
    fn expect_end(&mut self) -> Result<(), Fault> {
        match self.block()? {
            Some(block) if block.iter().any(|&b| b != 0) => Err(malformed("a lone block of zeros")),
            _ => Ok(()),
        }
    }
}
