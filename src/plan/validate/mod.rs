//! What the specification requires of a `config.json`, judged before anything is planned.
//!
//! [`RULES`] lists the judges. A finding is an error, or, where runc and crun both accept what the specification
//! forbids, a warning that `--strict` turns into an error. Whether a path exists is not known here.

mod linux;
mod namespaces;
mod process;
mod resources;
mod text;
mod top;

pub(super) use resources::is_page_size;

use super::Options;
use super::field::invalid;
use crate::error::{Error, Result};
use crate::host::Host;
use oci::runtime::{IdMapping, Linux, Spec};
use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

/// The judges, each with the part of the specification that it knows.
const RULES: [fn(&Subject<'_>, &mut Findings); 24] = [
    text::no_nul,
    top::version,
    top::root,
    top::names,
    top::annotations,
    top::hooks,
    top::mounts,
    namespaces::types,
    namespaces::mount,
    namespaces::id_mappings,
    namespaces::time_offsets,
    namespaces::sysctls,
    namespaces::net_devices,
    process::program,
    process::user,
    process::environment,
    process::limits,
    process::scheduling,
    linux::devices,
    linux::paths,
    linux::propagation,
    linux::intel_rdt,
    linux::policies,
    resources::judge,
];

/// Judges a whole configuration: the warnings, or the first error.
pub fn validate(spec: &Spec, host: &Host, options: &Options) -> Result<Vec<String>> {
    let none = Linux::default();
    let subject = Subject {
        spec,
        linux: spec.linux.as_ref().unwrap_or(&none),
        host,
    };
    let mut findings = Findings {
        strict: options.strict,
        ..Findings::default()
    };
    for rule in RULES {
        rule(&subject, &mut findings);
    }
    findings.verdict()
}

/// What the judges look at.
struct Subject<'a> {
    spec: &'a Spec,
    /// Empty where the configuration has none.
    linux: &'a Linux,
    host: &'a Host,
}

impl Subject<'_> {
    /// Whether the container has a namespace of this type that isn't simply the caller's.
    fn has(&self, kind: &str) -> bool {
        self.linux
            .namespaces
            .iter()
            .any(|namespace| namespace.kind == kind)
    }

    /// Whether a namespace of this type is made for the container.
    fn makes(&self, kind: &str) -> bool {
        let mut namespaces = self.linux.namespaces.iter();
        namespaces.any(|namespace| namespace.kind == kind && namespace.path.is_empty())
    }
}

/// What the judges found.
#[derive(Default)]
struct Findings {
    strict: bool,
    error: Option<Error>,
    warnings: Vec<String>,
}

impl Findings {
    /// The specification and at least one peer forbid it.
    fn refuse(&mut self, at: impl Display, problem: impl Display) {
        self.error.get_or_insert_with(|| invalid(at, problem));
    }

    /// The specification forbids it, runc and crun both accept it, and engines may depend on that.
    fn tolerate(&mut self, at: impl Display, problem: impl Display) {
        match self.strict {
            true => self.refuse(at, problem),
            false => self.warnings.push(format!("{at}: {problem}")),
        }
    }

    /// Keeps the error of something that another part of the plan reads.
    fn check<T>(&mut self, read: Result<T>) {
        if let (None, Err(error)) = (&self.error, read) {
            self.error = Some(error);
        }
    }

    fn verdict(self) -> Result<Vec<String>> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.warnings),
        }
    }
}

/// The index of the first item whose key an earlier one has.
fn duplicate<'a, T, K: Hash + Eq>(items: &'a [T], key: impl Fn(&'a T) -> K) -> Option<usize> {
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().position(|item| !seen.insert(key(item)))
}

/// SPEC(config-linux.md#user-namespace-mappings), and the kernel's limits on what such a map may hold.
fn id_ranges(at: &str, ranges: &[IdMapping], findings: &mut Findings) {
    const MOST: usize = 340;
    if ranges.len() > MOST {
        findings.refuse(
            at,
            format_args!(
                "the kernel takes at most {MOST} ranges, not {}",
                ranges.len()
            ),
        );
        return;
    }
    let first_last = |id: u32, size: u32| (u64::from(id), u64::from(id) + u64::from(size));
    for (index, range) in ranges.iter().enumerate() {
        let inside = first_last(range.container_id, range.size);
        let outside = first_last(range.host_id, range.size);
        if range.size == 0 {
            findings.refuse(format_args!("{at}[{index}].size"), "must not be 0");
        }
        if inside.1.max(outside.1) > 1 << 32 {
            findings.refuse(format_args!("{at}[{index}]"), "runs past the largest id");
        }
        let overlaps = ranges[..index].iter().any(|other| {
            let other_inside = first_last(other.container_id, other.size);
            let other_outside = first_last(other.host_id, other.size);
            let meet = |a: (u64, u64), b: (u64, u64)| a.0 < b.1 && b.0 < a.1;
            meet(inside, other_inside) || meet(outside, other_outside)
        });
        if overlaps {
            findings.refuse(format_args!("{at}[{index}]"), "overlaps an earlier range");
        }
    }
}

#[cfg(test)]
mod tests;
