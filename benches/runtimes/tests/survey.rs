//! What is asked in which run, and what a reader is told of the rest.

use super::fixture;
use crate::measure::{ONLY_FULL, QUESTIONS};
use crate::options::{Options, parse};
use crate::report::{html, markdown, text};
use crate::survey::{self, Survey, time_left};
use std::time::Duration;

const QUICK_S: u32 = 120;
const FULL_S: u32 = 25 * 60;

fn options(words: &[&str]) -> Options {
    let parsed = parse(words.iter().map(|word| (*word).to_owned()));
    parsed.expect("known options").expect("not the usage")
}

fn names(words: &[&str]) -> Vec<&'static str> {
    let asked = survey::questions(&options(words));
    asked.iter().map(|question| question.name).collect()
}

#[test]
fn a_quick_run_is_planned_for_two_minutes_and_a_full_one_for_twenty_five() {
    let sum = |full: bool| {
        QUESTIONS
            .iter()
            .filter_map(|asked| asked.takes_s(full))
            .sum::<u32>()
    };
    assert!(sum(false) < QUICK_S, "{}", sum(false));
    assert!(sum(true) < FULL_S, "{}", sum(true));
}

#[test]
fn a_full_run_asks_everything_and_the_gate_only_what_has_a_bar() {
    assert_eq!(names(&["--full"]).len(), QUESTIONS.len());
    let gate = names(&["--quick", "--gate"]);
    assert!(
        gate.contains(&"run-idle") && gate.contains(&"unpack"),
        "{gate:?}"
    );
    assert!(
        !gate.contains(&"parallel") && !gate.contains(&"image-archive"),
        "{gate:?}"
    );
}

#[test]
fn what_was_not_asked_has_a_row_that_says_why() {
    let options = options(&["--quick", "--only", "run-warm"]);
    let survey = Survey::new(&survey::questions(&options), false);
    let list = survey.list(&options);
    assert_eq!(list.len(), QUESTIONS.len());
    let reason = |name: &str| {
        let asked = list.iter().find(|asked| asked.name == name);
        asked.and_then(|asked| asked.left_out.clone())
    };
    assert_eq!(reason("image-archive").as_deref(), Some(ONLY_FULL));
    assert_eq!(reason("held").as_deref(), Some("not asked for"));
}

#[test]
fn each_form_of_the_report_tells_how_long_each_question_took() {
    let report = fixture::report();
    let page = html::render(&report).expect("renders");
    for form in [text::render(&report), markdown::render(&report), page] {
        assert!(form.contains("4.5 s") && form.contains(ONLY_FULL), "{form}");
    }
}

#[test]
fn the_time_left_follows_the_pace_so_far() {
    let seconds = Duration::from_secs;
    assert_eq!(time_left(seconds(1), 0.0, 90.0), "1:30");
    // Twice as slow as expected: what is left will be, too.
    assert_eq!(time_left(seconds(60), 30.0, 90.0), "2:00");
    assert_eq!(time_left(seconds(100), 90.0, 90.0), "0:00");
}
