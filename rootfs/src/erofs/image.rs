//! The tree to the image: a place for every inode, then inodes, directories and tails, and the superblock last.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{
    BLOCK_BYTES, INODE_BYTES, Inode, SLOT_BYTES, SUPER_OFFSET, directory, directory_bytes,
    file_type, superblock, xattrs,
};
use super::tree::{Body, Node, ROOT, Tree};

/// Metadata is written in pieces of about this size.
const PIECE_BYTES: usize = 256 << 10;

/// Where an inode goes, relative to the start of the metadata, and what comes with it.
#[derive(Clone, Copy, Default)]
struct Place {
    offset: u64,
    number: u32,
    links: u32,
    size: u64,
    /// Bytes of the body that follow the inode.
    tail: u64,
    /// Image offset of the whole blocks.
    blocks: u64,
}

/// Writes all but the files' contents, which end at `data_end`.
pub(super) fn write(tree: &Tree, image: &File, spool: &File, data_end: u64) -> io::Result<()> {
    let order = tree.reachable();
    let mut layout = Layout {
        tree,
        places: vec![Place::default(); tree.nodes.len()],
        block: data_end,
        end: SLOT_BYTES,
    };
    layout.count_links(&order);
    for (number, &node) in order.iter().enumerate() {
        layout.place(node, number as u32 + 1);
    }
    let meta = layout.block;
    write_inodes(&layout, &order, image, spool, meta)?;
    let end = (meta + layout.end).next_multiple_of(BLOCK_BYTES);
    image.set_len(end)?;
    let too_large = |_| io::Error::other("the image is too large");
    let block = |bytes: u64| u32::try_from(bytes / BLOCK_BYTES).map_err(too_large);
    let root = u16::try_from(layout.slot(ROOT)).map_err(too_large)?;
    image.write_all_at(
        &superblock(root, order.len() as u64, block(end)?, block(meta)?),
        SUPER_OFFSET,
    )
}

struct Layout<'t> {
    tree: &'t Tree,
    places: Vec<Place>,
    /// The next free block for directories too large to follow their inode.
    block: u64,
    /// The end of the metadata so far, from its start.
    end: u64,
}

impl Layout<'_> {
    fn slot(&self, node: usize) -> u64 {
        self.places[node].offset / SLOT_BYTES
    }

    fn count_links(&mut self, order: &[usize]) {
        self.places[ROOT].links = 1;
        for &node in order {
            let Body::Directory(children) = &self.tree.nodes[node].body else {
                continue;
            };
            // Its own "."; each directory in it adds a "..".
            self.places[node].links += 1;
            for &child in children.values() {
                self.places[child].links += 1;
                self.places[node].links += u32::from(self.tree.nodes[child].is_directory());
            }
        }
    }

    fn place(&mut self, number: usize, inode: u32) {
        let node = &self.tree.nodes[number];
        let head = INODE_BYTES + xattrs(&node.xattrs).len() as u64;
        let place = &mut self.places[number];
        (place.size, place.tail, place.blocks) = match &node.body {
            Body::File(extent) => {
                let tail = extent
                    .spool_offset
                    .map_or(0, |_| extent.bytes % BLOCK_BYTES);
                (extent.bytes, tail, extent.image_offset)
            }
            Body::Symlink(target) => (target.len() as u64, target.len() as u64, 0),
            Body::Directory(_) => {
                let size = directory_bytes(&self.tree.names(number, |_| 0));
                (size, size % BLOCK_BYTES, 0)
            }
            _ => (0, 0, 0),
        };
        if place.tail > 0 && head + place.tail > BLOCK_BYTES {
            // No room behind the inode: only ever a directory or a link, files were asked before.
            place.tail = 0;
        }
        if !matches!(node.body, Body::File(_)) && place.size > place.tail {
            place.blocks = self.block;
            self.block += (place.size - place.tail).next_multiple_of(BLOCK_BYTES);
        }
        // An inline tail may not cross into the next block.
        let inside = self.end % BLOCK_BYTES;
        if place.tail > 0 && inside + head + place.tail > BLOCK_BYTES {
            self.end = self.end.next_multiple_of(BLOCK_BYTES);
        }
        (place.offset, place.number) = (self.end, inode);
        self.end = (self.end + head + place.tail).next_multiple_of(SLOT_BYTES);
    }
}

impl Tree {
    /// A directory's entries sorted by name, `.` and `..` among them.
    fn names(&self, number: usize, slot: impl Fn(usize) -> u64) -> Vec<(&[u8], u64, u8)> {
        let node = &self.nodes[number];
        let mut names: Vec<(&[u8], u64, u8)> = vec![
            (b".", slot(number), file_type::DIRECTORY),
            (b"..", slot(node.parent), file_type::DIRECTORY),
        ];
        if let Body::Directory(children) = &node.body {
            for (name, &child) in children {
                names.push((name, slot(child), type_of(&self.nodes[child])));
            }
        }
        names.sort_by_key(|(name, _, _)| *name);
        names
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
    kind | node.mode as u16
}

fn write_inodes(
    layout: &Layout<'_>,
    order: &[usize],
    image: &File,
    spool: &File,
    meta: u64,
) -> io::Result<()> {
    let mut piece: Vec<u8> = Vec::new();
    let mut start = 0;
    for &number in order {
        let (node, place) = (&layout.tree.nodes[number], layout.places[number]);
        if piece.len() >= PIECE_BYTES {
            image.write_all_at(&piece, meta + start)?;
            start += piece.len() as u64;
            piece.clear();
        }
        piece.resize((place.offset - start) as usize, 0);
        let device = match node.body {
            Body::CharDevice(device) | Body::BlockDevice(device) => Some(device),
            _ => None,
        };
        let inode = Inode {
            number: place.number,
            mode: mode_of(node),
            uid: node.uid,
            gid: node.gid,
            links: place.links,
            mtime: node.mtime,
            size: place.size,
            start: device.unwrap_or((place.blocks / BLOCK_BYTES) as u32),
            inline_tail: place.tail > 0,
            xattrs: &xattrs(&node.xattrs),
        };
        inode.write(&mut piece);
        write_body(layout, number, place, image, spool, &mut piece)?;
    }
    image.write_all_at(&piece, meta + start)
}

/// Whole blocks to their place in the image, the tail behind the inode.
fn write_body(
    layout: &Layout<'_>,
    number: usize,
    place: Place,
    image: &File,
    spool: &File,
    piece: &mut Vec<u8>,
) -> io::Result<()> {
    let names;
    let bytes = match &layout.tree.nodes[number].body {
        Body::File(extent) => {
            if let Some(offset) = extent.spool_offset {
                let at = piece.len();
                piece.resize(at + place.tail as usize, 0);
                spool.read_exact_at(&mut piece[at..], offset)?;
            }
            return Ok(());
        }
        Body::Symlink(target) => target,
        Body::Directory(_) => {
            names = directory(&layout.tree.names(number, |child| layout.slot(child)));
            &names
        }
        _ => return Ok(()),
    };
    let (blocks, tail) = bytes.split_at(bytes.len() - place.tail as usize);
    image.write_all_at(blocks, place.blocks)?;
    piece.extend_from_slice(tail);
    Ok(())
}
