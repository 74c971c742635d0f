//! unix(7): datagrams with file descriptors, without allocation. Everything here is async-signal-safe.

use super::Result;
use nix::errno::Errno;
use std::os::fd::RawFd;

/// The most fds that one message carries here.
pub const MAX_FDS: usize = 32;

/// Room for one `SCM_RIGHTS` message of [`MAX_FDS`] fds, aligned as a `cmsghdr` must be.
#[repr(C, align(8))]
struct Control([u8; 16 + MAX_FDS * size_of::<RawFd>()]);

/// socketpair(2) of `SOCK_SEQPACKET`, both ends close-on-exec.
pub fn pair() -> Result<(RawFd, RawFd)> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: fds has room for two.
    unsafe { syscall!(SYS_socketpair, libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) }?;
    Ok((fds[0], fds[1]))
}

/// socket(2): a netlink socket for routing messages in the caller's network namespace.
pub fn netlink() -> Result<RawFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_socket, libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) }
        .map(|fd| fd as RawFd)
}

/// sendmsg(2) of one packet with `fds`, which stay the sender's. EPIPE instead of SIGPIPE.
pub fn send(socket: RawFd, bytes: &[u8], fds: &[RawFd]) -> Result<()> {
    let mut control = Control([0; _]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data for which zeroes are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        if fds.len() > MAX_FDS {
            return Err(Errno::E2BIG);
        }
        let length = size_of_val(fds) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE only computes; the control buffer has room for MAX_FDS, so the first header and its data
        // lie inside it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(length) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as _;
            std::ptr::copy_nonoverlapping(
                fds.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(header),
                length as usize,
            );
        }
    }
    loop {
        // SAFETY: message points at buffers that outlive the call.
        match unsafe { syscall!(SYS_sendmsg, socket, &raw const message, libc::MSG_NOSIGNAL) } {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// recvmsg(2) of one packet; received fds are close-on-exec and the caller's. Returns (bytes, fds) received.
///
/// 0 bytes is the end: the peer closed its side. EMSGSIZE when fds or bytes did not fit.
pub fn receive(
    socket: RawFd,
    bytes: &mut [u8],
    fds: &mut [RawFd; MAX_FDS],
) -> Result<(usize, usize)> {
    let mut control = Control([0; _]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data for which zeroes are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    let length = loop {
        // SAFETY: message points at buffers that outlive the call.
        match unsafe {
            syscall!(
                SYS_recvmsg,
                socket,
                &raw mut message,
                libc::MSG_CMSG_CLOEXEC
            )
        } {
            Err(Errno::EINTR) => {}
            other => break other? as usize,
        }
    };
    let mut count = 0;
    // SAFETY: the kernel filled the control buffer; the CMSG functions stay inside msg_controllen, and at most MAX_FDS
    // fds fit into it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let data_bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let received = (data_bytes / size_of::<RawFd>()).min(MAX_FDS - count);
                let from = libc::CMSG_DATA(header).cast::<RawFd>();
                std::ptr::copy_nonoverlapping(from, fds[count..].as_mut_ptr(), received);
                count += received;
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    if message.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) != 0 {
        fds[..count].iter().for_each(|&fd| super::open::close(fd));
        return Err(Errno::EMSGSIZE);
    }
    Ok((length, count))
}

/// accept4(2), restarted when interrupted.
pub fn accept(listener: RawFd) -> Result<RawFd> {
    loop {
        // SAFETY: the peer's address is not asked for.
        match unsafe { syscall!(SYS_accept4, listener, 0usize, 0usize, libc::SOCK_CLOEXEC) } {
            Err(Errno::EINTR) => {}
            other => return other.map(|fd| fd as RawFd),
        }
    }
}

/// What ended a [`wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The fd is readable.
    Ready,
    /// The interrupting fd is readable, whatever the other one is.
    Interrupted,
    /// Neither, in the given time.
    TimedOut,
}

/// poll(2) of `fd` and of one that interrupts, -1 for none; a negative time waits for ever.
pub fn wait(fd: RawFd, interrupt: RawFd, timeout_ms: i32) -> Result<Waited> {
    loop {
        return match ready([fd, interrupt], timeout_ms) {
            Err(Errno::EINTR) if timeout_ms < 0 => continue,
            Err(errno) => Err(errno),
            Ok([_, true]) => Ok(Waited::Interrupted),
            Ok([true, _]) => Ok(Waited::Ready),
            Ok(_) => Ok(Waited::TimedOut),
        };
    }
}

/// poll(2) of several fds for reading; a negative fd is left out, a negative time waits for ever. EINTR is the caller's
/// matter.
pub fn ready<const N: usize>(fds: [RawFd; N], timeout_ms: i32) -> Result<[bool; N]> {
    let mut polls = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: N pollfds, valid for writing.
    Errno::result(unsafe { libc::poll(polls.as_mut_ptr(), N as libc::nfds_t, timeout_ms) })?;
    Ok(polls.map(|poll| poll.revents != 0))
}

/// poll(2) of one fd for reading; `false` after `timeout_ms` (negative waits for ever).
pub fn readable(fd: RawFd, timeout_ms: i32) -> Result<bool> {
    wait(fd, -1, timeout_ms).map(|waited| waited == Waited::Ready)
}
