//! Mounts, attached to handles inside the root. SPEC(config.md#mounts)
//!
//! The calls of Linux 5.2 and 5.12 are used where they exist; `mount(2)` on `/proc/self/fd/N` stands in.

use super::{copy_up, legacy};
use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::{self, Missing};
use crate::sys::mount::{self as call, AttributeChange, FD_PATH_BYTES, attribute, fd_path};
use crate::sys::{self, open};
use nix::errno::Errno;
use rootfs::mount::{Attributes, FsOption, Idmap, MountOp, Mounted};
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Makes one mount of the plan.
pub fn mount(child: &mut Child, op: &MountOp) -> Result {
    match &op.what {
        Mounted::FileSystem {
            fs_type,
            source,
            superblock_flags,
            options,
        } => {
            let covered = covered_mode(child, op);
            let made = new_file_system(
                fs_type,
                source,
                *superblock_flags,
                (options, covered),
                op.attributes.set,
            );
            match (made, &op.fallback_bind) {
                (Err(failure), _) if failure == NO_FSOPEN => legacy::file_system(child, op),
                (Err(Failure { code, .. }), Some(host)) if refused(code) => {
                    bind(child, op, host, true, false)
                }
                (made, _) => attach_new(child, op, made?),
            }
        }
        Mounted::Bind {
            source,
            recursive,
            no_follow,
            copy_symlink,
        } => {
            if *copy_symlink && super::device::copy_symlink(child, source, &op.destination)? {
                return Ok(());
            }
            bind(child, op, source, *recursive, *no_follow)
        }
        Mounted::Inner {
            source,
            recursive,
            no_follow,
        } => bind_inner(child, op, source, *recursive, *no_follow),
        Mounted::Remount {
            superblock_flags,
            options,
        } => remount(child, op, *superblock_flags, options),
    }
}

/// Attaches what the parent opened for us.
pub fn attach_prepared(child: &mut Child, prepared: usize, op: &MountOp) -> Result {
    let tree = child.prepared.fds.mounts[prepared];
    attach_bind(child, op, tree)
}

/// KERNEL(<5.2)
const NO_FSOPEN: Failure = Failure {
    operation: Operation::OpenFileSystem,
    code: Errno::ENOSYS as i32,
};

fn refused(code: i32) -> bool {
    code == Errno::EPERM as i32 || code == Errno::EBUSY as i32
}

/// A detached mount of a new instance.
fn new_file_system(
    fs_type: &CStr,
    source: &CStr,
    superblock_flags: u64,
    (options, covered): (&[FsOption], Option<u32>),
    attributes: u64,
) -> Result<RawFd> {
    let context = call::open_context(fs_type).during(Operation::OpenFileSystem)?;
    let mount = configure(context, source, superblock_flags, options)
        .and_then(|()| covered.map_or(Ok(()), |mode| set_mode(context, mode)))
        .and_then(|()| call::create_instance(context).during(Operation::CreateFileSystem))
        .and_then(|()| call::mount_instance(context, attributes).during(Operation::MakeMount));
    open::close(context);
    mount
}

/// Superblock flags by the names that fsconfig(2) takes.
const SUPERBLOCK_OPTIONS: [(u64, &CStr); 5] = [
    (libc::MS_RDONLY, c"ro"),
    (libc::MS_SYNCHRONOUS, c"sync"),
    (libc::MS_DIRSYNC, c"dirsync"),
    (libc::MS_LAZYTIME, c"lazytime"),
    (libc::MS_MANDLOCK, c"mand"),
];

fn configure(context: RawFd, source: &CStr, superblock_flags: u64, options: &[FsOption]) -> Result {
    if !source.is_empty() {
        call::set_option(context, c"source", Some(source)).during(Operation::SetOption)?;
    }
    for (flag, name) in SUPERBLOCK_OPTIONS {
        if superblock_flags & flag != 0 {
            call::set_option(context, name, None).during(Operation::SetOption)?;
        }
    }
    set_options(context, options)
}

fn set_options(context: RawFd, options: &[FsOption]) -> Result {
    options.iter().try_for_each(|option| {
        call::set_option(context, &option.key, option.value.as_deref()).during(Operation::SetOption)
    })
}

/// A mode as tmpfs reads it, with its NUL.
pub(super) fn octal(mode: u32) -> [u8; 5] {
    let digit = |shift: u32| b'0' + (mode >> shift & 7) as u8;
    [digit(9), digit(6), digit(3), digit(0), 0]
}

/// As an option, so that it is shown among them. COMPAT(runc)
fn set_mode(context: RawFd, mode: u32) -> Result {
    let text = octal(mode);
    let value = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    call::set_option(context, c"mode", Some(value)).during(Operation::SetOption)
}

/// A new instance, which already has its attributes.
fn attach_new(child: &mut Child, op: &MountOp, tree: RawFd) -> Result {
    let place = destination(child, op, Missing::Directory)?;
    attach_at(child, op, tree, place, false)
}

fn bind(
    child: &mut Child,
    op: &MountOp,
    source: &CStr,
    recursive: bool,
    no_follow: bool,
) -> Result {
    let tree = match call::clone_tree(libc::AT_FDCWD, source, recursive, no_follow) {
        Err(Errno::ENOSYS) => return legacy::bind(child, op, source, recursive, no_follow),
        other => other.during(Operation::OpenSource)?,
    };
    attach_bind(child, op, tree)
}

/// What other mounts put there may be anybody's, and so may its links: they stay below the root.
fn bind_inner(
    child: &mut Child,
    op: &MountOp,
    source: &CStr,
    recursive: bool,
    no_follow: bool,
) -> Result {
    let flags = libc::O_PATH | if no_follow { libc::O_NOFOLLOW } else { 0 };
    let place = path::open_existing(child.root, source, flags).during(Operation::OpenSource)?;
    let mut buffer = [0; FD_PATH_BYTES];
    let done = match call::clone_tree(place, c"", recursive, no_follow) {
        Err(Errno::ENOSYS) => {
            legacy::bind(child, op, fd_path(place, &mut buffer), recursive, false)
        }
        tree => attach_bind(child, op, tree.during(Operation::OpenSource)?),
    };
    open::close(place);
    done
}

fn attach_bind(child: &mut Child, op: &MountOp, tree: RawFd) -> Result {
    refuse_false_procfs(tree, op)?;
    let place = destination(child, op, like(tree)?)?;
    attach_at(child, op, tree, place, true)
}

/// The detached mount `tree` becomes what `op` says, at `place`. Takes both.
fn attach_at(child: &mut Child, op: &MountOp, tree: RawFd, place: RawFd, bind: bool) -> Result {
    map_ids(child, tree, op.idmap.as_ref())?;
    if op.copy_up {
        copy_up::fill(place, tree).during(Operation::CopyUp)?;
    }
    attach_changed(tree, place, op, bind)?;
    propagate(tree, op)?;
    open::close(place);
    open::close(tree);
    Ok(())
}

/// CVE-2019-16884: programs believe what /proc tells them, about their labels too.
pub(super) fn refuse_false_procfs(source: RawFd, op: &MountOp) -> Result {
    let is_false = op.destination.as_c_str() == c"/proc"
        && open::file_system_type(source) != Ok(super::procfs::PROC_SUPER_MAGIC);
    match is_false {
        true => Err(Failure::new(Operation::NotProcfs, Errno::EPERM)),
        false => Ok(()),
    }
}

/// The mode of the directory that will be covered, where there is one and its mode is wanted.
pub(super) fn covered_mode(child: &Child, op: &MountOp) -> Option<u32> {
    let place = op.keep_mode.then(|| {
        let follow = !op.no_follow_destination;
        path::open_or_make(child.root, &op.destination, Missing::Refuse, follow).ok()
    });
    let place = place.flatten()?;
    let stat = open::stat(place).ok();
    open::close(place);
    Some(stat?.st_mode & 0o7777)
}

/// A file is mounted on a file, a directory on a directory.
pub(super) fn like(fd: RawFd) -> Result<Missing> {
    let stat = open::stat(fd).during(Operation::OpenSource)?;
    Ok(if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
        Missing::Directory
    } else {
        Missing::File
    })
}

pub(super) fn destination(child: &mut Child, op: &MountOp, missing: Missing) -> Result<RawFd> {
    let follow = !op.no_follow_destination;
    child
        .above
        .open_or_make(child.root, &op.destination, missing, follow)
        .during(Operation::MakeDestination)
}

/// The next user namespace that the parent made is ours: both sides count the plan's idmapped mounts in order.
fn map_ids(child: &mut Child, tree: RawFd, idmap: Option<&Idmap>) -> Result {
    let Some(idmap) = idmap else { return Ok(()) };
    let user_namespace = child.prepared.fds.id_maps.get(child.idmaps_used).copied();
    child.idmaps_used += 1;
    let change = AttributeChange {
        set: attribute::IDMAP,
        user_namespace,
        recursive: idmap.recursive,
        ..AttributeChange::default()
    };
    match (call::set_attributes(tree, change), user_namespace) {
        // We are root of the container's user namespace only: the parent listens by now, the plan sees to that.
        (Err(Errno::EPERM), Some(namespace)) if child.is_in_user_namespace() => {
            child.ask_to_map(tree, namespace)
        }
        (mapped, _) => mapped.during(Operation::MapIds),
    }
}

/// A new instance got its own attributes from fsmount(2); a bind mount inherits the source's and changes them here.
fn change_attributes(tree: RawFd, op: &MountOp, bind: bool) -> sys::Result<()> {
    let own = if bind {
        op.attributes
    } else {
        Attributes::default()
    };
    for (attributes, recursive) in [(own, false), (op.recursive_attributes, true)] {
        if attributes != Attributes::default() {
            let Attributes { set, clear } = attributes;
            call::set_attributes(
                tree,
                AttributeChange {
                    set,
                    clear,
                    recursive,
                    ..AttributeChange::default()
                },
            )?;
        }
    }
    Ok(())
}

/// The kernel says EINVAL for a directory on a file; engines, and people, look for ENOTDIR as mount(2) says it.
fn attach(tree: RawFd, place: RawFd) -> Result {
    let attached = call::attach(tree, place);
    if attached == Err(Errno::EINVAL) && is_directory(tree)? != is_directory(place)? {
        return Err(Failure::new(Operation::Attach, Errno::ENOTDIR));
    }
    attached.during(Operation::Attach)
}

fn is_directory(file: RawFd) -> Result<bool> {
    let stat = open::stat(file).during(Operation::Attach)?;
    Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Attaches a mount whose attributes are right before anyone can see it. KERNEL(<5.12): right after.
fn attach_changed(tree: RawFd, place: RawFd, op: &MountOp, bind: bool) -> Result {
    let changed = change_attributes(tree, op, bind);
    if changed != Err(Errno::ENOSYS) {
        changed.during(Operation::SetAttributes)?;
        return attach(tree, place);
    }
    legacy::refuse_recursive(op)?;
    attach(tree, place)?;
    legacy::remount_bind(
        tree,
        legacy::flags(op.attributes.set),
        legacy::flags(op.attributes.clear),
    )
    .during(Operation::SetAttributes)
}

pub(super) fn propagate(tree: RawFd, op: &MountOp) -> Result {
    for propagation in &op.propagation {
        let change = AttributeChange {
            propagation: propagation.flag,
            recursive: propagation.recursive,
            ..AttributeChange::default()
        };
        let changed = match call::set_attributes(tree, change) {
            Err(Errno::ENOSYS) => {
                let mut buffer = [0; FD_PATH_BYTES];
                let flags = propagation.flag
                    | if propagation.recursive {
                        libc::MS_REC
                    } else {
                        0
                    };
                call::mount(None, fd_path(tree, &mut buffer), None, flags, None)
            }
            other => other,
        };
        changed.during(Operation::SetPropagation)?;
    }
    Ok(())
}

fn remount(
    child: &mut Child,
    op: &MountOp,
    superblock_flags: Option<u64>,
    options: &[FsOption],
) -> Result {
    let place = path::open_or_make(child.root, &op.destination, Missing::Refuse, true)
        .during(Operation::Resolve)?;
    if let Some(flags) = superblock_flags {
        match call::pick_context(place) {
            Err(Errno::ENOSYS) => legacy::reconfigure(place, flags, options)?,
            context => reconfigure(context.during(Operation::OpenFileSystem)?, flags, options)?,
        }
    }
    match change_attributes(place, op, true) {
        Err(Errno::ENOSYS) => legacy::change(place, op)?,
        other => other.during(Operation::SetAttributes)?,
    }
    propagate(place, op)?;
    open::close(place);
    Ok(())
}

/// Changes a file system instance, and closes the context.
fn reconfigure(context: RawFd, superblock_flags: u64, options: &[FsOption]) -> Result {
    let read_only = match superblock_flags & libc::MS_RDONLY {
        0 => c"rw",
        _ => c"ro",
    };
    let done = call::set_option(context, read_only, None)
        .during(Operation::SetOption)
        .and_then(|()| set_options(context, options))
        .and_then(|()| call::reconfigure(context).during(Operation::SetOption));
    open::close(context);
    done
}
