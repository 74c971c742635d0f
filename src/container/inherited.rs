//! Fds that the container inherits: `LISTEN_FDS` of socket activation, then `--preserve-fds`.

use std::os::fd::BorrowedFd;

/// What the caller passes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The fds that are open among those asked for. One that isn't must not become one of ours instead.
    pub fds: Vec<i32>,
    /// How many come from socket activation.
    pub listen_fds: u32,
}

/// The first fd after the standard streams.
const FIRST: i32 = 3;

/// More than a process can have open is nobody's wish, in fds.
const MOST: u32 = 1 << 20;

/// Looks before we open anything of our own.
pub fn of_caller(preserve_fds: u32) -> Inherited {
    // sd_listen_fds(3) also compares LISTEN_PID; runc and crun do not, and engines rely on it.
    let listen_fds = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|text| text.parse::<u32>().ok())
        .unwrap_or(0);
    let count = listen_fds.saturating_add(preserve_fds).min(MOST);
    let wanted = FIRST..FIRST + count as i32;
    Inherited {
        fds: wanted.filter(|fd| is_open(*fd)).collect(),
        listen_fds,
    }
}

fn is_open(fd: i32) -> bool {
    let fd: BorrowedFd<'_> = crate::sys::open::borrow(fd);
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).is_ok()
}
