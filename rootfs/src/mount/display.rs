//! A mount operation as a sentence, for `plan` and for error messages: `mount proc on /proc (type=proc, nosuid,noexec)`.
//!
//! Options are written as the specification spells them, whatever the author's spelling was.

use super::options::{Reach, attribute_names};
use super::{Attributes, FsOption, Idmap, IdmapSource, MountOp, Mounted, Propagation};
use std::ffi::CStr;
use std::fmt::{self, Display, Formatter, Write as _};

/// A system call's text for people: control characters are escaped, so that a path can't forge a line.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a CStr);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        text.chars()
            .try_for_each(|character| match character.is_control() {
                true => write!(f, "{}", character.escape_default()),
                false => f.write_char(character),
            })
    }
}

impl Display for MountOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let to = Shown(&self.destination);
        match &self.what {
            Mounted::FileSystem {
                source, fs_type, ..
            } => {
                write!(
                    f,
                    "mount {} on {to} (type={}",
                    Shown(source),
                    Shown(fs_type)
                )?;
            }
            Mounted::Bind {
                source, recursive, ..
            }
            | Mounted::Inner {
                source, recursive, ..
            } => {
                let inner = matches!(self.what, Mounted::Inner { .. });
                let whose = if inner { "the container's " } else { "" };
                let option = if *recursive { "rbind" } else { "bind" };
                write!(f, "mount {whose}{} on {to} ({option}", Shown(source))?;
            }
            Mounted::Remount {
                superblock_flags: Some(_),
                ..
            } => write!(f, "change the mount on {to} (remount")?,
            Mounted::Remount {
                superblock_flags: None,
                ..
            } => write!(f, "change the mount on {to} (remount,bind")?,
        }
        let words = self.words();
        if !words.is_empty() {
            let separator = if matches!(self.what, Mounted::FileSystem { .. }) {
                ", "
            } else {
                ","
            };
            write!(f, "{separator}{}", words.join(","))?;
        }
        match &self.fallback_bind {
            Some(host) => write!(f, "; or bind {})", Shown(host)),
            None => f.write_char(')'),
        }
    }
}

impl MountOp {
    fn is_proc_or_sysfs(&self) -> bool {
        let Mounted::FileSystem { fs_type, .. } = &self.what else {
            return false;
        };
        matches!(fs_type.to_bytes(), b"proc" | b"sysfs")
    }

    /// All options besides the kind of mount.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let named =
            |reach, attributes: Attributes| attribute_names(reach, attributes).map(str::to_owned);
        words.extend(named(Reach::One, self.attributes));
        words.extend(named(Reach::Tree, self.recursive_attributes));
        words.extend(self.propagation.iter().map(Propagation::to_string));
        words.extend(self.idmap.iter().map(Idmap::to_string));
        words.extend(self.copy_up.then(|| "tmpcopyup".into()));
        // At /proc and /sys it goes without saying.
        let asked = self.no_follow_destination && !self.is_proc_or_sysfs();
        words.extend(asked.then(|| "dest-nofollow".into()));
        words.extend(self.readonly_later.then(|| "ro at the end".into()));
        match &self.what {
            Mounted::FileSystem {
                superblock_flags,
                options,
                ..
            } => superblock(*superblock_flags, options, &mut words),
            Mounted::Remount {
                superblock_flags,
                options,
            } => {
                superblock(superblock_flags.unwrap_or(0), options, &mut words);
            }
            Mounted::Inner { no_follow, .. } => {
                words.extend(no_follow.then(|| "src-nofollow".into()));
            }
            Mounted::Bind {
                no_follow,
                copy_symlink,
                ..
            } => {
                words.extend(copy_symlink.then(|| "copy-symlink".into()));
                words.extend((*no_follow && !copy_symlink).then(|| "src-nofollow".into()));
            }
        }
        words
    }
}

const SUPERBLOCK: [(u64, &str); 6] = [
    (libc::MS_SYNCHRONOUS, "sync"),
    (libc::MS_DIRSYNC, "dirsync"),
    (libc::MS_LAZYTIME, "lazytime"),
    (libc::MS_MANDLOCK, "mand"),
    (libc::MS_I_VERSION, "iversion"),
    (libc::MS_SILENT, "silent"),
];

fn superblock(flags: u64, options: &[FsOption], words: &mut Vec<String>) {
    let set = SUPERBLOCK.iter().filter(|(flag, _)| flags & flag != 0);
    words.extend(set.map(|(_, name)| (*name).to_owned()));
    words.extend(options.iter().map(FsOption::to_string));
}

impl Display for FsOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) if value.to_bytes().contains(&b',') => {
                write!(f, "{}=\"{}\"", Shown(&self.key), Shown(value))
            }
            Some(value) => write!(f, "{}={}", Shown(&self.key), Shown(value)),
            None => write!(f, "{}", Shown(&self.key)),
        }
    }
}

impl Display for Propagation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = match self.flag {
            libc::MS_SHARED => "shared",
            libc::MS_SLAVE => "slave",
            libc::MS_PRIVATE => "private",
            libc::MS_UNBINDABLE => "unbindable",
            _ => "propagation?",
        };
        write!(f, "{}{name}", if self.recursive { "r" } else { "" })
    }
}

impl Display for Idmap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.recursive { "ridmap" } else { "idmap" })?;
        let IdmapSource::Ranges { uids, gids } = &self.mapping else {
            return Ok(());
        };
        for (name, ranges) in [("=uids=", uids), (";gids=", gids)] {
            f.write_str(name)?;
            for (index, range) in ranges.iter().enumerate() {
                let separator = if index == 0 { "" } else { "#" };
                write!(
                    f,
                    "{separator}{}-{}-{}",
                    range.container_id, range.host_id, range.size
                )?;
            }
        }
        Ok(())
    }
}
