//! `ps`: the container's processes, as ps(1) or as a JSON list.

use crate::support::{Container, Sandbox, cases, sandbox};

cases![
    prints_the_header_of_ps,
    prints_json,
    includes_child_cgroups,
    passes_options_to_ps,
    refuses_an_unknown_id,
    refuses_or_is_empty_when_stopped,
    shows_a_paused_container
];

fn json_pids(container: &Container<'_>) -> Vec<i32> {
    let text = container
        .invoke(&["ps", "--format", "json"])
        .output()
        .silent()
        .stdout;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn prints_the_header_of_ps(t: &Sandbox) {
    let container = t.running(t.bundle());
    let text = container.invoke(&["ps"]).output().silent().stdout;
    let header = text.lines().next().unwrap_or_default();
    assert!(header.contains("PID") && header.contains("CMD"), "{text}");
    assert!(
        text.lines().nth(1).is_some_and(
            |line| line.contains(&container.pid().to_string()) && line.contains("sleep")
        ),
        "{text}"
    );
}

fn prints_json(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(json_pids(&container), [container.pid()]);
    container.exec_with(&["--detach"], &["sleep", "5000"]).ok();
    assert_eq!(json_pids(&container).len(), 2);
}

fn includes_child_cgroups(t: &Sandbox) {
    let container = t.running(t.bundle());
    let file = t.new_path("pid");
    container
        .exec_with(
            &["-d", "--pid-file", &file.to_string_lossy()],
            &["sleep", "5000"],
        )
        .ok();
    let pid: i32 = sandbox::read(&file).trim_end().parse().expect("a pid");
    for controller in ["devices", "pids", "memory", "systemd", "name=systemd"] {
        let Some(hierarchy) = crate::support::host::v1_hierarchy(controller) else {
            continue;
        };
        let own = hierarchy.join(container.bundle.cgroups_path().trim_start_matches('/'));
        if own.exists() {
            std::fs::create_dir_all(own.join("part"))
                .expect("create a cgroup inside the container's");
            std::fs::write(own.join("part/cgroup.procs"), pid.to_string())
                .expect("move the process");
        }
    }
    assert!(json_pids(&container).contains(&pid));
}

fn passes_options_to_ps(t: &Sandbox) {
    let container = t.running(t.bundle());
    for arguments in [vec!["-e", "-x"], vec!["-o", "pid,comm"]] {
        let all: Vec<&str> = ["ps", &container.id].into_iter().chain(arguments).collect();
        let text = t.runtime(&all).output().text();
        assert!(
            text.lines().next().is_some_and(|line| line.contains("PID")),
            "{text}"
        );
        assert!(text.contains("sleep"), "{text}");
    }
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["ps", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn refuses_or_is_empty_when_stopped(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    let output = container.invoke(&["ps", "--format", "json"]).output();
    if output.status.success() {
        assert!(
            ["[]", "null"].contains(&output.stdout.trim_end()),
            "{output}"
        );
    }
}

fn shows_a_paused_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.pause().ok();
    assert_eq!(json_pids(&container), [container.pid()]);
}
