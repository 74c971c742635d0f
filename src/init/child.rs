//! The child: executes the plan's steps in order, then is the container's program.
//!
//! Between `clone3` and `execve` nothing here allocates, formats or locks. A failure is a step's index, the part of it
//! and an errno; the parent, which still has the plan, writes the sentence.

use super::failure::{During, Failure, Operation, Result};
use super::message::{ChildEnd, Fds, FromInit, ToInit};
use super::path::Above;
use super::prepare::{Filter, Prepared};
use super::step;
use crate::plan::Step;
use crate::sys::{self, open};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, RawFd};

/// Exit code of a child that could not become its program.
pub const EXIT_FAILED: i32 = 1;

/// What the steps share while they run.
pub struct Child<'c, 'p> {
    /// What the parent made ready.
    pub prepared: &'c mut Prepared<'p>,
    /// The way to the parent, and after `start` to whoever started us.
    pub runtime: ChildEnd,
    /// The step that runs, counted from the last one, which is 1.
    pub step: u32,
    /// The container's root file system: -1 before [`Step::OpenRoot`], and throughout an `exec`, which enters a container
    /// that stands.
    pub root: RawFd,
    /// The directory that the last mount or device lay in.
    pub above: Above,
    /// The private procfs, once a step wanted it.
    pub procfs: Option<RawFd>,
    /// A procfs with /proc/sys, which a [`Child::procfs`] of processes alone lacks: for sysctls.
    pub parameters: Option<RawFd>,
    /// An attached empty read-only directory that further masks are clones of.
    pub empty_directory: Option<RawFd>,
    /// Whether the container's filter is ours already.
    pub filter_loaded: bool,
    /// How many hooks have run.
    pub hooks_run: usize,
    /// How many id-mapped mounts were made.
    pub idmaps_used: usize,
    /// Index of the candidate that [`Step::FindProgram`] chose.
    pub program: usize,
    /// HOME as it was found, `HOME=…` with its NUL.
    pub home: step::program::Home,
    /// Whether the working directory could only be entered as the user.
    pub directory_pending: bool,
}

/// Runs all steps, unless the namespaces that only the child could join were `joined` in vain. Never returns: the last
/// step is `execve`.
pub fn run(prepared: &mut Prepared<'_>, runtime: RawFd, joined: sys::Result<()>) -> ! {
    sys::allocator::forbid_allocation();
    prepared.marks.note_begin();
    let steps = &prepared.plan.steps;
    let mut child = Child::new(prepared, ChildEnd(runtime));
    let joined = joined.during(Operation::JoinNamespace);
    let failure = match joined.and_then(|()| child.begin()) {
        Ok(()) => child.run_steps(steps),
        Err(failure) => failure,
    };
    child.prepared.marks.note_failure();
    let _ = child
        .runtime
        .send(FromInit::Failed(child.step, failure), &[]);
    sys::process::exit(EXIT_FAILED)
}

/// Without `no_new_privs` a filter wants CAP_SYS_ADMIN, which a user other than root has kept but not in effect.
pub fn load_privileged(filter: Filter<'_>) -> sys::Result<Option<std::os::fd::OwnedFd>> {
    match sys::seccomp::load(filter.program, filter.flags) {
        Err(Errno::EACCES) => {
            let (_, permitted, inheritable) = sys::credentials::capabilities()?;
            sys::credentials::set_capabilities(permitted, permitted, inheritable)?;
            sys::seccomp::load(filter.program, filter.flags)
        }
        other => other,
    }
}

impl<'c, 'p> Child<'c, 'p> {
    /// Before the first step.
    pub fn new(prepared: &'c mut Prepared<'p>, runtime: ChildEnd) -> Self {
        Child {
            prepared,
            runtime,
            step: 0,
            root: -1,
            above: Above::default(),
            procfs: None,
            parameters: None,
            empty_directory: None,
            filter_loaded: false,
            hooks_run: 0,
            idmaps_used: 0,
            program: 0,
            home: step::program::Home::default(),
            directory_pending: false,
        }
    }
}

impl Child<'_, '_> {
    /// Before the first step: nothing inherited may change what the steps do.
    fn begin(&mut self) -> Result {
        // Who makes the container is gone: so are we, whatever step runs. `start` comes from someone else.
        let _ = sys::process::die_with_parent(true);
        sys::open::close_all_but(&self.prepared.fds.kept);
        sys::process::set_umask(0);
        // The caller's terminal and its signals are not the container's; a leader already has its own.
        let _ = sys::process::new_session();
        // CVE-2016-9962: processes of a namespace that we join must not trace us or open our fds. A new user namespace
        // has no others, and its maps can only be written by an ordinary user while our /proc files are that user's.
        match self.prepared.plan.id_maps {
            Some(_) => Ok(()),
            None => sys::credentials::set_dumpable(false).during(Operation::Whole),
        }
    }

    fn run_steps(&mut self, steps: &[Step]) -> Failure {
        self.prepared.marks.note_ready();
        for (index, step) in steps.iter().enumerate() {
            self.step = (steps.len() - index) as u32;
            let struck = self.prepared.fault.strike(index);
            let done = struck.during(Operation::Whole);
            if let Err(failure) = done.and_then(|()| self.execute(step)) {
                return failure;
            }
            self.prepared.marks.note_step(index);
        }
        // A plan ends with Exec or, without a process, with AwaitStart.
        Failure::new(Operation::Whole, Errno::ENOEXEC)
    }

    fn execute(&mut self, step: &Step) -> Result {
        if !goes_on_where_it_was(step) {
            self.above.forget();
        }
        match step {
            Step::BecomeNamespaceRoot {
                uid,
                gid,
                clear_groups,
            } => step::identity::become_namespace_root(self, (*uid, *gid), *clear_groups),
            Step::LoopbackUp => self.optional(sys::process::loopback_up()),
            Step::TreePropagation { flag } => step::root::tree_propagation(*flag),
            Step::OpenRoot {
                path, mount: false, ..
            } => step::root::open_place(self, path),
            Step::OpenRoot { path, apart, .. } => step::root::open_root(self, path, *apart),
            Step::OverlayRoot(overlay) => step::overlay::mount_root(self, overlay),
            Step::AttachRoot => step::overlay::attach_root(self),
            Step::Mount(mount) => step::mount::mount(self, mount),
            Step::AttachPrepared { prepared, mount } => {
                step::mount::attach_prepared(self, *prepared, mount)
            }
            Step::Device(device) => step::device::make(self, device),
            Step::Symlink { target, path } => step::device::symlink(self, target, path),
            Step::AwaitRuntimeHooks => self.await_runtime_hooks(),
            Step::CreateContainerHook(hook) => step::hook::run_before_the_root(self, hook),
            Step::StartContainerHook(hook) => step::hook::run_inside(self, hook),
            Step::OpenTerminal {
                rows,
                columns,
                console,
                uid,
            } => step::terminal::open_terminal(self, *rows, *columns, *console, *uid),
            Step::JoinCgroup => self.join_cgroup(),
            Step::UnshareCgroup => {
                sys::clone::unshare(libc::CLONE_NEWCGROUP as u64).during(Operation::Unshare)
            }
            Step::EnterRoot => step::root::enter_root(self.prepared.fds.root),
            Step::ChangeRoot { how } => step::root::change_root(self, *how),
            Step::RootPropagation { flag, recursive } => {
                step::root::root_propagation(*flag, *recursive)
            }
            Step::Sysctl { path, value } => step::procfs::sysctl(self, path, value),
            Step::MaskPath(path) => step::path::mask(self, path),
            Step::ReadonlyPath(path) => step::path::readonly(self, path),
            Step::ReadonlyRoot => step::root::readonly_root(self),
            Step::Hostname(name) => sys::process::set_hostname(name).during(Operation::Whole),
            Step::Domainname(name) => sys::process::set_domainname(name).during(Operation::Whole),
            Step::Personality(persona) => {
                sys::process::set_personality(*persona).during(Operation::Whole)
            }
            Step::MemoryPolicy(policy) => step::identity::memory_policy(policy),
            Step::Scheduler(scheduler) => step::identity::schedule(scheduler),
            Step::IoPriority(value) => sys::sched::set_io_priority(*value).during(Operation::Whole),
            Step::CpuAffinity(cpus) => self.optional(sys::sched::set_affinity(&cpus.0)),
            Step::NewKeyring { name, label } => step::procfs::new_keyring(self, name, label),
            Step::ExecLabel { attributes, value } => {
                step::procfs::exec_label(self, attributes, value)
            }
            Step::NoNewPrivileges => sys::credentials::no_new_privileges().during(Operation::Whole),
            Step::Umask(mask) => {
                sys::process::set_umask(*mask);
                Ok(())
            }
            Step::BecomeUser(user) => step::identity::become_user(user),
            Step::Capabilities(capabilities) => step::identity::set_capabilities(capabilities),
            Step::WorkingDirectory { path, make } => {
                step::program::enter_directory(self, path, *make)
            }
            Step::FindProgram => step::program::find(self),
            Step::CloseFds { keep } => {
                step::program::close_fds(self, keep)?;
                self.tell_inside()
            }
            Step::Seccomp => self.load_filter(),
            Step::AwaitStart => self.await_start(),
            Step::Exec(exec) => Err(step::program::exec(self, exec)),
        }
    }

    /// A failure of this step does not stop the container; the parent logs it.
    pub fn optional(&self, result: sys::Result<()>) -> Result {
        match result.during(Operation::Whole) {
            Ok(()) => Ok(()),
            Err(failure) => self
                .runtime
                .send(FromInit::Warning(self.step, failure), &[])
                .during(Operation::Send),
        }
    }

    /// Waits for the parent's word.
    pub fn expect(&self, message: ToInit) -> sys::Result<Fds> {
        self.waiting(|| self.runtime.expect(message))
    }

    /// Notes how long the step that runs has waited.
    fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let index = self.prepared.plan.steps.len() - self.step as usize;
        self.prepared.marks.note_wait(index);
        let answer = wait();
        self.prepared.marks.note_answer(index);
        answer
    }

    fn await_runtime_hooks(&self) -> Result {
        self.runtime
            .send(FromInit::Hooks, &[])
            .during(Operation::Send)?;
        self.expect(ToInit::Continue)
            .map(drop)
            .during(Operation::Receive)
    }

    /// Whether the container has a user namespace, new or joined.
    pub fn is_in_user_namespace(&self) -> bool {
        let first = self.prepared.plan.steps.first();
        matches!(first, Some(Step::BecomeNamespaceRoot { .. }))
    }

    /// The parent maps the ids of a detached mount of ours.
    pub fn ask_to_map(&self, tree: RawFd, user_namespace: RawFd) -> Result {
        self.runtime
            .send(FromInit::MapIds(self.step), &[tree, user_namespace])
            .during(Operation::Send)?;
        self.expect(ToInit::Continue)
            .map(drop)
            .during(Operation::Receive)
    }

    /// Writing `0` moves the writer, which spares the kernel its global lock (docs/decisions/0004-children-join-cgroups.md).
    fn join_cgroup(&self) -> Result {
        let files = self.expect(ToInit::Cgroup).during(Operation::Receive)?;
        for &file in files.as_slice() {
            open::write_all(file, b"0").during(Operation::JoinCgroup)?;
            open::close(file);
        }
        Ok(())
    }

    fn load_filter(&mut self) -> Result {
        let Some(filter) = self.prepared.filter else {
            return Ok(());
        };
        self.filter_loaded = true;
        match load_privileged(filter).during(Operation::Whole)? {
            None => Ok(()),
            Some(listener) => {
                let fds = [listener.as_raw_fd()];
                self.runtime
                    .send(FromInit::NotifyFd, &fds)
                    .during(Operation::SendListener)?;
                drop(listener);
                self.expect(ToInit::Continue)
                    .map(drop)
                    .during(Operation::Receive)
            }
        }
    }

    /// The parent registers us while we become the process's user, and its word to start is here when we ask for it:
    /// neither wakes up for the other.
    fn tell_inside(&mut self) -> Result {
        match self.prepared.tells_inside {
            true => self
                .runtime
                .send(FromInit::Inside, &[])
                .during(Operation::Send),
            false => Ok(()),
        }
    }

    /// Everything is done but the process itself. From here on it is `start` that hears of failures.
    fn await_start(&mut self) -> Result {
        // From here on a lost parent is noticed by the end of its messages.
        let _ = sys::process::die_with_parent(false);
        self.runtime
            .send(FromInit::Created, &[])
            .during(Operation::Send)?;
        let answer = self.waiting(|| self.runtime.receive());
        let (answer, _) = answer.during(Operation::Receive)?;
        if answer != ToInit::Wait {
            return Ok(());
        }
        open::close(self.runtime.0);
        let asked = match self.filter_loaded {
            // It may know nothing of these calls.
            true => None,
            false => sys::signal::hear_termination().ok(),
        };
        // It may be days until somebody calls.
        sys::memory::release_for_a_wait();
        loop {
            if let Some(asked) = &asked {
                end_when_asked(self.prepared.fds.start, asked.as_raw_fd());
            }
            let caller = sys::socket::accept(self.prepared.fds.start).during(Operation::Receive)?;
            self.runtime = ChildEnd(caller);
            // A caller that goes away without the word has not started us.
            if self.runtime.expect(ToInit::Start).is_ok() {
                return Ok(());
            }
            open::close(caller);
        }
    }
}

/// Waits for a caller. COMPAT(runc): whoever asks a container to end that has no program yet, ends it. The kernel drops
/// such a signal where it is not blocked: we are the first process of a pid namespace.
fn end_when_asked(start: RawFd, asked: RawFd) {
    const SIGNALLED: i32 = 128;
    if sys::socket::wait(start, asked, -1) == Ok(sys::socket::Waited::Interrupted)
        && let Ok(signal) = sys::signal::take(asked)
    {
        sys::process::exit(SIGNALLED + signal)
    }
}

/// Whether the directory of the last mount or device may be the step's own.
fn goes_on_where_it_was(step: &Step) -> bool {
    matches!(
        step,
        Step::Mount(_) | Step::AttachPrepared { .. } | Step::Device(_) | Step::Symlink { .. }
    )
}
