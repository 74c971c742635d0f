//! Writes to /proc: kernel parameters, labels for `execve`. CVE-2019-16884 CVE-2025-52881
//!
//! They go through a procfs of our own that is mounted nowhere, so that nothing the image or a concurrent container
//! mounts over /proc can send them elsewhere.

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::sys::{self, mount, open};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// The private procfs of processes, made on first use.
fn procfs(child: &mut Child) -> Result<RawFd> {
    made_once(&mut child.procfs, true)
}

fn made_once(procfs: &mut Option<RawFd>, only_processes: bool) -> Result<RawFd> {
    if let Some(procfs) = *procfs {
        return Ok(procfs);
    }
    let made = open_procfs(only_processes)?;
    *procfs = Some(made);
    Ok(made)
}

/// A private procfs; the `/proc` that is mounted, checked to be one, where that is refused.
fn open_procfs(only_processes: bool) -> Result<RawFd> {
    match mount::private_procfs(only_processes) {
        Err(Errno::EPERM | Errno::ENOSYS) => mounted_procfs(),
        other => other.during(Operation::OpenProcfs),
    }
}

/// KERNEL(<5.2), and user namespaces whose /proc is masked already.
fn mounted_procfs() -> Result<RawFd> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let procfs = open::open_at(libc::AT_FDCWD, c"/proc", flags, 0).during(Operation::OpenProcfs)?;
    if open::file_system_type(procfs).during(Operation::OpenProcfs)? != PROC_SUPER_MAGIC {
        return Err(Failure::new(Operation::OpenProcfs, Errno::ENOTSUP));
    }
    Ok(procfs)
}

/// Opens below procfs without crossing into anything that is mounted there.
fn open_below(procfs: RawFd, path: &CStr, flags: i32) -> sys::Result<RawFd> {
    let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS;
    match open::open_how(procfs, path, flags, 0, resolve) {
        Err(Errno::ENOSYS) => open::open_at(procfs, path, flags, 0),
        other => other,
    }
}

fn write(procfs: RawFd, path: &CStr, value: &CStr) -> Result {
    let file = open_below(procfs, path, libc::O_WRONLY).during(Operation::Resolve)?;
    let written = open::write_all(file, value.to_bytes()).during(Operation::Write);
    open::close(file);
    written
}

/// `path` is relative to the procfs, such as `sys/net/ipv4/ip_forward`.
pub fn sysctl(child: &mut Child, path: &CStr, value: &CStr) -> Result {
    let procfs = made_once(&mut child.parameters, false)?;
    write(procfs, path, value)
}

/// The LSM's text for the coming `execve`; the first attribute file that exists gets it.
pub fn exec_label(child: &mut Child, attributes: &[CString], value: &CStr) -> Result {
    let procfs = procfs(child)?;
    let mut result = Err(Failure::new(Operation::Resolve, Errno::ENOENT));
    for attribute in attributes {
        result = write(procfs, attribute, value);
        match result {
            Err(Failure {
                operation: Operation::Resolve,
                code,
            }) if code == Errno::ENOENT as i32 => {}
            _ => break,
        }
    }
    result
}

/// A session keyring of the container's own; a kernel without keyrings has nothing to leak.
pub fn new_keyring(child: &mut Child, name: &CStr, label: &CStr) -> Result {
    if !label.is_empty() {
        let procfs = procfs(child)?;
        let _ = write(procfs, c"thread-self/attr/keycreate", label);
    }
    match sys::credentials::join_session_keyring(name) {
        Err(Errno::ENOSYS) => Ok(()),
        // The user's key quota is full: the inherited keyring is cut off by the user namespace or stays; runc warns too.
        Err(errno @ (Errno::EDQUOT | Errno::EPERM | Errno::EACCES)) => child.optional(Err(errno)),
        Err(errno) => Err(Failure::new(Operation::Whole, errno)),
        Ok(serial) => {
            let _ = sys::credentials::let_owner_search_keyring(serial);
            Ok(())
        }
    }
}
