//! Random profiles: our filter against the direct reading, and against libseccomp's filter.

use super::evaluator::{Evaluator, actions};
use super::interpreter::{Call, run};
use super::{BARE, compiled, oracle};
use crun_lite::plan::seccomp::Arch;
use oci::runtime::{Seccomp, SyscallArg, SyscallRule};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeMap;

const ARCHS: [Arch; 3] = [Arch::X86_64, Arch::X86, Arch::X32];

/// Neighbours, multiplexed calls, calls that x32 renumbers, one that nobody has.
#[rustfmt::skip]
const NAMES: [&str; 22] = [
    "read", "write", "open", "close", "stat", "ioctl", "rt_sigaction", "execve", "socket", "sendmsg", "shmget",
    "personality", "clone", "clone3", "openat2", "nonesuch",
    // From here on calls that one of the architectures lacks.
    "accept", "recv", "socketcall", "semtimedop", "ipc", "uselib",
];

/// The calls of [`NAMES`] that all of [`ARCHS`] have.
const EVERYWHERE: usize = 16;

fn action() -> impl Strategy<Value = (String, Option<u32>)> {
    let plain = select(vec![
        "ALLOW",
        "KILL",
        "KILL_PROCESS",
        "KILL_THREAD",
        "TRAP",
        "LOG",
    ])
    .prop_map(|name| (name, None));
    let with_data = (
        select(vec!["ERRNO", "TRACE"]),
        proptest::option::of(0..5_u32),
    );
    prop_oneof![plain, with_data].prop_map(|(name, data)| (format!("SCMP_ACT_{name}"), data))
}

fn value() -> impl Strategy<Value = u64> {
    let edges = vec![
        0,
        1,
        2,
        3,
        16,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        1 << 32,
        (1 << 32) + 2,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    prop_oneof![4 => select(edges), 1 => any::<u64>()]
}

fn condition() -> impl Strategy<Value = SyscallArg> {
    let op = select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    (0..6_u32, value(), value(), op).prop_map(|(index, value, value_two, op)| SyscallArg {
        index,
        value,
        value_two,
        op: format!("SCMP_CMP_{op}"),
    })
}

fn rule(names: &'static [&'static str]) -> impl Strategy<Value = SyscallRule> {
    let args = prop_oneof![2 => Just(vec![]), 3 => vec(condition(), 1..4)];
    (subsequence(names, 1..6), action(), args).prop_map(|(names, (action, errno_ret), args)| {
        SyscallRule {
            names: names
                .into_iter()
                .map(|name| name.to_owned().into())
                .collect(),
            action,
            errno_ret,
            args,
        }
    })
}

fn profile(names: &'static [&'static str]) -> impl Strategy<Value = Seccomp> {
    let archs = subsequence(ARCHS[1..].to_vec(), 0..3);
    (action(), archs, vec(rule(names), 0..8)).prop_map(
        |((default_action, default_errno_ret), archs, syscalls)| Seccomp {
            default_action,
            default_errno_ret,
            architectures: archs.iter().map(|arch| arch.name().to_string()).collect(),
            syscalls,
            ..Seccomp::default()
        },
    )
}

/// Leaves what libseccomp 2.5.4 compiles correctly; `seccomp_export_pfc` shows that its rules are right even where its
/// instructions are not. `a_filter_means_what_the_profile_says` judges our filter for the rest.
///
/// - A condition's second half or second argument, where it fails, jumps to the default action and not to the next
///   rule: one rule with conditions a call, or rules that exclude each other.
/// - A call that an architecture lacks is sorted in front of all others there and left out, and with it the load of
///   the number: only calls of [`EVERYWHERE`].
fn tame(mut profile: Seccomp) -> Seccomp {
    let mut seen = BTreeMap::<String, String>::new();
    for rule in &mut profile.syscalls {
        let mut arguments = Vec::new();
        rule.args.retain(|arg| {
            let first = !arguments.contains(&arg.index);
            arguments.push(arg.index);
            first
        });
        // Rules that compare one argument for equality may share a call.
        let kind = match rule.args.as_slice() {
            [only] if only.op.ends_with("_EQ") && !only.op.contains("MASKED") => {
                format!("{} {} {:?}", only.index, rule.action, rule.errno_ret)
            }
            args => format!("{args:?}"),
        };
        rule.names.retain(|name| {
            rule.args.is_empty() || *seen.entry(name.to_string()).or_insert(kind.clone()) == kind
        });
    }
    profile
}

/// Native, then what the profile adds.
fn archs(profile: &Seccomp) -> Vec<Arch> {
    let listed = |arch: &Arch| {
        *arch == Arch::X86_64 || profile.architectures.iter().any(|name| name == arch.name())
    };
    ARCHS.into_iter().filter(listed).collect()
}

/// Calls at the edges of everything that the profile says.
fn calls(evaluator: &Evaluator, picks: &[(usize, [usize; 6])]) -> Vec<Call> {
    let mut numbers = evaluator.interesting_numbers();
    numbers.extend([
        (Arch::X86_64, u32::MAX),
        (Arch::X86_64, 0x4000_0000),
        (Arch::X86, 102),
        (Arch::Aarch64, 63),
    ]);
    let values = evaluator.interesting_values();
    let value = |pick: usize| values[pick % values.len()];
    let mut calls = Vec::new();
    for (arch, number) in numbers {
        for (selector, args) in picks {
            let mut args = args.map(value);
            if *selector < 26 {
                args[0] = *selector as u64;
            }
            calls.push(Call { arch, number, args });
        }
    }
    calls
}

fn picks() -> impl Strategy<Value = Vec<(usize, [usize; 6])>> {
    vec((0..60_usize, any::<[usize; 6]>()), 24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_means_what_the_profile_says(profile in profile(&NAMES), picks in picks()) {
        let evaluator = Evaluator::new(&profile, &archs(&profile));
        let filter = compiled(&profile, Arch::X86_64, &BARE).filter;
        for call in calls(&evaluator, &picks) {
            let (verdicts, ours) = (evaluator.verdicts(&call), run(&filter, &call));
            prop_assert!(verdicts.contains(&ours), "{call:x?}: {ours:#x}, not {verdicts:x?}");
        }
    }

    #[test]
    fn a_filter_means_what_libseccomp_makes_of_the_profile(profile in profile(&NAMES[..EVERYWHERE]), picks in picks()) {
        let profile = tame(profile);
        let archs = archs(&profile);
        let (default, actions) = actions(&profile);
        let evaluator = Evaluator::new(&profile, &archs);
        let filter = compiled(&profile, Arch::X86_64, &BARE).filter;
        // It refuses a rule for a call through `socketcall` or `ipc` after one that adds conditions to it.
        let Ok(theirs) = oracle::filter(&profile, default, &archs, &actions) else {
            return Ok(());
        };
        for call in calls(&evaluator, &picks) {
            let (ours, theirs) = (run(&filter, &call), run(&theirs, &call));
            prop_assert_eq!(ours, theirs, "{:x?}: ours {:#x}, theirs {:#x}", call, ours, theirs);
        }
    }
}
