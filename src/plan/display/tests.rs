//! Every step is a sentence, and a whole plan is text and JSON.

use super::list::{Listed, Texts};
use crate::plan::*;

#[test]
fn masks_are_written_as_lists() {
    let table: [(&[u64], &str); 6] = [
        (&[], ""),
        (&[1], "0"),
        (&[0b1000_1111], "0-3,7"),
        (&[1 << 63, 1], "63-64"),
        (&[u64::MAX], "0-63"),
        (&[0, 0b101], "64,66"),
    ];
    for (words, expected) in table {
        assert_eq!(Listed(words).to_string(), expected);
    }
}

#[test]
fn a_command_line_shows_its_blanks() {
    let args = [
        c"sh".into(),
        c"-c".into(),
        c"echo a b".into(),
        c"".into(),
        c"a\nb".into(),
    ];
    assert_eq!(Texts(&args).to_string(), r#"sh -c "echo a b" "" a\nb"#);
}

#[test]
fn steps_are_sentences() {
    let device = |mode, bind| DeviceOp {
        path: c"/dev/x".into(),
        mode,
        major: 1,
        minor: 3,
        uid: 0,
        gid: 5,
        keep_existing: false,
        bind,
        prepared: None,
    };
    let scheduler = SchedulerOp {
        policy: 6,
        flags: 1,
        nice: 0,
        priority: 0,
        runtime: 5,
        deadline: 6,
        period: 0,
    };
    let user = |groups| UserOp {
        uid: 1,
        gid: 2,
        groups,
        effective: 0,
        bounding: 0,
        last_capability: 40,
    };
    let capabilities = CapabilityOp {
        effective: 1,
        permitted: 33,
        inheritable: 0,
        ambient: 33,
    };
    let hook = HookOp {
        path: c"/h".into(),
        args: vec![],
        env: None,
        timeout_ms: Some(5),
    };
    let table = [
        (
            Step::TreePropagation {
                flag: libc::MS_SLAVE,
            },
            "make all inherited mounts rslave",
        ),
        (
            Step::Device(device(libc::S_IFCHR | 0o666, false)),
            "make the device /dev/x (1:3, mode 0666, owner 0:5)",
        ),
        (
            Step::Device(device(libc::S_IFIFO | 0o600, false)),
            "make the fifo /dev/x (mode 0600, owner 0:5)",
        ),
        (
            Step::Device(device(libc::S_IFBLK | 0o600, true)),
            "bind the host's block device /dev/x",
        ),
        (
            Step::Sysctl {
                path: c"sys/net/x".into(),
                value: c"1".into(),
            },
            "set the kernel parameter net.x to 1",
        ),
        (
            Step::Scheduler(scheduler),
            "set the scheduler (SCHED_DEADLINE, nice 0, priority 0, runtime 5 ns, deadline 6 ns, flags 0x1)",
        ),
        (
            Step::IoPriority(2 << 13 | 7),
            "set the I/O priority to class 2, level 7",
        ),
        (Step::CpuAffinity(CpuSet(vec![3])), "run on CPUs 0-1"),
        (
            Step::BecomeUser(user(Some(vec![3, 4]))),
            "become user 1:2 with groups 3,4",
        ),
        (
            Step::BecomeUser(user(None)),
            "become user 1:2 with the caller's groups",
        ),
        (
            Step::Capabilities(capabilities),
            "limit the capabilities to CAP_CHOWN,CAP_KILL; effective CAP_CHOWN; ambient the same",
        ),
        (
            Step::Capabilities(CapabilityOp::default()),
            "limit the capabilities to none",
        ),
        (
            Step::StartContainerHook(hook),
            "run the startContainer hook /h (at most 5 ms)",
        ),
        (Step::Umask(0o22), "set the umask to 022"),
        (
            Step::CloseFds { keep: vec![3, 4] },
            "close all file descriptors but 0 to 2 and 3,4",
        ),
    ];
    for (step, expected) in table {
        assert_eq!(step.to_string(), expected);
    }
    assert_eq!(Step::AwaitStart.kind(), "AwaitStart");
    assert_eq!(Step::Umask(1).kind(), "Umask");
    assert_eq!(Step::CloseFds { keep: vec![] }.kind(), "CloseFds");
}
