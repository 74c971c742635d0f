//! Device rules as an eBPF program for cgroup v2.
//!
//! The rules are tried last to first; a register holds the accesses that nobody has decided yet. A rule for one device
//! and every access, the usual kind, is a single comparison with `major << 20 | minor`: the time the kernel takes to load
//! a program grows with its length. It stays pure: `sys::bpf` hands the instructions to the kernel.

use super::devices::{self, ALL, Kind, Rule};
use crate::error::{Error, Result};
use oci::runtime::DeviceRule;

/// One eBPF instruction, field by field as in `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register.
    pub src: u8,
    /// Jump distance, or offset in memory.
    pub offset: i16,
    /// Constant.
    pub constant: i32,
}

// KERNEL(5.1): 32-bit jumps. Device programs are older, CLONE_INTO_CGROUP is newer.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_CONSTANT: u8 = 0xb7;
const AND: u8 = 0x57;
const OR_REGISTER: u8 = 0x4f;
const SHIFT_LEFT: u8 = 0x67;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP: u8 = 0x05;
const JUMP_EQUAL: u8 = 0x16;
const JUMP_NOT_EQUAL: u8 = 0x56;
const JUMP_ANY_BIT: u8 = 0x46;
const EXIT: u8 = 0x95;

/// The verdict, and before it the combined device number.
const KEY: u8 = 0;
/// `struct bpf_cgroup_dev_ctx`: kind and access, major, minor.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// Accesses asked for and not yet decided.
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_DEVCG_DEV_CHAR`; the other is `BPF_DEVCG_DEV_BLOCK`.
const KIND_CHAR: i32 = 2;

/// The kernel's device numbers have 12 and 20 bits.
const MAX_MAJOR: u32 = 0xfff;
const MAX_MINOR: u32 = 0xf_ffff;

/// The program, or `None` where everything is allowed: no program is the faster way to say so.
pub fn program(rules: &[DeviceRule]) -> Result<Option<Vec<Instruction>>> {
    let (allow_all, rules) = devices::effective(rules)?;
    if allow_all && rules.is_empty() {
        return Ok(None);
    }
    let mut code = Assembly::default();
    code.prologue();
    let block = code.jump_later(JUMP_NOT_EQUAL, KIND, KIND_CHAR);
    code.section(&rules, Kind::Char, allow_all);
    code.land(block)?;
    code.section(&rules, Kind::Block, allow_all);
    code.finish().map(Some)
}

/// Instructions under way.
#[derive(Default)]
struct Assembly {
    code: Vec<Instruction>,
    /// Jumps that end with a verdict: where, and which.
    verdicts: Vec<(usize, bool)>,
}

impl Assembly {
    fn emit(&mut self, code: u8, dst: u8, src: u8, offset: i16, constant: i32) {
        self.code.push(Instruction {
            code,
            dst,
            src,
            offset,
            constant,
        });
    }

    fn prologue(&mut self) {
        self.emit(LOAD_WORD, KIND, CONTEXT, 0, 0);
        self.emit(LOAD_WORD, MAJOR, CONTEXT, 4, 0);
        self.emit(LOAD_WORD, MINOR, CONTEXT, 8, 0);
        self.emit(MOVE, OPEN, KIND, 0, 0);
        self.emit(SHIFT_RIGHT, OPEN, 0, 0, 16);
        self.emit(AND, KIND, 0, 0, 0xffff);
        self.emit(MOVE, KEY, MAJOR, 0, 0);
        self.emit(SHIFT_LEFT, KEY, 0, 0, 20);
        self.emit(OR_REGISTER, KEY, MINOR, 0, 0);
    }

    /// The rules of one kind, last first, then the default.
    fn section(&mut self, rules: &[Rule], kind: Kind, default: bool) {
        let mut decided: Vec<Rule> = Vec::new();
        for rule in rules.iter().rev().filter(|r| r.kind == kind) {
            if rule.major.is_some_and(|n| n > MAX_MAJOR)
                || rule.minor.is_some_and(|n| n > MAX_MINOR)
            {
                continue;
            }
            let before = decided_before(&decided, rule);
            if rule.access & !before == 0 {
                continue;
            }
            self.rule(rule, before | rule.access == ALL);
            if (rule.major, rule.minor, before | rule.access) == (None, None, ALL) {
                return;
            }
            decided.push(*rule);
        }
        self.verdict(JUMP, 0, 0, default);
    }

    /// `last`: whatever access is still open here is one that this rule names.
    fn rule(&mut self, rule: &Rule, last: bool) {
        let key = match (rule.major, rule.minor) {
            (Some(major), Some(minor)) => Some((KEY, (major << 20 | minor) as i32)),
            (Some(major), None) => Some((MAJOR, major as i32)),
            (None, Some(minor)) => Some((MINOR, minor as i32)),
            (None, None) => None,
        };
        match (key, last) {
            (Some((register, number)), true) => {
                self.verdict(JUMP_EQUAL, register, number, rule.allow)
            }
            (None, true) => self.verdict(JUMP, 0, 0, rule.allow),
            (Some((register, number)), false) => {
                let distance = if rule.allow { 2 } else { 1 };
                self.emit(JUMP_NOT_EQUAL, register, 0, distance, number);
                self.some_accesses(rule);
            }
            (None, false) => self.some_accesses(rule),
        }
    }

    fn some_accesses(&mut self, rule: &Rule) {
        if rule.allow {
            self.emit(AND, OPEN, 0, 0, i32::from(ALL & !rule.access));
            self.verdict(JUMP_EQUAL, OPEN, 0, true);
        } else {
            self.verdict(JUMP_ANY_BIT, OPEN, i32::from(rule.access), false);
        }
    }

    fn verdict(&mut self, code: u8, register: u8, constant: i32, allow: bool) {
        self.verdicts.push((self.code.len(), allow));
        self.emit(code, register, 0, 0, constant);
    }

    fn jump_later(&mut self, code: u8, register: u8, constant: i32) -> usize {
        self.emit(code, register, 0, 0, constant);
        self.code.len() - 1
    }

    /// Makes the jump at `from` end here.
    fn land(&mut self, from: usize) -> Result<()> {
        let distance = i16::try_from(self.code.len() - from - 1).map_err(|_| {
            Error::new("linux.resources.devices: too many rules for one eBPF program")
        })?;
        self.code[from].offset = distance;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Instruction>> {
        let verdicts = std::mem::take(&mut self.verdicts);
        for verdict in [false, true] {
            // KERNEL: the verifier refuses an instruction that nothing reaches.
            if !verdicts.iter().any(|v| v.1 == verdict) {
                continue;
            }
            for (from, _) in verdicts.iter().filter(|v| v.1 == verdict) {
                self.land(*from)?;
            }
            self.emit(MOVE_CONSTANT, KEY, 0, 0, i32::from(verdict));
            self.emit(EXIT, 0, 0, 0, 0);
        }
        Ok(self.code)
    }
}

/// The accesses that later rules have decided for every device of this one.
fn decided_before(later: &[Rule], rule: &Rule) -> u8 {
    let wider = |wide: Option<u32>, narrow| wide.is_none() || wide == narrow;
    let covering = later
        .iter()
        .filter(|l| wider(l.major, rule.major) && wider(l.minor, rule.minor));
    covering.fold(0, |bits, l| bits | l.access)
}
