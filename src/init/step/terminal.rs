//! The container's terminal, from its own devpts, by handles only. SPEC(config.md#process), `terminal`
//! CVE-2025-52565 CVE-2026-88264

use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::init::path::{self, Missing};
use crate::sys::decimal::{DIGITS, decimal};
use crate::sys::{mount, open, socket, tty};
use nix::errno::Errno;
use std::os::fd::RawFd;

const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// Opens a terminal, binds it on /dev/console, sends its master out and makes it our standard streams.
pub fn open_terminal(
    child: &mut Child,
    rows: u16,
    columns: u16,
    console: bool,
    uid: u32,
) -> Result {
    let master = open_master(child)?;
    let slave = tty::open_slave(master).during(Operation::OpenTerminal)?;
    if (rows, columns) != (0, 0) {
        tty::set_size(master, rows, columns).during(Operation::OpenTerminal)?;
    }
    open::change_owner(slave, uid, u32::MAX).during(Operation::ChangeOwner)?;
    if console {
        bind_console(child, slave)?;
    }
    let number = tty::number(master).during(Operation::OpenTerminal)?;
    let mut name = [0u8; 24];
    let length = terminal_name(number, &mut name);
    socket::send(child.prepared.fds.console, &name[..length], &[master])
        .during(Operation::SendTerminal)?;
    open::close(master);
    tty::take_control(slave).during(Operation::OpenTerminal)?;
    if slave > 2 {
        open::close(slave);
    }
    Ok(())
}

/// The container's ptmx when it has a devpts; else the host's, as runc and crun do.
fn open_master(child: &Child) -> Result<RawFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let containers = match child.root {
        // `exec`: what is `/` here is the container's already.
        -1 if child.prepared.plan.new_namespaces == 0 => {
            open::open_at(libc::AT_FDCWD, c"/dev/pts/ptmx", flags, 0)
        }
        -1 => Err(Errno::ENOENT),
        root => path::open_existing(root, c"dev/pts/ptmx", flags),
    };
    if let Ok(master) = containers {
        if open::file_system_type(master) == Ok(DEVPTS_SUPER_MAGIC) {
            return Ok(master);
        }
        open::close(master);
    }
    let master =
        open::open_at(libc::AT_FDCWD, c"/dev/ptmx", flags, 0).during(Operation::OpenTerminal)?;
    match open::file_system_type(master) {
        Ok(_) if child.root >= 0 => Ok(master),
        Ok(DEVPTS_SUPER_MAGIC) => Ok(master),
        _ => Err(Failure::new(Operation::OpenTerminal, Errno::ENODEV)),
    }
}

/// /dev/console shows the terminal. What the image has there, a link included, is never followed.
fn bind_console(child: &Child, slave: RawFd) -> Result {
    let place = match path::open_or_make(child.root, c"/dev/console", Missing::File, false) {
        // No /dev at all and a read-only root: there is no console to be had.
        Err(Errno::EROFS) => return Ok(()),
        other => other.during(Operation::MountConsole)?,
    };
    if open::stat(place).during(Operation::MountConsole)?.st_mode & libc::S_IFMT == libc::S_IFLNK {
        return Err(Failure::new(Operation::MountConsole, Errno::ELOOP));
    }
    let bound = match mount::clone_tree(slave, c"", false, false) {
        Err(Errno::ENOSYS) => mount::bind(slave, place),
        Ok(tree) => {
            let attached = mount::attach(tree, place);
            open::close(tree);
            attached
        }
        Err(errno) => Err(errno),
    };
    open::close(place);
    bound.during(Operation::MountConsole)
}

/// `/dev/pts/N`, as runc names the terminal to the console socket; its length.
fn terminal_name(number: u32, buffer: &mut [u8; 24]) -> usize {
    const PREFIX: &[u8] = b"/dev/pts/";
    buffer[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut digits = [0; DIGITS];
    let number = decimal(number, &mut digits);
    let length = PREFIX.len() + number.len();
    buffer[PREFIX.len()..length].copy_from_slice(number);
    length
}
