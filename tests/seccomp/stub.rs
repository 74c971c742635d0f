//! Calls newer than the profile: ENOSYS, as on a kernel that lacks them, and everything else as before.

use super::interpreter::{Call, run};
use super::{BARE, LIKE_RUNC, compiled, docker, podman, profile};
use crun_lite::plan::seccomp::Arch;
use oci::runtime::Seccomp;

const ENOSYS: u32 = 0x0005_0026;
const EPERM: u32 = 0x0005_0001;

fn answer(profile: &Seccomp, native: Arch, arch: Arch, number: u32) -> u32 {
    let args = [0; 6];
    let filter = compiled(profile, native, &LIKE_RUNC).filter;
    run(&filter, &Call { arch, number, args })
}

#[test]
fn only_newer_calls_change() {
    let (bare, stubbed) = (
        compiled(&docker(), Arch::X86_64, &BARE).filter,
        compiled(&docker(), Arch::X86_64, &LIKE_RUNC).filter,
    );
    // futex_requeue is Docker's newest; x32 ends with calls of its own.
    for (arch, base, newest) in [
        (Arch::X86_64, 0, 456),
        (Arch::X86, 0, 456),
        (Arch::X32, 0x4000_0000, 547),
    ] {
        for number in 0..=600 {
            let call = Call {
                arch,
                number: base + number,
                args: [0; 6],
            };
            let expected = match number <= newest {
                true => run(&bare, &call),
                false => ENOSYS,
            };
            assert_eq!(run(&stubbed, &call), expected, "{arch:?} {number}");
        }
    }
}

#[test]
fn x32_calls_stay_foreign_where_x32_is() {
    let mut narrow = docker();
    narrow.architectures.clear();
    for (number, expected) in [
        (0x3fff_ffff, ENOSYS),
        (0x4000_0000, 0),
        (u32::MAX - 1, 0),
        // A tracer's way to skip a call.
        (u32::MAX, EPERM),
    ] {
        assert_eq!(
            answer(&narrow, Arch::X86_64, Arch::X86_64, number),
            expected,
            "{number:#x}"
        );
    }
}

#[test]
fn a_default_that_says_so_already_or_permits_needs_no_stub() {
    assert_eq!(podman().default_errno_ret, Some(38));
    let (bare, stubbed) = (
        compiled(&podman(), Arch::X86_64, &BARE).filter,
        compiled(&podman(), Arch::X86_64, &LIKE_RUNC).filter,
    );
    assert_eq!(bare.len(), stubbed.len());
    for (default, expected) in [
        ("ALLOW", 0x7fff_0000),
        ("LOG", 0x7ffc_0000),
        ("TRACE", 0x7ff0_0001),
        ("ERRNO", ENOSYS),
        ("KILL", ENOSYS),
        ("TRAP", ENOSYS),
    ] {
        let profile = profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_{default}", "syscalls": [{{"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS"}}]}}"#
        ));
        assert_eq!(
            answer(&profile, Arch::X86_64, Arch::X86_64, 500),
            expected,
            "{default}"
        );
    }
}

#[test]
fn rules_that_say_nothing_new_count_as_known() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["clone3"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    assert_eq!(answer(&profile, Arch::X86_64, Arch::X86_64, 435), EPERM);
    assert_eq!(answer(&profile, Arch::X86_64, Arch::X86_64, 436), ENOSYS);
}

#[test]
fn the_odd_ends_of_s390_and_arm() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "set_tls"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    // Number 0 is how s390 passes a number that is too large for its instruction.
    assert_eq!(answer(&profile, Arch::S390x, Arch::S390x, 0), ENOSYS);
    assert_eq!(answer(&profile, Arch::S390x, Arch::S390x, 1), EPERM);
    assert_eq!(answer(&profile, Arch::Arm, Arch::Arm, 0), EPERM);
    assert_eq!(answer(&profile, Arch::Arm, Arch::Arm, 4), ENOSYS);
    assert_eq!(answer(&profile, Arch::Arm, Arch::Arm, 0xf_0004), EPERM);
    assert_eq!(
        answer(&profile, Arch::Arm, Arch::Arm, 0xf_0005),
        0x7fff_0000
    );
}

/// runc takes no notice of calls that are only reached through a multiplexer; a filter that did so would break them.
#[test]
fn a_multiplexer_of_a_listed_call_is_known() {
    let profile = profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "accept"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    let filter = compiled(&profile, Arch::X86, &LIKE_RUNC).filter;
    let call = |selector| Call {
        arch: Arch::X86,
        number: 102,
        args: [selector, 0, 0, 0, 0, 0],
    };
    assert_eq!(run(&filter, &call(5)), 0x7fff_0000);
    assert_eq!(run(&filter, &call(6)), EPERM);
}
