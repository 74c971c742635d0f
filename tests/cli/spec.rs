//! `spec`: a configuration that runs as it is.

use std::fs;

use crate::support::{Sandbox, Value, cases, json};

cases![
    writes_the_default,
    writes_into_the_bundle,
    refuses_to_overwrite,
    writes_a_rootless_one,
    writes_something_that_runs
];

fn written(t: &Sandbox, arguments: &[&str]) -> Value {
    let directory = t.new_path("spec");
    fs::create_dir(&directory).expect("create a directory");
    let all: Vec<&str> = ["spec"].iter().chain(arguments).copied().collect();
    t.runtime_without_root(&all)
        .cwd(&directory)
        .output()
        .silent();
    serde_json::from_str(&crate::support::sandbox::read(
        directory.join("config.json"),
    ))
    .expect("JSON")
}

fn destinations(config: &Value) -> Vec<String> {
    let mounts = config["mounts"].as_array().cloned().unwrap_or_default();
    mounts
        .iter()
        .map(|mount| mount["destination"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn writes_the_default(t: &Sandbox) {
    let config = written(t, &[]);
    assert_eq!(config["process"]["terminal"], json!(true));
    assert_eq!(config["process"]["args"], json!(["sh"]));
    assert_eq!(config["process"]["noNewPrivileges"], json!(true));
    assert_eq!(config["root"], json!({"path": "rootfs", "readonly": true}));
    assert_eq!(
        destinations(&config),
        [
            "/proc",
            "/dev",
            "/dev/pts",
            "/dev/shm",
            "/dev/mqueue",
            "/sys",
            "/sys/fs/cgroup"
        ]
    );
    let namespaces: Vec<&Value> = config["linux"]["namespaces"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| &entry["type"])
        .collect();
    for kind in ["pid", "network", "ipc", "uts", "mount"] {
        assert!(namespaces.contains(&&json!(kind)), "{namespaces:?}");
    }
    let masked = config["linux"]["maskedPaths"].as_array().expect("a list");
    for path in ["/proc/kcore", "/proc/keys", "/sys/firmware"] {
        assert!(masked.contains(&json!(path)), "{masked:?}");
    }
    let read_only = config["linux"]["readonlyPaths"].as_array().expect("a list");
    assert!(
        read_only.contains(&json!("/proc/sys"))
            && read_only.contains(&json!("/proc/sysrq-trigger")),
        "{read_only:?}"
    );
}

fn writes_into_the_bundle(t: &Sandbox) {
    for flag in ["--bundle", "-b"] {
        let directory = t.new_path("bundle");
        fs::create_dir(&directory).expect("create a directory");
        t.runtime_without_root(&["spec", flag, &directory.to_string_lossy()])
            .output()
            .ok();
        assert!(directory.join("config.json").exists());
    }
}

fn refuses_to_overwrite(t: &Sandbox) {
    fs::write(t.path.join("config.json"), "mine").expect("write a file");
    t.runtime_without_root(&["spec"])
        .cwd(&t.path)
        .output()
        .fails_with(&["config.json", "exists"]);
    assert_eq!(
        crate::support::sandbox::read(t.path.join("config.json")),
        "mine"
    );
}

fn writes_a_rootless_one(t: &Sandbox) {
    let config = written(t, &["--rootless"]);
    assert!(
        config["linux"]["namespaces"]
            .as_array()
            .is_some_and(|list| list.contains(&json!({"type": "user"}))),
        "{config}"
    );
    assert_eq!(config["linux"]["uidMappings"][0]["containerID"], json!(0));
    assert_eq!(config["linux"]["uidMappings"][0]["size"], json!(1));
    assert!(
        !config["linux"]["namespaces"]
            .to_string()
            .contains("network"),
        "{config}"
    );
}

fn writes_something_that_runs(t: &Sandbox) {
    let mut bundle = t.bundle();
    let cgroup = bundle.cgroups_path().to_owned();
    bundle.config = written(t, &[]);
    let bundle = bundle
        .set("/process/terminal", json!(false))
        .set("/linux/cgroupsPath", json!(cgroup));
    assert_eq!(t.sh(bundle, "echo works"), "works");
}
