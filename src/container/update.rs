//! `update`: changes a container's limits, and remembers them so that the next change builds on them.

use super::{Globals, Id, Record, StateDir, Status, UpdateOptions};
use crate::cgroup;
use crate::error::{Context, Error, Result};
use crate::plan::cgroup::plan_update;
use crate::plan::intel_rdt;
use oci::runtime::{Linux, Resources, Spec};

/// Applies what the options say; what they don't say stays.
pub fn update(globals: &Globals, id: &Id, options: &UpdateOptions) -> Result<()> {
    update_named(globals, id, options).context(format_args!("update {id}"))
}

fn update_named(globals: &Globals, id: &Id, options: &UpdateOptions) -> Result<()> {
    let dir = StateDir::open_locked(&globals.root, id)?;
    let record = dir.read()?;
    if !Status::of(&record, &dir).has_process() {
        return Err(Error::new("container not running"));
    }
    let mut spec = dir.config()?;
    let linux = spec.linux.get_or_insert_default();
    if options.resources != Resources::default() {
        limit(&record, linux, &options.resources)?;
    }
    if options.l3_cache_schema.is_some() || options.mem_bw_schema.is_some() {
        set_schemas(&record, linux, options)?;
    }
    remember(&dir, &spec)
}

fn limit(record: &Record, linux: &mut Linux, change: &Resources) -> Result<()> {
    if record.cgroup.directories.is_empty() {
        return Err(Error::new("the container has no cgroup of its own")
            .hint("it was created with --cgroup-manager disabled"));
    }
    let present = linux.resources.take().unwrap_or_default();
    let plan = plan_update(&present, change, record.cgroup.is_pure_v2())?;
    let warnings = cgroup::update(&record.cgroup, &plan)?;
    for warning in plan.warnings.iter().chain(&warnings) {
        log::warn!("{warning}");
    }
    linux.resources = Some(plan.resources);
    Ok(())
}

/// SPEC(config-linux.md#intelrdt)
fn set_schemas(record: &Record, linux: &mut Linux, options: &UpdateOptions) -> Result<()> {
    let Some(group) = &record.intel_rdt else {
        return Err(Error::new("the container is in no resctrl group")
            .hint("it was created without linux.intelRdt in its config.json"));
    };
    let present = linux.intel_rdt.take().unwrap_or_default();
    let (lines, updated) = intel_rdt::plan_update(
        &present,
        options.l3_cache_schema.as_deref(),
        options.mem_bw_schema.as_deref(),
    )?;
    linux.intel_rdt = Some(updated);
    super::intel_rdt::update(group, &lines)
}

fn remember(dir: &StateDir, spec: &Spec) -> Result<()> {
    let json = serde_json::to_vec(spec)
        .map_err(|error| Error::new(format!("remember the limits: {error}")))?;
    dir.write_config(&json)
}
