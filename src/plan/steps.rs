//! The whole of container start, in order. Read [`Planner::init_steps`] first: it is the table of contents.
//!
//! Every mount, device and path is placed under the root's handle before the root becomes `/`: afterwards nothing of
//! the host's is left to take a source from, and nothing of the image's has had a say.

mod device;
mod operation;

pub use operation::hook_ops;

use super::field::{c_string, parameter_path};
use super::namespaces::Namespaces;
use super::seccomp::SeccompPlan;
use super::{
    CpuSet, HookOp, Options, OverlayOp, PreparedMount, RootChange, Step, UserOp, cgroup, process,
};
use crate::error::{Error, Result};
use crate::host::Host;
use oci::runtime::{Linux, Process, Spec};
use operation::{bind_op, mount_point, notify_mount, propagation, runtime_environment};
use rootfs::mount::dev::dev_is_bound;
use rootfs::mount::{Idmap, IdmapSource, MountFacts, MountOp, Mounted, plan_mount};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What planning one container needs to look at, and what it collects.
pub struct Planner<'p> {
    /// The configuration.
    pub spec: &'p Spec,
    /// Its Linux part.
    pub linux: &'p Linux,
    /// Where it will run.
    pub host: &'p Host,
    /// What the command line says.
    pub options: &'p Options,
    /// Its namespaces.
    pub namespaces: &'p Namespaces,
    /// Its cgroups.
    pub cgroup: &'p cgroup::CgroupPlan,
    /// The absolute path of its root file system.
    pub rootfs: &'p Path,
    /// When the process comes under its system call filter.
    pub filtered: Filtered,
    /// Mounts that the parent opens.
    pub prepared: Vec<PreparedMount>,
    /// The root that the parent stacks.
    pub prepared_root: Option<OverlayOp>,
    /// What the author should know.
    pub warnings: Vec<String>,
    steps: Vec<Step>,
    readonly_later: Vec<MountOp>,
    in_cgroup: bool,
}

impl<'p> Planner<'p> {
    /// Begins an empty plan.
    pub fn new(
        (spec, linux): (&'p Spec, &'p Linux),
        host: &'p Host,
        options: &'p Options,
        namespaces: &'p Namespaces,
        cgroup: &'p cgroup::CgroupPlan,
        rootfs: &'p Path,
    ) -> Self {
        Planner {
            spec,
            linux,
            host,
            options,
            namespaces,
            cgroup,
            rootfs,
            filtered: Filtered::Never,
            prepared: Vec::new(),
            prepared_root: None,
            warnings: Vec::new(),
            steps: Vec::new(),
            readonly_later: Vec::new(),
            in_cgroup: false,
        }
    }

    /// The whole of container start, in order.
    pub fn init_steps(&mut self) -> Result<Vec<Step>> {
        self.enter_namespaces();
        self.root()?;
        self.mounts()?;
        self.devices()?;
        self.terminal();
        self.join_cgroup();
        self.create_hooks()?;
        self.labels()?;
        self.kernel_parameters()?;
        self.paths()?;
        self.change_root()?;
        self.names()?;
        self.scheduling()?;
        self.process()?;
        Ok(std::mem::take(&mut self.steps))
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// SPEC(config-linux.md#namespaces)
    fn enter_namespaces(&mut self) {
        if self.namespaces.has(libc::CLONE_NEWUSER) {
            let deny = super::namespaces::id_maps(self.spec, self.host).deny_setgroups;
            let (uid, gid) = super::namespaces::root_ids(self.linux);
            self.push(Step::BecomeNamespaceRoot {
                uid,
                gid,
                clear_groups: !deny && !super::namespaces::asks_to_keep_groups(self.spec),
            });
        }
        if !self.options.no_new_keyring {
            let label = self
                .process_field(|process| &process.selinux_label)
                .unwrap_or_default();
            let name = CString::new(format!("_ses.{}", self.options.id)).unwrap_or_default();
            self.push(Step::NewKeyring {
                name,
                label: CString::new(label).unwrap_or_default(),
            });
        }
        if self.namespaces.makes(libc::CLONE_NEWNET) {
            self.push(Step::LoopbackUp);
        }
    }

    fn process_field(&self, pick: fn(&Process) -> &String) -> Option<String> {
        self.spec
            .process
            .as_ref()
            .map(pick)
            .filter(|text| !text.is_empty())
            .cloned()
    }

    /// A shared root keeps the host's peer groups, so that what is mounted in shared binds reaches the host.
    fn is_among_peers(&self) -> bool {
        self.linux.rootfs_propagation.ends_with("shared")
    }

    /// SPEC(config.md#root) SPEC(config-linux.md#rootfs-mount-propagation)
    fn root(&mut self) -> Result<()> {
        let apart = self.is_among_peers();
        if self.namespaces.has(libc::CLONE_NEWNS) && !apart {
            self.push(Step::TreePropagation {
                flag: libc::MS_SLAVE,
            });
        }
        let path = c_string("root.path", self.rootfs.as_os_str().as_bytes())?;
        let mount = self.namespaces.has(libc::CLONE_NEWNS);
        if let Some(overlay) = &self.options.overlay {
            if !mount || apart {
                return Err(Error::new(
                    "an image's root needs a mount namespace that shares nothing with the host",
                ));
            }
            // The container's root may read neither the layers nor the way to them, and only the host may map their ids.
            match self.namespaces.has(libc::CLONE_NEWUSER) && self.host.is_privileged() {
                true => {
                    self.prepared_root = Some(OverlayOp::new(overlay, path)?);
                    self.push(Step::AttachRoot);
                }
                false => self.push(Step::OverlayRoot(OverlayOp::new(overlay, path)?)),
            }
            return Ok(());
        }
        self.push(Step::OpenRoot { path, mount, apart });
        Ok(())
    }

    /// SPEC(config.md#mounts)
    fn mounts(&mut self) -> Result<()> {
        for (destination, source) in &self.options.volumes {
            let mut op = bind_op(destination, source)?;
            op.copy_up = true;
            let may_map = self.namespaces.has(libc::CLONE_NEWUSER) && self.host.is_privileged();
            op.idmap = may_map.then_some(Idmap {
                mapping: IdmapSource::Container,
                recursive: false,
            });
            self.mount(op);
        }
        for (index, mount) in self.spec.mounts.iter().enumerate() {
            let op = plan_mount(mount, index, &self.mount_facts())
                .map_err(|error| Error::new(error.to_string()))?
                .seen_inside(self.rootfs, self.steps.iter().filter_map(mount_point));
            if matches!(mount.kind.as_str(), "cgroup" | "cgroup2")
                && matches!(op.what, Mounted::FileSystem { .. })
            {
                // What is mounted shows the cgroup that we are in at that moment.
                self.join_cgroup();
                let own = self.namespaces.makes(libc::CLONE_NEWCGROUP);
                let steps = cgroup::cgroup_mounts(op, self.host, self.cgroup, own)?;
                let mounts = steps.iter().filter_map(|step| {
                    if let Step::Mount(op) = step {
                        Some(op)
                    } else {
                        None
                    }
                });
                self.readonly_later
                    .extend(mounts.filter_map(MountOp::late_readonly));
                self.steps.extend(steps);
            } else {
                self.readonly_later.extend(op.late_readonly());
                self.mount(op);
            }
        }
        if let Some(directory) = &self.options.notify_dir {
            let op = notify_mount(directory)?;
            self.mount(op);
        }
        Ok(())
    }

    fn mount_facts(&self) -> MountFacts<'p> {
        let label_option = self
            .spec
            .annotations
            .get("run.oci.mount_context_type")
            .map_or("context", String::as_str);
        MountFacts {
            bundle: &self.options.bundle,
            root: (!self.options.strict).then_some(self.rootfs),
            label: if self.host.selinux {
                &self.linux.mount_label
            } else {
                ""
            },
            label_option,
            user_namespace: self.namespaces.has(libc::CLONE_NEWUSER),
            new_network_namespace: self.namespaces.makes(libc::CLONE_NEWNET),
            new_ipc_namespace: self.namespaces.makes(libc::CLONE_NEWIPC),
            uid_mappings: &self.linux.uid_mappings,
            gid_mappings: &self.linux.gid_mappings,
        }
    }

    /// With a user namespace the host's side opens what it binds: the container's root may not reach it, and only the
    /// host may map a mount's ids. A caller without privileges may not, and reaches no more than its container's root.
    fn mount(&mut self, op: MountOp) {
        let may_open = self.host.may_mount();
        let step = match (
            &op.what,
            self.namespaces.has(libc::CLONE_NEWUSER) && may_open || op.idmap.is_some(),
        ) {
            (
                Mounted::Bind {
                    source,
                    recursive,
                    no_follow,
                    copy_symlink: false,
                },
                true,
            ) => {
                self.prepared.push(PreparedMount {
                    source: source.clone(),
                    recursive: *recursive,
                    no_follow: *no_follow,
                    idmap: op.idmap.clone(),
                    node: None,
                });
                Step::AttachPrepared {
                    prepared: self.prepared.len() - 1,
                    mount: MountOp { idmap: None, ..op },
                }
            }
            _ => {
                // Init asks its parent to map the ids of what it mounts, and the parent has given it its cgroups by then.
                if op.idmap.is_some() && self.namespaces.has(libc::CLONE_NEWUSER) {
                    self.join_cgroup();
                }
                Step::Mount(op)
            }
        };
        self.push(step);
    }

    /// SPEC(config.md#process), `terminal`. The console is bound before a read-only root forbids making it.
    fn terminal(&mut self) {
        let Some(process) = self
            .spec
            .process
            .as_ref()
            .filter(|process| process.terminal)
        else {
            return;
        };
        let console = !dev_is_bound(&self.spec.mounts);
        self.push(open_terminal(process, console));
    }

    /// Into the cgroup, then the namespace of it: its root is where we are. SPEC(config-linux.md#control-groups)
    fn join_cgroup(&mut self) {
        if std::mem::replace(&mut self.in_cgroup, true) {
            return;
        }
        self.push(Step::JoinCgroup);
        // An affinity of the caller's is not the container's: its cpuset decides. COMPAT(runc)
        self.push(Step::CpuAffinity(CpuSet::all()));
        if self.namespaces.makes(libc::CLONE_NEWCGROUP) {
            self.push(Step::UnshareCgroup);
        }
    }

    /// SPEC(config.md#prestart) SPEC(config.md#createruntime-hooks) SPEC(config.md#createcontainer-hooks)
    fn create_hooks(&mut self) -> Result<()> {
        let hooks = self.spec.hooks.as_ref();
        let runtime_hooks = hooks
            .is_some_and(|hooks| !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty());
        if runtime_hooks || !self.linux.net_devices.is_empty() {
            self.push(Step::AwaitRuntimeHooks);
        }
        let Some(hooks) = hooks else { return Ok(()) };
        for hook in hook_ops("hooks.createContainer", &hooks.create_container)? {
            self.push(Step::CreateContainerHook(hook));
        }
        Ok(())
    }

    /// Labels wait for the next `execve`, so they come after the hooks of this process, and before /proc is masked.
    fn labels(&mut self) -> Result<()> {
        if let Some(process) = &self.spec.process {
            self.steps
                .extend(process::plan_exec_label(process, self.host)?);
        }
        Ok(())
    }

    /// SPEC(config-linux.md#sysctl)
    fn kernel_parameters(&mut self) -> Result<()> {
        for (key, value) in &self.linux.sysctl {
            let at = format!("linux.sysctl[{key:?}]");
            let below = parameter_path(key);
            let path = c_string(&at, format!("sys/{below}"))?;
            let value = c_string(&at, value.as_bytes())?;
            self.push(Step::Sysctl { path, value });
        }
        Ok(())
    }

    /// SPEC(config-linux.md#masked-paths) SPEC(config-linux.md#readonly-paths)
    fn paths(&mut self) -> Result<()> {
        for path in &self.linux.readonly_paths {
            let path = c_string("linux.readonlyPaths", path.as_bytes())?;
            self.push(Step::ReadonlyPath(path));
        }
        for path in &self.linux.masked_paths {
            let path = c_string("linux.maskedPaths", path.as_bytes())?;
            self.push(Step::MaskPath(path));
        }
        if self.spec.root.as_ref().is_some_and(|root| root.readonly) {
            self.push(Step::ReadonlyRoot);
        }
        Ok(())
    }

    /// SPEC(config.md#root) SPEC(config-linux.md#rootfs-mount-propagation)
    fn change_root(&mut self) -> Result<()> {
        let how = match () {
            () if !self.namespaces.has(libc::CLONE_NEWNS) => RootChange::Chroot,
            () if self.options.no_pivot => RootChange::Move,
            () if self.is_among_peers() => RootChange::PivotFromPeers,
            () => RootChange::Pivot,
        };
        self.push(Step::ChangeRoot { how });
        match self.linux.rootfs_propagation.as_str() {
            "" => Ok(()),
            given => {
                let (flag, recursive) = propagation(given).ok_or_else(|| {
                    Error::new(format!(
                        "linux.rootfsPropagation: {given:?} is no propagation"
                    ))
                })?;
                self.push(Step::RootPropagation { flag, recursive });
                Ok(())
            }
        }
    }

    /// SPEC(config.md#hostname) SPEC(config.md#domainname)
    fn names(&mut self) -> Result<()> {
        if !self.spec.hostname.is_empty() {
            self.push(Step::Hostname(c_string(
                "hostname",
                self.spec.hostname.as_bytes(),
            )?));
        }
        if !self.spec.domainname.is_empty() {
            self.push(Step::Domainname(c_string(
                "domainname",
                self.spec.domainname.as_bytes(),
            )?));
        }
        Ok(())
    }

    /// SPEC(config-linux.md#personality) SPEC(config-linux.md#memory-policy) SPEC(config.md#linux-process)
    fn scheduling(&mut self) -> Result<()> {
        self.steps.extend(domain_and_policy(self.linux)?);
        match &self.spec.process {
            Some(process) => scheduling(process, &mut self.steps),
            None => Ok(()),
        }
    }

    /// From the container's root to the user's program. SPEC(config.md#process)
    fn process(&mut self) -> Result<()> {
        let Some(process) = &self.spec.process else {
            self.push(Step::CloseFds { keep: Vec::new() });
            self.push(Step::AwaitStart);
            return Ok(());
        };
        let hooks = self
            .spec
            .hooks
            .as_ref()
            .map(|hooks| hooks.start_container.as_slice())
            .unwrap_or_default();
        let start = Start {
            filtered: self.filtered,
            hooks: hook_ops("hooks.startContainer", hooks)?,
            keep_groups: super::namespaces::keeps_groups(self.spec, process, self.host)?,
            user_namespace: self.namespaces.has(libc::CLONE_NEWUSER),
            makes_directory: true,
        };
        let mut warnings = std::mem::take(&mut self.warnings);
        let steps = process_steps(process, self.host, self.options, start, &mut warnings);
        self.warnings = warnings;
        self.steps.extend(steps?);
        Ok(())
    }
}

/// When a process comes under its system call filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filtered {
    /// It has none.
    #[default]
    Never,
    /// Before `create` returns: the listener must be with its agent by then.
    BeforeStart,
    /// At the last moment, so that the filter need not allow what we still do.
    BeforeExec,
}

impl Filtered {
    /// By the filter, if any.
    pub fn by(filter: Option<&SeccompPlan>) -> Filtered {
        match filter.map(|filter| &filter.listener) {
            None => Filtered::Never,
            Some(Some(_)) => Filtered::BeforeStart,
            Some(None) => Filtered::BeforeExec,
        }
    }
}

/// What besides the process itself decides how it is started.
#[derive(Debug, Default)]
pub struct Start {
    /// When it comes under its system call filter.
    pub filtered: Filtered,
    /// startContainer hooks.
    pub hooks: Vec<HookOp>,
    /// The caller's groups stay.
    pub keep_groups: bool,
    /// Whether the container has a user namespace, where root holds every capability.
    pub user_namespace: bool,
    /// Whether a missing working directory is made. COMPAT(runc): not by `exec`, where it is a typing error.
    pub makes_directory: bool,
}

/// The last part of every start, `exec`'s too: from root inside the container to the user's program.
pub fn process_steps(
    process: &Process,
    host: &Host,
    options: &Options,
    start: Start,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>> {
    // Before any path of the process is looked up: none of them may lead through an fd of ours. CVE-2024-21626
    let mut steps = vec![Step::CloseFds {
        keep: options.inherited_fds.clone(),
    }];
    if !process.cwd.is_empty() {
        steps.push(Step::WorkingDirectory {
            path: c_string("process.cwd", process.cwd.as_bytes())?,
            make: start.makes_directory,
        });
    }
    let grantable = process::Grantable::of(host, start.user_namespace);
    let (bounding, capabilities) =
        process::plan_capabilities(process.capabilities.as_ref(), grantable, warnings);
    let user = process::plan_user(
        &process.user,
        start.keep_groups,
        bounding,
        host.last_capability,
    )?;
    steps.push(Step::BecomeUser(UserOp {
        effective: capabilities.effective,
        ..user
    }));
    if process.no_new_privileges {
        steps.push(Step::NoNewPrivileges);
    }
    steps.extend(
        process
            .user
            .umask
            .map(|mask| Step::Umask(mask & 0o777))
            .or(Some(Step::Umask(0o022))),
    );
    steps.push(Step::FindProgram);
    if start.filtered == Filtered::BeforeStart {
        steps.push(Step::Seccomp);
    }
    steps.push(Step::AwaitStart);
    steps.extend(start.hooks.into_iter().map(Step::StartContainerHook));
    if start.filtered == Filtered::BeforeExec {
        steps.push(Step::Seccomp);
    }
    steps.push(Step::Capabilities(capabilities));
    steps.push(Step::Exec(process::plan_program(
        process,
        &runtime_environment(options),
        warnings,
    )?));
    Ok(steps)
}

/// Execution domain and memory policy. Common to init and `exec`.
pub fn domain_and_policy(linux: &Linux) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(personality) = &linux.personality {
        steps.push(Step::Personality(process::plan_personality(personality)?));
    }
    if let Some(policy) = linux.memory_policy.as_ref().filter(process::says_something) {
        steps.push(Step::MemoryPolicy(process::plan_memory_policy(policy)?));
    }
    Ok(steps)
}

/// Scheduler, I/O priority. Common to init and `exec`.
pub fn scheduling(process: &Process, steps: &mut Vec<Step>) -> Result<()> {
    if let Some(scheduler) = &process.scheduler {
        steps.push(Step::Scheduler(process::plan_scheduler(scheduler)?));
    }
    if let Some(priority) = &process.io_priority {
        steps.push(Step::IoPriority(process::plan_io_priority(priority)?));
    }
    Ok(())
}

/// The step that makes a process's terminal.
pub fn open_terminal(process: &Process, console: bool) -> Step {
    let size = process.console_size.as_ref();
    let limit = |length: u64| u16::try_from(length).unwrap_or(u16::MAX);
    Step::OpenTerminal {
        rows: size.map_or(0, |size| limit(size.height)),
        columns: size.map_or(0, |size| limit(size.width)),
        console,
        uid: process.user.uid,
    }
}
