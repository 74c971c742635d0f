//! Docker's and Podman's profiles, for every architecture that libseccomp 2.5 knows: both filters, every number.

use super::evaluator::{Evaluator, action, actions};
use super::interpreter::{Call, run};
use super::{BARE, compiled, docker, oracle, podman, profile};
use crun_lite::plan::seccomp::{Arch, SockFilter};
use oci::runtime::Seccomp;

/// Where the kernel has a number that Debian's libseccomp lacks, or the other way round.
const KNOWN_DIFFERENCES: [(Arch, u32); 3] = [
    // map_shadow_stack.
    (Arch::X32, 0x4000_0000 + 453),
    // sync_file_range2 is arm_sync_file_range by another name.
    (Arch::Arm, 341),
    // memfd_secret is only wired up for 64 bits.
    (Arch::S390, 447),
];

/// Every number that could be told apart, and the edges of the number line.
fn numbers(arch: Arch) -> Vec<u32> {
    let base = match arch {
        Arch::X32 => 0x4000_0000,
        Arch::Mips | Arch::Mipsel => 4000,
        Arch::Mips64 | Arch::Mipsel64 => 5000,
        Arch::Mips64N32 | Arch::Mipsel64N32 => 6000,
        _ => 0,
    };
    let mut numbers: Vec<u32> = (base..=base + 600).collect();
    if arch == Arch::Arm {
        numbers.extend(0xf_0000..=0xf_0010);
    }
    numbers.extend([
        0,
        1,
        0x3fff_ffff,
        0x4000_0000,
        0x4000_0001,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ]);
    numbers
}

/// Arguments that tell conditions apart: each value alone, in company, and behind every selector.
fn arguments(values: &[u64]) -> Vec<[u64; 6]> {
    let mut sets: Vec<_> = values.iter().map(|value| [*value; 6]).collect();
    for value in values {
        for argument in 0..6 {
            for rest in [0, 16, u64::MAX] {
                let mut args = [rest; 6];
                args[argument] = *value;
                sets.push(args);
            }
        }
        for selector in 0..26 {
            let mut args = [*value; 6];
            args[0] = selector;
            sets.push(args);
        }
    }
    sets
}

/// Compares both filters; `archs` starts with the native one.
fn compare(profile: &Seccomp, archs: &[Arch]) {
    let mut profile = profile.clone();
    profile.architectures = archs.iter().map(|arch| arch.name().to_string()).collect();
    let (default, actions) = actions(&profile);
    let theirs = oracle::filter(&profile, default, archs, &actions).unwrap();
    let ours = compiled(&profile, archs[0], &BARE).filter;
    let sets = arguments(&Evaluator::new(&profile, &[]).interesting_values());
    for arch in archs {
        for number in numbers(*arch) {
            if !KNOWN_DIFFERENCES.contains(&(*arch, number)) {
                compare_number(&ours, &theirs, *arch, number, &sets);
            }
        }
    }
    let foreign = archs.iter().all(|arch| *arch != Arch::LoongArch64);
    assert!(foreign, "libseccomp 2.5 has no LoongArch");
    let call = Call {
        arch: Arch::LoongArch64,
        number: 63,
        args: [0; 6],
    };
    assert_eq!(run(&ours, &call), 0, "a foreign architecture is killed");
}

fn compare_number(
    ours: &[SockFilter],
    theirs: &[SockFilter],
    arch: Arch,
    number: u32,
    sets: &[[u64; 6]],
) {
    let answers = |args: &[u64; 6]| {
        let call = Call {
            arch,
            number,
            args: *args,
        };
        (run(ours, &call), run(theirs, &call))
    };
    // A number whose verdict never depends on arguments needs no more than a few.
    let sample: Vec<_> = sets.iter().step_by(sets.len() / 12 + 1).collect();
    let first = answers(sample[0]);
    let constant =
        sample.iter().all(|args| answers(args) == first) && !matches!(number % 1000, 102 | 117);
    let conditional = (56..=60).contains(&(number & 0xfff)) || !constant;
    let tried = if conditional {
        sets.iter().collect()
    } else {
        sample
    };
    for args in tried {
        let (ours, theirs) = answers(args);
        assert_eq!(
            ours, theirs,
            "{arch:?} {number} ({number:#x}) {args:x?}: ours {ours:#x}, theirs {theirs:#x}"
        );
    }
}

/// What each engine lists for each native architecture, and some that only libseccomp knows.
const NATIVES: [&[Arch]; 15] = [
    &[Arch::X86_64, Arch::X86, Arch::X32],
    &[Arch::X86_64],
    &[Arch::X86_64, Arch::X86],
    &[Arch::Aarch64, Arch::Arm],
    &[Arch::Mips64, Arch::Mips, Arch::Mips64N32],
    &[Arch::Mipsel64, Arch::Mipsel, Arch::Mipsel64N32],
    &[Arch::S390x, Arch::S390],
    &[Arch::Riscv64],
    &[Arch::Ppc64le],
    &[Arch::Ppc64, Arch::Ppc],
    &[Arch::Parisc64, Arch::Parisc],
    &[Arch::Arm],
    &[Arch::X86],
    &[Arch::X86, Arch::X32],
    &[Arch::X86, Arch::X86_64, Arch::X32],
];

#[test]
fn dockers_profile_means_what_libseccomp_makes_of_it() {
    for archs in NATIVES {
        compare(&docker(), archs);
    }
}

#[test]
fn podmans_profile_means_what_libseccomp_makes_of_it() {
    for archs in NATIVES {
        compare(&podman(), archs);
    }
}

/// Podman's rules for containers without CAP_AUDIT_WRITE: overlapping conditions with different actions.
#[test]
fn podmans_audit_rules_mean_what_libseccomp_makes_of_them() {
    let mut restricted = podman();
    restricted
        .syscalls
        .retain(|rule| !rule.names.contains(&"socket".into()) || rule.names.len() > 1);
    let audit = profile(
        r#"{"syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "args": [
                {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 2, "value": 9, "op": "SCMP_CMP_NE"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]}
        ]}"#,
    );
    restricted.syscalls.extend(audit.syscalls);
    for archs in NATIVES {
        compare(&restricted, archs);
    }
}

/// Where rules with different actions hold at once, the narrower decides, in whatever order they were written.
/// On 32 bits: libseccomp 2.5.4 miscompiles this for 64 (see `random`).
#[test]
fn the_narrower_of_two_overlapping_rules_decides() {
    for op in ["GE", "GT", "LE", "LT"] {
        for [first, second] in [[3, 7], [7, 3], [0, 1]] {
            let overlapping = profile(&format!(
                r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {{"names": ["dup3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11,
                      "args": [{{"index": 1, "value": {first}, "op": "SCMP_CMP_{op}"}}]}},
                    {{"names": ["dup3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
                      "args": [{{"index": 1, "value": {second}, "op": "SCMP_CMP_{op}"}}]}}
                ]}}"#
            ));
            compare(&overlapping, &[Arch::X86]);
        }
    }
}

#[test]
fn every_documented_action_has_the_kernels_number() {
    for name in crun_lite::plan::seccomp::actions() {
        let profile = profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l", "syscalls": [{{"names": ["mount"], "action": "{name}"}}]}}"#
        ));
        let mount = Call {
            arch: Arch::X86_64,
            number: 165,
            args: [0; 6],
        };
        let filter = compiled(&profile, Arch::X86_64, &BARE).filter;
        assert_eq!(run(&filter, &mount), action(name, None), "{name}");
    }
}
