//! Small files of an image, read without mounting it: what `/etc/passwd` says.
//!
//! An image's file may be a link to anywhere, a FIFO, a device, or endless. Links are followed inside the image, and only
//! a plain file of a bounded size is read.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use super::Chain;
use super::error::{Result, SnapshotError, errno, system};
use super::lower::Lower;
use super::merged::{Merged, Node, is_link};

const LINKS_FOLLOWED: usize = 40;

/// The files of a chain of layers.
pub struct Tree {
    merged: Merged,
}

impl Chain {
    /// Opens the layers for reading.
    pub fn tree(&self) -> Result<Tree> {
        let open = |lower: &Lower| lower.open().map_err(errno("open layer", lower.name()));
        let layers = self.lowers.iter().map(open).collect::<Result<_>>()?;
        Ok(Tree {
            merged: Merged::of(layers),
        })
    }
}

impl Tree {
    /// The bytes of a plain file as a container of the chain would see it; nothing when there is no such file.
    pub fn read(&self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let shown = Path::new(path);
        let relative = path.trim_start_matches('/').as_bytes().to_vec();
        let opened = open_plain(&self.merged, relative);
        let Some(file) = opened.map_err(system("open the image's", shown))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        File::from(file)
            .take(max_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(system("read the image's", shown))?;
        match bytes.len() as u64 > max_bytes {
            false => Ok(Some(bytes)),
            true => Err(SnapshotError::Refused(format!(
                "read the image's {path}: more than {max_bytes} bytes"
            ))),
        }
    }
}

/// CVE-2024-9676: never waits for a FIFO's writer, never reads a device.
fn open_plain(merged: &Merged, mut path: Vec<u8>) -> std::result::Result<Option<OwnedFd>, Errno> {
    for _ in 0..LINKS_FOLLOWED {
        let Some(Node::Other { dir, name, stat }) = merged.find(&path)? else {
            return Ok(None);
        };
        if is_link(&stat) {
            let target = readlinkat(&dir, name.as_slice(), Vec::new())?.into_bytes();
            path = behind_link(&path, &target);
            continue;
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&dir, name.as_slice(), flags, Mode::empty())?;
        let opened = statat(&file, "", AtFlags::EMPTY_PATH)?;
        return Ok((opened.st_ino == stat.st_ino).then_some(file));
    }
    Err(Errno::LOOP)
}

fn behind_link(path: &[u8], target: &[u8]) -> Vec<u8> {
    match (target.first(), path.iter().rposition(|&b| b == b'/')) {
        (Some(b'/'), _) => target[1..].to_vec(),
        (_, Some(parent)) => [&path[..=parent], target].concat(),
        (_, None) => target.to_vec(),
    }
}
