//! What this host can do, probed once into a value. The only reader of ambient state for `plan`.
//!
//! `plan` gets a `Host` by reference and so can be asked about hosts that we don't have.

mod cgroups;

use crate::error::{Context, Result};
use crate::sys::{credentials, open};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;

pub use cgroups::{CgroupLayout, Hierarchy, probe_cgroups, unescape};

/// The facts about a host that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Effective user id of the caller.
    pub uid: u32,
    /// Effective group id of the caller.
    pub gid: u32,
    /// Whether the caller is in the initial user namespace with id 0: `false` means rootless rules.
    pub in_initial_userns: bool,
    /// The caller's effective capabilities, as a bit mask.
    pub capabilities: u64,
    /// The caller's bounding set, as a bit mask.
    pub bounding: u64,
    /// The highest capability that the kernel knows.
    pub last_capability: u8,
    /// How cgroups are mounted.
    pub cgroups: CgroupLayout,
    /// The caller's cgroup in each hierarchy, below that hierarchy's mount point: (controllers joined by commas, or ""
    /// for v2; path). It is `/` in hierarchies that are not listed.
    pub own_cgroups: Vec<(String, String)>,
    /// Whether AppArmor is enabled.
    pub apparmor: bool,
    /// Whether SELinux is enabled.
    pub selinux: bool,
}

impl Host {
    /// Looks at this host and at the caller. Reads three small files of procfs and makes some forty cheap calls.
    pub fn probe() -> Result<Host> {
        let (cgroups, own_cgroups) = probe_cgroups()?;
        let (capabilities, _, _) = credentials::capabilities().context("capget")?;
        let (bounding, last_capability) = probe_bounding();
        Ok(Host {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            in_initial_userns: in_initial_user_namespace(),
            capabilities,
            bounding,
            last_capability,
            cgroups,
            own_cgroups,
            apparmor: is_yes("/sys/module/apparmor/parameters/enabled"),
            selinux: has_selinux(),
        })
    }

    /// The same host with its root as the caller, who may hold all that the bounding set leaves.
    pub fn as_root(self) -> Host {
        Host {
            uid: 0,
            gid: 0,
            in_initial_userns: true,
            capabilities: self.bounding,
            ..self
        }
    }

    /// Whether the caller is the host's root: id 0, and not in a user namespace.
    pub fn is_privileged(&self) -> bool {
        self.uid == 0 && self.in_initial_userns
    }

    /// Whether the caller may make and clone mounts in its own mount namespace.
    pub fn may_mount(&self) -> bool {
        const CAP_SYS_ADMIN: u64 = 1 << 21;
        self.capabilities & CAP_SYS_ADMIN != 0
    }
}

/// Whether SELinux is enabled: only there mounts can carry a label.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Whether we are root of the machine, and not of a user namespace only.
pub fn is_machine_root() -> bool {
    nix::unistd::geteuid().is_root() && in_initial_user_namespace()
}

fn is_yes(file: &str) -> bool {
    std::fs::read(file).is_ok_and(|text| text.first() == Some(&b'Y'))
}

/// Whether this process began in the initial user namespace, which maps all ids to themselves.
fn in_initial_user_namespace() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        match open::read_text("/proc/self/uid_map") {
            Ok(map) => map.split_ascii_whitespace().eq(["0", "0", "4294967295"]),
            // A kernel that makes no user namespaces has one all the same.
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    })
}

/// The bounding set, and the highest capability that the kernel knows: it refuses to answer beyond that.
fn probe_bounding() -> (u64, u8) {
    let known = (0..64u8).map_while(|capability| {
        credentials::in_bounding(capability)
            .ok()
            .map(|held| (capability, held))
    });
    known.fold((0, 0), |(set, _), (capability, held)| {
        (set | u64::from(held) << capability, capability)
    })
}
