//! Hooks on the host's side: prestart, createRuntime, poststart, poststop. SPEC(config.md#posix-platform-hooks)

use super::report::hook_state;
use super::{Record, Status};
use crate::error::{Context, Error, Result};
use crate::init::hook::{Directory, Outcome, Setting, execute};
use crate::init::parent::{interrupted, signal_text};
use crate::init::prepare::Arrays;
use crate::plan::{Annotations, HookOp};
use crate::sys::open;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

/// What hooks of one moment have in common.
pub struct Moment<'m> {
    /// The container.
    pub record: &'m Record,
    /// Its status as they read it.
    pub status: Status,
    /// Init's pid, 0 when it has ended.
    pub pid: i32,
    /// They are killed when it becomes readable; -1 for never.
    pub interrupt: RawFd,
}

/// Runs hooks one after the other; the first failure ends it.
pub fn run_all(kind: &str, hooks: &[HookOp], moment: &Moment<'_>) -> Result<()> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        // COMPAT(runc): scripts written for it look for these words.
        let path = hook.path.to_string_lossy();
        run(hook, moment).context(format_args!("error running {kind} hook #{index}: {path}"))
    })
}

/// Runs all hooks of a stopped container, whatever happens to each. SPEC(runtime.md#lifecycle): a failing poststop
/// hook is a warning.
pub fn run_all_and_warn(kind: &str, hooks: &[HookOp], record: &Record) {
    let moment = Moment {
        record,
        status: Status::Stopped,
        pid: 0,
        interrupt: -1,
    };
    for (index, hook) in hooks.iter().enumerate() {
        if let Err(error) = run(hook, &moment) {
            // COMPAT(crun): scripts written for it look for these words.
            let path = hook.path.to_string_lossy();
            log::warn!("{kind} hook {error} (hook #{index}, {path})");
        }
    }
}

/// Files that the hooks' standard output and error are appended to, where annotations name them. COMPAT(crun)
#[derive(Debug, Default)]
pub struct HookOutput([Option<File>; 2]);

impl HookOutput {
    /// Opens them.
    pub fn of(annotations: &Annotations) -> Result<HookOutput> {
        let open = |stream: &str| {
            let key = format!("run.oci.hooks.{stream}");
            let path = annotations.get(&key);
            path.map(|path| {
                append_to(path).context(format_args!("annotations[{key:?}]: open {path}"))
            })
            .transpose()
        };
        Ok(HookOutput([open("stdout")?, open("stderr")?]))
    }

    /// Their fds, -1 where the stream is ours.
    pub fn fds(&self) -> [RawFd; 2] {
        let [out, err] = &self.0;
        let fd = |file: &Option<File>| file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        [fd(out), fd(err)]
    }
}

fn append_to(path: &str) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

fn run(hook: &HookOp, moment: &Moment<'_>) -> Result<()> {
    let state = hook_state(moment.record, moment.status, moment.pid);
    let input =
        open::own(open::memory_file(c"state", &state).context("make a file for the hook's state")?);
    let output = HookOutput::of(&moment.record.annotations)?;
    let bundle = CString::new(moment.record.bundle.as_os_str().as_bytes()).unwrap_or_default();
    let setting = Setting {
        input: input.as_raw_fd(),
        output: output.fds(),
        directory: Directory::Path(&bundle),
        filter: None,
    };
    let outcome = execute(
        &hook.path,
        &Arrays::of_hook(hook, &environment()),
        &setting,
        hook.timeout_ms,
        moment.interrupt,
    )
    .context("could not be started")?;
    match outcome {
        Outcome::Exited(0) => Ok(()),
        Outcome::Exited(127) => Err(Error::new("failed with exit code 127")
            .hint("the hook's program, or its interpreter, may be missing or not executable")),
        Outcome::Exited(code) => Err(Error::new(format!("failed with exit code {code}"))),
        Outcome::Signalled(signal) => Err(Error::new(format!(
            "was ended by signal {}",
            signal_text(signal)
        ))),
        Outcome::Interrupted => Err(interrupted()),
        Outcome::TimedOut => {
            let seconds = hook.timeout_ms.unwrap_or(0) / 1000;
            Err(Error::new(format!(
                "was still running after its timeout of {seconds} s, killed"
            )))
        }
    }
}

/// COMPAT(runc, crun): what a hook on the host's side without an environment of its own has.
fn environment() -> Vec<CString> {
    let variables = std::env::vars_os();
    let texts = variables.filter_map(|(name, value)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    });
    texts.collect()
}
