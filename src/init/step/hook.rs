//! Hooks that run inside the container's namespaces, as children of its init. SPEC(config.md#createcontainer-hooks)

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::hook::{self, Directory, Outcome, Setting};
use crate::init::prepare::{Filter, program_of};
use crate::plan::HookOp;
use crate::sys::decimal::{DIGITS, decimal};
use crate::sys::{open, process};

/// A createContainer hook: in the container's namespaces, its program and paths still the host's. COMPAT(runc): it
/// starts in the container's root.
pub fn run_before_the_root(child: &mut Child, op: &HookOp) -> Result {
    let directory = Directory::Handle(child.root);
    run(child, op, directory, None)
}

/// A startContainer hook: its program comes from the image, so the container's filter is upon it. COMPAT(runc)
pub fn run_inside(child: &mut Child, op: &HookOp) -> Result {
    let filter = child.prepared.filter.filter(|_| !child.filter_loaded);
    if op.env.is_none() && program_of(child.prepared.plan).is_some_and(|p| p.home_for.is_some()) {
        let arrays = &mut child.prepared.hooks[child.hooks_run];
        arrays.env.push_spare(child.home.as_c_str());
    }
    run(child, op, Directory::Present, filter)
}

/// Runs one hook and waits for it. It reads the state with the pid that it sees itself.
fn run(
    child: &mut Child,
    op: &HookOp,
    directory: Directory<'_>,
    filter: Option<Filter<'_>>,
) -> Result {
    let arrays = &child.prepared.hooks[child.hooks_run];
    child.hooks_run += 1;
    let mut digits = [0; DIGITS];
    let pid = decimal(process::pid().unsigned_abs(), &mut digits);
    let state = &child.prepared.hook_state;
    let input = open::memory_file(c"state", &state.head)
        .and_then(|file| {
            append(file, pid)
                .and_then(|()| append(file, &state.tail))
                .map(|()| file)
        })
        .and_then(|file| open::rewind(file).map(|()| file))
        .during(Operation::StartHook)?;
    let setting = Setting {
        input,
        output: child.prepared.fds.hook_output,
        directory,
        filter,
    };
    let outcome = hook::execute(&op.path, arrays, &setting, op.timeout_ms, -1);
    open::close(input);
    match outcome.during(Operation::StartHook)? {
        Outcome::Exited(0) => Ok(()),
        Outcome::Exited(code) => Err(Failure {
            operation: Operation::HookFailed,
            code,
        }),
        Outcome::Signalled(code) => Err(Failure {
            operation: Operation::HookKilled,
            code,
        }),
        Outcome::TimedOut | Outcome::Interrupted => Err(Failure {
            operation: Operation::HookTimeout,
            code: 0,
        }),
    }
}

fn append(file: i32, bytes: &[u8]) -> crate::sys::Result<()> {
    open::seek_end(file)?;
    open::write_all(file, bytes)
}
