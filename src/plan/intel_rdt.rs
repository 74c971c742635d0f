//! Intel's resource control of a container, as inert data: which group, which schemata, whether it is monitored.
//!
//! SPEC(config-linux.md#intelrdt). Where `resctrl` is mounted and which groups exist is for `container::intel_rdt`.

use crate::error::{Error, Result};
use oci::runtime::{IntelRdt, Spec};
use std::collections::BTreeMap;

/// The group of a container and what it is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntelRdtPlan {
    /// Directory below the mount point; empty is the root group.
    pub group: String,
    /// Only an existing group will do: it is named, and nothing says what would be in a new one.
    pub must_exist: bool,
    /// Lines of a new group, which an existing one must have already; each with its newline.
    pub schema: String,
    /// Lines that are written in any case, after the others; each with its newline.
    pub schemata: String,
    /// Name of the container's monitoring group, where there is to be one.
    pub monitor: Option<String>,
}

/// What `linux.intelRdt` asks for; the container's id is the name where it gives none.
pub fn plan_intel_rdt(spec: &Spec, id: &str) -> Option<IntelRdtPlan> {
    let rdt = spec.linux.as_ref()?.intel_rdt.as_ref()?;
    let schema = schema_lines(&rdt.l3_cache_schema, &rdt.mem_bw_schema);
    let schemata = lines(rdt.schemata.iter().map(String::as_str));
    let named = !rdt.clos_id.is_empty();
    Some(IntelRdtPlan {
        group: match rdt.clos_id.as_str() {
            "" => id.to_owned(),
            "/" => String::new(),
            class => class.to_owned(),
        },
        must_exist: named && schema.is_empty() && schemata.is_empty(),
        schema,
        schemata,
        monitor: rdt.enable_monitoring.then(|| id.to_owned()),
    })
}

/// What `update` writes, and what the configuration is from then on.
pub fn plan_update(
    present: &IntelRdt,
    l3_cache_schema: Option<&str>,
    mem_bw_schema: Option<&str>,
) -> Result<(String, IntelRdt)> {
    if mem_bw_schema.is_some_and(|text| !text.starts_with("MB:") || text.contains('\n')) {
        return Err(Error::new(
            "--mem-bw-schema: must be one line that starts with MB:",
        ));
    }
    let lines = schema_lines(
        l3_cache_schema.unwrap_or_default(),
        mem_bw_schema.unwrap_or_default(),
    );
    let mut updated = present.clone();
    if let Some(text) = l3_cache_schema {
        updated.l3_cache_schema = text.to_owned();
    }
    if let Some(text) = mem_bw_schema {
        updated.mem_bw_schema = text.to_owned();
    }
    Ok((lines, updated))
}

/// Both fields together: a bandwidth line among those of the cache gives way to the one of its own field.
fn schema_lines(l3_cache: &str, mem_bw: &str) -> String {
    let cache = l3_cache
        .lines()
        .filter(|line| mem_bw.is_empty() || !line.trim_start().starts_with("MB:"));
    lines(cache.chain([mem_bw]))
}

fn lines<'l>(all: impl Iterator<Item = &'l str>) -> String {
    let present = all.filter(|line| !line.trim().is_empty());
    present.flat_map(|line| [line, "\n"]).collect()
}

/// The first line of `wanted` that a `schemata` file contradicts. Domains that a line leaves out may be anything.
pub fn contradicted<'w>(wanted: &'w str, file: &str) -> Option<&'w str> {
    let file: BTreeMap<&str, BTreeMap<&str, u64>> = file.lines().filter_map(parse).collect();
    wanted.lines().find(|line| match parse(line) {
        Some((resource, domains)) => {
            let found = file.get(resource);
            domains
                .iter()
                .any(|(domain, value)| found.and_then(|found| found.get(domain)) != Some(value))
        }
        None => true,
    })
}

/// `    L3:0=7ff;1=7ff`. The kernel pads names and masks, so only parsed lines compare.
fn parse(line: &str) -> Option<(&str, BTreeMap<&str, u64>)> {
    let (resource, domains) = line.trim().split_once(':')?;
    // KERNEL: bandwidth is decimal, cache masks are hexadecimal.
    let radix = if resource.ends_with("MB") { 10 } else { 16 };
    let domains = domains.split(';').filter(|domain| !domain.is_empty());
    let domains = domains.map(|domain| {
        let (domain, value) = domain.split_once('=')?;
        let value = value.trim().trim_start_matches("0x");
        Some((domain.trim(), u64::from_str_radix(value, radix).ok()?))
    });
    Some((resource, domains.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests;
