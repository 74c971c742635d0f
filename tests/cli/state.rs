//! `state`: the JSON of the specification, with runc's and crun's additions.

use crate::support::{Sandbox, cases, json};

cases![
    has_the_fields_of_the_specification,
    has_the_fields_of_the_peers,
    follows_the_lifecycle,
    is_pretty_json,
    carries_annotations,
    refuses_an_unknown_id,
    names_no_pid_of_a_stopped_container,
];

fn has_the_fields_of_the_specification(t: &Sandbox) {
    let container = t.running(t.bundle());
    let state = container.state();
    assert!(
        state["ociVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.")),
        "{state}"
    );
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["status"], json!("running"));
    assert!(state["pid"].as_i64().is_some_and(|pid| pid > 1), "{state}");
    assert_eq!(
        state["bundle"],
        json!(container.bundle.path.to_string_lossy())
    );
}

fn has_the_fields_of_the_peers(t: &Sandbox) {
    let container = t.running(t.bundle());
    let state = container.state();
    assert_eq!(
        state["rootfs"],
        json!(container.bundle.rootfs().to_string_lossy())
    );
    assert!(state["owner"].is_string(), "{state}");
    let created = state["created"].as_str().unwrap_or_default();
    assert!(
        created.len() >= 20 && created.as_bytes()[10] == b'T' && created.ends_with('Z'),
        "created is {created:?}"
    );
}

fn follows_the_lifecycle(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    assert_eq!(container.status(), "created");
    container.start().ok();
    assert_eq!(container.status(), "running");
    container.pause().ok();
    assert_eq!(container.status(), "paused");
    container.resume().ok();
    container.stop();
    assert_eq!(container.status(), "stopped");
}

fn is_pretty_json(t: &Sandbox) {
    let container = t.create(&t.bundle().idle());
    let text = container.invoke(&["state"]).output().silent().stdout;
    assert!(text.contains("\n  \"status\": \"created\""), "{text}");
}

fn carries_annotations(t: &Sandbox) {
    let container = t.create(&t.bundle().idle().set(
        "/annotations",
        json!({"org.example.colour": "blue \"x\"\n"}),
    ));
    assert_eq!(
        container.state()["annotations"]["org.example.colour"],
        json!("blue \"x\"\n")
    );
}

fn refuses_an_unknown_id(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    t.runtime(&["state", &t.new_id()])
        .output()
        .refused_with(&["does not exist"]);
}

fn names_no_pid_of_a_stopped_container(t: &Sandbox) {
    let container = t.running(t.bundle());
    container.stop();
    let state = container.state();
    assert!(
        state["pid"].is_null() || state["pid"] == json!(0),
        "{state}"
    );
}
