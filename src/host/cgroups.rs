//! How the cgroup hierarchies of this host are mounted, and where the caller is in each.
//!
//! One read of `/proc/self/mountinfo` and one of `/proc/self/cgroup`. A pure v2 host whose `/sys/fs/cgroup` is cgroup2
//! needs no mount table at all. Parsing is apart from reading, so that hosts we don't have are tests.

use crate::error::{Context, Result};
use crate::sys::open;
use std::path::{Path, PathBuf};

/// Where every distribution mounts cgroups.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// The cgroup hierarchies of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupLayout {
    /// Only cgroup2, mounted at this path (usually `/sys/fs/cgroup`).
    V2 {
        /// Mount point.
        mount: PathBuf,
        /// `cgroup.controllers` of the root.
        controllers: Vec<String>,
    },
    /// v1 hierarchies, perhaps with a cgroup2 mount besides (hybrid).
    V1 {
        /// In mount order.
        hierarchies: Vec<Hierarchy>,
        /// Mount point of the cgroup2 hierarchy, where there is one.
        unified: Option<PathBuf>,
    },
    /// No cgroup file system is mounted.
    None,
}

/// One cgroup v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Mount point.
    pub mount: PathBuf,
    /// Its controllers (`cpu`, `cpuacct`) or `name=systemd`.
    pub controllers: Vec<String>,
}

/// The caller's cgroups as [`Host::own_cgroups`](crate::host::Host::own_cgroups) holds them.
pub type OwnCgroups = Vec<(String, String)>;

/// Finds the hierarchies of this host and the caller's place in them.
pub fn probe_cgroups() -> Result<(CgroupLayout, OwnCgroups)> {
    let own = read("/proc/self/cgroup")?;
    if let Some(found) = probe_plain_v2(&own) {
        return Ok(found);
    }
    let mounts = parse_mounts(&read("/proc/self/mountinfo")?);
    let (mut layout, own) = lay_out(&mounts, &own);
    if let CgroupLayout::V2 { mount, controllers } = &mut layout {
        *controllers = root_controllers(mount);
    }
    Ok((layout, own))
}

fn read(path: &str) -> Result<String> {
    open::read_text(path).context(format_args!("read {path}"))
}

fn root_controllers(mount: &Path) -> Vec<String> {
    let text = open::read_text(mount.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The common modern host, without its mount table, which is long where many containers run. Only where the caller's
/// cgroup is found below the mount point: otherwise the mount shows a subtree, which only mountinfo can tell.
fn probe_plain_v2(own: &str) -> Option<(CgroupLayout, OwnCgroups)> {
    let kind = nix::sys::statfs::statfs(CGROUP_ROOT)
        .ok()?
        .filesystem_type();
    if kind != nix::sys::statfs::CGROUP2_SUPER_MAGIC {
        return None;
    }
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = PathBuf::from(CGROUP_ROOT);
    if !mount
        .join(path.trim_start_matches('/'))
        .join("cgroup.procs")
        .exists()
    {
        return None;
    }
    let controllers = root_controllers(&mount);
    let own = listed(String::new(), path.to_owned()).into_iter().collect();
    Some((CgroupLayout::V2 { mount, controllers }, own))
}

/// One cgroup mount of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CgroupMount {
    /// The cgroup that is seen at the mount point; `/` unless the mount shows a subtree.
    root: String,
    mount: PathBuf,
    v2: bool,
    /// v1 only: what of the superblock options names the hierarchy.
    controllers: Vec<String>,
}

/// KERNEL: `ID PARENT MAJ:MIN ROOT MOUNT OPTIONS [TAG…] - TYPE SOURCE SUPER_OPTIONS`. A mount that another one covers
/// can't be reached by its path, so it is none for us.
fn parse_mounts(mountinfo: &str) -> Vec<CgroupMount> {
    let mut places = Vec::new();
    let mut found: Vec<(Place<'_>, CgroupMount)> = Vec::new();
    // Bytes, and each line once: where many containers run, the table is long.
    for line in mountinfo.as_bytes().split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ');
        let Some((place, root)) = Place::of(&mut fields) else {
            continue;
        };
        places.push(place);
        found.extend(parse_mount(root, place.path, fields).map(|mount| (place, mount)));
    }
    places.retain(|place| found.iter().any(|(mount, _)| place.contains(mount.path)));
    found.retain(|(place, _)| place.is_seen(&places));
    found.into_iter().map(|(_, mount)| mount).collect()
}

/// Where a mount is in the tree of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'m> {
    id: &'m [u8],
    parent: &'m [u8],
    path: &'m [u8],
}

impl<'m> Place<'m> {
    /// Reads a line's fields up to the mount point, and gives ROOT too.
    fn of(fields: &mut impl Iterator<Item = &'m [u8]>) -> Option<(Self, &'m [u8])> {
        let (id, parent) = (fields.next()?, fields.next()?);
        let root = fields.nth(1)?;
        let path = fields.next()?;
        Some((Place { id, parent, path }, root))
    }

    /// Whether the way to `path` leads through this mount's place. None of the places that matter has a blank.
    fn contains(&self, path: &[u8]) -> bool {
        let rest = match self.path {
            b"/" => Some(path),
            own => path.strip_prefix(own),
        };
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }

    /// Whether its path leads to it: nothing is mounted on it, nor on the way from the mount that it is attached to.
    fn is_seen(&self, places: &[Place<'_>]) -> bool {
        let covered = places
            .iter()
            .any(|other| other.parent == self.id && other.path == self.path);
        !covered && self.is_reached(places, places.len())
    }

    fn is_reached(&self, places: &[Place<'_>], steps_left: usize) -> bool {
        let between = |other: &&Place<'_>| {
            other.parent == self.parent && other.id != self.id && self.path != other.path
        };
        if places
            .iter()
            .filter(between)
            .any(|other| other.contains(self.path))
        {
            return false;
        }
        let parent = places.iter().find(|other| other.id == self.parent);
        match parent {
            // The top of what we see; a namespace's root may be its own parent.
            None => true,
            Some(parent) if parent.id == self.id || steps_left == 0 => true,
            Some(parent) => parent.is_reached(places, steps_left - 1),
        }
    }
}

/// A cgroup mount, of its line's fields behind the mount point.
fn parse_mount<'m>(
    root: &[u8],
    mount: &[u8],
    mut fields: impl Iterator<Item = &'m [u8]>,
) -> Option<CgroupMount> {
    fields.find(|field| *field == b"-")?;
    let v2 = match fields.next()? {
        b"cgroup" => false,
        b"cgroup2" => true,
        _ => return None,
    };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let options = text(fields.nth(1).unwrap_or_default())?;
    const NOT_CONTROLLERS: [&str; 6] = [
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
    ];
    let controllers = options
        .split(',')
        .filter(|o| !v2 && !NOT_CONTROLLERS.contains(o) && !o.starts_with("release_agent="))
        .map(str::to_owned)
        .collect();
    Some(CgroupMount {
        root: unescape(text(root)?),
        mount: PathBuf::from(unescape(text(mount)?)),
        v2,
        controllers,
    })
}

/// Undoes the mount table's `\040` for blanks and the like.
pub fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok())
        {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&piece[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

/// COMPAT(runc): cgroup2 at `/sys/fs/cgroup` makes a host pure v2, whatever v1 hierarchy someone mounted elsewhere.
fn lay_out(mounts: &[CgroupMount], own: &str) -> (CgroupLayout, OwnCgroups) {
    let v2 = mounts.iter().filter(|m| m.v2).collect::<Vec<_>>();
    let pure = v2.iter().find(|m| m.mount == Path::new(CGROUP_ROOT));
    let v1 = v1_hierarchies(mounts);
    let pure = match pure {
        None if v1.is_empty() => v2.first(),
        found => found,
    };
    if let Some(mount) = pure {
        let layout = CgroupLayout::V2 {
            mount: mount.mount.clone(),
            controllers: Vec::new(),
        };
        return (layout, own_v2(mount, own).into_iter().collect());
    }
    if v1.is_empty() {
        return (CgroupLayout::None, Vec::new());
    }
    let lines: Vec<_> = own.lines().filter_map(own_line).collect();
    let mut places: OwnCgroups = v1
        .iter()
        .filter_map(|mount| own_v1(mount, &lines))
        .collect();
    places.extend(v2.first().and_then(|mount| own_v2(mount, own)));
    let hierarchies = v1.into_iter().map(|m| Hierarchy {
        mount: m.mount.clone(),
        controllers: m.controllers.clone(),
    });
    let layout = CgroupLayout::V1 {
        hierarchies: hierarchies.collect(),
        unified: v2.first().map(|m| m.mount.clone()),
    };
    (layout, places)
}

/// The v1 mounts, each hierarchy once: a second mount of it shows the same cgroups.
fn v1_hierarchies(mounts: &[CgroupMount]) -> Vec<&CgroupMount> {
    let mut found: Vec<&CgroupMount> = Vec::new();
    for mount in mounts.iter().filter(|m| !m.v2) {
        if !found
            .iter()
            .any(|known| known.controllers == mount.controllers)
        {
            found.push(mount);
        }
    }
    found
}

fn own_v2(mount: &CgroupMount, own: &str) -> Option<(String, String)> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    listed(String::new(), below(&mount.root, path))
}

/// KERNEL: `ID:CONTROLLERS:PATH`.
fn own_line(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// `/proc/self/cgroup` may list a hierarchy's controllers in another order than the mount table.
fn own_v1(mount: &CgroupMount, lines: &[(&str, &str)]) -> Option<(String, String)> {
    let (_, path) = lines.iter().find(|(controllers, _)| {
        let mut own = controllers.split(',');
        own.any(|c| mount.controllers.iter().any(|m| m == c))
    })?;
    listed(mount.controllers.join(","), below(&mount.root, path))
}

fn listed(controllers: String, path: String) -> Option<(String, String)> {
    (path != "/").then_some((controllers, path))
}

/// A cgroup's path below a mount that shows the subtree `root`. What is outside of it can't be reached: `/`.
fn below(root: &str, path: &str) -> String {
    let inside = match root {
        "/" => Some(path),
        _ => path
            .strip_prefix(root)
            .filter(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    match inside {
        Some(path) if !path.is_empty() && !path.starts_with("/..") => path.to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
mod tests;
