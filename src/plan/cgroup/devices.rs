//! Device rules: the specification's ordered list, checked, with the devices that every container may use.
//!
//! One meaning for both cgroup versions: each of read, write and mknod is decided by the last rule that names it for the
//! device; what no rule names is denied.

use crate::error::{Error, Result};
use oci::runtime::DeviceRule;

/// `mknod(2)`; the kernel's numbers of `BPF_DEVCG_ACC_*`.
pub const MKNOD: u8 = 1;
/// Opening for reading.
pub const READ: u8 = 2;
/// Opening for writing.
pub const WRITE: u8 = 4;
/// All three.
pub const ALL: u8 = MKNOD | READ | WRITE;

/// Character or block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Character device.
    Char,
    /// Block device.
    Block,
}

/// One rule for one kind of device. `None` is every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Allow or deny.
    pub allow: bool,
    /// Kind.
    pub kind: Kind,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// [`MKNOD`], [`READ`], [`WRITE`].
    pub access: u8,
}

/// What every container may use whatever its rules say: nodes of any kind may be made, and /dev has these.
/// COMPAT(runc): null, zero, full, random, urandom, tty, ptmx, pts; the container's console is one of its pts.
const ALWAYS: [(u32, Option<u32>); 8] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(2)),
    (136, None),
];

/// The rules as they apply, one kind each, whose beginning is "deny everything" unless `.0` is true.
///
/// A rule for every device and access makes those before it moot.
pub fn effective(rules: &[DeviceRule]) -> Result<(bool, Vec<Rule>)> {
    let mut allow_all = false;
    let mut list = Vec::with_capacity(rules.len() + ALWAYS.len() + 2);
    for (index, rule) in rules.iter().enumerate() {
        let [char, block] = checked(rule)
            .map_err(|e| e.context(format_args!("linux.resources.devices[{index}]")))?;
        let everything = |r: Rule| (r.major, r.minor, r.access) == (None, None, ALL);
        match (char, block) {
            (Some(char), Some(_)) if everything(char) => {
                list.clear();
                allow_all = rule.allow;
            }
            (char, block) => list.extend(char.into_iter().chain(block)),
        }
    }
    if !(allow_all && list.is_empty()) {
        list.extend(always());
    }
    Ok((allow_all, list))
}

fn always() -> impl Iterator<Item = Rule> {
    let make = [Kind::Char, Kind::Block].map(|kind| Rule {
        allow: true,
        kind,
        major: None,
        minor: None,
        access: MKNOD,
    });
    make.into_iter().chain(ALWAYS.map(|(major, minor)| Rule {
        allow: true,
        kind: Kind::Char,
        major: Some(major),
        minor,
        access: ALL,
    }))
}

/// One rule of the specification for each kind that it speaks of.
fn checked(rule: &DeviceRule) -> Result<[Option<Rule>; 2]> {
    let (char, block) = match rule.kind.as_str() {
        "" | "a" => (true, true),
        "c" | "u" => (true, false),
        "b" => (false, true),
        other => return Err(Error::new(format!("type {other:?} is not a, b or c"))),
    };
    let one = |kind| {
        Ok::<_, Error>(Rule {
            allow: rule.allow,
            kind,
            major: number(rule.major, "major")?,
            minor: number(rule.minor, "minor")?,
            access: access_bits(&rule.access)?,
        })
    };
    Ok([
        char.then(|| one(Kind::Char)).transpose()?,
        block.then(|| one(Kind::Block)).transpose()?,
    ])
}

fn number(value: Option<i64>, name: &str) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| Error::new(format!("{name} {number} is no device number"))),
    }
}

/// Other letters mean nothing; whether they may be there is judged elsewhere.
fn access_bits(text: &str) -> Result<u8> {
    let bits = text.chars().fold(0, |bits, letter| match letter {
        'm' => bits | MKNOD,
        'r' => bits | READ,
        'w' => bits | WRITE,
        _ => bits,
    });
    match (bits, text) {
        (0, "") => Err(Error::new("access is empty; it is made of r, w and m")),
        (0, _) => Err(Error::new(format!(
            "access {text:?} is not made of r, w and m"
        ))),
        (bits, _) => Ok(bits),
    }
}
