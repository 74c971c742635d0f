//! Golden facts about the specifications that images become.

use super::*;
use crate::runtime::Capabilities;

fn image(execution: serde_json::Value) -> ImageConfig {
    let document = serde_json::json!({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": execution, "rootfs": {"type": "layers", "diff_ids": []}});
    ImageConfig::parse(document.to_string().as_bytes()).expect("parses")
}

fn files() -> UserFiles {
    UserFiles {
        passwd: b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv/web:/bin/sh\n".to_vec(),
        group: b"web:x:34:\n".to_vec(),
    }
}

fn made(execution: serde_json::Value, options: &RunOptions) -> Bundle {
    bundle(&image(execution), options, &files()).expect("is made")
}

fn process(execution: serde_json::Value, options: &RunOptions) -> Process {
    made(execution, options)
        .spec
        .process
        .expect("has a process")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn entrypoint_and_command() {
    let both = || serde_json::json!({"Entrypoint": ["/entry", "-x"], "Cmd": ["serve"]});
    let args = |options: &RunOptions| process(both(), options).args;
    let command = words("shell now");
    let options = RunOptions::default;
    assert_eq!(args(&options()), words("/entry -x serve"));
    assert_eq!(
        args(&RunOptions {
            command: command.clone(),
            ..options()
        }),
        words("/entry -x shell now")
    );
    let entrypoint = Some(words("/other"));
    assert_eq!(
        args(&RunOptions {
            entrypoint: entrypoint.clone(),
            ..options()
        }),
        words("/other")
    );
    assert_eq!(
        args(&RunOptions {
            entrypoint,
            command,
            ..options()
        }),
        words("/other shell now")
    );
    let init = Some("/usr/libexec/init".to_owned());
    assert_eq!(
        args(&RunOptions { init, ..options() }),
        words("/dev/init -- /entry -x serve")
    );
    let error =
        bundle(&image(serde_json::json!({})), &options(), &files()).expect_err("nothing to run");
    assert!(error.advice().is_some());
}

#[test]
fn environment_in_order() {
    let execution = serde_json::json!({"Cmd": ["x"], "Env": ["PATH=/opt/bin", "A=1", "broken", "=x"], "User": "web"});
    let options = RunOptions {
        env: vec!["A=2".into(), "B=a=b".into()],
        hostname: "web1".into(),
        terminal: true,
        ..RunOptions::default()
    };
    let env = process(execution, &options).env;
    assert_eq!(
        env,
        [
            "PATH=/opt/bin",
            "HOSTNAME=web1",
            "TERM=xterm",
            "HOME=/srv/web",
            "A=2",
            "B=a=b"
        ]
    );
}

#[test]
fn user_and_working_directory() {
    let execution = serde_json::json!({"Cmd": ["x"], "User": "web", "WorkingDir": "srv/../app/./x/", "Volumes": {"/data": {}, "b/../../c": {}}});
    let made = made(execution, &RunOptions::default());
    assert_eq!(made.directories, ["/app/x", "/c", "/data"]);
    let process = made.spec.process.expect("has a process");
    assert_eq!(
        (process.user.uid, process.user.gid, process.cwd.as_str()),
        (33, 34, "/app/x")
    );
    let Capabilities {
        bounding,
        effective,
        permitted,
        ..
    } = process.capabilities.expect("has sets");
    assert_eq!(
        (bounding.len(), effective.len(), permitted.len()),
        (14, 0, 0)
    );
}

#[test]
fn capabilities_added_and_dropped() {
    let bounding = |add: &[&str], drop: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let options = RunOptions {
            cap_add: list(add),
            cap_drop: list(drop),
            ..RunOptions::default()
        };
        process(serde_json::json!({"Cmd": ["x"]}), &options)
            .capabilities
            .expect("has sets")
            .bounding
    };
    assert_eq!(bounding(&["net_admin"], &[]).len(), 15);
    assert_eq!(bounding(&[], &["all"]), [""; 0]);
    assert_eq!(
        bounding(&["CHOWN", "CAP_SYS_TIME"], &["ALL"]),
        ["CAP_CHOWN", "CAP_SYS_TIME"]
    );
    assert_eq!(bounding(&["ALL"], &["cap_bpf"]).len(), 40);
    let options = RunOptions {
        cap_add: vec!["FLY".into()],
        ..RunOptions::default()
    };
    assert!(
        bundle(
            &image(serde_json::json!({"Cmd": ["x"]})),
            &options,
            &files()
        )
        .is_err()
    );
}

#[test]
fn labels_never_steer() {
    let execution = serde_json::json!({"Cmd": ["x"], "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Labels": {"run.oci.hooks.stderr": "/x", "Run.OCI.keep_original_groups": "1", "org.systemd.property.X": "1",
            "org.criu.config": "/x", "krun.cpus": "4", "io.kubernetes.cri": "1", "bundle": "/x", "module.wasm.image": "1",
            "maintainer": "me", "org.opencontainers.image.created": "by the label"}});
    let options = RunOptions {
        annotations: [("run.oci.handler".to_owned(), "krun".to_owned())].into(),
        ..RunOptions::default()
    };
    let annotations = made(execution, &options).spec.annotations;
    let prefix = "org.opencontainers.image.";
    let expected = [
        ("maintainer".to_owned(), "me"),
        (format!("{prefix}architecture"), "amd64"),
        (format!("{prefix}created"), "by the label"),
        (format!("{prefix}exposedPorts"), "443/tcp,80/tcp"),
        (format!("{prefix}os"), "linux"),
        (format!("{prefix}stopSignal"), "SIGINT"),
        // The user may.
        ("run.oci.handler".to_owned(), "krun"),
    ];
    assert_eq!(
        annotations,
        expected
            .map(|(name, value)| (name, value.to_owned()))
            .into()
    );
}

#[test]
fn networks() {
    let linux = |network: Network| {
        let options = RunOptions {
            network,
            ..RunOptions::default()
        };
        made(serde_json::json!({"Cmd": ["x"]}), &options)
            .spec
            .linux
            .expect("has linux")
    };
    let kinds = |linux: &Linux| {
        linux
            .namespaces
            .iter()
            .map(|n| format!("{}{}", n.kind, n.path))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(&linux(Network::None)),
        ["pid", "ipc", "uts", "mount", "cgroup", "network"]
    );
    assert_eq!(
        kinds(&linux(Network::Host)),
        ["pid", "ipc", "uts", "mount", "cgroup"]
    );
    assert!(linux(Network::Host).sysctl.is_empty());
    assert!(
        kinds(&linux(Network::Path("/run/netns/a".into())))
            .contains(&"network/run/netns/a".to_owned())
    );
}

#[test]
fn limits_and_mounts() {
    let options = RunOptions {
        limits: Limits {
            memory_bytes: Some(notation::bytes("256m").expect("parses")),
            cpus_thousandths: Some(notation::cpus("1.5").expect("parses")),
            pids: Some(100),
            ..Limits::default()
        },
        mounts: vec![
            notation::volume("/srv:/data:ro").expect("parses"),
            notation::tmpfs("/dev/shm:size=1g").expect("parses"),
        ],
        etc: EtcFiles {
            hosts: Some("/state/hosts".into()),
            ..EtcFiles::default()
        },
        ..RunOptions::default()
    };
    let spec = made(serde_json::json!({"Cmd": ["x"]}), &options).spec;
    let resources = spec
        .linux
        .expect("has linux")
        .resources
        .expect("has limits");
    assert_eq!(resources.memory.expect("is limited").limit, Some(256 << 20));
    let cpu = resources.cpu.expect("is limited");
    assert_eq!((cpu.quota, cpu.period), (Some(150_000), Some(100_000)));
    let at = |path: &str| {
        spec.mounts
            .iter()
            .filter(|m| m.destination == path)
            .collect::<Vec<_>>()
    };
    assert_eq!(at("/dev/shm").len(), 1);
    assert_eq!(
        at("/dev/shm")[0].options,
        ["noexec", "nosuid", "nodev", "size=1g"]
    );
    assert_eq!(at("/data")[0].options, ["rbind", "ro", "rprivate"]);
    assert_eq!(at("/etc/hosts")[0].source, "/state/hosts");
}

#[test]
fn the_default_filter() {
    let profile = |capabilities: &[&str]| {
        let names: Vec<String> = capabilities.iter().map(|name| (*name).to_owned()).collect();
        seccomp::default_profile(&names)
    };
    let allowed = |profile: &crate::runtime::Seccomp, name: &str| {
        let mut rules = profile
            .syscalls
            .iter()
            .filter(|rule| rule.names.iter().any(|n| n == name));
        rules.any(|rule| rule.action == "SCMP_ACT_ALLOW" && rule.args.is_empty())
    };
    let plain = profile(&defaults::CAPABILITIES);
    for name in [
        "read",
        "openat2",
        "clone",
        "futex_waitv",
        "chroot",
        "landlock_create_ruleset",
        "fchmodat2",
        "statx",
    ] {
        assert_eq!(allowed(&plain, name), name != "clone", "{name}");
    }
    for name in [
        "mount",
        "bpf",
        "keyctl",
        "add_key",
        "io_uring_setup",
        "userfaultfd",
        "kexec_load",
        "unshare",
        "setns",
        "reboot",
        "ptrace_",
    ] {
        assert!(!allowed(&plain, name), "{name}");
    }
    let admin = profile(&["CAP_SYS_ADMIN"]);
    for name in ["mount", "bpf", "unshare", "clone", "clone3", "statmount"] {
        assert!(allowed(&admin, name), "{name}");
    }
    assert!(!allowed(&admin, "chroot"));
}

#[test]
fn strings_of_the_command_line() {
    use notation::*;
    assert_eq!(bytes("1.5k").expect("parses"), 1536);
    assert_eq!(bytes("2GiB").expect("parses"), 2 << 30);
    assert_eq!(bytes("-1").expect("parses"), -1);
    for bad in ["", "x", "-5", "1q", "99999999999999999999g", "nan", "inf"] {
        assert!(bytes(bad).is_err(), "{bad}");
    }
    for bad in ["", "0", "-1", "nan", "x"] {
        assert!(cpus(bad).is_err(), "{bad}");
    }
    let limit = ulimit("nofile=1024:unlimited").expect("parses");
    assert_eq!(
        (limit.kind.as_str(), limit.soft, limit.hard),
        ("RLIMIT_NOFILE", 1024, u64::MAX)
    );
    for bad in ["nofile", "x=1", "nofile=2:1", "nofile=a"] {
        assert!(ulimit(bad).is_err(), "{bad}");
    }
    for bad in ["a:/b", "/a", "/a:b", "/a:/b:fast", "/a:/b:ro:x"] {
        assert!(volume(bad).is_err(), "{bad}");
    }
    assert_eq!(volume("/a:/b/../c").expect("parses").destination, "/c");
    let bind = mount_option("type=bind,src=/a,dst=/b,readonly").expect("parses");
    assert_eq!(bind.options, ["rbind", "ro", "rprivate"]);
    assert!(mount_option("type=volume,dst=/b").is_err());
    assert_eq!(device("/dev/fuse:rw").expect("parses").access, "rw");
    assert_eq!(
        device("/dev/a:/dev/b").expect("parses").destination,
        "/dev/b"
    );
    assert!(device("fuse").is_err());
    let mut security = Security::default();
    let none = |_: &str| -> Result<Vec<u8>> { panic!("reads nothing") };
    security_opt("no-new-privileges", &mut security, none).expect("is known");
    security_opt("seccomp=unconfined", &mut security, none).expect("is known");
    assert!(security.no_new_privileges && security.seccomp == SeccompChoice::Unconfined);
    security_opt("seccomp=/p.json", &mut security, |_| {
        Ok(br#"{"defaultAction":"SCMP_ACT_ALLOW"}"#.to_vec())
    })
    .expect("reads");
    assert!(matches!(security.seccomp, SeccompChoice::Profile(_)));
    assert!(security_opt("magic=1", &mut security, none).is_err());
}

#[test]
fn etc_files() {
    let text = "nameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a\n";
    assert_eq!(
        etc::resolv_conf(text, false),
        "nameserver 10.0.0.1\nsearch a\n"
    );
    assert_eq!(etc::resolv_conf(text, true), text);
    assert!(etc::hosts("web1").contains("127.0.1.1\tweb1\n"));
}
