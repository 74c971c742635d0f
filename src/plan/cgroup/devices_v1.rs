//! Device rules as lines for cgroup v1's `devices.allow` and `devices.deny`.
//!
//! The kernel keeps a default and a list of exceptions to it, and compares exceptions by their exact numbers. So a rule
//! that takes something back is written once for every exception that it covers, and one that would cut a hole into a
//! wider exception can't be expressed: it is refused rather than lost.

use super::devices::{self, Kind, MKNOD, READ, Rule, WRITE};
use super::{FileWrite, OnFailure, Write};
use crate::error::{Error, Result};
use oci::runtime::DeviceRule;

/// What to write for a new cgroup, in order.
pub fn writes(rules: &[DeviceRule]) -> Result<Vec<Write>> {
    let (allow_all, _, lines) = exceptions(rules)?;
    let first = match allow_all {
        // A new cgroup has its parent's rules. Where those are narrower the kernel refuses more.
        true => FileWrite::new("devices.allow", "a").or(OnFailure::Warn),
        false => FileWrite::new("devices.deny", "a"),
    };
    Ok(std::iter::once(first.into())
        .chain(lines.iter().map(line))
        .collect())
}

/// What to write for a cgroup that has the old rules, without a moment in which what both allow is denied.
pub fn transition(old: &[DeviceRule], new: &[DeviceRule]) -> Result<Vec<Write>> {
    let (old_default, old, _) = exceptions(old)?;
    let (new_default, present, _) = exceptions(new)?;
    if old_default != new_default {
        return writes(new);
    }
    let without = |list: &[Rule], rule: &Rule| {
        let same = list.iter().find(|r| same_devices(r, rule));
        rule.access & !same.map_or(0, |r| r.access)
    };
    let part = |from: &[Rule], other: &[Rule], allow| {
        let parts = from.iter().map(|r| Rule {
            allow,
            access: without(other, r),
            ..*r
        });
        parts
            .filter(|r| r.access != 0)
            .map(|r| line(&r))
            .collect::<Vec<_>>()
    };
    let mut lines = part(&present, &old, !new_default);
    lines.extend(part(&old, &present, new_default));
    Ok(lines)
}

/// The default, the exceptions to it in the end, and the lines that make them.
fn exceptions(rules: &[DeviceRule]) -> Result<(bool, Vec<Rule>, Vec<Rule>)> {
    let (allow_all, rules) = devices::effective(rules)?;
    let mut exceptions: Vec<Rule> = Vec::new();
    let mut lines = Vec::with_capacity(rules.len());
    for rule in rules {
        match rule.allow == allow_all {
            true => lines.extend(take_back(&mut exceptions, rule)?),
            false => lines.extend(add(&mut exceptions, rule)),
        }
    }
    Ok((allow_all, exceptions, lines))
}

fn line(rule: &Rule) -> Write {
    let file = if rule.allow {
        "devices.allow"
    } else {
        "devices.deny"
    };
    FileWrite::new(file, render(rule)).into()
}

/// An exception's line, unless others say all of it already.
fn add(exceptions: &mut Vec<Rule>, rule: Rule) -> Option<Rule> {
    // One exception must say it alone: the kernel does not add them up.
    let says = |e: &Rule| covers(e, &rule) && e.access & rule.access == rule.access;
    if exceptions.iter().any(says) {
        return None;
    }
    match exceptions.iter_mut().find(|e| same_devices(e, &rule)) {
        Some(exception) => exception.access |= rule.access,
        None => exceptions.push(rule),
    }
    Some(rule)
}

/// A line for each exception that loses something.
fn take_back(exceptions: &mut Vec<Rule>, rule: Rule) -> Result<Vec<Rule>> {
    let mut lines = Vec::new();
    for exception in exceptions.iter_mut() {
        let lost = exception.access & rule.access;
        if lost == 0 || !overlap(exception, &rule) {
            continue;
        }
        if covers(&rule, exception) {
            exception.access &= !lost;
            lines.push(Rule {
                allow: rule.allow,
                access: lost,
                ..*exception
            });
        } else if lost & !MKNOD != 0 {
            return Err(Error::new(format!(
                "linux.resources.devices: cgroup v1 can't except {} from {}",
                render(&rule),
                render(exception)
            )));
        }
        // A node that may be made but not opened is of no use: mknod alone is left as it is.
    }
    exceptions.retain(|e| e.access != 0);
    Ok(lines)
}

fn same_devices(a: &Rule, b: &Rule) -> bool {
    (a.kind, a.major, a.minor) == (b.kind, b.major, b.minor)
}

fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let number = |wide: Option<u32>, narrow| wide.is_none() || wide == narrow;
    wide.kind == narrow.kind && number(wide.major, narrow.major) && number(wide.minor, narrow.minor)
}

fn overlap(a: &Rule, b: &Rule) -> bool {
    let number = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    a.kind == b.kind && number(a.major, b.major) && number(a.minor, b.minor)
}

/// `c 1:3 rwm`
fn render(rule: &Rule) -> String {
    let kind = match rule.kind {
        Kind::Char => 'c',
        Kind::Block => 'b',
    };
    let number = |n: Option<u32>| n.map_or("*".into(), |n| n.to_string());
    format!(
        "{kind} {}:{} {}",
        number(rule.major),
        number(rule.minor),
        letters(rule.access)
    )
}

/// What is allowed in the end, as systemd names devices; `true` where everything is.
pub fn final_rules(rules: &[DeviceRule]) -> Result<(bool, Vec<(String, String)>)> {
    let (allow_all, exceptions, _) = exceptions(rules)?;
    let entries = exceptions.iter().map(|rule| {
        let kind = match rule.kind {
            Kind::Char => "char",
            Kind::Block => "block",
        };
        let device = match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
            (Some(major), None) => format!("{kind}-{major}"),
            (None, _) => format!("{kind}-*"),
        };
        (device, letters(rule.access))
    });
    Ok((allow_all, entries.collect()))
}

fn letters(access: u8) -> String {
    let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
    letters
        .iter()
        .filter(|(bit, _)| access & bit != 0)
        .map(|(_, letter)| *letter)
        .collect()
}
