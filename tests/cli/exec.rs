//! `exec` of a command line: the child's result, and every flag.

use std::time::Duration;

use crate::support::{Sandbox, cases, host, json, rootfs, runtime, sandbox};

cases![
    has_the_containers_domain_and_memory_policy,
    drops_the_callers_affinity,
    gives_the_exit_code,
    makes_no_working_directory,
    gives_128_and_the_signals_number,
    connects_the_standard_streams,
    joins_every_namespace,
    joins_the_cgroups,
    inherits_the_containers_environment,
    sets_environment,
    sets_the_working_directory,
    sets_the_user,
    refuses_user_ids_that_overflow,
    sets_additional_groups,
    adds_capabilities,
    added_capabilities_are_ambient_where_inheritable,
    inherits_the_containers_capabilities,
    sets_no_new_privileges,
    detaches,
    writes_the_pid_file,
    leaves_no_pid_file_of_a_process_that_never_ran,
    leaves_the_commands_own_flags_alone,
    refuses_a_stopped_container,
    runs_in_a_created_container,
    refuses_an_unknown_id,
    refuses_a_paused_container,
    waits_in_a_paused_container_when_told,
    refuses_a_cgroup_outside,
    joins_a_cgroup_inside,
    names_a_program_that_is_missing,
    names_a_program_that_is_not_executable,
    preserves_descriptors,
    leaks_no_descriptor,
    keeps_the_container_when_the_program_ends,
    sees_mounts_of_the_container,
    enters_the_root_without_a_mount_namespace,
    forwards_signals,
    is_silent,
    runs_many_at_once,
    obeys_seccomp,
];

fn gives_the_exit_code(t: &Sandbox) {
    let container = t.running(t.bundle());
    for code in [0, 3, 127, 255] {
        assert_eq!(container.exec(&format!("exit {code}")).code(), code);
    }
}

fn gives_128_and_the_signals_number(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(container.exec("kill -9 $$").code(), 137);
    assert_eq!(container.exec("kill -TERM $$").code(), 143);
}

fn connects_the_standard_streams(t: &Sandbox) {
    let container = t.running(t.bundle());
    let output = container
        .exec_invocation(
            &[],
            &["sh", "-c", "read word; echo out $word; echo err $word >&2"],
        )
        .stdin("hello\n")
        .output()
        .ok();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out hello\n", "err hello\n")
    );
}

fn joins_every_namespace(t: &Sandbox) {
    let bundle = t
        .bundle()
        .namespace("cgroup")
        .namespace("time")
        .user_namespace(100_000, 65_536);
    let container = t.running(bundle);
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"] {
        let inside = container.sh(&format!("readlink /proc/self/ns/{kind}"));
        assert_eq!(inside, host::namespace(container.pid(), kind));
        assert_ne!(inside, host::namespace("self", kind), "{kind}");
    }
}

fn joins_the_cgroups(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.exec_with(&["--detach"], &["sleep", "5000"]).ok();
    for hierarchy in host::cgroup_hierarchies() {
        let file = hierarchy
            .join(container.bundle.cgroups_path().trim_start_matches('/'))
            .join("cgroup.procs");
        if file.exists() {
            assert_eq!(
                sandbox::read(&file).lines().count(),
                2,
                "{}",
                file.display()
            );
        }
    }
}

fn inherits_the_containers_environment(t: &Sandbox) {
    let container = t.running(t.bundle().push("/process/env", json!("COLOUR=blue")));
    assert_eq!(container.sh("echo $COLOUR"), "blue");
}

fn sets_environment(t: &Sandbox) {
    let container = t.running(t.bundle().push("/process/env", json!("COLOUR=blue")));
    let flags = [
        "--env",
        "COLOUR=red",
        "--env",
        "SHAPE=round",
        "--env",
        "EMPTY=",
    ];
    let output = container.exec_with(&flags, &["sh", "-c", "echo $COLOUR $SHAPE ${EMPTY-unset}."]);
    assert_eq!(output.text(), "red round .");
    assert_eq!(
        container
            .exec_with(&["-e", "COLOUR=black"], &["sh", "-c", "echo $COLOUR"])
            .text(),
        "black"
    );
}

fn makes_no_working_directory(t: &Sandbox) {
    let container = t.running(t.bundle().writable());
    container
        .exec_with(&["--cwd", "/not/there"], &["pwd"])
        .fails_with(&["/not/there", "no such file or directory"]);
    assert!(!container.exec("test -e /not").status.success());
}

fn sets_the_working_directory(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        container.exec_with(&["--cwd", "/usr"], &["pwd"]).text(),
        "/usr"
    );
    assert_eq!(
        container.exec_with(&["--cwd=/tmp"], &["pwd"]).text(),
        "/tmp"
    );
}

fn sets_the_user(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        container
            .exec_with(&["--user", "1000:2000"], &["sh", "-c", "id -u; id -g"])
            .text(),
        "1000\n2000"
    );
    assert_eq!(
        container
            .exec_with(&["-u", "1000"], &["sh", "-c", "id -u; id -g"])
            .text(),
        "1000\n0"
    );
}

fn refuses_user_ids_that_overflow(t: &Sandbox) {
    let container = t.running(t.bundle());
    for user in [
        "4294967296",
        "-1",
        "1000x",
        " 0",
        "99999999999",
        "0:4294967296",
        "1000:",
        ":5",
    ] {
        container.exec_with(&["--user", user], &["id"]).fails();
    }
}

fn sets_additional_groups(t: &Sandbox) {
    let container = t.running(t.bundle());
    let groups = container
        .exec_with(&["-g", "7", "-g", "8"], &["id", "-G"])
        .text();
    assert_eq!(groups, "0 7 8");
    assert_eq!(
        container
            .exec_with(&["--additional-gids", "9"], &["id", "-G"])
            .text(),
        "0 9"
    );
}

fn adds_capabilities(t: &Sandbox) {
    let container = t.running(t.bundle().capabilities(&["CAP_KILL"]));
    let status = container
        .exec_with(
            &["--cap", "CAP_NET_ADMIN"],
            &["grep", "Cap", "/proc/self/status"],
        )
        .text();
    let set = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
            .unwrap_or_default()
            .to_owned()
    };
    // CAP_KILL is bit 5, CAP_NET_ADMIN bit 12.
    for name in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(set(name), "0000000000001020", "{status}");
    }
}

/// What a program may inherit anyway, `--cap` also gives to the programs that it starts as an ordinary user.
fn added_capabilities_are_ambient_where_inheritable(t: &Sandbox) {
    if !runtime::is_ours() {
        crate::support::skip("runc has it since 1.2");
    }
    let sets = json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                      "inheritable": ["CAP_CHOWN"], "ambient": []});
    let container = t.running(t.bundle().set("/process/capabilities", sets));
    let ambient = |flag: &str| {
        let command = ["grep", "CapAmb", "/proc/self/status"];
        container.exec_with(&["--cap", flag], &command).text()
    };
    assert_eq!(ambient("chown"), "CapAmb:\t0000000000000001");
    assert_eq!(ambient("CAP_KILL"), "CapAmb:\t0000000000000000");
}

fn inherits_the_containers_capabilities(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        container.sh("grep Cap /proc/self/status"),
        container.sh("grep Cap /proc/1/status")
    );
}

fn sets_no_new_privileges(t: &Sandbox) {
    let container = t.running(t.bundle().set("/process/noNewPrivileges", json!(false)));
    let command = ["grep", "NoNewPrivs", "/proc/self/status"];
    assert_eq!(container.exec_with(&[], &command).text(), "NoNewPrivs:\t0");
    assert_eq!(
        container.exec_with(&["--no-new-privs"], &command).text(),
        "NoNewPrivs:\t1"
    );
}

fn detaches(t: &Sandbox) {
    let container = t.running(t.bundle());
    let started = std::time::Instant::now();
    container
        .exec_with(&["--detach"], &["sleep", "5000"])
        .silent();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(container.sh("pidof sleep | wc -w"), "2");
}

fn writes_the_pid_file(t: &Sandbox) {
    let container = t.running(t.bundle());
    let file = t.new_path("pid");
    container
        .exec_with(
            &["-d", "--pid-file", &file.to_string_lossy()],
            &["sleep", "7777"],
        )
        .ok();
    let pid = sandbox::read(&file);
    assert_eq!(
        sandbox::read(format!("/proc/{}/cmdline", pid.trim_end())),
        "sleep\x007777\x00"
    );
}

fn leaves_no_pid_file_of_a_process_that_never_ran(t: &Sandbox) {
    let container = t.running(t.bundle());
    let (file, nowhere) = (t.new_path("pid"), t.new_path("nowhere"));
    let [pid_file, socket] = [&file, &nowhere].map(|path| path.to_string_lossy());
    let flags = ["-d", "--pid-file", &pid_file, "--pidfd-socket", &socket];
    container
        .exec_with(&flags, &["sleep", "100"])
        .fails_with(&["nowhere"]);
    assert!(!file.exists(), "{}", sandbox::read(&file));
}

fn leaves_the_commands_own_flags_alone(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        container
            .exec_with(&[], &["echo", "--detach", "-t", "--user", "x"])
            .text(),
        "--detach -t --user x"
    );
    assert_eq!(
        container
            .exec_with(&[], &["sh", "-c", "echo $0 $1", "--cwd", "-e"])
            .text(),
        "--cwd -e"
    );
}

fn refuses_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    container.exec("true").fails_with(&["stopped"]);
}

fn runs_in_a_created_container(t: &Sandbox) {
    // runc runs it, crun runs it: Podman's health checks and CRI probes may come early.
    let container = t.create(&t.bundle().idle());
    assert_eq!(container.exec("echo early").text(), "early");
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["exec", &t.new_id(), "true"])
        .output()
        .fails_with(&["does not exist"]);
}

fn refuses_a_paused_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    container
        .exec("true")
        .fails_with(&["cannot exec in a paused container"]);
    container.resume().ok();
    container.exec("true").ok();
}

fn waits_in_a_paused_container_when_told(t: &Sandbox) {
    let container = t.running(t.bundle().writable());
    container.pause().ok();
    let running = container
        .exec_invocation(&["--ignore-paused"], &["touch", "/touched"])
        .spawn();
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        !container.bundle.rootfs().join("touched").exists(),
        "frozen processes don't run"
    );
    container.resume().ok();
    running.wait().ok();
    assert!(container.bundle.rootfs().join("touched").exists());
}

fn refuses_a_cgroup_outside(t: &Sandbox) {
    let container = t.running(t.bundle());
    for path in ["../..", "../../x", "/../..", "a/../../../b"] {
        container.exec_with(&["--cgroup", path], &["true"]).fails();
    }
}

fn joins_a_cgroup_inside(t: &Sandbox) {
    let container = t.running(t.bundle());
    for hierarchy in host::cgroup_hierarchies() {
        let own = hierarchy.join(container.bundle.cgroups_path().trim_start_matches('/'));
        if own.exists() {
            std::fs::create_dir(own.join("part")).expect("create a cgroup inside the container's");
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if hierarchy.join(file).exists() {
                    std::fs::write(own.join("part").join(file), sandbox::read(own.join(file)))
                        .expect("fill a cpuset");
                }
            }
        }
    }
    let cgroups = container
        .exec_with(&["--cgroup", "part"], &["cat", "/proc/self/cgroup"])
        .text();
    let pids = cgroups
        .lines()
        .find(|line| line.contains(":pids:") || host::is_pure_v2())
        .unwrap_or_default();
    assert!(pids.ends_with("/part"), "{cgroups}");
}

fn names_a_program_that_is_missing(t: &Sandbox) {
    let container = t.running(t.bundle());
    let message = container
        .exec_with(&[], &["no-such-program"])
        .fails_with(&["no-such-program"])
        .stderr
        .to_lowercase();
    let known = ["executable file not found in", "no such file or directory"];
    assert!(known.iter().any(|text| message.contains(text)), "{message}");
}

fn names_a_program_that_is_not_executable(t: &Sandbox) {
    let container = t.running(t.bundle());
    let message = container
        .exec_with(&[], &["/etc/passwd"])
        .fails_with(&["/etc/passwd"])
        .stderr
        .to_lowercase();
    assert!(message.contains("permission denied"), "{message}");
}

fn preserves_descriptors(t: &Sandbox) {
    let container = t.running(t.bundle());
    let script = "cat <&4; ls /proc/$$/fd; true";
    let output = container
        .exec_invocation(&["--preserve-fds", "2"], &["sh", "-c", script])
        .redirections("3</dev/null 4<<<four 5</")
        .output();
    assert_eq!(output.text(), "four\n0\n1\n2\n3\n4");
}

fn leaks_no_descriptor(t: &Sandbox) {
    let container = t.running(t.bundle());
    let redirections: String = (3..40).map(|fd| format!("{fd}</ ")).collect();
    let script = "ls /proc/$$/fd; true";
    let output = container
        .exec_invocation(&[], &["sh", "-c", script])
        .redirections(&redirections)
        .output();
    assert_eq!(output.text(), "0\n1\n2");
}

fn keeps_the_container_when_the_program_ends(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.exec("exit 1");
    assert_eq!(container.status(), "running");
}

fn sees_mounts_of_the_container(t: &Sandbox) {
    let container = t.running(t.bundle().mount("/mnt", "tmpfs", "tmpfs", &["size=1m"]));
    container.exec("echo word > /mnt/file").ok();
    assert_eq!(container.sh("cat /mnt/file"), "word");
}

fn enters_the_root_without_a_mount_namespace(t: &Sandbox) {
    // Nothing may be mounted or masked: it would be on the host.
    let bundle = t
        .bundle()
        .set(
            "/linux/namespaces",
            json!([{"type": "pid"}, {"type": "ipc"}]),
        )
        .set("/mounts", json!([]))
        .set("/root/readonly", json!(false))
        .without("/hostname")
        .without("/linux/maskedPaths")
        .without("/linux/readonlyPaths");
    let container = t.running(bundle);
    std::fs::write(container.bundle.rootfs().join("tmp/mark"), "word").expect("write a mark");
    assert_eq!(container.sh("cat /tmp/mark; pwd"), "word/");
    let host = container.exec_with(&[], &["ls", &container.bundle.path.to_string_lossy()]);
    host.fails_with(&["No such file"]);
}

fn forwards_signals(t: &Sandbox) {
    let container = t.running(t.bundle());
    let script = "trap 'exit 9' TERM; echo ready; while true; do sleep 0.1; done";
    let running = container
        .exec_invocation(&[], &["sh", "-c", script])
        .spawn();
    sandbox::wait_for("the program to be ready", || {
        running.stdout_so_far().contains("ready")
    });
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.wait().code(), 9);
}

fn is_silent(t: &Sandbox) {
    assert_eq!(t.running(t.bundle()).exec("true").silent().stdout, "");
}

fn runs_many_at_once(t: &Sandbox) {
    let container = t.running(t.bundle());
    let all: Vec<_> = (0..12)
        .map(|code| {
            (
                code,
                container
                    .exec_invocation(&[], &["sh", "-c", &format!("exit {code}")])
                    .spawn(),
            )
        })
        .collect();
    for (code, running) in all {
        assert_eq!(running.wait().code(), code);
    }
}

fn obeys_seccomp(t: &Sandbox) {
    let rule = json!({"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28});
    let container = t.running(t.bundle().set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}),
    ));
    container
        .exec("mkdir /tmp/x")
        .fails_with(&["No space left on device"]);
    rootfs::write_script(
        &container.bundle.rootfs().join("tmp/script"),
        "#!/bin/sh\nmkdir /tmp/y\n",
    );
    let output = container.exec_with(&[], &["/tmp/script"]).fails();
    assert!(
        output.stderr.contains("No space left on device"),
        "{} {output}",
        runtime::name()
    );
}

fn has_the_containers_domain_and_memory_policy(t: &Sandbox) {
    let policy = json!({"mode": "MPOL_PREFERRED", "nodes": "0"});
    let bundle = t
        .bundle()
        .set("/linux/personality", json!({"domain": "LINUX32"}))
        .set("/linux/memoryPolicy", policy);
    let container = t.running(bundle);
    let machine = container.sh("uname -m");
    assert!(machine == "i686" || machine.starts_with("arm"), "{machine}");
    let seen = container.sh("head -n1 /proc/self/numa_maps | cut -d ' ' -f 2");
    assert_eq!(seen, "prefer:0");
}

fn drops_the_callers_affinity(t: &Sandbox) {
    let all = t.program(&["taskset", "-c", "-p", "1"]).output().text();
    if !all.ends_with("0,1") && !all.contains("0-") {
        crate::support::skip("one CPU shows nothing");
    }
    let container = t.running(t.bundle());
    let command = [
        "exec",
        &container.id,
        "grep",
        "Cpus_allowed_list",
        "/proc/self/status",
    ];
    let seen = t
        .runtime_through(&["taskset", "-c", "0"], &command)
        .output()
        .text();
    let init = container.sh("grep Cpus_allowed_list /proc/1/status");
    assert_eq!(seen, init);
}
