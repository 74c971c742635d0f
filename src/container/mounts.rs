//! `mounts add` and `mounts remove`: changes what a running container sees. COMPAT(crun): experimental there too.

use super::status::is_alive;
use super::{Globals, Id, Record, StateDir, Status};
use crate::error::{Context, Error, Result};
use crate::host;
use crate::init::attach::{self, Target};
use crate::plan::{InitPlan, PreparedMount, Step};
use crate::sys::clone::pidfd_open;
use oci::runtime::{Linux, Mount};
use rootfs::mount::{MountFacts, MountOp, Mounted, plan_mount};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// Namespaces that decide what a mount shows, by their name in /proc and their `CLONE_NEW*` flag.
const NAMESPACES: [(&str, i32); 6] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

/// Makes `mounts` in the container, in order.
pub fn add(globals: &Globals, id: &Id, mounts: &[Mount]) -> Result<()> {
    let operation = format!("add mounts to {id}");
    let (dir, record, init) = running(globals, id).context(&operation)?;
    let linux = dir.config()?.linux.unwrap_or_default();
    let plan = plan(&record, &linux, mounts).context(&operation)?;
    attach::add(target(&record, &init)?, &plan).context(&operation)
}

/// Takes away what is mounted at these mounts' destinations, the last first.
pub fn remove(globals: &Globals, id: &Id, mounts: &[Mount]) -> Result<()> {
    let operation = format!("remove mounts from {id}");
    let (_dir, record, init) = running(globals, id).context(&operation)?;
    let destinations: Vec<CString> = mounts
        .iter()
        .rev()
        .map(|mount| CString::new(mount.destination.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::new("destination: it contains a NUL").context(&operation))?;
    attach::remove(target(&record, &init)?, &destinations).context(&operation)
}

/// The container, locked, and a handle of its init.
fn running(globals: &Globals, id: &Id) -> Result<(StateDir, Record, OwnedFd)> {
    let dir = StateDir::open_locked(&globals.root, id)?;
    let record = dir.read()?;
    if !Status::of(&record, &dir).has_process() {
        return Err(Error::new("container not running"));
    }
    let init = pidfd_open(record.pid).map_err(|errno| {
        let error = Error::errno(format_args!("open pidfd of {}", record.pid), errno);
        match errno {
            nix::errno::Errno::ENOSYS => error.hint("mounts in a running container need Linux 5.8"),
            _ => error,
        }
    })?;
    match is_alive(record.pid, record.pid_start_ticks) {
        true => Ok((dir, record, init)),
        false => Err(Error::new("container not running")),
    }
}

fn plan(record: &Record, linux: &Linux, mounts: &[Mount]) -> Result<InitPlan> {
    let facts = facts(record, linux, host::has_selinux());
    let mut plan = InitPlan::default();
    for (index, mount) in mounts.iter().enumerate() {
        let op = plan_mount(mount, index, &facts).map_err(|error| Error::new(error.to_string()))?;
        if op.idmap.is_some() {
            let at = format!("mounts[{index}]");
            return Err(Error::new(format!(
                "{at}: a running container gets no idmapped mounts"
            )));
        }
        plan_step(&mut plan, op);
    }
    Ok(plan)
}

/// A bind source is the host's, so our side opens it; anything else is made inside.
fn plan_step(plan: &mut InitPlan, op: MountOp) {
    let late = op.late_readonly();
    match &op.what {
        Mounted::Bind {
            source,
            recursive,
            no_follow,
            ..
        } => {
            plan.prepared_mounts.push(PreparedMount {
                source: source.clone(),
                recursive: *recursive,
                no_follow: *no_follow,
                idmap: None,
                node: None,
            });
            plan.steps.push(Step::AttachPrepared {
                prepared: plan.prepared_mounts.len() - 1,
                mount: op,
            });
        }
        _ => plan.steps.push(Step::Mount(op)),
    }
    plan.steps.extend(late.map(Step::Mount));
}

fn facts<'a>(record: &'a Record, linux: &'a Linux, selinux: bool) -> MountFacts<'a> {
    let new = |kind: &str| {
        let mut namespaces = linux.namespaces.iter();
        namespaces.any(|namespace| namespace.kind == kind && namespace.path.is_empty())
    };
    let user = linux
        .namespaces
        .iter()
        .any(|namespace| namespace.kind == "user");
    MountFacts {
        bundle: &record.bundle,
        root: None,
        label: match selinux {
            true => &linux.mount_label,
            false => "",
        },
        label_option: record
            .annotations
            .get("run.oci.mount_context_type")
            .map_or("context", String::as_str),
        user_namespace: user,
        new_network_namespace: new("network"),
        new_ipc_namespace: new("ipc"),
        uid_mappings: &linux.uid_mappings,
        gid_mappings: &linux.gid_mappings,
    }
}

fn target<'a>(record: &Record, init: &'a OwnedFd) -> Result<Target<'a>> {
    let mut namespaces = 0;
    for (name, flag) in NAMESPACES {
        let link = |process: &str| {
            let path = format!("/proc/{process}/ns/{name}");
            std::fs::read_link(&path).context(format_args!("read {path}"))
        };
        if link("self")? != link(&record.pid.to_string())? {
            namespaces |= flag as u64;
        }
    }
    match namespaces & libc::CLONE_NEWNS as u64 {
        0 => Err(Error::new(
            "the container has no mount namespace of its own",
        )),
        _ => Ok(Target {
            pidfd: init.as_fd(),
            namespaces,
        }),
    }
}
