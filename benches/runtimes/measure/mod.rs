//! The questions: one entry a measure, in the order of the report.
//!
//! A measure takes the ground and gives rows or lines back. It must not know
//! how they are shown.

mod exec;
mod lifecycle;
mod proof;
mod run;

use crate::ground::Ground;
use crate::model::{Curve, Measure};
use crate::sample::Pace;
use std::time::Duration;

/// What one question yields.
#[derive(Default)]
pub struct Answer {
    pub measures: Vec<Measure>,
    pub curves: Vec<Curve>,
}

pub struct Question {
    /// What `--only` looks for.
    pub name: &'static str,
    pub asks: &'static str,
    pub full_only: bool,
    pub ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
}

pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// The table of contents.
pub const QUESTIONS: &[Question] = &[
    question(
        "run-warm",
        "the whole of run /bin/true, back to back",
        run::warm,
    ),
    question("run-idle", "the same, after 0.3 s of silence", run::idle),
    question(
        "exec",
        "exec /bin/true in a running container, back to back and after idle",
        exec::both,
    ),
    question(
        "lifecycle",
        "create, start and delete, apart and together",
        lifecycle::apart,
    ),
];

const fn question(
    name: &'static str,
    asks: &'static str,
    ask: fn(&Ground, &mut Progress) -> Result<Answer, String>,
) -> Question {
    Question {
        name,
        asks,
        full_only: false,
        ask,
    }
}

/// Samples taken one after the other.
pub fn back_to_back(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 100 } else { 25 },
        warm_up: 3,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(if ground.full { 120 } else { 8 }),
    }
}

/// Samples after a silence in which the kernel and the processor calm down.
pub fn after_idle(ground: &Ground) -> Pace {
    Pace {
        rounds: if ground.full { 40 } else { 8 },
        warm_up: 1,
        idle: Duration::from_millis(300),
        at_most: Duration::from_secs(if ground.full { 180 } else { 20 }),
    }
}

impl Answer {
    pub fn add(&mut self, other: Self) {
        self.measures.extend(other.measures);
        self.curves.extend(other.curves);
    }

    fn of(measure: Measure) -> Self {
        Self {
            measures: vec![measure],
            curves: Vec::new(),
        }
    }
}
