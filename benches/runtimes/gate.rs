//! `--gate`: what may fail a build. A bar that is missed by more than noise is asked about again, and fails only when it
//! is missed three times, each time on a machine that did nothing else.
//!
//! A busy machine is no excuse that a ratio makes up for: a runtime that works on two processors at once loses one of
//! them to whoever else runs, a program that uses one does not. It must not know what is measured.

use crate::machine;
use crate::measure::Question;
use crate::model::Report;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many misses fail, and so many rounds are asked at most.
pub const TRIES: usize = 3;
const ROUNDS: usize = 2 * TRIES;
/// The share of the processors' time, while nothing is measured, from which on the machine is busy.
const BUSY: f64 = 0.15;
/// How long the kernel may clean up behind a question.
const SETTLING: Duration = Duration::from_secs(2);
/// How long a run waits for others to be done, in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Measures that missed their bar in each try.
    pub failed: Vec<String>,
    /// Measures that missed it, but something else kept the machine busy.
    pub undecided: Vec<String>,
}

pub struct Gate {
    is_shut: bool,
    rounds: usize,
    patience: Duration,
    /// Of each question, how often it missed on a quiet machine.
    misses: HashMap<&'static str, usize>,
    disturbed: Vec<&'static str>,
}

impl Gate {
    /// One that is not shut lets everything pass after one round.
    pub fn new(is_shut: bool) -> Self {
        Self {
            is_shut,
            rounds: 0,
            patience: PATIENCE,
            misses: HashMap::new(),
            disturbed: Vec::new(),
        }
    }

    /// Asks while nothing else runs, as far as patience goes, and notes whether that was so.
    pub fn watch<T>(&mut self, question: &'static str, ask: impl FnOnce() -> T) -> T {
        if !self.is_shut {
            return ask();
        }
        let began = Instant::now();
        let was_quiet = is_quiet_within(self.patience);
        self.patience = self.patience.saturating_sub(began.elapsed());
        let answer = ask();
        self.note(question, was_quiet && is_quiet_within(SETTLING));
        answer
    }

    pub fn note(&mut self, question: &'static str, quiet: bool) {
        self.disturbed.retain(|other| *other != question);
        if !quiet {
            self.disturbed.push(question);
        }
    }

    /// Those of `asked` that are worth another round.
    pub fn left<'q>(&mut self, asked: &[&'q Question], missed: &[&str]) -> Vec<&'q Question> {
        self.rounds += 1;
        let missed: Vec<&Question> = asked
            .iter()
            .copied()
            .filter(|question| missed.contains(&question.name))
            .collect();
        for question in &missed {
            if !self.disturbed.contains(&question.name) {
                *self.misses.entry(question.name).or_default() += 1;
            }
        }
        if !self.is_shut || self.rounds == ROUNDS {
            return Vec::new();
        }
        let undecided = missed.iter().map(|question| question.name);
        let undecided: Vec<&str> = undecided.filter(|name| !self.has_failed(name)).collect();
        asked
            .iter()
            .copied()
            .filter(|question| undecided.contains(&question.name))
            .collect()
    }

    fn has_failed(&self, question: &str) -> bool {
        self.misses
            .get(question)
            .is_some_and(|count| *count >= TRIES)
    }

    pub fn judge(&self, report: &Report) -> Judgement {
        let mut missed = report.missed_measures();
        missed.dedup();
        let question_of = |id: &str| {
            let measure = report.measures.iter().find(|measure| measure.id == id);
            measure.map_or("", |measure| measure.question.as_str())
        };
        let (failed, undecided) = missed
            .into_iter()
            .partition(|measure| self.has_failed(question_of(measure)));
        Judgement { failed, undecided }
    }
}

fn is_quiet_within(patience: Duration) -> bool {
    const LOOK: Duration = Duration::from_millis(250);
    let began = Instant::now();
    loop {
        if machine::busy_share(LOOK) < BUSY {
            return true;
        }
        if began.elapsed() >= patience {
            return false;
        }
    }
}
