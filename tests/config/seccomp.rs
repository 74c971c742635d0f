//! `linux.seccomp`: what each action, operator and flag does to a process.

use crate::support::listeners::FdListener;
use crate::support::{Bundle, Sandbox, Value, cases, json};

cases![
    errno,
    errno_defaults_to_eperm,
    default_errno,
    kill_process,
    kill_thread,
    trap,
    log_lets_through,
    trace_without_tracer_is_enosys,
    compares_arguments,
    masked_equality,
    several_arguments_must_all_hold,
    several_rules_of_one_call,
    allow_list,
    unknown_calls_are_skipped,
    flags,
    works_without_no_new_privileges,
    works_for_an_ordinary_user,
    asks_the_listener,
    listener_must_answer,
    empty_filter_is_fine,
    shows_in_status,
];

fn filtered(t: &Sandbox, rules: Value) -> Bundle {
    t.bundle().writable().set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}),
    )
}

fn mkdir(action: &str) -> Value {
    json!({"names": ["mkdir", "mkdirat"], "action": action})
}

fn errno(t: &Sandbox) {
    let mut rule = mkdir("SCMP_ACT_ERRNO");
    rule["errnoRet"] = json!(28);
    assert!(
        t.run(&filtered(t, json!([rule])).shell("mkdir /tmp/x"))
            .fails()
            .stderr
            .contains("No space left on device")
    );
}

fn errno_defaults_to_eperm(t: &Sandbox) {
    let output = t
        .run(&filtered(t, json!([mkdir("SCMP_ACT_ERRNO")])).shell("mkdir /tmp/x"))
        .fails();
    assert!(
        output.stderr.contains("Operation not permitted"),
        "{output}"
    );
}

fn default_errno(t: &Sandbox) {
    let bundle = allow_only(t, &[]).set("/linux/seccomp/defaultErrnoRet", json!(38));
    let output = t.run(&bundle.shell("mkdir /tmp/x")).fails();
    assert!(
        output.stderr.contains("Function not implemented"),
        "{output}"
    );
}

fn dies(t: &Sandbox, action: &str) -> i32 {
    t.run(&filtered(t, json!([mkdir(action)])).shell("mkdir /tmp/x; echo $?"))
        .text()
        .parse()
        .unwrap_or(-1)
}

fn kill_process(t: &Sandbox) {
    assert_eq!(dies(t, "SCMP_ACT_KILL_PROCESS"), 128 + 31, "SIGSYS");
}

fn kill_thread(t: &Sandbox) {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"] {
        assert_eq!(dies(t, action), 128 + 31, "SIGSYS");
    }
}

fn trap(t: &Sandbox) {
    assert_eq!(dies(t, "SCMP_ACT_TRAP"), 128 + 31, "SIGSYS");
}

fn log_lets_through(t: &Sandbox) {
    assert_eq!(
        t.sh(
            filtered(t, json!([mkdir("SCMP_ACT_LOG")])),
            "mkdir /tmp/x && ls -d /tmp/x"
        ),
        "/tmp/x"
    );
}

fn trace_without_tracer_is_enosys(t: &Sandbox) {
    let output = t
        .run(&filtered(t, json!([mkdir("SCMP_ACT_TRACE")])).shell("mkdir /tmp/x"))
        .fails();
    assert!(
        output.stderr.contains("Function not implemented"),
        "{output}"
    );
}

/// Which of signals 1, 10 and 12 to oneself a rule on kill's second argument refuses.
fn refused_signals(t: &Sandbox, comparison: Value) -> String {
    let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [comparison]});
    let script = "sleep 100 & p=$!; trap '' HUP USR1 USR2; sh -c 'trap \"\" HUP USR1 USR2; exec sleep 100' & p=$!; sleep 0.2; for s in 1 10 12; do kill -$s $p 2>/dev/null || echo $s; done; kill -9 $p 2>/dev/null";
    t.run(&filtered(t, json!([rule])).shell(&format!("{script}; true")))
        .text()
        .replace('\n', " ")
}

fn compares_arguments(t: &Sandbox) {
    let rows = [
        ("SCMP_CMP_EQ", "10"),
        ("SCMP_CMP_NE", "1 12"),
        ("SCMP_CMP_LT", "1"),
        ("SCMP_CMP_LE", "1 10"),
        ("SCMP_CMP_GT", "12"),
        ("SCMP_CMP_GE", "10 12"),
    ];
    for (operator, refused) in rows {
        assert_eq!(
            refused_signals(t, json!({"index": 1, "value": 10, "op": operator})),
            refused,
            "{operator}"
        );
    }
}

fn masked_equality(t: &Sandbox) {
    assert_eq!(
        refused_signals(
            t,
            json!({"index": 1, "value": 8, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ"})
        ),
        "10 12"
    );
}

fn several_arguments_must_all_hold(t: &Sandbox) {
    let args = json!([{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]);
    let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args});
    let script = "trap '' USR1; kill -10 1 2>/dev/null || echo refused; sleep 100 & kill -10 $! && echo allowed; kill -9 $!";
    assert_eq!(t.sh(filtered(t, json!([rule])), script), "refused\nallowed");
}

fn several_rules_of_one_call(t: &Sandbox) {
    let rule = |signal: u32, errno: u32| json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": [{"index": 1, "value": signal, "op": "SCMP_CMP_EQ"}]});
    let script = "sleep 100 & p=$!; kill -1 $p; kill -2 $p; kill -9 $p && echo killed";
    let output = t
        .run(&filtered(t, json!([rule(1, 28), rule(2, 12)])).shell(script))
        .ok();
    assert!(
        output.stderr.contains("No space left")
            && output.stderr.contains("memory")
            && output.stdout == "killed\n",
        "{output}"
    );
}

/// An allow list that is enough for busybox, with more names.
fn allow_only(t: &Sandbox, more: &[&str]) -> Bundle {
    let names = [
        "access",
        "arch_prctl",
        "brk",
        "capget",
        "capset",
        "chdir",
        "chmod",
        "clone",
        "clone3",
        "close",
        "close_range",
        "dup",
        "dup2",
        "dup3",
        "execve",
        "execveat",
        "exit",
        "exit_group",
        "faccessat",
        "faccessat2",
        "fchdir",
        "fchown",
        "fcntl",
        "fork",
        "fstat",
        "fstatfs",
        "futex",
        "getcwd",
        "getdents64",
        "getegid",
        "geteuid",
        "getgid",
        "getpid",
        "getppid",
        "getrandom",
        "getuid",
        "ioctl",
        "lseek",
        "madvise",
        "mmap",
        "mprotect",
        "munmap",
        "newfstatat",
        "open",
        "openat",
        "openat2",
        "pipe",
        "pipe2",
        "poll",
        "ppoll",
        "prctl",
        "prlimit64",
        "read",
        "readlink",
        "readlinkat",
        "recvmsg",
        "rseq",
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "sched_getaffinity",
        "sched_yield",
        "sendmsg",
        "sendto",
        "set_robust_list",
        "set_tid_address",
        "setgid",
        "setgroups",
        "setresgid",
        "setresuid",
        "setuid",
        "sigaltstack",
        "stat",
        "statfs",
        "statx",
        "tgkill",
        "uname",
        "unlink",
        "unlinkat",
        "vfork",
        "wait4",
        "waitid",
        "write",
        "writev",
        "gettid",
        "nanosleep",
        "clock_nanosleep",
        "epoll_ctl",
        "epoll_pwait",
        "epoll_create1",
        "recvfrom",
        "socketpair",
        "rt_sigtimedwait",
        "clock_gettime",
        "umask",
        "getpgrp",
        "setsid",
        "mknodat",
        "kill",
    ];
    let names: Vec<&str> = names.iter().chain(more).copied().collect();
    let rule = json!({"names": names, "action": "SCMP_ACT_ALLOW"});
    t.bundle().writable().set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [rule]}))
}

fn allow_list(t: &Sandbox) {
    assert_eq!(
        t.sh(
            allow_only(t, &[]),
            "echo fine; mkdir /tmp/x 2>/dev/null || echo refused"
        ),
        "fine\nrefused"
    );
    assert_eq!(
        t.sh(allow_only(t, &["mkdir"]), "mkdir /tmp/x && echo made"),
        "made"
    );
}

fn unknown_calls_are_skipped(t: &Sandbox) {
    let rule =
        json!({"names": ["no_such_call", "mkdir", "another_one"], "action": "SCMP_ACT_ERRNO"});
    t.run(&filtered(t, json!([rule])).shell("! mkdir /tmp/x 2>/dev/null"))
        .ok();
}

fn flags(t: &Sandbox) {
    for flags in [
        json!([]),
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
    ] {
        let bundle =
            filtered(t, json!([mkdir("SCMP_ACT_ERRNO")])).set("/linux/seccomp/flags", flags);
        t.run(&bundle.shell("! mkdir /tmp/x 2>/dev/null")).ok();
    }
}

fn works_without_no_new_privileges(t: &Sandbox) {
    for value in [true, false] {
        let bundle = filtered(t, json!([mkdir("SCMP_ACT_ERRNO")]))
            .set("/process/noNewPrivileges", json!(value));
        t.run(&bundle.shell("! mkdir /tmp/x 2>/dev/null")).ok();
    }
}

fn works_for_an_ordinary_user(t: &Sandbox) {
    for value in [true, false] {
        let bundle = filtered(t, json!([mkdir("SCMP_ACT_ERRNO")]))
            .set("/process/noNewPrivileges", json!(value))
            .capabilities(&[]);
        let bundle = bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let output = t.run(&bundle.shell("mkdir /tmp/x")).fails();
        assert!(
            output.stderr.contains("Operation not permitted"),
            "{output}"
        );
    }
}

fn asks_the_listener(t: &Sandbox) {
    let listener = FdListener::at(&t.new_path("agent"));
    let bundle = filtered(t, json!([mkdir("SCMP_ACT_NOTIFY")]))
        .set(
            "/linux/seccomp/listenerPath",
            json!(listener.path.to_string_lossy()),
        )
        .set("/linux/seccomp/listenerMetadata", json!("some metadata"))
        .set("/annotations", json!({"colour": "blue"}));
    let container = t.create(
        &bundle
            .clone()
            .shell("mkdir /tmp/x 2>/tmp/error; touch /tmp/done; sleep 1000"),
    );
    let (text, fds) = listener.take_text();
    let state: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(state["ociVersion"].is_string(), "{state}");
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(state["pid"], json!(container.pid()));
    assert_eq!(state["metadata"], json!("some metadata"));
    assert_eq!(
        (
            &state["state"]["id"],
            &state["state"]["annotations"]["colour"]
        ),
        (&json!(container.id), &json!("blue"))
    );
    assert!(
        ["creating", "created"].contains(&state["state"]["status"].as_str().unwrap_or_default()),
        "{state}"
    );
    assert_eq!(fds.len(), 1);
    container.start().ok();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(
        !bundle.rootfs().join("tmp/done").exists(),
        "the call waits for the agent"
    );
    drop(fds);
    crate::support::sandbox::wait_for("the call to fail", || {
        bundle.rootfs().join("tmp/done").exists()
    });
    assert!(
        crate::support::sandbox::read(bundle.rootfs().join("tmp/error"))
            .contains("Function not implemented")
    );
}

fn listener_must_answer(t: &Sandbox) {
    let bundle = filtered(t, json!([mkdir("SCMP_ACT_NOTIFY")]))
        .set("/linux/seccomp/listenerPath", json!("/no/such/agent"))
        .idle();
    t.try_create(&bundle, &[]).fails_with(&["/no/such/agent"]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn empty_filter_is_fine(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle()
                .set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW"})),
            "echo fine"
        ),
        "fine"
    );
    assert_eq!(
        t.sh(t.bundle().set("/linux/seccomp", json!(null)), "echo fine"),
        "fine"
    );
}

fn shows_in_status(t: &Sandbox) {
    assert_eq!(
        t.sh(
            filtered(t, json!([mkdir("SCMP_ACT_ERRNO")])),
            "grep -E '^Seccomp(_filters)?:' /proc/self/status | cut -f 2 | tr '\\n' ' '"
        ),
        "2 1 "
    );
}
