//! PURE: (Spec, Host, Options) -> [`Plan`]. The specification is interpreted here, once, into inert data.
//!
//! Nothing in this room touches `sys`, `std::fs` or `std::env`: what a start depends on besides the bundle is in
//! [`Host`] and [`Options`]. Start reading at `init_steps`.

pub mod cgroup;
mod display;
mod field;
pub mod intel_rdt;
pub mod namespaces;
pub mod process;
pub mod seccomp;
mod step;
pub mod steps;
pub mod validate;

pub use step::*;

use crate::error::{Error, Result};
use crate::host::Host;
use namespaces::Namespaces;
use oci::runtime::{Linux, Process, Spec};
use rootfs::snapshot::OverlayMount;
use std::collections::BTreeMap;
use std::path::PathBuf;
use steps::{Filtered, Planner, Start, hook_ops, process_steps};

/// What the command line says about one create, run or exec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// `--no-pivot`: the old root is hidden by moving, not swapped out.
    pub no_pivot: bool,
    /// `--no-new-keyring`: the caller's session keyring is inherited.
    pub no_new_keyring: bool,
    /// Fds above 2 that the container inherits (`--preserve-fds`, `LISTEN_FDS`); those not open are left out.
    pub inherited_fds: Vec<i32>,
    /// Number of fds passed by socket activation (`LISTEN_FDS`); 0 for none.
    pub listen_fds: u32,
    /// Host path of the directory that holds the container's notify socket, where `NOTIFY_SOCKET` was set.
    pub notify_dir: Option<PathBuf>,
    /// Who makes cgroups.
    pub cgroup_manager: CgroupManager,
    /// An image's layers with the container's own directory, in place of a root in the bundle.
    pub overlay: Option<OverlayMount>,
    /// An image's volumes: where each is in the container, and the empty directory of the host that it begins as.
    pub volumes: Vec<(PathBuf, PathBuf)>,
    /// `linux.seccomp` is the default profile for the default capabilities: its filter is at hand.
    pub default_seccomp: bool,
    /// `--strict`: what the specification forbids is refused even where runc and crun accept it.
    pub strict: bool,
}

/// Who makes and removes the container's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// Directories in the cgroup file systems.
    #[default]
    Cgroupfs,
    /// Transient scopes, asked of systemd over D-Bus.
    Systemd,
    /// Nobody: the container stays in the caller's cgroup.
    Disabled,
}

/// Everything that a start will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The container's init process.
    pub init: InitPlan,
    /// Its cgroups.
    pub cgroup: cgroup::CgroupPlan,
    /// Its group of Intel's resource control.
    pub intel_rdt: Option<intel_rdt::IntelRdtPlan>,
    /// Its system call filter.
    pub seccomp: Option<seccomp::SeccompPlan>,
    /// Absolute path of its root file system.
    pub rootfs: PathBuf,
    /// Hooks by kind, each ready to run.
    pub hooks: HookPlan,
    /// What the author should know but what stops nothing.
    pub warnings: Vec<String>,
}

/// How the container's first process is made and what it does.
#[derive(Debug, Clone, Default)]
pub struct InitPlan {
    /// `CLONE_NEW*` flags of the one `clone3`.
    pub new_namespaces: u64,
    /// Namespaces to join, in the order to try.
    pub join: Vec<JoinNamespace>,
    /// Id maps of a new user namespace.
    pub id_maps: Option<IdMaps>,
    /// Contents of `timens_offsets`, empty for none.
    pub time_offsets: String,
    /// `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
    /// Limits, set by the parent, which may still hold CAP_SYS_RESOURCE.
    pub rlimits: Vec<RlimitOp>,
    /// Mounts that only the host's side can prepare; steps name them by index.
    pub prepared_mounts: Vec<PreparedMount>,
    /// An image's layers that only the host's side can stack, with ids mapped: for [`Step::AttachRoot`].
    pub prepared_root: Option<OverlayOp>,
    /// What the child does, in order.
    pub steps: Vec<Step>,
}

/// A namespace that is joined by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinNamespace {
    /// `CLONE_NEW*` flag of its type.
    pub flag: u64,
    /// Its path on the host.
    pub path: PathBuf,
}

/// Id maps of a new user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// `uid_map`.
    pub uids: Vec<oci::runtime::IdMapping>,
    /// `gid_map`.
    pub gids: Vec<oci::runtime::IdMapping>,
    /// Whether `newuidmap` and `newgidmap` must write them: the caller is not privileged enough.
    pub by_helper: bool,
    /// Whether `setgroups` is denied: an unprivileged caller maps only its own group.
    pub deny_setgroups: bool,
}

/// One `prlimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RlimitOp {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// A mount that the parent opens before the clone, since the child could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedMount {
    /// Host path of a bind source.
    pub source: std::ffi::CString,
    /// With the mounts below it.
    pub recursive: bool,
    /// The source's last component is not followed.
    pub no_follow: bool,
    /// Id mapping.
    pub idmap: Option<rootfs::mount::Idmap>,
    /// A device node that stands in where the host has no such device at `source`.
    pub node: Option<NodeOp>,
}

/// A device node that the host's side makes for a user namespace, in which the kernel lets nobody make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOp {
    /// `S_IFCHR` or `S_IFBLK`, with permission bits.
    pub mode: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Owner in the container.
    pub uid: u32,
    /// Group in the container.
    pub gid: u32,
    /// Its security label, as an option of the file system that it lies on.
    pub label: Option<rootfs::mount::FsOption>,
}

/// Hooks by the point at which they run.
#[derive(Debug, Clone, Default)]
pub struct HookPlan {
    /// By the runtime, before `pivot_root`.
    pub prestart: Vec<HookOp>,
    /// By the runtime, right after those.
    pub create_runtime: Vec<HookOp>,
    /// By the runtime, after the user's process started.
    pub poststart: Vec<HookOp>,
    /// By the runtime, after the container was deleted.
    pub poststop: Vec<HookOp>,
}

/// The part of the configuration that goes into `state` and to hooks.
pub type Annotations = BTreeMap<String, String>;

/// Interprets a configuration for a host: everything that `create` or `run` will do.
pub fn plan(spec: &Spec, host: &Host, options: &Options) -> Result<Plan> {
    let mut warnings = validate::validate(spec, host, options)?;
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let namespaces = Namespaces::of(linux)?;
    let mut cgroup = cgroup::plan_cgroup(spec, host, options)?;
    warnings.append(&mut cgroup.warnings);
    let seccomp = plan_filter(spec, options, &mut warnings)?;
    let root = spec
        .root
        .as_ref()
        .ok_or_else(|| Error::new("root: is required"))?;
    let rootfs = options.bundle.join(&root.path);
    let process = spec.process.as_ref();
    let mut planner = Planner::new((spec, linux), host, options, &namespaces, &cgroup, &rootfs);
    planner.filtered = Filtered::by(seccomp.as_ref());
    let steps = planner.init_steps()?;
    let prepared_mounts = std::mem::take(&mut planner.prepared);
    let prepared_root = planner.prepared_root.take();
    warnings.append(&mut planner.warnings);
    // The cgroup namespace is made by a step, once the child is in its cgroup.
    let new_namespaces = namespaces.new & !(libc::CLONE_NEWCGROUP as u64);
    let init = InitPlan {
        new_namespaces,
        id_maps: namespaces
            .makes(libc::CLONE_NEWUSER)
            .then(|| namespaces::id_maps(spec, host)),
        time_offsets: namespaces::time_offsets(spec, linux, &namespaces),
        oom_score_adj: process.and_then(|process| process.oom_score_adj),
        rlimits: process
            .map(|process| process::plan_rlimits(&process.rlimits))
            .transpose()?
            .unwrap_or_default(),
        prepared_mounts,
        prepared_root,
        steps,
        join: namespaces.join,
    };
    Ok(Plan {
        init,
        cgroup,
        intel_rdt: intel_rdt::plan_intel_rdt(spec, &options.id),
        seccomp,
        hooks: HookPlan::of(spec)?,
        rootfs,
        warnings,
    })
}

/// The filter of `linux.seccomp`, or the one that an annotation brings ready to load. COMPAT(crun): an annotation may
/// name the agent, and may make a call that we don't know an error.
fn plan_filter(
    spec: &Spec,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Option<seccomp::SeccompPlan>> {
    let annotation = |name: &str| spec.annotations.get(&format!("run.oci.{name}"));
    if let Some(text) = annotation("seccomp_bpf_data") {
        let plan = seccomp::ready_made(text);
        return plan
            .map(Some)
            .map_err(|error| error.context("annotations[\"run.oci.seccomp_bpf_data\"]"));
    }
    let Some(profile) = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref()) else {
        return Ok(None);
    };
    let mut profile = std::borrow::Cow::Borrowed(profile);
    if let (true, Some(path)) = (
        profile.listener_path.is_empty(),
        annotation("seccomp.receiver"),
    ) {
        profile.to_mut().listener_path.clone_from(path);
    }
    let unknown_fails = annotation("seccomp_fail_unknown_syscall").is_some_and(|text| text != "0");
    let how = seccomp::Options {
        enosys_stub: true,
        strict: options.strict,
        unknown_fails,
    };
    if options.default_seccomp
        && !unknown_fails
        && let Some(plan) = seccomp::default_filter()
    {
        return Ok(Some(plan));
    }
    let mut plan = seccomp::compile(&profile, seccomp::Arch::NATIVE, &how)?;
    warnings.append(&mut plan.warnings);
    Ok(Some(plan))
}

impl HookPlan {
    /// The hooks that the runtime runs on its own side.
    pub fn of(spec: &Spec) -> Result<HookPlan> {
        let Some(hooks) = &spec.hooks else {
            return Ok(HookPlan::default());
        };
        Ok(HookPlan {
            prestart: hook_ops("hooks.prestart", &hooks.prestart)?,
            create_runtime: hook_ops("hooks.createRuntime", &hooks.create_runtime)?,
            poststart: hook_ops("hooks.poststart", &hooks.poststart)?,
            poststop: hook_ops("hooks.poststop", &hooks.poststop)?,
        })
    }
}

/// What one `exec` will do in a running container.
#[derive(Debug, Clone)]
pub struct ExecPlan {
    /// The process.
    pub init: InitPlan,
    /// The container's filter.
    pub seccomp: Option<seccomp::SeccompPlan>,
    /// What the author should know but what stops nothing.
    pub warnings: Vec<String>,
}

/// Interprets one more process for a container that was made from `spec`.
pub fn plan_exec(
    spec: &Spec,
    process: &Process,
    host: &Host,
    options: &Options,
) -> Result<ExecPlan> {
    let mut warnings = Vec::new();
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let namespaces = Namespaces::of(linux)?;
    let seccomp = plan_filter(spec, options, &mut warnings)?;
    let user_namespace = namespaces.has(libc::CLONE_NEWUSER);
    let start = Start {
        filtered: Filtered::by(seccomp.as_ref()),
        keep_groups: namespaces::keeps_groups(spec, process, host)?,
        user_namespace,
        ..Start::default()
    };
    let mut steps = Vec::new();
    if user_namespace {
        let (uid, gid) = namespaces::root_ids(linux);
        steps.push(Step::BecomeNamespaceRoot {
            uid,
            gid,
            clear_groups: false,
        });
    }
    if !namespaces.has(libc::CLONE_NEWNS) {
        steps.push(Step::EnterRoot);
    }
    let affinity = process.exec_cpu_affinity.clone().unwrap_or_default();
    let pin =
        |list: &str, at| Ok::<_, Error>(process::parse_cpu_list(at, list)?.map(Step::CpuAffinity));
    steps.extend(pin(&affinity.initial, "process.execCPUAffinity.initial")?);
    steps.push(Step::JoinCgroup);
    // Without a wish the caller's affinity is not the container's either: the cpuset decides. COMPAT(runc)
    let unpinned = affinity == oci::runtime::ExecCpuAffinity::default();
    steps.extend(unpinned.then(|| Step::CpuAffinity(CpuSet::all())));
    steps.extend(pin(&affinity.last, "process.execCPUAffinity.final")?);
    if !options.no_new_keyring {
        let name = std::ffi::CString::new(format!("_ses.{}", options.id)).unwrap_or_default();
        steps.push(Step::NewKeyring {
            name,
            label: Default::default(),
        });
    }
    if process.terminal {
        steps.push(steps::open_terminal(process, false));
    }
    // Neither is a matter of a namespace: a new process would have the caller's.
    steps.extend(steps::domain_and_policy(linux)?);
    steps::scheduling(process, &mut steps)?;
    steps.extend(process::plan_exec_label(process, host)?);
    steps.append(&mut process_steps(
        process,
        host,
        options,
        start,
        &mut warnings,
    )?);
    let init = InitPlan {
        oom_score_adj: process.oom_score_adj,
        rlimits: process::plan_rlimits(&process.rlimits)?,
        steps,
        ..InitPlan::default()
    };
    Ok(ExecPlan {
        init,
        seccomp,
        warnings,
    })
}
