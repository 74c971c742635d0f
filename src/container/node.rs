//! Device nodes that the host lacks, for a container with a user namespace, where the kernel lets nobody make one.
//!
//! They lie on a tmpfs that only a mount namespace of a moment has: no name on the host leads to them. What is left are
//! detached mounts, one a node. KERNEL(5.2): before, only the host's devices can be bound.

use crate::error::{Context, Error, Result};
use crate::init::failure::{During, Failure, Operation, Result as StepResult};
use crate::plan::{IdMaps, NodeOp, Plan};
use crate::sys::clone::{borrow_process, unshare};
use crate::sys::mount::{self, clone_tree};
use crate::sys::{open, process};
use nix::errno::Errno;
use oci::runtime::IdMapping;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// What became of a mount that the host's side is to open.
pub enum Opened {
    /// Detached.
    Mount(OwnedFd),
    /// The host has no such device.
    Lacking,
    /// The child binds it, or says why it can't. KERNEL(<5.2): by other calls.
    LeftToInit,
}

impl Opened {
    /// As the child's steps take it.
    pub fn into_raw(self) -> RawFd {
        match self {
            Opened::Mount(tree) => tree.into_raw_fd(),
            Opened::Lacking | Opened::LeftToInit => -1,
        }
    }
}

/// The host's device at `path`, where it is the one that is wanted.
pub fn open_device(path: &CStr, node: &NodeOp) -> Result<Opened> {
    let tree = match clone_tree(libc::AT_FDCWD, path, false, true) {
        Ok(tree) => open::own(tree),
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Opened::Lacking),
        Err(_) => return Ok(Opened::LeftToInit),
    };
    let shown = path.to_string_lossy();
    let stat = open::stat(tree.as_raw_fd());
    let stat = stat.context(format_args!("look at the host's {shown}"))?;
    let is_it = stat.st_mode & libc::S_IFMT == node.mode & libc::S_IFMT
        && stat.st_rdev == libc::makedev(node.major, node.minor);
    Ok(match is_it {
        true => Opened::Mount(tree),
        false => Opened::Lacking,
    })
}

/// A node to make, ready for a process that may not allocate.
struct Missing<'p> {
    index: usize,
    path: &'p CStr,
    name: CString,
    node: &'p NodeOp,
    owner: (u32, u32),
    tree: RawFd,
}

/// Makes the nodes of the devices that `mounts` has not: opened ones and anything but devices stay as they are.
pub fn make_missing(plan: &Plan, mounts: &mut [Opened]) -> Result<()> {
    let Some(maps) = &plan.init.id_maps else {
        return Ok(());
    };
    let wanted = plan.init.prepared_mounts.iter().zip(mounts.iter());
    let absent =
        wanted
            .enumerate()
            .filter_map(|(index, (mount, opened))| match (&mount.node, opened) {
                (Some(node), Opened::Lacking) => Some((index, mount.source.as_c_str(), node)),
                _ => None,
            });
    let missing = absent.map(|(index, path, node)| {
        Ok(Missing {
            index,
            path,
            name: CString::new(index.to_string()).unwrap_or_default(),
            node,
            owner: owner_on_host(maps, path, node)?,
            tree: -1,
        })
    });
    let mut missing = missing.collect::<Result<Vec<_>>>()?;
    if missing.is_empty() {
        return Ok(());
    }
    let failed = make_apart(&mut missing)?;
    let made = missing.iter().filter(|missing| missing.tree >= 0);
    made.for_each(|missing| mounts[missing.index] = Opened::Mount(open::own(missing.tree)));
    match failed {
        None => Ok(()),
        Some((at, failure)) => Err(describe(missing.get(at), failure)),
    }
}

/// SPEC(config-linux.md#devices): the owner is one of the container's. The host writes it down by its own number.
fn owner_on_host(maps: &IdMaps, path: &CStr, node: &NodeOp) -> Result<(u32, u32)> {
    let host_id = |ranges: &[IdMapping], id: u32| {
        ranges.iter().find_map(|range| {
            let offset = id.checked_sub(range.container_id)?;
            (offset < range.size).then(|| range.host_id.checked_add(offset))?
        })
    };
    match (host_id(&maps.uids, node.uid), host_id(&maps.gids, node.gid)) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => Err(Error::new(format!(
            "the device {}: its owner {}:{} is not mapped by the container's user namespace",
            path.to_string_lossy(),
            node.uid,
            node.gid
        ))),
    }
}

/// All nodes, or those before the one that failed: its index, and why. A failure of the whole is the first one's.
fn make_apart(missing: &mut [Missing<'_>]) -> Result<Option<(usize, Failure)>> {
    const DONE: [i32; 3] = [-1, 0, 0];
    let answer = borrow_process(true, &mut || {
        let mut at = 0;
        match make_in_own_namespace(missing, &mut at) {
            Ok(()) => DONE,
            Err(failure) => [at, failure.operation as i32, failure.code],
        }
    })
    .context("borrow a process for device nodes")?;
    let [at, operation, code] = answer;
    let operation = u8::try_from(operation)
        .ok()
        .and_then(Operation::from_number);
    Ok(usize::try_from(at).ok().map(|at| {
        let operation = operation.unwrap_or(Operation::Whole);
        (at, Failure { operation, code })
    }))
}

/// Async-signal-safe. The fds are the caller's too.
fn make_in_own_namespace(missing: &mut [Missing<'_>], at: &mut i32) -> StepResult {
    process::set_umask(0);
    unshare(libc::CLONE_NEWNS as u64).during(Operation::Unshare)?;
    let private = libc::MS_PRIVATE | libc::MS_REC;
    mount::mount(None, c"/", None, private, None).during(Operation::SetPropagation)?;
    let label = missing.first().and_then(|first| first.node.label.as_ref());
    let context = mount::open_context(c"tmpfs").during(Operation::OpenFileSystem)?;
    let tmpfs = label
        .map_or(Ok(()), |label| {
            mount::set_option(context, &label.key, label.value.as_deref())
        })
        .during(Operation::SetOption)
        .and_then(|()| mount::create_instance(context).during(Operation::CreateFileSystem))
        .and_then(|()| {
            let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
            mount::mount_instance(context, attributes).during(Operation::MakeMount)
        });
    open::close(context);
    let tmpfs = tmpfs?;
    let made = fill(tmpfs, missing, at);
    open::close(tmpfs);
    made
}

/// The tmpfs is attached over this namespace's root, which nobody asks for a path any more: only what is attached can be
/// cloned. KERNEL(<6.15)
fn fill(tmpfs: RawFd, missing: &mut [Missing<'_>], at: &mut i32) -> StepResult {
    let root = open::open_at(libc::AT_FDCWD, c"/", libc::O_PATH, 0).during(Operation::Resolve)?;
    let attached = mount::attach(tmpfs, root).during(Operation::Attach);
    open::close(root);
    attached?;
    for missing in missing {
        let NodeOp {
            mode, major, minor, ..
        } = *missing.node;
        let name = missing.name.as_c_str();
        open::make_node(tmpfs, name, mode, major, minor).during(Operation::MakeNode)?;
        missing.tree = clone_tree(tmpfs, name, false, true).during(Operation::OpenSource)?;
        let (uid, gid) = missing.owner;
        open::change_owner(missing.tree, uid, gid).during(Operation::ChangeOwner)?;
        *at += 1;
    }
    Ok(())
}

fn describe(missing: Option<&Missing<'_>>, failure: Failure) -> Error {
    let device = missing.map_or_else(String::new, |missing| {
        let (path, node) = (missing.path.to_string_lossy(), missing.node);
        format!(" {path} ({}:{})", node.major, node.minor)
    });
    let error = Error::errno(
        format_args!(
            "make the device{device}, which the host lacks, for a user namespace: {}",
            failure.operation.text()
        ),
        failure.errno(),
    );
    match failure.operation {
        Operation::MakeNode => error.hint("it needs CAP_MKNOD, and a device cgroup that allows it"),
        _ => error,
    }
}
