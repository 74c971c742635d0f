//! Filters that can't be: the message names the field's JSON path, as for every other field (`bad_values`).

use super::bad_values::{refuse, with};
use crate::support::{Sandbox, cases, json};

cases![seccomp];

fn seccomp(t: &Sandbox) {
    refuse(
        t,
        &[
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_NOPE"}),
                    )
                },
                "linux.seccomp.defaultAction",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["Z80"]}),
                    )
                },
                "linux.seccomp.architectures[0]",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}),
                    )
                },
                "linux.seccomp.flags[0]",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "X"}]}),
                    )
                },
                "linux.seccomp.syscalls[0].action",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 9, "value": 1, "op": "SCMP_CMP_EQ"}]}]}),
                    )
                },
                "linux.seccomp.syscalls[0].args[0].index",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "EQUALS"}]}]}),
                    )
                },
                "linux.seccomp.syscalls[0].args[0].op",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}),
                    )
                },
                "linux.seccomp.defaultErrnoRet",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}),
                    )
                },
                "linux.seccomp",
            ),
            (
                |b| {
                    with(
                        b,
                        "/linux/seccomp",
                        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}),
                    )
                },
                "linux.seccomp.listenerPath",
            ),
        ],
    );
}
