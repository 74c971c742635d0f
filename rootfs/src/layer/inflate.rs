//! From a blob's bytes to the tar stream inside: detects the compression by its magic and bounds what comes out.
//!
//! Decoders run in this process: no helper program is ever looked up. Knows nothing of tar.

use std::cell::Cell;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::error::Fault;
use super::limits::{Limits, within};

const INPUT_BYTES: usize = 128 << 10;
const MAGIC_BYTES: usize = 6;

/// The blob, with the bytes looked at for detection put back in front.
type Blob<R> = Chain<Cursor<Vec<u8>>, R>;

enum Decoder<R: Read> {
    Plain(Counted<Blob<R>>),
    Gzip(Box<MultiGzDecoder<BufReader<Counted<Blob<R>>>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Counted<Blob<R>>>>>),
}

/// The uncompressed stream of one blob.
pub(super) struct Inflater<R: Read> {
    decoder: Decoder<R>,
    taken: Rc<Cell<u64>>,
    made: u64,
    limits: Limits,
}

impl<R: Read> Inflater<R> {
    pub(super) fn new(mut blob: R, limits: &Limits) -> Result<Self, Fault> {
        let mut magic = Vec::with_capacity(MAGIC_BYTES);
        let reading = |error| Fault::Read {
            what: "read the blob",
            error,
        };
        blob.by_ref()
            .take(MAGIC_BYTES as u64)
            .read_to_end(&mut magic)
            .map_err(reading)?;
        let taken = Rc::new(Cell::new(0));
        let format = Format::of(&magic)?;
        let counted = Counted {
            inner: Cursor::new(magic).chain(blob),
            taken: taken.clone(),
        };
        let decoder = match format {
            Format::Plain => Decoder::Plain(counted),
            Format::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(buffered(counted)))),
            Format::Zstd => Decoder::Zstd(Box::new(zstd_decoder(counted, limits)?)),
        };
        Ok(Self {
            decoder,
            taken,
            made: 0,
            limits: limits.clone(),
        })
    }

    /// Fills `buffer` as far as the stream reaches; 0 is its end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            let (what, read) = match &mut self.decoder {
                Decoder::Plain(plain) => ("read the blob", plain.read(&mut buffer[filled..])),
                Decoder::Gzip(gzip) => ("inflate gzip", gzip.read(&mut buffer[filled..])),
                Decoder::Zstd(zstd) => ("inflate zstd", zstd.read(&mut buffer[filled..])),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read { what, error }),
            }
        }
        self.made += filled as u64;
        self.check_size()?;
        Ok(filled)
    }

    fn check_size(&self) -> Result<(), Fault> {
        within("uncompressed size in bytes", self.made, self.limits.bytes)?;
        if self.made <= self.limits.ratio_from_bytes || matches!(self.decoder, Decoder::Plain(_)) {
            return Ok(());
        }
        within(
            "compression ratio",
            self.made / self.taken.get().max(1),
            self.limits.ratio,
        )
    }
}

enum Format {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    fn of(magic: &[u8]) -> Result<Self, Fault> {
        match magic {
            [] => Err(Fault::Truncated("blob")),
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame, or a skippable frame such as zstd:chunked writes.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(Fault::Unsupported("xz compression")),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A'] => {
                Err(Fault::Unsupported("bzip2 compression"))
            }
            _ => Ok(Self::Plain),
        }
    }
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(INPUT_BYTES, reader)
}

fn zstd_decoder<R: Read>(
    blob: Counted<R>,
    limits: &Limits,
) -> Result<zstd::stream::read::Decoder<'static, BufReader<Counted<R>>>, Fault> {
    let starting = |error| Fault::Read {
        what: "start zstd",
        error,
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered(blob)).map_err(starting)?;
    decoder
        .window_log_max(limits.zstd_window_log)
        .map_err(starting)?;
    Ok(decoder)
}

/// Counts compressed bytes as the decoder takes them.
struct Counted<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + n as u64);
        Ok(n)
    }
}
