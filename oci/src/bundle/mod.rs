//! From an image's configuration and a user's wishes to a runtime specification.
//!
//! Pure: the image's user files come through [`Users`], directories that must exist are only named. The defaults are
//! Docker's ([`defaults`], [`seccomp`]). What an image says never reaches the annotations that control this program.

mod annotation;
mod capability;
mod defaults;
pub mod etc;
pub mod notation;
mod options;
mod profile;
pub mod seccomp;
mod user;

pub use options::{EtcFiles, HostDevice, Limits, Network, RunOptions, SeccompChoice, Security};
pub use profile::Profile;
pub use user::{ResolvedUser, UserFiles, Users};

use crate::error::{Error, Kind, Result};
use crate::image_config::ImageConfig;
use crate::runtime::{
    Cpu, Device, DeviceRule, Linux, Memory, Mount, Pids, Process, Resources, Root, Spec, VERSION,
};
use crate::spec;
use std::collections::BTreeMap;

/// Microseconds over which processor time is shared out.
const CPU_PERIOD_US: u64 = 100_000;
/// Where `--init` puts its program.
const INIT_PATH: &str = "/dev/init";

/// What a container is made from, besides its root file system.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The `config.json`.
    pub spec: Spec,
    /// Directories to make in the root file system where they are missing: the working directory, the volumes.
    pub directories: Vec<String>,
    /// `linux.seccomp` is what [`seccomp::default_profile`] says for the default capabilities.
    pub default_seccomp: bool,
}

/// Makes the specification of a container of an image.
pub fn bundle(config: &ImageConfig, options: &RunOptions, users: &dyn Users) -> Result<Bundle> {
    let none = spec::Config::default();
    let image = config.execution().unwrap_or(&none);
    let wanted = options
        .user
        .as_deref()
        .or(image.user().as_deref())
        .unwrap_or_default();
    let user = user::resolve(wanted, &options.groups, &users.files()?)?;
    let working_dir = absolute(
        options
            .workdir
            .as_deref()
            .or(image.working_dir().as_deref())
            .unwrap_or_default(),
    );
    let mut directories = vec![working_dir.clone()];
    let mut volumes: Vec<String> = image
        .volumes()
        .iter()
        .flatten()
        .map(|path| absolute(path))
        .collect();
    volumes.sort();
    directories.extend(volumes);
    let capabilities = capability::sets(options, user.user.uid == 0)?;
    let default_seccomp = options.security.seccomp == SeccompChoice::Default
        && seccomp::is_for_default_capabilities(&capabilities.bounding);
    let spec = Spec {
        version: VERSION.into(),
        root: Some(Root {
            path: options.root.clone(),
            readonly: options.read_only,
        }),
        hostname: options.hostname.clone(),
        mounts: mounts(options),
        annotations: annotation::annotations(config, image, options),
        linux: Some(linux(options, &capabilities.bounding)),
        process: Some(Process {
            terminal: options.terminal,
            cwd: working_dir,
            env: environment(image, options, &user.home),
            args: arguments(image, options)?,
            rlimits: options.rlimits.clone(),
            capabilities: Some(capabilities),
            no_new_privileges: options.security.no_new_privileges,
            apparmor_profile: options.security.apparmor.clone(),
            selinux_label: options.security.selinux_label.clone(),
            user: user.user,
            ..Process::default()
        }),
        ..Spec::default()
    };
    Ok(Bundle {
        spec,
        directories,
        default_seccomp,
    })
}

/// Entrypoint and command. A new entrypoint forgets the image's command.
fn arguments(image: &spec::Config, options: &RunOptions) -> Result<Vec<String>> {
    let image_entrypoint = image.entrypoint().as_deref().unwrap_or_default();
    let image_command = image.cmd().as_deref().unwrap_or_default();
    let entrypoint = options.entrypoint.as_deref().unwrap_or(image_entrypoint);
    let command = match (&options.command[..], &options.entrypoint) {
        ([], None) => image_command,
        (command, _) => command,
    };
    let own: Vec<String> = entrypoint.iter().chain(command).cloned().collect();
    if own.first().is_none_or(String::is_empty) {
        return Err(Error::new(Kind::Invalid, "the image names no command")
            .hint("write one behind the image: … IMAGE -- COMMAND"));
    }
    let init = options
        .init
        .iter()
        .flat_map(|_| [INIT_PATH.to_owned(), "--".to_owned()]);
    Ok(init.chain(own).collect())
}

/// Defaults, then the image's, then the user's: later ones replace earlier ones of the same name, in place.
fn environment(image: &spec::Config, options: &RunOptions, home: &str) -> Vec<String> {
    let mut all = vec![defaults::PATH.to_owned()];
    if !options.hostname.is_empty() {
        all.push(format!("HOSTNAME={}", options.hostname));
    }
    if options.terminal {
        all.push("TERM=xterm".into());
    }
    all.push(format!("HOME={home}"));
    all.extend(image.env().iter().flatten().cloned());
    all.extend(options.env.iter().cloned());
    let mut kept: Vec<String> = Vec::with_capacity(all.len());
    for entry in all {
        let name = entry.split('=').next().unwrap_or_default();
        // Docker's files have entries without a value: they are no environment.
        if name.is_empty() || !entry.contains('=') || entry.contains('\0') {
            continue;
        }
        match kept.iter_mut().find(|k| k.split('=').next() == Some(name)) {
            Some(earlier) => *earlier = entry,
            None => kept.push(entry),
        }
    }
    kept
}

/// Without `.` and `..`: they would be resolved once more, somewhere else.
fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn mounts(options: &RunOptions) -> Vec<Mount> {
    let host_network = options.network == Network::Host;
    let mut mounts = defaults::mounts(options.is_rootless, host_network, options.shm_bytes);
    let bind = |source: &str, destination: &str, options: &[&str]| Mount {
        destination: destination.into(),
        source: source.into(),
        kind: "bind".into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    };
    let files = [
        (&options.etc.hosts, "/etc/hosts"),
        (&options.etc.hostname, "/etc/hostname"),
        (&options.etc.resolv_conf, "/etc/resolv.conf"),
    ];
    for (source, destination) in files {
        if let Some(source) = source {
            mounts.push(bind(source, destination, &["rbind", "rprivate"]));
        }
    }
    if let Some(program) = &options.init {
        mounts.push(bind(program, INIT_PATH, &["bind", "ro", "nosuid", "nodev"]));
    }
    // The user's own come last and replace the default of the same place.
    mounts.retain(|mount| {
        options
            .mounts
            .iter()
            .all(|own| own.destination != mount.destination)
    });
    mounts.extend(options.mounts.iter().cloned());
    mounts
}

fn linux(options: &RunOptions, bounding: &[String]) -> Linux {
    let has_user_namespace = !options.uid_mappings.is_empty();
    let mut kinds = vec!["pid", "ipc", "uts", "mount", "cgroup"];
    let mut network_path = None;
    match &options.network {
        Network::Host => {}
        Network::None => kinds.push("network"),
        Network::Path(path) => network_path = Some(path.clone()),
    }
    if has_user_namespace {
        kinds.push("user");
    }
    let mut namespaces = defaults::namespaces(&kinds);
    namespaces.extend(network_path.map(|path| crate::runtime::Namespace {
        kind: "network".into(),
        path,
    }));
    let text = |paths: &[&str]| -> Vec<String> {
        let shown = paths.iter().filter(|path| {
            !options
                .security
                .unmask
                .iter()
                .any(|u| u == *path || u == "ALL")
        });
        shown.map(|path| (*path).to_owned()).collect()
    };
    Linux {
        uid_mappings: options.uid_mappings.clone(),
        gid_mappings: options.gid_mappings.clone(),
        sysctl: sysctls(options, has_user_namespace),
        resources: Some(resources(options)),
        cgroups_path: options.cgroups_path.clone(),
        namespaces,
        devices: options
            .devices
            .iter()
            .map(|device| device.device.clone())
            .collect(),
        seccomp: match &options.security.seccomp {
            SeccompChoice::Default => Some(seccomp::default_profile(bounding)),
            SeccompChoice::Unconfined => None,
            SeccompChoice::Profile(profile) => Some(profile.resolve(bounding)),
        },
        masked_paths: text(&defaults::MASKED_PATHS),
        readonly_paths: text(&defaults::READONLY_PATHS),
        ..Linux::default()
    }
}

/// In a network of its own, a container's ordinary users may ping and serve low ports, as with Docker.
fn sysctls(options: &RunOptions, has_user_namespace: bool) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    if options.network == Network::None {
        sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "0".into());
        // The kernel wants every group of the range mapped.
        if !has_user_namespace {
            sysctls.insert("net.ipv4.ping_group_range".into(), "0 2147483647".into());
        }
    }
    sysctls.extend(options.sysctls.clone());
    sysctls
}

fn resources(options: &RunOptions) -> Resources {
    let limits = &options.limits;
    let mut devices = match options.is_rootless {
        // Without privileges no device can be made, and no rule loaded.
        true => Vec::new(),
        false => defaults::device_rules(),
    };
    devices.extend(options.devices.iter().map(rule));
    Resources {
        devices,
        memory: (limits.memory_bytes.is_some() || limits.memory_swap_bytes.is_some()).then(|| {
            Memory {
                limit: limits.memory_bytes,
                swap: limits.memory_swap_bytes,
                ..Memory::default()
            }
        }),
        cpu: limits.has_cpu().then(|| Cpu {
            shares: limits.cpu_shares,
            quota: limits
                .cpus_thousandths
                .map(|n| (n * CPU_PERIOD_US / 1000) as i64),
            period: limits.cpus_thousandths.map(|_| CPU_PERIOD_US),
            cpus: limits.cpuset_cpus.clone(),
            mems: limits.cpuset_mems.clone(),
            ..Cpu::default()
        }),
        pids: limits.pids.map(|limit| Pids { limit: Some(limit) }),
        ..Resources::default()
    }
}

fn rule(host: &HostDevice) -> DeviceRule {
    let Device {
        kind, major, minor, ..
    } = &host.device;
    DeviceRule {
        allow: true,
        kind: kind.clone(),
        major: Some(*major),
        minor: Some(*minor),
        access: host.access.clone(),
    }
}

#[cfg(test)]
mod tests;
