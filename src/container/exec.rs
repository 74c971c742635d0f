//! `exec`: one more process in a running container. COMPAT(runc)

use super::console::{self, Console};
use super::monitor::{self, Watched};
use super::options::{ExecOptions, Globals};
use super::status::is_alive;
use super::trace::Trace;
use super::{
    Id, Record, StateDir, Status, exec_cgroup, inherited, intel_rdt, own_binary, pid_file,
    seccomp_agent, trace,
};
use crate::cgroup::Cgroup;
use crate::error::{Context, Error, Result};
use crate::host::Host;
use crate::init::parent::{Companion, Created, Spawned};
use crate::init::prepare::{ChildFds, Filter, HookState, Prepared};
use crate::init::spawn::{Join, Placement, spawn};
use crate::plan::namespaces::Namespaces;
use crate::plan::{self, ExecPlan, Step};
use crate::sys::clone::pidfd_open;
use nix::errno::Errno;
use oci::runtime::{Linux, Process, Spec};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// The process's exit code, 128 plus the signal where one ended it; 0 with `--detach`.
pub fn exec(globals: &Globals, id: &Id, options: &ExecOptions) -> Result<i32> {
    own_binary::protect()?;
    let trace = Trace::open(options.trace_start.as_ref(), "exec in", id)?;
    let ended = exec_named(globals, id, options, &trace).context(format_args!("exec in {id}"));
    trace.finish(&ended);
    ended
}

fn exec_named(globals: &Globals, id: &Id, options: &ExecOptions, trace: &Trace<'_>) -> Result<i32> {
    trace::mark("command line");
    let inherited = inherited::of_caller(options.preserve_fds);
    let dir = StateDir::open(&globals.root, id)?;
    let record = dir.read()?;
    check_status(&record, &dir, options)?;
    let spec = dir.config()?;
    let process = process(&spec, options)?;
    trace::mark("record and config.json");
    Console::check(
        Some(&process),
        options.console_socket.as_deref(),
        !options.detach,
    )?;
    let plan_options = plan::Options {
        id: id.to_string(),
        bundle: record.bundle.clone(),
        inherited_fds: inherited.fds,
        listen_fds: inherited.listen_fds,
        strict: globals.strict,
        default_seccomp: (record.image.as_ref()).is_some_and(|image| image.default_seccomp),
        ..plan::Options::default()
    };
    let plan = plan::plan_exec(&spec, &process, &Host::probe()?, &plan_options)?;
    plan.warnings
        .iter()
        .for_each(|warning| log::warn!("{warning}"));
    trace::mark("host and plan");
    let console = Console::open(Some(&process), options.console_socket.as_deref())?;
    if !options.detach && !options.no_subreaper {
        crate::sys::credentials::become_subreaper()
            .context("become the reaper of the process's orphans")?;
    }
    let created = enter_cgroup(&plan, &spec, &record, options, &console)?;
    let master = console.master()?;
    monitor::prepare_terminal(master.as_ref());
    let signals = (!options.detach)
        .then(crate::sys::signal::signal_fd)
        .transpose()
        .context("make a signalfd")?;
    register(&created, options)?;
    let running = created.start().inspect_err(|_| unregister(options))?;
    trace::mark(trace::STARTED);
    log::logger().flush();
    trace.save();
    match signals {
        None => Ok(0),
        Some(signals) => {
            let exit = monitor::watch(&Watched {
                process: &running,
                signals,
                master,
                notify: None,
                memory: None,
            })?;
            trace::mark("wait for the program");
            Ok(exit.code())
        }
    }
}

fn check_status(record: &Record, dir: &StateDir, options: &ExecOptions) -> Result<()> {
    match Status::of(record, dir) {
        Status::Running | Status::Created => Ok(()),
        Status::Paused if options.ignore_paused => Ok(()),
        Status::Paused => Err(Error::new("cannot exec in a paused container")
            .hint("resume it first, or use --ignore-paused to wait until somebody does")),
        Status::Stopped => Err(Error::new("cannot exec in a stopped container")),
        status => Err(Error::new(format!(
            "cannot exec in a container that is {status}"
        ))),
    }
}

/// `--process`, or the container's process with what the command line changes.
fn process(spec: &Spec, options: &ExecOptions) -> Result<Process> {
    let mut process = match &options.process_file {
        Some(file) => {
            let named = || file.display();
            let json = std::fs::read(file).context(format_args!("read {}", named()))?;
            oci::runtime::parse::<Process>(&json)
                .map_err(|error| Error::new(format!("{}: {error}", named())))?
        }
        None => Process {
            terminal: false,
            console_size: None,
            ..spec.process.clone().unwrap_or_default()
        },
    };
    process.terminal |= options.tty;
    if options.process_file.is_some() {
        return Ok(process);
    }
    process.args = options.args.clone();
    process.env.extend(options.env.iter().cloned());
    process.cwd = options.cwd.clone().unwrap_or(process.cwd);
    process.no_new_privileges = options
        .no_new_privileges
        .unwrap_or(process.no_new_privileges);
    process.selinux_label = options
        .selinux_label
        .clone()
        .unwrap_or(process.selinux_label);
    process.apparmor_profile = options
        .apparmor_profile
        .clone()
        .unwrap_or(process.apparmor_profile);
    if let Some(user) = &options.user {
        process.user.uid = user.uid;
        process.user.gid = user.gid.unwrap_or(process.user.gid);
    }
    process
        .user
        .additional_gids
        .extend(&options.additional_gids);
    if !options.capabilities.is_empty() {
        add_capabilities(&mut process, &options.capabilities);
    }
    Ok(process)
}

/// `--cap` widens the bounding, effective and permitted sets; inheritable stays, and ambient becomes only what is in
/// there already. CVE-2022-29162 COMPAT(runc)
fn add_capabilities(process: &mut Process, names: &[String]) {
    let capabilities = process.capabilities.get_or_insert_default();
    let named = |name: &String| plan::process::capability(name);
    let inheritable: Vec<_> = capabilities.inheritable.iter().filter_map(named).collect();
    let raised = names
        .iter()
        .filter(|name| named(name).is_some_and(|raised| inheritable.contains(&raised)));
    capabilities.ambient.extend(raised.cloned());
    for set in [
        &mut capabilities.bounding,
        &mut capabilities.effective,
        &mut capabilities.permitted,
    ] {
        set.extend(names.iter().cloned());
    }
}

/// Into the container's cgroup, or the one that `--cgroup` names. KERNEL: once init has moved below and given controllers
/// to its children, as systemd does, the container's own takes no process; then to where init is. COMPAT(runc, crun)
fn enter_cgroup<'p>(
    plan: &'p ExecPlan,
    spec: &Spec,
    record: &Record,
    options: &ExecOptions,
    console: &Console,
) -> Result<Created<'p>> {
    let own = exec_cgroup::open(record, &options.cgroups)?;
    let error = match enter(plan, spec, record, &own, console) {
        Err(error) if error.os() == Some(Errno::EBUSY) => error,
        other => return other,
    };
    match options.cgroups.is_empty() {
        true => match exec_cgroup::of_init(record) {
            Some(below) => enter(plan, spec, record, &below?, console),
            None => Err(error),
        },
        false => Err(exec_cgroup::adding(error)),
    }
}

/// Clones a process into the container's namespaces and cgroups and lets it do its steps.
fn enter<'p>(
    plan: &'p ExecPlan,
    spec: &Spec,
    record: &Record,
    cgroup: &Cgroup,
    console: &Console,
) -> Result<Created<'p>> {
    let filter = plan.seccomp.as_ref().map(|seccomp| Filter {
        program: &seccomp.filter,
        flags: seccomp.flags,
    });
    let chroots = plan.init.steps.contains(&Step::EnterRoot);
    let root = chroots.then(|| root_of(record)).transpose()?;
    let fds = ChildFds {
        console: console.child_end(),
        root: root.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        ..ChildFds::default()
    };
    let mut prepared = Prepared::new(&plan.init, filter, HookState::default(), fds);
    let placement = Placement {
        join: namespaces_of(spec, record)?,
        into_cgroup: cgroup.clone_into_fd(),
    };
    trace::mark("cgroup and namespaces");
    let process = spawn(&mut prepared, &placement)?;
    trace::mark("clone");
    let init = Spawned::new(process, &plan.init, None);
    if let Some(rdt) = &record.intel_rdt {
        intel_rdt::admit(rdt, init.pid())?;
    }
    let joined = init.map_ids()?.join_cgroups(&cgroup.join_fds()?)?;
    trace::mark("id maps and cgroup join");
    joined.finish(&mut ExecSide { plan, record })
}

/// Init's root. Checked afterwards: another process may have got its pid.
fn root_of(record: &Record) -> Result<File> {
    let path = format!("/proc/{}/root", record.pid);
    let root = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(&path)
        .context(format_args!("open {path}"))?;
    match is_alive(record.pid, record.pid_start_ticks) {
        true => Ok(root),
        false => Err(Error::new("cannot exec in a stopped container")),
    }
}

/// All namespaces of init that are not ours anyway, by one pidfd. KERNEL(5.8)
fn namespaces_of(spec: &Spec, record: &Record) -> Result<Vec<Join>> {
    let none = Linux::default();
    let namespaces = Namespaces::of(spec.linux.as_ref().unwrap_or(&none))?;
    let flags = namespaces
        .join
        .iter()
        .fold(namespaces.new, |flags, join| flags | join.flag);
    let pidfd = match pidfd_open(record.pid) {
        Err(nix::errno::Errno::ENOSYS) => return namespace_files(flags, record.pid),
        opened => opened.context(format_args!("open a pidfd of init {}", record.pid))?,
    };
    let name = format!(
        "the {} namespaces of init {}",
        crate::init::spawn::namespace_names(flags),
        record.pid
    );
    Ok(match flags {
        0 => Vec::new(),
        _ => vec![Join {
            fd: pidfd,
            flags,
            name,
        }],
    })
}

/// KERNEL(<5.3): one by one, by their files.
#[cold]
fn namespace_files(flags: u64, pid: i32) -> Result<Vec<Join>> {
    // A time namespace that was made by unshare(2) belongs to the caller's user namespace; one that doesn't is tried
    // again behind the others.
    const FILES: [(i32, &str); 8] = [
        (libc::CLONE_NEWTIME, "time"),
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWNET, "net"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (libc::CLONE_NEWNS, "mnt"),
    ];
    let wanted = FILES.iter().filter(|(flag, _)| flags & *flag as u64 != 0);
    wanted
        .map(|(flag, file)| {
            let name = format!("/proc/{pid}/ns/{file}");
            let fd = File::open(&name).context(format_args!("open {name}"))?;
            Ok(Join {
                fd: fd.into(),
                flags: *flag as u64,
                name,
            })
        })
        .collect()
}

struct ExecSide<'e> {
    plan: &'e ExecPlan,
    record: &'e Record,
}

impl Companion for ExecSide<'_> {
    fn run_hooks(&mut self, _pid: i32) -> Result<()> {
        Ok(())
    }

    fn pass_listener(&mut self, pid: i32, listener: OwnedFd) -> Result<()> {
        seccomp_agent::send(self.plan.seccomp.as_ref(), self.record, pid, listener)
    }

    fn warn(&mut self, warning: Error) {
        log::warn!("{warning}");
    }
}

/// Tells the caller's pid file and socket of the process; neither or both.
fn register(created: &Created<'_>, options: &ExecOptions) -> Result<()> {
    if let Some(file) = &options.pid_file {
        pid_file::write(file, created.pid())?;
    }
    if let (Some(socket), Some(pidfd)) = (&options.pidfd_socket, created.pidfd()) {
        console::send_fd(socket, pidfd, "pidfd").inspect_err(|_| unregister(options))?;
    }
    Ok(())
}

/// Takes the pid file back: the process will never run.
fn unregister(options: &ExecOptions) {
    if let Some(file) = &options.pid_file {
        let _ = std::fs::remove_file(file);
    }
}
