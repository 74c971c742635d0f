//! Scopes for systemd: names, properties, annotations.

use super::super::gvariant::{self, Value};
use super::*;

fn scope(host: &Host, config: &str) -> Result<CgroupPlan> {
    let spec = Spec::parse(config.as_bytes()).expect("spec");
    let options = Options {
        id: "web".into(),
        cgroup_manager: CgroupManager::Systemd,
        ..Options::default()
    };
    plan_cgroup(&spec, host, &options)
}

fn named(host: &Host, wish: &str) -> Result<(String, String)> {
    let plan = scope(host, &format!(r#"{{"linux":{{"cgroupsPath":"{wish}"}}}}"#))?;
    let scope = plan.systemd.expect("scope");
    Ok((
        format!("{} {}", scope.slice, scope.scope),
        plan.directories[0].path.clone(),
    ))
}

fn property(plan: &CgroupPlan, name: &str) -> Option<Value> {
    let scope = plan.systemd.as_ref().expect("scope");
    scope
        .properties
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.clone())
}

#[test]
fn paths_name_slice_prefix_and_scope() {
    let cases = [
        (
            "",
            "system.slice crun-lite-web.scope",
            "system.slice/crun-lite-web.scope",
        ),
        (
            ":docker:abc",
            "system.slice docker-abc.scope",
            "system.slice/docker-abc.scope",
        ),
        (
            "a-b-c.slice:p:n",
            "a-b-c.slice p-n.scope",
            "a.slice/a-b.slice/a-b-c.slice/p-n.scope",
        ),
        ("-:p:n", "-.slice p-n.scope", "p-n.scope"),
        ("x.slice::n", "x.slice n.scope", "x.slice/n.scope"),
    ];
    for (wish, names, path) in cases {
        assert_eq!(
            named(&v2(), wish),
            Ok((names.into(), path.into())),
            "{wish}"
        );
    }
    for bad in [
        "/abs",
        "a:b",
        "a:b:c:d",
        "-a.slice:p:n",
        "a--b.slice:p:n",
        "../x.slice:p:n",
        "nosuffix:p:n",
        "a.slice:p:n.slice",
        "a.slice:p:n/m",
    ] {
        let error = named(&v2(), bad).expect_err(bad);
        assert!(
            error.to_string().starts_with("linux.cgroupsPath"),
            "{error}"
        );
    }
}

#[test]
fn a_user_asks_the_users_manager() {
    let mut host = v2();
    host.uid = 1000;
    let outside = named(&host, "").expect("names");
    assert_eq!(outside.0, "user.slice crun-lite-web.scope");
    assert_eq!(
        outside.1,
        "user.slice/user-1000.slice/user@1000.service/user.slice/crun-lite-web.scope"
    );
    host.own_cgroups = vec![(
        String::new(),
        "/user.slice/user-7.slice/user@7.service/app.slice/x.scope".into(),
    )];
    assert!(
        named(&host, "")
            .expect("names")
            .1
            .starts_with("user.slice/user-7.slice/user@7.service/user.slice/")
    );
}

#[test]
fn limits_become_properties() {
    let resources = r#"{"linux":{"resources":{"memory":{"limit":1000,"reservation":500,"swap":1500},
        "cpu":{"shares":1024,"quota":25000,"cpus":"0-2,9"},"pids":{"limit":-1},"blockIO":{"weight":1000},
        "unified":{"memory.high":"max"}}}}"#;
    let plan = scope(&v2(), resources).expect("plan");
    let get = |name| property(&plan, name);
    assert_eq!(get("MemoryMax"), Some(Value::U64(1000)));
    assert_eq!(get("MemoryLow"), Some(Value::U64(500)));
    assert_eq!(get("MemorySwapMax"), Some(Value::U64(500)));
    assert_eq!(get("MemoryHigh"), Some(Value::U64(u64::MAX)));
    assert_eq!(get("CPUWeight"), Some(Value::U64(100)));
    assert_eq!(get("CPUQuotaPerSecUSec"), Some(Value::U64(250_000)));
    assert_eq!(get("CPUQuotaPeriodUSec"), None);
    assert_eq!(get("TasksMax"), Some(Value::U64(u64::MAX)));
    assert_eq!(get("IOWeight"), Some(Value::U64(10_000)));
    assert_eq!(
        get("AllowedCPUs"),
        Some(Value::Array(
            "y".into(),
            vec![Value::Byte(7), Value::Byte(2)]
        ))
    );
    assert_eq!(get("Delegate"), Some(Value::Bool(true)));
    assert_eq!(get("DevicePolicy"), Some(Value::Text("strict".into())));
    let v1 = scope(
        &hybrid(),
        r#"{"linux":{"resources":{"memory":{"limit":1000},"cpu":{"shares":512}}}}"#,
    )
    .expect("plan");
    assert_eq!(property(&v1, "MemoryLimit"), Some(Value::U64(1000)));
    assert_eq!(property(&v1, "CPUShares"), Some(Value::U64(512)));
}

#[test]
fn annotations_become_properties() {
    let with = |key: &str, value: &str| {
        scope(
            &v2(),
            &format!(r#"{{"annotations":{{"org.systemd.property.{key}":"{value}"}}}}"#),
        )
    };
    let plan = with("TimeoutStopUSec", "uint64 5").expect("plan");
    assert_eq!(property(&plan, "TimeoutStopUSec"), Some(Value::U64(5)));
    let plan = with("TimeoutStopSec", "1.5").expect("plan");
    assert_eq!(
        property(&plan, "TimeoutStopUSec"),
        Some(Value::U64(1_500_000))
    );
    let plan = with("CollectMode", "'inactive-or-failed'").expect("plan");
    assert_eq!(
        property(&plan, "CollectMode"),
        Some(Value::Text("inactive-or-failed".into()))
    );
    for (key, value) in [
        ("Bad-Name", "1"),
        ("X", "nonsense"),
        ("TimeoutStopSec", "'soon'"),
        ("X", ""),
    ] {
        assert!(
            with(key, value)
                .expect_err(key)
                .to_string()
                .starts_with("annotation ")
        );
    }
}

#[test]
fn gvariant_texts_are_read() {
    let text = |t: &str| Value::Text(t.into());
    let cases = [
        ("true", Value::Bool(true)),
        ("-5", Value::I32(-5)),
        ("int64 -5", Value::I64(-5)),
        ("byte 0", Value::Byte(0)),
        ("1e3", Value::F64(1000.0)),
        (r#""a\"b""#, text("a\"b")),
        (
            "['a', 'b']",
            Value::Array("s".into(), vec![text("a"), text("b")]),
        ),
        ("@as []", Value::Array("s".into(), Vec::new())),
        (
            "@au [1, 2]",
            Value::Array("u".into(), vec![Value::U32(1), Value::U32(2)]),
        ),
        ("('x', 1)", Value::Struct(vec![text("x"), Value::I32(1)])),
    ];
    for (written, value) in cases {
        assert_eq!(gvariant::parse(written), Ok(value), "{written}");
    }
    for bad in [
        "",
        "[",
        "[]",
        "['a', 1]",
        "'a",
        "1 2",
        "uint64 -1",
        "uint64 'a'",
        "nan",
        "@as",
        "((((((((((1",
        "@@@@",
    ] {
        assert!(gvariant::parse(bad).is_err(), "{bad}");
    }
}
