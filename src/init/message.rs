//! The frames between parent and child: fixed size, one packet each, two typed ends.
//!
//! docs/init-protocol.md shows which message comes when. Encoding and decoding allocate nothing.

use super::failure::{Failure, Operation};
use crate::sys::{self, socket};
use nix::errno::Errno;
use std::os::fd::RawFd;

/// Bytes of every frame: kind, operation, two unused, step (u32), code (i32).
const FRAME_BYTES: usize = 12;

/// What the child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromInit {
    /// The container's mounts are made; the runtime's hooks may run.
    Hooks,
    /// The seccomp listener's fd comes with this.
    NotifyFd,
    /// The step makes a mount whose ids only the host may map; the mount comes with this, and the user namespace that
    /// maps them.
    MapIds(u32),
    /// The container's root is entered and nothing of the host held any more; who becomes what is left. Said where
    /// nobody else starts the process: its parent does its part meanwhile.
    Inside,
    /// Everything but the process itself is done.
    Created,
    /// A step that can be done without failed. Steps are counted from the last one, which is 1: whoever calls `start`
    /// knows how a plan ends, but not all that led `create` there.
    Warning(u32, Failure),
    /// A step failed; the child exits.
    Failed(u32, Failure),
}

/// What the child is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToInit {
    /// Id maps are written, a mount's ids are mapped, or hooks have run: go on.
    Continue,
    /// Join the cgroups whose files come with this.
    Cgroup,
    /// Wait on the start socket.
    Wait,
    /// Run the process now.
    Start,
}

fn encode(kind: u8, operation: u8, step: u32, code: i32) -> [u8; FRAME_BYTES] {
    let mut frame = [kind, operation, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[4..8].copy_from_slice(&step.to_ne_bytes());
    frame[8..].copy_from_slice(&code.to_ne_bytes());
    frame
}

impl FromInit {
    fn frame(self) -> [u8; FRAME_BYTES] {
        match self {
            FromInit::Hooks => encode(1, 0, 0, 0),
            FromInit::NotifyFd => encode(2, 0, 0, 0),
            FromInit::Created => encode(3, 0, 0, 0),
            FromInit::Inside => encode(6, 0, 0, 0),
            FromInit::MapIds(step) => encode(7, 0, step, 0),
            FromInit::Warning(step, failure) => {
                encode(4, failure.operation as u8, step, failure.code)
            }
            FromInit::Failed(step, failure) => {
                encode(5, failure.operation as u8, step, failure.code)
            }
        }
    }

    /// Decodes a frame; `None` when it is none.
    pub fn decode(bytes: &[u8]) -> Option<FromInit> {
        let frame: [u8; FRAME_BYTES] = bytes.try_into().ok()?;
        let step = u32::from_ne_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let code = i32::from_ne_bytes([frame[8], frame[9], frame[10], frame[11]]);
        let failure = || {
            Some(Failure {
                operation: Operation::from_number(frame[1])?,
                code,
            })
        };
        match frame[0] {
            1 => Some(FromInit::Hooks),
            2 => Some(FromInit::NotifyFd),
            3 => Some(FromInit::Created),
            4 => Some(FromInit::Warning(step, failure()?)),
            5 => Some(FromInit::Failed(step, failure()?)),
            6 => Some(FromInit::Inside),
            7 => Some(FromInit::MapIds(step)),
            _ => None,
        }
    }
}

impl ToInit {
    fn frame(self) -> [u8; FRAME_BYTES] {
        encode(self as u8, 0, 0, 0)
    }

    fn decode(bytes: &[u8]) -> Option<ToInit> {
        match bytes.first()? {
            0 => Some(ToInit::Continue),
            1 => Some(ToInit::Cgroup),
            2 => Some(ToInit::Wait),
            3 => Some(ToInit::Start),
            _ => None,
        }
    }
}

/// Fds that came with a message; the receiver owns them.
#[derive(Debug)]
pub struct Fds {
    fds: [RawFd; socket::MAX_FDS],
    count: usize,
}

impl Fds {
    /// The received fds.
    pub fn as_slice(&self) -> &[RawFd] {
        &self.fds[..self.count]
    }
}

/// The child's end. Async-signal-safe.
#[derive(Debug, Clone, Copy)]
pub struct ChildEnd(pub RawFd);

/// The parent's end.
#[derive(Debug, Clone, Copy)]
pub struct ParentEnd(pub RawFd);

fn receive(socket: RawFd) -> sys::Result<([u8; FRAME_BYTES], usize, Fds)> {
    let mut bytes = [0; FRAME_BYTES];
    let mut fds = Fds {
        fds: [-1; socket::MAX_FDS],
        count: 0,
    };
    let (length, count) = socket::receive(socket, &mut bytes, &mut fds.fds)?;
    fds.count = count;
    Ok((bytes, length, fds))
}

impl ChildEnd {
    /// Sends one message.
    pub fn send(self, message: FromInit, fds: &[RawFd]) -> sys::Result<()> {
        socket::send(self.0, &message.frame(), fds)
    }

    /// Waits for this message and nothing else; ECONNRESET when the parent is gone.
    pub fn expect(self, message: ToInit) -> sys::Result<Fds> {
        let (got, fds) = self.receive()?;
        if got == message {
            Ok(fds)
        } else {
            Err(Errno::EPROTO)
        }
    }

    /// Waits for any message; ECONNRESET when the parent is gone.
    pub fn receive(self) -> sys::Result<(ToInit, Fds)> {
        let (bytes, length, fds) = receive(self.0)?;
        if length == 0 {
            return Err(Errno::ECONNRESET);
        }
        ToInit::decode(&bytes)
            .map(|message| (message, fds))
            .ok_or(Errno::EPROTO)
    }
}

impl ParentEnd {
    /// Sends one message.
    pub fn send(self, message: ToInit, fds: &[RawFd]) -> sys::Result<()> {
        socket::send(self.0, &message.frame(), fds)
    }

    /// Waits for a message; `None` when the child has closed its end, by `execve` or by dying.
    pub fn receive(self) -> sys::Result<Option<(FromInit, Fds)>> {
        let (bytes, length, fds) = match receive(self.0) {
            // The child ended with something of ours unread. That is told once, before what it had sent.
            Err(Errno::ECONNRESET) => match receive(self.0) {
                Err(Errno::ECONNRESET) => return Ok(None),
                other => other?,
            },
            other => other?,
        };
        if length == 0 {
            return Ok(None);
        }
        FromInit::decode(&bytes[..length])
            .map(|message| Some((message, fds)))
            .ok_or(Errno::EPROTO)
    }
}
