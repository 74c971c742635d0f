//! `process`: arguments, environment, directory, capabilities, limits, and the rest but the user and scheduling.

use crate::support::{Sandbox, cases, json, runtime, sandbox};

cases![
    empty_home_is_none,
    args,
    environment,
    environment_duplicates,
    home_from_passwd,
    working_directory,
    working_directory_is_made,
    working_directory_is_made_in_a_read_only_root,
    working_directory_needs_the_users_right,
    capabilities_of_five_sets,
    no_capabilities,
    capabilities_absent_means_none,
    unknown_capability_is_a_warning,
    unavailable_capability_is_a_warning,
    every_rlimit,
    infinite_rlimit,
    no_new_privileges,
    oom_score_adjustment,
    oom_score_adjustment_unset,
    keyring_is_new,
    parent_death_signal_is_off,
    signals_are_reset,
    dumpable,
];

fn args(t: &Sandbox) {
    let bundle = t.bundle().args(&[
        "/bin/sh",
        "-c",
        "for a in \"$@\"; do echo \"[$a]\"; done",
        "zero",
        "a b",
        "",
        "-x",
        "ü\n",
    ]);
    assert_eq!(t.run(&bundle).text(), "[a b]\n[]\n[-x]\n[ü\n]");
}

fn environment(t: &Sandbox) {
    let bundle = t.bundle().args(&["/bin/env"]).set(
        "/process/env",
        json!(["A=1", "B=two words", "EMPTY=", "HOME=/x"]),
    );
    assert_eq!(t.run(&bundle).text(), "A=1\nB=two words\nEMPTY=\nHOME=/x");
}

fn environment_duplicates(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/env"])
        .set("/process/env", json!(["HOME=/", "A=1", "A=2", "A=3"]));
    let seen = t.run(&bundle).text();
    assert_eq!(
        seen.lines()
            .filter(|line| line.starts_with("A="))
            .collect::<Vec<_>>(),
        ["A=3"],
        "the last one wins"
    );
}

fn home_from_passwd(t: &Sandbox) {
    assert_eq!(t.sh(t.bundle(), "echo $HOME"), "/root");
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(t.sh(bundle, "echo $HOME"), "/home/web");
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 4242, "gid": 1}));
    assert_eq!(t.sh(bundle, "echo $HOME"), "/");
}

fn working_directory(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle().set("/process/cwd", json!("/usr")),
            "pwd; readlink /proc/self/cwd"
        ),
        "/usr\n/usr"
    );
}

fn working_directory_is_made(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle().writable().set("/process/cwd", json!("/a/b/c")),
            "pwd"
        ),
        "/a/b/c"
    );
}

fn working_directory_is_made_in_a_read_only_root(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("peers differ by version");
    }
    let bundle = t.bundle().set("/process/cwd", json!("/a/b/c"));
    assert_eq!(
        t.sh(bundle, "pwd; touch x 2> /dev/null || echo no"),
        "/a/b/c\nno"
    );
}

fn working_directory_needs_the_users_right(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/process/cwd", json!("/root"))
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    std::os::unix::fs::chown(bundle.rootfs().join("root"), Some(1000), Some(1000)).expect("chown");
    std::fs::set_permissions(
        bundle.rootfs().join("root"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .expect("chmod");
    assert_eq!(t.sh(bundle, "pwd"), "/root");
}

/// The five capability sets as /proc shows them.
const SETS: &str = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f 2";

fn capabilities_of_five_sets(t: &Sandbox) {
    // CHOWN is bit 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5.
    let sets = json!({"bounding": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL"],
                      "effective": ["CAP_CHOWN"], "inheritable": ["CAP_KILL"], "ambient": []});
    let bundle = t
        .bundle()
        .set("/process/capabilities", sets)
        .set("/process/user", json!({"uid": 0, "gid": 0}));
    let seen = t.sh(bundle, SETS);
    let inheritable = seen.lines().next().unwrap_or_default();
    let bounding = seen.lines().nth(3).unwrap_or_default();
    assert_eq!(
        (inheritable, bounding),
        ("0000000000000020", "000000000000002b"),
        "{seen}"
    );
    let sets = json!({"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"],
                      "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL"]});
    let bundle = t
        .bundle()
        .set("/process/capabilities", sets)
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let (kill, both) = ("0000000000000020", "0000000000000021");
    assert_eq!(
        t.sh(bundle, SETS),
        [both, kill, kill, both, kill].join("\n"),
        "as an ordinary user the ambient set survives exec"
    );
}

fn no_capabilities(t: &Sandbox) {
    let bundle = t.bundle().capabilities(&[]);
    assert_eq!(t.sh(bundle, SETS), ["0000000000000000"; 5].join("\n"));
}

fn capabilities_absent_means_none(t: &Sandbox) {
    assert_eq!(
        t.sh(t.bundle().without("/process/capabilities"), SETS),
        ["0000000000000000"; 5].join("\n")
    );
}

fn unknown_capability_is_a_warning(t: &Sandbox) {
    let output = t
        .run(
            &t.bundle()
                .capabilities(&["CAP_KILL", "CAP_NOT_YET_INVENTED"])
                .shell(SETS),
        )
        .ok();
    assert!(output.stdout.contains("0000000000000020"), "{output}");
    assert!(
        output.stderr.contains("CAP_NOT_YET_INVENTED"),
        "the warning names it: {output}"
    );
}

fn unavailable_capability_is_a_warning(t: &Sandbox) {
    // Root of this machine has no CAP_SYS_RESOURCE (bit 24), which `--privileged` asks for.
    let own = sandbox::read("/proc/self/status");
    let bounding = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    if u64::from_str_radix(&bounding, 16).is_ok_and(|bits| bits >> 24 & 1 == 1) {
        crate::support::skip("this host's root has CAP_SYS_RESOURCE");
    }
    let output = t
        .run(
            &t.bundle()
                .capabilities(&["CAP_KILL", "CAP_SYS_RESOURCE"])
                .shell(SETS),
        )
        .ok();
    assert!(output.stdout.contains("0000000000000020"), "{output}");
}

fn every_rlimit(t: &Sandbox) {
    let names = [
        ("CPU", "cpu time", 1000),
        ("FSIZE", "file size", 1 << 30),
        ("DATA", "data size", 1 << 30),
        ("STACK", "stack size", 4 << 20),
        ("CORE", "core file size", 0),
        ("RSS", "resident set", 1 << 30),
        ("NPROC", "processes", 4000),
        ("NOFILE", "open files", 300),
        ("MEMLOCK", "locked memory", 65_536),
        ("AS", "address space", 1_i64 << 32),
        ("LOCKS", "file locks", 70),
        ("SIGPENDING", "pending signals", 90),
        ("MSGQUEUE", "msgqueue size", 8192),
        ("NICE", "nice priority", 0),
        ("RTPRIO", "realtime priority", 0),
        ("RTTIME", "realtime timeout", 5000),
    ];
    let limits: Vec<_> = names.iter().map(|(name, _, value)| json!({"type": format!("RLIMIT_{name}"), "soft": value, "hard": value})).collect();
    let seen = t.sh(
        t.bundle().set("/process/rlimits", json!(limits)),
        "cat /proc/self/limits",
    );
    for (name, title, value) in names {
        let line = seen
            .lines()
            .find(|line| line.to_lowercase().starts_with(&format!("max {title}")))
            .unwrap_or_default();
        let numbers: Vec<&str> = line
            .split_whitespace()
            .filter(|word| word.parse::<u64>().is_ok())
            .collect();
        assert_eq!(
            numbers,
            [value.to_string(), value.to_string()],
            "{name}: {line}"
        );
    }
}

fn infinite_rlimit(t: &Sandbox) {
    let limit = json!([{"type": "RLIMIT_CPU", "soft": 50, "hard": u64::MAX}]);
    let seen = t.sh(
        t.bundle().set("/process/rlimits", limit),
        "grep 'Max cpu' /proc/self/limits | tr -s ' '",
    );
    assert_eq!(seen.trim(), "Max cpu time 50 unlimited seconds");
}

fn no_new_privileges(t: &Sandbox) {
    for (value, seen) in [(true, "NoNewPrivs:\t1"), (false, "NoNewPrivs:\t0")] {
        assert_eq!(
            t.sh(
                t.bundle().set("/process/noNewPrivileges", json!(value)),
                "grep NoNewPrivs /proc/self/status"
            ),
            seen
        );
    }
}

fn oom_score_adjustment(t: &Sandbox) {
    for value in [0, 500, 1000] {
        assert_eq!(
            t.sh(
                t.bundle().set("/process/oomScoreAdj", json!(value)),
                "cat /proc/self/oom_score_adj"
            ),
            value.to_string()
        );
    }
}

fn oom_score_adjustment_unset(t: &Sandbox) {
    let own = sandbox::read("/proc/self/oom_score_adj");
    assert_eq!(
        t.sh(t.bundle(), "cat /proc/self/oom_score_adj"),
        own.trim_end()
    );
}

fn keyring_is_new(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/maskedPaths", json!([]))
        .shell("grep -c _ses /proc/keys");
    let id = t.new_id();
    bundle.write();
    let output = t
        .runtime(&["run", "-b", &bundle.path.to_string_lossy(), &id])
        .output();
    assert_eq!(
        output.code(),
        0,
        "a session keyring named _ses.ID: {output}"
    );
}

fn parent_death_signal_is_off(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    container.start().ok();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(
        container.status(),
        "running",
        "init outlives the command that made it"
    );
}

fn signals_are_reset(t: &Sandbox) {
    let bundle = t
        .bundle()
        .args(&["/bin/grep", "-E", "^Sig(Ign|Blk|Cgt)", "/proc/self/status"]);
    bundle.write();
    let script = "trap '' HUP USR1 TERM; exec \"$0\" \"$@\"";
    let seen = t.run_through(&["sh", "-c", script], &bundle).text();
    let mask = |name: &str| {
        let line = seen
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or("1");
        u64::from_str_radix(line.trim(), 16).unwrap_or(u64::MAX)
    };
    assert_eq!(mask("SigBlk:"), 0, "{seen}");
    // HUP, USR1 and TERM, which the caller ignores.
    assert_eq!(mask("SigIgn:") & (1 | 1 << 9 | 1 << 14), 0, "{seen}");
}

fn dumpable(t: &Sandbox) {
    // What the container's own processes see of their /proc entries belongs to them.
    let bundle = t
        .bundle()
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(
        t.sh(bundle, "stat -c %u /proc/self/environ /proc/1/fd"),
        "1000\n1000"
    );
}

fn empty_home_is_none(t: &Sandbox) {
    for variables in [json!(["HOME="]), json!(["HOME=/override", "HOME="])] {
        let bundle = t.bundle().set("/process/env", variables);
        assert_eq!(t.sh(bundle, "echo $HOME"), "/root");
    }
    let own = t.bundle().push("/process/env", json!("HOME=/override"));
    assert_eq!(t.sh(own, "echo $HOME"), "/override");
}
