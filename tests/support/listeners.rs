//! The sockets that a caller of a runtime listens on: console, pidfd, seccomp agent, notify.

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// How long a message may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream socket that takes one message with descriptors from one caller.
pub struct FdListener {
    pub path: PathBuf,
    messages: Receiver<(Vec<u8>, Vec<OwnedFd>)>,
}

impl FdListener {
    /// Listens at `path`; a thread takes the first connection.
    pub fn at(path: &Path) -> Self {
        let listener = UnixListener::bind(path)
            .unwrap_or_else(|error| panic!("listen at {}: {error}", path.display()));
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                sender.send(receive(&stream)).ok();
            }
        });
        FdListener {
            path: path.to_owned(),
            messages,
        }
    }

    /// The bytes and the descriptors of the message.
    #[track_caller]
    pub fn take(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        self.messages
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("nothing arrived at {}", self.path.display()))
    }

    /// The one descriptor of the message.
    #[track_caller]
    pub fn take_fd(&self) -> OwnedFd {
        let (_, mut fds) = self.take();
        assert_eq!(
            fds.len(),
            1,
            "one descriptor should arrive at {}",
            self.path.display()
        );
        fds.remove(0)
    }

    /// The message's text and its descriptors.
    #[track_caller]
    pub fn take_text(&self) -> (String, Vec<OwnedFd>) {
        let (bytes, fds) = self.take();
        (String::from_utf8_lossy(&bytes).into_owned(), fds)
    }
}

/// Reads the one message, and its descriptors with it.
pub fn receive(stream: &std::os::unix::net::UnixStream) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut fds = Vec::new();
    let mut bytes = vec![0u8; 256 << 10];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(stream, &mut slices, &mut ancillary, flags);
    let count = received.map(|message| message.bytes).unwrap_or(0);
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    bytes.truncate(count);
    (bytes, fds)
}

/// A console: the master of a container's terminal.
pub struct Console(std::fs::File);

impl Console {
    pub fn new(master: OwnedFd) -> Self {
        Console(std::fs::File::from(master))
    }

    pub fn fd(&self) -> &std::fs::File {
        &self.0
    }

    pub fn write(&mut self, text: &str) {
        self.0
            .write_all(text.as_bytes())
            .expect("write to the console");
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.0, size).expect("resize the console");
    }

    /// Reads until the text was seen.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) -> String {
        self.read_while(|seen| !seen.contains(text), text)
    }

    /// Reads until the other side closes.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        self.read_while(|_| true, "the end")
    }

    #[track_caller]
    fn read_while(&mut self, more: impl Fn(&str) -> bool, what: &str) -> String {
        let mut seen = String::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while more(&seen) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            assert!(
                !left.is_zero(),
                "waited on the console for {what:?}, saw {seen:?}"
            );
            let mut polled = [rustix::event::PollFd::new(
                &self.0,
                rustix::event::PollFlags::IN,
            )];
            let time = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            if rustix::event::poll(&mut polled, Some(&time)).unwrap_or(0) == 0 {
                continue;
            }
            let mut part = [0u8; 4096];
            // EIO is how a pty says that nobody holds the other side any more.
            match self.0.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(count) => seen.push_str(&String::from_utf8_lossy(&part[..count])),
            }
        }
        seen
    }
}

/// A pty: the master, and the terminal for a command's standard streams.
pub fn new_pty() -> (Console, std::fs::File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("open a pty");
    grantpt(&master).expect("grant the pty");
    unlockpt(&master).expect("unlock the pty");
    let name = ptsname(&master, Vec::new())
        .expect("name the pty")
        .into_string()
        .expect("pty names are ASCII");
    let terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .expect("open the pty's terminal");
    (Console::new(master), terminal)
}

/// A socket as systemd's `NOTIFY_SOCKET`.
pub struct NotifySocket(UnixDatagram);

impl NotifySocket {
    pub fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path)
            .unwrap_or_else(|error| panic!("listen at {}: {error}", path.display()));
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("set the time limit of the notify socket");
        NotifySocket(socket)
    }

    #[track_caller]
    pub fn take(&self) -> String {
        let mut message = [0u8; 4096];
        let count = self
            .0
            .recv(&mut message)
            .expect("nothing arrived at the notify socket");
        String::from_utf8_lossy(&message[..count]).into_owned()
    }
}
