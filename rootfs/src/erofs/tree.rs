//! A layer's tree in memory: nodes by number, directories as sorted names. Links are followed inside it only.

use std::collections::{BTreeMap, VecDeque};

use super::image::PLACE_BYTES;
use crate::layer::{Entry, Fault, Timestamp};

const LINKS_FOLLOWED: usize = 40;
const WALK_DEPTH: usize = 512;
/// Nodes are kept in pieces, so that nothing is copied and nothing lies idle while their number grows.
const PIECE_NODES: usize = 1 << 10;
/// What a node costs besides its texts: itself, its place in the image, its turn.
const NODE_BYTES: usize = size_of::<Node>() + PLACE_BYTES + size_of::<Number>();
/// What a name costs besides itself: its slot, in pieces of eleven that may be half empty, and its turn to be written.
const NAME_BYTES: usize = 60;
/// What a directory costs more: itself, and the map's first piece.
const DIRECTORY_BYTES: usize = size_of::<Directory>() + 16 + 250;
/// What a directory that no entry listed costs more, besides its path.
const IMPLICIT_BYTES: usize = 64;

/// A node by its number.
pub(super) type Number = u32;

/// The root's number.
pub(super) const ROOT: Number = 0;

/// What a text of its own costs, whatever the allocator rounds it to.
fn text_bytes(text: &[u8]) -> usize {
    (text.len() + 24).max(32)
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    pub(super) bytes: u64,
    /// Offset in the spool of the last, partial block, when it will follow the inode.
    pub(super) spool_offset: u64,
    /// The image's block where all whole blocks are, or everything.
    pub(super) block: u32,
    /// Whether there is such a last block.
    pub(super) inline: bool,
}

/// What only directories have.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) children: BTreeMap<Box<[u8]>, Number>,
    name: Box<[u8]>,
    /// Bytes of its path, and how deep it lies.
    path_bytes: usize,
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(Box<Directory>),
    File(Extent),
    Symlink(Box<[u8]>),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
}

/// An inode in the making.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mtime: Timestamp,
    /// As they are written.
    pub(super) xattrs: Box<[u8]>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) parent: Number,
    pub(super) mode: u16,
    /// Made because something is in it.
    pub(super) implicit: bool,
    pub(super) opaque: bool,
}

impl Node {
    pub(super) fn new(body: Body, parent: Number) -> Self {
        Self {
            body,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Box::default(),
            parent,
            implicit: false,
            opaque: false,
        }
    }

    pub(super) fn directory(parent: Number) -> Self {
        Self::new(Body::Directory(Box::default()), parent)
    }

    pub(super) fn of(body: Body, parent: Number, entry: &Entry) -> Self {
        Self {
            mode: entry.mode as u16,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            ..Self::new(body, parent)
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory(_))
    }

    /// overlayfs' mark for "gone".
    pub(super) fn is_whiteout(&self) -> bool {
        matches!(self.body, Body::CharDevice(0))
    }
}

/// All nodes. Those no name leads to are left out of the image.
pub(super) struct Tree {
    pieces: Vec<Vec<Node>>,
    /// Memory that all nodes and names ever made have cost.
    pub(super) bytes: usize,
    /// Memory for the paths of directories that no entry listed.
    pub(super) implicit_bytes: usize,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut tree = Self {
            pieces: Vec::new(),
            bytes: 0,
            implicit_bytes: 0,
        };
        tree.push(Node::directory(ROOT));
        tree
    }

    pub(super) fn node(&self, number: Number) -> &Node {
        let at = number as usize;
        &self.pieces[at / PIECE_NODES][at % PIECE_NODES]
    }

    pub(super) fn node_mut(&mut self, number: Number) -> &mut Node {
        let at = number as usize;
        &mut self.pieces[at / PIECE_NODES][at % PIECE_NODES]
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE_NODES;
        full + self.pieces.last().map_or(0, Vec::len)
    }

    fn push(&mut self, node: Node) -> Number {
        let number = self.len();
        if number.is_multiple_of(PIECE_NODES) {
            self.pieces.push(Vec::with_capacity(PIECE_NODES));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(node);
        }
        number as Number
    }

    pub(super) fn directory(&self, number: Number) -> Option<&Directory> {
        match &self.node(number).body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(super) fn child(&self, directory: Number, name: &[u8]) -> Option<Number> {
        self.directory(directory)?.children.get(name).copied()
    }

    /// Puts a new node at a name; what was there is forgotten.
    pub(super) fn put(&mut self, directory: Number, name: &[u8], mut node: Node) -> Number {
        self.bytes += NODE_BYTES;
        match &mut node.body {
            Body::Symlink(target) => self.bytes += text_bytes(target),
            Body::Directory(new) => {
                let above = self.directory(directory);
                let (path_bytes, depth) =
                    above.map_or((0, 0), |above| (above.path_bytes, above.depth));
                new.name = name.into();
                (new.path_bytes, new.depth) = (path_bytes + 1 + name.len(), depth + 1);
                if node.implicit {
                    self.implicit_bytes += new.path_bytes + IMPLICIT_BYTES;
                }
                self.bytes += DIRECTORY_BYTES + text_bytes(name);
            }
            _ => {}
        }
        let number = self.push(node);
        self.link(directory, name, number);
        number
    }

    /// Charges for the attributes of a node.
    pub(super) fn charge_xattrs(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes += text_bytes(bytes);
        }
    }

    /// Gives a node a name.
    pub(super) fn link(&mut self, directory: Number, name: &[u8], number: Number) {
        self.bytes += NAME_BYTES + text_bytes(name);
        if let Body::Directory(directory) = &mut self.node_mut(directory).body {
            directory.children.insert(name.into(), number);
        }
    }

    /// Puts another directory in the place of one, with all it holds.
    pub(super) fn replace(&mut self, number: Number, mut node: Node) {
        let old = self.node_mut(number);
        node.body = std::mem::replace(&mut old.body, Body::Fifo);
        *old = node;
    }

    /// The path of a name in a directory.
    pub(super) fn path(&self, directory: Number, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        let mut here = directory;
        while let Some(directory) = self.directory(here).filter(|_| here != ROOT) {
            parts.push(&directory.name);
            here = self.node(here).parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }

    /// Takes a name away.
    pub(super) fn unlink(&mut self, directory: Number, name: &[u8]) {
        if let Body::Directory(directory) = &mut self.node_mut(directory).body {
            directory.children.remove(name);
        }
    }

    /// The directory `path`, links followed; made if need be when `make` is set, else nothing where it isn't there.
    pub(super) fn resolve(&mut self, path: &[u8], make: bool) -> Result<Option<Number>, Fault> {
        let mut ahead: VecDeque<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let (mut here, mut links, mut depth) = (ROOT, 0, 0);
        while let Some(part) = ahead.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = self.node(here).parent;
                    continue;
                }
                _ => {}
            }
            depth += 1;
            let above = self.directory(here).map_or(0, |directory| directory.depth);
            if depth > WALK_DEPTH * LINKS_FOLLOWED || above >= WALK_DEPTH {
                return Err(Fault::Name("it leads through too many directories"));
            }
            let found = self.child(here, &part);
            match found.map(|number| &self.node(number).body) {
                Some(Body::Directory(_)) => here = found.unwrap_or(ROOT),
                Some(Body::Symlink(target)) => {
                    links += 1;
                    if links > LINKS_FOLLOWED {
                        return Err(Fault::Name("a loop of symbolic links"));
                    }
                    let target = target.clone();
                    if target.starts_with(b"/") {
                        here = ROOT;
                    }
                    target
                        .rsplit(|&b| b == b'/')
                        .for_each(|part| ahead.push_front(part.to_vec()));
                }
                Some(Body::CharDevice(0)) | None if !make => return Ok(None),
                Some(Body::CharDevice(0)) => {
                    // What is deleted below and made anew here owes nothing to the layers below.
                    let mut node = Node::directory(here);
                    node.opaque = true;
                    here = self.put(here, &part, node);
                }
                None => {
                    let mut node = Node::directory(here);
                    node.implicit = true;
                    here = self.put(here, &part, node);
                }
                Some(_) if make => return Err(Fault::Name("a parent in it is no directory")),
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// Every node some name leads to, parents first.
    pub(super) fn reachable(&self) -> Vec<Number> {
        let mut seen = vec![false; self.len()];
        let mut order = Vec::with_capacity(self.len());
        order.push(ROOT);
        seen[ROOT as usize] = true;
        let mut at = 0;
        while at < order.len() {
            if let Some(directory) = self.directory(order[at]) {
                for &child in directory.children.values() {
                    if !std::mem::replace(&mut seen[child as usize], true) {
                        order.push(child);
                    }
                }
            }
            at += 1;
        }
        order
    }
}
