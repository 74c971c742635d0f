//! Descriptors of the host and the runtime's own binary are out of the container's reach.

use std::fs;

use crate::support::{Bundle, Sandbox, cases, json, rootfs, runtime, sandbox};

cases![
    cve_2024_21626_cwd_in_a_leaked_descriptor,
    cve_2024_21626_exec_with_such_a_cwd,
    cve_2024_21626_a_program_in_a_leaked_descriptor,
    cve_2024_21626_with_fifty_leaked_directories,
    cve_2019_5736_the_binary_survives_its_entrypoint,
    cve_2019_5736_the_binary_survives_exec,
    cve_2016_9962_the_joining_process_is_not_dumpable,
    cve_2020_15257_no_abstract_sockets,
    cve_2025_47291_is_in_its_own_cgroup,
];

/// A program of the host that would say so, and a script that looks for it from its working directory.
fn bait(t: &Sandbox) -> (String, String) {
    let program = t.path.join("bait");
    rootfs::write_script(&program, "#!/bin/sh\necho ESCAPED\n");
    let path = program.to_string_lossy().into_owned();
    let up = "../".repeat(16);
    let search = format!("pwd; cat {up}{path} 2>/dev/null | grep ESCAPED; true");
    (format!("{up}{path}"), search)
}

fn cve_2024_21626_cwd_in_a_leaked_descriptor(t: &Sandbox) {
    let (_, search) = bait(t);
    // Numbers far above what is open differ in nothing but the number.
    for fd in (3..20).chain(20..20 + runtime::rounds(44)) {
        let places: &[&str] = if fd < 20 {
            &["", "/..", "/../.."]
        } else {
            &[""]
        };
        for below in places {
            let cwd = format!("/proc/self/fd/{fd}{below}");
            let output = t.run(&t.bundle().set("/process/cwd", json!(cwd)).shell(&search));
            assert!(!output.stdout.contains("ESCAPED"), "{cwd}: {output}");
            assert!(!output.stdout.contains("unreachable"), "{cwd}: {output}");
        }
    }
}

fn cve_2024_21626_exec_with_such_a_cwd(t: &Sandbox) {
    let (_, search) = bait(t);
    let container = t.running(t.bundle().writable());
    container
        .exec("for n in 3 4 5 6 7 8 9; do ln -s /proc/self/fd/$n /tmp/link$n; done")
        .ok();
    let direct = (3..20).map(|fd| format!("/proc/self/fd/{fd}"));
    for cwd in direct.chain((3..10).map(|fd| format!("/tmp/link{fd}"))) {
        let output = container.exec_with(&["--cwd", &cwd], &["sh", "-c", &search]);
        assert!(!output.stdout.contains("ESCAPED"), "{cwd}: {output}");
    }
}

fn cve_2024_21626_a_program_in_a_leaked_descriptor(t: &Sandbox) {
    let (bait, _) = bait(t);
    let container = t.running(t.bundle());
    for fd in 3..20 {
        let path = format!("/proc/self/fd/{fd}/{bait}");
        let output = t.run(&t.bundle().args(&[&path]));
        assert!(!output.stdout.contains("ESCAPED"), "{output}");
        let output = container.exec_with(&[], &[&path]);
        assert!(!output.stdout.contains("ESCAPED"), "{output}");
    }
}

fn cve_2024_21626_with_fifty_leaked_directories(t: &Sandbox) {
    let (bait, search) = bait(t);
    let redirections: String = (3..53).map(|fd| format!("{fd}</ ")).collect();
    let run = |bundle: &crate::support::Bundle| {
        bundle.write();
        let arguments = [
            "run",
            "--bundle",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ];
        t.runtime(&arguments).redirections(&redirections).output()
    };
    for fd in [3, 10, 30, 52] {
        let leaked = format!("/proc/self/fd/{fd}");
        let output = run(&t.bundle().set("/process/cwd", json!(leaked)).shell(&search));
        assert!(!output.stdout.contains("ESCAPED"), "{output}");
        let output = run(&t.bundle().args(&[&format!("{leaked}/{bait}")]));
        assert!(!output.stdout.contains("ESCAPED"), "{output}");
    }
    let output = run(&t
        .bundle()
        .shell("cat /proc/self/fd/3/etc/hostname 2>/dev/null; true"));
    assert_eq!(output.text(), "");
}

/// A copy of the runtime that a container may try to overwrite, and its bytes.
fn copy_of_the_runtime(t: &Sandbox) -> (String, Vec<u8>) {
    if runtime::name() == "crun" {
        crate::support::skip("this case starts a copy of the runtime");
    }
    let copy = t.path.join("runtime-copy");
    runtime::copy_program(runtime::path(), &copy);
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    (
        copy.to_string_lossy().into_owned(),
        fs::read(&copy).expect("read the copy"),
    )
}

/// `run` by a copy of the runtime; how it ends is not what is asked.
fn run_by_copy(t: &Sandbox, program: &str, bundle: &Bundle) {
    let (root, path) = (t.root(), bundle.path.to_string_lossy());
    let words = [
        program,
        "--root",
        &root.to_string_lossy(),
        "run",
        "-b",
        &path,
        &t.new_id(),
    ];
    t.program(&words).output();
}

fn cve_2019_5736_the_binary_survives_its_entrypoint(t: &Sandbox) {
    let (program, bytes) = copy_of_the_runtime(t);
    let bundle = t
        .bundle()
        .writable()
        .args(&["/proc/self/exe"])
        .capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
    bundle.write();
    run_by_copy(t, &program, &bundle);
    // The interpreter line makes the entry point the runtime's own image.
    let bundle = t.bundle().writable().args(&["/entry"]).capabilities(&[
        "CAP_DAC_OVERRIDE",
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
    ]);
    rootfs::write_script(&bundle.rootfs().join("entry"), "#!/proc/self/exe\n");
    bundle.write();
    run_by_copy(t, &program, &bundle);
    assert!(
        fs::read(&program).expect("read the copy") == bytes,
        "the runtime's binary changed"
    );
}

fn cve_2019_5736_the_binary_survives_exec(t: &Sandbox) {
    let (program, bytes) = copy_of_the_runtime(t);
    let attack = "while true; do for p in /proc/[0-9]*; do e=$(readlink $p/exe 2>/dev/null); case \"$e\" in */busybox|'') ;; *) (exec 9>$p/exe && echo pwned >&9); echo \"$e\" >> /seen;; esac 2>/dev/null; done; done";
    let bundle = t
        .bundle()
        .writable()
        .capabilities(&["CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"])
        .shell(attack);
    let container = t.start(&bundle);
    let root = t.root();
    for _ in 0..runtime::rounds(30) {
        let words = [
            program.as_str(),
            "--root",
            &root.to_string_lossy(),
            "exec",
            &container.id,
            "/bin/true",
        ];
        t.program(&words).output();
    }
    container.kill("KILL").ok();
    container.wait_stopped();
    assert!(
        fs::read(&program).expect("read the copy") == bytes,
        "the runtime's binary changed"
    );
}

/// A process that joins a container must not be open to it before its exec.
fn cve_2016_9962_the_joining_process_is_not_dumpable(t: &Sandbox) {
    let attack = "while true; do for p in /proc/[0-9]*; do test ${p#/proc/} = 1 -o ${p#/proc/} = $$ && continue; ls $p/fd 2>/dev/null | grep -qE '^([3-9]|[1-9][0-9]+)$' && ls -l $p/fd 2>/dev/null | grep -E ' ([3-9]|[1-9][0-9]+) -> /(tmp|run|work|sys/fs)' >> /leaks; done; done";
    let bundle = t.bundle().writable().capabilities(&[]).shell(attack);
    let container = t.start(&bundle);
    for _ in 0..runtime::rounds(30) {
        container.exec("true").ok();
    }
    let leaks = fs::read_to_string(bundle.rootfs().join("leaks")).unwrap_or_default();
    assert_eq!(
        leaks, "",
        "descriptors of the host were seen in a joining process"
    );
}

fn cve_2020_15257_no_abstract_sockets(t: &Sandbox) {
    let container = t.running(t.bundle().without_namespace("network"));
    // Only those with an @ are abstract; the others are any program's of the host.
    // A name that begins with `@` is in no directory: whoever shares the network namespace can call it.
    let sockets = container.sh("cat /proc/net/unix");
    let of_ours = |line: &&str| {
        let ours = ["crun-lite", &container.id, &t.tag];
        line.contains('@') && ours.iter().any(|name| line.contains(name))
    };
    let host = sandbox::read("/proc/net/unix");
    assert_eq!(sockets.lines().chain(host.lines()).find(of_ours), None);
}

fn cve_2025_47291_is_in_its_own_cgroup(t: &Sandbox) {
    let container = t.running(t.bundle().user_namespace(100_000, 65_536));
    let cgroups = sandbox::read(format!("/proc/{}/cgroup", container.pid()));
    for line in cgroups.lines().filter(|line| !line.starts_with("0::")) {
        assert!(line.ends_with(container.bundle.cgroups_path()), "{line}");
    }
    container.exec_with(&["-d"], &["sleep", "5000"]).ok();
    assert_eq!(
        crate::support::host::pids_in_cgroup(container.bundle.cgroups_path()).len(),
        2
    );
}
