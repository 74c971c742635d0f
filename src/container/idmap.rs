//! What the host's side makes before the clone: bind sources as detached mounts, user namespaces that map mounts' ids.

use super::node::{self, Opened};
use crate::error::{Context, Error, Result};
use crate::init::failure::Operation;
use crate::init::parent::{map_text, write_proc};
use crate::init::stack_overlay;
use crate::plan::{LowerOp, OverlayOp, Plan, PreparedMount, Step};
use crate::sys::clone::{
    Fork, ForkFlags, borrow_process, fork_then, pidfd_send_signal, wait_pidfd,
};
use crate::sys::mount::{AttributeChange, attribute, clone_tree, set_attributes};
use crate::sys::{credentials, open, process};
use nix::errno::Errno;
use oci::runtime::IdMapping;
use rootfs::mount::{Idmap, IdmapSource};
use std::ffi::CString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// The detached mounts of `prepared_mounts`, -1 for a device that the child is to find itself, then the user namespaces
/// of the id-mapped steps, each in the plan's order.
pub fn prepare(plan: &Plan) -> Result<(Vec<RawFd>, Vec<RawFd>)> {
    let wanted = &plan.init.prepared_mounts;
    let mounts = wanted.iter().map(|mount| match &mount.node {
        Some(node) => node::open_device(&mount.source, node),
        None => prepare_mount(plan, mount).map(Opened::Mount),
    });
    let mut mounts = mounts.collect::<Result<Vec<_>>>()?;
    node::make_missing(plan, &mut mounts)?;
    let of_steps = plan.init.steps.iter().filter_map(|step| match step {
        Step::Mount(op) => op.idmap.as_ref(),
        _ => None,
    });
    let namespaces = of_steps
        .map(|idmap| user_namespace(plan, idmap))
        .collect::<Result<Vec<_>>>()?;
    let namespaces = namespaces.into_iter().map(IntoRawFd::into_raw_fd);
    let mounts = mounts.into_iter().map(Opened::into_raw);
    Ok((mounts.collect(), namespaces.collect()))
}

/// The image's layers, stacked with the ids of the container's user namespace: a detached mount, or -1.
///
/// Overlayfs maps no ids itself. So it gets its directories through one idmapped mount of the whole store, which is
/// attached nowhere. KERNEL(6.15): before, overlayfs takes no directories of such a mount.
pub fn prepare_root(plan: &Plan) -> Result<RawFd> {
    let Some(op) = &plan.init.prepared_root else {
        return Ok(-1);
    };
    let base = common_directory(op);
    let shown = base.to_string_lossy().into_owned();
    let tree = clone_tree(libc::AT_FDCWD, &base, false, false)
        .context(format_args!("open the image store {shown}"))?;
    let tree = open::own(tree);
    let idmap = Idmap {
        mapping: IdmapSource::Container,
        recursive: false,
    };
    map_tree(plan, &tree, &idmap, &shown)?;
    let number = tree.as_raw_fd();
    let through = |path: &CString| {
        let below = &path.to_bytes()[base.as_bytes().len()..];
        CString::new([format!("/proc/self/fd/{number}").as_bytes(), below].concat())
            .unwrap_or_default()
    };
    let images = op.lowers.iter().map(|lower| match lower {
        LowerOp::Mounted(fd) => mapped_image(plan, *fd, &idmap).map(Some),
        LowerOp::Directory(_) => Ok(None),
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let lowers = op.lowers.iter().zip(&images);
    let lowers = lowers.map(|(lower, image)| match (lower, image) {
        (LowerOp::Directory(path), _) => LowerOp::Directory(through(path)),
        (_, Some(image)) => LowerOp::Mounted(image.as_raw_fd()),
        (lower, None) => lower.clone(),
    });
    let mapped = OverlayOp {
        lowers: lowers.collect(),
        upper: op
            .upper
            .as_ref()
            .map(|(upper, work)| (through(upper), through(work))),
        ..op.clone()
    };
    stack_as_container_root(plan, &mapped)
}

/// A copy of an image's mount with mapped ids: the one there is stays as it is, for whoever reads through it.
fn mapped_image(plan: &Plan, image: RawFd, idmap: &Idmap) -> Result<OwnedFd> {
    let tree = clone_tree(image, c"", false, false).context("copy the mount of a layer's image")?;
    let tree = open::own(tree);
    map_tree(plan, &tree, idmap, "a layer's image")?;
    Ok(tree)
}

/// Overlayfs works with the ids of whoever mounts it, and those must be among the mapped ones.
fn stack_as_container_root(plan: &Plan, op: &OverlayOp) -> Result<RawFd> {
    const STACKED: i32 = 1;
    const NO_CREDENTIALS: i32 = 2;
    let root_of = |ranges: &[IdMapping]| {
        let range = ranges.iter().find(|range| range.container_id == 0);
        range.map(|range| range.host_id)
    };
    let maps = plan.init.id_maps.as_ref();
    let ids = maps.and_then(|maps| Some((root_of(&maps.uids)?, root_of(&maps.gids)?)));
    let Some((uid, gid)) = ids else {
        return Err(Error::new(
            "the container's user namespace maps no root: an image needs one",
        ));
    };
    let answer = borrow_process(false, &mut || {
        if let Err(errno) = become_id(uid, gid) {
            return [NO_CREDENTIALS, errno as i32, 0];
        }
        match stack_overlay(op) {
            Ok(tree) => [STACKED, tree, 0],
            Err(failure) => [-1, failure.code, failure.operation as i32],
        }
    })
    .context("clone a process that stacks the image's layers")?;
    match answer {
        [STACKED, tree, _] => Ok(tree),
        [NO_CREDENTIALS, errno, _] => Err(Error::errno(
            format_args!("become user {uid}:{gid} with all capabilities"),
            Errno::from_raw(errno),
        )),
        [_, errno, operation] => {
            let part = Operation::from_number(operation as u8).map_or("", Operation::text);
            Err(Error::errno(
                format_args!("stack the image's layers with mapped ids: {part}"),
                Errno::from_raw(errno),
            )
            .hint(
                "the store's file system must support idmapped mounts, and Linux be 6.15 or newer",
            ))
        }
    }
}

fn become_id(uid: u32, gid: u32) -> crate::sys::Result<()> {
    let (_, permitted, inheritable) = credentials::capabilities()?;
    credentials::set_group(gid)?;
    credentials::keep_capabilities(true)?;
    credentials::set_user(uid)?;
    credentials::set_capabilities(permitted, permitted, inheritable)
}

/// The deepest directory that all layers and the container's own directory lie in.
fn common_directory(op: &OverlayOp) -> CString {
    let upper = op.upper.iter().flat_map(|(upper, work)| [upper, work]);
    let lowers = op.lowers.iter().filter_map(|lower| match lower {
        LowerOp::Directory(path) => Some(path),
        LowerOp::Mounted(_) => None,
    });
    let mut paths = lowers.chain(upper);
    let first = paths.next().map_or(&b"/"[..], |path| path.to_bytes());
    let common = paths.fold(first, |common, path| {
        let same = common
            .iter()
            .zip(path.to_bytes())
            .take_while(|(a, b)| a == b)
            .count();
        &common[..same]
    });
    let end = common.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    CString::new(&common[..end.max(1)]).unwrap_or_default()
}

fn prepare_mount(plan: &Plan, mount: &PreparedMount) -> Result<OwnedFd> {
    let source = mount.source.to_string_lossy();
    let tree = clone_tree(
        libc::AT_FDCWD,
        &mount.source,
        mount.recursive,
        mount.no_follow,
    )
    .context(format_args!("open the bind source {source}"))?;
    let tree = open::own(tree);
    if let Some(idmap) = &mount.idmap {
        map_tree(plan, &tree, idmap, &source)?;
    }
    Ok(tree)
}

fn map_tree(plan: &Plan, tree: &OwnedFd, idmap: &Idmap, source: &str) -> Result<()> {
    let namespace = user_namespace(plan, idmap)?;
    let change = AttributeChange {
        set: attribute::IDMAP,
        user_namespace: Some(namespace.as_raw_fd()),
        recursive: idmap.recursive,
        ..AttributeChange::default()
    };
    set_attributes(tree.as_raw_fd(), change)
        .context(format_args!("map the ids of the mount of {source}"))
        .map_err(|error| match error.os() {
            Some(Errno::EINVAL) => {
                error.hint("the source's file system does not support idmapped mounts")
            }
            _ => error,
        })
}

/// The container's own, where it is another's. COMPAT(runc)
fn joined_user_namespace(plan: &Plan) -> Result<OwnedFd> {
    let user = libc::CLONE_NEWUSER as u64;
    let Some(namespace) = plan.init.join.iter().find(|join| join.flag == user) else {
        return Err(Error::new(
            "an idmapped mount without mappings needs a user namespace",
        ));
    };
    let path = namespace.path.display();
    let opened = std::fs::File::open(&namespace.path);
    opened
        .map(OwnedFd::from)
        .context(format_args!("open {path}"))
}

/// A user namespace whose only purpose is its maps: a process is born in it, its maps are written, it is killed.
fn user_namespace(plan: &Plan, idmap: &Idmap) -> Result<OwnedFd> {
    let (uids, gids) = match &idmap.mapping {
        IdmapSource::Ranges { uids, gids } => (uids, gids),
        IdmapSource::Container => match &plan.init.id_maps {
            Some(maps) => (&maps.uids, &maps.gids),
            None => return joined_user_namespace(plan),
        },
    };
    let how = ForkFlags {
        flags: libc::CLONE_NEWUSER as u64,
        into_cgroup: None,
    };
    let parent = process::pid();
    let made = fork_then(how, || {
        // Asked after the wish: a parent that is killed at any moment leaves nobody behind.
        let lost = process::die_with_parent(true).is_err() || process::parent_pid() != parent;
        if lost {
            process::exit(1);
        }
        loop {
            process::pause();
        }
    });
    let Fork::Parent { pid, pidfd } =
        made.context("clone a user namespace for an idmapped mount")?
    else {
        process::exit(1)
    };
    let pidfd = open::own(pidfd);
    let namespace = write_proc(pid, "uid_map", &map_text(uids))
        .and_then(|()| write_proc(pid, "gid_map", &map_text(gids)))
        .and_then(|()| {
            let path = format!("/proc/{pid}/ns/user");
            std::fs::File::open(&path).context(format_args!("open {path}"))
        });
    let _ = pidfd_send_signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
    let _ = wait_pidfd(pidfd.as_raw_fd(), true);
    namespace.map(OwnedFd::from)
}
