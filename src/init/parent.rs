//! The parent: answers the child's messages, in an order that the types hold it to.
//!
//! `Spawned -> Mapped -> Joined -> Created -> Running`. Each consumes the one before; dropping any but the last kills
//! the child by its pidfd and reaps it. docs/init-protocol.md

use super::failure::{Failure, Operation};
use super::fault;
use super::message::{Fds, FromInit, ParentEnd, ToInit};
use super::spawn::NewProcess;
use super::trace;
use crate::error::{Context, Error, Result};
use crate::plan::{IdMaps, InitPlan, RlimitOp, Step};
use crate::sys::clone::{Exit, pidfd_send_signal, wait_pidfd};
use crate::sys::mount::{AttributeChange, attribute, set_attributes};
use crate::sys::socket::{self, Waited};
use crate::sys::{open, process};
use nix::errno::Errno;
use oci::runtime::IdMapping;
use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// The child while its parent is responsible for it.
struct Init<'p> {
    process: Option<NewProcess>,
    plan: &'p InitPlan,
    /// Readable when we are asked to end.
    interrupt: Option<BorrowedFd<'p>>,
    /// It has said so.
    is_created: bool,
}

impl Drop for Init<'_> {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            let _ = pidfd_send_signal(process.pidfd.as_fd(), libc::SIGKILL);
            let _ = wait_pidfd(process.pidfd.as_raw_fd(), true);
        }
    }
}

impl Init<'_> {
    fn messages(&self) -> ParentEnd {
        ParentEnd(
            self.process
                .as_ref()
                .map_or(-1, |process| process.end.as_raw_fd()),
        )
    }

    fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |process| process.pid)
    }

    /// The child closed its end without a word: how did it end?
    fn died(&self) -> Error {
        let exit = self
            .process
            .as_ref()
            .and_then(|process| wait_pidfd(process.pidfd.as_raw_fd(), true).ok().flatten());
        match exit {
            Some(Exit::Signal(libc::SIGKILL)) => Error::new(
                "the container's init was killed before it was ready",
            )
            .hint("it may have run out of memory: is the memory limit large enough to start in?"),
            Some(Exit::Signal(signal)) => Error::new(format!(
                "the container's init was ended by signal {signal} before it was ready"
            )),
            _ => Error::new("the container's init ended before it was ready"),
        }
    }

    /// Returns when only the program is missing: from then on the end of messages means that the child became it.
    fn await_created(&self) -> Result<()> {
        let mut is_created = self.is_created;
        while !is_created {
            match receive(self.messages(), self.interrupt)? {
                None => return Err(self.died()),
                Some((FromInit::Failed(step, failure), _)) => {
                    return Err(describe(self.plan, step, failure));
                }
                Some((message, _)) => is_created = message == FromInit::Created,
            }
        }
        Ok(())
    }

    fn tell(&self, message: ToInit, fds: &[RawFd]) -> Result<()> {
        match self.messages().send(message, fds) {
            // It has failed meanwhile; what it said about that is still to be read.
            Err(Errno::EPIPE | Errno::ECONNRESET) => match self.messages().receive() {
                Ok(Some((FromInit::Failed(step, failure), _))) => {
                    Err(describe(self.plan, step, failure))
                }
                _ => Err(self.died()),
            },
            other => other.context(format_args!("send {message:?} to the container's init")),
        }
    }
}

/// A child that waits for its id maps, or needs none.
pub struct Spawned<'p>(Init<'p>);

/// A child whose ids are mapped.
pub struct Mapped<'p>(Init<'p>);

/// A child that was given its cgroups and is at work.
pub struct Joined<'p>(Init<'p>);

/// A child that has done everything but become its program, or all that its parent has a part in.
pub struct Created<'p>(Init<'p>);

/// A process that no longer depends on us.
#[derive(Debug)]
pub struct Running {
    /// As we see it.
    pub pid: i32,
    /// A handle on it.
    pub pidfd: OwnedFd,
}

impl<'p> Spawned<'p> {
    /// Takes charge of a new child. Waiting for it ends with an error when `interrupt` becomes readable.
    pub fn new(process: NewProcess, plan: &'p InitPlan, interrupt: Option<BorrowedFd<'p>>) -> Self {
        Spawned(Init {
            process: Some(process),
            plan,
            interrupt,
            is_created: false,
        })
    }

    /// The child's pid as we see it.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Writes the id maps where there is a user namespace, then the limits that only we may raise.
    pub fn map_ids(self) -> Result<Mapped<'p>> {
        let pid = self.0.pid();
        if let Some(maps) = &self.0.plan.id_maps {
            write_id_maps(pid, maps)?;
        }
        if let Some(score) = self.0.plan.oom_score_adj {
            set_oom_score(pid, score)?;
        }
        self.0
            .plan
            .rlimits
            .iter()
            .try_for_each(|limit| set_limit(pid, limit))?;
        if matches!(
            self.0.plan.steps.first(),
            Some(Step::BecomeNamespaceRoot { .. })
        ) {
            self.0.tell(ToInit::Continue, &[])?;
        }
        Ok(Mapped(self.0))
    }
}

impl<'p> Mapped<'p> {
    /// The child's pid as we see it.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Hands over the cgroup files that the child writes itself into.
    pub fn join_cgroups(self, files: &[OwnedFd]) -> Result<Joined<'p>> {
        if self.0.plan.steps.contains(&Step::JoinCgroup) {
            let fds: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
            self.0.tell(ToInit::Cgroup, &fds)?;
        }
        Ok(Joined(self.0))
    }
}

/// What the runtime does while the child waits for it.
pub trait Companion {
    /// The container's mounts are made: prestart and createRuntime hooks run now.
    fn run_hooks(&mut self, pid: i32) -> Result<()>;
    /// The seccomp listener, to be sent to the agent.
    fn pass_listener(&mut self, pid: i32, listener: OwnedFd) -> Result<()>;
    /// A step failed that the container can do without.
    fn warn(&mut self, warning: Error);
}

impl<'p> Joined<'p> {
    /// The child's pid as we see it.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Answers the child until it needs no more answers but the last.
    pub fn finish(self, companion: &mut dyn Companion) -> Result<Created<'p>> {
        let mut init = self.0;
        loop {
            let received = receive(init.messages(), init.interrupt);
            trace::mark("wait for init");
            let Some((message, fds)) = received? else {
                return Err(init.died());
            };
            match message {
                FromInit::Inside => return Ok(Created(init)),
                FromInit::Created => {
                    init.is_created = true;
                    return Ok(Created(init));
                }
                FromInit::Failed(step, failure) => return Err(describe(init.plan, step, failure)),
                FromInit::Warning(step, failure) => {
                    companion.warn(describe(init.plan, step, failure))
                }
                FromInit::Hooks => {
                    companion.run_hooks(init.pid())?;
                    trace::mark("runtime hooks");
                    fault::point("runtime-hooks")?;
                    init.tell(ToInit::Continue, &[])?;
                }
                FromInit::MapIds(step) => {
                    map_mount(init.plan, step, fds.as_slice())?;
                    fault::point("mount-ids")?;
                    init.tell(ToInit::Continue, &[])?;
                }
                FromInit::NotifyFd => {
                    let &listener = fds
                        .as_slice()
                        .first()
                        .ok_or_else(|| Error::new("a seccomp listener without fd"))?;
                    companion.pass_listener(init.pid(), open::own(listener))?;
                    trace::mark("seccomp listener");
                    fault::point("listener")?;
                    init.tell(ToInit::Continue, &[])?;
                }
            }
        }
    }
}

/// Maps the ids of a mount that init made, with what the plan says of them: a file system of the host's takes that from
/// the host's side only.
fn map_mount(plan: &InitPlan, step: u32, fds: &[RawFd]) -> Result<()> {
    let idmap = match step_from_last(plan, step) {
        Some(Step::Mount(op)) => op.idmap.as_ref(),
        _ => None,
    };
    let (Some(idmap), &[tree, namespace]) = (idmap, fds) else {
        return Err(Error::new("init wants ids mapped where its plan has none"));
    };
    let (tree, namespace) = (open::own(tree), open::own(namespace));
    let change = AttributeChange {
        set: attribute::IDMAP,
        user_namespace: Some(namespace.as_raw_fd()),
        recursive: idmap.recursive,
        ..AttributeChange::default()
    };
    let mapped = set_attributes(tree.as_raw_fd(), change);
    mapped.map_err(|errno| describe(plan, step, Failure::new(Operation::MapIds, errno)))
}

impl Created<'_> {
    /// The pid as we see it.
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// A handle on the process.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.0.process.as_ref().map(|process| process.pidfd.as_fd())
    }

    /// Leaves the child waiting on its start socket.
    pub fn leave_waiting(mut self) -> Result<Running> {
        self.0.tell(ToInit::Wait, &[])?;
        self.release()
    }

    /// The child becomes its program now; returns when it has, or with the reason why it could not.
    pub fn start(mut self) -> Result<Running> {
        self.0.tell(ToInit::Start, &[])?;
        self.0.await_created()?;
        match await_exec(self.0.messages(), self.0.interrupt)? {
            None => self.release(),
            Some((step, failure)) => Err(describe(self.0.plan, step, failure)),
        }
    }

    fn release(&mut self) -> Result<Running> {
        let process = self
            .0
            .process
            .take()
            .ok_or_else(|| Error::new("released twice"))?;
        Ok(Running {
            pid: process.pid,
            pidfd: process.pidfd,
        })
    }
}

/// Waits for the child's next message, or for a reason to give up.
fn receive(
    messages: ParentEnd,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<Option<(FromInit, Fds)>> {
    const WHAT: &str = "receive from the container's init";
    let interrupt = interrupt.map_or(-1, |fd| fd.as_raw_fd());
    let waited = socket::wait(messages.0, interrupt, -1).context(WHAT)?;
    // What the child said before the signal came counts: a program that runs already gets the signal itself.
    if waited == Waited::Interrupted && !socket::readable(messages.0, 0).context(WHAT)? {
        return Err(interrupted());
    }
    messages.receive().context(WHAT)
}

/// What a command says that gives up because a signal asks it to end.
pub fn interrupted() -> Error {
    Error::new("interrupted by a signal")
}

/// Reads until the child's end closes, which `execve` does. A failure comes before that: which step, counted from the
/// last, and why.
pub fn await_exec(
    messages: ParentEnd,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<Option<(u32, Failure)>> {
    loop {
        match receive(messages, interrupt)? {
            None => return Ok(None),
            Some((FromInit::Failed(step, failure), _)) => return Ok(Some((step, failure))),
            Some(_) => {}
        }
    }
}

/// The step that a message of the child counts from the last.
pub fn step_from_last(plan: &InitPlan, from_last: u32) -> Option<&Step> {
    let index = plan.steps.len().wrapping_sub(from_last as usize);
    plan.steps.get(index)
}

/// The sentence for a step's failure: the step with its arguments, the part that failed, the errno.
/// `from_last` counts as the messages do.
pub fn describe(plan: &InitPlan, from_last: u32, failure: Failure) -> Error {
    let steps = plan.steps.len();
    let index = steps.wrapping_sub(from_last as usize);
    let Some(step) = plan.steps.get(index) else {
        return Error::errno("the container's init", failure.errno());
    };
    let error = match (step, failure.operation) {
        (Step::CreateContainerHook(_) | Step::StartContainerHook(_), _) => {
            hook_error(plan, index, failure)
        }
        (Step::FindProgram | Step::Exec(_), _) => program_error(plan, failure),
        (_, Operation::Whole) => Error::errno(
            format_args!("{step} (step {}/{steps})", index + 1),
            failure.errno(),
        ),
        (_, operation) => Error::errno(
            format_args!("{step} (step {}/{steps}): {}", index + 1, operation.text()),
            failure.errno(),
        ),
    };
    match hint(step, failure) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Numbered among those of its kind, as the parent does with its own hooks. COMPAT(runc)
fn hook_error(plan: &InitPlan, index: usize, failure: Failure) -> Error {
    let kind = std::mem::discriminant(&plan.steps[index]);
    let earlier = plan.steps[..index].iter();
    let number = earlier
        .filter(|step| std::mem::discriminant(*step) == kind)
        .count();
    let (kind, hook) = match &plan.steps[index] {
        Step::CreateContainerHook(hook) => ("createContainer", hook),
        Step::StartContainerHook(hook) => ("startContainer", hook),
        _ => return Error::errno("run a hook", failure.errno()),
    };
    let said = failure.operation.text();
    let what = match failure.operation {
        Operation::HookFailed => Error::new(format!("{hook}: {said} {}", failure.code)),
        Operation::HookKilled => {
            Error::new(format!("{hook}: {said} {}", signal_text(failure.code)))
        }
        Operation::HookTimeout => Error::new(format!("{hook}: {said}")),
        _ => Error::errno(format_args!("{hook}: {said}"), failure.errno()),
    };
    what.context(format_args!("error running {kind} hook #{number}"))
}

/// A signal's number, and in words what scripts written for runc look for.
pub fn signal_text(signal: i32) -> String {
    let words = match signal {
        libc::SIGSYS => "bad system call",
        libc::SIGKILL => "killed",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGABRT => "aborted",
        _ => return signal.to_string(),
    };
    format!("{signal} ({words})")
}

/// In the words that engines match: Docker's exit codes 126 and 127 depend on them. COMPAT(runc)
fn program_error(plan: &InitPlan, failure: Failure) -> Error {
    let name = plan.steps.iter().find_map(|step| match step {
        Step::Exec(exec) => exec
            .args
            .first()
            .map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    });
    let name = name.unwrap_or_default();
    match (failure.operation, failure.errno()) {
        (Operation::NotInPath, Errno::ENOENT) if !name.contains('/') => Error::new(format!(
            "exec: \"{name}\": executable file not found in $PATH"
        )),
        (Operation::Enter | Operation::OutsideRoot, errno) => Error::errno(
            format_args!("enter the working directory: {}", failure.operation.text()),
            errno,
        ),
        // Podman knows the kernel's own answer only.
        (_, Errno::EISDIR) => {
            Error::errno(format_args!("exec {name}: is a directory"), Errno::EACCES)
        }
        (_, errno) => Error::errno(format_args!("exec {name}"), errno),
    }
}

fn hint(step: &Step, failure: Failure) -> Option<&'static str> {
    match (step, failure.operation, failure.errno()) {
        (Step::Mount(op), _, Errno::EPERM) if op.destination.as_c_str() == c"/proc" => Some(
            "the pid namespace is shared with the host; add a \"pid\" namespace or bind-mount /proc",
        ),
        (Step::TreePropagation { .. }, _, Errno::EINVAL) => {
            Some("/ is no mount point, as in a chroot; bind-mount that directory onto itself first")
        }
        (Step::Mount(_), Operation::OpenSource, Errno::ENOENT) => {
            Some("the source does not exist on the host")
        }
        (Step::Mount(op), Operation::Attach, Errno::ENOTDIR) if op.no_follow_destination => {
            Some("it must be mounted on ordinary directory, not on a link or file")
        }
        (Step::Scheduler(_), _, Errno::EPERM) => Some(
            "with SCHED_DEADLINE a process scheduler can't be used together with AllowedCPUs (a cpuset of fewer CPUs than the host's)",
        ),
        (_, Operation::MapIds, Errno::EINVAL) => {
            Some("the source's file system does not support idmapped mounts")
        }
        (_, Operation::OutsideRoot, _) => {
            Some("the working directory must not lead out of the container")
        }
        (Step::ExecLabel { .. }, Operation::Write, Errno::ENOENT) => {
            Some("the AppArmor profile is not loaded on this host; apparmor_parser loads one")
        }
        (Step::Exec(_), _, Errno::ENOEXEC) => {
            Some("the file is neither a program for this machine nor a script with #!")
        }
        _ => None,
    }
}

fn write_id_maps(pid: i32, maps: &IdMaps) -> Result<()> {
    if maps.by_helper {
        run_map_helper("newuidmap", pid, &maps.uids)?;
        return run_map_helper("newgidmap", pid, &maps.gids);
    }
    if maps.deny_setgroups {
        write_proc(pid, "setgroups", "deny")?;
    }
    write_proc(pid, "uid_map", &map_text(&maps.uids))?;
    write_proc(pid, "gid_map", &map_text(&maps.gids))
}

/// The lines of `uid_map` and `gid_map`. user_namespaces(7)
pub fn map_text(ranges: &[IdMapping]) -> String {
    ranges.iter().fold(String::new(), |mut text, range| {
        let _ = writeln!(
            text,
            "{} {} {}",
            range.container_id, range.host_id, range.size
        );
        text
    })
}

/// The maps must be one write(2) each.
pub fn write_proc(pid: i32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    let shown = text.trim_end().replace('\n', ", ");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| nix::unistd::write(file, text.as_bytes()).map_err(std::io::Error::from))
        .map(drop)
        .context(format_args!("write {shown} to {path}"))
}

/// newuidmap(1) and newgidmap(1) write what /etc/subuid and /etc/subgid grant the caller.
pub fn run_map_helper(helper: &str, pid: i32, ranges: &[IdMapping]) -> Result<()> {
    let mut command = std::process::Command::new(helper);
    command.arg(pid.to_string());
    for range in ranges {
        command
            .args([range.container_id, range.host_id, range.size].map(|number| number.to_string()));
    }
    let output = command.output().context(format_args!("run {helper}")).map_err(|error| {
        error.hint("rootless containers with more than one id need the package uidmap and ranges in /etc/subuid and /etc/subgid")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!(
        "{helper} {}: {}",
        map_text(ranges).trim_end().replace('\n', ", "),
        String::from_utf8_lossy(&output.stderr).trim()
    ))
    .hint("/etc/subuid and /etc/subgid say which ids a user may give to containers"))
}

fn set_oom_score(pid: i32, score: i32) -> Result<()> {
    match write_proc(pid, "oom_score_adj", &score.to_string()) {
        // A value that is in force already needs no right to set it.
        Err(error)
            if error.os() == Some(Errno::EACCES) && current_oom_score(pid) == Some(score) =>
        {
            Ok(())
        }
        Err(error) if error.os() == Some(Errno::EACCES) => {
            Err(error.hint("lowering oom_score_adj needs CAP_SYS_RESOURCE"))
        }
        other => other,
    }
}

fn current_oom_score(pid: i32) -> Option<i32> {
    std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn set_limit(pid: i32, limit: &RlimitOp) -> Result<()> {
    let RlimitOp {
        resource,
        soft,
        hard,
    } = *limit;
    process::set_limit(pid, resource, soft, hard)
        .context(format_args!(
            "prlimit {pid} resource {resource} soft {soft} hard {hard}"
        ))
        .map_err(|error| match error.os() {
            Some(Errno::EPERM) => error.hint("raising a hard limit needs CAP_SYS_RESOURCE"),
            _ => error,
        })
}
