//! Namespaces: which are new, which are joined, whose ids mean what. SPEC(config-linux.md#namespaces)

use super::{IdMaps, JoinNamespace};
use crate::error::{Error, Result};
use crate::host::Host;
use oci::runtime::{IdMapping, Linux, Process, Spec};
use std::fmt::Write as _;

/// The specification's types and the kernel's flags, in the order in which they are joined.
pub const TYPES: [(&str, u64); 8] = [
    ("ipc", libc::CLONE_NEWIPC as u64),
    ("uts", libc::CLONE_NEWUTS as u64),
    ("network", libc::CLONE_NEWNET as u64),
    ("pid", libc::CLONE_NEWPID as u64),
    ("cgroup", libc::CLONE_NEWCGROUP as u64),
    ("time", libc::CLONE_NEWTIME as u64),
    ("user", libc::CLONE_NEWUSER as u64),
    ("mount", libc::CLONE_NEWNS as u64),
];

/// The types behind flags, by the specification's names.
pub fn names(flags: u64) -> Vec<&'static str> {
    let chosen = TYPES.iter().filter(|(_, flag)| flags & flag != 0);
    chosen.map(|(name, _)| *name).collect()
}

/// Which namespaces a container gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Flags of those that are made.
    pub new: u64,
    /// Those that are joined, in the order to try.
    pub join: Vec<JoinNamespace>,
}

impl Namespaces {
    /// Sorts a configuration's namespaces. A type that is absent is the caller's.
    pub fn of(linux: &Linux) -> Result<Namespaces> {
        let mut namespaces = Namespaces::default();
        for (kind, flag) in TYPES {
            for namespace in linux
                .namespaces
                .iter()
                .filter(|namespace| namespace.kind == kind)
            {
                match namespace.path.as_str() {
                    "" => namespaces.new |= flag,
                    path => namespaces.join.push(JoinNamespace {
                        flag,
                        path: path.into(),
                    }),
                }
            }
        }
        match linux
            .namespaces
            .iter()
            .position(|namespace| !TYPES.iter().any(|(kind, _)| namespace.kind == *kind))
        {
            Some(at) => {
                let kind = &linux.namespaces[at].kind;
                Err(Error::new(format!(
                    "linux.namespaces[{at}].type: {kind:?} is no namespace type"
                )))
            }
            None => Ok(namespaces),
        }
    }

    /// Whether one of this type is made.
    pub fn makes(&self, flag: i32) -> bool {
        self.new & flag as u64 != 0
    }

    /// Whether the container does not share this type with the caller.
    pub fn has(&self, flag: i32) -> bool {
        self.makes(flag) || self.join.iter().any(|join| join.flag == flag as u64)
    }
}

/// The maps of a new user namespace; without any in the configuration, the caller's own ids become root's.
pub fn id_maps(spec: &Spec, host: &Host) -> IdMaps {
    let linux = spec.linux.as_ref();
    let given = |pick: fn(&Linux) -> &Vec<IdMapping>| linux.map(pick).cloned().unwrap_or_default();
    let (mut uids, mut gids) = (
        given(|linux| &linux.uid_mappings),
        given(|linux| &linux.gid_mappings),
    );
    if uids.is_empty() {
        uids = default_map(host, host.uid);
    }
    if gids.is_empty() {
        gids = default_map(host, host.gid);
    }
    let only_own = |ranges: &[IdMapping], own: u32| matches!(ranges, [one] if one.host_id == own && one.size == 1);
    let simple = only_own(&uids, host.uid) && only_own(&gids, host.gid);
    let unprivileged = !host.is_privileged();
    IdMaps {
        by_helper: unprivileged && !simple && !writes_any_map(host),
        deny_setgroups: unprivileged && simple,
        uids,
        gids,
    }
}

/// Who makes the container in its user namespace. What it makes needs an owner that the namespace knows, so where 0 is
/// not mapped the first id that is stands in; its capabilities are the same.
pub fn root_ids(linux: &Linux) -> (u32, u32) {
    let root = |ranges: &[IdMapping]| {
        let first = ranges.iter().map(|range| range.container_id).min();
        first.unwrap_or(0)
    };
    (root(&linux.uid_mappings), root(&linux.gid_mappings))
}

/// KERNEL(user_namespaces(7)): who holds both may map any id of its own namespace. Podman's rootless mode calls us as
/// root of its user namespace, whose ids newuidmap knows nothing of.
fn writes_any_map(host: &Host) -> bool {
    const CAP_SETGID: u64 = 1 << 6;
    const CAP_SETUID: u64 = 1 << 7;
    let both = CAP_SETGID | CAP_SETUID;
    host.capabilities & both == both
}

/// Whether the process keeps the caller's groups: asked for by annotation, or because the kernel denies setgroups to
/// the user namespace of an unprivileged caller. A process that wants groups of its own then fails by name.
pub fn keeps_groups(spec: &Spec, process: &Process, host: &Host) -> Result<bool> {
    let none = Linux::default();
    let namespaces = Namespaces::of(spec.linux.as_ref().unwrap_or(&none))?;
    let denied = namespaces.has(libc::CLONE_NEWUSER) && id_maps(spec, host).deny_setgroups;
    Ok(asks_to_keep_groups(spec) || denied && process.user.additional_gids.is_empty())
}

/// By annotation: Podman's `--group-add keep-groups`. COMPAT(crun)
pub fn asks_to_keep_groups(spec: &Spec) -> bool {
    spec.annotations
        .contains_key("run.oci.keep_original_groups")
}

fn default_map(host: &Host, own: u32) -> Vec<IdMapping> {
    match host.is_privileged() {
        true => vec![IdMapping {
            container_id: 0,
            host_id: 0,
            size: u32::MAX,
        }],
        false => vec![IdMapping {
            container_id: 0,
            host_id: own,
            size: 1,
        }],
    }
}

/// The text for `timens_offsets`. SPEC(config-linux.md#offset-for-time-namespace)
///
/// COMPAT(crun): the annotation, as the file takes it, for a new time namespace whose configuration has no offsets.
pub fn time_offsets(spec: &Spec, linux: &Linux, namespaces: &Namespaces) -> String {
    let annotation = spec.annotations.get("run.oci.timens_offset");
    if let (true, true, Some(text)) = (
        linux.time_offsets.is_empty(),
        namespaces.makes(libc::CLONE_NEWTIME),
        annotation,
    ) {
        return format!("{}\n", text.trim_end());
    }
    linux
        .time_offsets
        .iter()
        .fold(String::new(), |mut text, (clock, offset)| {
            let _ = writeln!(text, "{clock} {} {}", offset.secs, offset.nanosecs);
            text
        })
}
