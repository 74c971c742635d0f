//! The foreground: signals go to the process, the terminal's bytes both ways, until the process has ended.
//!
//! The end is seen by pidfd, never by SIGCHLD, which can be lost.

use super::notify::Notify;
use crate::error::{Context, Result};
use crate::init::parent::Running;
use crate::sys::clone::{Exit, pidfd_send_signal, reap_others, wait_pidfd};
use crate::sys::tty;
use nix::errno::Errno;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// What is watched.
pub struct Watched<'w> {
    /// The process.
    pub process: &'w Running,
    /// Delivers every signal that we get.
    pub signals: OwnedFd,
    /// The terminal's master, when it is ours to serve.
    pub master: Option<OwnedFd>,
    /// Readiness goes on to the caller.
    pub notify: Option<Notify>,
    /// Called when its fd is readable.
    pub memory: Option<&'w dyn MemoryEvents>,
}

/// Somebody who wants to hear at once when memory ran out.
pub trait MemoryEvents: AsFd {
    /// The fd is readable.
    fn look(&self);
}

/// A process that ends sooner than this, in milliseconds, ends before giving memory back pays.
const SOON_MS: i32 = 30;
const FOREVER_MS: i32 = -1;

/// Bytes moved at once between the terminals.
const CHUNK_BYTES: usize = 8 << 10;

/// Returns how the process ended. Our own terminal is as before then.
pub fn watch(watched: &Watched<'_>) -> Result<Exit> {
    let _raw = watched
        .master
        .as_ref()
        .map(|master| RawTerminal::enter(master.as_fd()));
    let mut relay = watched.master.as_ref().map(|master| Relay {
        master: master.as_fd(),
        input: true,
        output: true,
    });
    let mut patience_ms = SOON_MS;
    loop {
        let ready = wait(watched, relay.as_ref(), patience_ms)?;
        if !ready.anything() && patience_ms == SOON_MS {
            // It may run for days.
            crate::sys::memory::release_for_a_wait();
            patience_ms = FOREVER_MS;
        }
        if ready.memory
            && let Some(memory) = watched.memory
        {
            memory.look();
        }
        if ready.signals {
            forward_signals(watched);
        }
        if let Some(relay) = &mut relay {
            relay.move_bytes(&ready);
        }
        if ready.notification
            && let Some(notify) = &watched.notify
            && let Err(error) = notify.forward(watched.process.pid)
        {
            log::warn!("{error}");
        }
        if ready.ended {
            relay.iter_mut().for_each(Relay::drain);
            let exit = wait_pidfd(watched.process.pidfd.as_raw_fd(), true)
                .context("wait for the container's process")?;
            return Ok(exit.unwrap_or(Exit::Code(0)));
        }
    }
}

#[derive(Default)]
struct Ready {
    ended: bool,
    signals: bool,
    output: bool,
    input: bool,
    notification: bool,
    memory: bool,
}

impl Ready {
    fn anything(&self) -> bool {
        self.ended || self.signals || self.output || self.input || self.notification || self.memory
    }
}

fn wait(watched: &Watched<'_>, relay: Option<&Relay<'_>>, patience_ms: i32) -> Result<Ready> {
    // A side that is done is not asked: it would be ready for ever.
    let output = relay
        .filter(|relay| relay.output)
        .map_or(ABSENT, |relay| relay.master.as_raw_fd());
    let input = relay
        .filter(|relay| relay.input)
        .map_or(ABSENT, |_| libc::STDIN_FILENO);
    let notify = watched
        .notify
        .as_ref()
        .map_or(ABSENT, |notify| notify.as_fd().as_raw_fd());
    let fds = [
        watched.process.pidfd.as_raw_fd(),
        watched.signals.as_raw_fd(),
        output,
        input,
        notify,
        watched
            .memory
            .map_or(ABSENT, |memory| memory.as_fd().as_raw_fd()),
    ];
    match crate::sys::socket::ready(fds, patience_ms) {
        Err(Errno::EINTR) => Ok(Ready::default()),
        other => {
            let [ended, signals, output, input, notification, memory] = other.context("poll")?;
            Ok(Ready {
                ended,
                signals,
                output,
                input,
                notification,
                memory,
            })
        }
    }
}

/// Stands for an fd that is not waited for.
const ABSENT: RawFd = -1;

fn forward_signals(watched: &Watched<'_>) {
    /// `ssi_signo` comes first in a record of this size. signalfd(2)
    const RECORD_BYTES: usize = 128;
    let mut record = [0u8; RECORD_BYTES];
    while let Ok(RECORD_BYTES) = crate::sys::open::read(watched.signals.as_raw_fd(), &mut record) {
        let signal = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]) as i32;
        match (signal, &watched.master) {
            (libc::SIGCHLD, _) => reap_others(watched.process.pid),
            (libc::SIGWINCH, Some(master)) => copy_size(master.as_fd()),
            // Job control and broken pipes are about us, not about the container.
            (libc::SIGPIPE | libc::SIGURG | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, _) => {}
            (signal, _) => drop(pidfd_send_signal(watched.process.pidfd.as_fd(), signal)),
        }
    }
}

/// The container's terminal is as large as ours.
fn copy_size(master: BorrowedFd<'_>) {
    if let Ok((rows, columns)) = tty::size(libc::STDIN_FILENO)
        && (rows, columns) != (0, 0)
    {
        let _ = tty::set_size(master.as_raw_fd(), rows, columns);
    }
}

/// Makes the container's terminal ready before its process can write to it or ask for its size.
pub fn prepare_terminal(master: Option<&OwnedFd>) {
    if let Some(master) = master {
        let _ = tty::clear_newline_translation(master.as_raw_fd());
        copy_size(master.as_fd());
    }
}

/// What a start that failed has left in the container's terminal: the words of a hook that refused it.
pub fn drain(master: &Option<OwnedFd>) {
    if let Some(master) = master {
        let (input, output) = (false, true);
        let master = master.as_fd();
        Relay {
            master,
            input,
            output,
        }
        .drain();
    }
}

/// Our own terminal in raw mode: what is typed belongs to the container's.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter(master: BorrowedFd<'_>) -> RawTerminal {
        copy_size(master);
        let input = crate::sys::open::borrow(libc::STDIN_FILENO);
        let Ok(before) = tcgetattr(input) else {
            return RawTerminal(None);
        };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        let entered = tcsetattr(input, SetArg::TCSANOW, &raw).is_ok();
        RawTerminal(entered.then_some(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(
                crate::sys::open::borrow(libc::STDIN_FILENO),
                SetArg::TCSANOW,
                before,
            );
        }
    }
}

/// Bytes between our standard streams and the master.
struct Relay<'m> {
    master: BorrowedFd<'m>,
    input: bool,
    output: bool,
}

impl Relay<'_> {
    fn move_bytes(&mut self, ready: &Ready) {
        if ready.output && self.output {
            self.output = copy_chunk(self.master.as_raw_fd(), libc::STDOUT_FILENO) != Some(0);
        }
        if ready.input && self.input {
            match copy_chunk(libc::STDIN_FILENO, self.master.as_raw_fd()) {
                Some(0) => self.end_input(),
                None => self.input = false,
                Some(_) => {}
            }
        }
    }

    /// The end of our input is the end-of-file character of the terminal, as if it had been typed.
    fn end_input(&mut self) {
        const END_OF_TRANSMISSION: u8 = 4;
        self.input = false;
        let _ = crate::sys::open::write_all(self.master.as_raw_fd(), &[END_OF_TRANSMISSION]);
    }

    /// What the process wrote before it ended.
    fn drain(&mut self) {
        let fd: RawFd = self.master.as_raw_fd();
        while self.output && crate::sys::socket::readable(fd, 0) == Ok(true) {
            self.output = copy_chunk(fd, libc::STDOUT_FILENO).is_some_and(|count| count > 0);
        }
    }
}

/// How many bytes went over; `None` when one side failed. A master whose last slave closed says EIO, which is its end.
fn copy_chunk(from: RawFd, to: RawFd) -> Option<usize> {
    let mut chunk = [0u8; CHUNK_BYTES];
    match crate::sys::open::read(from, &mut chunk) {
        Ok(count) => crate::sys::open::write_all(to, &chunk[..count])
            .ok()
            .map(|()| count),
        Err(Errno::EIO) => Some(0),
        Err(Errno::EAGAIN) => Some(1),
        Err(_) => None,
    }
}
