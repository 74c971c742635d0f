//! rtnetlink(7), as much as moving a network device takes: requests, their answers, attributes. Bytes in, bytes out.

use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes of `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// Bytes of `struct rtattr`.
const ATTRIBUTE_BYTES: usize = 4;

/// A netlink socket; it acts in the network namespace that it was made in.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

/// One request: a message type, flags and a body.
#[derive(Debug)]
pub struct Request(Vec<u8>);

impl Request {
    /// Begins a message; `flags` besides `NLM_F_REQUEST`.
    pub fn new(kind: u16, flags: i32, body: &[u8]) -> Request {
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(body);
        Request(bytes)
    }

    /// Appends an attribute, padded as the kernel wants it.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Request {
        let length = (ATTRIBUTE_BYTES + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// The attributes after a message's fixed body.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(ATTRIBUTE_BYTES..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

impl Netlink {
    /// A socket in the caller's network namespace.
    pub fn open() -> nix::Result<Netlink> {
        let protocol = SockProtocol::NetlinkRoute;
        socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )
        .map(Netlink)
    }

    /// Takes charge of a socket that was made in another namespace.
    pub fn from_fd(fd: OwnedFd) -> Netlink {
        Netlink(fd)
    }

    /// Sends a request and waits for the kernel's word on it.
    pub fn execute(&self, request: Request) -> nix::Result<()> {
        self.dump(request, &mut |_, _| {})
    }

    /// Sends a request and calls `each` with the type and body of every answer, up to the last.
    pub fn dump(&self, request: Request, each: &mut dyn FnMut(u16, &[u8])) -> nix::Result<()> {
        send(self.0.as_raw_fd(), &request.finish(), MsgFlags::empty())?;
        let mut buffer = vec![0; 32 << 10];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some((kind, body, after)) = next_message(rest) {
                match i32::from(kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => return acknowledged(body),
                    _ => each(kind, body),
                }
                rest = after;
            }
        }
    }
}

fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER_BYTES..length)?;
    Some((
        kind,
        body,
        bytes.get(length.next_multiple_of(4)..).unwrap_or_default(),
    ))
}

/// `struct nlmsgerr` begins with a negative errno; 0 is success.
fn acknowledged(body: &[u8]) -> nix::Result<()> {
    let code = body
        .get(..4)
        .and_then(|code| code.try_into().ok())
        .map_or(-libc::EIO, i32::from_ne_bytes);
    if code == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw(-code))
    }
}

/// A netlink socket in the network namespace of a process.
pub fn open_in(pid: i32) -> Result<Netlink> {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = std::fs::File::open(&path).context(format_args!("open {path}"))?;
    let answer = crate::sys::clone::borrow_process(true, &mut || {
        let joined = crate::sys::clone::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET as u64);
        match joined.and_then(|()| crate::sys::socket::netlink()) {
            Ok(fd) => [fd, 0, 0],
            Err(errno) => [-1, errno as i32, 0],
        }
    })
    .context("borrow a process for the container's network namespace")?;
    match answer {
        [-1, errno, _] => Err(Error::errno(
            format_args!("open a netlink socket in {path}"),
            Errno::from_raw(errno),
        )),
        [fd, ..] => Ok(Netlink::from_fd(crate::sys::open::own(fd))),
    }
}
