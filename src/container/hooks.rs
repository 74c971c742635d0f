//! Hooks on the host's side: prestart, createRuntime, poststart, poststop. SPEC(config.md#posix-platform-hooks)

use crate::error::{Context, Error, Result};
use crate::init::hook::{Outcome, execute};
use crate::init::parent::interrupted;
use crate::init::prepare::Arrays;
use crate::plan::HookOp;
use crate::sys::open;
use std::os::fd::RawFd;

/// Runs hooks one after the other; the first failure ends it, and so does `interrupt` (-1 for none) when it becomes
/// readable. Each reads `state` on its standard input.
pub fn run_all(kind: &str, hooks: &[HookOp], state: &[u8], interrupt: RawFd) -> Result<()> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        run(hook, state, interrupt).context(format_args!("{kind} hook #{index}"))
    })
}

/// Runs all hooks, whatever happens to each. SPEC(runtime.md#lifecycle): a failing poststop hook is a warning.
pub fn run_all_and_warn(kind: &str, hooks: &[HookOp], state: &[u8]) {
    for (index, hook) in hooks.iter().enumerate() {
        if let Err(error) = run(hook, state, -1) {
            log::warn!("{kind} hook #{index}: {error}");
        }
    }
}

fn run(hook: &HookOp, state: &[u8], interrupt: RawFd) -> Result<()> {
    let path = hook.path.to_string_lossy();
    let input =
        open::own(open::memory_file(c"state", state).context("make a file for the hook's state")?);
    let raw = std::os::fd::AsRawFd::as_raw_fd(&input);
    let outcome = execute(
        &hook.path,
        &Arrays::of_hook(hook),
        raw,
        hook.timeout_ms,
        interrupt,
    )
    .context(format_args!("run {path}"))?;
    match outcome {
        Outcome::Exited(0) => Ok(()),
        Outcome::Exited(127) => Err(Error::new(format!("{path}: exit code 127"))
            .hint("the hook's program, or its interpreter, may be missing or not executable")),
        Outcome::Exited(code) => Err(Error::new(format!("{path}: exit code {code}"))),
        Outcome::Signalled(signal) => Err(Error::new(format!("{path}: ended by signal {signal}"))),
        Outcome::Interrupted => Err(interrupted()),
        Outcome::TimedOut => {
            let seconds = hook.timeout_ms.unwrap_or(0) / 1000;
            Err(Error::new(format!(
                "{path}: still running after its timeout of {seconds} s, killed"
            )))
        }
    }
}
