//! `update`: what a change of a container's limits comes to. Pure, as `plan_cgroup`.
//!
//! The change is laid over what the container has, because some values only make sense together (swap with memory, quota
//! with period). Only what belongs to a group that the change names is written.

use super::devices_bpf::{self, Instruction};
use super::{Limits, Write, devices_v1, v1, v2};
use crate::error::{Error, Result};
use oci::runtime::{BlockIo, Cpu, Memory, Resources};

/// What an update writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdatePlan {
    /// Values in order, each with its controller.
    pub writes: Vec<(String, Write)>,
    /// v2: new device rules in the place of the present ones; the inner `None` allows everything.
    pub device_program: Option<Option<Vec<Instruction>>>,
    /// v2: the new memory limit in bytes, which must not be below what is in use.
    pub memory_limit: Option<u64>,
    /// Refuse a memory limit below the present use at once, instead of reclaiming first.
    pub check_before_update: bool,
    /// The container's limits after the update, to be remembered.
    pub resources: Resources,
    /// What the author should know but what stops nothing.
    pub warnings: Vec<String>,
}

/// Lays `change` over `current`. `pure_v2`: whether the container is in a unified hierarchy only.
pub fn plan_update(current: &Resources, change: &Resources, pure_v2: bool) -> Result<UpdatePlan> {
    let resources = merge(current, change);
    let touched = Resources {
        devices: Vec::new(),
        memory: change.memory.as_ref().and(resources.memory.clone()),
        cpu: change
            .cpu
            .as_ref()
            .zip(resources.cpu.clone())
            .map(touched_cpu),
        pids: change.pids.clone(),
        block_io: change.block_io.clone(),
        hugepage_limits: change.hugepage_limits.clone(),
        network: change.network.clone(),
        rdma: change.rdma.clone(),
        unified: change.unified.clone(),
    };
    let limits: Limits = match pure_v2 {
        true => v2::limits(&touched)?,
        false => v1::limits(&touched)?,
    };
    let mut plan = UpdatePlan {
        writes: limits
            .writes
            .into_iter()
            .map(|(c, w)| (c.to_owned(), w))
            .collect(),
        warnings: limits.warnings,
        ..UpdatePlan::default()
    };
    if pure_v2 {
        plan.writes.extend(v2::unified(&touched)?);
        let memory = touched.memory.as_ref();
        let limit = memory
            .and_then(|m| m.limit)
            .and_then(|limit| u64::try_from(limit).ok());
        plan.memory_limit = limit.filter(|limit| *limit != 0);
        plan.check_before_update = memory
            .and_then(|m| m.check_before_update)
            .unwrap_or_default();
    }
    if !change.devices.is_empty() && change.devices != current.devices {
        match pure_v2 {
            true => plan.device_program = Some(devices_bpf::program(&change.devices)?),
            false => {
                let lines = devices_v1::transition(&current.devices, &change.devices)?;
                plan.writes
                    .extend(lines.into_iter().map(|w| ("devices".to_owned(), w)));
            }
        }
    }
    plan.resources = resources;
    refuse_swap_below_memory(&plan.resources)?;
    Ok(plan)
}

/// KERNEL: a cgroup that is idle refuses shares, even those that it had; one that stops to be idle forgets them.
fn touched_cpu((change, merged): (&Cpu, Cpu)) -> Cpu {
    let wakes = change.idle == Some(0);
    Cpu {
        shares: merged.shares.filter(|_| wakes || change.shares.is_some()),
        idle: change.idle,
        ..merged
    }
}

/// The kernel would only say EINVAL.
fn refuse_swap_below_memory(resources: &Resources) -> Result<()> {
    let memory = resources.memory.as_ref();
    let (limit, swap) = (memory.and_then(|m| m.limit), memory.and_then(|m| m.swap));
    match (limit, swap) {
        (Some(limit), Some(swap)) if swap > 0 && limit > swap => Err(Error::new(format!(
            "the limit of memory and swap together ({swap}) can't be below that of memory ({limit})"
        ))
        .hint("give both: --memory and --memory-swap")),
        _ => Ok(()),
    }
}

fn merge(current: &Resources, change: &Resources) -> Resources {
    let list = |new: &Vec<_>, old: &Vec<_>| {
        if new.is_empty() {
            old.clone()
        } else {
            new.clone()
        }
    };
    let mut unified = current.unified.clone();
    unified.extend(change.unified.clone());
    let mut rdma = current.rdma.clone();
    rdma.extend(change.rdma.clone());
    let mut hugepage_limits = current.hugepage_limits.clone();
    hugepage_limits.retain(|old| {
        !change
            .hugepage_limits
            .iter()
            .any(|new| new.page_size == old.page_size)
    });
    hugepage_limits.extend(change.hugepage_limits.clone());
    Resources {
        devices: list(&change.devices, &current.devices),
        memory: over(&current.memory, &change.memory, merge_memory),
        cpu: over(&current.cpu, &change.cpu, merge_cpu),
        pids: change.pids.clone().or_else(|| current.pids.clone()),
        block_io: over(&current.block_io, &change.block_io, merge_block_io),
        hugepage_limits,
        network: change.network.clone().or_else(|| current.network.clone()),
        rdma,
        unified,
    }
}

fn over<T: Clone>(old: &Option<T>, new: &Option<T>, merge: fn(&T, &T) -> T) -> Option<T> {
    match (old, new) {
        (Some(old), Some(new)) => Some(merge(old, new)),
        (old, new) => new.clone().or_else(|| old.clone()),
    }
}

fn merge_memory(old: &Memory, new: &Memory) -> Memory {
    Memory {
        limit: new.limit.or(old.limit),
        reservation: new.reservation.or(old.reservation),
        // An unlimited memory under the old limit of both would be none. COMPAT(runc)
        swap: new.swap.or(match new.limit {
            Some(-1) => None,
            _ => old.swap,
        }),
        kernel: new.kernel.or(old.kernel),
        kernel_tcp: new.kernel_tcp.or(old.kernel_tcp),
        swappiness: new.swappiness.or(old.swappiness),
        disable_oom_killer: new.disable_oom_killer.or(old.disable_oom_killer),
        use_hierarchy: new.use_hierarchy.or(old.use_hierarchy),
        check_before_update: new.check_before_update.or(old.check_before_update),
    }
}

fn merge_cpu(old: &Cpu, new: &Cpu) -> Cpu {
    let text = |new: &String, old: &String| {
        if new.is_empty() {
            old.clone()
        } else {
            new.clone()
        }
    };
    Cpu {
        shares: new.shares.or(old.shares),
        quota: new.quota.or(old.quota),
        burst: new.burst.or(old.burst),
        period: new.period.or(old.period),
        realtime_runtime: new.realtime_runtime.or(old.realtime_runtime),
        realtime_period: new.realtime_period.or(old.realtime_period),
        cpus: text(&new.cpus, &old.cpus),
        mems: text(&new.mems, &old.mems),
        idle: new.idle.or(old.idle),
    }
}

fn merge_block_io(old: &BlockIo, new: &BlockIo) -> BlockIo {
    fn list<T: Clone>(new: &[T], old: &[T]) -> Vec<T> {
        if new.is_empty() {
            old.to_vec()
        } else {
            new.to_vec()
        }
    }
    BlockIo {
        weight: new.weight.or(old.weight),
        leaf_weight: new.leaf_weight.or(old.leaf_weight),
        weight_device: list(&new.weight_device, &old.weight_device),
        throttle_read_bps_device: list(
            &new.throttle_read_bps_device,
            &old.throttle_read_bps_device,
        ),
        throttle_write_bps_device: list(
            &new.throttle_write_bps_device,
            &old.throttle_write_bps_device,
        ),
        throttle_read_iops_device: list(
            &new.throttle_read_iops_device,
            &old.throttle_read_iops_device,
        ),
        throttle_write_iops_device: list(
            &new.throttle_write_iops_device,
            &old.throttle_write_iops_device,
        ),
    }
}
