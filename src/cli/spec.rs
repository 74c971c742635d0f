//! `spec`: writes a `config.json` to begin with, equal to runc's.

use super::{ExitCode, argument, print};
use crate::container::Globals;
use crate::error::{Context, Error, Result};
use clap::{ArgMatches, Command};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{getegid, geteuid};
use oci::runtime::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, Process, Resources, Rlimit, Root,
    Spec, VERSION,
};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

pub fn command() -> Command {
    Command::new("spec")
        .about("write a config.json to begin with")
        .arg(
            argument::option(
                "bundle",
                "DIR",
                "the bundle (default: the present directory)",
            )
            .short('b'),
        )
        .arg(argument::option("file", "FILE", "name of the file to write; - is stdout").short('f'))
        .arg(argument::flag("rootless", "for a caller who isn't root"))
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let mut spec = example();
    if is_unified() {
        // COMPAT(runc): where cgroup2 is all there is, a view of the own subtree costs nothing.
        let linux = spec.linux.get_or_insert_default();
        linux.namespaces.push(namespace("cgroup"));
    }
    if matches.get_flag("rootless") {
        make_rootless(&mut spec, geteuid().as_raw(), getegid().as_raw());
    }
    let json = render(&spec)?;
    let bundle = argument::path(matches, "bundle").unwrap_or_default();
    match argument::path(matches, "file") {
        Some(name) if name.as_os_str() == "-" => print(&json)?,
        Some(name) => write_new(&bundle.join(name), &json)?,
        None => write_new(&bundle.join("config.json"), &json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn is_unified() -> bool {
    statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// COMPAT(runc): indented by tabs, without a line end.
fn render(spec: &Spec) -> Result<String> {
    let mut json = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, tabs);
    serde::Serialize::serialize(spec, &mut serializer)
        .map_err(|error| Error::new(format!("write JSON: {error}")))?;
    Ok(String::from_utf8_lossy(&json).into_owned())
}

fn write_new(path: &Path, json: &str) -> Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::new(format!(
            "File {} exists. Remove it first",
            path.display()
        ))),
        created => created
            .and_then(|mut file| file.write_all(json.as_bytes()))
            .context(format_args!("write {}", path.display())),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The configuration for the machine's root.
pub fn example() -> Spec {
    Spec {
        version: VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root {
            path: "rootfs".into(),
            readonly: true,
        }),
        hostname: "crun-lite".into(),
        mounts: mounts(),
        linux: Some(linux()),
        ..Spec::default()
    }
}

fn process() -> Process {
    let kept = texts(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: texts(&["sh"]),
        env: texts(&[
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm",
        ]),
        cwd: "/".into(),
        capabilities: Some(Capabilities {
            bounding: kept.clone(),
            effective: kept.clone(),
            permitted: kept.clone(),
            ambient: kept,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit {
            kind: "RLIMIT_NOFILE".into(),
            hard: 1024,
            soft: 1024,
        }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mounts() -> Vec<Mount> {
    let table: [(&str, &str, &str, &[&str]); 7] = [
        ("/proc", "proc", "proc", &[]),
        (
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        (
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        (
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        ),
        (
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", "ro"],
        ),
        (
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ),
    ];
    table
        .into_iter()
        .map(|(destination, kind, source, options)| Mount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            options: texts(options),
            ..Mount::default()
        })
        .collect()
}

fn linux() -> Linux {
    Linux {
        resources: Some(Resources {
            devices: vec![DeviceRule {
                access: "rwm".into(),
                ..DeviceRule::default()
            }],
            ..Resources::default()
        }),
        namespaces: ["pid", "network", "ipc", "uts", "mount"]
            .map(namespace)
            .into(),
        masked_paths: texts(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: texts(&[
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ]),
        ..Linux::default()
    }
}

fn namespace(kind: &str) -> Namespace {
    Namespace {
        kind: kind.into(),
        ..Namespace::default()
    }
}

/// A user namespace that maps only the caller; no network of its own, since nobody could configure it; no limits.
fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    let linux = spec.linux.get_or_insert_default();
    linux.resources = None;
    linux
        .namespaces
        .retain(|namespace| namespace.kind != "network");
    linux.namespaces.push(namespace("user"));
    let map = |host_id| IdMapping {
        container_id: 0,
        host_id,
        size: 1,
    };
    linux.uid_mappings = vec![map(uid)];
    linux.gid_mappings = vec![map(gid)];
    for mount in &mut spec.mounts {
        // Group 5 isn't mapped.
        mount.options.retain(|option| option != "gid=5");
        if mount.destination == "/sys" {
            // sysfs can't be mounted without a network namespace of one's own.
            mount.kind = "none".into();
            mount.source = "/sys".into();
            mount.options.insert(0, "rbind".into());
        }
    }
}
