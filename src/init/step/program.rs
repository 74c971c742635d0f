//! The user's program: its directory, its file, its fds, and becoming it. SPEC(config.md#process)

use super::root::check_inside;
use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::{self, Missing};
use crate::plan::{ExecOp, Step};
use crate::sys::{self, open, process};
use nix::errno::Errno;
use std::ffi::CStr;

/// Enters the working directory as root, making it when asked to; one that root can't enter waits for the user.
pub fn enter_directory(child: &mut Child, path: &CStr, make: bool) -> Result {
    let entered = match open::enter_path(path) {
        Err(Errno::ENOENT) if make => make_and_enter(path),
        other => other,
    };
    match entered {
        // FUSE and NFS refuse root what they allow the owner.
        Err(Errno::EACCES | Errno::EPERM) => {
            child.directory_pending = true;
            return Ok(());
        }
        other => other.during(Operation::Enter)?,
    }
    check_inside()
}

fn make_and_enter(path: &CStr) -> sys::Result<()> {
    let root = open::open_at(libc::AT_FDCWD, c"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let made = path::open_or_make(root, path, Missing::Directory, true);
    open::close(root);
    let directory = made?;
    let entered = open::enter(directory);
    open::close(directory);
    entered
}

/// Finds the program's file, so that a missing one is known before `start`. Also enters a pending directory.
pub fn find(child: &mut Child) -> Result {
    let mut exec = None;
    for step in &child.prepared.plan.steps {
        match step {
            Step::WorkingDirectory { path, .. } if child.directory_pending => {
                open::enter_path(path).during(Operation::Enter)?;
                check_inside()?;
            }
            Step::Exec(op) => exec = Some(op),
            _ => {}
        }
    }
    let Some(exec) = exec else { return Ok(()) };
    if let Some(uid) = exec.home_for {
        child.home.look_up(uid);
        if let Some(program) = &mut child.prepared.program {
            program.env.push_spare(child.home.as_c_str());
        }
    }
    child.program = choose(&exec.candidates)?;
    Ok(())
}

/// The first candidate that can be executed. A file without permission is remembered: it is the better error.
fn choose(candidates: &[std::ffi::CString]) -> Result<usize> {
    let mut refused = Errno::ENOENT;
    for (index, candidate) in candidates.iter().enumerate() {
        match executable(candidate) {
            Ok(()) => return Ok(index),
            Err(Errno::ENOENT | Errno::ENOTDIR) if candidates.len() > 1 => {}
            Err(errno) => refused = errno,
        }
    }
    Err(Failure::new(Operation::NotInPath, refused))
}

fn executable(candidate: &CStr) -> sys::Result<()> {
    match open::access(libc::AT_FDCWD, candidate, libc::X_OK) {
        // KERNEL(<5.8), or a filter of the host's: execve will tell.
        Err(Errno::ENOSYS) => {}
        other => other?,
    }
    let file = open::open_at(libc::AT_FDCWD, candidate, libc::O_PATH, 0)?;
    let stat = open::stat(file);
    open::close(file);
    match stat?.st_mode & libc::S_IFMT {
        libc::S_IFDIR => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

/// Closes every fd but the standard streams, `keep`, and the sockets that we still need, which lead nowhere as a path.
/// What of these is not `keep` is closed by `execve`. CVE-2024-21626
pub fn close_fds(child: &mut Child, keep: &[i32]) -> Result {
    let prepared = &child.prepared;
    let sockets = [
        child.runtime.0,
        prepared.fds.start,
        prepared.fault.trigger(),
        prepared.fds.hook_output[0],
        prepared.fds.hook_output[1],
    ];
    let needed = |fd: &&i32| **fd >= FIRST_FD;
    let next = |from: i32| {
        keep.iter()
            .chain(&sockets)
            .filter(needed)
            .copied()
            .filter(|fd| *fd >= from)
            .min()
    };
    let mut from = FIRST_FD;
    while let Some(spared) = next(from) {
        if spared > from {
            open::close_range(from as u32, spared as u32 - 1).during(Operation::Whole)?;
        }
        from = spared + 1;
    }
    open::close_range(from as u32, u32::MAX).during(Operation::Whole)?;
    child.procfs = None;
    for fd in keep.iter().filter(|fd| !sockets.contains(fd)) {
        // One that is not open is nothing to pass on.
        let _ = open::keep_on_exec(*fd);
    }
    Ok(())
}

/// The first fd after the standard streams.
const FIRST_FD: i32 = 3;

/// Becomes the program. Returns only with a failure.
pub fn exec(child: &mut Child, op: &ExecOp) -> Failure {
    sys::signal::reset_ignored(child.prepared.ignored_signals);
    if let Err(errno) = sys::signal::unblock_all() {
        return Failure::new(Operation::Whole, errno);
    }
    let Some(arrays) = &child.prepared.program else {
        return Failure::new(Operation::Whole, Errno::ENOEXEC);
    };
    let errno = process::exec(&op.candidates[child.program], &arrays.args, &arrays.env);
    Failure::new(Operation::Whole, errno)
}

/// The most that is read of the container's /etc/passwd, in bytes. CVE-2026-47262
const MAX_PASSWD_BYTES: usize = 1 << 20;

/// The longest home directory that is believed, in bytes.
const MAX_HOME_BYTES: usize = 1024;

/// HOME from the container's /etc/passwd, as `HOME=…` in a buffer of its own.
pub struct Home {
    text: [u8; MAX_HOME_BYTES + 8],
}

impl Default for Home {
    fn default() -> Self {
        let mut home = Home { text: [0; _] };
        home.set(b"/");
        home
    }
}

impl Home {
    /// `HOME=…`.
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"HOME=/")
    }

    fn set(&mut self, directory: &[u8]) {
        const NAME: &[u8] = b"HOME=";
        self.text.fill(0);
        self.text[..NAME.len()].copy_from_slice(NAME);
        self.text[NAME.len()..NAME.len() + directory.len()].copy_from_slice(directory);
    }

    /// Reads lines until the user is found. Only a regular file is read, and only so much of it: the image may have
    /// put a device, a pipe or an endless file there.
    fn look_up(&mut self, uid: u32) {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        let Ok(file) = open::open_at(libc::AT_FDCWD, c"/etc/passwd", flags, 0) else {
            return;
        };
        if open::stat(file).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG) {
            self.search(file, uid);
        }
        open::close(file);
    }

    fn search(&mut self, file: i32, uid: u32) {
        let mut buffer = [0u8; 8192];
        let (mut filled, mut total) = (0, 0);
        loop {
            let count = open::read(file, &mut buffer[filled..]).unwrap_or(0);
            total += count;
            filled += count;
            let end = if count == 0 {
                filled
            } else {
                buffer[..filled]
                    .iter()
                    .rposition(|&b| b == b'\n')
                    .map_or(0, |at| at + 1)
            };
            if let Some(home) = buffer[..end]
                .split(|&byte| byte == b'\n')
                .find_map(|line| home_of(line, uid))
            {
                if !home.is_empty() && home.len() <= MAX_HOME_BYTES && !home.contains(&0) {
                    self.set(home);
                }
                return;
            }
            if count == 0 || total > MAX_PASSWD_BYTES || (end == 0 && filled == buffer.len()) {
                return;
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}

/// The sixth field of a passwd line whose third is exactly `uid`.
fn home_of(line: &[u8], uid: u32) -> Option<&[u8]> {
    let mut fields = line.split(|&byte| byte == b':');
    let id = std::str::from_utf8(fields.nth(2)?).ok()?;
    let matches = id.bytes().all(|digit| digit.is_ascii_digit()) && id.parse() == Ok(uid);
    if matches { fields.nth(2) } else { None }
}

#[cfg(test)]
mod tests;
