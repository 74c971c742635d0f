//! The mount of type `cgroup` in a container: what it comes to depends on the host's hierarchies.
//!
//! v2 is one mount. v1 is a tmpfs with a mount for each v1 hierarchy in it, and links for controllers that share one. With a
//! cgroup namespace the kernel shows the container's part by itself; without, its directory is bound instead.

use super::{CgroupPlan, own_cgroup};
use crate::error::Result;
use crate::host::{CgroupLayout, Hierarchy, Host};
use crate::plan::Step;
use crate::plan::field::c_string;
use rootfs::mount::{Attributes, FsOption, MountOp, Mounted};
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Replaces an operation that `rootfs::mount::plan_mount` made for an entry of type `cgroup` or `cgroup2`.
///
/// `new_cgroup_namespace`: the container has a cgroup namespace of its own, and is in it when it mounts.
/// A read-only tmpfs among the results is to be made so at the end, as any other ([`MountOp::late_readonly`]).
pub fn cgroup_mounts(
    mount: MountOp,
    host: &Host,
    plan: &CgroupPlan,
    new_cgroup_namespace: bool,
) -> Result<Vec<Step>> {
    let scene = Scene {
        mount,
        host,
        plan,
        new_cgroup_namespace,
    };
    match &host.cgroups {
        CgroupLayout::None => Ok(vec![Step::Mount(scene.mount)]),
        CgroupLayout::V2 {
            mount: host_mount, ..
        } => Ok(vec![Step::Mount(scene.v2(host_mount)?)]),
        // COMPAT(runc): without the v2 hierarchy of a hybrid host, which has no controllers. A systemd that saw it in the
        // container would take it for the one to work with, and fails: there is no writable mount of it.
        CgroupLayout::V1 { hierarchies, .. } => {
            let mut steps = vec![Step::Mount(scene.tmpfs())];
            for hierarchy in hierarchies {
                scene.v1(hierarchy, &mut steps)?;
            }
            Ok(steps)
        }
    }
}

struct Scene<'a> {
    mount: MountOp,
    host: &'a Host,
    plan: &'a CgroupPlan,
    new_cgroup_namespace: bool,
}

impl Scene<'_> {
    /// KERNEL: cgroup2 mounted anew in the host's cgroup namespace would set its mount options (`nsdelegate`, …) for the
    /// whole host, so there the host's mount is bound.
    fn v2(&self, host_mount: &Path) -> Result<MountOp> {
        if !self.new_cgroup_namespace {
            return Ok(self.bind(self.mount.destination.clone(), text(host_mount)?, true));
        }
        let mut mount = self.mount.clone();
        if let Mounted::FileSystem {
            fs_type, source, ..
        } = &mut mount.what
        {
            *fs_type = c"cgroup2".into();
            *source = c"cgroup".into();
        }
        mount.fallback_bind = Some(text(self.container_directory(host_mount, ""))?);
        Ok(mount)
    }

    fn v1(&self, hierarchy: &Hierarchy, steps: &mut Vec<Step>) -> Result<()> {
        let name = base_name(&hierarchy.mount);
        let destination = self.below(&name)?;
        let controllers = hierarchy.controllers.join(",");
        let source = text(self.container_directory(&hierarchy.mount, &controllers))?;
        steps.push(Step::Mount(match self.new_cgroup_namespace {
            true => {
                let options = hierarchy.controllers.iter().map(|c| option(c));
                self.file_system(
                    destination,
                    c"cgroup",
                    options.collect::<Result<_>>()?,
                    source,
                )
            }
            false => self.bind(destination, source, false),
        }));
        let linked = hierarchy
            .controllers
            .iter()
            .filter(|c| **c != name && !c.contains('='));
        for controller in linked {
            steps.push(Step::Symlink {
                target: text(&name)?,
                path: self.below(controller)?,
            });
        }
        Ok(())
    }

    /// Where the container's directory in a hierarchy will be. Without root it may not be: then the caller's.
    fn container_directory(&self, host_mount: &Path, controllers: &str) -> PathBuf {
        let planned = self
            .plan
            .directories
            .iter()
            .find(|d| d.mount == host_mount && !d.optional);
        let path = match planned {
            Some(directory) => directory.path.as_str(),
            None => own_cgroup(self.host, controllers).trim_start_matches('/'),
        };
        match path {
            "" => host_mount.to_owned(),
            path => host_mount.join(path),
        }
    }

    /// The directory of directories. COMPAT(runc): nosuid, nodev and noexec whatever the entry says.
    fn tmpfs(&self) -> MountOp {
        let hardened = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
        let attributes = Attributes {
            set: (self.mount.attributes.set | hardened) & !libc::MOUNT_ATTR_RDONLY,
            clear: self.mount.attributes.clear & !hardened,
        };
        MountOp {
            what: Mounted::FileSystem {
                fs_type: c"tmpfs".into(),
                source: c"tmpfs".into(),
                superblock_flags: 0,
                options: vec![FsOption {
                    key: c"mode".into(),
                    value: Some(c"755".into()),
                }],
            },
            attributes,
            readonly_later: self.is_readonly(),
            ..self.mount.clone()
        }
    }

    fn is_readonly(&self) -> bool {
        self.mount.readonly_later || self.mount.attributes.set & libc::MOUNT_ATTR_RDONLY != 0
    }

    /// A hierarchy as the container's own cgroup namespace shows it.
    fn file_system(
        &self,
        destination: CString,
        fs_type: &CStr,
        options: Vec<FsOption>,
        fallback: CString,
    ) -> MountOp {
        MountOp {
            what: Mounted::FileSystem {
                fs_type: fs_type.into(),
                source: c"cgroup".into(),
                superblock_flags: 0,
                options,
            },
            fallback_bind: Some(fallback),
            ..self.inner(destination)
        }
    }

    fn bind(&self, destination: CString, source: CString, recursive: bool) -> MountOp {
        MountOp {
            what: Mounted::Bind {
                source,
                recursive,
                no_follow: false,
                copy_symlink: false,
            },
            ..self.inner(destination)
        }
    }

    /// A mount with the entry's attributes.
    fn inner(&self, destination: CString) -> MountOp {
        let mut mount = MountOp {
            destination,
            fallback_bind: None,
            readonly_later: false,
            ..self.mount.clone()
        };
        if self.is_readonly() {
            mount.attributes.set |= libc::MOUNT_ATTR_RDONLY;
        }
        mount
    }

    fn below(&self, name: &str) -> Result<CString> {
        let mut path = self.mount.destination.as_bytes().to_owned();
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
        text(OsStr::from_bytes(&path))
    }
}

/// `name=systemd` is a key and its value, `memory` a key.
fn option(controller: &str) -> Result<FsOption> {
    let (key, value) = match controller.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (controller, None),
    };
    Ok(FsOption {
        key: text(key)?,
        value: value.map(text).transpose()?,
    })
}

fn base_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn text(name: impl AsRef<OsStr>) -> Result<CString> {
    let name = name.as_ref();
    c_string(format_args!("cgroup {}", name.display()), name.as_bytes())
}
