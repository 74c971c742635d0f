//! SPEC(config.md#posix-process) `rlimits`: the sixteen limits of Linux by name.

use crate::error::Result;
use crate::plan::RlimitOp;
use crate::plan::field::{by_name, invalid};
use oci::runtime::Rlimit;

const RESOURCES: [(&str, u32); 16] = [
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
];

/// The limits in the order they are written; a name given twice is set twice, as peers do.
pub fn plan_rlimits(rlimits: &[Rlimit]) -> Result<Vec<RlimitOp>> {
    let indexed = rlimits.iter().enumerate();
    indexed.map(|(index, rlimit)| plan(index, rlimit)).collect()
}

fn plan(index: usize, rlimit: &Rlimit) -> Result<RlimitOp> {
    let at = format!("process.rlimits[{index}]");
    let Rlimit { kind, soft, hard } = rlimit;
    if soft > hard {
        let problem = format!("the soft limit {soft} is above the hard limit {hard}");
        return Err(invalid(at, problem));
    }
    let resource = by_name(
        &RESOURCES,
        format_args!("{at}.type"),
        kind,
        "a resource limit of Linux",
    )?;
    Ok(RlimitOp {
        resource,
        soft: *soft,
        hard: *hard,
    })
}

/// The name of `RLIMIT_*` number `resource`, for messages.
pub(in crate::plan) fn rlimit_name(resource: u32) -> &'static str {
    let found = RESOURCES.iter().find(|(_, number)| *number == resource);
    found.map_or("RLIMIT_?", |(name, _)| name)
}
