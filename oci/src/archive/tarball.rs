//! A tar file as named files: its table of contents is read once, contents by position.
//!
//! Only the archive's own entries can be read, whatever its links say.

use super::{Files, from, open_plain};
use crate::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// An archive of more entries is refused: an image has a few for each layer.
const MAX_ENTRIES: usize = 100_000;
/// Links to links are followed so far.
const MAX_LINKS: usize = 8;

/// A tar file and where its entries are in it.
pub(super) struct Tarball {
    path: PathBuf,
    entries: HashMap<String, Entry>,
}

enum Entry {
    File { position: u64, size: u64 },
    Link(String),
}

impl Tarball {
    pub(super) fn open(path: &Path) -> Result<Tarball> {
        let file = open_plain(path)?;
        check_magic(&file, path)?;
        let mut tarball = Tarball {
            path: path.to_owned(),
            entries: HashMap::new(),
        };
        tarball.scan(file).map_err(|error| {
            let what = format!("read {}", path.display());
            match error.kind() {
                // The parser finds what it reads wanting.
                io::ErrorKind::Other | io::ErrorKind::InvalidData => {
                    Error::new(Kind::Corrupt, format!("{what}: {error}"))
                }
                _ => Error::io(what, error),
            }
        })?;
        Ok(tarball)
    }

    fn scan(&mut self, file: File) -> io::Result<()> {
        let whole = file.metadata()?.len();
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            if self.entries.len() >= MAX_ENTRIES {
                return Err(io::Error::other(format!("more than {MAX_ENTRIES} entries")));
            }
            let name = entry.path()?;
            let Some(name) = inside(&name) else {
                continue;
            };
            let kind = entry.header().entry_type();
            let (position, size) = (entry.raw_file_position(), entry.size());
            if kind.is_file() || kind == tar::EntryType::Continuous {
                if position.checked_add(size).is_none_or(|end| end > whole) {
                    return Err(io::Error::other(format!(
                        "{name} ends behind the end of the archive"
                    )));
                }
                self.entries.insert(name, Entry::File { position, size });
            } else if kind.is_symlink() || kind.is_hard_link() {
                let Some(target) = entry.link_name()? else {
                    continue;
                };
                let base = if kind.is_symlink() {
                    Path::new(&name).parent()
                } else {
                    None
                };
                let joined = base.unwrap_or(Path::new("")).join(&target);
                if let Some(target) = inside(&joined) {
                    self.entries.insert(name, Entry::Link(target));
                }
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name.to_owned();
        for _ in 0..MAX_LINKS {
            match self.entries.get(&name)? {
                Entry::File { position, size } => return Some((*position, *size)),
                Entry::Link(target) => name = target.clone(),
            }
        }
        None
    }
}

impl Files for Tarball {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self, name: &str, offset: u64) -> Result<(u64, Box<dyn Read + Send>)> {
        let found = inside(Path::new(name)).and_then(|name| self.find(&name));
        let Some((position, size)) = found else {
            return Err(Error::new(
                Kind::NotFound,
                format!("{}: no file {name:?} in it", self.path.display()),
            ));
        };
        let offset = offset.min(size);
        from(open_plain(&self.path)?, position + offset, size - offset).map(|reader| (size, reader))
    }
}

/// A name without `.` and `..`; none when it leads outside.
fn inside(path: &Path) -> Option<String> {
    use std::path::Component;
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Some(parts.join("/"))
}

fn check_magic(mut file: &File, path: &Path) -> Result<()> {
    use std::io::Seek;
    let mut magic = [0; 4];
    let count = file
        .read(&mut magic)
        .and_then(|count| file.rewind().map(|()| count));
    let count = count.map_err(|error| Error::io(format_args!("read {}", path.display()), error))?;
    let how = match &magic[..count] {
        [0x1f, 0x8b, ..] => "gunzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "unzstd",
        [b'B', b'Z', b'h', _] => "bunzip2",
        [0xfd, b'7', b'z', b'X'] => "unxz",
        _ => return Ok(()),
    };
    let what = format!(
        "{}: compressed as a whole, so its parts can't be found by position",
        path.display()
    );
    Err(Error::new(Kind::Invalid, what).hint(format!("run {how} on it first")))
}
