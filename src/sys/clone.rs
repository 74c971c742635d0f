//! clone3(2), setns(2), unshare(2), pidfd_open(2), waitid(2): making processes and placing them in namespaces.

use super::Result;
use nix::errno::Errno;
use std::convert::Infallible;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The kernel's `struct clone_args`, version 2 (`cgroup`, Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Start in the cgroup2 directory of `clone_args.cgroup`. KERNEL(5.7).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What clone(2) takes: its last eight bits are the exit signal, among them clone3's `CLONE_NEWTIME`.
const CLONE_FLAGS: u64 = 0xffff_ff00;

/// Which side of a [`fork`] the caller finds itself on.
pub enum Fork {
    /// The new process: it may only call async-signal-safe functions until `execve` or `_exit`.
    Child,
    /// The caller.
    Parent {
        /// In the caller's pid namespace; 0 with `CLONE_PARENT` from another one.
        pid: i32,
        /// Refers to the child even after it ended.
        pidfd: RawFd,
    },
}

/// What [`fork`] asks of the kernel besides a new process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForkFlags<'a> {
    /// `CLONE_NEW*` and `CLONE_PARENT`.
    pub flags: u64,
    /// A cgroup2 directory that the child starts in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub into_cgroup: Option<BorrowedFd<'a>>,
}

/// clone3(2) with the semantics of fork(2): the child has a copy of the memory. KERNEL(5.3); before, clone(2), and ENOSYS
/// for what only clone3 can do: a cgroup to start in, a new time namespace.
///
/// # Safety
/// In the child only async-signal-safe functions may be called: a lock that another thread of the parent held at this
/// moment is held for ever.
pub unsafe fn fork(how: ForkFlags<'_>) -> Result<Fork> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: how.flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        // CLONE_PARENT takes the exit signal of the caller and refuses another.
        exit_signal: if how.flags & libc::CLONE_PARENT as u64 != 0 {
            0
        } else {
            libc::SIGCHLD as u64
        },
        ..CloneArgs::default()
    };
    if let Some(cgroup) = how.into_cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: args is a valid clone_args that outlives the call; without CLONE_VM the child returns on its own copy of
    // this stack. The rest is the caller's promise.
    match unsafe { syscall!(SYS_clone3, &raw const args, size_of::<CloneArgs>()) } {
        Ok(0) => Ok(Fork::Child),
        Ok(pid) => Ok(Fork::Parent {
            pid: pid as i32,
            pidfd,
        }),
        // SAFETY: as above.
        Err(Errno::ENOSYS) if args.flags & !CLONE_FLAGS == 0 => unsafe {
            fork_by_clone(args.flags, args.exit_signal)
        },
        Err(errno) => Err(errno),
    }
}

/// [`fork`], with the child's whole life in `body`, which so can't return into the parent's code.
///
/// `body` may only call async-signal-safe functions and ends in `execve` or `_exit`.
pub fn fork_then(how: ForkFlags<'_>, body: impl FnOnce() -> Infallible) -> Result<Fork> {
    // SAFETY: the child runs `body` alone, whose contract is the same.
    match unsafe { fork(how) }? {
        #[allow(
            unreachable_code,
            reason = "only the type says that `body` does not return"
        )]
        Fork::Child => match body() {},
        parent => Ok(parent),
    }
}

/// fork(2) for a body that lives on as an ordinary program: only where there is no other thread, whose locks would be
/// held for ever. EBUSY otherwise.
pub fn fork_alone(body: impl FnOnce() -> Infallible) -> Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count());
    match threads {
        1 => fork_then(ForkFlags::default(), body),
        _ => Err(Errno::EBUSY),
    }
}

/// [`fork`] where clone3 is missing or forbidden; clone(2) has no `CLONE_NEWTIME` and no `CLONE_INTO_CGROUP`.
///
/// # Safety
/// As for [`fork`].
#[cold]
unsafe fn fork_by_clone(flags: u64, exit_signal: u64) -> Result<Fork> {
    let mut pidfd: RawFd = -1;
    // SAFETY: a null stack means the caller's, copied; the pidfd is stored through the parent_tid argument.
    match unsafe {
        syscall!(
            SYS_clone,
            flags | exit_signal,
            0usize,
            &raw mut pidfd,
            0usize,
            0usize
        )
    }? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent {
            pid: pid as i32,
            pidfd,
        }),
    }
}

/// Size of the stack of a [`borrow_process`] body, in bytes. A child that it forks lives on the copy; only what is
/// touched costs anything.
const BORROWED_STACK_BYTES: usize = 1 << 20;

/// What the body of a borrowed process hands back: three numbers of its choice.
pub type Answer = [i32; 3];

/// Runs `body` in a short-lived process that shares our fds, waits until it has ended, and returns its answer.
///
/// It has its own namespaces, credentials and file-system root, so `setns` and `unshare` in it leave us alone, and
/// processes that it makes with `CLONE_PARENT` are our children. `body` may only call async-signal-safe functions.
/// With `share_memory` nothing is copied, as with vfork(2); the kernel then refuses to change its time namespace or to
/// make a user namespace, which want a memory of their own.
pub fn borrow_process(share_memory: bool, body: &mut dyn FnMut() -> Answer) -> Result<Answer> {
    struct Call<'b> {
        body: &'b mut dyn FnMut() -> Answer,
        answer: *mut Answer,
    }
    extern "C" fn enter(argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `argument` points at the Call below, alive since the parent waits, or at this process's copy of it;
        // `answer` points into memory shared with the parent.
        unsafe {
            let call = &mut *argument.cast::<Call>();
            call.answer.write((call.body)());
        }
        0
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping, big enough for an Answer; unmapped below.
    let shared = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<Answer>(),
            protection,
            kind,
            -1,
            0,
        )
    };
    if shared == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    let mut stack = vec![0u128; BORROWED_STACK_BYTES / size_of::<u128>()];
    let mut call = Call {
        body,
        answer: shared.cast(),
    };
    let flags = libc::CLONE_VFORK
        | libc::CLONE_FILES
        | libc::SIGCHLD
        | if share_memory { libc::CLONE_VM } else { 0 };
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: the stack is ours, aligned to 16 bytes, and outlives the child because CLONE_VFORK suspends this thread
    // until the child has ended.
    let pid =
        Errno::result(unsafe { libc::clone(enter, top.cast(), flags, (&raw mut call).cast()) });
    let waited = pid.and_then(|pid| wait_id(libc::P_PID, pid as libc::id_t, true));
    // SAFETY: the mapping is ours and holds an Answer: the child's, or the zeroes of a new mapping.
    let answer = unsafe {
        let answer = shared.cast::<Answer>().read();
        libc::munmap(shared, size_of::<Answer>());
        answer
    };
    waited.map(|_| answer)
}

/// setns(2) with a namespace fd or, since Linux 5.8, a pidfd and several flags. Async-signal-safe.
pub fn setns(fd: RawFd, flags: u64) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_setns, fd, flags as libc::c_int) }.map(drop)
}

/// ioctl_nsfs(2), `NS_GET_NSTYPE`: the `CLONE_NEW*` flag of a namespace file. KERNEL(4.11)
pub fn namespace_type(namespace: BorrowedFd<'_>) -> Result<u64> {
    const NS_GET_NSTYPE: u64 = 0xb703;
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_ioctl, namespace.as_raw_fd(), NS_GET_NSTYPE, 0) }.map(|flag| flag as u64)
}

/// unshare(2). Async-signal-safe.
pub fn unshare(flags: u64) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_unshare, flags as libc::c_int) }.map(drop)
}

/// pidfd_open(2). KERNEL(5.3).
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: takes no pointers; the kernel returns a new fd that nobody else owns.
    unsafe { syscall!(SYS_pidfd_open, pid, 0).map(|fd| OwnedFd::from_raw_fd(fd as RawFd)) }
}

/// A handle on a process that takes signals: a pidfd, or its directory in procfs, which the kernel takes for one too.
/// Only a pidfd can be waited for.
pub fn process_handle(pid: i32) -> Result<OwnedFd> {
    match pidfd_open(pid) {
        Err(Errno::ENOSYS) => {
            let opened = std::fs::File::open(format!("/proc/{pid}"));
            match opened {
                Ok(directory) => Ok(directory.into()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Errno::ESRCH),
                Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
            }
        }
        opened => opened,
    }
}

/// pidfd_send_signal(2). KERNEL(5.1).
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: a null siginfo is allowed.
    unsafe { syscall!(SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0usize, 0) }.map(drop)
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// As shells and all runtimes report it: the code, or 128 plus the signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// waitid(2) with `P_PIDFD` (Linux 5.4): reaps exactly this child, whatever SIGCHLD did. Async-signal-safe.
///
/// `None` when `block` is false and it still runs.
pub fn wait_pidfd(pidfd: RawFd, block: bool) -> Result<Option<Exit>> {
    wait_id(libc::P_PIDFD, pidfd as libc::id_t, block)
}

fn wait_id(kind: libc::idtype_t, id: libc::id_t, block: bool) -> Result<Option<Exit>> {
    // SAFETY: siginfo_t is plain data for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // __WALL: a child made with CLONE_PARENT may have no exit signal.
    let options = libc::WEXITED | libc::__WALL | if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: info is valid for writing.
        match Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, options) }) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    // SAFETY: waitid filled the SIGCHLD members, or left si_pid zero when nothing had changed.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Exit::Code(status)),
        _ => Some(Exit::Signal(status)),
    })
}

/// Reaps every ended child but `keep`: orphans that a subreaper inherits.
pub fn reap_others(keep: i32) {
    loop {
        // SAFETY: siginfo_t is plain data for which zeroes are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        // SAFETY: info is valid for writing; WNOWAIT leaves the child for a second look.
        let looked = Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) });
        // SAFETY: waitid filled si_pid, or left it zero when nobody has ended.
        let pid = unsafe { info.si_pid() };
        if looked.is_err() || pid == 0 || pid == keep {
            return;
        }
        let _ = wait_id(libc::P_PID, pid as libc::id_t, false);
    }
}
