//! execve(2), personality(2), sethostname(2) and relatives. Everything here is async-signal-safe but [`set_limit`].

use super::Result;
use nix::errno::Errno;
use std::ffi::{CStr, c_char};

/// A null-terminated array of pointers to texts, as `execve` takes `argv` and `envp`. Made before `clone3`.
pub struct TextArray(Vec<*const c_char>);

// SAFETY: the pointers are only read, by the kernel, and whoever made the array keeps the texts alive.
unsafe impl Send for TextArray {}

impl TextArray {
    /// Points at `texts`, which must outlive the array's use.
    pub fn new<'a>(texts: impl ExactSizeIterator<Item = &'a CStr>) -> Self {
        let mut pointers = Vec::with_capacity(texts.len() + 2);
        pointers.extend(texts.map(CStr::as_ptr));
        pointers.push(std::ptr::null());
        TextArray(pointers)
    }

    /// The array, for the kernel.
    pub fn as_ptr(&self) -> *const *const c_char {
        self.0.as_ptr()
    }

    /// Adds a text without growing the allocation: one spare place is kept for HOME. Async-signal-safe.
    pub fn push_spare(&mut self, text: &CStr) {
        if self.0.len() < self.0.capacity() {
            let end = self.0.len() - 1;
            self.0[end] = text.as_ptr();
            self.0.push(std::ptr::null());
        }
    }
}

/// execve(2): returns only on failure.
pub fn exec(program: &CStr, args: &TextArray, env: &TextArray) -> Errno {
    // SAFETY: program and all elements are NUL-terminated texts that outlive the call; both arrays end in null.
    match unsafe {
        syscall!(
            SYS_execve,
            program.as_ptr(),
            args.0.as_ptr(),
            env.0.as_ptr()
        )
    } {
        Err(errno) => errno,
        Ok(_) => Errno::UnknownErrno,
    }
}

/// _exit(2), without anything that runs at exit.
pub fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// pause(2): sleeps until a signal ends the process.
pub fn pause() {
    // SAFETY: takes nothing.
    unsafe { libc::pause() };
}

/// sethostname(2).
pub fn set_hostname(name: &CStr) -> Result<()> {
    // SAFETY: the text is valid for its length.
    unsafe { syscall!(SYS_sethostname, name.as_ptr(), name.count_bytes()) }.map(drop)
}

/// setdomainname(2).
pub fn set_domainname(name: &CStr) -> Result<()> {
    // SAFETY: the text is valid for its length.
    unsafe { syscall!(SYS_setdomainname, name.as_ptr(), name.count_bytes()) }.map(drop)
}

/// personality(2).
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_personality, persona) }.map(drop)
}

/// umask(2), which can't fail.
pub fn set_umask(mask: u32) {
    // SAFETY: takes no pointers.
    let _ = unsafe { syscall!(SYS_umask, mask) };
}

/// getpid(2): in the pid namespace of the caller.
pub fn pid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getpid() }
}

/// getppid(2): 0 when the parent is outside the caller's pid namespace.
pub fn parent_pid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getppid() }
}

/// What stands behind the name in proc_pid_stat(5), from field 3 on. The name before may hold anything.
pub fn stat_fields(stat: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = stat[after_name..].split(u8::is_ascii_whitespace);
    Some(fields.filter(|field| !field.is_empty()))
}

/// prctl(2), `PR_SET_PDEATHSIG`: whether the caller is killed when its parent ends. Changing ids clears it.
pub fn die_with_parent(yes: bool) -> Result<()> {
    let signal = if yes { libc::SIGKILL } else { 0 };
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_prctl, libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) }.map(drop)
}

/// setsid(2).
pub fn new_session() -> Result<()> {
    // SAFETY: takes nothing.
    unsafe { syscall!(SYS_setsid) }.map(drop)
}

/// prlimit(2) of another process, or of the caller with pid 0.
pub fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: limit outlives the call; a null old limit is allowed.
    unsafe { syscall!(SYS_prlimit64, pid, resource, &raw const limit, 0usize) }.map(drop)
}

/// ioctl(2) `SIOCSIFFLAGS`: brings the loopback device of the caller's network namespace up.
pub fn loopback_up() -> Result<()> {
    // SAFETY: takes no pointers.
    let socket = unsafe {
        syscall!(
            SYS_socket,
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0
        )
    }? as i32;
    // SAFETY: ifreq is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: request is a valid ifreq.
    let result = unsafe { syscall!(SYS_ioctl, socket, libc::SIOCSIFFLAGS, &raw const request) };
    super::open::close(socket);
    result.map(drop)
}
