//! The options of one mount, read in order, the last of a kind winning. Judges nothing: `plan_mount` does.

use super::options::{Meaning, Reach, TimeChange, meaning};
use super::{Attributes, Propagation, idmap};
use libc::{MOUNT_ATTR__ATIME, MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME, MS_RDONLY};

/// What the options of one entry say, read in order.
#[derive(Default)]
pub(super) struct Reading<'a> {
    pub(super) bind: Option<bool>,
    pub(super) remount: bool,
    pub(super) readonly: Option<bool>,
    pub(super) own: Reached,
    pub(super) tree: Reached,
    pub(super) superblock: Attributes,
    pub(super) propagation: Vec<Propagation>,
    pub(super) idmap: Option<idmap::Request<'a>>,
    pub(super) copy_up: bool,
    pub(super) copy_symlink: bool,
    pub(super) no_follow_source: bool,
    pub(super) no_follow_destination: bool,
    /// The file system's own options, each with the JSON field it came from.
    pub(super) data: Vec<(String, &'a str)>,
}

/// Attributes of one reach.
#[derive(Default)]
pub(super) struct Reached {
    flags: Attributes,
    access_time: Option<u64>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(options: &'a [String]) -> Self {
        let mut reading = Reading::default();
        for (index, option) in options.iter().enumerate() {
            reading.option(index, option);
        }
        reading
    }

    fn option(&mut self, index: usize, option: &'a str) {
        match (meaning(option), option.split_once('=')) {
            (Some(known), _) => self.known(known),
            (None, Some((name @ ("idmap" | "ridmap"), ranges))) => {
                self.idmap = Some(idmap::Request {
                    recursive: name == "ridmap",
                    ranges: Some(ranges),
                });
            }
            // Peers join all data with commas, so one string may carry several options.
            (None, _) => self
                .data
                .extend(split_data(option).map(|part| (format!("options[{index}]"), part))),
        }
    }

    fn known(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Nothing => {}
            Meaning::Readonly(readonly) => self.readonly = Some(readonly),
            Meaning::Attribute(reach, flag, set) => self.reached(reach).flags.put(flag, set),
            Meaning::AccessTime(reach, change) => self.reached(reach).access_time(change),
            Meaning::Superblock(flag, set) => self.superblock.put(flag, set),
            Meaning::Propagation(flag, recursive) => {
                self.propagation.push(Propagation { flag, recursive });
            }
            Meaning::Bind(recursive) => self.bind = Some(self.bind == Some(true) || recursive),
            Meaning::Remount => self.remount = true,
            Meaning::Idmap(recursive) => {
                let ranges = self.idmap.and_then(|request| request.ranges);
                self.idmap = Some(idmap::Request { recursive, ranges });
            }
            Meaning::CopyUp => self.copy_up = true,
            Meaning::CopySymlink => self.copy_symlink = true,
            Meaning::SourceNoFollow => self.no_follow_source = true,
            Meaning::DestinationNoFollow => self.no_follow_destination = true,
        }
    }

    fn reached(&mut self, reach: Reach) -> &mut Reached {
        match reach {
            Reach::One => &mut self.own,
            Reach::Tree => &mut self.tree,
        }
    }

    pub(super) fn attributes(&self, readonly_later: bool) -> Attributes {
        let readonly = self.readonly.filter(|_| !readonly_later);
        self.own.attributes(readonly)
    }

    pub(super) fn superblock_flags(&self, with_readonly: bool) -> u64 {
        match self.readonly {
            Some(true) if with_readonly => self.superblock.set | MS_RDONLY,
            _ => self.superblock.set,
        }
    }
}

impl Reached {
    fn access_time(&mut self, change: TimeChange) {
        self.access_time = match (change, self.access_time) {
            (TimeChange::Use(value), _) => Some(value),
            (TimeChange::Leave(value), Some(current)) if current != value => Some(current),
            (TimeChange::Leave(_), _) => Some(MOUNT_ATTR_RELATIME),
        };
    }

    pub(super) fn attributes(&self, readonly: Option<bool>) -> Attributes {
        let mut attributes = self.flags;
        if let Some(readonly) = readonly {
            attributes.put(MOUNT_ATTR_RDONLY, readonly);
        }
        if let Some(value) = self.access_time {
            // The kernel takes a new access-time mode only together with clearing the whole field.
            attributes.set |= value;
            attributes.clear |= MOUNT_ATTR__ATIME;
        }
        attributes
    }
}

impl Attributes {
    fn put(&mut self, flag: u64, set: bool) {
        let (to, from) = match set {
            true => (&mut self.set, &mut self.clear),
            false => (&mut self.clear, &mut self.set),
        };
        *to |= flag;
        *from &= !flag;
    }
}

/// Splits data at commas that are neither escaped nor quoted.
fn split_data(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let plain = !escaped;
        escaped = plain && character == '\\';
        quoted ^= plain && character == '"';
        plain && !quoted && character == ','
    })
    .filter(|part| !part.is_empty())
}
