//! SPEC(config.md#linux-process) `capabilities`: five lists of names to five masks that the kernel will take.
//!
//! The specification wants a warning, not a failure, for a capability that can't be granted; so names that are unknown
//! and capabilities that the caller doesn't hold are left out, and the sets are cut to what `capset(2)` accepts.

use crate::host::Host;
use crate::plan::CapabilityOp;
use oci::runtime::Capabilities;
use std::collections::BTreeSet;

/// What the new process can hold at most, as bit masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grantable {
    /// The bounding set that it starts with.
    pub bounding: u64,
    /// The permitted set that it starts with.
    pub permitted: u64,
}

impl Grantable {
    /// What `host` has to give. KERNEL(3.8): a process that enters a user namespace holds everything in it.
    pub fn of(host: &Host, user_namespace: bool) -> Self {
        let known = u64::MAX >> (63 - host.last_capability.min(63));
        if user_namespace {
            return Grantable {
                bounding: known,
                permitted: known,
            };
        }
        Grantable {
            bounding: host.bounding & known,
            permitted: host.capabilities & host.bounding & known,
        }
    }
}

/// The bounding set and the other four, without what can't be granted, which becomes a warning each.
pub fn plan_capabilities(
    capabilities: Option<&Capabilities>,
    grantable: Grantable,
    warnings: &mut Vec<String>,
) -> (u64, CapabilityOp) {
    let Some(capabilities) = capabilities else {
        return (0, CapabilityOp::default());
    };
    let mut refused = Refused::default();
    let mut mask = |names: &[String], limit: u64| refused.mask(names, limit);
    let bounding = mask(&capabilities.bounding, grantable.bounding);
    let permitted = mask(&capabilities.permitted, grantable.permitted);
    let inheritable = mask(&capabilities.inheritable, grantable.permitted);
    let effective = mask(&capabilities.effective, grantable.permitted);
    let ambient = mask(&capabilities.ambient, grantable.permitted);
    refused.warn(warnings);

    let mut cut = |set: &str, wanted: u64, limit: u64, reason: &str| {
        for name in names(wanted & !limit) {
            warnings.push(format!(
                "process.capabilities.{set}: {name} is not {reason} and is left out"
            ));
        }
        wanted & limit
    };
    let inheritable = cut(
        "inheritable",
        inheritable,
        bounding | !grantable.bounding,
        "in the bounding set",
    );
    let op = CapabilityOp {
        effective: cut("effective", effective, permitted, "permitted"),
        permitted,
        inheritable,
        ambient: raised(ambient, (permitted, inheritable), warnings),
    };
    (bounding, op)
}

/// KERNEL: only what is permitted and inheritable can be ambient. COMPAT(runc): its words. COMPAT(crun): none where
/// nothing is inheritable, as in its own default configuration.
fn raised(ambient: u64, (permitted, inheritable): (u64, u64), warnings: &mut Vec<String>) -> u64 {
    let limit = permitted & inheritable;
    if inheritable != 0 {
        warnings.extend(names(ambient & !limit).map(|name| {
            format!(
                "can't raise ambient capability {name}: it is not both permitted and inheritable"
            )
        }));
    }
    ambient & limit
}

/// Names that came to nothing, each once, however many sets it is in.
#[derive(Default)]
struct Refused {
    unknown: BTreeSet<String>,
    unavailable: u64,
}

impl Refused {
    fn mask(&mut self, names: &[String], limit: u64) -> u64 {
        let mut mask = 0;
        for name in names {
            match capability(name) {
                Some(capability) => mask |= capability.bitmask(),
                None => drop(self.unknown.insert(name.clone())),
            }
        }
        self.unavailable |= mask & !limit;
        mask & limit
    }

    fn warn(&self, warnings: &mut Vec<String>) {
        let unknown = self.unknown.iter();
        warnings.extend(
            unknown.map(|name| {
                format!("process.capabilities: unknown capability {name:?} is ignored")
            }),
        );
        warnings.extend(names(self.unavailable).map(|name| {
            format!(
                "process.capabilities: {name} is not available to the runtime and is not granted"
            )
        }));
    }
}

/// A capability by name, as engines and people write it: any case, `CAP_` optional.
pub fn capability(name: &str) -> Option<caps::Capability> {
    let upper = name.to_ascii_uppercase();
    let canonical = match upper.starts_with("CAP_") {
        true => upper,
        false => format!("CAP_{upper}"),
    };
    canonical.parse().ok()
}

/// The names of the capabilities in `mask`, lowest first.
pub(in crate::plan) fn names(mask: u64) -> impl Iterator<Item = String> {
    let mut known: Vec<_> = caps::all().into_iter().collect();
    known.sort_by_key(caps::Capability::index);
    known
        .into_iter()
        .filter(move |capability| mask & capability.bitmask() != 0)
        .map(|capability| capability.to_string())
}
