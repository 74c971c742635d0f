//! A seccomp profile of the size and kind of Docker's default one.
//!
//! The allowed names are those of the kernel headers without the ones that
//! Docker's documentation lists as blocked, and the three argument rules are
//! there: what is timed is the compiling and loading of such a filter, the same
//! for all. It must not be taken for a profile to protect anything with.

use serde_json::{Value, json};
use std::process::Command;
use std::sync::OnceLock;

const BLOCKED: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "_sysctl",
    "sysfs",
    "umount",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vm86",
    "vm86old",
];

/// Allowed with a condition on an argument, or refused in a way of its own.
const CONDITIONAL: &[&str] = &["clone", "clone3", "personality", "socket"];

const NAMESPACE_FLAGS: u64 = 0x7e02_0000;
const ENOSYS: u32 = 38;
const AF_VSOCK: u64 = 40;

pub fn docker() -> Value {
    let allow = |names: &[String]| json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    let when = |name: &str, op: &str, value: u64, second: u64| {
        json!({"names": [name], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": value, "valueTwo": second, "op": op}]})
    };
    let mut rules = vec![allow(plainly_allowed())];
    for personality in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        rules.push(when("personality", "SCMP_CMP_EQ", personality, 0));
    }
    rules.push(when("socket", "SCMP_CMP_NE", AF_VSOCK, 0));
    rules.push(when("clone", "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0));
    rules.push(json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules
    })
}

fn plainly_allowed() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        names_in_headers()
            .into_iter()
            .filter(|name| !BLOCKED.contains(&name.as_str()))
            .filter(|name| !CONDITIONAL.contains(&name.as_str()))
            .collect()
    })
}

/// The harness needs a C compiler already, and it knows the headers' names.
fn names_in_headers() -> Vec<String> {
    let dump = Command::new("gcc")
        .args([
            "-dM",
            "-E",
            "-include",
            "sys/syscall.h",
            "-x",
            "c",
            "/dev/null",
        ])
        .output();
    let text = dump.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#define __NR_"))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}
