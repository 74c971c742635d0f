//! Writing a layer: one ustar header an entry, and PAX records for what does not fit into it.

use std::io::{self, Read, Write};

use rustix::fs::{Stat, major, minor};
use tar::{EntryType, Header};

use super::BLOCK_BYTES;
use super::entry::Xattr;

const COPY_BYTES: usize = 256 << 10;
/// What eleven octal digits hold.
const OCTAL_MAX: i64 = 0o77_777_777_777;
/// What seven octal digits hold.
const ID_MAX: u32 = 0o7_777_777;

/// An entry to write.
#[derive(Debug)]
pub(crate) struct TarEntry {
    flag: u8,
    path: Vec<u8>,
    target: Vec<u8>,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    device: (u32, u32),
    xattrs: Vec<Xattr>,
}

impl TarEntry {
    /// An entry of type `flag` with the metadata of an inode.
    pub(crate) fn new(flag: u8, path: &[u8], stat: &Stat) -> Self {
        Self {
            flag,
            path: path.to_vec(),
            target: Vec::new(),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
            device: (major(stat.st_rdev), minor(stat.st_rdev)),
            xattrs: Vec::new(),
        }
    }

    pub(crate) fn target(mut self, target: Vec<u8>) -> Self {
        self.target = target;
        self
    }

    pub(crate) fn xattrs(mut self, xattrs: Vec<Xattr>) -> Self {
        self.xattrs = xattrs;
        self
    }

    /// Nothing but the name: no owner, no mode, no time.
    pub(crate) fn plain(mut self) -> Self {
        (self.mode, self.uid, self.gid, self.mtime, self.device) = (0, 0, 0, (0, 0), (0, 0));
        self
    }
}

/// Writes entries to `out`.
pub(crate) struct TarWriter<W> {
    out: W,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// An entry without a body.
    pub(crate) fn entry(&mut self, entry: &TarEntry) -> io::Result<()> {
        self.headers(entry, 0)
    }

    /// A file of `size` bytes, which `body` must have.
    pub(crate) fn file(
        &mut self,
        entry: &TarEntry,
        mut body: impl Read,
        size: u64,
    ) -> io::Result<()> {
        self.headers(entry, size)?;
        let mut buffer = vec![0; COPY_BYTES.min(size as usize)];
        let mut left = size;
        while left > 0 {
            let n = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = body.read(&mut buffer[..n])?;
            if read == 0 {
                return Err(io::Error::other("it became shorter while it was read"));
            }
            self.out.write_all(&buffer[..read])?;
            left -= read as u64;
        }
        self.pad(size)
    }

    /// The end of the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.out)
    }

    fn headers(&mut self, entry: &TarEntry, size: u64) -> io::Result<()> {
        let mut pax = Vec::new();
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::new(entry.flag));
        header.set_mode(entry.mode);
        let ustar = header
            .as_ustar_mut()
            .ok_or_else(|| io::Error::other("no ustar header"))?;
        put_text(&mut ustar.name, &mut pax, "path", &entry.path);
        put_text(&mut ustar.linkname, &mut pax, "linkpath", &entry.target);
        for (field, key, id) in [
            (&mut ustar.uid, "uid", entry.uid),
            (&mut ustar.gid, "gid", entry.gid),
        ] {
            if id > ID_MAX {
                record(&mut pax, key.as_bytes(), id.to_string().as_bytes());
            }
            put_octal(field, u64::from(if id > ID_MAX { 0 } else { id }));
        }
        if size > OCTAL_MAX as u64 {
            record(&mut pax, b"size", size.to_string().as_bytes());
        } else {
            put_octal(&mut ustar.size, size);
        }
        put_time(&mut ustar.mtime, &mut pax, entry.mtime);
        put_octal(&mut ustar.dev_major, u64::from(entry.device.0));
        put_octal(&mut ustar.dev_minor, u64::from(entry.device.1));
        for (name, value) in &entry.xattrs {
            record(
                &mut pax,
                &[b"SCHILY.xattr.", name.as_slice()].concat(),
                value,
            );
        }
        if !pax.is_empty() {
            self.pax(&pax)?;
        }
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pax(&mut self, records: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_path("PaxHeaders/0")?;
        header.set_mode(0o644);
        header.set_size(records.len() as u64);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(records)?;
        self.pad(records.len() as u64)
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        let rest = (bytes.next_multiple_of(BLOCK_BYTES as u64) - bytes) as usize;
        self.out.write_all(&[0; BLOCK_BYTES][..rest])
    }
}

/// `LENGTH KEY=VALUE\n`, LENGTH counting its own digits.
fn record(pax: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() > length {
        length += 1;
    }
    pax.extend_from_slice(length.to_string().as_bytes());
    pax.push(b' ');
    pax.extend_from_slice(key);
    pax.push(b'=');
    pax.extend_from_slice(value);
    pax.push(b'\n');
}

fn put_text(field: &mut [u8; 100], pax: &mut Vec<u8>, key: &str, text: &[u8]) {
    if text.len() > field.len() {
        record(pax, key.as_bytes(), text);
    }
    let n = text.len().min(field.len());
    field[..n].copy_from_slice(&text[..n]);
}

fn put_octal<const N: usize>(field: &mut [u8; N], value: u64) {
    let text = format!("{value:0width$o}", width = N - 1);
    let digits = text.as_bytes();
    field[..N - 1].copy_from_slice(&digits[digits.len() - (N - 1)..]);
}

fn put_time(field: &mut [u8; 12], pax: &mut Vec<u8>, (seconds, nanos): (i64, u32)) {
    let fits = (0..=OCTAL_MAX).contains(&seconds);
    put_octal(field, if fits { seconds as u64 } else { 0 });
    if fits && nanos == 0 {
        return;
    }
    let text = match (seconds, nanos) {
        (_, 0) => seconds.to_string(),
        (0.., _) => fraction(&format!("{seconds}.{nanos:09}")),
        // Digits count from zero on both sides: two seconds down and three quarters up is -1.25.
        _ => fraction(&format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos)),
    };
    record(pax, b"mtime", text.as_bytes());
}

fn fraction(text: &str) -> String {
    text.trim_end_matches('0').to_owned()
}
