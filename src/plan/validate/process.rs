//! SPEC(config.md#process): the program, its user and its limits.

use super::{Findings, Subject, duplicate};
use crate::plan::process::{parse_cpu_list, plan_io_priority, plan_rlimits, plan_scheduler};
use oci::runtime::{IdMapping, Process};

/// A configuration without a process can be created, but not started.
fn process<'a>(subject: &Subject<'a>) -> Option<&'a Process> {
    subject.spec.process.as_ref()
}

pub(super) fn program(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(process) = process(subject) else {
        return;
    };
    if process.args.is_empty() {
        findings.refuse("process.args", "needs a program to run");
    }
    match process.cwd.as_bytes() {
        [b'/', ..] => {}
        [] => findings.refuse("process.cwd", "is required"),
        _ => findings.refuse(
            "process.cwd",
            format_args!("{:?} is not absolute", process.cwd),
        ),
    }
}

/// SPEC(config.md#posix-process-user)
pub(super) fn user(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(process) = process(subject) else {
        return;
    };
    let user = &process.user;
    if user.umask.is_some_and(|umask| umask > 0o777) {
        findings.tolerate("process.user.umask", "has bits besides the permission bits");
    }
    if !subject.makes("user") {
        return;
    }
    let groups = user.additional_gids.iter().enumerate();
    let groups = groups.map(|(index, gid)| (format!("process.user.additionalGids[{index}]"), *gid));
    judge_mapped(
        "process.user.uid".into(),
        user.uid,
        &subject.linux.uid_mappings,
        findings,
    );
    for (at, gid) in groups.chain([("process.user.gid".into(), user.gid)]) {
        judge_mapped(at, gid, &subject.linux.gid_mappings, findings);
    }
}

/// An id that the user namespace doesn't map can't be taken. Default mappings are not known here.
fn judge_mapped(at: String, id: u32, mappings: &[IdMapping], findings: &mut Findings) {
    let mapped = |range: &IdMapping| {
        id.checked_sub(range.container_id)
            .is_some_and(|offset| offset < range.size)
    };
    if !mappings.is_empty() && !mappings.iter().any(mapped) {
        findings.refuse(
            at,
            format_args!("{id} is not mapped into the user namespace"),
        );
    }
}

pub(super) fn environment(subject: &Subject<'_>, findings: &mut Findings) {
    // Without `--strict` planning warns about each and leaves it out.
    let (Some(process), true) = (process(subject), findings.strict) else {
        return;
    };
    for (index, variable) in process.env.iter().enumerate() {
        if variable.find('=').is_none_or(|at| at == 0) {
            findings.refuse(
                format_args!("process.env[{index}]"),
                format_args!("{variable:?} is not NAME=VALUE"),
            );
        }
    }
}

/// SPEC(config.md#posix-process) `rlimits`, SPEC(config.md#linux-process) `oomScoreAdj`
pub(super) fn limits(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(process) = process(subject) else {
        return;
    };
    findings.check(plan_rlimits(&process.rlimits));
    if let Some(index) = duplicate(&process.rlimits, |limit| limit.kind.as_str()) {
        let kind = &process.rlimits[index].kind;
        findings.tolerate(
            format_args!("process.rlimits[{index}].type"),
            format_args!("{kind} is given twice"),
        );
    }
    if process
        .oom_score_adj
        .is_some_and(|score| !(-1000..=1000).contains(&score))
    {
        findings.refuse("process.oomScoreAdj", "must lie between -1000 and 1000");
    }
}

/// SPEC(config.md#linux-process) `scheduler`, `ioPriority`, `execCPUAffinity`
pub(super) fn scheduling(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(process) = process(subject) else {
        return;
    };
    if let Some(scheduler) = &process.scheduler {
        findings.check(plan_scheduler(scheduler));
    }
    if let Some(priority) = &process.io_priority {
        findings.check(plan_io_priority(priority));
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        findings.check(parse_cpu_list(
            "process.execCPUAffinity.initial",
            &affinity.initial,
        ));
        findings.check(parse_cpu_list(
            "process.execCPUAffinity.final",
            &affinity.last,
        ));
    }
}
