//! Entries to nodes, by the same rules as a directory is filled; file contents straight to the image.

use std::fs::File;
use std::io::BufRead;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::format::{BLOCK_BYTES, add_xattr, device, xattr_class};
use super::image;
use super::tree::{Body, Extent, Node, Number, ROOT, Tree};
use crate::layer::{
    Archive, Entry, Fault, Kind, Limits, Loose, LooseEnds, Marker, Options, OverlayXattrs,
    PendingLink, Target, Unpacked, components, forbidden, marker, opaque_name, split, within,
};

/// The longest tail that may follow an inode.
const INLINE_BYTES: u64 = 2048;

/// What the count of an inode can say, in words of four bytes, but for the mark of an opaque directory.
const XATTRS_BYTES: u64 = 4 * u16::MAX as u64 - 64;

/// Builds the image of one layer.
pub(super) struct Builder {
    image: File,
    spool: File,
    limits: Limits,
    overlay_xattrs: OverlayXattrs,
    devices: bool,
    owners: bool,
    tree: Tree,
    /// The end of the data written so far.
    image_bytes: u64,
    spool_bytes: u64,
    apparent_bytes: u64,
    loose: LooseEnds,
    root_listed: bool,
    opaque_root: bool,
    xattrs_skipped: u64,
    devices_skipped: u64,
}

fn io(operation: &'static str) -> impl FnOnce(std::io::Error) -> Fault {
    move |error| match error.raw_os_error() {
        Some(code) => Fault::System {
            operation,
            path: b"layer.erofs".to_vec(),
            errno: Errno::from_raw_os_error(code),
        },
        None => Fault::Read {
            what: operation,
            error,
        },
    }
}

impl Target for Builder {
    fn add<R: BufRead>(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<(), Fault> {
        self.apparent_bytes = self.apparent_bytes.saturating_add(entry.size);
        self.limits.check_apparent_bytes(self.apparent_bytes)?;
        let Some((above, name)) = split(&entry.path, &self.limits)? else {
            return self.root_entry(entry);
        };
        let parent = self.tree.resolve(&above, true)?.unwrap_or(ROOT);
        match marker(name) {
            Some(marker) => self.mark(parent, &marker),
            None => self.make(parent, name, entry, archive),
        }?;
        self.check_implicit()
    }

    fn held_bytes(&self) -> u64 {
        (self.tree.bytes + self.tree.implicit_bytes + self.loose.bytes()) as u64
    }

    fn finish(mut self) -> Result<Unpacked, Fault> {
        if !self.root_listed {
            self.tree.node_mut(ROOT).mode = 0o755;
        }
        let opaque = opaque_name(self.overlay_xattrs).as_bytes();
        let from = (&self.image, &self.spool);
        image::write(&self.tree, opaque, from, self.image_bytes).map_err(io("write"))?;
        let implicit = self.implicit();
        Ok(Unpacked {
            loose: Loose {
                implicit,
                links: self.loose.finish().links,
            },
            root_listed: self.root_listed,
            opaque_root: self.opaque_root,
            xattrs_skipped: self.xattrs_skipped,
            devices_skipped: self.devices_skipped,
        })
    }
}

impl Builder {
    pub(super) fn new(image: File, spool: File, options: &Options) -> Self {
        Self {
            image,
            spool,
            limits: options.limits.clone(),
            overlay_xattrs: options.overlay_xattrs,
            devices: options.devices,
            owners: options.owners,
            tree: Tree::new(),
            // The first block holds the superblock.
            image_bytes: BLOCK_BYTES,
            spool_bytes: 0,
            apparent_bytes: 0,
            loose: LooseEnds::default(),
            root_listed: false,
            opaque_root: false,
            xattrs_skipped: 0,
            devices_skipped: 0,
        }
    }

    fn check_implicit(&self) -> Result<(), Fault> {
        within(
            "memory for names that lean on lower layers, in bytes",
            self.tree.implicit_bytes as u64,
            self.limits.loose_bytes as u64,
        )
    }

    fn make<R: BufRead>(
        &mut self,
        parent: Number,
        name: &[u8],
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<(), Fault> {
        let body = match &entry.kind {
            Kind::Directory => return self.directory(parent, name, entry),
            Kind::HardLink { target } => return self.hard_link(parent, name, target),
            Kind::CharDevice { major: 0, minor: 0 } => {
                return self.mark(parent, &Marker::Gone(name));
            }
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } if !self.devices => {
                self.devices_skipped += 1;
                return Ok(());
            }
            &Kind::CharDevice { major, minor } => Body::CharDevice(device(major, minor)),
            &Kind::BlockDevice { major, minor } => Body::BlockDevice(device(major, minor)),
            Kind::Symlink { target } => Body::Symlink(target.as_slice().into()),
            Kind::Fifo => Body::Fifo,
            Kind::File => Body::File(self.content(entry, archive)?),
        };
        let mut node = Node::of(body, parent, entry);
        self.dress(&mut node, entry)?;
        self.drop_link(parent, name);
        self.tree.put(parent, name, node);
        Ok(())
    }

    fn directory(&mut self, parent: Number, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let mut node = Node::of(Body::Directory(Box::default()), parent, entry);
        self.dress(&mut node, entry)?;
        self.drop_link(parent, name);
        match self.tree.child(parent, name) {
            Some(number) if self.tree.node(number).is_directory() => {
                node.opaque = self.tree.node(number).opaque;
                self.tree.replace(number, node);
            }
            found => {
                // In the place of anything else: what lower layers have of that name is gone.
                node.opaque = found.is_some();
                self.tree.put(parent, name, node);
            }
        }
        Ok(())
    }

    fn root_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.kind != Kind::Directory {
            return Err(Fault::Name("the root can only be a directory"));
        }
        let mut node = Node::of(Body::Fifo, ROOT, entry);
        self.dress(&mut node, entry)?;
        self.tree.replace(ROOT, node);
        self.root_listed = true;
        Ok(())
    }

    fn hard_link(&mut self, parent: Number, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let Some((above, base)) = split(target, &self.limits)? else {
            return Err(Fault::Name("the root can't be linked to"));
        };
        let directory = self.tree.resolve(&above, false)?;
        let found = directory.and_then(|directory| self.tree.child(directory, base));
        match found.filter(|&number| !self.tree.node(number).is_whiteout()) {
            Some(number) if self.tree.node(number).is_directory() => {
                Err(Fault::Name("a hard link to a directory"))
            }
            Some(number) => {
                self.drop_link(parent, name);
                self.tree.link(parent, name, number);
                Ok(())
            }
            None => {
                self.tree.unlink(parent, name);
                let target = components(target, &self.limits)?.join(&b'/');
                let path = self.tree.path(parent, name);
                let link = PendingLink { path, target };
                self.loose.add_link(link, self.limits.loose_bytes)
            }
        }
    }

    fn mark(&mut self, parent: Number, marker: &Marker<'_>) -> Result<(), Fault> {
        match marker {
            Marker::Ignored => {}
            Marker::Refused => return Err(Fault::Name("it would delete a directory from inside")),
            Marker::Opaque if parent == ROOT => self.opaque_root = true,
            Marker::Opaque => self.tree.node_mut(parent).opaque = true,
            Marker::Gone(name) => match self.tree.child(parent, name) {
                Some(number) if self.tree.node(number).is_directory() => {
                    let node = self.tree.node_mut(number);
                    (node.opaque, node.implicit) = (true, false);
                }
                Some(_) => {}
                None => {
                    let mut node = Node::new(Body::CharDevice(0), parent);
                    node.mode = 0;
                    self.tree.put(parent, name, node);
                }
            },
        }
        Ok(())
    }

    /// Owner and attributes, as far as the caller may give them.
    fn dress(&mut self, node: &mut Node, entry: &Entry) -> Result<(), Fault> {
        if !self.owners {
            (node.uid, node.gid) = (0, 0);
        }
        let mut attributes = Vec::new();
        for (name, value) in &entry.xattrs {
            if forbidden(name) || xattr_class(name).is_none() || value.len() > usize::from(u16::MAX)
            {
                self.xattrs_skipped += 1;
                continue;
            }
            add_xattr(&mut attributes, name, value);
        }
        within(
            "extended attributes of one file in bytes",
            attributes.len() as u64,
            XATTRS_BYTES,
        )?;
        self.tree.charge_xattrs(&attributes);
        node.xattrs = attributes.into();
        Ok(())
    }

    fn drop_link(&mut self, parent: Number, name: &[u8]) {
        if self.loose.has_links() {
            self.loose.drop_link(&self.tree.path(parent, name));
        }
    }

    /// Writes a file's bytes: whole blocks to the image, a short rest to the spool, holes nowhere.
    fn content<R: BufRead>(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<Extent, Fault> {
        let tail = entry.size % BLOCK_BYTES;
        let inline = tail > 0 && tail <= INLINE_BYTES && entry.xattrs.is_empty();
        let whole = if inline {
            entry.size - tail
        } else {
            entry.size
        };
        let extent = Extent {
            bytes: entry.size,
            spool_offset: self.spool_bytes,
            block: (self.image_bytes / BLOCK_BYTES) as u32,
            inline,
        };
        let put = |offset: u64, bytes: &[u8]| {
            let split = usize::try_from(whole.saturating_sub(offset))
                .unwrap_or(bytes.len())
                .min(bytes.len());
            let (blocks, rest) = bytes.split_at(split);
            self.image.write_all_at(blocks, self.image_bytes + offset)?;
            let spooled = (offset + split as u64).saturating_sub(whole);
            self.spool.write_all_at(rest, self.spool_bytes + spooled)
        };
        let all = [crate::layer::Segment {
            offset: 0,
            length: entry.size,
        }];
        for segment in entry.segments.as_deref().unwrap_or(&all) {
            let mut done = 0;
            while done < segment.length {
                let body = archive.body()?;
                let n = usize::try_from(segment.length - done)
                    .map_or(body.len(), |left| left.min(body.len()));
                if n == 0 {
                    return Err(Fault::Truncated("file"));
                }
                put(segment.offset + done, &body[..n]).map_err(io("write"))?;
                archive.consume(n);
                done += n as u64;
            }
        }
        self.image_bytes = (self.image_bytes + whole).next_multiple_of(BLOCK_BYTES);
        self.spool_bytes += if inline { tail } else { 0 };
        within(
            "image size in bytes",
            self.image_bytes,
            u64::from(u32::MAX) * BLOCK_BYTES,
        )?;
        if entry.segments.is_some() {
            // A hole at the end must read as zeros.
            self.spool.set_len(self.spool_bytes).map_err(io("write"))?;
        }
        Ok(extent)
    }

    fn implicit(&self) -> Vec<Vec<u8>> {
        let mut paths = Vec::new();
        for number in self.tree.reachable() {
            let Some(directory) = self.tree.directory(number) else {
                continue;
            };
            let implicit = directory
                .children
                .iter()
                .filter(|&(_, &child)| self.tree.node(child).implicit);
            paths.extend(implicit.map(|(name, _)| self.tree.path(number, name)));
        }
        paths.sort();
        paths
    }
}
