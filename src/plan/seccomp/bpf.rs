//! Ranges -> classic BPF instructions.
//!
//! Instructions are pushed last first, so that every jump's target is already in place and its distance known: BPF
//! only jumps forwards, and a conditional jump reaches 255 instructions. Nothing here knows names or profiles.

use super::compare::{Branch, Chain, Condition, Op};
use super::rules::KILL_THREAD;
use super::tree::{Forest, Range, Verdict};

/// One instruction, as `seccomp(2)` takes it.
pub type SockFilter = libc::sock_filter;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const TOKEN: u32 = 4;
const ARGUMENTS: u32 = 16;

/// How far a conditional jump may go. One less than it could, since its twin's detour may come between.
const REACH: usize = 254;

/// A pushed instruction, counted from the program's end.
#[derive(Debug, Clone, Copy)]
struct Label(usize);

/// A program that grows towards its start.
struct Program<'a> {
    forest: &'a Forest,
    /// Last instruction first.
    reversed: Vec<SockFilter>,
    /// The nearest return of each value, to share.
    returns: Vec<(u32, Label)>,
    /// Where each chain starts.
    chains: Vec<Label>,
}

/// Writes the whole filter.
pub(super) fn assemble(forest: &Forest) -> Vec<SockFilter> {
    let mut program = Program {
        forest,
        reversed: Vec::with_capacity(1024),
        returns: Vec::new(),
        chains: Vec::with_capacity(forest.chains.len()),
    };
    for chain in &forest.chains {
        let start = program.chain(chain);
        program.chains.push(start);
    }
    // The first tree is the native one; it comes last here to be nearest to the start.
    let mut starts = Vec::with_capacity(forest.trees.len());
    for tree in forest.trees.iter().rev() {
        program.ranges(&tree.ranges);
        starts.push((tree.token, program.push(LOAD, NUMBER)));
    }
    let mut otherwise = program.return_value(KILL_THREAD);
    for (token, start) in starts {
        otherwise = program.branch(IF_EQUAL, token, start, otherwise);
    }
    program.push(LOAD, TOKEN);
    program.reversed.reverse();
    program.reversed
}

impl Program<'_> {
    /// A search tree over ranges; the number is loaded.
    fn ranges(&mut self, ranges: &[Range]) -> Label {
        match ranges {
            [] => self.return_value(self.forest.default),
            [only] => self.verdict(only.verdict),
            // One odd number between two alike needs one question.
            [below, odd, above]
                if below.verdict == above.verdict && odd.first + 1 == above.first =>
            {
                let alike = self.verdict(below.verdict);
                let different = self.verdict(odd.verdict);
                self.branch(IF_EQUAL, odd.first, different, alike)
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let first = high[0].first;
                let high = self.ranges(high);
                let low = self.ranges(low);
                self.branch(IF_AT_LEAST, first, high, low)
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) -> Label {
        match verdict {
            Verdict::Return(value) => self.return_value(value),
            Verdict::Ask(chain) => self.chains[chain],
        }
    }

    /// The branches of a chain in order, then the default.
    fn chain(&mut self, chain: &Chain) -> Label {
        let mut otherwise = self.return_value(self.forest.default);
        for branch in chain.branches.iter().rev() {
            otherwise = self.conditions(branch, chain.wide, otherwise);
        }
        otherwise
    }

    /// One branch: all its conditions, then its action.
    fn conditions(&mut self, branch: &Branch, wide: bool, otherwise: Label) -> Label {
        let mut holds = self.return_value(branch.action);
        for condition in branch.conditions.iter().rev() {
            holds = match wide {
                true => self.wide(condition, holds, otherwise),
                false => self.narrow(condition, holds, otherwise),
            };
        }
        holds
    }

    /// A condition on the low half of an argument.
    fn narrow(&mut self, condition: &Condition, holds: Label, fails: Label) -> Label {
        let (question, holds, fails) = match condition.op {
            Op::Equal | Op::MaskedEqual => (IF_EQUAL, holds, fails),
            Op::NotEqual => (IF_EQUAL, fails, holds),
            Op::Greater => (IF_GREATER, holds, fails),
            Op::GreaterOrEqual => (IF_AT_LEAST, holds, fails),
            Op::LessOrEqual => (IF_GREATER, fails, holds),
            Op::Less => (IF_AT_LEAST, fails, holds),
        };
        self.branch(question, condition.value as u32, holds, fails);
        self.load(condition, false)
    }

    /// A condition on a whole argument, high half first.
    fn wide(&mut self, condition: &Condition, holds: Label, fails: Label) -> Label {
        let high = (condition.value >> 32) as u32;
        if condition.mask as u32 == 0 {
            self.branch(IF_EQUAL, high, holds, fails);
            return self.load(condition, true);
        }
        let low = self.narrow(condition, holds, fails);
        if condition.mask >> 32 == 0 {
            return low;
        }
        match condition.op {
            Op::Equal | Op::MaskedEqual => self.branch(IF_EQUAL, high, low, fails),
            Op::NotEqual => self.branch(IF_EQUAL, high, low, holds),
            Op::Greater | Op::GreaterOrEqual => {
                let level = self.branch(IF_EQUAL, high, low, fails);
                self.branch(IF_GREATER, high, holds, level)
            }
            Op::Less | Op::LessOrEqual => {
                let level = self.branch(IF_EQUAL, high, low, holds);
                self.branch(IF_GREATER, high, fails, level)
            }
        };
        self.load(condition, true)
    }

    /// Loads half an argument, masked.
    fn load(&mut self, condition: &Condition, high: bool) -> Label {
        let mask = match high {
            true => (condition.mask >> 32) as u32,
            false => condition.mask as u32,
        };
        if mask != u32::MAX {
            self.push(AND, mask);
        }
        let half = if high != self.forest.big_endian { 4 } else { 0 };
        self.push(LOAD, ARGUMENTS + 8 * u32::from(condition.argument) + half)
    }

    /// A return within reach of what is pushed next.
    fn return_value(&mut self, value: u32) -> Label {
        let known = self.returns.iter_mut().find(|known| known.0 == value);
        if let Some((_, label)) = known
            && self.reversed.len() - label.0 < REACH / 2
        {
            return *label;
        }
        let label = self.push(RETURN, value);
        match self.returns.iter_mut().find(|known| known.0 == value) {
            Some(known) => known.1 = label,
            None => self.returns.push((value, label)),
        }
        label
    }

    /// A conditional jump, by detours where the targets are far.
    fn branch(&mut self, question: u16, value: u32, yes: Label, no: Label) -> Label {
        let no = self.near(no);
        let yes = self.near(yes);
        let label = self.push(question, value);
        let at = label.0 - 1;
        // `near` keeps both below 256.
        self.reversed[at].jt = (at - yes.0) as u8;
        self.reversed[at].jf = (at - no.0) as u8;
        label
    }

    /// The label itself, or an unconditional jump to it.
    fn near(&mut self, target: Label) -> Label {
        let distance = self.reversed.len() - target.0;
        match distance <= REACH {
            true => target,
            false => self.push(JUMP, distance as u32),
        }
    }

    fn push(&mut self, code: u16, k: u32) -> Label {
        let (jt, jf) = (0, 0);
        self.reversed.push(SockFilter { code, jt, jf, k });
        Label(self.reversed.len())
    }
}
