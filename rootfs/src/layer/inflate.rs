//! From a blob's bytes to the tar stream inside: detects the compression by its magic and bounds what comes out.
//!
//! Decoders run in this process: no helper program is ever looked up. Knows nothing of tar.

use std::cell::Cell;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use zstd::zstd_safe::{get_error_name, zstd_sys::ZSTD_ErrorCode};

use super::error::Fault;
use super::limits::{Limits, within};

const INPUT_BYTES: usize = 128 << 10;
/// Enough for any magic, and for what a zstd frame says of its window.
const HEAD_BYTES: usize = 18;
/// Every zstd decoder must take windows of this size (RFC 8878, 3.1.1.1.2), and no usual layer has larger ones.
const USUAL_WINDOW_LOG: u32 = 23;
/// What a zstd decoder has besides its window: its tables, and blocks on both sides of it.
const ZSTD_BYTES: u64 = 768 << 10;

/// The blob, with the bytes looked at for detection put back in front.
type Blob<R> = Chain<Cursor<Vec<u8>>, R>;

enum Decoder<R: Read> {
    Plain(Counted<Blob<R>>),
    Gzip(Box<MultiGzDecoder<BufReader<Counted<Blob<R>>>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Counted<Blob<R>>>>>),
}

/// A blob of which the first bytes were read: enough to know what inflating it costs.
pub(super) struct Opened<R> {
    head: Vec<u8>,
    blob: R,
    format: Format,
    window_log: u32,
}

impl<R: Read> Opened<R> {
    pub(super) fn new(mut blob: R, limits: &Limits) -> Result<Self, Fault> {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let reading = |error| Fault::Read {
            what: "read the blob",
            error,
        };
        blob.by_ref()
            .take(HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(reading)?;
        let format = Format::of(&head)?;
        let mut window_log = USUAL_WINDOW_LOG.min(limits.zstd_window_log);
        let window = match format {
            Format::Zstd => frame_window(&head).unwrap_or(0),
            _ => 0,
        };
        if window > 1 << window_log {
            within(ZSTD_WINDOW, window, 1 << limits.zstd_window_log)?;
            window_log = limits.zstd_window_log;
        }
        Ok(Self {
            head,
            blob,
            format,
            window_log,
        })
    }

    /// True for a window so large that no other layer has room beside it.
    pub(super) fn needs_whole(&self) -> bool {
        self.window_log > USUAL_WINDOW_LOG
    }

    /// Memory for the decoder's window: the largest that a later frame may have, too.
    pub(super) fn window_bytes(&self) -> u64 {
        match self.format {
            Format::Zstd => (1 << self.window_log) + ZSTD_BYTES,
            _ => 0,
        }
    }
}

const ZSTD_WINDOW: &str = "zstd window in bytes";
const LATER_WINDOW: &str = "a zstd frame with a larger window than the first frame let expect (8 MiB, or 32 MiB where the first has more than 8)";

/// The window that a zstd frame asks for (RFC 8878, 3.1.1.1); nothing for a skippable frame.
fn frame_window(head: &[u8]) -> Option<u64> {
    let frame = head.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let (&descriptor, rest) = frame.split_first()?;
    if descriptor & 0x20 == 0 {
        let (exponent, mantissa) = (rest.first()? >> 3, u64::from(rest.first()? & 7));
        let base = 1 << (10 + exponent);
        return Some(base + base / 8 * mantissa);
    }
    // One segment: the window is the content, whose size stands behind a dictionary's number.
    let size_at = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_bytes = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..size_bytes].copy_from_slice(rest.get(size_at..size_at + size_bytes)?);
    let added = if size_bytes == 2 { 256 } else { 0 };
    Some(u64::from_le_bytes(size).saturating_add(added))
}

/// The uncompressed stream of one blob.
pub(super) struct Inflater<R: Read> {
    decoder: Decoder<R>,
    taken: Rc<Cell<u64>>,
    made: u64,
    limits: Limits,
}

impl<R: Read> Inflater<R> {
    pub(super) fn new(opened: Opened<R>, limits: &Limits) -> Result<Self, Fault> {
        let taken = Rc::new(Cell::new(0));
        let counted = Counted {
            inner: Cursor::new(opened.head).chain(opened.blob),
            taken: taken.clone(),
        };
        let decoder = match opened.format {
            Format::Plain => Decoder::Plain(counted),
            Format::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(buffered(counted)))),
            Format::Zstd => Decoder::Zstd(Box::new(zstd_decoder(counted, opened.window_log)?)),
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
                Err(error) if is_large_window(&error) => {
                    return Err(Fault::Unsupported(LATER_WINDOW));
                }
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
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(Fault::Unsupported("xz compression")),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', ..] => {
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
    window_log: u32,
) -> Result<zstd::stream::read::Decoder<'static, BufReader<Counted<R>>>, Fault> {
    let starting = |error| Fault::Read {
        what: "start zstd",
        error,
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered(blob)).map_err(starting)?;
    decoder.window_log_max(window_log).map_err(starting)?;
    Ok(decoder)
}

/// Whether zstd refused a frame's window. Of its error code the crate leaves us what the library calls it.
fn is_large_window(error: &io::Error) -> bool {
    let code = ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge as usize;
    let name = get_error_name(code.wrapping_neg());
    error.get_ref().is_some_and(|said| said.to_string() == name)
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
