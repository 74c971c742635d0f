//! The one `clone3` of a start: directly, or from a borrowed process that has joined namespaces first.
//!
//! A pid namespace takes effect for children only, a user namespace must come before or after others depending on who
//! owns them, and a time namespace wants its offsets before anyone is in it. A short-lived process without memory of
//! its own does all that and makes the child with `CLONE_PARENT`, so the child is ours either way.

use super::message::ParentEnd;
use super::prepare::Prepared;
use super::{child, trace};
use crate::error::{Context, Error, Result};
use crate::plan::namespaces;
use crate::sys::clone::{Answer, Fork, ForkFlags, borrow_process, fork_then, setns, unshare};
use crate::sys::{open, socket};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A namespace that the child shall be in, opened.
#[derive(Debug)]
pub struct Join {
    /// A namespace file, or a pidfd for several flags at once.
    pub fd: OwnedFd,
    /// `CLONE_NEW*` flags.
    pub flags: u64,
    /// For messages.
    pub name: String,
}

/// Where the child starts.
#[derive(Debug, Default)]
pub struct Placement<'a> {
    /// Namespaces to join.
    pub join: Vec<Join>,
    /// A cgroup2 directory to start in.
    pub into_cgroup: Option<BorrowedFd<'a>>,
}

/// A child that was just made.
#[derive(Debug)]
pub struct NewProcess {
    /// Its pid as we see it.
    pub pid: i32,
    /// A handle on it.
    pub pidfd: OwnedFd,
    /// Our end of the protocol.
    pub end: OwnedFd,
}

/// Makes the child, which begins with the plan's steps at once.
pub fn spawn(prepared: &mut Prepared<'_>, placement: &Placement<'_>) -> Result<NewProcess> {
    let (ours, theirs) = socket::pair().context("make a socket pair")?;
    let (ours, theirs) = (open::own(ours), open::own(theirs));
    let (steps, trigger) = (&prepared.plan.steps, prepared.fault.trigger());
    prepared.fds.keep_only(steps, theirs.as_raw_fd(), trigger);
    let is_direct = placement.join.is_empty() && prepared.plan.time_offsets.is_empty();
    let mut made = match is_direct {
        true => direct(prepared, placement, theirs.as_raw_fd()),
        false => from_borrowed_process(prepared, placement, theirs.as_raw_fd(), HAS_CLONE3),
    };
    if made
        .as_ref()
        .is_err_and(|error| error.os() == Some(Errno::ENOSYS))
    {
        made = from_borrowed_process(prepared, placement, theirs.as_raw_fd(), !HAS_CLONE3);
    }
    let (pid, pidfd) = made?;
    trace::add_child(pid, prepared.plan, prepared.marks);
    Ok(NewProcess {
        pid,
        pidfd: open::own(pidfd),
        end: ours,
    })
}

fn direct(
    prepared: &mut Prepared<'_>,
    placement: &Placement<'_>,
    theirs: RawFd,
) -> Result<(i32, RawFd)> {
    let flags = prepared.plan.new_namespaces;
    let how = ForkFlags {
        flags,
        into_cgroup: placement.into_cgroup,
    };
    match fork_then(how, || child::run(prepared, theirs, Ok(()))) {
        Ok(Fork::Parent { pid, pidfd }) => Ok((pid, pidfd)),
        Ok(Fork::Child) => Err(Error::new("clone3: returned twice")),
        Err(errno) => Err(explain(flags, errno)),
    }
}

fn explain(flags: u64, errno: Errno) -> Error {
    let names = namespace_names(flags);
    let names = if names.is_empty() { "none" } else { &names };
    let error = Error::errno(format_args!("clone3 with new namespaces: {names}"), errno);
    match errno {
        // KERNEL: CLONE_INTO_CGROUP of a cgroup that can't have processes.
        Errno::EOPNOTSUPP => error.hint(
            "its cgroup is below a threaded one, or below one that holds processes itself; name another in linux.cgroupsPath",
        ),
        Errno::EBUSY => error.hint(
            "its cgroup gives controllers to cgroups below it, so it can't hold processes; name another in linux.cgroupsPath",
        ),
        Errno::EPERM => {
            error.hint("without privileges a container needs a user namespace of its own")
        }
        Errno::ENOSPC | Errno::EUSERS => {
            error.hint("a limit in /proc/sys/user/max_*_namespaces is reached")
        }
        Errno::EINVAL => error.hint("the kernel lacks one of these namespaces"),
        _ => error,
    }
}

/// Namespace flags in words, as the specification names the types.
pub fn namespace_names(flags: u64) -> String {
    namespaces::names(flags).join("+")
}

/// How far the borrowed process came, the first number of its [`Answer`].
const MADE: i32 = 1;
const JOIN_FAILED: i32 = 2;
const UNSHARE_FAILED: i32 = 3;
const OFFSETS_FAILED: i32 = 4;
const CLONE_FAILED: i32 = 5;
const CGROUP_FAILED: i32 = 6;

/// Whether the kernel has clone3, and lets us have it.
const HAS_CLONE3: bool = true;

/// What the borrowed process does because the clone can't.
struct Detour {
    /// `cgroup.procs`, to write itself into; -1 where the child is cloned into its cgroup.
    cgroup_procs: RawFd,
    /// Makes the time namespace first.
    unshare_time: bool,
}

impl Detour {
    /// KERNEL: who has joined another user namespace may not clone into a cgroup that isn't that namespace's own.
    fn of(prepared: &Prepared<'_>, placement: &Placement<'_>, has_clone3: bool) -> Result<Detour> {
        let (user, time) = (libc::CLONE_NEWUSER as u64, libc::CLONE_NEWTIME as u64);
        let joins_user = placement.join.iter().any(|join| join.flags & user != 0);
        let writes = placement.into_cgroup.filter(|_| joins_user || !has_clone3);
        let open = |directory: BorrowedFd<'_>| {
            open::open_at(directory.as_raw_fd(), c"cgroup.procs", libc::O_WRONLY, 0)
                .context("open cgroup.procs of the container's cgroup")
        };
        let made_without = !has_clone3 && prepared.plan.new_namespaces & time != 0;
        Ok(Detour {
            cgroup_procs: writes.map_or(Ok(-1), open)?,
            unshare_time: made_without || !prepared.plan.time_offsets.is_empty(),
        })
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        if self.cgroup_procs >= 0 {
            open::close(self.cgroup_procs);
        }
    }
}

fn from_borrowed_process(
    prepared: &mut Prepared<'_>,
    placement: &Placement<'_>,
    theirs: RawFd,
    has_clone3: bool,
) -> Result<(i32, RawFd)> {
    let time = libc::CLONE_NEWTIME as u64;
    let joins_time = placement.join.iter().any(|join| join.flags & time != 0);
    let detour = Detour::of(prepared, placement, has_clone3)?;
    let share_memory = !joins_time && !detour.unshare_time;
    let answer = borrow_process(share_memory, &mut || {
        place_and_fork(prepared, placement, &detour, theirs)
    })
    .context("clone a process that joins namespaces")?;
    match answer {
        [MADE, pid, pidfd] => Ok((pid, pidfd)),
        [JOIN_FAILED, errno, index] => {
            let join = &placement.join[index as usize];
            Err(Error::errno(
                format_args!("join {}", join.name),
                Errno::from_raw(errno),
            ))
        }
        [UNSHARE_FAILED, errno, _] => Err(Error::errno(
            "unshare the time namespace",
            Errno::from_raw(errno),
        )),
        [CGROUP_FAILED, errno, _] => Err(Error::errno(
            "write 0 to cgroup.procs of the container's cgroup",
            Errno::from_raw(errno),
        )),
        [OFFSETS_FAILED, errno, _] => {
            let offsets = prepared.plan.time_offsets.trim_end().replace('\n', ", ");
            Err(Error::errno(
                format_args!("write {offsets} to /proc/self/timens_offsets"),
                Errno::from_raw(errno),
            ))
        }
        [_, errno, _] => Err(explain(
            prepared.plan.new_namespaces,
            Errno::from_raw(errno),
        )),
    }
}

/// Runs in the borrowed process: async-signal-safe.
fn place_and_fork(
    prepared: &mut Prepared<'_>,
    placement: &Placement<'_>,
    detour: &Detour,
    theirs: RawFd,
) -> Answer {
    let enters = detour.cgroup_procs >= 0;
    if enters && let Err(errno) = open::write_all(detour.cgroup_procs, b"0") {
        return [CGROUP_FAILED, errno as i32, 0];
    }
    let cgroup_namespace = libc::CLONE_NEWCGROUP as u64;
    let into_cgroup = placement.into_cgroup.filter(|_| !enters);
    let later = if into_cgroup.is_some() {
        cgroup_namespace
    } else {
        0
    };
    if let Err((errno, index)) = join_all(&placement.join, !later) {
        return [JOIN_FAILED, errno as i32, index as i32];
    }
    let mut flags = prepared.plan.new_namespaces;
    if detour.unshare_time {
        // Rootless, the right to make a time namespace comes with the user namespace.
        let first = if unshare(libc::CLONE_NEWTIME as u64) == Err(Errno::EPERM) {
            flags & libc::CLONE_NEWUSER as u64
        } else {
            0
        };
        if first != 0
            && let Err(errno) = unshare(first).and_then(|()| unshare(libc::CLONE_NEWTIME as u64))
        {
            return [UNSHARE_FAILED, errno as i32, 0];
        }
        flags &= !(libc::CLONE_NEWTIME as u64 | first);
        if let Err(errno) = write_offsets(&prepared.plan.time_offsets) {
            return [OFFSETS_FAILED, errno as i32, 0];
        }
    }
    let how = ForkFlags {
        flags: flags | libc::CLONE_PARENT as u64,
        into_cgroup,
    };
    let child = || {
        // KERNEL: with `nsdelegate`, systemd's choice, nobody in a cgroup namespace may come into a cgroup from outside.
        let joined = join_all(&placement.join, later).map_err(|(errno, _)| errno);
        child::run(prepared, theirs, joined)
    };
    match fork_then(how, child) {
        Ok(Fork::Parent { pid, pidfd }) => [MADE, pid, pidfd],
        Ok(Fork::Child) => [CLONE_FAILED, Errno::EINVAL as i32, 0],
        Err(errno) => [CLONE_FAILED, errno as i32, 0],
    }
}

/// Joins in the given order those namespaces that `wanted` has. One that is refused may belong to the user namespace and
/// is tried again after it.
fn join_all(joins: &[Join], wanted: u64) -> std::result::Result<(), (Errno, usize)> {
    let mut refused = [false; 16];
    for (index, join) in joins.iter().enumerate() {
        if join.flags & wanted == 0 {
            continue;
        }
        match setns(join.fd.as_raw_fd(), join.flags & wanted) {
            Err(Errno::EPERM) if index < refused.len() => refused[index] = true,
            other => other.map_err(|errno| (errno, index))?,
        }
    }
    for (index, join) in joins.iter().enumerate() {
        if index < refused.len() && refused[index] {
            setns(join.fd.as_raw_fd(), join.flags & wanted).map_err(|errno| (errno, index))?;
        }
    }
    Ok(())
}

fn write_offsets(offsets: &str) -> crate::sys::Result<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    let file = open::open_at(
        libc::AT_FDCWD,
        c"/proc/self/timens_offsets",
        libc::O_WRONLY,
        0,
    )?;
    let written = open::write_all(file, offsets.as_bytes());
    open::close(file);
    written
}

impl NewProcess {
    /// The parent's end, typed.
    pub fn messages(&self) -> ParentEnd {
        ParentEnd(self.end.as_raw_fd())
    }
}
