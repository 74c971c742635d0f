//! Looking a name up in stacked layers the way overlayfs would show them, without mounting anything.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fgetxattr, openat, readlinkat, statat};
use rustix::io::Errno;

use super::lower::Lower;
use crate::layer::is_whiteout;

const LINKS_FOLLOWED: usize = 40;
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

/// Layers, the topmost first.
pub(super) struct Merged {
    layers: Vec<OwnedFd>,
}

/// What a name is.
pub(super) enum Node {
    /// A directory: its parts in those layers that show, the topmost first.
    Directory(Vec<OwnedFd>),
    /// Anything else, and where it is.
    Other {
        dir: OwnedFd,
        name: Vec<u8>,
        stat: Stat,
    },
}

/// A directory that was walked to.
struct Directory {
    /// Without links.
    real_name: Vec<u8>,
    /// Its parts in those layers that show, the topmost first.
    parts: Vec<OwnedFd>,
}

impl Merged {
    pub(super) fn open(layers: &[Lower]) -> Result<Self, Errno> {
        let layers = layers.iter().map(Lower::open).collect::<Result<_, _>>()?;
        Ok(Self::of(layers))
    }

    /// Layers whose roots are open.
    pub(super) fn of(layers: Vec<OwnedFd>) -> Self {
        Self { layers }
    }

    /// What `path` is. Links on the way are followed, the last component is not.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Node>, Errno> {
        let Some(split) = path.iter().rposition(|&b| b == b'/') else {
            return step(&self.tops()?, path);
        };
        match self.walk(&path[..split])? {
            Some(parent) => step(&parent.parts, &path[split + 1..]),
            None => Ok(None),
        }
    }

    /// The real name of the directory `path`, all links followed; nothing when it is no directory.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        Ok(self.walk(path)?.map(|directory| directory.real_name))
    }

    fn walk(&self, path: &[u8]) -> Result<Option<Directory>, Errno> {
        let mut ahead: VecDeque<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let mut real: Vec<Vec<u8>> = Vec::new();
        let mut here = self.tops()?;
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    real.pop();
                    here = self.enter(&real.join(&b'/'))?;
                    continue;
                }
                _ => {}
            }
            match step(&here, &part)? {
                Some(Node::Directory(parts)) => {
                    real.push(part);
                    here = parts;
                }
                Some(Node::Other { dir, name, stat }) if is_link(&stat) => {
                    links += 1;
                    if links > LINKS_FOLLOWED {
                        return Err(Errno::LOOP);
                    }
                    let target = readlinkat(&dir, name.as_slice(), Vec::new())?;
                    if target.as_bytes().starts_with(b"/") {
                        real.clear();
                        here = self.tops()?;
                    }
                    target
                        .as_bytes()
                        .rsplit(|&b| b == b'/')
                        .for_each(|part| ahead.push_front(part.to_vec()));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Directory {
            real_name: real.join(&b'/'),
            parts: here,
        }))
    }

    /// The parts of the directory with the real name `path`.
    fn enter(&self, path: &[u8]) -> Result<Vec<OwnedFd>, Errno> {
        let mut here = self.tops()?;
        for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            match step(&here, part)? {
                Some(Node::Directory(parts)) => here = parts,
                _ => return Err(Errno::NOTDIR),
            }
        }
        Ok(here)
    }

    fn tops(&self) -> Result<Vec<OwnedFd>, Errno> {
        self.layers
            .iter()
            .map(|layer| openat(layer, ".", DIRECTORY, Mode::empty()))
            .collect()
    }
}

pub(super) fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// One component down: what is in the topmost layers, until one of them hides the rest.
fn step(parts: &[OwnedFd], name: &[u8]) -> Result<Option<Node>, Errno> {
    let mut found = Vec::new();
    for part in parts {
        let stat = match statat(part, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let dir = openat(part, name, DIRECTORY, Mode::empty())?;
            let last = is_opaque(&dir);
            found.push(dir);
            if last {
                break;
            }
        } else if found.is_empty() && !is_whiteout(&stat) {
            let dir = openat(part, ".", DIRECTORY, Mode::empty())?;
            return Ok(Some(Node::Other {
                dir,
                name: name.to_vec(),
                stat,
            }));
        } else {
            break;
        }
    }
    Ok((!found.is_empty()).then_some(Node::Directory(found)))
}

/// True for a directory that hides what is below it, by either of overlayfs' attributes.
/// Another value than `y` says something else: `x`, that there are whiteouts made of attributes inside.
pub(super) fn is_opaque(dir: impl AsFd) -> bool {
    let dir = dir.as_fd();
    let mut value = [0u8; 1];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| fgetxattr(dir, *name, &mut value[..]) == Ok(1) && value == *b"y")
}
