//! Where the terminal's master goes: to `--console-socket`, or to ourselves when we stay in the foreground.

use crate::error::{Context, Error, Result};
use crate::sys::{open, socket};
use oci::runtime::Process;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The receiver of a terminal's master.
#[derive(Debug)]
pub enum Console {
    /// No terminal.
    None,
    /// The engine's socket, connected.
    Socket(UnixStream),
    /// Our own pair: (ours, the child's).
    Foreground(OwnedFd, OwnedFd),
}

impl Console {
    /// The combinations that make no sense, refused before anything is made. COMPAT(runc)
    pub fn check(process: Option<&Process>, socket: Option<&Path>, attached: bool) -> Result<()> {
        let terminal = process.is_some_and(|process| process.terminal);
        match (terminal, socket) {
            (true, None) if !attached => Err(Error::new(
                "cannot allocate tty if runtime will detach without setting console socket",
            )
            .hint("the process wants a terminal: name who gets it with --console-socket")),
            (false, Some(_)) => Err(Error::new(
                "cannot use console socket if runtime will not detach or allocate tty",
            )
            .hint("set process.terminal, or leave --console-socket out")),
            _ => Ok(()),
        }
    }

    /// Connects to the socket, or makes a pair when the terminal is ours to serve.
    pub fn open(process: Option<&Process>, socket: Option<&Path>) -> Result<Console> {
        match (process.is_some_and(|process| process.terminal), socket) {
            (false, _) => Ok(Console::None),
            (true, Some(path)) => connect(path)
                .map(Console::Socket)
                .context(format_args!("connect to console socket {}", path.display())),
            (true, None) => {
                let (ours, theirs) =
                    socket::pair().context("make a socket pair for the terminal")?;
                Ok(Console::Foreground(open::own(ours), open::own(theirs)))
            }
        }
    }

    /// The end on which the child sends the master; -1 without a terminal.
    pub fn child_end(&self) -> RawFd {
        match self {
            Console::None => -1,
            Console::Socket(stream) => stream.as_raw_fd(),
            Console::Foreground(_, theirs) => theirs.as_raw_fd(),
        }
    }

    /// The master, when it was sent to us.
    pub fn master(&self) -> Result<Option<OwnedFd>> {
        let Console::Foreground(ours, _) = self else {
            return Ok(None);
        };
        let mut name = [0; 64];
        let mut fds = [-1; socket::MAX_FDS];
        let (_, count) = socket::receive(ours.as_raw_fd(), &mut name, &mut fds)
            .context("receive the terminal")?;
        match count {
            0 => Err(Error::new("receive the terminal: no fd came")),
            _ => {
                // The terminal that shows the output adds carriage returns itself. COMPAT(runc)
                let _ = crate::sys::tty::clear_newline_translation(fds[0]);
                Ok(Some(open::own(fds[0])))
            }
        }
    }
}

/// Connects by a path of any length: one that no socket address holds is reached through its directory.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    /// Bytes of `sun_path`, without its NUL.
    const SHORT: usize = 107;
    if path.as_os_str().len() <= SHORT {
        return UnixStream::connect(path);
    }
    let (directory, name) = (
        path.parent().unwrap_or(Path::new("/")),
        path.file_name().unwrap_or_default(),
    );
    let directory = std::fs::File::open(directory)?;
    UnixStream::connect(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name))
}

/// Connects to a socket and sends one fd with a word. COMPAT(runc): `--pidfd-socket`
pub fn send_fd(path: &Path, fd: BorrowedFd<'_>, word: &str) -> Result<()> {
    let stream =
        connect(path).context(format_args!("connect to {word} socket {}", path.display()))?;
    socket::send(stream.as_raw_fd(), word.as_bytes(), &[fd.as_raw_fd()])
        .context(format_args!("send to {word} socket {}", path.display()))
}
