//! A layer's tree in memory: nodes by number, directories as sorted names. Links are followed inside it only.

use std::collections::{BTreeMap, VecDeque};

use crate::layer::{Entry, Fault, Timestamp, Xattr};

const LINKS_FOLLOWED: usize = 40;
const WALK_DEPTH: usize = 512;
/// What a node costs besides its texts: itself, its place in the image, its slot in a directory.
const NODE_BYTES: usize = size_of::<Node>() + 128;
/// What a directory costs more: the map's first piece.
const DIRECTORY_BYTES: usize = 400;

/// The root's number.
pub(super) const ROOT: usize = 0;

/// Where the bytes of a file are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extent {
    pub(super) bytes: u64,
    /// Offset in the image of all whole blocks, or of everything.
    pub(super) image_offset: u64,
    /// Offset in the spool of the last, partial block, when it will follow the inode.
    pub(super) spool_offset: Option<u64>,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(BTreeMap<Vec<u8>, usize>),
    File(Extent),
    Symlink(Vec<u8>),
    CharDevice(u32),
    BlockDevice(u32),
    Fifo,
}

/// An inode in the making.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) parent: usize,
    /// Made because something is in it.
    pub(super) implicit: bool,
    pub(super) opaque: bool,
    /// Of a directory, which has one only.
    name: Vec<u8>,
    /// Of a directory: bytes of its path, and how deep it lies.
    path_bytes: usize,
    depth: usize,
}

impl Node {
    pub(super) fn new(body: Body, parent: usize) -> Self {
        Self {
            body,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Vec::new(),
            parent,
            implicit: false,
            opaque: false,
            name: Vec::new(),
            path_bytes: 0,
            depth: 0,
        }
    }

    pub(super) fn of(body: Body, parent: usize, entry: &Entry) -> Self {
        Self {
            mode: entry.mode,
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
    pub(super) nodes: Vec<Node>,
    /// Memory that all nodes and names ever made have cost.
    pub(super) bytes: usize,
    /// Memory for the paths of directories that no entry listed.
    pub(super) implicit_bytes: usize,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node::new(Body::Directory(BTreeMap::new()), ROOT);
        Self {
            nodes: vec![root],
            bytes: 0,
            implicit_bytes: 0,
        }
    }

    pub(super) fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[directory].body {
            Body::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    /// Puts a new node at a name; what was there is forgotten.
    pub(super) fn put(&mut self, directory: usize, name: &[u8], mut node: Node) -> usize {
        let number = self.nodes.len();
        self.bytes += NODE_BYTES;
        match &node.body {
            Body::Symlink(target) => self.bytes += target.len(),
            Body::Directory(_) => {
                let above = &self.nodes[directory];
                node.name = name.to_vec();
                node.path_bytes = above.path_bytes + 1 + name.len();
                node.depth = above.depth + 1;
                self.bytes += DIRECTORY_BYTES + name.len();
            }
            _ => {}
        }
        if node.implicit {
            self.implicit_bytes += node.path_bytes + 64;
        }
        self.nodes.push(node);
        self.link(directory, name, number);
        number
    }

    /// Gives a node a name.
    pub(super) fn link(&mut self, directory: usize, name: &[u8], number: usize) {
        self.bytes += name.len() + 64;
        if let Body::Directory(children) = &mut self.nodes[directory].body {
            children.insert(name.to_vec(), number);
        }
    }

    /// Puts another directory in the place of one, with all it holds.
    pub(super) fn replace(&mut self, number: usize, mut node: Node) {
        let old = &mut self.nodes[number];
        node.body = std::mem::replace(&mut old.body, Body::Fifo);
        node.name = std::mem::take(&mut old.name);
        (node.path_bytes, node.depth) = (old.path_bytes, old.depth);
        *old = node;
    }

    /// The path of a name in a directory.
    pub(super) fn path(&self, directory: usize, name: &[u8]) -> Vec<u8> {
        let mut parts = vec![name];
        let mut here = directory;
        while here != ROOT {
            parts.push(&self.nodes[here].name);
            here = self.nodes[here].parent;
        }
        parts.reverse();
        parts.join(&b'/')
    }

    /// Takes a name away.
    pub(super) fn unlink(&mut self, directory: usize, name: &[u8]) {
        if let Body::Directory(children) = &mut self.nodes[directory].body {
            children.remove(name);
        }
    }

    /// The directory `path`, links followed; made if need be when `make` is set, else nothing where it isn't there.
    pub(super) fn resolve(&mut self, path: &[u8], make: bool) -> Result<Option<usize>, Fault> {
        let mut ahead: VecDeque<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let (mut here, mut links, mut depth) = (ROOT, 0, 0);
        while let Some(part) = ahead.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = self.nodes[here].parent;
                    continue;
                }
                _ => {}
            }
            depth += 1;
            if depth > WALK_DEPTH * LINKS_FOLLOWED || self.nodes[here].depth >= WALK_DEPTH {
                return Err(Fault::Name("it leads through too many directories"));
            }
            let found = self.child(here, &part);
            match found.map(|number| &self.nodes[number].body) {
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
                    let mut node = Node::new(Body::Directory(BTreeMap::new()), here);
                    node.opaque = true;
                    here = self.put(here, &part, node);
                }
                None => {
                    let mut node = Node::new(Body::Directory(BTreeMap::new()), here);
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
    pub(super) fn reachable(&self) -> Vec<usize> {
        let mut seen = vec![false; self.nodes.len()];
        let mut order = vec![ROOT];
        seen[ROOT] = true;
        let mut at = 0;
        while at < order.len() {
            if let Body::Directory(children) = &self.nodes[order[at]].body {
                for &child in children.values() {
                    if !std::mem::replace(&mut seen[child], true) {
                        order.push(child);
                    }
                }
            }
            at += 1;
        }
        order
    }
}
