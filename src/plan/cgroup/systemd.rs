//! What systemd is asked for when it makes the cgroup: slice, scope and properties. Pure, as `plan_cgroup`.
//!
//! systemd keeps its own idea of a unit's limits and writes it again on `daemon-reload`, so limits that it has words for
//! are told to it, besides being written to the files.

use super::devices_v1::final_rules;
use super::gvariant::{self, Value};
use super::v2::weight_of_shares;
use crate::error::{Error, Result};
use crate::host::{CgroupLayout, Host};
use crate::plan::process::parse_list;
use oci::runtime::{Resources, Spec};

/// A transient scope.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemdPlan {
    /// `machine.slice`, or empty for the manager's root.
    pub slice: String,
    /// Unit name, `PREFIX-NAME.scope`.
    pub scope: String,
    /// Whether the user's manager is asked, not the system's.
    pub user: bool,
    /// Properties besides the process to put in.
    pub properties: Vec<(String, Value)>,
}

impl SystemdPlan {
    /// Where the scope's cgroup will be, without a leading slash. A user's manager has its own part of the tree; `own`, the
    /// caller's cgroup, tells where, if the caller is in it.
    pub(super) fn path(&self, own: &str, uid: u32) -> Result<String> {
        let manager = match (self.user, own.find("/user@")) {
            (false, _) => String::new(),
            (true, Some(at)) => {
                let end = own[at..]
                    .find(".service")
                    .map_or(own.len(), |end| at + end + ".service".len());
                own[1..end].to_owned()
            }
            (true, None) => format!("user.slice/user-{uid}.slice/user@{uid}.service"),
        };
        let parts = [manager, slice_path(&self.slice)?, self.scope.clone()];
        let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        Ok(parts.join("/"))
    }
}

/// Plans the scope. COMPAT(runc): `cgroupsPath` is `slice:prefix:name`.
pub fn plan(spec: &Spec, resources: &Resources, host: &Host, id: &str) -> Result<SystemdPlan> {
    let user = super::is_rootless(host);
    let wish = spec.linux.as_ref().map_or("", |l| l.cgroups_path.as_str());
    let (slice, scope) = names(wish, id, user)?;
    let v2 = matches!(host.cgroups, CgroupLayout::V2 { .. });
    let mut properties = vec![
        (
            "Description".to_owned(),
            Value::Text(format!("crun-lite container {id}")),
        ),
        ("Slice".to_owned(), Value::Text(slice.clone())),
        ("Delegate".to_owned(), Value::Bool(true)),
        ("DefaultDependencies".to_owned(), Value::Bool(false)),
    ];
    let io = if v2 {
        "IOAccounting"
    } else {
        "BlockIOAccounting"
    };
    for accounting in ["MemoryAccounting", "CPUAccounting", "TasksAccounting", io] {
        properties.push((accounting.to_owned(), Value::Bool(true)));
    }
    if !user {
        device_properties(resources, &mut properties)?;
    }
    properties.extend(limits(resources, v2)?);
    annotated(spec, &mut properties)?;
    Ok(SystemdPlan {
        slice,
        scope,
        user,
        properties,
    })
}

/// Slice and scope. Defaults are runc's: `system.slice`, or `user.slice` of the user's manager.
fn names(wish: &str, id: &str, user: bool) -> Result<(String, String)> {
    let default_slice = if user { "user.slice" } else { "system.slice" };
    let (slice, prefix, name) = match wish.split(':').collect::<Vec<_>>()[..] {
        [""] => ("", "crun-lite", id),
        [slice, prefix, name] => (slice, prefix, name),
        _ => {
            return Err(Error::new(format!(
                "linux.cgroupsPath is {wish:?}, but with systemd it has the form slice:prefix:name"
            ))
            .hint("give a path like system.slice:mine:web, or leave --systemd-cgroup out"));
        }
    };
    let slice = match slice {
        "" => default_slice.to_owned(),
        "-" | "-.slice" => "-.slice".to_owned(),
        slice => slice.to_owned(),
    };
    slice_path(&slice)?;
    let scope = match (name.strip_suffix(".slice"), prefix) {
        (Some(_), _) => {
            return Err(Error::new(format!(
                "linux.cgroupsPath: {name} is a slice, not a scope"
            )));
        }
        (None, "") => format!("{name}.scope"),
        (None, prefix) => format!("{prefix}-{name}.scope"),
    };
    match is_unit_name(&scope) {
        true => Ok((slice, scope)),
        false => Err(Error::new(format!(
            "linux.cgroupsPath: {scope:?} can't be a systemd unit's name"
        ))),
    }
}

fn is_unit_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    name.len() <= 255 && name.bytes().all(fits) && !name.starts_with('.')
}

/// `a-b.slice` is in `a.slice`: the path of a slice's cgroup, without a leading slash.
pub fn slice_path(slice: &str) -> Result<String> {
    let bad = || {
        Error::new(format!(
            "linux.cgroupsPath: {slice:?} is no name of a systemd slice"
        ))
    };
    let name = slice.strip_suffix(".slice").ok_or_else(bad)?;
    if name == "-" {
        return Ok(String::new());
    }
    if !is_unit_name(slice) || name.split('-').any(str::is_empty) {
        return Err(bad());
    }
    let ends = name
        .match_indices('-')
        .map(|(at, _)| at)
        .chain([name.len()]);
    let parts: Vec<String> = ends.map(|end| format!("{}.slice", &name[..end])).collect();
    Ok(parts.join("/"))
}

/// What systemd has words for.
pub fn limits(resources: &Resources, v2: bool) -> Result<Vec<(String, Value)>> {
    let mut found: Vec<(&str, Value)> = Vec::new();
    if let Some(memory) = &resources.memory {
        let bytes = |value: i64| Value::U64(u64::try_from(value).unwrap_or(u64::MAX));
        let limit = memory.limit.filter(|v| *v != 0);
        if let Some(limit) = limit {
            found.push((if v2 { "MemoryMax" } else { "MemoryLimit" }, bytes(limit)));
        }
        if v2 {
            let low = memory.reservation.filter(|v| *v != 0);
            found.extend(low.map(|v| ("MemoryLow", bytes(v))));
            let swap = super::v2::swap_max(limit, memory.swap.filter(|v| *v != 0))?;
            found.extend(swap.map(|v| ("MemorySwapMax", bytes(v))));
        }
    }
    if let Some(cpu) = &resources.cpu {
        let shares = cpu.shares.filter(|s| *s != 0);
        match (v2, cpu.idle) {
            (true, Some(1)) => found.push(("CPUWeight", Value::U64(0))),
            (true, _) => {
                found.extend(shares.map(|s| ("CPUWeight", Value::U64(weight_of_shares(s)))))
            }
            (false, _) => found.extend(shares.map(|s| ("CPUShares", Value::U64(s)))),
        }
        quota(cpu.quota.unwrap_or(0), cpu.period.unwrap_or(0), &mut found);
        if v2 {
            let masks = [
                ("AllowedCPUs", &cpu.cpus),
                ("AllowedMemoryNodes", &cpu.mems),
            ];
            for (name, list) in masks.into_iter().filter(|(_, list)| !list.is_empty()) {
                found.push((name, mask(list)?));
            }
        }
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|p| p.limit) {
        let limit = if limit == 0 {
            1
        } else {
            u64::try_from(limit).unwrap_or(u64::MAX)
        };
        found.push(("TasksMax", Value::U64(limit)));
    }
    if let Some(weight) = resources
        .block_io
        .as_ref()
        .and_then(|b| b.weight)
        .filter(|w| *w != 0)
    {
        found.push(match v2 {
            true => ("IOWeight", Value::U64(super::v2::io_weight(weight))),
            false => ("BlockIOWeight", Value::U64(weight.into())),
        });
    }
    found.extend(unified(resources));
    Ok(found
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// systemd counts in hundredths of a CPU: rounded up, so that the file, which is written after it, is not the wider one.
fn quota(quota: i64, period: u64, found: &mut Vec<(&str, Value)>) {
    if quota == 0 && period == 0 {
        return;
    }
    let length = if period == 0 { 100_000 } else { period };
    let a_second = match u64::try_from(quota) {
        Ok(quota) if quota > 0 => {
            let exact = quota.saturating_mul(1_000_000) / length;
            exact.div_ceil(10_000) * 10_000
        }
        _ => u64::MAX,
    };
    found.push(("CPUQuotaPerSecUSec", Value::U64(a_second)));
    if period != 0 {
        found.push(("CPUQuotaPeriodUSec", Value::U64(period)));
    }
}

/// Files of the unified map with a property of their own.
fn unified(resources: &Resources) -> Vec<(&'static str, Value)> {
    let known = [
        ("memory.high", "MemoryHigh"),
        ("memory.low", "MemoryLow"),
        ("memory.min", "MemoryMin"),
        ("memory.max", "MemoryMax"),
        ("memory.swap.max", "MemorySwapMax"),
        ("memory.zswap.max", "MemoryZSwapMax"),
        ("cpu.weight", "CPUWeight"),
        ("pids.max", "TasksMax"),
    ];
    let found = known.into_iter().filter_map(|(file, property)| {
        let value = match resources.unified.get(file)?.trim() {
            "max" => u64::MAX,
            number => number.parse().ok()?,
        };
        Some((property, Value::U64(value)))
    });
    found.collect()
}

/// `0-2,9` as the bytes of a bit mask, without zeroes behind the last.
fn mask(list: &str) -> Result<Value> {
    let words = parse_list(list)
        .map_err(|problem| Error::new(format!("linux.resources.cpu: {problem}")))?;
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let bytes = bytes.into_iter().take(used);
    Ok(Value::Array("y".into(), bytes.map(Value::Byte).collect()))
}

/// Without them `daemon-reload` would allow every device again on cgroup v1.
fn device_properties(resources: &Resources, properties: &mut Vec<(String, Value)>) -> Result<()> {
    let (allow_all, rules) = final_rules(&resources.devices)?;
    if allow_all {
        return Ok(());
    }
    let entries = rules.iter().map(|(device, access)| {
        Value::Struct(vec![
            Value::Text(device.clone()),
            Value::Text(access.clone()),
        ])
    });
    properties.push(("DevicePolicy".into(), Value::Text("strict".into())));
    properties.push((
        "DeviceAllow".into(),
        Value::Array("(ss)".into(), entries.collect()),
    ));
    Ok(())
}

/// `org.systemd.property.NAME` annotations. COMPAT(runc): `NAMESec` is given in seconds and sent as `NAMEUSec`.
fn annotated(spec: &Spec, properties: &mut Vec<(String, Value)>) -> Result<()> {
    const PREFIX: &str = "org.systemd.property.";
    for (key, text) in &spec.annotations {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(Error::new(format!(
                "annotation {key:?}: a systemd property's name is made of letters"
            )));
        }
        let value = gvariant::parse(text)
            .map_err(|problem| Error::new(format!("annotation {key:?}: {text:?}: {problem}")))?;
        let (name, value) = match name
            .strip_suffix("Sec")
            .filter(|base| !base.ends_with(['U', 'u']))
        {
            Some(base) => (
                format!("{base}USec"),
                microseconds(&value).ok_or_else(|| {
                    Error::new(format!(
                        "annotation {key:?}: {text:?} is no number of seconds"
                    ))
                })?,
            ),
            None => (name.to_owned(), value),
        };
        properties.retain(|(known, _)| *known != name);
        properties.push((name, value));
    }
    Ok(())
}

fn microseconds(value: &Value) -> Option<Value> {
    let seconds = match value {
        Value::I32(n) => f64::from(*n),
        Value::U32(n) => f64::from(*n),
        Value::I64(n) => *n as f64,
        Value::U64(n) => *n as f64,
        Value::F64(n) => *n,
        _ => return None,
    };
    (seconds >= 0.0).then_some(Value::U64((seconds * 1e6) as u64))
}
