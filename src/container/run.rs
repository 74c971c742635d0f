//! `run`: makes a container, starts it, stays until its process has ended, and deletes it. COMPAT(runc)

use super::console::Console;
use super::image::Tended;
use super::make::{AfterCreated, Making};
use super::monitor::{self, Watched};
use super::notify::Notify;
use super::options::{CreateOptions, Globals};
use super::out_of_memory::{self, Witness};
use super::trace::{self, Trace};
use super::{delete, image, own_binary, start};
use crate::error::{Context, Error, Result};
use crate::init::parent::Running;
use crate::plan::HookOp;
use crate::sys::clone::{fork_alone, pidfd_send_signal, wait_pidfd};
use crate::sys::{open, process, socket};
use std::os::fd::{AsFd, AsRawFd};

/// The process's exit code, 128 plus the signal where one ended it; 0 with `--detach`.
pub fn run(globals: &Globals, options: &CreateOptions) -> Result<i32> {
    own_binary::protect()?;
    let id = &options.id;
    let trace = Trace::open(options.trace_start.as_ref(), "run", id)?;
    let ended = run_named(globals, options, &trace).context(format_args!("run {id}"));
    trace.finish(&ended);
    ended
}

fn run_named(globals: &Globals, options: &CreateOptions, trace: &Trace<'_>) -> Result<i32> {
    let making = Making::plan(globals, options, !options.detach)?;
    let process = making.spec.process.as_ref();
    if process.is_none() {
        return Err(Error::new("cannot run a container without process")
            .hint("its config.json has no \"process\""));
    }
    let console = Console::open(process, options.console_socket.as_deref())?;
    if !options.detach && !options.no_subreaper {
        crate::sys::credentials::become_subreaper()
            .context("become the reaper of the container's orphans")?;
    }
    let (made, created) = making.run(&console, AfterCreated::Start)?;
    let master = console.master()?;
    monitor::prepare_terminal(master.as_ref());
    // Before the process runs: a signal that is meant for it must not end us instead.
    let signals = (!options.detach)
        .then(crate::sys::signal::signal_fd)
        .transpose()
        .context("make a signalfd")?;
    let notify = Notify::listen(made.dir.path())?;
    let witness = signals.as_ref().and_then(|_| Witness::of(&made.record));
    let init = created.start().inspect_err(|_| monitor::drain(&master))?;
    trace::mark(trace::STARTED);
    // What there was to warn of is of no use to whoever watches the log only when the process has ended.
    log::logger().flush();
    let (mut dir, record) = made.keep();
    if let Err(error) = start::poststart(&making.spec, &record) {
        end_and_remove(&init, dir, &record);
        return Err(error);
    }
    trace::mark("poststart hooks");
    trace.save();
    // Others may look at the container, signal it and run processes in it meanwhile.
    dir.unlock();
    if let (Some(image), Some(staged)) = (&options.image, &making.staged) {
        staged.settle();
        image::sweep(globals, &image.home);
    }
    let Some(signals) = signals else {
        if let Some(notify) = notify {
            let init_fd = init.pidfd.as_raw_fd();
            notify.await_ready(init.pid, |own| socket::ready([own, init_fd], -1))?;
        }
        if let Some(staged) = making.staged.as_ref().filter(|staged| staged.record.remove) {
            let hooks = making.plan.hooks.poststop.as_slice();
            leave_keeper(
                (globals, options),
                dir,
                &record,
                hooks,
                &init,
                &staged.tended,
            )?;
        }
        return Ok(0);
    };
    let exit = monitor::watch(&Watched {
        process: &init,
        signals,
        master,
        notify,
        memory: witness.as_ref().map(|witness| witness as _),
    })?;
    trace::mark("wait for the program");
    // What an out-of-memory kill leaves, of init or of what a shell there waited for.
    if exit.code() == 128 + libc::SIGKILL {
        out_of_memory::tell(&options.id, &record, witness.as_ref());
    }
    if !options.keep {
        let hooks = making.plan.hooks.poststop.as_slice();
        delete_ended(globals, options, dir, &record, hooks)?;
        trace::mark("delete");
    }
    Ok(exit.code())
}

/// SPEC(runtime.md#lifecycle): a failed poststart hook stops and deletes the container. Its error is what there is to tell.
fn end_and_remove(init: &Running, dir: super::StateDir, record: &super::Record) {
    let _ = pidfd_send_signal(init.pidfd.as_fd(), libc::SIGKILL);
    let _ = wait_pidfd(init.pidfd.as_raw_fd(), true);
    let _ = delete::remove(dir, record);
}

/// `run --detach --rm`: a process stays that deletes the container when it has ended. It holds the container's note in
/// the store, so if it is killed the next command does its work.
fn leave_keeper(
    (globals, options): (&Globals, &CreateOptions),
    dir: super::StateDir,
    record: &super::Record,
    poststop: &[HookOp],
    init: &Running,
    tended: &Tended,
) -> Result<()> {
    let keep = || {
        let _ = process::new_session();
        let _ = open::silence_standard_streams();
        crate::sys::memory::release_for_a_wait();
        let _ = socket::readable(init.pidfd.as_raw_fd(), -1);
        let deleted = delete_ended(globals, options, dir, record, poststop);
        tended.remove();
        process::exit(deleted.is_err().into())
    };
    fork_alone(keep).context("leave a process that deletes the container")?;
    tended.give_away();
    Ok(())
}

/// Another command may have deleted it in the meantime.
fn delete_ended(
    globals: &Globals,
    options: &CreateOptions,
    mut dir: super::StateDir,
    record: &super::Record,
    poststop: &[HookOp],
) -> Result<()> {
    match dir.lock_again() {
        Ok(()) => delete::remove_and_tell(dir, record, poststop),
        Err(_) if !globals.root.join(&options.id).exists() => Ok(()),
        Err(error) => Err(error),
    }
}
