//! What a profile may not say, and what is only worth a warning.

use super::{BARE, LIKE_RUNC, compiled, docker, profile};
use crun_lite::plan::seccomp::{Arch, Options, compile, flags};
use oci::runtime::Seccomp;

const STRICT: Options = Options {
    enosys_stub: true,
    unknown_fails: false,
    strict: true,
};

fn refusal(profile: &Seccomp, options: &Options) -> String {
    match compile(profile, Arch::X86_64, options) {
        Ok(_) => panic!("accepted: {profile:?}"),
        Err(error) => error.to_string(),
    }
}

/// A profile with one rule; `rule` are more fields of it.
fn with_rule(rule: &str) -> Seccomp {
    profile(&format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": ["read"], "action": "SCMP_ACT_KILL"}}, {rule}]}}"#
    ))
}

#[test]
fn unknown_words_are_named_with_their_path() {
    let cases = [
        (
            profile("{}"),
            "linux.seccomp.defaultAction: unknown action \"\"",
        ),
        (
            profile(r#"{"defaultAction": "SCMP_ACT_NO"}"#),
            "linux.seccomp.defaultAction: unknown action \"SCMP_ACT_NO\"",
        ),
        (
            profile(
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "amd64"]}"#,
            ),
            "linux.seccomp.architectures[1]: unknown architecture \"amd64\"",
        ),
        (
            profile(
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#,
            ),
            "linux.seccomp.flags[0]: unknown flag \"SECCOMP_FILTER_FLAG_NEW_LISTENER\"",
        ),
        (
            with_rule(r#"{"names": ["read"], "action": "deny"}"#),
            "linux.seccomp.syscalls[1].action: unknown action \"deny\"",
        ),
        (
            with_rule(r#"{"names": [""], "action": "SCMP_ACT_KILL"}"#),
            "linux.seccomp.syscalls[1].names: an empty name",
        ),
        (
            with_rule(
                r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 1, "op": "=="}]}"#,
            ),
            "linux.seccomp.syscalls[1].args[0].op: unknown operator \"==\"",
        ),
        (
            with_rule(
                r#"{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}"#,
            ),
            "linux.seccomp.syscalls[1].args[0].index: 6 is not 0 to 5",
        ),
        (
            with_rule(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 65536}"#),
            "linux.seccomp.syscalls[1].errnoRet: 65536 is more than 65535",
        ),
    ];
    for (profile, message) in cases {
        assert_eq!(refusal(&profile, &BARE), message);
    }
}

#[test]
fn a_default_errno_needs_an_action_that_returns_it() {
    for action in [
        "ALLOW",
        "KILL",
        "KILL_PROCESS",
        "KILL_THREAD",
        "TRAP",
        "LOG",
    ] {
        let profile = profile(&format!(
            r#"{{"defaultAction": "SCMP_ACT_{action}", "defaultErrnoRet": 1}}"#
        ));
        let message =
            format!("linux.seccomp.defaultErrnoRet: SCMP_ACT_{action} can't return an errno");
        assert_eq!(refusal(&profile, &BARE), message);
    }
}

#[test]
fn what_runc_and_crun_overlook_is_a_warning_unless_strict() {
    let cases = [
        (
            with_rule(r#"{"names": [], "action": "SCMP_ACT_KILL"}"#),
            "linux.seccomp.syscalls[1].names: must name at least one system call",
        ),
        (
            with_rule(r#"{"names": ["read"], "action": "SCMP_ACT_TRAP", "errnoRet": 1}"#),
            "linux.seccomp.syscalls[1].errnoRet: SCMP_ACT_TRAP can't return an errno",
        ),
        (
            profile(r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}"#),
            "linux.seccomp.listenerMetadata: must not be set without listenerPath",
        ),
    ];
    for (profile, message) in cases {
        assert_eq!(refusal(&profile, &STRICT), message);
        assert_eq!(
            compiled(&profile, Arch::X86_64, &LIKE_RUNC).warnings,
            [message]
        );
    }
    assert!(
        compiled(&docker(), Arch::X86_64, &STRICT)
            .warnings
            .is_empty()
    );
}

#[test]
fn unknown_calls_are_one_warning() {
    let profile =
        with_rule(r#"{"names": ["read", "nonesuch", "nor_this"], "action": "SCMP_ACT_KILL"}"#);
    let warnings = compiled(&profile, Arch::X86_64, &STRICT).warnings;
    assert_eq!(
        warnings,
        ["linux.seccomp.syscalls: unknown system calls are ignored: nonesuch, nor_this"]
    );
}

#[test]
fn notification_needs_a_listener_and_leaves_the_runtime_its_calls() {
    let notify = r#"{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}"#;
    let mut profile = with_rule(notify);
    assert_eq!(
        refusal(&profile, &BARE),
        "linux.seccomp.listenerPath: missing, but a rule has SCMP_ACT_NOTIFY"
    );
    profile.listener_path = "/run/agent.sock".into();
    profile.listener_metadata = "m".into();
    let plan = compiled(&profile, Arch::X86_64, &BARE);
    let listener = plan.listener.expect("a listener");
    assert_eq!(
        (listener.path.as_str(), listener.metadata.as_str()),
        ("/run/agent.sock", "m")
    );
    assert_eq!(plan.flags, 0b1100, "NEW_LISTENER and SPEC_ALLOW");

    profile.syscalls[1].names.push("sendmsg".into());
    assert!(
        refusal(&profile, &BARE)
            .starts_with("linux.seccomp.syscalls[1].names: SCMP_ACT_NOTIFY on sendmsg")
    );
    profile.default_action = "SCMP_ACT_NOTIFY".into();
    assert!(refusal(&profile, &BARE).starts_with("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY"));
}

#[test]
fn flags_follow_the_profile() {
    let flags_of = |json: &str| {
        let plan = compiled(&profile(json), Arch::X86_64, &BARE);
        (plan.flags, plan.warnings.len())
    };
    assert_eq!(
        flags_of(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#),
        (4, 0),
        "runc's default"
    );
    assert_eq!(
        flags_of(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": null}"#),
        (4, 0)
    );
    assert_eq!(
        flags_of(r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": []}"#),
        (0, 0)
    );
    assert_eq!(
        flags_of(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}"#
        ),
        (3, 0)
    );
    // Alone, the kernel would refuse it.
    assert_eq!(
        flags_of(
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#
        ),
        (0, 1)
    );
    let notifying = r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/l", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}],
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"]}"#;
    assert_eq!(
        flags_of(notifying),
        (0b11_1001, 0),
        "TSYNC beside a listener takes TSYNC_ESRCH"
    );
    assert_eq!(flags().count(), 4);
}

#[test]
fn a_filter_that_the_kernel_would_refuse_is_an_error() {
    let mut profile = profile(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
    for value in 0..1100_u64 {
        let rule = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": ["ioctl"], "action": "SCMP_ACT_ERRNO",
                "args": [{{"index": 1, "value": {value}, "op": "SCMP_CMP_EQ"}}]}}]}}"#
        );
        profile.syscalls.extend(super::profile(&rule).syscalls);
    }
    let message = refusal(&profile, &BARE);
    assert!(
        message.contains("instructions, the kernel at most 4096"),
        "{message}"
    );
}

#[test]
fn foreign_architectures_are_left_out() {
    let with = |archs: &str| {
        let json = format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "architectures": [{archs}], "syscalls": [{{"names": ["read"], "action": "SCMP_ACT_ALLOW"}}]}}"#
        );
        compiled(&profile(&json), Arch::X86_64, &BARE).filter.len()
    };
    let everywhere =
        Arch::all().filter(|arch| !["SCMP_ARCH_X86", "SCMP_ARCH_X32"].contains(&arch.name()));
    let names: Vec<_> = everywhere
        .map(|arch| format!("{:?}", arch.name()))
        .collect();
    assert_eq!(Arch::all().count(), 23);
    assert_eq!(with(&names.join(",")), with(""));
}
