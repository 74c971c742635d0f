//! The mounts of a container that shares our mount namespace: they are made in ours, and go when the container goes.
//! SPEC(config-linux.md#namespaces): a type that is not listed is inherited. COMPAT(runc), which leaves them behind.
//!
//! Told apart by the kernel's ids: what was mounted below the root before is not ours to unmount.

use crate::error::{Context, Error, Result};
use crate::plan::{Plan, Step};
use crate::sys::mount;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a container's mounts are to be found in our mount namespace, as its state file keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMounts {
    /// The root file system by its real path, as the mount table shows it.
    root: PathBuf,
    /// Ids of the mounts that were there before.
    before: Vec<u64>,
}

/// What is mounted below the root now; `None` for a container that mounts in a namespace of its own, or nothing.
pub fn survey(plan: &Plan) -> Result<Option<HostMounts>> {
    let steps = &plan.init.steps;
    let shares = |step: &Step| matches!(step, Step::OpenRoot { mount: false, .. });
    let mounts = |step: &Step| matches!(step, Step::Mount(_) | Step::AttachPrepared { .. });
    if !steps.iter().any(shares) || !steps.iter().any(mounts) {
        return Ok(None);
    }
    let named = || format!("root.path: {}", plan.rootfs.display());
    let root = plan.rootfs.canonicalize().context(named())?;
    let before = below(&table()?, &root).map(|(id, _)| id).collect();
    Ok(Some(HostMounts { root, before }))
}

/// Unmounts what was mounted since, the innermost first. The container's processes have ended: no path of the table
/// can change its meaning any more.
pub fn unmount(mounts: &HostMounts) -> Result<()> {
    let table = table()?;
    let ours: Vec<(u64, PathBuf)> = below(&table, &mounts.root)
        .filter(|(id, _)| !mounts.before.contains(id))
        .collect();
    ours.iter().rev().try_for_each(|(_, path)| detach(path))
}

fn detach(path: &Path) -> Result<()> {
    let target = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    match mount::unmount(&target, libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) {
        // One that went with the mount around it.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::errno(
            format_args!("unmount {}", path.display()),
            errno,
        )),
    }
}

fn table() -> Result<String> {
    let file = "/proc/self/mountinfo";
    std::fs::read_to_string(file).context(format_args!("read {file}"))
}

/// Id and place of the mounts strictly below `root`, in the table's order.
fn below(table: &str, root: &Path) -> impl Iterator<Item = (u64, PathBuf)> {
    table.lines().filter_map(move |line| {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let place = PathBuf::from(crate::host::unescape(fields.nth(3)?));
        (place != root && place.starts_with(root)).then_some((id, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_is_found() {
        let table = "\
20 1 8:1 / / rw - ext4 /dev/sda rw
30 20 8:1 /b /b/rootfs rw - ext4 /dev/sda rw
31 30 0:5 / /b/rootfs/proc rw - proc proc rw
32 30 0:6 / /b/rootfs/a\\040b rw - tmpfs tmpfs rw
33 20 0:7 / /b/rootfs2/proc rw - proc proc rw
";
        let found: Vec<_> = below(table, Path::new("/b/rootfs")).collect();
        assert_eq!(
            found,
            [
                (31, PathBuf::from("/b/rootfs/proc")),
                (32, PathBuf::from("/b/rootfs/a b"))
            ]
        );
    }
}
