//! One 512-byte header block: checksum, dialect, and the fields in it. Extensions are not known here.

use tar::Header;

use super::BLOCK_BYTES;
use super::entry::Timestamp;
use super::field::{malformed, number, size, string};
use crate::layer::error::Fault;

/// The oldest headers end here; zeros follow.
const V7_BYTES: usize = 257;
/// Where star keeps its own magic, in the last bytes of a ustar header.
const STAR_MAGIC: std::ops::Range<usize> = 508..512;
const STAR_PREFIX_BYTES: usize = 131;

/// A header block with the right checksum.
pub(super) struct Block {
    header: Header,
}

impl Block {
    pub(super) fn new(bytes: &[u8; BLOCK_BYTES]) -> Result<Self, Fault> {
        let header = Header::from_byte_slice(bytes).clone();
        let stated = size("checksum", &header.as_old().cksum)?;
        let (mut unsigned, mut signed) = (0u64, 0i64);
        for (at, &byte) in bytes.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { byte };
            unsigned += u64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        // Ancient writers summed signed bytes; every reader takes both.
        if stated != unsigned && i64::try_from(stated) != Ok(signed) {
            return Err(malformed("a header's checksum is wrong"));
        }
        let block = Self { header };
        block.check_dialect()?;
        Ok(block)
    }

    /// Where the dialect leaves it open what a byte means, some readers take it for a part of the name.
    fn check_dialect(&self) -> Result<(), Fault> {
        if let Some(gnu) = self.header.as_gnu() {
            return number("access time", &gnu.atime).map(drop);
        }
        let rest = &self.header.as_bytes()[V7_BYTES..];
        if self.header.as_ustar().is_none() && rest.iter().any(|&b| b != 0) {
            return Err(malformed("a header of no known dialect"));
        }
        Ok(())
    }

    pub(super) fn flag(&self) -> u8 {
        self.header.as_old().linkflag[0]
    }

    /// The name, with the ustar prefix in front. A GNU header keeps other things in the prefix's place.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = string(&self.header.as_old().name);
        let prefix = self.header.as_ustar().map_or(&b""[..], |ustar| {
            let star = &self.header.as_bytes()[STAR_MAGIC] == b"tar\0";
            string(if star {
                &ustar.prefix[..STAR_PREFIX_BYTES]
            } else {
                &ustar.prefix
            })
        });
        match prefix {
            [] => name.to_vec(),
            _ => [prefix, b"/", name].concat(),
        }
    }

    pub(super) fn link_target(&self) -> Vec<u8> {
        string(&self.header.as_old().linkname).to_vec()
    }

    pub(super) fn size(&self) -> Result<u64, Fault> {
        size("size", &self.header.as_old().size)
    }

    pub(super) fn mode(&self) -> Result<u32, Fault> {
        let mode = size("mode", &self.header.as_old().mode)?;
        Ok((mode & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u64, Fault> {
        size("user id", &self.header.as_old().uid)
    }

    pub(super) fn gid(&self) -> Result<u64, Fault> {
        size("group id", &self.header.as_old().gid)
    }

    pub(super) fn mtime(&self) -> Result<Timestamp, Fault> {
        Ok(Timestamp {
            seconds: number("time", &self.header.as_old().mtime)?,
            nanos: 0,
        })
    }

    /// Major and minor number of a device.
    pub(super) fn device(&self) -> Result<(u32, u32), Fault> {
        let (major, minor) = match (self.header.as_ustar(), self.header.as_gnu()) {
            (Some(ustar), _) => (&ustar.dev_major, &ustar.dev_minor),
            (_, Some(gnu)) => (&gnu.dev_major, &gnu.dev_minor),
            _ => return Err(malformed("a device in a header that has no device numbers")),
        };
        let narrow = |what, field: &[u8]| {
            u32::try_from(size(what, field)?)
                .map_err(|_| malformed(format!("{what} is out of range")))
        };
        Ok((
            narrow("major number", major)?,
            narrow("minor number", minor)?,
        ))
    }

    /// The GNU dialect's own fields.
    pub(super) fn gnu(&self) -> Option<&tar::GnuHeader> {
        self.header.as_gnu()
    }
}
