//! The rules on parameters, one by one.

use super::*;

fn planned(rdt: &str) -> IntelRdtPlan {
    let json = format!(r#"{{"linux":{{"intelRdt":{rdt}}}}}"#);
    let spec = Spec::parse(json.as_bytes()).unwrap();
    plan_intel_rdt(&spec, "web1").unwrap()
}

#[test]
fn without_the_object_nothing_is_touched() {
    let spec = Spec::parse(br#"{"linux":{}}"#).unwrap();
    assert_eq!(plan_intel_rdt(&spec, "web1"), None);
}

#[test]
fn the_id_names_a_group_that_has_no_name() {
    let plan = planned("{}");
    assert_eq!((plan.group.as_str(), plan.must_exist), ("web1", false));
    assert_eq!((plan.schema.as_str(), plan.monitor), ("", None));
}

#[test]
fn a_named_group_without_schemata_must_exist() {
    assert!(planned(r#"{"closID":"gold"}"#).must_exist);
    assert!(!planned(r#"{"closID":"gold","schemata":["L3:0=f"]}"#).must_exist);
    assert!(!planned(r#"{"closID":"gold","memBwSchema":"MB:0=20"}"#).must_exist);
}

#[test]
fn a_slash_is_the_root_group() {
    assert_eq!(planned(r#"{"closID":"/"}"#).group, "");
}

#[test]
fn the_two_schemas_are_combined_and_the_lines_come_last() {
    let plan = planned(
        r#"{"l3CacheSchema":"L3:0=f;1=f0\nMB:0=90","memBwSchema":"MB:0=20;1=70","schemata":["L2:0=f","MB:0=50"]}"#,
    );
    assert_eq!(plan.schema, "L3:0=f;1=f0\nMB:0=20;1=70\n");
    assert_eq!(plan.schemata, "L2:0=f\nMB:0=50\n");
    let alone = planned(r#"{"l3CacheSchema":"L3:0=f\nMB:0=90"}"#);
    assert_eq!(alone.schema, "L3:0=f\nMB:0=90\n");
}

#[test]
fn monitoring_is_by_container() {
    let plan = planned(r#"{"closID":"gold","enableMonitoring":true}"#);
    assert_eq!(plan.monitor.as_deref(), Some("web1"));
}

#[test]
fn schemata_compare_by_meaning() {
    let file = "    MB:0= 20;1=100\n    L3:0=00f;1=7ff\nL3CODE:0=f\n";
    for same in [
        "",
        "L3:0=f;1=7ff\n",
        "L3:1=7FF\n",
        "L3:0=0xf",
        "MB:0=20\nL3:0=f\n",
        "MB:1=100;",
    ] {
        assert_eq!(contradicted(same, file), None, "{same:?}");
    }
    for other in [
        "L3:0=e\n",
        "L3:2=f\n",
        "MB:0=32\n",
        "L2:0=f\n",
        "L3:0\n",
        "L3:0=x\n",
        "word\n",
    ] {
        assert_eq!(contradicted(other, file), Some(other.trim()), "{other:?}");
    }
}

#[test]
fn an_update_changes_what_is_given() {
    let present = IntelRdt {
        l3_cache_schema: "L3:0=f".into(),
        ..IntelRdt::default()
    };
    let (lines, updated) = plan_update(&present, None, Some("MB:0=20")).unwrap();
    assert_eq!(lines, "MB:0=20\n");
    assert_eq!(updated.l3_cache_schema, "L3:0=f");
    assert_eq!(updated.mem_bw_schema, "MB:0=20");
    assert!(plan_update(&present, None, Some("20")).is_err());
}
