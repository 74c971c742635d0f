//! The budget's table and its judgement.

use super::fixture;
use crate::budget::{Outcome, judge, parse, read};
use crate::measure::QUESTIONS;
use crate::model::Row;

#[test]
fn the_budget_in_docs_is_readable_and_asks_for_more_than_the_bar() {
    let promises = read().expect("docs/budget.md");
    assert!(promises.len() >= 12);
    for promise in promises {
        assert!(promise.reach <= promise.bar, "{promise:?}");
    }
}

#[test]
fn a_row_is_read_cell_by_cell() {
    let promises =
        parse("| `a` | what `b` is | umoci or podman | <= 0.5 | <= 0.33 |\n").expect("one row");
    let promise = &promises[0];
    assert_eq!(
        (promise.measure.as_str(), promise.what.as_str()),
        ("a", "what `b` is")
    );
    assert_eq!(promise.against, ["umoci", "podman"]);
    assert_eq!((promise.bar, promise.reach), (0.5, 0.33));
}

#[test]
fn a_broken_row_is_named_by_its_line() {
    let reason = parse("text\n| `a` | b | - | < 5 | <= 4 |\n").expect_err("no bar");
    assert!(reason.starts_with("line 2: "), "{reason}");
    assert!(parse("| `a` | b | - | <= 5 |\n").is_err());
}

#[test]
fn the_fixture_is_judged_as_worked_out_by_hand() {
    let report = fixture::report();
    let outcomes: Vec<Outcome> = report
        .budgets
        .iter()
        .map(|verdict| verdict.outcome)
        .collect();
    // 2.0 / 8.1 is under 0.33; it is over 0.24 by less than noise, and the failed runc does not count; 2500 is between.
    assert_eq!(
        outcomes,
        [
            Outcome::Reached,
            Outcome::Noise,
            Outcome::Pass,
            Outcome::Unknown
        ]
    );
}

#[test]
fn an_interval_above_the_bar_is_a_miss() {
    let mut report = fixture::report();
    report.measures[0].rows[0] = Row::new("crun-lite", Ok(vec![7.9, 8.0, 8.1, 8.0, 8.0]));
    let promises = parse("| `run-warm` | x | crun | <= 0.45 | <= 0.33 |").expect("one row");
    assert_eq!(judge(&promises, &report)[0].outcome, Outcome::Miss);
}

#[test]
fn a_failed_peer_is_no_pass_and_says_why() {
    let report = fixture::report();
    let promises = parse("| `run-warm` | x | runc | <= 0.45 | <= 0.33 |").expect("one row");
    let verdict = &judge(&promises, &report)[0];
    assert_eq!(verdict.outcome, Outcome::Unknown);
    assert!(
        verdict
            .reason
            .as_deref()
            .is_some_and(|why| why.contains("runc failed: "))
    );
}

#[test]
fn names_of_questions_are_told_apart() {
    let mut names: Vec<&str> = QUESTIONS.iter().map(|question| question.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), QUESTIONS.len());
}
