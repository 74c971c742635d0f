//! `update`: changes a container's limits, and remembers them so that the next change builds on them.

use super::{Globals, Id, Record, StateDir, Status, UpdateOptions};
use crate::cgroup;
use crate::error::{Context, Error, Result};
use crate::plan::cgroup::plan_update;
use oci::runtime::{Linux, Resources, Spec};
use std::path::Path;

/// Where the kernel shows Intel's resource control.
const RESCTRL: &str = "/sys/fs/resctrl";

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
    let schemas = [&options.l3_cache_schema, &options.mem_bw_schema];
    for schema in schemas.into_iter().flatten() {
        set_schema(id, linux, schema)?;
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

/// SPEC(config-linux.md#intelrdt): the class of service is the named one, or has the container's id.
fn set_schema(id: &Id, linux: &Linux, schema: &str) -> Result<()> {
    let named = linux.intel_rdt.as_ref().map(|rdt| rdt.clos_id.as_str());
    let class = named.filter(|name| !name.is_empty()).unwrap_or(id.as_str());
    let file = Path::new(RESCTRL).join(class).join("schemata");
    std::fs::write(&file, format!("{schema}\n"))
        .context(format_args!("write {schema:?} to {}", file.display()))
        .map_err(|error| error.hint("the container has no Intel RDT class of its own"))
}

fn remember(dir: &StateDir, spec: &Spec) -> Result<()> {
    let json = serde_json::to_vec(spec)
        .map_err(|error| Error::new(format!("remember the limits: {error}")))?;
    dir.save_config(&json)
}
