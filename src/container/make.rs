//! Making a container: what `create` and `run` have in common, from the bundle to an init that waits.
//!
//! Read [`Making::run`]: it is the whole of it, in order. Everything made on the way is owned by a value that undoes it
//! when dropped, so a failure at any step leaves nothing; what a SIGKILL leaves is noted in the state directory first.

use super::companion::HostSide;
use super::console::Console;
use super::hooks::HookOutput;
use super::host_mounts::{self, HostMounts};
use super::image::{self, ImageRecord, Staged};
use super::intel_rdt::{self, RdtRecord};
use super::options::{CreateOptions, Globals};
use super::state::{Phase, Record, StateDir, Unpublished};
use super::{hooks, inherited, listener, notify, status, timestamp, trace};
use crate::cgroup::{self, Cgroup, CgroupRecord};
use crate::error::{Context, Error, Result};
use crate::host::Host;
use crate::init::fault;
use crate::init::parent::{Created, Spawned, interrupted};
use crate::init::prepare::{ChildFds, Filter, HookState, Prepared};
use crate::init::spawn::{Join, Placement, spawn};
use crate::plan::{self, HookOp, Plan};
use crate::sys::{signal, socket};
use oci::runtime::Spec;
use std::borrow::Cow;
use std::mem::take;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container that is about to be made: its plan stands, nothing exists yet.
pub struct Making<'o> {
    globals: &'o Globals,
    options: &'o CreateOptions,
    /// As it was read; nothing where we made it ourselves.
    json: Option<Vec<u8>>,
    /// The configuration.
    pub spec: Spec,
    /// What will be done.
    pub plan: Plan,
    plan_options: plan::Options,
    /// Of a container that is made from an image.
    pub staged: Option<Staged<'o>>,
    host: Host,
    /// Readable when a signal asks us to end: everything is undone then, and the signal is delivered last.
    signals: OwnedFd,
}

/// What init does when all but its program is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterCreated {
    /// Waits on the start socket for another command.
    Wait,
    /// Waits for our word.
    Start,
}

/// A container that was made; undone when dropped before it is [kept](Made::keep).
pub struct Made {
    undo: Undo,
    /// Its directory, locked.
    pub dir: StateDir,
    /// What is remembered of it.
    pub record: Record,
    /// Its cgroups.
    pub cgroup: Cgroup,
}

impl Made {
    /// From here on the container lives by itself; what is left is its directory, locked, and its record.
    pub fn keep(mut self) -> (StateDir, Record) {
        self.undo.armed = false;
        (self.dir, self.record)
    }
}

/// Removes processes that init left, cgroups, the resctrl group, pid file and state directory. Init was killed by its own
/// guard before; what can't be removed now is found again through the state directory.
struct Undo {
    armed: bool,
    directory: PathBuf,
    cgroup: CgroupRecord,
    pid_file: Option<PathBuf>,
    intel_rdt: Option<RdtRecord>,
    image: Option<ImageRecord>,
    host_mounts: Option<HostMounts>,
    /// Hooks to run when all is undone, and what the container was: set once any hook may have run.
    poststop: Option<(Vec<HookOp>, Record)>,
}

impl Undo {
    fn leave_group(&self) -> Result<()> {
        self.intel_rdt.as_ref().map_or(Ok(()), intel_rdt::remove)
    }

    fn leave_mounts(&self) -> Result<()> {
        self.host_mounts
            .as_ref()
            .map_or(Ok(()), host_mounts::unmount)
    }

    fn leave_image(&self) -> Result<()> {
        self.image.as_ref().map_or(Ok(()), image::discard)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // What ran in a cgroup before us is not ours to end.
        let _ = super::kill::end_in(&self.cgroup.made_for_it());
        if let Some(file) = &self.pid_file {
            let _ = std::fs::remove_file(file);
        }
        let left = cgroup::destroy(&self.cgroup)
            .and_then(|()| self.leave_mounts())
            .and_then(|()| self.leave_group())
            .and_then(|()| self.leave_image());
        if left.is_ok() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        // SPEC(runtime.md#lifecycle): where a hook before the process fails, the life cycle goes on with these.
        if let Some((hooks, record)) = &self.poststop {
            hooks::run_all_and_warn("poststop", hooks, record);
        }
    }
}

impl<'o> Making<'o> {
    /// Reads the bundle and plans; changes nothing.
    pub fn plan(
        globals: &'o Globals,
        options: &'o CreateOptions,
        attached: bool,
    ) -> Result<Making<'o>> {
        trace::mark("command line");
        let image = options.image.as_ref();
        let mut staged = image
            .map(|image| Staged::new(image, &globals.root, &options.id))
            .transpose()?;
        let (bundle, json, spec) = match &mut staged {
            Some(staged) => (staged.bundle.clone(), None, take(&mut staged.spec)),
            None => {
                let bundle = absolute(&options.bundle)?;
                let (json, spec) = read_config(&bundle, options.config_file.as_deref())?;
                (bundle, Some(json), spec)
            }
        };
        trace::mark("config.json");
        let host = Host::probe()?;
        trace::mark("host");
        let plan_options = plan::Options {
            overlay: staged.as_ref().map(|staged| staged.overlay.clone()),
            volumes: staged.as_ref().map_or_else(Vec::new, Staged::volumes),
            default_seccomp: staged
                .as_ref()
                .is_some_and(|staged| staged.record.default_seccomp),
            ..plan_options(globals, options, bundle)
        };
        let plan = plan::plan(&spec, &host, &plan_options)?;
        trace::mark("plan");
        Console::check(
            spec.process.as_ref(),
            options.console_socket.as_deref(),
            attached,
        )?;
        plan.warnings
            .iter()
            .for_each(|warning| log::warn!("{warning}"));
        Ok(Making {
            globals,
            options,
            json,
            spec,
            plan,
            plan_options,
            staged,
            host,
            signals: signal::defer_termination().context("make a signalfd")?,
        })
    }

    /// Makes the container up to an init that has done everything but become its program.
    pub fn run(&self, console: &Console, then: AfterCreated) -> Result<(Made, Created<'_>)> {
        let rdt = self.survey_group()?;
        let host_mounts = host_mounts::survey(&self.plan)?;
        let dir = self.take_id()?;
        let mut made = self.note(dir, rdt, host_mounts)?;
        let unclaimed = self.staged.as_ref().map(Staged::make).transpose()?;
        if unclaimed.is_some() {
            point("snapshot")?;
        }
        self.make_group(&mut made)?;
        if self.plan.cgroup.systemd.is_none() {
            made.cgroup = cgroup::begin(&self.plan.cgroup, &made.record.cgroup)?;
        }
        point("cgroup")?;
        if let Some(directory) = &self.plan_options.notify_dir {
            notify::make_directory(directory)?;
        }
        let waits = then == AfterCreated::Wait;
        let start = waits.then(|| listener::bind(made.dir.path())).transpose()?;
        point("start-socket")?;
        let start = start.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let hook_output = HookOutput::of(&made.record.annotations)?;
        let fds = self.child_fds(console, start, &hook_output)?;
        point("prepared-mounts")?;
        let init = self.spawn(&made, fds)?;
        point("clone")?;
        // From here on the child mounts, on another core, while we see to what it can't do itself.
        let mapped = init.map_ids()?;
        point("id-maps")?;
        self.limit(&mut made, mapped.pid())?;
        point("limits")?;
        // The child may run hooks from then on, and `delete` knows from the configuration which ones follow them.
        let is_undone_by_hooks = !self.plan.hooks.poststop.is_empty();
        if is_undone_by_hooks {
            made.dir.write_first_config(&self.json()?)?;
        }
        let joined = mapped.join_cgroups(&made.cgroup.join_fds()?)?;
        point("cgroup-join")?;
        // The child waited for its cgroups; for what follows nobody does.
        if !is_undone_by_hooks {
            made.dir.write_first_config(&self.json()?)?;
        }
        if let (Some(staged), Some(unclaimed)) = (&self.staged, unclaimed) {
            staged.claim(unclaimed)?;
            point("claim")?;
        }
        let record = self.stage(&mut made, joined.pid())?;
        point("staged")?;
        if is_undone_by_hooks {
            let hooks = self.plan.hooks.poststop.clone();
            made.undo.poststop = Some((hooks, made.record.clone()));
        }
        let signals = self.signals.as_fd();
        let mut host_side = HostSide::new(&self.spec, &self.plan, &made.record, signals);
        let created = joined.finish(&mut host_side)?;
        fault::point("created")?;
        record.publish()?;
        self.register(&mut made, &created)?;
        match socket::readable(signals.as_raw_fd(), 0).context("poll")? {
            true => Err(interrupted()),
            false => Ok((made, created)),
        }
    }

    /// The configuration as it is kept.
    fn json(&self) -> Result<Cow<'_, [u8]>> {
        match &self.json {
            Some(json) => Ok(Cow::Borrowed(json)),
            None => serde_json::to_vec(&self.spec)
                .map(Cow::Owned)
                .map_err(|error| Error::new(format!("write the configuration: {error}"))),
        }
    }

    /// An id that a killed `run` of an image left behind is free after sweeping.
    fn take_id(&self) -> Result<StateDir> {
        let take = || StateDir::create(&self.globals.root, &self.options.id);
        match (take(), &self.options.image) {
            (Err(_), Some(image)) => {
                image::sweep(self.globals, &image.home);
                take()
            }
            (taken, _) => taken,
        }
    }

    /// What limits the container, complete before the child enters it.
    fn limit(&self, made: &mut Made, pid: i32) -> Result<()> {
        if let Some(rdt) = &made.record.intel_rdt {
            intel_rdt::admit(rdt, pid)?;
        }
        match &self.plan.cgroup.systemd {
            // systemd moves the process into the scope itself, so there must be one.
            Some(scope) => made.cgroup = cgroup::create_scope(&self.plan.cgroup, scope, pid)?,
            None => cgroup::complete(&self.plan.cgroup, &made.record.cgroup, &mut made.cgroup)?,
        }
        let warnings = made.cgroup.warnings.iter();
        warnings.for_each(|warning| log::warn!("{warning}"));
        Ok(())
    }

    fn survey_group(&self) -> Result<Option<RdtRecord>> {
        let plan = self.plan.intel_rdt.as_ref();
        plan.map(|plan| intel_rdt::survey(plan, intel_rdt::mount_point()?))
            .transpose()
    }

    fn make_group(&self, made: &mut Made) -> Result<()> {
        if let (Some(plan), Some(rdt)) = (&self.plan.intel_rdt, &mut made.undo.intel_rdt) {
            intel_rdt::make(plan, rdt)?;
            made.record.intel_rdt = Some(rdt.clone());
        }
        Ok(())
    }

    /// Takes the id and writes down where the groups will be: the next command can undo what a SIGKILL interrupts.
    fn note(
        &self,
        dir: StateDir,
        intel_rdt: Option<RdtRecord>,
        host_mounts: Option<HostMounts>,
    ) -> Result<Made> {
        let undo = Undo {
            armed: true,
            directory: dir.path().to_owned(),
            cgroup: cgroup::survey(&self.plan.cgroup),
            intel_rdt,
            pid_file: None,
            image: self.staged.as_ref().map(|staged| staged.record.clone()),
            host_mounts,
            poststop: None,
        };
        let record = Record {
            oci_version: self.spec.version.clone(),
            id: self.options.id.to_string(),
            bundle: self.plan_options.bundle.clone(),
            rootfs: self.plan.rootfs.clone(),
            created: timestamp::now(),
            owner: self.host.uid,
            annotations: self.spec.annotations.clone(),
            phase: Phase::Creating,
            cgroup: undo.cgroup.clone(),
            intel_rdt: undo.intel_rdt.clone(),
            image: undo.image.clone(),
            host_mounts: undo.host_mounts.clone(),
            ..Record::default()
        };
        let made = Made {
            undo,
            dir,
            record,
            cgroup: Cgroup::default(),
        };
        point("state-directory")?;
        made.dir.write(&made.record)?;
        point("record")?;
        Ok(made)
    }

    fn child_fds(&self, console: &Console, start: i32, hooks: &HookOutput) -> Result<ChildFds> {
        let (mounts, id_maps) = super::idmap::prepare(&self.plan)?;
        Ok(ChildFds {
            console: console.child_end(),
            start,
            hook_output: hooks.fds(),
            mounts,
            id_maps,
            image: super::idmap::prepare_root(&self.plan)?,
            ..ChildFds::default()
        })
    }

    fn spawn(&self, made: &Made, fds: ChildFds) -> Result<Spawned<'_>> {
        let filter = self.plan.seccomp.as_ref().map(|seccomp| Filter {
            program: &seccomp.filter,
            flags: seccomp.flags,
        });
        // COMPAT(crun): hooks inside the container's namespaces see it as created, docs/conformance.md.
        let state = super::report::hook_state(&made.record, super::Status::Created, HookState::PID);
        let state = HookState::new(&state);
        let mut prepared = Prepared::new(&self.plan.init, filter, state, fds);
        let join = self
            .plan
            .init
            .join
            .iter()
            .map(open_namespace)
            .collect::<Result<Vec<_>>>()?;
        let placement = Placement {
            join,
            into_cgroup: made.cgroup.clone_into_fd(),
        };
        let process = spawn(&mut prepared, &placement)?;
        prepared.fds.close();
        let signals = self.signals.as_fd();
        Ok(Spawned::new(process, &self.plan.init, Some(signals)))
    }

    /// Writes what will be known of the container, while the child is still at work.
    fn stage(&self, made: &mut Made, pid: i32) -> Result<Unpublished> {
        made.record.pid = pid;
        made.record.pid_start_ticks = status::start_ticks(pid)?;
        made.record.phase = Phase::Created;
        made.record.cgroup = made.cgroup.record.clone();
        made.dir.stage(&made.record)
    }

    /// The container can be found: whoever waits for it is told.
    fn register(&self, made: &mut Made, created: &Created<'_>) -> Result<()> {
        let pid = created.pid();
        point("registered")?;
        if let Some(file) = &self.options.pid_file {
            super::pid_file::write(file, pid)?;
            made.undo.pid_file = Some(file.clone());
        }
        point("pid-file")?;
        // COMPAT(crun): the annotation means what `--pidfd-socket` does.
        let receiver = made.record.annotations.get("run.oci.pidfd_receiver");
        let receiver = receiver.map(PathBuf::from);
        let socket = self.options.pidfd_socket.as_ref().or(receiver.as_ref());
        if let (Some(socket), Some(pidfd)) = (socket, created.pidfd()) {
            super::console::send_fd(socket, pidfd, "pidfd")?;
        }
        Ok(())
    }
}

/// A place between two phases: the trace notes it, and faults strike there.
fn point(name: &'static str) -> Result<()> {
    trace::mark(name);
    fault::point(name)
}

/// What the command line says, as planning takes it.
fn plan_options(globals: &Globals, options: &CreateOptions, bundle: PathBuf) -> plan::Options {
    let inherited = inherited::of_caller(options.preserve_fds);
    plan::Options {
        id: options.id.to_string(),
        bundle,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        inherited_fds: inherited.fds,
        listen_fds: inherited.listen_fds,
        notify_dir: super::notify::directory(&globals.root.join(&options.id)),
        cgroup_manager: globals.cgroup_manager,
        strict: globals.strict,
        overlay: None,
        volumes: Vec::new(),
        default_seccomp: false,
    }
}

/// What making the container would do: for `plan`, which needs no privileges and changes nothing. A container that
/// only root can start is planned as for root.
pub fn planned(globals: &Globals, options: &CreateOptions) -> Result<Plan> {
    let bundle = absolute(&options.bundle)?;
    let (_, spec) = read_config(&bundle, options.config_file.as_deref())?;
    let mut host = Host::probe()?;
    let linux = spec.linux.as_ref();
    let kinds = linux
        .iter()
        .flat_map(|linux| &linux.namespaces)
        .map(|namespace| namespace.kind.as_str());
    if host.uid != 0 && !kinds.into_iter().any(|kind| kind == "user") {
        host = host.as_root();
    }
    plan::plan(&spec, &host, &plan_options(globals, options, bundle))
}

fn open_namespace(join: &plan::JoinNamespace) -> Result<Join> {
    let path = &join.path;
    let fd =
        std::fs::File::open(path).context(format_args!("open namespace {}", path.display()))?;
    super::namespace::check_type(&fd, join.flag, path)?;
    let name = format!(
        "the {} namespace {}",
        crate::init::spawn::namespace_names(join.flag),
        path.display()
    );
    Ok(Join {
        fd: fd.into(),
        flags: join.flag,
        name,
    })
}

/// Absolute, as the state shows it. COMPAT(crun): by the name that the caller gave it, links and all; one that leads
/// through `..` has no other name than the real one.
pub fn absolute(bundle: &Path) -> Result<PathBuf> {
    let named = || format!("bundle {}", bundle.display());
    let real = bundle.canonicalize().context(named())?;
    let upwards = bundle
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    match upwards {
        true => Ok(real),
        false => std::path::absolute(bundle).context(named()),
    }
}

/// Reads and parses the configuration. SPEC(bundle.md)
pub fn read_config(bundle: &Path, file: Option<&Path>) -> Result<(Vec<u8>, Spec)> {
    let path = file.map_or_else(|| bundle.join("config.json"), Path::to_owned);
    let named = || path.display();
    let size = std::fs::metadata(&path)
        .context(format_args!("read {}", named()))?
        .len();
    if size > oci::runtime::MAX_CONFIG_BYTES {
        let limit = oci::runtime::MAX_CONFIG_BYTES >> 20;
        return Err(Error::new(format!(
            "read {}: {size} bytes are more than the {limit} MiB allowed",
            named()
        )));
    }
    let json = std::fs::read(&path).context(format_args!("read {}", named()))?;
    let spec = Spec::parse(&json).map_err(|error| Error::new(format!("{}: {error}", named())))?;
    Ok((json, spec))
}
