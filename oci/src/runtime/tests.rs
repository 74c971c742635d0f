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
fn an_escaped_nul_is_seen_while_reading() {
    let free = |name: &str| {
        let json = format!(r#"{{"hostname":"{name}"}}"#);
        Spec::parse(json.as_bytes()).expect("parses").is_free_of_nul
    };
    assert!(free("web"));
    assert!(free(r"tab\tulip\u0030"));
    assert!(!free(r"a\u0000b"));
    // A false alarm costs a second look.
    assert!(!free(r"a\\u0000"));
}
