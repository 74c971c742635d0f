//! pty(7), ioctl_tty(2): terminals by fd, never by the path of their slave. Everything here is async-signal-safe.

use super::{Result, open};
use std::os::fd::RawFd;

/// Unlocks a new terminal and opens the slave of its `master`, which is what opening a devpts's `ptmx` gave.
///
/// `TIOCGPTPEER` (Linux 4.13) goes by the master's fd: no name in /dev/pts can be swapped meanwhile. CVE-2025-52565.
pub fn open_slave(master: RawFd) -> Result<RawFd> {
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    unsafe { syscall!(SYS_ioctl, master, libc::TIOCSPTLCK, &raw const unlock) }?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value and returns a new fd.
    unsafe { syscall!(SYS_ioctl, master, libc::TIOCGPTPEER, flags) }.map(|fd| fd as RawFd)
}

/// `TIOCGPTN`: the number of a master's slave in its devpts.
pub fn number(master: RawFd) -> Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int.
    unsafe { syscall!(SYS_ioctl, master, libc::TIOCGPTN, &raw mut number) }.map(|_| number)
}

/// `TIOCSWINSZ`.
pub fn set_size(terminal: RawFd, rows: u16, columns: u16) -> Result<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one winsize.
    unsafe { syscall!(SYS_ioctl, terminal, libc::TIOCSWINSZ, &raw const size) }.map(drop)
}

/// `TIOCGWINSZ`: (rows, columns).
pub fn size(terminal: RawFd) -> Result<(u16, u16)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize.
    unsafe { syscall!(SYS_ioctl, terminal, libc::TIOCGWINSZ, &raw mut size) }?;
    Ok((size.ws_row, size.ws_col))
}

/// Makes `slave` the controlling terminal of the caller's session, which it leads, and its standard streams.
pub fn take_control(slave: RawFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes a flag by value.
    unsafe { syscall!(SYS_ioctl, slave, libc::TIOCSCTTY, 0) }?;
    (0..=2).try_for_each(|stream| open::duplicate_onto(slave, stream))
}

/// Clears ONLCR: the terminal that shows the output adds carriage returns itself. COMPAT(runc)
pub fn clear_newline_translation(terminal: RawFd) -> Result<()> {
    // SAFETY: termios is plain data for which zeroes are valid; TCGETS and TCSETS read and write the kernel's part.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        nix::errno::Errno::result(libc::tcgetattr(terminal, &raw mut settings))?;
        settings.c_oflag &= !libc::ONLCR;
        nix::errno::Errno::result(libc::tcsetattr(
            terminal,
            libc::TCSANOW,
            &raw const settings,
        ))
        .map(drop)
    }
}

/// Makes the caller a process group of its own, and that the one that the terminal talks to. ENOTTY without a terminal.
pub fn take_foreground(terminal: RawFd) -> Result<()> {
    size(terminal)?;
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_setpgid, 0, 0) }?;
    // SAFETY: takes no pointers.
    let group = unsafe { syscall!(SYS_getpid) }? as libc::pid_t;
    // SAFETY: TIOCSPGRP reads one pid.
    unsafe { syscall!(SYS_ioctl, terminal, libc::TIOCSPGRP, &raw const group) }.map(drop)
}
