//! Seams: what a layer says only in terms of the layers below it, made as one more small layer on top of it.
//!
//! Three things need one. A directory that the layer uses without listing it keeps the looks it has below. Where it is a
//! link below, what the layer puts in it goes where the link leads. A hard link to a file of a lower layer is made by
//! linking that very inode: no copy, and both names are one file. The layer itself stays as it is, shared by all chains.
//! Of a layer that is an image nothing can be linked: there the seam gets a copy under all the inode's names.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci::DiffId;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, fstat, linkat, mkdirat, openat,
    statat, utimensat,
};
use rustix::io::Errno;

use super::copy::copy_inode;
use super::error::{Result, SnapshotError};
use super::lower::Lower;
use super::merged::{Merged, Node, is_link, is_opaque};
use crate::layer::{Fault, LayerError, Loose, PendingLink, copy_metadata};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

/// Ties the loose ends of the layer in `layer` to `below` (the topmost first), into the empty directory `seam`.
pub(super) fn tie(
    id: &DiffId,
    loose: &Loose,
    layer: &Lower,
    below: &[Lower],
    seam: &Path,
) -> Result<()> {
    let mut all = vec![Lower::Directory(seam.to_owned()), layer.clone()];
    all.extend_from_slice(below);
    let open = || -> std::result::Result<Seam<'_>, Errno> {
        Ok(Seam {
            below: Merged::open(below)?,
            all: Merged::open(&all)?,
            layer: layer.open()?,
            root: open_root(seam)?,
            implicit: loose.implicit.iter().map(Vec::as_slice).collect(),
            moved: BTreeMap::new(),
            made: Vec::new(),
            copies: HashMap::new(),
            held_bytes: 0,
        })
    };
    let mut seam = open().map_err(failed(id, b".", "open the layers around"))?;
    match tie_with(&mut seam, id, loose, &all) {
        Err(_) if seam.held_bytes > MOST_HELD_BYTES => {
            let fault = Fault::Limit {
                what: "memory for what is tied to the layers below in bytes",
                actual: seam.held_bytes as u64,
                limit: MOST_HELD_BYTES as u64,
            };
            Err(LayerError::new(&id.to_string(), None, fault).into())
        }
        tied => tied,
    }
}

/// The work of [`tie`] once all layers are open; `all` of them are the seam, its layer and those below.
fn tie_with(seam: &mut Seam<'_>, id: &DiffId, loose: &Loose, all: &[Lower]) -> Result<()> {
    for path in &loose.implicit {
        seam.settle(path)
            .map_err(failed(id, path, "tie to the layers below"))?;
    }
    for link in &loose.links {
        if !seam
            .link(link)
            .map_err(failed(id, &link.path, "link to a file of a layer below"))?
        {
            let fault = Fault::LinkTarget(link.target.clone());
            return Err(LayerError::new(&id.to_string(), Some(link.path.clone()), fault).into());
        }
    }
    seam.link_other_names(all)
        .map_err(failed(id, b".", "link to a file of a layer below"))?;
    seam.restore_times().map_err(failed(id, b".", "set times"))
}

/// What an errno means for the layer `id`.
fn failed(
    id: &DiffId,
    path: &[u8],
    operation: &'static str,
) -> impl FnOnce(Errno) -> SnapshotError {
    let (label, path) = (id.to_string(), path.to_vec());
    move |errno| {
        let fault = Fault::System {
            operation,
            path: path.clone(),
            errno,
        };
        LayerError::new(&label, Some(path), fault).into()
    }
}

struct Seam<'l> {
    below: Merged,
    /// The seam, the layer and all below.
    all: Merged,
    layer: OwnedFd,
    root: OwnedFd,
    implicit: HashSet<&'l [u8]>,
    /// Directories of the layer that are links below, and where those lead.
    moved: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Directories of the seam and the times they shall have.
    made: Vec<(Vec<u8>, Timestamps)>,
    /// Inodes of images that the seam has copies of, and the first name of each.
    copies: HashMap<Inode, Vec<u8>>,
    /// What these lists hold.
    held_bytes: usize,
}

/// Device and number.
type Inode = (u64, u64);

type Done<T> = std::result::Result<T, Errno>;

/// A seam that would need more memory than this is refused: what is tied is rare in real layers.
const MOST_HELD_BYTES: usize = 24 << 20;

/// What a path in a list costs beside its bytes.
const PATH_BYTES: usize = 96;

impl Seam<'_> {
    /// Notes a path that one of the lists gets. The errno that says "too much" becomes [`Fault::Limit`] in [`tie`].
    fn hold(&mut self, path: &[u8]) -> Done<Vec<u8>> {
        self.held_bytes += path.len() + PATH_BYTES;
        match self.held_bytes > MOST_HELD_BYTES {
            true => Err(Errno::NOMEM),
            false => Ok(path.to_vec()),
        }
    }

    /// An implicit directory: what is it below?
    fn settle(&mut self, path: &[u8]) -> Done<()> {
        if self.is_moved(path) || self.is_hidden(path)? {
            return Ok(());
        }
        match self.below.find(path)? {
            None => Ok(()),
            Some(Node::Directory(parts)) => self.directory(path, Some(&parts[0])).map(drop),
            Some(Node::Other { dir, name, stat }) if is_link(&stat) => {
                let target = self.below.resolve(path)?.ok_or(Errno::NOTDIR)?;
                self.place(&dir, &name, path)?;
                let moved = self.hold(path)?;
                self.moved.insert(moved, target.clone());
                self.graft(path, &target)
            }
            Some(Node::Other { .. }) => Err(Errno::NOTDIR),
        }
    }

    /// Puts what the layer has in directory `from` into `to` as well.
    fn graft(&mut self, from: &[u8], to: &[u8]) -> Done<()> {
        let source = open_below(&self.layer, from)?;
        let mut hides = is_opaque(&source);
        let below = match (self.below.find(to)?, self.implicit.contains(from)) {
            (Some(Node::Directory(mut parts)), true) => parts.drain(..).next(),
            (Some(Node::Other { stat, .. }), true) if is_link(&stat) => {
                let target = self.below.resolve(to)?.ok_or(Errno::NOTDIR)?;
                let moved = self.hold(from)?;
                self.moved.insert(moved, target.clone());
                return self.graft(from, &target);
            }
            (Some(Node::Other { .. }), true) => return Err(Errno::NOTDIR),
            (found, _) => {
                hides |= matches!(found, Some(Node::Other { .. }));
                None
            }
        };
        let target = self.directory(to, Some(below.as_ref().unwrap_or(&source)))?;
        if hides {
            copy_opaque(&source, &target)?;
        }
        for entry in Dir::read_from(&source)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let stat = statat(&source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.graft(&join(from, name), &join(to, name))?;
            } else {
                self.place(&source, name, &join(to, name))?;
            }
        }
        Ok(())
    }

    /// Makes a link to what the layer, or one below it, has as the target. False when none has.
    fn link(&mut self, link: &PendingLink) -> Done<bool> {
        let path = self.moved_path(&link.path);
        let visible = match self.all.find(&link.target)? {
            // Deleted by this very layer: then the one below is meant.
            None => self.below.find(&link.target)?,
            found => found,
        };
        let Some(Node::Other { dir, name, .. }) = visible else {
            return Ok(false);
        };
        self.place(&dir, &name, &path)?;
        Ok(true)
    }

    /// Gives the inode that is `name` in `from` the name `path` in the seam.
    fn place(&mut self, from: &OwnedFd, name: &[u8], path: &[u8]) -> Done<()> {
        let (parent, base) = self.parent(path)?;
        match linkat(from, name, &parent, base, AtFlags::empty()) {
            Err(Errno::XDEV) => {}
            linked => return linked,
        }
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.copies.get(&inode).cloned() {
            let (dir, first) = self.parent(&first)?;
            return linkat(&dir, first, &parent, base, AtFlags::empty());
        }
        copy_inode((from.as_fd(), name), &stat, (parent.as_fd(), base))?;
        let first = self.hold(path)?;
        self.copies.insert(inode, first);
        Ok(())
    }

    /// A copy hides nothing but its own names: wherever else its inode shows, the copy must show.
    fn link_other_names(&mut self, layers: &[Lower]) -> Done<()> {
        if self.copies.is_empty() {
            return Ok(());
        }
        let numbers: HashSet<u64> = self.copies.keys().map(|(_, number)| *number).collect();
        for layer in layers.iter().filter(|layer| layer.mount().is_some()) {
            let mut names = Vec::new();
            self.names_of(&layer.open()?, b"", &numbers, &mut names)?;
            for path in names {
                let Some(Node::Other { dir, name, stat }) = self.all.find(&path)? else {
                    continue;
                };
                if self.copies.contains_key(&(stat.st_dev, stat.st_ino)) {
                    self.place(&dir, &name, &path)?;
                }
            }
        }
        Ok(())
    }

    /// The names in an image that these inodes have.
    fn names_of(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        numbers: &HashSet<u64>,
        names: &mut Vec<Vec<u8>>,
    ) -> Done<()> {
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let below = join(path, name);
            if entry.file_type() == FileType::Directory {
                let inside = openat(dir, name, DIRECTORY, Mode::empty())?;
                self.names_of(&inside, &below, numbers, names)?;
            } else if numbers.contains(&entry.ino()) {
                names.push(self.hold(&below)?);
            }
        }
        Ok(())
    }

    /// The seam's directory for the parent of `path`, and the last component.
    fn parent<'p>(&mut self, path: &'p [u8]) -> Done<(OwnedFd, &'p [u8])> {
        match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => Ok((self.directory(&path[..slash], None)?, &path[slash + 1..])),
            None => Ok((openat(&self.root, ".", DIRECTORY, Mode::empty())?, path)),
        }
    }

    /// The seam's directory `path`, looking like `like`, else like it looks without the seam.
    fn directory(&mut self, path: &[u8], like: Option<&OwnedFd>) -> Done<OwnedFd> {
        if path.is_empty() {
            return openat(&self.root, ".", DIRECTORY, Mode::empty());
        }
        let (parent, name) = self.parent(path)?;
        let looks = match like {
            Some(_) => None,
            None => self.looks(path)?,
        };
        match mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) if like.is_none() => {
                return openat(&parent, name, DIRECTORY, Mode::empty());
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let made = openat(&parent, name, DIRECTORY, Mode::empty())?;
        if let Some(like) = like.or(looks.as_ref()) {
            copy_metadata(like, &made)?;
            let stat = fstat(like)?;
            let mtime = Timespec {
                tv_sec: stat.st_mtime as i64,
                tv_nsec: stat.st_mtime_nsec as i64,
            };
            let path = self.hold(path)?;
            self.made.push((
                path,
                Timestamps {
                    last_access: mtime,
                    last_modification: mtime,
                },
            ));
        }
        Ok(made)
    }

    /// The directory whose metadata `path` shows: the layer's own if it lists it, else the one below.
    fn looks(&self, path: &[u8]) -> Done<Option<OwnedFd>> {
        let own = open_below(&self.layer, path).ok();
        if own.is_some() && !self.implicit.contains(path) {
            return Ok(own);
        }
        match self.below.find(path)? {
            Some(Node::Directory(mut parts)) if !parts.is_empty() => Ok(Some(parts.swap_remove(0))),
            _ => Ok(own),
        }
    }

    /// True when the layer itself hides what is below `path`.
    fn is_hidden(&self, path: &[u8]) -> Done<bool> {
        for (at, _) in path.iter().enumerate().filter(|&(_, &b)| b == b'/') {
            if is_opaque(open_below(&self.layer, &path[..at])?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_moved(&self, path: &[u8]) -> bool {
        self.moved.keys().any(|moved| below(path, moved).is_some())
    }

    fn moved_path(&self, path: &[u8]) -> Vec<u8> {
        let longest = self
            .moved
            .iter()
            .rev()
            .find_map(|(from, to)| below(path, from).map(|rest| [to, rest].concat()));
        longest.unwrap_or_else(|| path.to_vec())
    }

    /// Filling the directories changed their times.
    fn restore_times(&self) -> Done<()> {
        for (path, times) in self.made.iter().rev() {
            let dir = open_below(&self.root, path)?;
            utimensat(&dir, ".", times, AtFlags::empty())?;
        }
        Ok(())
    }
}

/// What is left of `path` inside directory `dir`, with its slash; empty for the directory itself.
fn below<'p>(path: &'p [u8], dir: &[u8]) -> Option<&'p [u8]> {
    path.strip_prefix(dir)
        .filter(|rest| rest.is_empty() || rest[0] == b'/')
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

fn open_root(path: &Path) -> Done<OwnedFd> {
    openat(rustix::fs::CWD, path, DIRECTORY, Mode::empty())
}

/// Opens a directory by its real name: no component may be a link.
fn open_below(root: &OwnedFd, path: &[u8]) -> Done<OwnedFd> {
    let mut here = openat(root, ".", DIRECTORY, Mode::empty())?;
    for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        here = openat(&here, part, DIRECTORY, Mode::empty())?;
    }
    Ok(here)
}

/// Makes `to` opaque by the attribute that `from` has, or by both when it has none.
fn copy_opaque(from: impl AsFd, to: impl AsFd) -> Done<()> {
    use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
    let (from, to) = (from.as_fd(), to.as_fd());
    let names = ["trusted.overlay.opaque", "user.overlay.opaque"];
    let had = names
        .iter()
        .find(|name| fgetxattr(from, **name, &mut [0u8; 1][..]).is_ok());
    let set = |name: &str| fsetxattr(to, name, b"y", XattrFlags::empty());
    match had {
        Some(name) => set(name),
        None => set(names[0]).or_else(|_| set(names[1])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_an_end() -> Done<()> {
        let nowhere = || openat(rustix::fs::CWD, "/", DIRECTORY, Mode::empty());
        let mut seam = Seam {
            below: Merged::open(&[])?,
            all: Merged::open(&[])?,
            layer: nowhere()?,
            root: nowhere()?,
            implicit: HashSet::new(),
            moved: BTreeMap::new(),
            made: Vec::new(),
            copies: HashMap::new(),
            held_bytes: MOST_HELD_BYTES - PATH_BYTES - 1,
        };
        assert_eq!(seam.hold(b"a")?, b"a");
        assert_eq!(seam.hold(b"b").err(), Some(Errno::NOMEM));
        Ok(())
    }
}
