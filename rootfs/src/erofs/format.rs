//! EROFS on disk, as far as we write it: 4 KiB blocks, extended inodes, uncompressed data, inline tails. Pure.
//!
//! Facts from the kernel's fs/erofs/erofs_fs.h.

use std::io;

use crate::layer::Timestamp;

pub(super) const BLOCK_BYTES: u64 = 4096;
pub(super) const SUPER_OFFSET: u64 = 1024;
/// Inodes are counted in slots of this size from the start of the metadata.
pub(super) const SLOT_BYTES: u64 = 32;
pub(super) const INODE_BYTES: u64 = 64;

const MAGIC: u32 = 0xE0F5_E1E2;
const BLOCK_BITS: u8 = 12;
/// Each inode has its own time.
const COMPAT_MTIME: u32 = 2;
const EXTENDED: u16 = 1;
const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2;
const XATTR_HEADER_BYTES: usize = 12;
const DIRENT_BYTES: usize = 12;

/// Values of the type byte in a directory entry.
pub(super) mod file_type {
    pub(in crate::erofs) const FILE: u8 = 1;
    pub(in crate::erofs) const DIRECTORY: u8 = 2;
    pub(in crate::erofs) const CHAR_DEVICE: u8 = 3;
    pub(in crate::erofs) const BLOCK_DEVICE: u8 = 4;
    pub(in crate::erofs) const FIFO: u8 = 5;
    pub(in crate::erofs) const SYMLINK: u8 = 7;
}

/// An inode as it is written.
pub(super) struct Inode<'a> {
    pub(super) number: u32,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) mtime: Timestamp,
    pub(super) size: u64,
    /// First data block, or a device number.
    pub(super) start: u32,
    /// The last, partial block follows the inode.
    pub(super) inline_tail: bool,
    /// What [`add_xattr`] made.
    pub(super) xattrs: &'a [u8],
}

impl Inode<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let layout = if self.inline_tail {
            FLAT_INLINE
        } else {
            FLAT_PLAIN
        };
        let count = match self.xattrs.len() {
            0 => 0,
            bytes => ((bytes - XATTR_HEADER_BYTES) / 4 + 1) as u16,
        };
        out.extend_from_slice(&(EXTENDED | layout << 1).to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&self.mode.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.start.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.uid.to_le_bytes());
        out.extend_from_slice(&self.gid.to_le_bytes());
        out.extend_from_slice(&self.mtime.seconds.to_le_bytes());
        out.extend_from_slice(&self.mtime.nanos.to_le_bytes());
        out.extend_from_slice(&self.links.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(self.xattrs);
    }
}

/// The superblock, to be written at [`SUPER_OFFSET`].
pub(super) fn superblock(root_slot: u16, inodes: u64, blocks: u32, meta_block: u32) -> [u8; 128] {
    let mut block = [0; 128];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC.to_le_bytes());
    put(8, &COMPAT_MTIME.to_le_bytes());
    put(12, &[BLOCK_BITS]);
    put(14, &root_slot.to_le_bytes());
    put(16, &inodes.to_le_bytes());
    put(36, &blocks.to_le_bytes());
    put(40, &meta_block.to_le_bytes());
    block
}

/// Adds an attribute to those that follow an inode. Nothing for a name that EROFS has no class for.
pub(super) fn add_xattr(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let Some((class, rest)) = xattr_class(name) else {
        return;
    };
    if out.is_empty() {
        out.resize(XATTR_HEADER_BYTES, 0);
    }
    out.push(rest.len() as u8);
    out.push(class);
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(rest);
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Class and remaining name of an attribute that EROFS can hold.
pub(super) fn xattr_class(name: &[u8]) -> Option<(u8, &[u8])> {
    match name {
        b"system.posix_acl_access" => return Some((2, b"")),
        b"system.posix_acl_default" => return Some((3, b"")),
        _ => {}
    }
    [(1, &b"user."[..]), (4, b"trusted."), (6, b"security.")]
        .into_iter()
        .find_map(|(class, prefix)| name.strip_prefix(prefix).map(|rest| (class, rest)))
        .filter(|(_, rest)| !rest.is_empty() && rest.len() <= 255)
}

/// A device number in the kernel's 32-bit form.
pub(super) fn device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// A name in a directory: the name itself, its inode's slot, its type.
pub(super) type Dirent<'n> = (&'n [u8], u64, u8);

/// Bytes of a directory with these names, which are sorted.
pub(super) fn directory_bytes<'n>(names: impl Iterator<Item = Dirent<'n>>) -> u64 {
    let (mut blocks, mut bytes) = (0, 0);
    for (name, _, _) in names {
        let more = (DIRENT_BYTES + name.len()) as u64;
        if bytes + more > BLOCK_BYTES {
            blocks += 1;
            bytes = 0;
        }
        bytes += more;
    }
    blocks * BLOCK_BYTES + bytes
}

/// Gives a directory's blocks to `put`, in order: inode slot and type of each name, the names behind them. All but the
/// last are filled up.
pub(super) fn directory<'n>(
    names: impl Iterator<Item = Dirent<'n>>,
    mut put: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut fitting, mut bytes) = (Vec::new(), 0);
    for dirent in names {
        let more = DIRENT_BYTES + dirent.0.len();
        if bytes + more > BLOCK_BYTES as usize {
            let mut block = directory_block(&fitting);
            block.resize(BLOCK_BYTES as usize, 0);
            put(&block)?;
            fitting.clear();
            bytes = 0;
        }
        fitting.push(dirent);
        bytes += more;
    }
    put(&directory_block(&fitting))
}

fn directory_block(names: &[Dirent<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK_BYTES as usize);
    let mut offset = names.len() * DIRENT_BYTES;
    for (name, slot, kind) in names {
        out.extend_from_slice(&slot.to_le_bytes());
        out.extend_from_slice(&(offset as u16).to_le_bytes());
        out.extend_from_slice(&[*kind, 0]);
        offset += name.len();
    }
    names
        .iter()
        .for_each(|(name, _, _)| out.extend_from_slice(name));
    out
}
