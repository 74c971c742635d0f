//! Users, capabilities, limits, scheduling and programs as numbers.

use super::*;
use crate::host::{CgroupLayout, Host};
use crate::plan::{CapabilityOp, CpuSet, Step};
use oci::runtime::*;

fn host() -> Host {
    Host {
        uid: 0,
        gid: 0,
        in_initial_userns: true,
        capabilities: (1 << 41) - 1,
        bounding: (1 << 41) - 1,
        last_capability: 40,
        cgroups: CgroupLayout::None,
        own_cgroups: vec![],
        apparmor: false,
        selinux: false,
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn texts(list: &[std::ffi::CString]) -> Vec<&str> {
    list.iter()
        .map(|text| text.to_str().expect("is UTF-8"))
        .collect()
}

fn message<T: std::fmt::Debug>(result: crate::error::Result<T>) -> String {
    result.expect_err("must be refused").to_string()
}

fn rlimit(kind: &str, soft: u64, hard: u64) -> Rlimit {
    Rlimit {
        kind: kind.into(),
        soft,
        hard,
    }
}

#[test]
fn all_sixteen_limits_have_their_number() {
    let names = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME";
    let limits: Vec<_> = names
        .split(' ')
        .map(|name| rlimit(&format!("RLIMIT_{name}"), 1, u64::MAX))
        .collect();
    let planned = plan_rlimits(&limits).expect("all are known");
    for (number, (op, limit)) in planned.iter().zip(&limits).enumerate() {
        assert_eq!(
            (op.resource, op.soft, op.hard),
            (number as u32, 1, u64::MAX),
            "{}",
            limit.kind
        );
        assert_eq!(limits::rlimit_name(op.resource), limit.kind);
    }
    assert_eq!(planned.len(), 16);
}

#[test]
fn a_wrong_limit_is_named() {
    let of = |limit| message(plan_rlimits(&[rlimit("RLIMIT_AS", 1, 1), limit]));
    assert_eq!(
        of(rlimit("RLIMIT_X", 1, 1)),
        "process.rlimits[1].type: \"RLIMIT_X\" is not a resource limit of Linux"
    );
    assert_eq!(
        of(rlimit("", 1, 1)),
        "process.rlimits[1].type: is required: a resource limit of Linux"
    );
    assert_eq!(
        of(rlimit("RLIMIT_AS", 2, 1)),
        "process.rlimits[1]: the soft limit 2 is above the hard limit 1"
    );
}

#[test]
fn ambient_is_cut_to_what_is_inheritable_with_a_word_about_it() {
    let mut wanted = sets(&["CAP_CHOWN", "CAP_KILL"]);
    wanted.inheritable = strings(&["CAP_KILL"]);
    let mut warnings = vec![];
    let grantable = Grantable::of(&host(), false);
    let (_, op) = plan_capabilities(Some(&wanted), grantable, &mut warnings);
    assert_eq!(op.ambient, 0b10_0000);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("can't raise ambient capability CAP_CHOWN: "));
    // As in the default configurations of older runtimes.
    wanted.inheritable = vec![];
    warnings.clear();
    let (_, op) = plan_capabilities(Some(&wanted), grantable, &mut warnings);
    assert_eq!((op.ambient, warnings.len()), (0, 0));
}

fn sets(names: &[&str]) -> Capabilities {
    let names = strings(names);
    Capabilities {
        bounding: names.clone(),
        effective: names.clone(),
        inheritable: names.clone(),
        permitted: names.clone(),
        ambient: names,
    }
}

#[test]
fn capabilities_are_masks_and_what_cannot_be_granted_is_a_warning_once() {
    let mut poor = host();
    poor.bounding &= !(1 << 24);
    let mut warnings = vec![];
    let wanted = sets(&["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_NO_SUCH", "kill"]);
    let (bounding, op) =
        plan_capabilities(Some(&wanted), Grantable::of(&poor, false), &mut warnings);
    assert_eq!(bounding, 0b10_0001);
    let all = CapabilityOp {
        effective: 33,
        permitted: 33,
        inheritable: 33,
        ambient: 33,
    };
    assert_eq!(op, all);
    let expected = [
        "process.capabilities: unknown capability \"CAP_NO_SUCH\" is ignored",
        "process.capabilities: CAP_SYS_RESOURCE is not available to the runtime and is not granted",
    ];
    assert_eq!(warnings, expected);
    let (bounding, _) = plan_capabilities(Some(&wanted), Grantable::of(&poor, true), &mut vec![]);
    assert_eq!(
        bounding,
        0b10_0001 | 1 << 24,
        "a user namespace grants everything"
    );
}

#[test]
fn a_capability_that_the_kernel_is_too_old_for_is_not_granted() {
    let mut old = host();
    old.last_capability = 37;
    let mut warnings = vec![];
    let (bounding, _) = plan_capabilities(
        Some(&sets(&["CAP_BPF", "CAP_AUDIT_READ"])),
        Grantable::of(&old, true),
        &mut warnings,
    );
    assert_eq!((bounding, warnings.len()), (1 << 37, 1));
}

#[test]
fn capability_sets_are_cut_to_what_the_kernel_takes() {
    let mut wanted = sets(&["CAP_KILL"]);
    wanted.permitted.clear();
    wanted.bounding.clear();
    let mut warnings = vec![];
    let (bounding, op) =
        plan_capabilities(Some(&wanted), Grantable::of(&host(), false), &mut warnings);
    assert_eq!((bounding, op), (0, CapabilityOp::default()));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(
        plan_capabilities(None, Grantable::of(&host(), false), &mut warnings).1,
        CapabilityOp::default()
    );
}

#[test]
fn capability_names_go_back_and_forth() {
    let all: Vec<String> = capabilities::names(u64::MAX).collect();
    assert_eq!(
        (all.len(), all[0].as_str(), all[40].as_str()),
        (41, "CAP_CHOWN", "CAP_CHECKPOINT_RESTORE")
    );
}

#[test]
fn scheduling_policies_have_their_numbers() {
    let names = [
        "OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE", "EXT",
    ];
    for (number, name) in names.iter().enumerate() {
        let scheduler = Scheduler {
            policy: format!("SCHED_{name}"),
            ..Scheduler::default()
        };
        assert_eq!(
            plan_scheduler(&scheduler).expect("is known").policy,
            number as u32,
            "{name}"
        );
    }
    let scheduler = Scheduler {
        policy: "SCHED_DEADLINE".into(),
        flags: strings(&[
            "SCHED_FLAG_RESET_ON_FORK",
            "SCHED_FLAG_DL_OVERRUN",
            "SCHED_FLAG_UTIL_CLAMP_MAX",
        ]),
        runtime: 1,
        deadline: 2,
        period: 3,
        ..Scheduler::default()
    };
    let op = plan_scheduler(&scheduler).expect("is valid");
    assert_eq!(
        (op.flags, op.runtime, op.deadline, op.period),
        (0x45, 1, 2, 3)
    );
}

#[test]
fn a_wrong_scheduler_is_named() {
    let base = || Scheduler {
        policy: "SCHED_OTHER".into(),
        ..Scheduler::default()
    };
    let table = [
        (
            Scheduler::default(),
            "process.scheduler.policy: is required: a scheduling policy",
        ),
        (
            Scheduler { nice: 20, ..base() },
            "process.scheduler: nice must lie between -20 and 19",
        ),
        (
            Scheduler {
                priority: 1,
                ..base()
            },
            "process.scheduler: priority belongs to SCHED_FIFO and SCHED_RR only",
        ),
        (
            Scheduler {
                priority: -1,
                ..base()
            },
            "process.scheduler.priority: must not be negative",
        ),
        (
            Scheduler {
                period: 1,
                ..base()
            },
            "process.scheduler: runtime, deadline and period belong to SCHED_DEADLINE only",
        ),
        (
            Scheduler {
                flags: strings(&["X"]),
                ..base()
            },
            "process.scheduler.flags[0]: \"X\" is not a scheduling flag",
        ),
    ];
    for (scheduler, expected) in table {
        assert_eq!(message(plan_scheduler(&scheduler)), expected);
    }
}

#[test]
fn io_priorities_are_class_and_level() {
    let of = |class: &str, priority| {
        plan_io_priority(&IoPriority {
            class: class.into(),
            priority,
        })
    };
    assert_eq!(of("IOPRIO_CLASS_RT", 0).ok(), Some(1 << 13));
    assert_eq!(of("IOPRIO_CLASS_BE", 7).ok(), Some(2 << 13 | 7));
    assert_eq!(of("IOPRIO_CLASS_IDLE", 0).ok(), Some(3 << 13));
    assert_eq!(
        message(of("IOPRIO_CLASS_BE", 8)),
        "process.ioPriority.priority: must lie between 0 and 7"
    );
    assert_eq!(
        message(of("IOPRIO_CLASS_NONE", 0)),
        "process.ioPriority.class: \"IOPRIO_CLASS_NONE\" is not an I/O priority class"
    );
}

#[test]
fn memory_policies_follow_the_kernels_rules() {
    let of = |mode: &str, nodes: &str, flags: &[&str]| {
        plan_memory_policy(&MemoryPolicy {
            mode: mode.into(),
            nodes: nodes.into(),
            flags: strings(flags),
        })
    };
    let op = of("MPOL_BIND", "0-1,65", &["MPOL_F_STATIC_NODES"]).expect("is valid");
    assert_eq!((op.mode, op.nodes), (2 | 1 << 15, vec![3, 2]));
    assert!(of("MPOL_DEFAULT", "", &[]).is_ok() && of("MPOL_PREFERRED", "", &[]).is_ok());
    assert!(
        of("MPOL_WEIGHTED_INTERLEAVE", "0", &[]).is_ok()
            && of("MPOL_PREFERRED_MANY", "0", &["MPOL_F_NUMA_BALANCING"]).is_ok()
    );
    for (mode, nodes, flags) in [
        ("MPOL_X", "", &[][..]),
        ("MPOL_BIND", "", &[]),
        ("MPOL_LOCAL", "0", &[]),
        ("MPOL_INTERLEAVE", "0", &["MPOL_F_NUMA_BALANCING"]),
        (
            "MPOL_BIND",
            "0",
            &["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
        ),
        ("MPOL_BIND", "1-0", &[]),
        ("MPOL_BIND", "x", &[]),
    ] {
        assert!(
            message(of(mode, nodes, flags)).starts_with("linux.memoryPolicy"),
            "{mode} {nodes}"
        );
    }
}

#[test]
fn personalities_have_their_numbers() {
    let of = |domain: &str, flags: &[&str]| {
        plan_personality(&Personality {
            domain: domain.into(),
            flags: strings(flags),
        })
    };
    assert_eq!(
        (of("LINUX", &[]).ok(), of("LINUX32", &[]).ok()),
        (Some(0), Some(8))
    );
    assert!(of("", &[]).is_err() && of("LINUX", &["X"]).is_err());
}

#[test]
fn cpu_lists_may_be_longer_than_1024() {
    let of = |list| parse_cpu_list("at", list);
    assert_eq!(
        of("0-3,7 , 64").expect("is valid"),
        Some(CpuSet(vec![0x8f, 1]))
    );
    assert_eq!(of(" ").expect("is valid"), None);
    let large = of("8191").expect("is valid").expect("is not empty");
    assert_eq!((large.0.len(), large.0[127]), (128, 1 << 63));
    for wrong in [
        "3-1",
        "a",
        "-1",
        "1-",
        "1-2-3",
        "65536",
        "4294967296",
        "0x1",
    ] {
        assert!(message(of(wrong)).starts_with("at: "), "{wrong}");
    }
}

fn process(args: &[&str], env: &[&str]) -> Process {
    Process {
        args: strings(args),
        env: strings(env),
        ..Process::default()
    }
}

#[test]
fn the_last_variable_of_a_name_wins_and_what_is_none_is_left_out() {
    let mut warnings = vec![];
    let process = process(&["sh"], &["A=1", "B=2", "A=3=4", "novalue", "=x", "E="]);
    let op = plan_program(&process, &strings(&["B=0", "X=9"]), &mut warnings).expect("is valid");
    assert_eq!(texts(&op.env), ["B=2", "X=9", "A=3=4", "E="]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(op.home_for, Some(0));
}

#[test]
fn a_program_is_sought_in_the_path_of_the_container() {
    let of = |args: &[&str], env: &[&str]| {
        plan_program(&process(args, env), &[], &mut vec![]).expect("is valid")
    };
    let op = of(&["sh", "-c", "x"], &["PATH=/a:/b/::c", "HOME=/h"]);
    assert_eq!(texts(&op.candidates), ["/a/sh", "/b//sh", "./sh", "c/sh"]);
    assert_eq!(op.home_for, None);
    let empty = of(&["sh"], &["HOME="]);
    assert_eq!((empty.home_for, empty.env), (Some(0), vec![]));
    assert_eq!(texts(&op.args), ["sh", "-c", "x"]);
    assert_eq!(texts(&of(&["./sh"], &["PATH=/a"]).candidates), ["./sh"]);
    assert_eq!(of(&["sh"], &[]).candidates.len(), 6);
}

#[test]
fn a_wrong_program_is_named() {
    let of =
        |args: &[&str], env: &[&str]| message(plan_program(&process(args, env), &[], &mut vec![]));
    assert_eq!(of(&[], &[]), "process.args: needs a program to run");
    assert_eq!(of(&[""], &[]), "process.args[0]: is empty");
    assert_eq!(of(&["sh", "a\0"], &[]), "process.args[1]: holds a NUL byte");
    assert_eq!(of(&["sh"], &["A=\0"]), "process.env[0]: holds a NUL byte");
}

#[test]
fn users_keep_or_replace_their_groups() {
    let user = User {
        uid: 1,
        gid: 2,
        additional_gids: vec![3],
        ..User::default()
    };
    assert_eq!(
        plan_user(&user, false, 0, 40).expect("is valid").groups,
        Some(vec![3])
    );
    assert_eq!(
        plan_user(&user, true, 0, 40).expect("is valid").groups,
        None
    );
    let nobody = User {
        gid: u32::MAX,
        ..user
    };
    assert!(message(plan_user(&nobody, false, 0, 40)).starts_with("process.user.gid: "));
}

#[test]
fn labels_need_their_security_module() {
    let labelled = Process {
        selinux_label: "a:b:c".into(),
        apparmor_profile: "docker".into(),
        ..Process::default()
    };
    assert!(message(plan_exec_label(&labelled, &host())).starts_with("process.selinuxLabel: "));
    let both = Host {
        apparmor: true,
        selinux: true,
        ..host()
    };
    let steps = plan_exec_label(&labelled, &both).expect("is valid");
    let expected = [
        Step::ExecLabel {
            attributes: vec![c"thread-self/attr/exec".into()],
            value: c"a:b:c".into(),
        },
        Step::ExecLabel {
            attributes: vec![
                c"thread-self/attr/apparmor/exec".into(),
                c"thread-self/attr/exec".into(),
            ],
            value: c"exec docker".into(),
        },
    ];
    assert_eq!(steps, expected);
    let unconfined = Process {
        apparmor_profile: "unconfined".into(),
        ..Process::default()
    };
    assert_eq!(plan_exec_label(&unconfined, &host()).expect("is valid"), []);
}
