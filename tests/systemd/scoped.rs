//! A container made with the systemd driver, as root, and what systemd says of its scope.

use std::path::{Path, PathBuf};

use crate::support::{Bundle, Output, Sandbox, Value, json, sandbox};

/// The flag that all commands of these containers get.
pub const DRIVER: &str = "--systemd-cgroup";

/// One that runs.
pub struct Scoped<'t> {
    pub t: &'t Sandbox,
    pub id: String,
    pub unit: String,
}

impl Scoped<'_> {
    #[track_caller]
    pub fn runtime(&self, words: &[&str]) -> Output {
        self.t.runtime(&[&[DRIVER], words].concat()).output()
    }

    #[track_caller]
    pub fn shows(&self, property: &str) -> String {
        let words = ["systemctl", "show", "--value", "-p", property, &self.unit];
        self.t.program(&words).output().text()
    }

    #[track_caller]
    pub fn pid(&self) -> i64 {
        let state: Value =
            serde_json::from_str(&self.runtime(&["state", &self.id]).text()).expect("JSON");
        state["pid"].as_i64().expect("a pid")
    }

    pub fn directory(&self) -> PathBuf {
        let text = sandbox::read(format!("/proc/{}/cgroup", self.pid()));
        Path::new("/sys/fs/cgroup").join(text.trim().trim_start_matches("0::/"))
    }

    #[track_caller]
    pub fn value(&self, file: &str) -> String {
        sandbox::read(self.directory().join(file))
            .trim_end()
            .to_owned()
    }

    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.runtime(&["exec", &self.id, "/bin/sh", "-c", script])
    }

    pub fn reload(&self) {
        self.t
            .program(&["systemctl", "daemon-reload"])
            .output()
            .ok();
    }
}

/// The bundle's container, idling in a scope of system.slice.
pub fn scoped<'t>(t: &'t Sandbox, bundle: Bundle) -> Scoped<'t> {
    let id = t.new_id();
    let bundle = bundle.idle().set(
        "/linux/cgroupsPath",
        json!(format!("system.slice:clt:{id}")),
    );
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    t.runtime(&[DRIVER, "run", "-d", "--bundle", &path, &id])
        .output()
        .silent();
    let unit = format!("clt-{id}.scope");
    Scoped { t, id, unit }
}
