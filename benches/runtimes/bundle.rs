//! The bundles that the peers are given: one root file system, many configurations.
//!
//! The same bytes go to every OCI runtime. It must not know which runtimes
//! there are nor what is measured with a bundle.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a container is asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Workload {
    True,
    Sleep,
    First,
}

impl Workload {
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::True => &["/bin/true"],
            Self::Sleep => &["/bin/sleep", "3600"],
            Self::First => &["/bin/first"],
        }
    }
}

/// How its configuration differs from what `spec` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    Plain,
    /// Docker's default: seccomp, 20 mounts, masked paths, all limits.
    Docker,
    UserNamespace,
    /// Started by this user id without privileges, which is mapped to root.
    Rootless,
    MemoryLimit(u64),
}

/// The unprivileged user of the rootless measure.
pub const ROOTLESS_ID: u32 = 65534;

#[derive(Debug, Clone)]
pub struct Bundle {
    pub path: PathBuf,
    pub rootfs: PathBuf,
    pub workload: Workload,
}

/// A root file system of a static busybox and the harness's own workload.
pub fn make_rootfs(rootfs: &Path, busybox: &Path, first: &Path) -> Result<(), String> {
    for directory in ["bin", "proc", "dev", "sys", "tmp", "etc", "usr"] {
        make_directory(&rootfs.join(directory))?;
    }
    for index in 0..DOCKER_BINDS {
        make_directory(&rootfs.join(format!("data{index}")))?;
    }
    copy(busybox, &rootfs.join("bin/busybox"))?;
    copy(first, &rootfs.join("bin/first"))?;
    for name in ["true", "sleep", "sh"] {
        let link = rootfs.join("bin").join(name);
        symlink("busybox", &link).map_err(|error| format!("link {}: {error}", link.display()))?;
    }
    fs::write(rootfs.join("etc/os-release"), "ID=bench\n")
        .map_err(|error| format!("write etc/os-release: {error}"))
}

pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("copy {} to {}: {error}", from.display(), to.display()))
}

pub fn make_directory(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("mkdir {}: {error}", path.display()))
}

/// Writes the bundle into `bundles`; asked twice, it writes it once more.
pub fn make_bundle(
    bundles: &Path,
    rootfs: &Path,
    shape: Shape,
    workload: Workload,
) -> Result<Bundle, String> {
    let path = bundles.join(format!("{shape:?}-{workload:?}").replace(['(', ')'], "-"));
    make_directory(&path)?;
    let file = path.join("config.json");
    let config = configuration(rootfs, shape, workload);
    fs::write(&file, config.to_string())
        .map_err(|error| format!("write {}: {error}", file.display()))?;
    Ok(Bundle {
        path,
        rootfs: rootfs.to_owned(),
        workload,
    })
}

fn configuration(rootfs: &Path, shape: Shape, workload: Workload) -> Value {
    let mut config = plain(rootfs, workload);
    match shape {
        Shape::Plain => {}
        Shape::Docker => docker(&mut config, rootfs),
        Shape::UserNamespace => map_ids(&mut config, 100_000, 65_536),
        Shape::Rootless => {
            map_ids(&mut config, ROOTLESS_ID, 1);
            unprivileged(&mut config);
        }
        Shape::MemoryLimit(bytes) => {
            config["linux"]["resources"]["memory"] = json!({"limit": bytes});
        }
    }
    config
}

fn plain(rootfs: &Path, workload: Workload) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": workload.arguments(),
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": rootfs, "readonly": false},
        "hostname": "bench",
        "mounts": plain_mounts(),
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}

fn plain_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
    ])
}

/// With the seven of the default specification these make 20 mounts.
const DOCKER_BINDS: usize = 13;

fn docker(config: &mut Value, rootfs: &Path) {
    let source = rootfs.join("tmp");
    let mounts = config["mounts"].as_array_mut();
    mounts.into_iter().for_each(|mounts| {
        mounts.extend((0..DOCKER_BINDS).map(|index| {
            json!({"destination": format!("/data{index}"), "type": "bind", "source": source,
                   "options": ["rbind", "rprivate", if index % 2 == 0 { "ro" } else { "rw" }]})
        }));
    });
    config["linux"]["seccomp"] = crate::seccomp_profile::docker();
    config["linux"]["resources"] = json!({
        "devices": device_rules(),
        "memory": {"limit": 256 << 20, "reservation": 128 << 20, "swappiness": 10},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 512}
    });
    config["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024},
        {"type": "RLIMIT_NPROC", "hard": 512, "soft": 512},
        {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}
    ]);
}

fn device_rules() -> Value {
    let character = |major: u32, minor: u32| json!({"allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"});
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(
        [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)]
            .map(|(major, minor)| character(major, minor)),
    );
    Value::Array(rules)
}

fn map_ids(config: &mut Value, host: u32, size: u32) {
    let mapping = json!([{"containerID": 0, "hostID": host, "size": size}]);
    config["linux"]["uidMappings"] = mapping.clone();
    config["linux"]["gidMappings"] = mapping;
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.push(json!({"type": "user"}));
    }
}

/// What `spec --rootless` leaves out: cgroups, and the group of devpts.
fn unprivileged(config: &mut Value) {
    if let Some(linux) = config["linux"].as_object_mut() {
        linux.remove("resources");
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["type"] != "cgroup");
    }
}
