//! Mounts made in a container that runs already, and taken away from it. COMPAT(crun): `mounts add` and `remove`.
//!
//! A borrowed process joins the container's namespaces and executes mount steps there, destinations resolved under the
//! container's root. What runs in it allocates nothing, as in the child of a start.

use super::child::Child;
use super::failure::{During, Failure, Operation, Result as StepResult};
use super::message::ChildEnd;
use super::parent::describe;
use super::path::open_parent;
use super::prepare::{ChildFds, HookState, Prepared};
use super::step;
use crate::error::{Context, Error, Result};
use crate::plan::{InitPlan, Step};
use crate::sys::clone::{Answer, borrow_process, setns};
use crate::sys::{self, mount, open};
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Answer of a borrowed process that did all it was asked.
const DONE: Answer = [-1, 0, 0];

/// A running container's process, and which of its namespaces are not ours, as `CLONE_NEW*` flags.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Any process of the container with its root.
    pub pidfd: BorrowedFd<'a>,
    /// Namespaces to join; the mount namespace must be among them.
    pub namespaces: u64,
}

/// Makes the mounts that `plan`'s steps say, in order. Bind sources are the host's, opened before anything is joined.
pub fn add(target: Target<'_>, plan: &InitPlan) -> Result<()> {
    let fds = ChildFds {
        mounts: open_sources(plan)?,
        ..ChildFds::default()
    };
    let mut prepared = Prepared::new(plan, None, HookState::default(), fds);
    let answer = borrow_process(false, &mut || {
        let mut at = 0;
        match mount_all(target, &mut prepared, &mut at) {
            Ok(()) => DONE,
            Err(failure) => [at, failure.operation as i32, failure.code],
        }
    })
    .context("borrow a process")?;
    match failure_in(answer) {
        Some((at, failure)) => Err(describe(plan, plan.steps.len() as u32 - at, failure)),
        None => Ok(()),
    }
}

/// Unmounts these paths of the container, lazily.
pub fn remove(target: Target<'_>, destinations: &[CString]) -> Result<()> {
    let answer = borrow_process(false, &mut || {
        let mut at = 0;
        match unmount_all(target, destinations, &mut at) {
            Ok(()) => DONE,
            Err(failure) => [at, failure.operation as i32, failure.code],
        }
    })
    .context("borrow a process")?;
    let Some((at, failure)) = failure_in(answer) else {
        return Ok(());
    };
    let what = destinations.get(at as usize).cloned().unwrap_or_default();
    Err(Error::errno(
        format_args!("unmount {}", what.to_string_lossy()),
        failure.errno(),
    ))
}

fn failure_in(answer: Answer) -> Option<(u32, Failure)> {
    let [at, operation, code] = answer;
    let operation = u8::try_from(operation)
        .ok()
        .and_then(Operation::from_number)
        .unwrap_or(Operation::Whole);
    (answer != DONE).then_some((at as u32, Failure { operation, code }))
}

/// Handles that the steps close once they are attached: the borrowed process shares our fds.
fn open_sources(plan: &InitPlan) -> Result<Vec<RawFd>> {
    let sources = plan.prepared_mounts.iter();
    sources
        .map(|prepared| {
            let source = &prepared.source;
            let (recursive, no_follow) = (prepared.recursive, prepared.no_follow);
            mount::clone_tree(libc::AT_FDCWD, source, recursive, no_follow).context(format_args!(
                "open mount source {}",
                source.to_string_lossy()
            ))
        })
        .collect()
}

fn mount_all(target: Target<'_>, prepared: &mut Prepared<'_>, at: &mut i32) -> StepResult {
    let steps = &prepared.plan.steps;
    let root = enter(target)?;
    let mut child = Child::new(prepared, ChildEnd(-1));
    child.root = root;
    for step in steps {
        match step {
            Step::Mount(op) => step::mount::mount(&mut child, op).map_err(without_procfs)?,
            Step::AttachPrepared { prepared, mount } => {
                let attached = step::mount::attach_prepared(&mut child, *prepared, mount);
                attached.map_err(without_procfs)?;
            }
            _ => return Err(Failure::new(Operation::Whole, Errno::EINVAL)),
        }
        *at += 1;
    }
    Ok(())
}

/// KERNEL(<5.12): what stands in for mount_setattr(2) names handles by /proc/self, and the container's procfs doesn't
/// know us.
fn without_procfs(failure: Failure) -> Failure {
    let is_ours = matches!(
        failure.operation,
        Operation::SetAttributes | Operation::SetPropagation
    );
    match is_ours && failure.errno() == Errno::ENOENT {
        true => Failure::new(failure.operation, Errno::ENOSYS),
        false => failure,
    }
}

/// The parent directory is entered and the mount named in it: a file can't be entered itself.
fn unmount_all(target: Target<'_>, destinations: &[CString], at: &mut i32) -> StepResult {
    let root = enter(target)?;
    for destination in destinations {
        let (parent, name) = open_parent(root, destination).during(Operation::Resolve)?;
        open::enter(parent).during(Operation::Enter)?;
        let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
        mount::unmount(name, flags).during(Operation::Whole)?;
        *at += 1;
    }
    Ok(())
}

/// The container's root, seen from inside its namespaces.
fn enter(target: Target<'_>) -> StepResult<RawFd> {
    // CVE-2016-9962: the container's processes must not trace us while we are among them.
    sys::credentials::set_dumpable(false).during(Operation::Whole)?;
    setns(target.pidfd.as_raw_fd(), target.namespaces).during(Operation::JoinNamespace)?;
    open::open_at(libc::AT_FDCWD, c"/", libc::O_PATH, 0).during(Operation::Resolve)
}
