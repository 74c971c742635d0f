//! A tar writer that writes whatever it is told, lies included.

use std::io::Write;

#[derive(Clone)]
pub struct Item {
    pub flag: u8,
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: i64,
    pub device: (u32, u32),
    pub body: Vec<u8>,
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
    /// Size in the header, when it shall not be the body's.
    pub size: Option<u64>,
    pub gnu: bool,
}

pub fn item(flag: u8, name: impl AsRef<[u8]>) -> Item {
    Item {
        flag,
        name: name.as_ref().to_vec(),
        link: Vec::new(),
        mode: if flag == b'5' { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        mtime: 1_700_000_000,
        device: (0, 0),
        body: Vec::new(),
        pax: Vec::new(),
        size: None,
        gnu: false,
    }
}

pub fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Item {
    Item {
        body: body.as_ref().to_vec(),
        ..item(b'0', name)
    }
}

pub fn dir(name: impl AsRef<[u8]>) -> Item {
    item(b'5', name)
}

pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Item {
    Item {
        link: target.as_ref().to_vec(),
        mode: 0o777,
        ..item(b'2', name)
    }
}

pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Item {
    Item {
        link: target.as_ref().to_vec(),
        ..item(b'1', name)
    }
}

impl Item {
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub fn mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    pub fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }

    pub fn pax(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.pax
            .push((key.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(format!("SCHILY.xattr.{name}"), value)
    }

    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// The GNU dialect: no prefix, numbers in base 256 where they don't fit.
    pub fn gnu(mut self) -> Self {
        self.gnu = true;
        self
    }

    pub fn header(&self) -> [u8; 512] {
        let mut h = [0u8; 512];
        let mut put = |at: usize, text: &[u8]| h[at..at + text.len()].copy_from_slice(text);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, &number(8, i64::from(self.mode)));
        put(108, &number(8, self.uid as i64));
        put(116, &number(8, self.gid as i64));
        put(
            124,
            &number(12, self.size.unwrap_or(self.body.len() as u64) as i64),
        );
        put(136, &number(12, self.mtime));
        put(156, &[self.flag]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(
            257,
            if self.gnu {
                b"ustar  \0"
            } else {
                b"ustar\x0000"
            },
        );
        put(329, &number(8, i64::from(self.device.0)));
        put(337, &number(8, i64::from(self.device.1)));
        checksum(&mut h);
        h
    }
}

pub fn checksum(h: &mut [u8]) {
    h[148..156].copy_from_slice(b"        ");
    let sum: u32 = h[..512].iter().map(|&b| u32::from(b)).sum();
    h[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Octal when it fits, base 256 when not.
fn number(width: usize, value: i64) -> Vec<u8> {
    let octal = format!("{value:0width$o}\0", width = width - 1);
    if value >= 0 && octal.len() == width {
        return octal.into_bytes();
    }
    let mut bytes = vec![if value < 0 { 0xff } else { 0 }; width];
    let value = value.to_be_bytes();
    let n = value.len().min(width);
    bytes[width - n..].copy_from_slice(&value[8 - n..]);
    bytes[0] |= 0x80;
    bytes
}

pub fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() > length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

pub fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(512), 0);
    out
}

/// One entry: PAX header if it has records, header, body, padding.
pub fn entry_bytes(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    if !item.pax.is_empty() {
        let body: Vec<u8> = item
            .pax
            .iter()
            .flat_map(|(k, v)| pax_record(k, v))
            .collect();
        let x = Item {
            body,
            ..self::item(b'x', "PaxHeaders/x")
        };
        out.extend_from_slice(&x.header());
        out.extend_from_slice(&padded(&x.body));
    }
    out.extend_from_slice(&item.header());
    out.extend_from_slice(&padded(&item.body));
    out
}

/// A whole archive.
pub fn archive(items: impl IntoIterator<Item = Item>) -> Vec<u8> {
    let mut out: Vec<u8> = items
        .into_iter()
        .flat_map(|item| entry_bytes(&item))
        .collect();
    out.extend_from_slice(&[0; 1024]);
    out
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A stream as a zstd frame of raw blocks that asks for a window of so many bits: dear to read, cheap to make.
pub struct RawZstd<R> {
    inner: R,
    piece: std::io::Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: std::io::Read> RawZstd<R> {
    pub fn new(inner: R, window_log: u8) -> Self {
        let header = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
        Self {
            inner,
            piece: std::io::Cursor::new(header),
            ended: false,
        }
    }
}

impl<R: std::io::Read> std::io::Read for RawZstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.piece.read(buffer)?;
        if count > 0 || self.ended {
            return Ok(count);
        }
        let mut block = vec![0; 3];
        self.inner
            .by_ref()
            .take(128 << 10)
            .read_to_end(&mut block)?;
        self.ended = block.len() == 3;
        let header = ((block.len() - 3) << 3) as u32 | u32::from(self.ended);
        block[..3].copy_from_slice(&header.to_le_bytes()[..3]);
        self.piece = std::io::Cursor::new(block);
        self.piece.read(buffer)
    }
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
