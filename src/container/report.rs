//! What others are told of a container: the state JSON of `state`, `list` and hooks, with runc's keys and crun's.

use super::{Record, Status};
use crate::cgroup::{self, OomReport};
use crate::plan::Annotations;
use serde::Serialize;
use std::path::Path;

/// What `state` prints. SPEC(runtime.md#state) with what engines read besides.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: Status,
    bundle: &'a Path,
    rootfs: &'a Path,
    created: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Annotations>,
    owner: String,
    #[serde(rename = "systemd-scope", skip_serializing_if = "Option::is_none")]
    systemd_scope: Option<&'a str>,
    /// Why it may have ended.
    #[serde(rename = "outOfMemory", skip_serializing_if = "Option::is_none")]
    out_of_memory: Option<OomReport>,
}

impl<'a> Report<'a> {
    /// A record as the world sees it now. A stopped container has no process, so its pid is 0.
    pub fn new(record: &'a Record, status: Status) -> Self {
        Report {
            oci_version: &record.oci_version,
            id: &record.id,
            pid: if status.has_process() { record.pid } else { 0 },
            status,
            bundle: &record.bundle,
            rootfs: &record.rootfs,
            created: &record.created,
            annotations: (!record.annotations.is_empty()).then_some(&record.annotations),
            owner: user_name(record.owner),
            systemd_scope: record
                .cgroup
                .scope
                .as_ref()
                .map(|scope| scope.unit.as_str()),
            out_of_memory: (status == Status::Stopped)
                .then(|| cgroup::oom_report(&record.cgroup))
                .flatten(),
        }
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        self.id
    }

    /// For `list`'s table.
    pub fn row(&self) -> [String; 6] {
        [
            self.id.to_owned(),
            self.pid.to_string(),
            self.status.to_string(),
            self.bundle.display().to_string(),
            self.created.to_owned(),
            self.owner.clone(),
        ]
    }
}

/// What a hook reads on its stdin: one JSON object, the specification's fields only.
///
/// `pid` is init's as the hook sees it: a hook in the container's namespaces has another view than the runtime.
pub fn hook_state(record: &Record, status: Status, pid: i32) -> Vec<u8> {
    let mut state = serde_json::json!({
        "ociVersion": record.oci_version,
        "id": record.id,
        "status": status.as_str(),
        "pid": pid,
        "bundle": record.bundle.to_string_lossy(),
    });
    if !record.annotations.is_empty() {
        state["annotations"] = serde_json::json!(record.annotations);
    }
    state.to_string().into_bytes()
}

/// The login name of `uid` on the host; COMPAT(runc): `#1000` where /etc/passwd has none.
///
/// Read here rather than by getpwuid(3), which a static binary must not call: it loads name service modules.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).map_or_else(|| format!("#{uid}"), str::to_owned)
}

fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found = fields.nth(1)?.parse::<u32>().ok()?;
        (found == uid && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_container_has_no_pid() {
        let record = Record {
            oci_version: "1.3.0".into(),
            id: "web1".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            pid: 42,
            ..Record::default()
        };
        let json = serde_json::to_value(Report::new(&record, Status::Stopped)).unwrap();
        assert_eq!(json["pid"], 0);
        assert_eq!(json["status"], "stopped");
        assert_eq!(json["owner"], "root");
        assert!(json.get("annotations").is_none() && json.get("systemd-scope").is_none());
        let json = serde_json::to_value(Report::new(&record, Status::Running)).unwrap();
        assert_eq!(json["pid"], 42);
    }

    #[test]
    fn passwd_is_read_by_uid() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nme:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000), Some("me"));
        assert_eq!(name_in(passwd, 7), None);
    }

    #[test]
    fn hooks_get_the_specification_fields() {
        let mut record = Record {
            id: "web1".into(),
            ..Record::default()
        };
        record.annotations.insert("a".into(), "b".into());
        let state: serde_json::Value =
            serde_json::from_slice(&hook_state(&record, Status::Creating, 7)).unwrap();
        assert_eq!(state["annotations"]["a"], "b");
        assert_eq!(state["status"], "creating");
        assert_eq!(state["pid"], 7);
    }
}
