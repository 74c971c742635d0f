//! The host's side while init is at work: hooks, network devices, the seccomp agent.

use super::{Record, Status, hooks, net_device, seccomp_agent};
use crate::error::{Error, Result};
use crate::init::parent::Companion;
use crate::plan::Plan;
use oci::runtime::Spec;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Answers init's requests from what the plan and the record say.
pub struct HostSide<'m> {
    spec: &'m Spec,
    plan: &'m Plan,
    record: &'m Record,
    interrupt: BorrowedFd<'m>,
}

impl<'m> HostSide<'m> {
    /// For the container that is being made; a hook is killed when `interrupt` becomes readable.
    pub fn new(
        spec: &'m Spec,
        plan: &'m Plan,
        record: &'m Record,
        interrupt: BorrowedFd<'m>,
    ) -> Self {
        HostSide {
            spec,
            plan,
            record,
            interrupt,
        }
    }
}

impl Companion for HostSide<'_> {
    /// SPEC(runtime.md#lifecycle): the state that these hooks read says `creating`.
    fn run_hooks(&mut self, pid: i32) -> Result<()> {
        if let Some(linux) = &self.spec.linux {
            net_device::move_all(&linux.net_devices, pid)?;
        }
        let moment = hooks::Moment {
            record: self.record,
            status: Status::Creating,
            pid,
            interrupt: self.interrupt.as_raw_fd(),
        };
        hooks::run_all("prestart", &self.plan.hooks.prestart, &moment)?;
        hooks::run_all("createRuntime", &self.plan.hooks.create_runtime, &moment)
    }

    fn pass_listener(&mut self, pid: i32, listener: OwnedFd) -> Result<()> {
        seccomp_agent::send(self.plan.seccomp.as_ref(), self.record, pid, listener)
    }

    fn warn(&mut self, warning: Error) {
        log::warn!("{warning}");
    }
}
