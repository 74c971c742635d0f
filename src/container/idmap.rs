//! What the host's side makes before the clone: bind sources as detached mounts, user namespaces that map mounts' ids.

use crate::error::{Context, Error, Result};
use crate::init::parent::{map_text, write_proc};
use crate::plan::{Plan, PreparedMount, Step};
use crate::sys::clone::{Fork, ForkFlags, fork_then, pidfd_send_signal, wait_pidfd};
use crate::sys::mount::{AttributeChange, attribute, clone_tree, set_attributes};
use crate::sys::{open, process};
use nix::errno::Errno;
use rootfs::mount::{Idmap, IdmapSource};
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};

/// The detached mounts of `prepared_mounts`, then the user namespaces of the id-mapped steps, each in the plan's order.
pub fn prepare(plan: &Plan) -> Result<(Vec<RawFd>, Vec<RawFd>)> {
    let mounts = plan
        .init
        .prepared_mounts
        .iter()
        .map(|mount| prepare_mount(plan, mount));
    let mounts = mounts.collect::<Result<Vec<_>>>()?;
    let of_steps = plan.init.steps.iter().filter_map(|step| match step {
        Step::Mount(op) => op.idmap.as_ref(),
        _ => None,
    });
    let namespaces = of_steps
        .map(|idmap| user_namespace(plan, idmap))
        .collect::<Result<Vec<_>>>()?;
    let raw = |fds: Vec<OwnedFd>| fds.into_iter().map(IntoRawFd::into_raw_fd).collect();
    Ok((raw(mounts), raw(namespaces)))
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
        let namespace = user_namespace(plan, idmap)?;
        let change = AttributeChange {
            set: attribute::IDMAP,
            user_namespace: Some(std::os::fd::AsRawFd::as_raw_fd(&namespace)),
            recursive: idmap.recursive,
            ..AttributeChange::default()
        };
        set_attributes(std::os::fd::AsRawFd::as_raw_fd(&tree), change)
            .context(format_args!("map the ids of the mount of {source}"))
            .map_err(|error| match error.os() {
                Some(Errno::EINVAL) => {
                    error.hint("the source's file system does not support idmapped mounts")
                }
                _ => error,
            })?;
    }
    Ok(tree)
}

/// A user namespace whose only purpose is its maps: a process is born in it, its maps are written, it is killed.
fn user_namespace(plan: &Plan, idmap: &Idmap) -> Result<OwnedFd> {
    let (uids, gids) = match &idmap.mapping {
        IdmapSource::Ranges { uids, gids } => (uids, gids),
        IdmapSource::Container => match &plan.init.id_maps {
            Some(maps) => (&maps.uids, &maps.gids),
            None => {
                return Err(Error::new(
                    "an idmapped mount without mappings needs a new user namespace",
                ));
            }
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
    let _ = wait_pidfd(std::os::fd::AsRawFd::as_raw_fd(&pidfd), true);
    namespace.map(OwnedFd::from)
}
