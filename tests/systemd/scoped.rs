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

    /// Demands it now, and again when systemd has read its units anew.
    pub fn outlives_a_reload(&self, demand: impl Fn()) {
        demand();
        self.reload();
        demand();
    }

    /// Demands these properties, all asked for at once: `systemctl` is slow to start on an emulated machine.
    #[track_caller]
    pub fn has_properties(&self, rows: &[(&str, &str)]) {
        let asked = rows.iter().flat_map(|(name, _)| ["-p", *name]);
        let words: Vec<&str> = ["systemctl", "show"].into_iter().chain(asked).collect();
        let shown = self.t.program(&[&words[..], &[&self.unit]].concat());
        let shown = shown.output().text();
        for (name, wanted) in rows {
            let line = format!("{name}={wanted}");
            assert!(
                shown.lines().any(|shown| shown == line),
                "no {line}:\n{shown}"
            );
        }
    }

    #[track_caller]
    pub fn update(&self, flags: &str) {
        let words = ["update"].into_iter().chain(flags.split(' '));
        let words: Vec<&str> = words.chain([self.id.as_str()]).collect();
        self.runtime(&words).silent();
    }

    /// Freezes it, looks with `is_frozen`, thaws, kills and deletes it; systemd knows nothing of it any more.
    #[track_caller]
    pub fn is_paused_killed_and_gone(&self, is_frozen: impl Fn() -> bool) {
        self.runtime(&["pause", &self.id]).silent();
        assert!(is_frozen());
        self.runtime(&["resume", &self.id]).silent();
        self.runtime(&["kill", &self.id, "KILL"]).silent();
        sandbox::wait_for("the end", || {
            let state = self.runtime(&["state", &self.id]);
            state.text().contains("stopped")
        });
        self.runtime(&["delete", &self.id]).silent();
        assert_eq!(self.shows("LoadState"), "not-found");
    }
}

/// Limits of every controller that systemd has words for.
pub fn limits(bundle: Bundle) -> Bundle {
    bundle
        .set(
            "/linux/resources/memory",
            json!({"limit": 64 << 20, "reservation": 32 << 20, "swap": 96 << 20}),
        )
        .set(
            "/linux/resources/cpu",
            json!({"shares": 2048, "quota": 50_000, "period": 100_000, "cpus": "1", "mems": "0"}),
        )
        .set("/linux/resources/pids", json!({"limit": 42}))
}

/// A container that may open the kernel's log and no other device beside the default ones: that holds, also when
/// systemd has read its units anew.
pub fn with_device_rules(t: &Sandbox) -> Scoped<'_> {
    let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm"}]);
    let bundle = t
        .bundle()
        .mount("/tmp", "tmpfs", "tmpfs", &[])
        .capabilities(&["CAP_MKNOD", "CAP_SYSLOG"])
        .set("/linux/resources/devices", rules);
    let scope = scoped(t, bundle);
    scope.outlives_a_reload(|| {
        scope.sh(ALLOWED_DEVICE).ok();
        scope.sh("mknod /tmp/m c 1 1 && exec 3</tmp/m").fails();
        scope.sh("head -c 1 /dev/zero >/dev/null").ok();
    });
    scope
}

/// Opens the kernel's log by a node of its own.
pub const ALLOWED_DEVICE: &str = "rm -f /tmp/k; mknod /tmp/k c 1 11 && exec 3</tmp/k";

/// What `run` says of a container of 16 MiB that uses more.
pub fn runs_out_of_memory(t: &Sandbox, memory: Value) -> Output {
    let bundle = t
        .bundle()
        .args(&["/bin/tail", "/dev/zero"])
        .set(
            "/linux/cgroupsPath",
            json!(format!("system.slice:clt:{}", t.new_id())),
        )
        .set("/linux/resources/memory", memory);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let output = t
        .runtime(&[DRIVER, "run", "--bundle", &path, &t.new_id()])
        .output();
    assert_eq!(output.code(), 137, "{output}");
    for part in ["out of memory", "limit 16777216 bytes"] {
        assert!(output.stderr.contains(part), "no {part:?}: {output}");
    }
    output
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
