//! What a profile says of one call, read rule by rule: the meaning that filters must have, without making one.
//!
//! Numbers come from libseccomp, so that the compiler's own tables are judged too.

use super::interpreter::Call;
use super::oracle;
use crun_lite::plan::seccomp::Arch;
use oci::runtime::{Seccomp, SyscallArg, SyscallRule};
use std::collections::BTreeMap;

const X32_BIT: u32 = 0x4000_0000;

/// Which calls sit behind `socketcall` and `ipc`, by selector.
#[rustfmt::skip]
const SOCKETCALL: [&str; 21] = [
    "", "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
    "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
];
#[rustfmt::skip]
const IPC: [&str; 25] = [
    "", "semop", "semget", "semctl", "semtimedop", "", "", "", "", "", "", "msgsnd", "msgrcv", "msgget", "msgctl",
    "", "", "", "", "", "", "shmat", "shmdt", "shmget", "shmctl",
];

/// A rule, and the selector of its call where that lies behind a multiplexer.
type Judged<'a> = (&'a SyscallRule, Option<u32>);

/// A profile with the numbers of its names.
pub struct Evaluator<'a> {
    profile: &'a Seccomp,
    default: u32,
    archs: Vec<Arch>,
    /// Rules that concern a number, in order, with the selector where it is a multiplexer.
    rules: BTreeMap<(u32, u32), Vec<Judged<'a>>>,
}

/// An action's return value.
pub fn action(name: &str, errno: Option<u32>) -> u32 {
    match name {
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | errno.unwrap_or(1),
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | errno.unwrap_or(1),
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        _ => panic!("{name}"),
    }
}

/// The return values of a profile's default and rules.
pub fn actions(profile: &Seccomp) -> (u32, Vec<u32>) {
    let rule = |rule: &SyscallRule| action(&rule.action, rule.errno_ret);
    let default = action(&profile.default_action, profile.default_errno_ret);
    (default, profile.syscalls.iter().map(rule).collect())
}

impl<'a> Evaluator<'a> {
    pub fn new(profile: &'a Seccomp, archs: &[Arch]) -> Evaluator<'a> {
        let default = action(&profile.default_action, profile.default_errno_ret);
        let mut rules = BTreeMap::<_, Vec<_>>::new();
        for rule in &profile.syscalls {
            if action(&rule.action, rule.errno_ret) == default {
                continue;
            }
            for name in &rule.names {
                for arch in archs {
                    for (number, selector) in numbers(*arch, name) {
                        rules
                            .entry((arch.token(), number))
                            .or_default()
                            .push((rule, selector));
                    }
                }
            }
        }
        Evaluator {
            profile,
            default,
            archs: archs.to_vec(),
            rules,
        }
    }

    /// The return values that are right for a call: more than one where rules contradict each other.
    pub fn verdicts(&self, call: &Call) -> Vec<u32> {
        let x32 = self.archs.contains(&Arch::X32);
        if call.arch.token() == Arch::X86_64.token()
            && call.number >= X32_BIT
            && !x32
            && call.number != u32::MAX
        {
            return vec![0];
        }
        if !self
            .archs
            .iter()
            .any(|arch| arch.token() == call.arch.token())
        {
            return vec![0];
        }
        let none = Vec::new();
        let rules = self
            .rules
            .get(&(call.arch.token(), call.number))
            .unwrap_or(&none);
        let bits = word_mask(call);
        let mut verdicts = Vec::new();
        for (rule, selector) in rules {
            let action = action(&rule.action, rule.errno_ret);
            let args = rule
                .args
                .iter()
                .filter(|arg| selector.is_none() || arg.index != 0 || repeated(&rule.args));
            let args: Vec<_> = args.filter(|arg| !always(arg, bits)).collect();
            let dropped = args.len() < rule.args.len();
            let selected =
                selector.is_none_or(|selector| call.args[0] & bits == u64::from(selector));
            let holds = |arg: &&SyscallArg| holds(arg, call.args[arg.index as usize], bits);
            let all = match repeated(&rule.args) {
                // Each suffices. One that always holds, or that the selector replaces, makes the whole rule hold.
                true => {
                    dropped
                        || args
                            .iter()
                            .any(|arg| holds(arg) || selector.is_some() && arg.index == 0)
                }
                false => args.iter().all(holds),
            };
            let unconditional = args.is_empty() || repeated(&rule.args) && dropped;
            if unconditional && selector.is_none() {
                return vec![action];
            }
            if all && selected && !verdicts.contains(&action) {
                verdicts.push(action);
            }
        }
        if verdicts.is_empty() {
            verdicts.push(self.default);
        }
        verdicts
    }

    /// Numbers at and beside every rule's.
    pub fn interesting_numbers(&self) -> Vec<(Arch, u32)> {
        let mut found = Vec::new();
        for (token, number) in self.rules.keys() {
            let arch = self
                .archs
                .iter()
                .find(|arch| arch.token() == *token)
                .unwrap();
            let beside = [number.saturating_sub(1), *number, number + 1];
            found.extend(beside.map(|number| (*arch, number)));
        }
        found
    }

    /// Values at and beside everything that conditions compare with, and with other high halves.
    pub fn interesting_values(&self) -> Vec<u64> {
        let conditions = self.profile.syscalls.iter().flat_map(|rule| &rule.args);
        let mut values = vec![0, 1, u64::MAX];
        for value in conditions.flat_map(|arg| [arg.value, arg.value_two]) {
            let beside = [value.wrapping_sub(1), value, value.wrapping_add(1)];
            values.extend(
                beside
                    .iter()
                    .flat_map(|value| [*value, value ^ 1 << 32, value & 0xffff_ffff]),
            );
        }
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// A call's number on an architecture, and the multiplexer's.
fn numbers(arch: Arch, name: &str) -> Vec<(u32, Option<u32>)> {
    let mut found = Vec::new();
    let multiplexes = matches!(
        arch,
        Arch::X86
            | Arch::S390
            | Arch::S390x
            | Arch::Ppc
            | Arch::Ppc64
            | Arch::Ppc64le
            | Arch::Mips
            | Arch::Mipsel
    );
    if multiplexes && !name.is_empty() {
        for (multiplexer, calls) in [("socketcall", &SOCKETCALL[..]), ("ipc", &IPC[..])] {
            if let Some(selector) = calls.iter().position(|call| *call == name) {
                let number = oracle::number(arch, multiplexer).unwrap();
                found.push((number, Some(u32::try_from(selector).unwrap())));
                found.extend(direct(arch, name).map(|number| (number, None)));
                return found;
            }
        }
    }
    found.extend(oracle::number(arch, name).map(|number| (number, None)));
    found
}

/// Numbers that libseccomp hides behind its multiplexers' pseudo numbers.
fn direct(arch: Arch, name: &str) -> Option<u32> {
    assert_eq!(arch, Arch::X86, "only x86's are listed here");
    let numbers = [
        ("socket", 359),
        ("socketpair", 360),
        ("bind", 361),
        ("connect", 362),
        ("listen", 363),
        ("accept4", 364),
        ("getsockopt", 365),
        ("setsockopt", 366),
        ("getsockname", 367),
        ("getpeername", 368),
        ("sendto", 369),
        ("sendmsg", 370),
        ("recvfrom", 371),
        ("recvmsg", 372),
        ("shutdown", 373),
        ("recvmmsg", 337),
        ("sendmmsg", 345),
        ("semget", 393),
        ("semctl", 394),
        ("shmget", 395),
        ("shmctl", 396),
        ("shmat", 397),
        ("shmdt", 398),
        ("msgget", 399),
        ("msgsnd", 400),
        ("msgrcv", 401),
        ("msgctl", 402),
    ];
    numbers
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// Whether a condition holds whatever the argument is.
fn always(arg: &SyscallArg, bits: u64) -> bool {
    arg.op == "SCMP_CMP_MASKED_EQ" && arg.value & bits == 0
}

fn repeated(args: &[SyscallArg]) -> bool {
    args.iter()
        .enumerate()
        .any(|(at, arg)| args[..at].iter().any(|other| other.index == arg.index))
}

fn holds(arg: &SyscallArg, actual: u64, bits: u64) -> bool {
    let (actual, value) = (actual & bits, arg.value & bits);
    match arg.op.as_str() {
        "SCMP_CMP_NE" => actual != value,
        "SCMP_CMP_LT" => actual < value,
        "SCMP_CMP_LE" => actual <= value,
        "SCMP_CMP_EQ" => actual == value,
        "SCMP_CMP_GE" => actual >= value,
        "SCMP_CMP_GT" => actual > value,
        "SCMP_CMP_MASKED_EQ" => actual & value == arg.value_two & value,
        op => panic!("{op}"),
    }
}

/// The bits of an argument that count.
fn word_mask(call: &Call) -> u64 {
    let wide = call.arch.token() & 0x8000_0000 != 0 && call.arch.token() & 0x2000_0000 == 0;
    let x32 = call.arch.token() == Arch::X86_64.token() && call.number & X32_BIT != 0;
    if wide && !x32 { u64::MAX } else { 0xffff_ffff }
}
