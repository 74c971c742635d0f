//! Conditions on arguments, and the order in which the rules of one call are tried.
//!
//! The order only matters where rules with different actions match the same arguments. Then it is libseccomp's: exact
//! values before ranges, the narrower range before the wider, but a rule before another that only adds conditions.

use super::rules::Rule;
use std::cmp::Reverse;

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    MaskedEqual,
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub argument: u8,
    pub op: Op,
    /// All ones but for `MaskedEqual`.
    pub mask: u64,
    /// Compared with the masked argument; has no bits outside the mask.
    pub value: u64,
}

impl Condition {
    /// A condition in the profile's terms, where the first value of a masked comparison is the mask.
    pub fn new(argument: u8, op: Op, value: u64, value_two: u64) -> Condition {
        let (mask, value) = match op {
            Op::MaskedEqual => (value, value_two & value),
            _ => (u64::MAX, value),
        };
        Condition {
            argument,
            op,
            mask,
            value,
        }
    }

    /// What is left of it on an ABI that compares the low 32 bits.
    fn truncated(self) -> Condition {
        Condition {
            mask: self.mask & 0xffff_ffff,
            value: self.value & 0xffff_ffff,
            ..self
        }
    }

    /// Larger is tried first: later arguments, exact comparisons, then the narrower range.
    fn rank(&self) -> (u8, u8, u64) {
        let (class, narrowness) = match self.op {
            Op::Equal | Op::NotEqual | Op::MaskedEqual => (3, self.value),
            Op::Less | Op::LessOrEqual => (2, !self.value),
            Op::Greater | Op::GreaterOrEqual => (1, self.value),
        };
        (self.argument, class, narrowness)
    }
}

/// The rank of having no further condition: a rule beats those that add to it, as one without conditions beats all.
const NOTHING_MORE: (u8, u8, u64) = (u8::MAX, 0, 0);

/// Conditions and the action they lead to, on one ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Branch {
    /// Never empty.
    pub conditions: Vec<Condition>,
    pub action: u32,
}

/// What decides a call whose arguments matter: the first branch that holds, else the default.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// Whether all 64 bits count.
    pub wide: bool,
    pub branches: Vec<Branch>,
}

impl Chain {
    /// Puts branches in order and drops repetitions.
    pub fn new(wide: bool, mut branches: Vec<Branch>) -> Chain {
        if branches
            .iter()
            .any(|branch| branch.action != branches[0].action)
        {
            branches.sort_by_cached_key(|branch| {
                let ranks = branch.conditions.iter().map(Condition::rank);
                Reverse(ranks.chain([NOTHING_MORE]).collect::<Vec<_>>())
            });
        }
        branches.dedup();
        Chain { wide, branches }
    }
}

/// A rule's conditions as one ABI sees them; empty when it always holds there.
pub(super) fn effective(rule: &Rule, wide: bool, selector: Option<u32>) -> Vec<Condition> {
    let own = rule.conditions.iter().map(|condition| match wide {
        true => *condition,
        false => condition.truncated(),
    });
    // COMPAT(libseccomp): the selector takes the place of the first argument's condition; the others stay, though
    // `socketcall` and `ipc` pass those arguments elsewhere.
    let selected = selector.map(|call| Condition::new(0, Op::Equal, call.into(), 0));
    let kept = own.filter(|condition| {
        condition.mask != 0 && !(selector.is_some() && condition.argument == 0)
    });
    selected.into_iter().chain(kept).collect()
}
