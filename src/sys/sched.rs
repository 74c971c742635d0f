//! sched(7), ioprio_set(2): when and where a process runs. Everything here is async-signal-safe.

use super::Result;

/// The kernel's `struct sched_attr`, version 0.
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Parameters of [`set_scheduler`]; times in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduling {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// For `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// For `SCHED_DEADLINE`.
    pub runtime: u64,
    /// For `SCHED_DEADLINE`.
    pub deadline: u64,
    /// For `SCHED_DEADLINE`.
    pub period: u64,
}

/// sched_setattr(2) of the calling task.
pub fn set_scheduler(to: &Scheduling) -> Result<()> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: to.policy,
        flags: to.flags,
        nice: to.nice,
        priority: to.priority,
        runtime: to.runtime,
        deadline: to.deadline,
        period: to.period,
    };
    // SAFETY: attr outlives the call and states its own size.
    unsafe { syscall!(SYS_sched_setattr, 0, &raw const attr, 0) }.map(drop)
}

/// ioprio_set(2) of the calling task; class and level are packed as `IOPRIO_PRIO_VALUE` does.
pub fn set_io_priority(value: i32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: takes no pointers.
    unsafe { syscall!(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }.map(drop)
}

/// sched_setaffinity(2) of the calling task; `words` is a bit mask, lowest CPU first.
pub fn set_affinity(words: &[u64]) -> Result<()> {
    // SAFETY: the slice is valid for its length in bytes.
    unsafe { syscall!(SYS_sched_setaffinity, 0, size_of_val(words), words.as_ptr()) }.map(drop)
}
