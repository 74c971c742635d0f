//! The number line of each architecture, cut into ranges that share a verdict.
//!
//! Neighbours with the same verdict merge, so that a filter grows with the profile's changes of mind and not with its
//! names. Calls newer than the profile are one more range.

use super::Options;
use super::arch::Arch;
use super::compare::{Branch, Chain, effective};
use super::rules::{ERRNO, KILL_THREAD, Profile};
use super::syscalls::{ARM_PRIVATE, X32_BIT};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The filter's return value.
    Return(u32),
    /// The arguments decide: an index into [`Forest::chains`].
    Ask(usize),
}

/// A range of numbers, up to the next one's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub first: u32,
    pub verdict: Verdict,
}

/// The ranges of one architecture token.
#[derive(Debug)]
pub(super) struct Tree {
    pub token: u32,
    /// Starts at 0, sorted, neighbours differ.
    pub ranges: Vec<Range>,
}

/// A whole profile, ready to be written as instructions.
#[derive(Debug)]
pub(super) struct Forest {
    /// Whether the low half of an argument comes last.
    pub big_endian: bool,
    pub default: u32,
    pub trees: Vec<Tree>,
    pub chains: Vec<Chain>,
}

const ENOSYS: u32 = 38;

/// A rule that concerns one number.
struct Entry {
    number: u32,
    rule: u16,
    /// First argument that `socketcall` or `ipc` must have.
    selector: Option<u32>,
}

impl Forest {
    /// Sorts a profile's rules by architecture and number.
    pub fn grow(profile: &Profile, options: &Options) -> Forest {
        let mut forest = Forest {
            big_endian: profile.archs.iter().any(|arch| arch.big_endian()),
            default: profile.default,
            trees: Vec::with_capacity(profile.archs.len()),
            chains: Vec::new(),
        };
        let stub = options.enosys_stub
            && !profile.permits_by_default()
            && profile.default != ERRNO | ENOSYS;
        let both = [Arch::X86_64, Arch::X32].map(|arch| profile.archs.contains(&arch)) == [true; 2];
        for &arch in &profile.archs {
            let mut ranges = Vec::with_capacity(256);
            match arch {
                Arch::X32 if both => continue,
                Arch::X32 => {
                    push(&mut ranges, 0, Verdict::Return(KILL_THREAD));
                    forest.cover(&mut ranges, X32_BIT, profile, Arch::X32, stub);
                }
                _ => forest.cover(&mut ranges, 0, profile, arch, stub),
            }
            match arch {
                Arch::X86_64 if both => {
                    forest.cover(&mut ranges, X32_BIT, profile, Arch::X32, stub);
                }
                Arch::X86_64 => forbid_x32(&mut ranges, profile.default),
                _ => {}
            }
            forest.trees.push(Tree {
                token: arch.token(),
                ranges,
            });
        }
        forest
    }

    /// Adds one architecture's ranges, from its lowest number on.
    fn cover(
        &mut self,
        ranges: &mut Vec<Range>,
        lowest: u32,
        profile: &Profile,
        arch: Arch,
        stub: bool,
    ) {
        let default = Verdict::Return(profile.default);
        let unknown = Verdict::Return(ERRNO | ENOSYS);
        // COMPAT(runc): a call newer than the profile fails as it would on an older kernel.
        let newest = newest(profile, arch).filter(|_| stub);
        push(ranges, lowest, default);
        if matches!(arch, Arch::S390 | Arch::S390x) && newest.is_some() {
            // Number 0 is how s390 passes numbers that don't fit its instruction, the unknown among them.
            push(ranges, 0, unknown);
            push(ranges, 1, default);
        }
        let entries = entries(profile, arch);
        let groups = entries.chunk_by(|a, b| a.number == b.number);
        let (private, public): (Vec<_>, Vec<_>) =
            groups.partition(|group| arch == Arch::Arm && group[0].number >= ARM_PRIVATE);
        for group in public {
            self.call(ranges, profile, arch, group);
        }
        if let Some(newest) = newest {
            push(ranges, newest + 1, unknown);
            if arch == Arch::Arm {
                push(ranges, ARM_PRIVATE, default);
            }
        }
        for group in private {
            self.call(ranges, profile, arch, group);
        }
    }

    /// Adds the range of one number.
    fn call(&mut self, ranges: &mut Vec<Range>, profile: &Profile, arch: Arch, group: &[Entry]) {
        let verdict = self.verdict(profile, arch.compares_64_bits(), group);
        push(ranges, group[0].number, verdict);
        push(
            ranges,
            group[0].number + 1,
            Verdict::Return(profile.default),
        );
    }

    /// The first rule that always holds wins over everything; without one, the arguments decide.
    fn verdict(&mut self, profile: &Profile, wide: bool, group: &[Entry]) -> Verdict {
        let mut branches = Vec::new();
        for entry in group {
            let rule = &profile.rules[usize::from(entry.rule)];
            let conditions = effective(rule, wide, entry.selector);
            if conditions.is_empty() {
                return Verdict::Return(rule.action);
            }
            let action = rule.action;
            branches.push(Branch { conditions, action });
        }
        let chain = Chain::new(wide, branches);
        let known = self.chains.iter().position(|other| *other == chain);
        Verdict::Ask(known.unwrap_or_else(|| {
            self.chains.push(chain);
            self.chains.len() - 1
        }))
    }
}

/// Every rule with its number on one architecture, by number, else in the profile's order.
fn entries(profile: &Profile, arch: Arch) -> Vec<Entry> {
    let abi = arch.abi();
    let mut entries = Vec::with_capacity(profile.calls.len() + 32);
    for &(call, rule) in &profile.calls {
        if let Some(through) = call.multiplexed(abi) {
            entries.push(Entry {
                number: through.number,
                rule,
                selector: Some(through.selector),
            });
        }
        if let Some(number) = call.number(abi) {
            entries.push(Entry {
                number,
                rule,
                selector: None,
            });
        }
    }
    entries.sort_by_key(|entry| entry.number);
    entries
}

/// The highest number that the profile mentions.
fn newest(profile: &Profile, arch: Arch) -> Option<u32> {
    let abi = arch.abi();
    let numbers = profile.mentioned.iter().flat_map(|call| {
        let through = call.multiplexed(abi).map(|through| through.number);
        call.number(abi).into_iter().chain(through)
    });
    numbers
        .filter(|number| arch != Arch::Arm || *number < ARM_PRIVATE)
        .max()
}

/// COMPAT(libseccomp): without x32 in the profile its calls are a foreign architecture's, except -1, which a tracer
/// sets to skip a call.
fn forbid_x32(ranges: &mut Vec<Range>, default: u32) {
    push(ranges, X32_BIT, Verdict::Return(KILL_THREAD));
    push(ranges, u32::MAX, Verdict::Return(default));
}

/// Starts a range, in place of an empty one and as part of its neighbour where they agree.
fn push(ranges: &mut Vec<Range>, first: u32, verdict: Verdict) {
    if ranges.last().is_some_and(|last| last.first == first) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|last| last.verdict != verdict) {
        ranges.push(Range { first, verdict });
    }
}
