//! SPEC(config.md#linux-process) `scheduler`, `ioPriority`, `execCPUAffinity`; SPEC(config-linux.md#memory-policy),
//! SPEC(config-linux.md#personality): names and lists to the numbers of the system calls.

use crate::error::Result;
use crate::plan::field::{by_name, invalid};
use crate::plan::{CpuSet, MemoryPolicyOp, SchedulerOp};
use oci::runtime::{IoPriority, MemoryPolicy, Personality, Scheduler};

/// The largest CPU or node number that a list may hold: far above what Linux supports, small enough to allocate.
const MAX_LISTED: u32 = 65_535;

const POLICIES: [(&str, i32); 8] = [
    ("SCHED_OTHER", libc::SCHED_OTHER),
    ("SCHED_FIFO", libc::SCHED_FIFO),
    ("SCHED_RR", libc::SCHED_RR),
    ("SCHED_BATCH", libc::SCHED_BATCH),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", libc::SCHED_IDLE),
    ("SCHED_DEADLINE", libc::SCHED_DEADLINE),
    ("SCHED_EXT", 7),
];

const SCHED_FLAGS: [(&str, i32); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", libc::SCHED_FLAG_RESET_ON_FORK),
    ("SCHED_FLAG_RECLAIM", libc::SCHED_FLAG_RECLAIM),
    ("SCHED_FLAG_DL_OVERRUN", libc::SCHED_FLAG_DL_OVERRUN),
    ("SCHED_FLAG_KEEP_POLICY", libc::SCHED_FLAG_KEEP_POLICY),
    ("SCHED_FLAG_KEEP_PARAMS", libc::SCHED_FLAG_KEEP_PARAMS),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", libc::SCHED_FLAG_UTIL_CLAMP_MIN),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", libc::SCHED_FLAG_UTIL_CLAMP_MAX),
];

const IO_CLASSES: [(&str, i32); 3] = [
    ("IOPRIO_CLASS_RT", 1),
    ("IOPRIO_CLASS_BE", 2),
    ("IOPRIO_CLASS_IDLE", 3),
];
const IOPRIO_CLASS_SHIFT: u32 = 13;

const MEMORY_MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", libc::MPOL_DEFAULT),
    ("MPOL_PREFERRED", libc::MPOL_PREFERRED),
    ("MPOL_BIND", libc::MPOL_BIND),
    ("MPOL_INTERLEAVE", libc::MPOL_INTERLEAVE),
    ("MPOL_LOCAL", libc::MPOL_LOCAL),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

const MEMORY_FLAGS: [(&str, i32); 3] = [
    ("MPOL_F_NUMA_BALANCING", libc::MPOL_F_NUMA_BALANCING),
    ("MPOL_F_RELATIVE_NODES", libc::MPOL_F_RELATIVE_NODES),
    ("MPOL_F_STATIC_NODES", libc::MPOL_F_STATIC_NODES),
];

/// From the kernel's `personality.h`; the libc crate has none.
const PER_LINUX32: u64 = 8;

const DOMAINS: [(&str, u64); 2] = [("LINUX", 0), ("LINUX32", PER_LINUX32)];

/// `sched_setattr(2)`'s parameters; those that the policy doesn't have must be absent.
pub fn plan_scheduler(scheduler: &Scheduler) -> Result<SchedulerOp> {
    let at = "process.scheduler";
    let policy = by_name(
        &POLICIES,
        "process.scheduler.policy",
        &scheduler.policy,
        "a scheduling policy",
    )?;
    let flags = flags(
        &SCHED_FLAGS,
        "process.scheduler.flags",
        &scheduler.flags,
        "a scheduling flag",
    )?;
    let real_time = matches!(policy, libc::SCHED_FIFO | libc::SCHED_RR);
    let deadline = [scheduler.runtime, scheduler.deadline, scheduler.period];
    let priority = u32::try_from(scheduler.priority);
    let priority =
        priority.map_err(|_| invalid("process.scheduler.priority", "must not be negative"))?;
    let problem = match () {
        () if !(-20..=19).contains(&scheduler.nice) => "nice must lie between -20 and 19",
        () if priority != 0 && !real_time => "priority belongs to SCHED_FIFO and SCHED_RR only",
        () if deadline != [0; 3] && policy != libc::SCHED_DEADLINE => {
            "runtime, deadline and period belong to SCHED_DEADLINE only"
        }
        () => {
            return Ok(SchedulerOp {
                policy: policy as u32,
                flags: flags as u64,
                nice: scheduler.nice,
                priority,
                runtime: scheduler.runtime,
                deadline: scheduler.deadline,
                period: scheduler.period,
            });
        }
    };
    Err(invalid(at, problem))
}

/// The name of a scheduling policy's number, for messages.
pub(in crate::plan) fn policy_name(policy: u32) -> &'static str {
    let found = POLICIES.iter().find(|(_, number)| *number as u32 == policy);
    found.map_or("SCHED_?", |(name, _)| name)
}

/// `ioprio_set(2)`'s value.
pub fn plan_io_priority(priority: &IoPriority) -> Result<i32> {
    let at = "process.ioPriority";
    let class = by_name(
        &IO_CLASSES,
        "process.ioPriority.class",
        &priority.class,
        "an I/O priority class",
    )?;
    if !(0..=7).contains(&priority.priority) {
        return Err(invalid(
            format_args!("{at}.priority"),
            "must lie between 0 and 7",
        ));
    }
    Ok(class << IOPRIO_CLASS_SHIFT | priority.priority)
}

/// COMPAT(runc): an empty object is no policy.
pub fn says_something(policy: &&MemoryPolicy) -> bool {
    !policy.mode.is_empty() || !policy.nodes.is_empty() || !policy.flags.is_empty()
}

/// `set_mempolicy(2)`'s parameters. The rules are the kernel's own, told by name.
pub fn plan_memory_policy(policy: &MemoryPolicy) -> Result<MemoryPolicyOp> {
    let at = "linux.memoryPolicy";
    let mode = known(
        &MEMORY_MODES,
        "mode",
        &policy.mode,
        "invalid memory policy mode",
    )?;
    let mut flags = 0;
    for (index, name) in policy.flags.iter().enumerate() {
        let field = format!("flags[{index}]");
        flags |= known(&MEMORY_FLAGS, &field, name, "invalid memory policy flag")?;
    }
    let nodes = parse_list(&policy.nodes).map_err(|problem| {
        let problem = format!("invalid memory policy node: {problem}");
        invalid("linux.memoryPolicy.nodes", problem)
    })?;
    let both = libc::MPOL_F_RELATIVE_NODES | libc::MPOL_F_STATIC_NODES;
    let nodeless = matches!(mode, libc::MPOL_DEFAULT | libc::MPOL_LOCAL);
    let problem = match () {
        () if flags & both == both => {
            "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other"
        }
        () if flags & libc::MPOL_F_NUMA_BALANCING != 0 && !matches!(mode, libc::MPOL_BIND | 5) => {
            "MPOL_F_NUMA_BALANCING needs MPOL_BIND or MPOL_PREFERRED_MANY"
        }
        () if nodeless && (!nodes.is_empty() || flags & both != 0) => "this mode takes no nodes",
        () if nodes.is_empty() && !nodeless && mode != libc::MPOL_PREFERRED => {
            "this mode needs nodes"
        }
        () if nodes.is_empty() && flags & both != 0 => "flags about nodes need nodes",
        () => {
            return Ok(MemoryPolicyOp {
                mode: mode | flags,
                nodes,
            });
        }
    };
    let problem = format!("set_mempolicy: invalid argument: {problem}");
    Err(invalid(at, problem))
}

/// In runc's words, which scripts look for.
fn known(table: &[(&str, i32)], field: &str, name: &str, problem: &str) -> Result<i32> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let at = format!("linux.memoryPolicy.{field}");
        invalid(at, format_args!("{problem} {name:?}"))
    })
}

/// `personality(2)`'s value.
pub fn plan_personality(personality: &Personality) -> Result<u64> {
    if let Some(flag) = personality.flags.first() {
        let problem = format!("{flag:?}: no flag is defined");
        return Err(invalid("linux.personality.flags", problem));
    }
    by_name(
        &DOMAINS,
        "linux.personality.domain",
        &personality.domain,
        "an execution domain",
    )
}

/// A CPU list such as `0-3,7`. `None` is an empty list: the field is not set.
pub fn parse_cpu_list(at: &str, list: &str) -> Result<Option<CpuSet>> {
    let words = parse_list(list).map_err(|problem| invalid(at, problem))?;
    Ok((!words.is_empty()).then_some(CpuSet(words)))
}

/// Numbers and ranges between commas as words of a bit mask, lowest first.
pub(in crate::plan) fn parse_list(list: &str) -> Result<Vec<u64>, String> {
    let mut words: Vec<u64> = Vec::new();
    for item in list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let number = |text: &str| {
            text.trim()
                .parse::<u32>()
                .ok()
                .filter(|number| *number <= MAX_LISTED)
        };
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(format!(
                "expected numbers and ranges such as 0-3,7, found {item:?}"
            ));
        };
        if first > last {
            return Err(format!("the range {item:?} runs backwards"));
        }
        words.resize(words.len().max(last as usize / 64 + 1), 0);
        for number in first..=last {
            words[number as usize / 64] |= 1 << (number % 64);
        }
    }
    Ok(words)
}

fn flags(table: &[(&str, i32)], at: &str, names: &[String], what: &str) -> Result<i32> {
    let mut flags = 0;
    for (index, name) in names.iter().enumerate() {
        flags |= by_name(table, format_args!("{at}[{index}]"), name, what)?;
    }
    Ok(flags)
}
