//! The tree to the image: a place for every inode, then inodes, directories and tails, and the superblock last.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;

use super::format::{
    BLOCK_BYTES, Dirent, INODE_BYTES, Inode, SLOT_BYTES, SUPER_OFFSET, add_xattr, directory,
    directory_bytes, file_type, superblock,
};
use super::tree::{Body, Node, Number, ROOT, Tree};

/// Metadata is written in pieces of about this size.
const PIECE_BYTES: usize = 256 << 10;

/// Where an inode goes, and what comes with it.
#[derive(Clone, Copy, Default)]
struct Place {
    /// From the start of the metadata, in slots.
    slot: u32,
    /// Inodes are numbered in the order they are written.
    turn: u32,
    links: u32,
    /// Bytes of a directory.
    directory_bytes: u32,
    /// The image's block where the whole blocks are.
    block: u32,
    /// Bytes of the body that follow the inode.
    tail: u16,
}

/// What the writing of a node costs while the tree is in memory.
pub(super) const PLACE_BYTES: usize = size_of::<Place>() + size_of::<bool>();

/// Writes all but the files' contents, which end at `data_end`. Directories that are opaque get an attribute of that name.
pub(super) fn write(
    tree: &Tree,
    opaque: &[u8],
    (image, spool): (&File, &File),
    data_end: u64,
) -> io::Result<()> {
    let order = tree.reachable();
    let mut layout = Layout {
        tree,
        opaque,
        places: vec![Place::default(); tree.len()],
        block: data_end / BLOCK_BYTES,
        end: SLOT_BYTES,
    };
    layout.count_links(&order);
    for (turn, &node) in order.iter().enumerate() {
        layout.place(node, turn as u32 + 1)?;
    }
    let meta = layout.block * BLOCK_BYTES;
    write_inodes(&layout, &order, image, spool, meta)?;
    let end = (meta + layout.end).next_multiple_of(BLOCK_BYTES);
    image.set_len(end)?;
    let block = |bytes: u64| u32::try_from(bytes / BLOCK_BYTES).map_err(too_large);
    let root = u16::try_from(layout.slot(ROOT)).map_err(too_large)?;
    image.write_all_at(
        &superblock(root, order.len() as u64, block(end)?, block(meta)?),
        SUPER_OFFSET,
    )
}

fn too_large(_: std::num::TryFromIntError) -> io::Error {
    io::Error::other("the image is too large")
}

struct Layout<'t> {
    tree: &'t Tree,
    opaque: &'t [u8],
    places: Vec<Place>,
    /// The next free block for directories too large to follow their inode.
    block: u64,
    /// The end of the metadata so far, from its start.
    end: u64,
}

impl Layout<'_> {
    fn slot(&self, node: Number) -> u64 {
        u64::from(self.places[node as usize].slot)
    }

    fn count_links(&mut self, order: &[Number]) {
        self.places[ROOT as usize].links = 1;
        for &node in order {
            let Some(directory) = self.tree.directory(node) else {
                continue;
            };
            // Its own "."; each directory in it adds a "..".
            self.places[node as usize].links += 1;
            for &child in directory.children.values() {
                self.places[child as usize].links += 1;
                self.places[node as usize].links += u32::from(self.tree.node(child).is_directory());
            }
        }
    }

    fn xattrs(&self, node: &'_ Node) -> Vec<u8> {
        let mut xattrs = node.xattrs.to_vec();
        if node.opaque {
            add_xattr(&mut xattrs, self.opaque, b"y");
        }
        xattrs
    }

    fn place(&mut self, number: Number, turn: u32) -> io::Result<()> {
        let node = self.tree.node(number);
        let head = INODE_BYTES + self.xattrs(node).len() as u64;
        let (size, mut tail, mut block) = match &node.body {
            Body::File(extent) if extent.inline => {
                (extent.bytes, extent.bytes % BLOCK_BYTES, extent.block)
            }
            Body::File(extent) => (extent.bytes, 0, extent.block),
            Body::Symlink(target) => (target.len() as u64, target.len() as u64, 0),
            Body::Directory(_) => {
                let size = directory_bytes(self.tree.names(number, |_| 0));
                (size, size % BLOCK_BYTES, 0)
            }
            _ => (0, 0, 0),
        };
        if tail > 0 && head + tail > BLOCK_BYTES {
            // No room behind the inode: only ever a directory or a link, files were asked before.
            tail = 0;
        }
        if !matches!(node.body, Body::File(_)) && size > tail {
            block = u32::try_from(self.block).map_err(too_large)?;
            self.block += (size - tail).div_ceil(BLOCK_BYTES);
        }
        // An inline tail may not cross into the next block.
        let inside = self.end % BLOCK_BYTES;
        if tail > 0 && inside + head + tail > BLOCK_BYTES {
            self.end = self.end.next_multiple_of(BLOCK_BYTES);
        }
        let place = &mut self.places[number as usize];
        place.slot = u32::try_from(self.end / SLOT_BYTES).map_err(too_large)?;
        (place.turn, place.tail, place.block) = (turn, tail as u16, block);
        if node.is_directory() {
            place.directory_bytes = u32::try_from(size).map_err(too_large)?;
        }
        self.end = (self.end + head + tail).next_multiple_of(SLOT_BYTES);
        Ok(())
    }

    fn size(&self, number: Number) -> u64 {
        match &self.tree.node(number).body {
            Body::File(extent) => extent.bytes,
            Body::Symlink(target) => target.len() as u64,
            _ => u64::from(self.places[number as usize].directory_bytes),
        }
    }
}

impl Tree {
    /// A directory's entries sorted by name, `.` and `..` among them.
    fn names<'t>(
        &'t self,
        number: Number,
        slot: impl Fn(Number) -> u64 + Copy + 't,
    ) -> impl Iterator<Item = Dirent<'t>> {
        let dots: [Dirent<'_>; 2] = [
            (b".", slot(number), file_type::DIRECTORY),
            (b"..", slot(self.node(number).parent), file_type::DIRECTORY),
        ];
        let between = |from: Bound<&'static [u8]>, to: Bound<&'static [u8]>| {
            let children = self.directory(number).map(|directory| &directory.children);
            let range = children.map(|children| children.range::<[u8], _>((from, to)));
            range.into_iter().flatten().map(move |(name, &child)| {
                let name: &[u8] = name;
                (name, slot(child), type_of(self.node(child)))
            })
        };
        let (dot, dotdot): (&[u8], &[u8]) = (b".", b"..");
        between(Bound::Unbounded, Bound::Excluded(dot))
            .chain([dots[0]])
            .chain(between(Bound::Included(dot), Bound::Excluded(dotdot)))
            .chain([dots[1]])
            .chain(between(Bound::Included(dotdot), Bound::Unbounded))
    }
}

fn type_of(node: &Node) -> u8 {
    match node.body {
        Body::Directory(_) => file_type::DIRECTORY,
        Body::File(_) => file_type::FILE,
        Body::Symlink(_) => file_type::SYMLINK,
        Body::CharDevice(_) => file_type::CHAR_DEVICE,
        Body::BlockDevice(_) => file_type::BLOCK_DEVICE,
        Body::Fifo => file_type::FIFO,
    }
}

fn mode_of(node: &Node) -> u16 {
    let kind = match node.body {
        Body::Directory(_) => 0o040_000,
        Body::File(_) => 0o100_000,
        Body::Symlink(_) => return 0o120_777,
        Body::CharDevice(_) => 0o020_000,
        Body::BlockDevice(_) => 0o060_000,
        Body::Fifo => 0o010_000,
    };
    kind | node.mode
}

fn write_inodes(
    layout: &Layout<'_>,
    order: &[Number],
    image: &File,
    spool: &File,
    meta: u64,
) -> io::Result<()> {
    let mut piece: Vec<u8> = Vec::with_capacity(2 * PIECE_BYTES);
    let mut start = 0;
    for &number in order {
        let (node, place) = (layout.tree.node(number), layout.places[number as usize]);
        if piece.len() >= PIECE_BYTES {
            image.write_all_at(&piece, meta + start)?;
            start += piece.len() as u64;
            piece.clear();
        }
        piece.resize((layout.slot(number) * SLOT_BYTES - start) as usize, 0);
        let device = match node.body {
            Body::CharDevice(device) | Body::BlockDevice(device) => Some(device),
            _ => None,
        };
        let inode = Inode {
            number: place.turn,
            mode: mode_of(node),
            uid: node.uid,
            gid: node.gid,
            links: place.links,
            mtime: node.mtime,
            size: layout.size(number),
            start: device.unwrap_or(place.block),
            inline_tail: place.tail > 0,
            xattrs: &layout.xattrs(node),
        };
        inode.write(&mut piece);
        write_body(layout, number, place, image, spool, &mut piece)?;
    }
    image.write_all_at(&piece, meta + start)
}

/// Whole blocks to their place in the image, the tail behind the inode.
fn write_body(
    layout: &Layout<'_>,
    number: Number,
    place: Place,
    image: &File,
    spool: &File,
    piece: &mut Vec<u8>,
) -> io::Result<()> {
    let mut offset = u64::from(place.block) * BLOCK_BYTES;
    let tail = usize::from(place.tail);
    match &layout.tree.node(number).body {
        Body::File(extent) if extent.inline => {
            let at = piece.len();
            piece.resize(at + tail, 0);
            spool.read_exact_at(&mut piece[at..], extent.spool_offset)
        }
        Body::Symlink(target) if tail > 0 => {
            piece.extend_from_slice(target);
            Ok(())
        }
        Body::Symlink(target) => image.write_all_at(target, offset),
        Body::Directory(_) => {
            let names = layout.tree.names(number, |child| layout.slot(child));
            directory(names, |block| {
                // Only the last block can be the tail: those before it are full.
                if tail > 0 && block.len() == tail {
                    piece.extend_from_slice(block);
                    return Ok(());
                }
                image.write_all_at(block, offset)?;
                offset += block.len() as u64;
                Ok(())
            })
        }
        _ => Ok(()),
    }
}
