//! `list`: runc's table, or one line of JSON.

use crate::support::{Container, Sandbox, Value, cases, json};

cases![
    prints_runcs_table,
    prints_json,
    prints_ids_only,
    sorts_by_id,
    shows_stopped_containers,
    is_empty_without_containers,
    refuses_a_root_that_is_not_there,
    skips_a_broken_entry
];

fn prints_runcs_table(t: &Sandbox) {
    let container = t.running(t.bundle());
    let text = t.runtime(&["list"]).output().silent().stdout;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    );
    let pid = container.pid().to_string();
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    assert_eq!(
        &lines[1][..4],
        [container.id.as_str(), &pid, "running", &bundle]
    );
    assert!(lines[1][4].contains('T'), "{text}");
    assert_eq!(lines[1][5], "root");
}

fn prints_json(t: &Sandbox) {
    let container = t.running(t.bundle().set("/annotations", json!({"a": "b"})));
    for format in [["--format", "json"], ["-f", "json"]] {
        let text = t
            .runtime(&["list", format[0], format[1]])
            .output()
            .silent()
            .stdout;
        assert_eq!(text.lines().count(), 1, "{text}");
        let list: Value = serde_json::from_str(&text).expect("list prints JSON");
        let entry = &list[0];
        assert_eq!(entry["id"], json!(container.id));
        assert_eq!(entry["pid"], json!(container.pid()));
        assert_eq!(entry["status"], json!("running"));
        assert_eq!(entry["annotations"]["a"], json!("b"));
        for key in ["ociVersion", "bundle", "rootfs", "created", "owner"] {
            assert!(entry[key].is_string(), "{key} in {entry}");
        }
    }
}

fn prints_ids_only(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    for flag in ["-q", "--quiet"] {
        assert_eq!(t.runtime(&["list", flag]).output().text(), container.id);
    }
}

fn sorts_by_id(t: &Sandbox) {
    for name in ["c", "a", "b"] {
        Container::named(t, &t.bundle().idle(), format!("{}-{name}", t.tag))
            .create(&[])
            .ok();
    }
    let expected: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| format!("{}-{name}", t.tag))
        .collect();
    assert_eq!(
        t.runtime(&["list", "-q"]).output().text(),
        expected.join("\n")
    );
}

fn shows_stopped_containers(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    let text = t.runtime(&["list"]).output().text();
    let line: Vec<&str> = text
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(&line[..3], [container.id.as_str(), "0", "stopped"]);
}

fn is_empty_without_containers(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    assert_eq!(
        t.runtime(&["list"]).output().text().lines().count(),
        1,
        "the header"
    );
    let list: Value =
        serde_json::from_str(&t.runtime(&["list", "-f", "json"]).output().text()).expect("JSON");
    assert!(list.is_null() || list == json!([]), "{list}");
    assert_eq!(t.runtime(&["list", "-q"]).output().text(), "");
}

fn refuses_a_root_that_is_not_there(t: &Sandbox) {
    // Below the sandbox: a runtime that makes it instead of refusing leaves nothing on the host.
    let absent = t.root().join("no/such/root").display().to_string();
    t.runtime_without_root(&["--root", &absent, "list"])
        .output()
        .fails_with(&[&absent]);
}

fn skips_a_broken_entry(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    let broken = t.root().join("broken");
    std::fs::create_dir(&broken).expect("create a broken entry");
    assert_eq!(
        t.runtime(&["list", "-q"])
            .output()
            .ok()
            .stdout
            .lines()
            .filter(|id| *id == container.id)
            .count(),
        1
    );
    std::fs::remove_dir_all(broken).expect("remove the broken entry");
}
