//! Intel's resource control of a container: its group in the `resctrl` file system. SPEC(config-linux.md#intelrdt)
//!
//! Executes an [`IntelRdtPlan`] and remembers in an [`RdtRecord`] what it made, which is all that is ever removed. The
//! mount point is a parameter; only [`mount_point`] looks for it.

mod stats;

pub use stats::stats;

use super::status;
use crate::error::{Context, Error, Result};
use crate::plan::intel_rdt::{IntelRdtPlan, contradicted};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A container's groups, as its state file keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdtRecord {
    /// Where `resctrl` is mounted.
    pub mount: PathBuf,
    /// The group's directory below it; empty for the root group.
    pub group: String,
    /// Whether the group is the container's to remove.
    pub group_made: bool,
    /// The monitoring group below the group's `mon_groups`.
    pub monitor: Option<String>,
    /// Whether the monitoring group is the container's to remove.
    pub monitor_made: bool,
}

impl RdtRecord {
    fn group_path(&self) -> PathBuf {
        match self.group.as_str() {
            "" => self.mount.clone(),
            group => self.mount.join(group),
        }
    }

    fn monitor_path(&self) -> Option<PathBuf> {
        let monitor = self.monitor.as_ref()?;
        Some(self.group_path().join("mon_groups").join(monitor))
    }

    /// The kernel says in words why it refused the last write or directory.
    fn explain(&self, error: Error) -> Error {
        let status = fs::read_to_string(self.mount.join("info/last_cmd_status"));
        match status.unwrap_or_default().trim() {
            "" | "ok" => error,
            reason => error.hint(format!("resctrl says: {reason}")),
        }
    }

    fn write(&self, directory: &Path, file: &str, text: &str) -> Result<()> {
        let path = directory.join(file);
        fs::write(&path, text)
            .context(format_args!("write {text:?} to {}", path.display()))
            .map_err(|error| self.explain(error))
    }

    /// Whether the directory was missing and is ours now.
    fn make_directory(&self, path: &Path) -> Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => {
                let made = Error::io(format!("make group {}", path.display()), &error);
                Err(self.explain(made))
            }
        }
    }
}

/// Where `resctrl` is mounted in our mount namespace.
pub fn mount_point() -> Result<PathBuf> {
    let file = "/proc/self/mountinfo";
    let table = fs::read_to_string(file).context(format_args!("read {file}"))?;
    find_mount(&table).ok_or_else(|| {
        Error::new("linux.intelRdt: no resctrl file system is mounted")
            .hint("mount -t resctrl resctrl /sys/fs/resctrl; the processor and the kernel must support it")
    })
}

/// KERNEL: `ID PARENT MAJ:MIN ROOT MOUNT OPTIONS [TAG…] - TYPE SOURCE SUPER_OPTIONS`. One that shows a group only is
/// not what is wanted.
fn find_mount(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        let found = root == "/" && right.split(' ').next() == Some("resctrl");
        found.then(|| PathBuf::from(crate::host::unescape(mount)))
    })
}

/// What [`make`] will make; changes nothing, so it can be noted first.
pub fn survey(plan: &IntelRdtPlan, mount: PathBuf) -> Result<RdtRecord> {
    let mut record = RdtRecord {
        mount,
        group: plan.group.clone(),
        monitor: plan.monitor.clone(),
        ..RdtRecord::default()
    };
    let group = record.group_path();
    record.group_made = !group.is_dir();
    record.monitor_made = record.monitor_path().is_some_and(|path| !path.is_dir());
    if record.group_made && plan.must_exist {
        return Err(Error::new(format!(
            "linux.intelRdt.closID: {} does not exist",
            group.display()
        ))
        .hint("make the group before, or give the schemata of a new one"));
    }
    Ok(record)
}

/// Makes the groups that are missing and gives them their schemata. `record` follows what was really made.
pub fn make(plan: &IntelRdtPlan, record: &mut RdtRecord) -> Result<()> {
    let group = record.group_path();
    // Another container may have made the group since the survey.
    record.group_made = record.group_made && record.make_directory(&group)?;
    match record.group_made {
        true if plan.schema.is_empty() => {}
        true => record.write(&group, "schemata", &plan.schema)?,
        false => compare(&group, &plan.schema)?,
    }
    if !plan.schemata.is_empty() {
        record.write(&group, "schemata", &plan.schemata)?;
    }
    if let Some(monitor) = record.monitor_path() {
        record.monitor_made = record.make_directory(&monitor)?;
    }
    Ok(())
}

/// A group that others made is shared, so it must be what the container asks for.
fn compare(group: &Path, wanted: &str) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let file = group.join("schemata");
    let found = fs::read_to_string(&file).context(format_args!("read {}", file.display()))?;
    match contradicted(wanted, &found) {
        None => Ok(()),
        Some(line) => Err(Error::new(format!(
            "linux.intelRdt: the group exists and {} doesn't say {line:?}",
            file.display()
        ))
        .hint("use another closID, or leave the schemas out to take the group as it is")),
    }
}

/// Moves a process into the groups; those that it forks later follow by themselves.
pub fn admit(record: &RdtRecord, pid: i32) -> Result<()> {
    let text = pid.to_string();
    record.write(&record.group_path(), "tasks", &text)?;
    match record.monitor_path() {
        Some(monitor) => record.write(&monitor, "tasks", &text),
        None => Ok(()),
    }
}

/// Changes the group's schemata: `lines` as the file takes them.
pub fn update(record: &RdtRecord, lines: &str) -> Result<()> {
    record.write(&record.group_path(), "schemata", lines)
}

/// Removes what the container made, once its processes have ended. A group that others have joined stays.
pub fn remove(record: &RdtRecord) -> Result<()> {
    if let (true, Some(monitor)) = (record.monitor_made, record.monitor_path()) {
        remove_directory(&monitor)?;
    }
    let group = record.group_path();
    match record.group_made && !is_used(&group) {
        true => remove_directory(&group),
        false => Ok(()),
    }
}

fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(
            format!("remove group {}", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}

/// Whether a process that is not a zombie is in it: the kernel would move it to the root group without a word.
fn is_used(group: &Path) -> bool {
    let tasks = fs::read_to_string(group.join("tasks")).unwrap_or_default();
    let mut pids = tasks.lines().filter_map(|line| line.trim().parse().ok());
    pids.any(|pid| status::start_ticks(pid).is_ok_and(|ticks| status::is_alive(pid, ticks)))
}

#[cfg(test)]
mod tests;
