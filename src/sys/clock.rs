//! clock_gettime(2).

/// Nanoseconds since 1970, by the one clock that no time namespace shifts: parent and child read the same. Async-signal-safe;
/// a call into the vDSO, no system call, wherever the kernel's clock source allows it.
pub fn now_ns() -> u64 {
    read_ns(libc::CLOCK_REALTIME)
}

/// Processor time of this process in nanoseconds, since it was made: an `execve` does not reset it.
pub fn processor_ns() -> u64 {
    read_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// 0 where there is no such clock.
fn read_ns(clock: libc::clockid_t) -> u64 {
    const NS_PER_S: u64 = 1_000_000_000;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: time outlives the call. A clock that doesn't exist leaves it as it is.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * NS_PER_S + time.tv_nsec as u64
}
