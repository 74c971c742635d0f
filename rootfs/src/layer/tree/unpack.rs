//! Entries to inodes: what each kind of entry does to the tree, in the order of the archive.
//!
//! A later entry replaces an earlier one of its name. Whiteouts speak of lower layers only, wherever they stand.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Mode, Timespec, fstat, linkat, makedev, mknodat, statat, symlinkat,
};
use rustix::io::Errno;

use super::dirs::{Directories, Directory};
use super::loose::{Loose, LooseEnds, PendingLink};
use super::metadata::{Metadata, clear_xattrs, has_default_acl, remove_inherited_acl, set_times};
use super::name::{components, split};
use super::node::{
    Implicit, create_directory, create_file, is_directory, make_whiteout, open_directory,
    set_opaque, write_body,
};
use super::remove::remove_tree;
use super::resolve::{Refuse, Root, join};
use super::whiteout::{Marker, OverlayXattrs, is_whiteout, marker};
use crate::layer::archive::{Archive, Entry, Kind};
use crate::layer::error::Fault;
use crate::layer::limits::Limits;
use crate::layer::{Options, Target};

/// What became of the entries, for the caller.
pub(crate) struct Unpacked {
    pub(crate) loose: Loose,
    pub(crate) root_listed: bool,
    pub(crate) opaque_root: bool,
    pub(crate) xattrs_skipped: u64,
    pub(crate) devices_skipped: u64,
}

/// Builds one layer's tree.
pub(crate) struct Unpacker<'l> {
    root: Root,
    limits: &'l Limits,
    xattrs: OverlayXattrs,
    devices: bool,
    metadata: Metadata,
    dirs: Directories,
    loose: LooseEnds,
    apparent_bytes: u64,
    root_listed: bool,
    opaque_root: bool,
    devices_skipped: u64,
}

/// The open directory an entry goes into.
#[derive(Clone)]
struct Parent {
    fd: Rc<OwnedFd>,
    inode: u64,
    gid: u32,
    default_acl: bool,
}

impl Parent {
    fn of(dir: &mut Directory) -> Self {
        Self {
            fd: dir.fd.clone(),
            inode: dir.inode,
            gid: dir.gid,
            default_acl: dir.default_acl,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where an entry goes: the name of its parent, the parent itself, and the last component.
struct Place<'e> {
    above: Vec<u8>,
    parent: Parent,
    name: &'e [u8],
}

impl Target for Unpacker<'_> {
    fn add<R: BufRead>(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<(), Fault> {
        self.apparent_bytes = self.apparent_bytes.saturating_add(entry.size);
        self.limits.check_apparent_bytes(self.apparent_bytes)?;
        let Some((above, name)) = split(&entry.path, self.limits)? else {
            return self.root_entry(entry);
        };
        let parent = self.parent(&above, &entry.path)?;
        let at = Place {
            above,
            parent,
            name,
        };
        match marker(name) {
            Some(marker) => self.mark(&at, &marker, entry),
            None => self.make(&at, entry, archive),
        }
    }

    fn held_bytes(&self) -> u64 {
        self.loose.bytes() as u64
    }

    /// Lets all handles go, with the right times, and tells what is left to do.
    fn finish(mut self) -> Result<Unpacked, Fault> {
        self.dirs
            .close()
            .map_err(Fault::system("set times", b"a directory"))?;
        if !self.root_listed {
            let unlisted = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            set_times(&self.root, unlisted).map_err(Fault::system("set times", b"."))?;
        }
        Ok(Unpacked {
            loose: self.loose.finish(),
            root_listed: self.root_listed,
            opaque_root: self.opaque_root,
            xattrs_skipped: self.metadata.xattrs_skipped,
            devices_skipped: self.devices_skipped,
        })
    }
}

impl<'l> Unpacker<'l> {
    pub(crate) fn new(root: Root, options: &'l Options) -> Self {
        Self {
            root,
            limits: &options.limits,
            xattrs: options.overlay_xattrs,
            devices: options.devices,
            metadata: Metadata::new(options.owners),
            dirs: Directories::default(),
            loose: LooseEnds::default(),
            apparent_bytes: 0,
            root_listed: false,
            opaque_root: false,
            devices_skipped: 0,
        }
    }

    fn make<R: BufRead>(
        &mut self,
        at: &Place<'_>,
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<(), Fault> {
        match &entry.kind {
            Kind::File => self.file(at, entry, archive),
            Kind::Directory => self.directory(at, entry),
            Kind::Symlink { target } => {
                self.place(at, entry, "symlink", |fd| {
                    symlinkat(target.as_slice(), fd, at.name)
                })?;
                self.metadata.apply_at(at.parent.fd(), at.name, entry, true)
            }
            Kind::HardLink { target } => self.hard_link(at, entry, target),
            // overlayfs would read this device as a whiteout, and so do we.
            Kind::CharDevice { major: 0, minor: 0 } => self.mark(at, &Marker::Gone(at.name), entry),
            &Kind::CharDevice { major, minor } => {
                self.node(at, entry, FileType::CharacterDevice, (major, minor))
            }
            &Kind::BlockDevice { major, minor } => {
                self.node(at, entry, FileType::BlockDevice, (major, minor))
            }
            Kind::Fifo => self.node(at, entry, FileType::Fifo, (0, 0)),
        }
    }

    fn file<R: BufRead>(
        &mut self,
        at: &Place<'_>,
        entry: &Entry,
        archive: &mut Archive<'_, R>,
    ) -> Result<(), Fault> {
        // Two calls less for each of most files.
        let is_born_right = !at.parent.default_acl && self.metadata.is_born(entry, at.parent.gid);
        let mode = is_born_right.then_some(entry.mode);
        let file = self.place(at, entry, "create", |fd| create_file(fd, at.name, mode))?;
        write_body(file.as_fd(), entry, archive)?;
        match is_born_right {
            true => self.metadata.apply_xattrs(file.as_fd(), entry)?,
            false => self.metadata.apply(file.as_fd(), entry)?,
        }
        set_times(&file, entry.mtime.into()).map_err(Fault::system("set times", &entry.path))
    }

    fn directory(&mut self, at: &Place<'_>, entry: &Entry) -> Result<(), Fault> {
        let failed = |operation| Fault::system(operation, &entry.path);
        let dir = match create_directory(at.parent.fd(), at.name) {
            Ok(dir) => {
                self.made(at).map_err(failed("mkdir"))?;
                dir
            }
            Err(Errno::EXIST) => self.reuse_directory(at, entry)?,
            Err(errno) => return Err(failed("mkdir")(errno)),
        };
        self.metadata.apply(dir.as_fd(), entry)?;
        let default_acl = !entry.xattrs.is_empty() && has_default_acl(&dir);
        let open = self
            .dirs
            .insert(&join(&at.above, at.name), Rc::new(dir))
            .map_err(failed("open"))?;
        open.default_acl = default_acl;
        open.set_mtime(entry.mtime);
        self.loose.settle_directory(open.inode);
        Ok(())
    }

    /// A directory stays with what is in it. Anything else makes room, and then what lower layers have there is gone too.
    fn reuse_directory(&mut self, at: &Place<'_>, entry: &Entry) -> Result<OwnedFd, Fault> {
        let failed = |operation| Fault::system(operation, &entry.path);
        let stat =
            statat(at.parent.fd(), at.name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("stat"))?;
        if is_directory(stat.st_mode) {
            let dir = open_directory(at.parent.fd(), at.name).map_err(failed("open"))?;
            clear_xattrs(dir.as_fd()).map_err(failed("clear extended attributes"))?;
            return Ok(dir);
        }
        let dir = self.place(at, entry, "mkdir", |fd| create_directory(fd, at.name))?;
        set_opaque(dir.as_fd(), self.xattrs).map_err(failed("set opaque"))?;
        Ok(dir)
    }

    fn root_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        // CVE-2021-29136: an archive may not make the root itself anything but what it is.
        if entry.kind != Kind::Directory {
            return Err(Fault::Name("the root can only be a directory"));
        }
        let parent = self.parent(b"", &entry.path)?;
        self.metadata.apply(parent.fd(), entry)?;
        let default_acl = has_default_acl(&*parent.fd);
        let gid = fstat(&*parent.fd)
            .map_err(Fault::system("stat", b"."))?
            .st_gid;
        if let Some(open) = self.dirs.get(b"") {
            open.default_acl = default_acl;
            open.gid = gid;
            open.set_mtime(entry.mtime);
        }
        self.root_listed = true;
        Ok(())
    }

    fn hard_link(&mut self, at: &Place<'_>, entry: &Entry, target: &[u8]) -> Result<(), Fault> {
        let Some((above, name)) = split(target, self.limits)? else {
            return Err(Fault::Name("the root can't be linked to"));
        };
        let Some(parent) = self.existing(&above, &entry.path)? else {
            return self.pending_link(at, entry, target);
        };
        match statat(parent.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_directory(stat.st_mode) => {
                Err(Fault::Name("a hard link to a directory"))
            }
            Ok(stat) if is_whiteout(&stat) => self.pending_link(at, entry, target),
            Ok(_) if parent.inode == at.parent.inode && name == at.name => Ok(()),
            Ok(_) => self.place(at, entry, "link", |fd| {
                linkat(parent.fd(), name, fd, at.name, AtFlags::empty())
            }),
            Err(Errno::NOENT) => self.pending_link(at, entry, target),
            Err(errno) => Err(Fault::system("stat", target)(errno)),
        }
    }

    /// The target can only be in a lower layer: what stands at the name goes, and the link is left for later.
    fn pending_link(&mut self, at: &Place<'_>, entry: &Entry, target: &[u8]) -> Result<(), Fault> {
        self.clear(at, entry)?;
        let path = self.settled_path(at, entry)?;
        // Parents are checked like a name: nothing later resolves "..".
        let target = components(target, self.limits)?.join(&b'/');
        self.loose
            .add_link(PendingLink { path, target }, self.limits.loose_bytes)
    }

    fn node(
        &mut self,
        at: &Place<'_>,
        entry: &Entry,
        kind: FileType,
        device: (u32, u32),
    ) -> Result<(), Fault> {
        if kind != FileType::Fifo && !self.devices {
            self.devices_skipped += 1;
            return Ok(());
        }
        let number = makedev(device.0, device.1);
        self.place(at, entry, "mknod", |fd| {
            mknodat(fd, at.name, kind, Mode::RUSR | Mode::WUSR, number)
        })?;
        self.metadata
            .apply_at(at.parent.fd(), at.name, entry, false)
    }

    fn mark(&mut self, at: &Place<'_>, marker: &Marker<'_>, entry: &Entry) -> Result<(), Fault> {
        match marker {
            Marker::Ignored => Ok(()),
            Marker::Refused => Err(Fault::Name("it would delete a directory from inside")),
            Marker::Opaque
                if fstat(&self.root).is_ok_and(|root| root.st_ino == at.parent.inode) =>
            {
                // overlayfs never asks whether a layer's own root is opaque; whoever stacks the layers must.
                self.opaque_root = true;
                Ok(())
            }
            Marker::Opaque => set_opaque(at.parent.fd(), self.xattrs)
                .map_err(Fault::system("set opaque", &entry.path)),
            Marker::Gone(name) => self
                .white_out(at.parent.fd(), name)
                .map_err(Fault::system("whiteout", &entry.path)),
        }
    }

    fn white_out(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_directory(stat.st_mode) => {
                self.loose.settle_directory(stat.st_ino);
                set_opaque(open_directory(parent, name)?.as_fd(), self.xattrs)
            }
            // This layer's own file hides the lower one, whatever that was.
            Ok(_) => Ok(()),
            Err(Errno::NOENT) => make_whiteout(parent, name),
            Err(errno) => Err(errno),
        }
    }

    /// Makes something new at a name; what was there before goes first.
    fn place<T>(
        &mut self,
        at: &Place<'_>,
        entry: &Entry,
        operation: &'static str,
        make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Fault> {
        let made = match make(at.parent.fd()) {
            Err(Errno::EXIST) => {
                self.clear(at, entry)?;
                make(at.parent.fd())
            }
            done => done,
        };
        let made = made.map_err(Fault::system(operation, &entry.path))?;
        self.made(at)
            .map_err(Fault::system(operation, &entry.path))?;
        Ok(made)
    }

    /// What every new inode needs: no inherited access list, and no pending link of its name.
    fn made(&mut self, at: &Place<'_>) -> Result<(), Errno> {
        if self.loose.has_links() {
            let found = self.root.walk(&at.above, &mut Refuse)?;
            self.loose.drop_link(&join(&found.path, at.name));
        }
        if at.parent.default_acl {
            remove_inherited_acl(at.parent.fd(), at.name)?;
        }
        Ok(())
    }

    /// Removes what stands at a name. Open handles may have been reached through it: all are let go.
    fn clear(&mut self, at: &Place<'_>, entry: &Entry) -> Result<(), Fault> {
        let failed = |operation| Fault::system(operation, &entry.path);
        let loose = &mut self.loose;
        match remove_tree(at.parent.fd(), at.name, &mut |inode| {
            loose.settle_directory(inode)
        }) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("replace")(errno)),
        }
        self.dirs
            .close()
            .map_err(failed("set times of the directories open at"))?;
        // Without a name: only so that the parent gets its time back after what is made next.
        self.dirs
            .keep(at.parent.fd.clone())
            .map_err(failed("open the parent of"))
    }

    /// The directory `path`, made if need be.
    fn parent(&mut self, path: &[u8], entry: &[u8]) -> Result<Parent, Fault> {
        match self.existing(path, entry)? {
            Some(parent) => Ok(parent),
            None => {
                let mut implicit = Implicit {
                    loose: &mut self.loose,
                    xattrs: self.xattrs,
                    owners: self.metadata.owners,
                    limit: self.limits.loose_bytes,
                    fault: None,
                };
                let made = self.root.walk(path, &mut implicit);
                if let Some(fault) = implicit.fault {
                    return Err(fault);
                }
                let found = made.map_err(Fault::system("make the parent of", entry))?;
                self.open(path, found.fd, entry)
            }
        }
    }

    /// The directory `path`, if this layer has it.
    fn existing(&mut self, path: &[u8], entry: &[u8]) -> Result<Option<Parent>, Fault> {
        if let Some(dir) = self.dirs.get(path) {
            return Ok(Some(Parent::of(dir)));
        }
        match self.root.open(path) {
            Ok(fd) => self.open(path, fd, entry).map(Some),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Fault::system("open the parent of", entry)(errno)),
        }
    }

    fn open(&mut self, path: &[u8], fd: OwnedFd, entry: &[u8]) -> Result<Parent, Fault> {
        let dir = self
            .dirs
            .insert(path, Rc::new(fd))
            .map_err(Fault::system("open the parent of", entry))?;
        Ok(Parent::of(dir))
    }

    /// The path of a place with all links resolved.
    fn settled_path(&self, at: &Place<'_>, entry: &Entry) -> Result<Vec<u8>, Fault> {
        let found = self
            .root
            .walk(&at.above, &mut Refuse)
            .map_err(Fault::system("resolve the parent of", &entry.path))?;
        Ok(join(&found.path, at.name))
    }
}
