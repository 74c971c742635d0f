//! Places in the container that an entry of `mounts` names by the host's path of the root. COMPAT(runc)
//!
//! Looks at the words alone. Whether a name on the way is a link is for whoever resolves the path below the root.

use super::{MountOp, Mounted};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// `path` as the container names it, where it lies below `root`, the host's path of the container's root.
pub(super) fn below_root(path: &Path, root: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(root).ok()?;
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let named = rest.components().next().is_some() && rest.components().all(plain);
    named.then(|| Path::new("/").join(rest.components().collect::<PathBuf>()))
}

impl MountOp {
    /// A bind from below `root`, the host's path of the container's root, whose source is one of the container's mount
    /// points or lies below one becomes a bind of what the container sees there: the host doesn't see it.
    ///
    /// `mount_points` are those of the mounts that are made before, as the container names them.
    #[must_use]
    pub fn seen_inside<'m>(
        mut self,
        root: &Path,
        mut mount_points: impl Iterator<Item = &'m CStr>,
    ) -> MountOp {
        let Mounted::Bind {
            source,
            recursive,
            no_follow,
            copy_symlink: false,
        } = &self.what
        else {
            return self;
        };
        let source = Path::new(OsStr::from_bytes(source.to_bytes()));
        let Some(inside) = below_root(source, root) else {
            return self;
        };
        let covers = |place: &CStr| inside.starts_with(OsStr::from_bytes(place.to_bytes()));
        if let (true, Ok(source)) = (
            mount_points.any(covers),
            CString::new(inside.as_os_str().as_bytes()),
        ) {
            self.what = Mounted::Inner {
                source,
                recursive: *recursive,
                no_follow: *no_follow,
            };
        }
        self
    }
}
