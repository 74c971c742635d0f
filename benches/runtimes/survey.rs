//! Asks the questions one after the other, and tells how far it is and how long it will take.
//!
//! Each question leaves a line in the report: how long it took, or why it was not asked. It must not know what they ask.

use crate::ground::Ground;
use crate::interrupt;
use crate::measure::{Answer, ONLY_FULL, QUESTIONS, Question};
use crate::model::Asked;
use crate::options::Options;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

pub struct Survey {
    full: bool,
    draws: bool,
    began: Instant,
    /// Seconds that the questions so far should have taken, and that all will.
    expected_done_s: u32,
    expected_s: u32,
    asked: Vec<Asked>,
}

/// Those that a run with these options asks.
pub fn questions(options: &Options) -> Vec<&'static Question> {
    QUESTIONS
        .iter()
        .filter(|question| options.wants(question.name))
        .filter(|question| question.has_bar || !options.gate)
        .filter(|question| question.takes_s(options.full).is_some())
        .collect()
}

impl Survey {
    pub fn new(questions: &[&Question], full: bool) -> Self {
        let seconds = questions.iter().filter_map(|asked| asked.takes_s(full));
        Self {
            full,
            draws: std::io::stderr().is_terminal(),
            began: Instant::now(),
            expected_done_s: 0,
            expected_s: seconds.sum(),
            asked: Vec::new(),
        }
    }

    /// Everything before the first question.
    pub fn prepared(&mut self, took: Duration) {
        self.note("(preparation)", "programs, bundles, peers", took, None);
    }

    pub fn ask(&mut self, question: &Question, ground: &Ground) -> Result<Answer, String> {
        let began = Instant::now();
        let mut progress = |done: usize, all: usize| self.draw(question, done, all);
        let answer = (question.ask)(ground, &mut progress);
        let failed = answer.as_ref().err();
        let failed = failed.map(|reason| format!("failed: {reason}"));
        let cut = interrupt::is_asked().then(|| ENDED_EARLY.to_owned());
        let took = began.elapsed();
        let start = if self.draws { "\r\x1b[K" } else { "" };
        eprintln!("{start}{:<18}{:>7.1} s", question.name, took.as_secs_f64());
        self.expected_done_s += question.takes_s(self.full).unwrap_or(0);
        self.note(question.name, question.asks, took, cut.or(failed));
        answer
    }

    /// The list of all questions, those that were not asked with the reason.
    pub fn list(mut self, options: &Options) -> Vec<Asked> {
        for question in QUESTIONS {
            let is_there = self.asked.iter().any(|asked| asked.name == question.name);
            if !is_there {
                self.asked.push(Asked {
                    name: question.name.to_owned(),
                    asks: question.asks.to_owned(),
                    took_s: None,
                    left_out: Some(why_left_out(question, options).to_owned()),
                });
            }
        }
        self.asked
    }

    fn note(&mut self, name: &str, asks: &str, took: Duration, left_out: Option<String>) {
        self.asked.retain(|asked| asked.name != name);
        self.asked.push(Asked {
            name: name.to_owned(),
            asks: asks.to_owned(),
            took_s: Some((took.as_secs_f64() * 10.0).round() / 10.0),
            left_out,
        });
    }

    fn draw(&self, question: &Question, done: usize, all: usize) {
        if !self.draws {
            return;
        }
        let takes_s = f64::from(question.takes_s(self.full).unwrap_or(0));
        let share = done as f64 / all.max(1) as f64;
        let expected_done_s = f64::from(self.expected_done_s) + takes_s * share;
        let left = time_left(
            self.began.elapsed(),
            expected_done_s,
            f64::from(self.expected_s),
        );
        let bar = bar(expected_done_s / f64::from(self.expected_s.max(1)));
        eprint!("\r\x1b[K{bar} {left} left  {} {done}/{all}", question.name);
        let _ = std::io::stderr().flush();
    }
}

const ENDED_EARLY: &str = "the run was ended early";

fn why_left_out(question: &Question, options: &Options) -> &'static str {
    if question.takes_s(options.full).is_none() {
        ONLY_FULL
    } else if !options.wants(question.name) {
        "not asked for"
    } else if options.gate && !question.has_bar {
        "it has no bar"
    } else {
        ENDED_EARLY
    }
}

fn bar(share: f64) -> String {
    const WIDTH: usize = 30;
    let filled = ((share * WIDTH as f64) as usize).min(WIDTH);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(WIDTH - filled))
}

/// What is expected of the rest, as much slower or faster as it went so far.
pub fn time_left(elapsed: Duration, expected_done_s: f64, expected_s: f64) -> String {
    /// Before that the pace is not known.
    const ENOUGH_S: f64 = 5.0;
    let pace = match expected_done_s >= ENOUGH_S {
        true => elapsed.as_secs_f64() / expected_done_s,
        false => 1.0,
    };
    let left_s = ((expected_s - expected_done_s) * pace).max(0.0) as u64;
    format!("{}:{:02}", left_s / 60, left_s % 60)
}
