//! `exec --process FILE`: the process object of the specification, for one more process.

use crate::support::{Sandbox, Value, cases, json};

cases![
    runs_what_the_file_says,
    sets_user_and_groups,
    sets_capabilities,
    sets_rlimits,
    sets_oom_score_adjustment,
    sets_no_new_privileges,
    creates_nothing_for_a_bad_file,
    sets_the_scheduler,
    sets_io_priority,
    sets_initial_and_final_affinity,
    takes_containerds_call,
];

fn process(script: &str) -> Value {
    json!({
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/sh", "-c", script],
        "env": ["PATH=/bin", "COLOUR=green"],
        "cwd": "/usr"
    })
}

fn runs_what_the_file_says(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        container
            .exec_process(&process("echo $COLOUR; pwd"), &[])
            .text(),
        "green\n/usr"
    );
    assert_eq!(container.exec_process(&process("exit 6"), &[]).code(), 6);
}

fn sets_user_and_groups(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("id -u; id -g; id -G; umask");
    description["user"] =
        json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o027});
    assert_eq!(
        container.exec_process(&description, &[]).text(),
        "1000\n1001\n1001 5 6\n0027"
    );
}

fn sets_capabilities(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("grep -E 'Cap(Prm|Eff|Bnd|Amb|Inh)' /proc/self/status | cut -f2");
    let one = json!(["CAP_CHOWN"]);
    description["capabilities"] = json!({"bounding": one, "effective": one, "permitted": one, "inheritable": [], "ambient": []});
    let zero = "0000000000000000";
    let chown = "0000000000000001";
    assert_eq!(
        container.exec_process(&description, &[]).text(),
        [zero, chown, chown, chown, zero].join("\n")
    );
}

fn sets_rlimits(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("ulimit -n; ulimit -Hn; ulimit -c");
    description["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    ]);
    assert_eq!(
        container.exec_process(&description, &[]).text(),
        "100\n200\n0"
    );
}

fn sets_oom_score_adjustment(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("cat /proc/self/oom_score_adj");
    description["oomScoreAdj"] = json!(321);
    assert_eq!(container.exec_process(&description, &[]).text(), "321");
}

fn sets_no_new_privileges(t: &Sandbox) {
    let container = t.running(t.bundle().set("/process/noNewPrivileges", json!(false)));
    let mut description = process("grep NoNewPrivs /proc/self/status");
    description["noNewPrivileges"] = json!(true);
    assert_eq!(
        container.exec_process(&description, &[]).text(),
        "NoNewPrivs:\t1"
    );
}

fn creates_nothing_for_a_bad_file(t: &Sandbox) {
    let container = t.running(t.bundle());
    let file = t.new_path("bad.json");
    for text in [
        "",
        "{",
        "[]",
        "{\"args\": 5}",
        "{\"args\": []}",
        "{\"args\": [\"true\"], \"cwd\": \"relative\"}",
    ] {
        std::fs::write(&file, text).expect("write a bad file");
        t.runtime(&["exec", "--process", &file.to_string_lossy(), &container.id])
            .output()
            .fails();
    }
    t.runtime(&["exec", "--process", "/nowhere.json", &container.id])
        .output()
        .fails_with(&["/nowhere.json"]);
}

fn sets_the_scheduler(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("grep -E '^policy|^prio' /proc/self/sched | tr -d ' '");
    description["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 5});
    let shown = container.exec_process(&description, &[]).ok();
    if !shown.stdout.is_empty() {
        assert_eq!(shown.text(), "policy:3\nprio:125");
    }
}

fn sets_io_priority(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("ionice");
    description["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6});
    assert_eq!(
        container.exec_process(&description, &[]).text(),
        "best-effort: prio 6"
    );
}

fn sets_initial_and_final_affinity(t: &Sandbox) {
    let container = t.running(t.bundle());
    let mut description = process("grep Cpus_allowed_list /proc/self/status | cut -f2");
    for (last, seen) in [("0", "0"), ("1", "1"), ("0-1", "0-1")] {
        description["execCPUAffinity"] = json!({"initial": "0", "final": last});
        assert_eq!(container.exec_process(&description, &[]).text(), seen);
    }
}

fn takes_containerds_call(t: &Sandbox) {
    let container = t.running(t.bundle());
    let pid_file = t.new_path("pid");
    let flags = ["--detach", "--pid-file", &pid_file.to_string_lossy()];
    container
        .exec_process(&process("exec sleep 4444"), &flags)
        .silent();
    let pid = crate::support::sandbox::read(&pid_file);
    crate::support::sandbox::wait_for("the program", || {
        crate::support::sandbox::read(format!("/proc/{}/cmdline", pid.trim_end())).contains("4444")
    });
}
