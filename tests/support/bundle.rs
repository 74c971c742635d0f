//! A bundle: a directory with a root file system and a `config.json` that a test patches.
//!
//! The start is what `runc spec` writes, without a terminal, with a cgroup path of the sandbox's own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::rootfs;

/// A bundle being described. Methods take and give it, so that a case reads as one expression.
#[derive(Clone)]
pub struct Bundle {
    pub path: PathBuf,
    pub config: Value,
}

impl Bundle {
    /// A bundle with a fresh busybox and the default configuration.
    pub fn new(path: &Path, cgroups_path: &str) -> Self {
        rootfs::make(&path.join("rootfs"));
        Bundle {
            path: path.to_owned(),
            config: default_config(cgroups_path),
        }
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Sets a value by JSON pointer, making the objects on the way.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.config;
        for key in pointer.trim_start_matches('/').split('/') {
            place = match place {
                Value::Array(list) => {
                    &mut list[key.parse::<usize>().expect("an index into a list")]
                }
                _ => &mut place[key],
            };
        }
        *place = value;
        self
    }

    /// Sets these members of `linux.resources`.
    pub fn resources(mut self, resources: Value) -> Self {
        for (name, value) in resources.as_object().cloned().unwrap_or_default() {
            self = self.set(&format!("/linux/resources/{name}"), value);
        }
        self
    }

    /// Appends to a list by JSON pointer, making it where it is missing.
    pub fn push(mut self, pointer: &str, value: Value) -> Self {
        match self.config.pointer_mut(pointer) {
            Some(Value::Array(list)) => list.push(value),
            _ => return self.set(pointer, json!([value])),
        }
        self
    }

    /// Removes a key by JSON pointer.
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer has a slash");
        if let Some(Value::Object(object)) = self.config.pointer_mut(parent) {
            object.remove(key);
        }
        self
    }

    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", json!(args))
    }

    /// Lets the container run a shell script.
    pub fn shell(self, script: &str) -> Self {
        self.args(&["/bin/sh", "-c", script])
    }

    /// Lets the container do nothing until it is killed.
    pub fn idle(self) -> Self {
        self.args(&["/bin/sleep", "100000"])
    }

    pub fn writable(self) -> Self {
        self.set("/root/readonly", json!(false))
    }

    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Removes the mounts at and below a destination.
    pub fn without_mount(mut self, destination: &str) -> Self {
        if let Some(Value::Array(mounts)) = self.config.get_mut("mounts") {
            let below = format!("{destination}/");
            mounts.retain(|mount| {
                let place = mount["destination"].as_str().unwrap_or_default();
                place != destination && !place.starts_with(&below)
            });
        }
        self
    }

    pub fn without_namespace(mut self, kind: &str) -> Self {
        if let Some(Value::Array(namespaces)) = self.config.pointer_mut("/linux/namespaces") {
            namespaces.retain(|namespace| namespace["type"] != kind);
        }
        self
    }

    /// Replaces the namespace of this kind by a new one.
    pub fn namespace(self, kind: &str) -> Self {
        self.without_namespace(kind)
            .push("/linux/namespaces", json!({"type": kind}))
    }

    /// Replaces the namespace of this kind by an existing one.
    pub fn namespace_at(self, kind: &str, path: &str) -> Self {
        self.without_namespace(kind)
            .push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Gives the container a user namespace in which its root is `host_id`, and its files to that root.
    pub fn user_namespace(self, host_id: u32, size: u32) -> Self {
        chown_tree(&self.rootfs(), host_id);
        let mapping = json!([{"containerID": 0, "hostID": host_id, "size": size}]);
        self.namespace("user")
            .set("/linux/uidMappings", mapping.clone())
            .set("/linux/gidMappings", mapping)
    }

    /// Sets the five capability sets to the same names.
    pub fn capabilities(self, names: &[&str]) -> Self {
        self.set(
            "/process/capabilities",
            json!({"bounding": names, "effective": names, "permitted": names, "inheritable": names, "ambient": names}),
        )
    }

    pub fn hook(self, kind: &str, hook: Value) -> Self {
        self.push(&format!("/hooks/{kind}"), hook)
    }

    pub fn cgroups_path(&self) -> &str {
        self.config["linux"]["cgroupsPath"]
            .as_str()
            .unwrap_or_default()
    }

    /// Writes `config.json`.
    pub fn write(&self) -> &Self {
        fs::write(self.path.join("config.json"), self.config.to_string())
            .expect("write config.json");
        self
    }
}

/// Gives the files of a tree to another user; busybox itself is shared with other trees and stays.
pub fn chown_tree(path: &Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).expect("chown the root file system");
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten() {
        let kind = entry
            .file_type()
            .expect("stat a file of the root file system");
        if kind.is_dir() {
            chown_tree(&entry.path(), id);
        } else if entry.file_name() != "busybox" {
            std::os::unix::fs::lchown(entry.path(), Some(id), Some(id)).expect("chown a file");
        }
    }
}

/// The version to write: the newest, and the only one that Debian's crun takes for that runtime.
pub fn oci_version() -> &'static str {
    if super::runtime::name() == "crun" {
        "1.0.2"
    } else {
        "1.3.0"
    }
}

/// What `runc spec` writes, with our own cgroup path and no terminal.
pub fn default_config(cgroups_path: &str) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": oci_version(),
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "box",
        "mounts": default_mounts(),
        "linux": {
            "cgroupsPath": cgroups_path,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}

fn default_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
    ])
}
