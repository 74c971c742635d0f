//! Who the process is: ids, capabilities, scheduling. SPEC(config.md#posix-process-user) SPEC(config.md#linux-process)

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::message::ToInit;
use crate::plan::{CapabilityOp, MemoryPolicyOp, SchedulerOp, UserOp};
use crate::sys::{credentials, memory, open, process, sched};
use nix::errno::Errno;
use std::os::fd::RawFd;

/// Where memory comes from.
pub fn memory_policy(policy: &MemoryPolicyOp) -> Result {
    memory::set_memory_policy(policy.mode, &policy.nodes).during(Operation::Whole)
}

/// Waits until the id maps are written, then is root in the user namespace.
pub fn become_namespace_root(
    child: &mut Child,
    (uid, gid): (u32, u32),
    clear_groups: bool,
) -> Result {
    child
        .expect(ToInit::Continue)
        .map(drop)
        .during(Operation::Receive)?;
    if clear_groups {
        credentials::set_groups(&[]).during(Operation::SetGroups)?;
    }
    credentials::set_group(gid).during(Operation::SetGroup)?;
    credentials::set_user(uid).during(Operation::SetUser)?;
    // Changing ids has cleared this.
    let _ = process::die_with_parent(true);
    // Changing ids made us dumpable or not by the host's rules; other members of the namespaces stay out.
    credentials::set_dumpable(false).during(Operation::SetUser)
}

/// Bounding set, groups, group, user. Permitted capabilities stay until [`set_capabilities`].
pub fn become_user(user: &UserOp) -> Result {
    (0..=2).for_each(|stream| give_stream(stream, user.uid));
    credentials::keep_capabilities(true).during(Operation::SetCapabilities)?;
    for capability in 0..=user.last_capability {
        if user.bounding & 1 << capability == 0 {
            drop_bounding(capability)?;
        }
    }
    if let Some(groups) = &user.groups {
        credentials::set_groups(groups).during(Operation::SetGroups)?;
    }
    credentials::set_group(user.gid).during(Operation::SetGroup)?;
    credentials::set_user(user.uid).during(Operation::SetUser)?;
    // What follows happens with the user's rights, as far as they decide which files it can reach.
    let (_, permitted, inheritable) =
        credentials::capabilities().during(Operation::SetCapabilities)?;
    credentials::set_capabilities(user.effective & permitted, permitted, inheritable)
        .during(Operation::SetCapabilities)
}

/// Without CAP_SETPCAP nothing can be dropped; then only what is absent already may be asked to go.
fn drop_bounding(capability: u8) -> Result {
    match credentials::drop_bounding(capability) {
        Err(Errno::EPERM) if credentials::in_bounding(capability) == Ok(false) => Ok(()),
        Err(Errno::EINVAL) => Ok(()),
        other => other.during(Operation::DropBounding),
    }
}

/// The user owns its standard streams, so that it can open /dev/stdout. COMPAT(runc)
fn give_stream(stream: RawFd, uid: u32) {
    let Ok(stat) = open::stat(stream) else { return };
    let is_null =
        stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3);
    if stat.st_uid != uid && !is_null {
        // Streams on read-only or foreign file systems, or with an unmapped owner, stay as they are.
        let _ = open::change_owner(stream, uid, u32::MAX);
    }
}

/// The last privilege that is given up.
pub fn set_capabilities(sets: &CapabilityOp) -> Result {
    credentials::set_capabilities(sets.effective, sets.permitted, sets.inheritable)
        .during(Operation::SetCapabilities)?;
    for capability in 0..64u8 {
        if sets.ambient & 1 << capability != 0 {
            credentials::raise_ambient(capability).during(Operation::SetAmbient)?;
        }
    }
    Ok(())
}

/// SPEC(config.md#linux-process), `scheduler`.
pub fn schedule(to: &SchedulerOp) -> Result {
    let scheduling = sched::Scheduling {
        policy: to.policy,
        flags: to.flags,
        nice: to.nice,
        priority: to.priority,
        runtime: to.runtime,
        deadline: to.deadline,
        period: to.period,
    };
    sched::set_scheduler(&scheduling).map_err(|errno| Failure::new(Operation::Whole, errno))
}
