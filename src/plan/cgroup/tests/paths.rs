//! Where the container's directories are.

use super::*;

fn paths(host: &Host, wish: &str) -> Vec<String> {
    let linux = format!(r#"{{"cgroupsPath":"{wish}"}}"#);
    let plan = plan_on(host, &linux).expect("plan");
    plan.directories.into_iter().map(|d| d.path).collect()
}

#[test]
fn absolute_paths_are_below_the_mount_point() {
    assert!(
        paths(&hybrid(), "/docker/abc")
            .iter()
            .all(|p| p == "docker/abc")
    );
    assert_eq!(
        paths(&v2(), "/kubepods/pod1/../pod2//c"),
        ["kubepods/pod2/c"]
    );
}

#[test]
fn nothing_leaves_the_mount_point() {
    assert_eq!(paths(&v2(), "/../../etc"), ["etc"]);
    assert_eq!(paths(&v2(), "../../../etc"), ["etc"]);
    assert_eq!(paths(&v2(), "/.."), [""]);
}

#[test]
fn relative_paths_and_the_default_start_at_the_callers_cgroup() {
    let mut host = hybrid();
    host.own_cgroups = vec![
        ("memory".into(), "/job/1".into()),
        (String::new(), "/u".into()),
    ];
    let own = paths(&host, "");
    assert_eq!(
        (own[0].as_str(), own[2].as_str(), own[10].as_str()),
        ("web", "job/1/web", "u/web")
    );
    assert_eq!(paths(&host, "a/../b")[2], "job/1/b");
    let mut host = v2();
    host.own_cgroups = vec![(String::new(), "/user.slice/session.scope".into())];
    assert_eq!(paths(&host, ""), ["user.slice/web"]);
}

#[test]
fn every_hierarchy_gets_a_directory_even_without_limits() {
    assert_eq!(paths(&hybrid(), "").len(), 11);
}

#[test]
fn names_that_no_cgroup_can_have_are_refused() {
    let error = plan_on(&v2(), r#"{"cgroupsPath":"/a\nb"}"#).expect_err("newline");
    assert!(
        error.to_string().starts_with("linux.cgroupsPath"),
        "{error}"
    );
}

#[test]
fn a_disabled_manager_plans_nothing() {
    let options = Options {
        cgroup_manager: CgroupManager::Disabled,
        ..Options::default()
    };
    let plan = plan_cgroup(&spec("{}"), &v2(), &options).expect("plan");
    assert_eq!(plan, CgroupPlan::default());
}

#[test]
fn rootless_directories_are_optional_and_have_no_device_rules() {
    for mut host in [v2(), hybrid()] {
        host.in_initial_userns = false;
        let plan = plan_on(&host, "{}").expect("plan");
        assert!(
            plan.directories
                .iter()
                .all(|d| d.optional && d.device_program.is_none())
        );
        assert!(
            plan.directories.iter().all(|d| d.writes.is_empty()),
            "{plan}"
        );
    }
}

#[test]
fn the_cgroup_belongs_to_the_containers_user_where_it_may_write_it() {
    let config = |options: &str| {
        let json = format!(
            r#"{{"process":{{"user":{{"uid":5}}}},
                "mounts":[{{"destination":"/sys/fs/cgroup","type":"cgroup","options":[{options}]}}],
                "linux":{{"namespaces":[{{"type":"user"}},{{"type":"cgroup"}}],
                "uidMappings":[{{"containerID":0,"hostID":100000,"size":10}}]}}}}"#
        );
        let spec = Spec::parse(json.as_bytes()).expect("spec");
        plan_cgroup(
            &spec,
            &v2(),
            &Options {
                id: "c".into(),
                ..Options::default()
            },
        )
        .expect("plan")
    };
    assert_eq!(config("\"nosuid\"").directories[0].owner, Some(100_005));
    assert_eq!(config("\"ro\"").directories[0].owner, None);
}

#[test]
fn ownership_goes_to_the_mapped_root_where_the_container_may_write() {
    let owner = |namespaces: &str, options: &str| {
        let json = format!(
            r#"{{"process":{{"user":{{"uid":5}}}},"mounts":[{{"destination":"/cg","type":"cgroup","options":[{options}]}}],
               "linux":{{"namespaces":[{namespaces}],"uidMappings":[{{"containerID":0,"hostID":100000,"size":10}}]}}}}"#
        );
        v2::delegate_to(&Spec::parse(json.as_bytes()).expect("spec"))
    };
    let both = r#"{"type":"user"},{"type":"cgroup"}"#;
    assert_eq!(owner(both, ""), Some(100_005));
    assert_eq!(owner(both, r#""ro""#), None);
    assert_eq!(owner(r#"{"type":"user"}"#, ""), None);
    assert_eq!(
        owner(r#"{"type":"user"},{"type":"cgroup","path":"/x"}"#, ""),
        None
    );
}
