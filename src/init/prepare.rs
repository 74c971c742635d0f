//! Everything that the child will need and may not make itself: made before `clone3`, in the parent.
//!
//! Argument arrays for `execve`, the two halves of the state that hooks read, and fds.

use super::fault::ChildFault;
use super::trace::Marks;
use crate::plan::{ExecOp, HookOp, InitPlan, Step};
use crate::sys::process::TextArray;
use std::ffi::CString;
use std::os::fd::RawFd;

/// A hook's or program's `argv` and `envp`.
pub struct Arrays {
    /// `argv`.
    pub args: TextArray,
    /// `envp`.
    pub env: TextArray,
}

impl Arrays {
    fn new(args: &[CString], env: &[CString]) -> Arrays {
        let array = |texts: &[CString]| TextArray::new(texts.iter().map(CString::as_c_str));
        Arrays {
            args: array(args),
            env: array(env),
        }
    }

    /// Of a hook; one without arguments gets its path as `argv[0]`, one without an environment `inherited`.
    pub fn of_hook(hook: &HookOp, inherited: &[CString]) -> Arrays {
        let env = hook.env.as_deref().unwrap_or(inherited);
        match hook.args.is_empty() {
            true => Arrays::new(std::slice::from_ref(&hook.path), env),
            false => Arrays::new(&hook.args, env),
        }
    }
}

/// The state that container hooks read, cut where the pid belongs: only the child knows its own.
#[derive(Debug, Clone, Default)]
pub struct HookState {
    /// Before the pid.
    pub head: Vec<u8>,
    /// After it.
    pub tail: Vec<u8>,
}

impl HookState {
    /// Stands for the pid in the text that is cut; no field of the state can hold it as a number.
    pub const PID: i32 = -1_999_999_999;

    /// Cuts a state that was written with [`HookState::PID`].
    pub fn new(json: &[u8]) -> HookState {
        let mark = Self::PID.to_string();
        let at = json
            .windows(mark.len())
            .position(|window| window == mark.as_bytes());
        let (head, tail) = at.map_or((json, &[][..]), |at| {
            (&json[..at], &json[at + mark.len()..])
        });
        HookState {
            head: head.to_vec(),
            tail: tail.to_vec(),
        }
    }
}

/// A filter with its flags, as `plan` compiled it.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'p> {
    /// cBPF instructions.
    pub program: &'p [libc::sock_filter],
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
}

impl Filter<'_> {
    /// Whether a listener comes with it.
    pub fn has_listener(self) -> bool {
        self.flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32 != 0
    }
}

/// Fds that exist before the clone. All are close-on-exec; -1 means none.
#[derive(Debug, Clone)]
pub struct ChildFds {
    /// Unix socket that gets the terminal's master.
    pub console: RawFd,
    /// Listening socket on which `start` calls.
    pub start: RawFd,
    /// For [`Step::EnterRoot`]: init's root.
    pub root: RawFd,
    /// Where hooks write their standard output and error.
    pub hook_output: [RawFd; 2],
    /// For [`Step::AttachRoot`]: a detached mount.
    pub image: RawFd,
    /// Detached mounts by index of `InitPlan::prepared_mounts`.
    pub mounts: Vec<RawFd>,
    /// User namespaces of idmapped mounts, by order of the steps that need one.
    pub id_maps: Vec<RawFd>,
    /// All that the child keeps beside 0 to 2, in order; [`ChildFds::keep_only`] fills it.
    pub kept: Vec<RawFd>,
}

impl ChildFds {
    /// Says what the child keeps: its end of the protocol, what its steps use, what the container inherits. All else
    /// of the parent's it closes first: the lock and the protocol's other end would outlive a parent that is killed,
    /// and a directory of the host is a way out for a path like /proc/self/fd/4/.. CVE-2024-21626
    pub fn keep_only(&mut self, steps: &[Step], runtime: RawFd, trigger: RawFd) {
        let overlays = steps.iter().filter_map(|step| match step {
            Step::OverlayRoot(overlay) => Some(overlay.mounted()),
            _ => None,
        });
        let inherited = steps.iter().flat_map(|step| match step {
            Step::CloseFds { keep } => keep.as_slice(),
            _ => &[],
        });
        self.kept = [
            runtime,
            trigger,
            self.console,
            self.start,
            self.root,
            self.image,
        ]
        .iter()
        .chain(&self.hook_output)
        .chain(&self.mounts)
        .chain(&self.id_maps)
        .chain(inherited)
        .copied()
        .chain(overlays.flatten())
        .filter(|&fd| fd > 2)
        .collect();
        self.kept.sort_unstable();
    }

    /// The parent's copies are closed once the child has its own.
    pub fn close(&mut self) {
        let image = std::mem::replace(&mut self.image, -1);
        self.mounts
            .drain(..)
            .chain(self.id_maps.drain(..))
            .chain([image])
            .filter(|&fd| fd >= 0)
            .for_each(crate::sys::open::close);
    }
}

impl Default for ChildFds {
    fn default() -> Self {
        ChildFds {
            console: -1,
            start: -1,
            root: -1,
            hook_output: [-1; 2],
            image: -1,
            mounts: Vec::new(),
            id_maps: Vec::new(),
            kept: Vec::new(),
        }
    }
}

/// See the module.
pub struct Prepared<'p> {
    /// The plan's steps.
    pub plan: &'p InitPlan,
    /// For [`Step::Exec`].
    pub program: Option<Arrays>,
    /// For the hook steps, in order.
    pub hooks: Vec<Arrays>,
    /// What those hooks read.
    pub hook_state: HookState,
    /// For [`Step::Seccomp`].
    pub filter: Option<Filter<'p>>,
    /// Fds.
    pub fds: ChildFds,
    /// Signals that we ignore and the container must not.
    pub ignored_signals: u64,
    /// Whether the parent hears of it when nothing of the host is left: where it starts the process itself, and waits
    /// for no listener.
    pub tells_inside: bool,
    /// What shall go wrong, for tests.
    pub fault: ChildFault,
    /// Where the child notes the times of its steps.
    pub marks: Marks,
}

/// What the plan ends with; none where there is no process.
pub fn program_of(plan: &InitPlan) -> Option<&ExecOp> {
    plan.steps.iter().find_map(|step| match step {
        Step::Exec(program) => Some(program),
        _ => None,
    })
}

impl<'p> Prepared<'p> {
    /// Makes the arrays that `plan`'s steps will want.
    pub fn new(
        plan: &'p InitPlan,
        filter: Option<Filter<'p>>,
        hook_state: HookState,
        fds: ChildFds,
    ) -> Prepared<'p> {
        let listens = filter.is_some_and(Filter::has_listener);
        let mut prepared = Prepared {
            plan,
            program: None,
            hooks: Vec::new(),
            hook_state,
            filter,
            tells_inside: fds.start < 0 && !listens,
            fds,
            ignored_signals: crate::sys::signal::ignored(),
            fault: ChildFault::from_environment(),
            marks: Marks::of(plan),
        };
        for step in &plan.steps {
            match step {
                Step::Exec(exec) => prepared.program = Some(Arrays::new(&exec.args, &exec.env)),
                Step::CreateContainerHook(hook) => {
                    prepared.hooks.push(Arrays::of_hook(hook, &[]));
                }
                // COMPAT(runc): inside, a hook without an environment of its own has the program's.
                Step::StartContainerHook(hook) => {
                    let env = program_of(plan).map_or(&[][..], |program| &program.env);
                    prepared.hooks.push(Arrays::of_hook(hook, env));
                }
                _ => {}
            }
        }
        prepared
    }
}
