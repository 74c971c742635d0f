//! Documents that the engines write: what is kept, what is forgiven, what is refused.

use super::*;

#[test]
fn null_is_absent() {
    let spec = Spec::parse(
        br#"{"ociVersion":"1.0.2","mounts":null,"linux":{"namespaces":null,"resources":null}}"#,
    )
    .expect("parses");
    assert_eq!(spec.mounts, []);
    assert_eq!(spec.linux.expect("present").namespaces, []);
}

#[test]
fn an_error_names_the_json_path() {
    let error = Spec::parse(br#"{"linux":{"resources":{"memory":{"limit":"1G"}}}}"#)
        .expect_err("a string is no limit");
    assert_eq!(error.at, "linux.resources.memory.limit");
    assert!(
        error.problem.contains("invalid type: string \"1G\""),
        "{error}"
    );
}

#[test]
fn trailing_text_is_refused() {
    assert!(Spec::parse(b"{} {}").is_err());
    assert!(Spec::parse(b" [\"1.0.2\"]").is_err());
}

#[test]
fn unusual_names_are_spelled_as_in_the_specification() {
    let json = r#"{"linux":{"resources":{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}],"throttleWriteIOPSDevice":[{"major":8,"minor":1,"rate":6}]},"memory":{"kernelTCP":1,"disableOOMKiller":true}},"intelRdt":{"closID":"x","enableMonitoring":true},"uidMappings":[{"containerID":0,"hostID":1,"size":2}]},"process":{"execCPUAffinity":{"initial":"0","final":"1"},"ioPriority":{"class":"IOPRIO_CLASS_BE"}}}"#;
    let spec = Spec::parse(json.as_bytes()).expect("parses");
    let written: serde_json::Value = serde_json::to_value(&spec).expect("serializes");
    let original: serde_json::Value = serde_json::from_str(json).expect("is JSON");
    assert_eq!(written["linux"], original["linux"]);
    assert_eq!(
        written["process"]["execCPUAffinity"],
        original["process"]["execCPUAffinity"]
    );
}

#[test]
fn a_nul_is_found_wherever_it_is() {
    let holds = |json: &str| Spec::parse(json.as_bytes()).expect("parses").holds_nul();
    for free in [
        "{}",
        r#"{"hostname":"tab\tulip\u0030"}"#,
        r#"{"hostname":"a\\u0000"}"#,
        r#"{"process":{"args":["a"],"user":{"uid":0}}}"#,
    ] {
        assert!(!holds(free), "{free}");
    }
    for holding in [
        r#"{"hostname":"a\u0000b"}"#,
        r#"{"annotations":{"a\u0000":"b"}}"#,
        r#"{"annotations":{"a":"\u0000"}}"#,
        r#"{"process":{"args":["a","\u0000"]}}"#,
        r#"{"process":{"env":["a=\u0000"]}}"#,
        r#"{"hooks":{"poststop":[{"path":"/a\u0000"}]}}"#,
        r#"{"linux":{"netDevices":{"eth0":{"name":"\u0000"}}}}"#,
        r#"{"linux":{"seccomp":{"syscalls":[{"names":["\u0000"]}]}}}"#,
    ] {
        assert!(holds(holding), "{holding}");
    }
}
