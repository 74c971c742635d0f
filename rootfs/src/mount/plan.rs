//! SPEC(config.md#mounts): from one entry of `mounts` to a [`MountOp`]. Looks at nothing but its arguments.
//!
//! Options are read in order into a [`Reading`], the last of a kind winning; then the entry is judged as a bind,
//! a change of a mount, or a new file system. Cgroup mounts are planned elsewhere.

use super::idmap;
use super::inner::below_root;
use super::reading::Reading;
use super::{FsOption, MountOp, Mounted};
use oci::runtime::{IdMapping, Mount};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a mount depends on besides its own entry.
#[derive(Debug, Clone, Copy)]
pub struct MountFacts<'a> {
    /// Absolute path of the bundle: relative bind sources start there.
    pub bundle: &'a Path,
    /// The host's path of the root, where a destination may begin with it. COMPAT(runc)
    pub root: Option<&'a Path>,
    /// `linux.mountLabel`, or empty.
    pub label: &'a str,
    /// The option that carries the label: `context`, `fscontext`, `defcontext` or `rootcontext`.
    pub label_option: &'a str,
    /// Whether the container has a user namespace of its own, new or joined.
    pub user_namespace: bool,
    /// Whether the container's network namespace is a new one.
    pub new_network_namespace: bool,
    /// Whether the container's IPC namespace is a new one.
    pub new_ipc_namespace: bool,
    /// Ids of the user namespace.
    pub uid_mappings: &'a [IdMapping],
    /// Group ids of the user namespace.
    pub gid_mappings: &'a [IdMapping],
}

/// Why an entry of `mounts` can't be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct MountError {
    /// JSON path of the culprit, such as `mounts[3].options`.
    pub at: String,
    /// What is wrong there.
    pub problem: String,
}

/// Whether an entry is a bind mount: only its options decide, its type means nothing then.
pub fn is_bind(mount: &Mount) -> bool {
    mount
        .options
        .iter()
        .any(|option| matches!(option.as_str(), "bind" | "rbind"))
}

/// Turns entry `index` of `mounts` into an operation.
pub fn plan_mount(
    mount: &Mount,
    index: usize,
    facts: &MountFacts<'_>,
) -> Result<MountOp, MountError> {
    let entry = Entry { mount, index };
    let reading = Reading::of(&mount.options);
    let destination = entry.destination(facts)?;
    let what = match () {
        () if reading.remount => entry.remount(&reading)?,
        () if reading.bind.is_some() => entry.bind(&reading, facts)?,
        () => entry.file_system(&reading, facts)?,
    };
    entry.judge_proc(&destination, &what)?;
    let new = matches!(what, Mounted::FileSystem { .. });
    let tmpfs = new && mount.kind == "tmpfs";
    let readonly_later = new && reading.readonly == Some(true) && (tmpfs || destination == "/dev");
    let idmap =
        idmap::plan(mount, reading.idmap, facts).map_err(|problem| entry.error("", problem))?;
    Ok(MountOp {
        what,
        attributes: reading.attributes(readonly_later),
        recursive_attributes: reading.tree.attributes(None),
        propagation: reading.propagation,
        idmap,
        copy_up: tmpfs && reading.copy_up,
        keep_mode: tmpfs
            && !reading.copy_up
            && !reading
                .data
                .iter()
                .any(|(_, text)| text.starts_with("mode=")),
        // CVE-2019-19921: a symlink where /proc belongs would put it elsewhere; nothing can be mounted on the link itself.
        no_follow_destination: reading.no_follow_destination
            || new && matches!(mount.kind.as_str(), "proc" | "sysfs"),
        fallback_bind: fallback_bind(mount, new, facts),
        readonly_later,
        destination: entry.text("destination", destination)?,
    })
}

/// What users say of a volume to an engine: relabel it, give it to the container's user. Buildah does that, and leaves
/// the words among the options. COMPAT(runc)
const VOLUME_WORDS: [&str; 3] = ["z", "Z", "U"];

/// One entry of `mounts` and its place, for error messages.
struct Entry<'a> {
    mount: &'a Mount,
    index: usize,
}

impl Entry<'_> {
    fn error(&self, field: &str, problem: impl Into<String>) -> MountError {
        let dot = if field.is_empty() { "" } else { "." };
        MountError {
            at: format!("mounts[{}]{dot}{field}", self.index),
            problem: problem.into(),
        }
    }

    fn text(&self, field: &str, bytes: impl Into<Vec<u8>>) -> Result<CString, MountError> {
        CString::new(bytes).map_err(|_| self.error(field, "holds a NUL byte"))
    }

    /// The destination as an absolute path in the container without `.`, `..` or doubled slashes.
    fn destination(&self, facts: &MountFacts<'_>) -> Result<String, MountError> {
        let written = &self.mount.destination;
        if written.is_empty() {
            return Err(self.error("destination", "is required"));
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in written.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                name => parts.push(name),
            }
        }
        let path = format!("/{}", parts.join("/"));
        let inside = facts
            .root
            .and_then(|root| below_root(Path::new(&path), root));
        Ok(inside.map_or(path, |inside| inside.to_string_lossy().into_owned()))
    }

    fn bind(&self, reading: &Reading<'_>, facts: &MountFacts<'_>) -> Result<Mounted, MountError> {
        let foreign = |(_, option): &&(String, &str)| !VOLUME_WORDS.contains(option);
        if let Some((field, option)) = reading.data.iter().find(foreign) {
            let problem = format!(
                "{option:?} is an option for a file system, which a bind mount has none of its own"
            );
            return Err(self.error(field, problem));
        }
        if self.mount.source.is_empty() {
            return Err(self.error("source", "a bind mount needs a source"));
        }
        let source = facts.bundle.join(&self.mount.source);
        Ok(Mounted::Bind {
            source: self.text("source", source.as_os_str().as_bytes())?,
            recursive: reading.bind == Some(true),
            no_follow: reading.no_follow_source || reading.copy_symlink,
            copy_symlink: reading.copy_symlink,
        })
    }

    fn file_system(
        &self,
        reading: &Reading<'_>,
        facts: &MountFacts<'_>,
    ) -> Result<Mounted, MountError> {
        let kind = self.mount.kind.as_str();
        match kind {
            "" => {
                return Err(self.error(
                    "type",
                    "is required unless the options have bind, rbind or remount",
                ));
            }
            "bind" => {
                let problem = "the type \"bind\" means nothing without the option bind or rbind";
                return Err(self.error("options", problem));
            }
            _ => {}
        }
        let source = match self.mount.source.as_str() {
            "" => "none",
            source => source,
        };
        let mut options = self.fs_options(reading)?;
        if takes_label(kind) && !facts.label.is_empty() && !options.iter().any(is_label) {
            options.push(FsOption {
                key: self.text("options", facts.label_option)?,
                value: Some(self.text("options", facts.label)?),
            });
        }
        let keeps_superblock_writable = is_kernel_file_system(kind);
        Ok(Mounted::FileSystem {
            fs_type: self.text("type", kind)?,
            source: self.text("source", source)?,
            superblock_flags: reading.superblock_flags(!keeps_superblock_writable),
            options,
        })
    }

    /// SPEC(config.md#linux-mount-options) `remount`; with `bind` only the mount changes, not its file system.
    fn remount(&self, reading: &Reading<'_>) -> Result<Mounted, MountError> {
        let superblock_flags = reading
            .bind
            .is_none()
            .then(|| reading.superblock_flags(true));
        Ok(Mounted::Remount {
            superblock_flags,
            options: self.fs_options(reading)?,
        })
    }

    fn fs_options(&self, reading: &Reading<'_>) -> Result<Vec<FsOption>, MountError> {
        let options = reading.data.iter();
        options
            .map(|(field, option)| self.fs_option(field, option))
            .collect()
    }

    /// `key` or `key=value`; quotes around a security context are the mount command's, not the kernel's.
    fn fs_option(&self, field: &str, text: &str) -> Result<FsOption, MountError> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if key.ends_with("context") => (key, Some(value.trim_matches('"'))),
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        Ok(FsOption {
            key: self.text(field, key)?,
            value: value.map(|value| self.text(field, value)).transpose()?,
        })
    }

    /// CVE-2019-16884: nothing but procfs may stand at /proc, and only a few files below it may be covered.
    fn judge_proc(&self, destination: &str, what: &Mounted) -> Result<(), MountError> {
        let problem = match (what, destination.strip_prefix("/proc/")) {
            (Mounted::Remount { .. }, _) => return Ok(()),
            (Mounted::FileSystem { .. }, None)
                if destination == "/proc" && self.mount.kind != "proc" =>
            {
                "only a file system of type proc may be mounted on /proc".to_owned()
            }
            (_, Some(path)) if !COVERABLE.contains(&path) => {
                format!(
                    "{destination} is inside /proc and not one of the files there that may be covered"
                )
            }
            _ => return Ok(()),
        };
        Err(self.error("destination", problem))
    }
}

/// Files below /proc that engines emulate (lxcfs) or hide. COMPAT(runc)
const COVERABLE: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// File systems without a device, whose superblock others may share: read-only is a matter of the mount there.
fn is_kernel_file_system(kind: &str) -> bool {
    matches!(
        kind,
        "proc"
            | "sysfs"
            | "mqueue"
            | "tmpfs"
            | "devpts"
            | "cgroup"
            | "cgroup2"
            | "debugfs"
            | "tracefs"
            | "securityfs"
            | "bpf"
    )
}

/// SPEC(config-linux.md#mount-label). File systems that label by themselves refuse the option.
fn takes_label(kind: &str) -> bool {
    !matches!(kind, "proc" | "sysfs" | "mqueue" | "cgroup" | "cgroup2")
}

fn is_label(option: &FsOption) -> bool {
    option.key.to_bytes().ends_with(b"context")
}

/// The host's mount that stands in where the kernel refuses a new one to a user namespace
/// that doesn't own the network or IPC namespace it shows.
fn fallback_bind(mount: &Mount, new: bool, facts: &MountFacts<'_>) -> Option<CString> {
    match mount.kind.as_str() {
        _ if !new || !facts.user_namespace => None,
        "sysfs" if !facts.new_network_namespace => Some(c"/sys".into()),
        "mqueue" if !facts.new_ipc_namespace => Some(c"/dev/mqueue".into()),
        _ => None,
    }
}
