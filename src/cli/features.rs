//! `features`: what this runtime implements, whatever the host. SPEC(features.md), SPEC(features-linux.md).
//!
//! Engines decide by it: containerd wants `rro`, `user` and the idmap extension before it uses them. Reads nothing.

use super::{ExitCode, print_json, version};
use crate::container::Globals;
use crate::error::Result;
use crate::plan::{namespaces, seccomp};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

const MEMORY_FLAGS: [&str; 3] = [
    "MPOL_F_NUMA_BALANCING",
    "MPOL_F_RELATIVE_NODES",
    "MPOL_F_STATIC_NODES",
];

/// Annotations by which a configuration gains more than its fields say; a final dot means all that begin so.
const UNSAFE_ANNOTATIONS: [&str; 4] = [
    "bundle",
    "org.criu.config",
    "org.systemd.property.",
    "run.oci.",
];

pub fn command() -> Command {
    Command::new("features").about("print what this runtime implements, as JSON")
}

pub fn run(_: &Globals, _: &ArgMatches) -> Result<ExitCode> {
    print_json(&features())?;
    Ok(ExitCode::SUCCESS)
}

fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": oci::runtime::VERSION,
        "hooks": HOOKS,
        "mountOptions": rootfs::mount::mount_option_names().collect::<Vec<_>>(),
        "linux": linux(),
        "annotations": {
            "org.crun-lite.version": env!("CARGO_PKG_VERSION"),
            "org.crun-lite.commit": version::commit(),
            // COMPAT(crun): engines ask runc's key whatever the runtime is called.
            "org.opencontainers.runc.checkpoint.enabled": "false",
        },
        "potentiallyUnsafeConfigAnnotations": UNSAFE_ANNOTATIONS,
    })
}

fn linux() -> Value {
    json!({
        "namespaces": sorted(namespaces::TYPES.map(|(name, _)| name).into_iter()),
        "capabilities": capabilities(),
        "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
        "seccomp": {
            "enabled": true,
            "actions": sorted(seccomp::actions()),
            "operators": sorted(seccomp::operators()),
            "archs": sorted(seccomp::architectures()),
            "knownFlags": sorted(seccomp::flags().map(|(name, _)| name)),
            "supportedFlags": sorted(seccomp::flags().map(|(name, _)| name)),
        },
        "apparmor": {"enabled": true},
        "selinux": {"enabled": true},
        "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
        "memoryPolicy": {"modes": MEMORY_MODES, "flags": MEMORY_FLAGS},
        "mountExtensions": {"idmap": {"enabled": true}},
        "netDevices": {"enabled": true},
    })
}

/// In the kernel's order.
fn capabilities() -> Vec<String> {
    let mut known: Vec<caps::Capability> = caps::all().into_iter().collect();
    known.sort_by_key(caps::Capability::index);
    known.iter().map(ToString::to_string).collect()
}

fn sorted(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_document_is_as_reviewed() {
        let golden: Value = serde_json::from_str(include_str!("tests/features.json")).unwrap();
        let mut found = features();
        let annotations = found["annotations"].as_object_mut().unwrap();
        annotations.remove("org.crun-lite.version");
        annotations.remove("org.crun-lite.commit");
        assert_eq!(found, golden, "{found:#}");
    }

    #[test]
    fn the_standard_types_read_it() {
        let text = features().to_string();
        let read: oci_spec::runtime::Features = serde_json::from_str(&text).unwrap();
        assert_eq!(read.oci_version_max(), "1.3.0");
    }
}
