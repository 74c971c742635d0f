//! sd_notify(3) through the runtime: a socket of the container's own, whose READY goes on to the caller's. COMPAT(runc)
//!
//! The socket lies in a directory of the state directory that is bound into the container, so that whoever listens can
//! make it anew: `create` makes the directory, `run` and `start` listen.

use super::listener::with_address;
use crate::error::{Context, Result};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, bind, socket};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The directory in the state directory.
const DIRECTORY: &str = "notify";
/// The socket in it.
const SOCKET: &str = "notify.sock";
/// What systemd waits for.
const READY: &str = "READY=1";
/// A message longer than this is none of sd_notify's, in bytes.
const MAX_MESSAGE_BYTES: usize = 4096;

/// The caller's socket, where it has one.
fn of_caller() -> Option<PathBuf> {
    std::env::var_os("NOTIFY_SOCKET")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The directory that the container shall see, where the caller wants to be notified.
pub fn directory(state_dir: &Path) -> Option<PathBuf> {
    of_caller().map(|_| state_dir.join(DIRECTORY))
}

/// Makes the directory, before it is bound into the container.
pub fn make_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o755)
        .create(directory)
        .context(format_args!("make {}", directory.display()))
}

/// The container's socket while we listen on it.
#[derive(Debug)]
pub struct Notify {
    socket: OwnedFd,
    caller: PathBuf,
}

impl Notify {
    /// Listens, when the container was created to notify and the caller still wants to know.
    pub fn listen(state_dir: &Path) -> Result<Option<Notify>> {
        let directory = state_dir.join(DIRECTORY);
        let Some(caller) = of_caller().filter(|_| directory.is_dir()) else {
            return Ok(None);
        };
        let socket = socket(
            AddressFamily::Unix,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .context("make the notify socket")?;
        let _ = std::fs::remove_file(directory.join(SOCKET));
        with_address(&directory, SOCKET, |address| {
            bind(socket.as_raw_fd(), address)
        })?;
        let_everybody_write(&directory.join(SOCKET))?;
        Ok(Some(Notify { socket, caller }))
    }

    /// Reads one message; passes readiness on, with the pid that the caller knows. Says whether it was that.
    pub fn forward(&self, pid: i32) -> Result<bool> {
        let mut message = [0; MAX_MESSAGE_BYTES];
        let length = crate::sys::open::read(self.socket.as_raw_fd(), &mut message)
            .context("read a notification")?;
        let text = String::from_utf8_lossy(&message[..length]);
        if !text.lines().any(|line| line == READY) {
            return Ok(false);
        }
        UnixDatagram::unbound()
            .and_then(|socket| {
                socket.send_to(format!("{READY}\nMAINPID={pid}\n").as_bytes(), &self.caller)
            })
            .context(format_args!("notify {}", self.caller.display()))?;
        Ok(true)
    }

    /// Waits until the container is ready or its process has ended; `poll` waits for our socket or that end, and says
    /// which of them came.
    pub fn await_ready(
        &self,
        pid: i32,
        poll: impl Fn(RawFd) -> crate::sys::Result<[bool; 2]>,
    ) -> Result<()> {
        loop {
            let [message, ended] = match poll(self.socket.as_raw_fd()) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other.context("poll")?,
            };
            if message && self.forward(pid)? || ended {
                return Ok(());
            }
        }
    }
}

/// The container's user, whoever it is, shall be able to send. The container may write to the directory: what it puts in
/// the socket's place must not be followed.
fn let_everybody_write(socket: &Path) -> Result<()> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(socket)
        .and_then(|node| {
            let opened = format!("/proc/self/fd/{}", node.as_raw_fd());
            std::fs::set_permissions(opened, Permissions::from_mode(0o777))
        })
        .context(format_args!("chmod {}", socket.display()))
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_sockets_place_is_not_followed() {
        let dir = std::env::temp_dir().join(format!("crun-lite-notify-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let (socket, victim) = (dir.join(SOCKET), dir.join("victim"));
        std::fs::write(&victim, "").unwrap();
        std::fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&victim, &socket).unwrap();
        let_everybody_write(&socket).unwrap_err();
        let mode = std::fs::metadata(&victim).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
