//! What a user may wish of a container, as plain data. The command line fills it in; [`super::notation`] reads the strings.

use crate::runtime::{Device, IdMapping, Mount, Rlimit};
use std::collections::BTreeMap;

/// Everything that `run --image` can be told. The default is Docker's default.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// The command behind the image's name; empty means the image's.
    pub command: Vec<String>,
    /// `--entrypoint`; an empty list forgets the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `-e`, each with its value.
    pub env: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`: `USER[:GROUP]`.
    pub user: Option<String>,
    /// `--group-add`.
    pub groups: Vec<String>,
    /// `--hostname`, or the container's id.
    pub hostname: String,
    /// `-v`, `--mount` and `--tmpfs`.
    pub mounts: Vec<Mount>,
    /// `--device`, looked at on the host by the caller.
    pub devices: Vec<HostDevice>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--cap-add`, as the user wrote them.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, as the user wrote them.
    pub cap_drop: Vec<String>,
    /// `--memory`, `--cpus`, …
    pub limits: Limits,
    /// `--network`.
    pub network: Network,
    /// `-t`.
    pub terminal: bool,
    /// `--ulimit`.
    pub rlimits: Vec<Rlimit>,
    /// `--annotation`: from the user, so control annotations are welcome.
    pub annotations: BTreeMap<String, String>,
    /// `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// `--security-opt`.
    pub security: Security,
    /// `--init`: the path on the host of a static program that reaps and forwards signals.
    pub init: Option<String>,
    /// Ids of a user namespace; empty means none.
    pub uid_mappings: Vec<IdMapping>,
    /// Ids of a user namespace; empty means none.
    pub gid_mappings: Vec<IdMapping>,
    /// The caller has no privileges on the host.
    pub is_rootless: bool,
    /// Size of `/dev/shm`.
    pub shm_bytes: u64,
    /// Files bound over the image's.
    pub etc: EtcFiles,
    /// For `linux.cgroupsPath`.
    pub cgroups_path: String,
    /// For `root.path`.
    pub root: String,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            command: Vec::new(),
            entrypoint: None,
            env: Vec::new(),
            workdir: None,
            user: None,
            groups: Vec::new(),
            hostname: String::new(),
            mounts: Vec::new(),
            devices: Vec::new(),
            read_only: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            limits: Limits::default(),
            network: Network::None,
            terminal: false,
            rlimits: Vec::new(),
            annotations: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            security: Security::default(),
            init: None,
            uid_mappings: Vec::new(),
            gid_mappings: Vec::new(),
            is_rootless: false,
            shm_bytes: 64 << 20,
            etc: EtcFiles::default(),
            cgroups_path: String::new(),
            root: "rootfs".into(),
        }
    }
}

/// The container's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// One of its own, with a loopback interface only.
    None,
    /// The host's.
    Host,
    /// An existing one, by the path of its namespace.
    Path(String),
}

/// Limits of the container's cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; -1 means unlimited.
    pub memory_bytes: Option<i64>,
    /// Bytes of memory and swap together; -1 means unlimited.
    pub memory_swap_bytes: Option<i64>,
    /// Thousandths of a processor.
    pub cpus_thousandths: Option<u64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// CPU list.
    pub cpuset_cpus: String,
    /// Memory node list.
    pub cpuset_mems: String,
    /// Processes; -1 means unlimited.
    pub pids: Option<i64>,
}

impl Limits {
    pub(super) fn has_cpu(&self) -> bool {
        self.cpus_thousandths.is_some()
            || self.cpu_shares.is_some()
            || !self.cpuset_cpus.is_empty()
            || !self.cpuset_mems.is_empty()
    }
}

/// A device of the host that the container gets.
#[derive(Debug, Clone, PartialEq)]
pub struct HostDevice {
    /// The node inside.
    pub device: Device,
    /// Of `r`, `w`, `m`.
    pub access: String,
}

/// `--security-opt`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Security {
    /// The system call filter.
    pub seccomp: SeccompChoice,
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// AppArmor profile; empty means none.
    pub apparmor: String,
    /// SELinux process label; empty means none.
    pub selinux_label: String,
    /// Masked and read-only paths that are left alone; `ALL` means all.
    pub unmask: Vec<String>,
}

/// Which system call filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum SeccompChoice {
    /// Ours.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// The user's.
    Profile(Box<super::Profile>),
}

/// Paths on the host of files that are bound over the image's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EtcFiles {
    /// Over `/etc/hosts`.
    pub hosts: Option<String>,
    /// Over `/etc/hostname`.
    pub hostname: Option<String>,
    /// Over `/etc/resolv.conf`.
    pub resolv_conf: Option<String>,
}
