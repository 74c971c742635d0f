//! Who fails at the gate: a miss each time on a quiet machine, and nothing else.

use super::fixture;
use crate::budget::{judge, parse};
use crate::gate::{Gate, Judgement, TRIES};
use crate::measure::{QUESTIONS, Question};
use crate::model::{Report, Row};

const NAME: &str = "run-warm";

fn question() -> &'static Question {
    let found = QUESTIONS.iter().find(|question| question.name == NAME);
    found.expect("it is asked")
}

/// A report whose only promise is missed by far, or kept.
fn report(missed: bool) -> Report {
    let mut report = fixture::report();
    let ours = if missed { 8.0 } else { 2.0 };
    report.measures[0].rows[0] = Row::new("crun-lite", Ok(vec![ours; 9]));
    report.measures[0].question = NAME.to_owned();
    let promises = parse("| `run-warm` | x | crun | <= 0.45 | <= 0.33 |").expect("one row");
    report.budgets = judge(&promises, &report);
    report
}

/// What the gate says of rounds, each with whether the bar was missed and whether the machine was quiet; and how many
/// it wanted.
fn judgement(rounds: impl Iterator<Item = (bool, bool)>) -> (Judgement, usize) {
    let mut gate = Gate::new(true);
    let mut asked = vec![question()];
    let mut count = 0;
    let mut last = report(false);
    for (missed, quiet) in rounds {
        if asked.is_empty() {
            break;
        }
        count += 1;
        gate.note(NAME, quiet);
        last = report(missed);
        asked = gate.left(&asked, &last.missed_questions());
    }
    (gate.judge(&last), count)
}

fn open() -> Judgement {
    Judgement::default()
}

#[test]
fn what_keeps_its_bar_is_asked_once() {
    let rounds = std::iter::repeat((false, true));
    assert_eq!(judgement(rounds), (open(), 1));
}

#[test]
fn a_miss_each_time_fails() {
    let failed = Judgement {
        failed: vec![NAME.to_owned()],
        undecided: Vec::new(),
    };
    let rounds = std::iter::repeat((true, true));
    assert_eq!(judgement(rounds), (failed, TRIES));
}

#[test]
fn one_try_that_keeps_the_bar_is_enough() {
    let rounds = [(true, true), (true, true), (false, true)].into_iter();
    assert_eq!(judgement(rounds), (open(), 3));
}

#[test]
fn a_busy_machine_decides_nothing() {
    let undecided = Judgement {
        failed: Vec::new(),
        undecided: vec![NAME.to_owned()],
    };
    let rounds = std::iter::repeat((true, false));
    assert_eq!(judgement(rounds), (undecided, 2 * TRIES));
}

#[test]
fn a_miss_on_a_busy_machine_is_no_excuse_for_those_on_a_quiet_one() {
    let rounds = std::iter::once((true, false)).chain(std::iter::repeat((true, true)));
    let (judgement, count) = judgement(rounds);
    assert_eq!((judgement.failed.len(), count), (1, TRIES + 1));
}

#[test]
fn without_the_option_nothing_is_asked_again() {
    let mut gate = Gate::new(false);
    let missed = report(true);
    assert!(
        gate.left(&[question()], &missed.missed_questions())
            .is_empty()
    );
}

#[test]
fn a_machine_that_sleeps_is_less_busy_than_one_that_works() {
    let share = crate::machine::busy_share(std::time::Duration::from_millis(50));
    assert!((0.0..=1.0).contains(&share), "{share}");
}
