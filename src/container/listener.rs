//! The start socket: init listens on it from `create` on, `start` calls. docs/init-protocol.md
//!
//! It lies in the state directory, which only its owner enters. Its path may be longer than a socket address holds, so
//! both sides name it through a handle on the directory.

use crate::error::{Context, Result};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, connect, listen, socket,
};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The socket's name in the state directory. It is there exactly as long as init waits for `start`.
pub const START_SOCKET: &str = "start.sock";

fn open_socket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
}

/// Runs `call` with a short address of `name` in `directory`.
pub fn with_address<T>(
    directory: &Path,
    name: &str,
    call: impl FnOnce(&UnixAddr) -> nix::Result<T>,
) -> Result<T> {
    let named = || directory.join(name);
    let handle = File::open(directory).context(format_args!("open {}", directory.display()))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{name}", handle.as_raw_fd()));
    UnixAddr::new(&short)
        .and_then(|address| call(&address))
        .context(format_args!("socket {}", named().display()))
}

/// Makes the socket and listens.
pub fn bind(state_dir: &Path) -> Result<OwnedFd> {
    let socket = open_socket().context("make the start socket")?;
    with_address(state_dir, START_SOCKET, |address| {
        bind_to(socket.as_raw_fd(), address)?;
        listen(&socket, Backlog::new(8)?)
    })?;
    Ok(socket)
}

/// Calls the init that listens.
pub fn call(state_dir: &Path) -> Result<OwnedFd> {
    let socket = open_socket().context("make a socket")?;
    with_address(state_dir, START_SOCKET, |address| {
        connect(socket.as_raw_fd(), address)
    })?;
    Ok(socket)
}

/// Takes the socket's name away: nobody can call any more.
pub fn remove(state_dir: &Path) -> Result<()> {
    let path = state_dir.join(START_SOCKET);
    std::fs::remove_file(&path).context(format_args!("remove {}", path.display()))
}
