//! `run --init`: the process in front of a container's program, as its pid 1: reaps orphans, forwards signals, ends as
//! the program ends. It is this same binary, bound at [`PATH`], and knows nothing of the host.

use super::monitor::{self, Watched};
use crate::error::{Context, Error, Result};
use crate::init::parent::Running;
use crate::plan::process::DEFAULT_PATH;
use crate::sys::clone::{Fork, ForkFlags, fork_then};
use crate::sys::process::{self, TextArray};
use crate::sys::{entry, open, signal, tty};
use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where a container finds it; also its first word, by which it knows what it is.
pub const PATH: &str = "/dev/init";
/// What shells answer when a program can't be executed, and when there is none.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Whether this process was started as one.
pub fn is_meant() -> bool {
    entry::own_name().is_some_and(|word| word.to_bytes() == PATH.as_bytes())
}

/// Runs the program and gives its exit code.
pub fn run(words: Vec<OsString>) -> Result<i32> {
    let args: Vec<CString> = words
        .into_iter()
        .skip_while(|word| word == "--")
        .map(|word| CString::new(word.into_vec()).unwrap_or_default())
        .collect();
    let Some(program) = args.first() else {
        return Err(Error::new(format!("{PATH}: no program")));
    };
    let env: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| {
            let variable = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(variable).unwrap_or_default()
        })
        .collect();
    let candidates = candidates(program.to_bytes());
    let array = |texts: &[CString]| TextArray::new(texts.iter().map(CString::as_c_str));
    let (argv, envp) = (array(&args), array(&env));
    // Before the program exists: no signal for it is lost.
    let signals = signal::signal_fd().context("make a signalfd")?;
    let become_program = || {
        let _ = tty::take_foreground(libc::STDIN_FILENO);
        let _ = signal::unblock_all();
        let mut reason = Errno::ENOENT;
        for candidate in &candidates {
            reason = match process::exec(candidate, &argv, &envp) {
                // As execvp(3): what may not be executed here may be elsewhere.
                Errno::ENOENT | Errno::ENOTDIR => reason,
                Errno::EACCES => Errno::EACCES,
                other => {
                    reason = other;
                    break;
                }
            };
        }
        let name = program.to_string_lossy();
        let _ = writeln!(
            std::io::stderr(),
            "{PATH}: exec {name:?}: {}",
            reason.desc().to_lowercase()
        );
        process::exit(match reason {
            Errno::ENOENT => NOT_FOUND,
            _ => NOT_EXECUTABLE,
        })
    };
    let forked = fork_then(ForkFlags::default(), become_program).context("fork")?;
    let Fork::Parent { pid, pidfd } = forked else {
        process::exit(NOT_EXECUTABLE)
    };
    let process = Running {
        pid,
        pidfd: open::own(pidfd),
    };
    let exit = monitor::watch(&Watched {
        process: &process,
        signals,
        master: None,
        notify: None,
        memory: None,
    })?;
    Ok(exit.code())
}

fn candidates(program: &[u8]) -> Vec<CString> {
    if program.contains(&b'/') {
        return CString::new(program).into_iter().collect();
    }
    let path = std::env::var_os("PATH");
    let path = path.as_deref().unwrap_or(OsStr::new(DEFAULT_PATH));
    let join = |directory: std::path::PathBuf| {
        let candidate = directory.join(OsStr::from_bytes(program));
        CString::new(candidate.into_os_string().into_vec()).ok()
    };
    std::env::split_paths(path).filter_map(join).collect()
}
