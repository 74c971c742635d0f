//! Which cgroup a container gets: `linux.cgroupsPath`, or one named by its id.
//!
//! COMPAT(runc): an absolute path is below the mount point; a relative one, and the default, below the caller's cgroup.

use crate::error::{Error, Result};

/// The path below a hierarchy's mount point, without a leading slash. `own` is the caller's cgroup there.
///
/// On v2 a relative path is beside the caller's cgroup, not in it: a cgroup with processes can't give controllers to
/// its children.
pub fn container_path(wish: &str, id: &str, own: &str, v2: bool) -> Result<String> {
    let wish = if wish.is_empty() { id } else { wish };
    if let Some(bad) = wish.chars().find(|c| matches!(c, '\0' | '\n')) {
        let problem =
            format!("linux.cgroupsPath {wish:?} holds {bad:?}, which no cgroup's name can");
        return Err(Error::new(problem));
    }
    if wish.starts_with('/') {
        return Ok(clean(wish));
    }
    let below = clean(wish);
    let base = clean(own);
    let base = match (v2, base.rsplit_once('/')) {
        (false, _) => base.as_str(),
        (true, Some((parent, _))) => parent,
        (true, None) => "",
    };
    Ok(clean(&format!("{base}/{below}")))
}

/// Resolves `.` and `..` without leaving the root.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}
