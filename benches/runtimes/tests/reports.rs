//! Every form of a report tells the numbers of the JSON and no others.

use super::fixture;
use crate::measure::ONLY_FULL;
use crate::model::Report;
use crate::report::{date, figure, html, json, markdown, text};

#[test]
fn json_comes_back_as_it_was() {
    let written = json::render(&fixture::report()).expect("renders");
    let again: Report = serde_json::from_str(&written).expect("parses");
    assert_eq!(json::render(&again).expect("renders"), written);
    assert!(
        written.contains("\"samples\": [2.0, 2.1, 1.9, 2.0, 9.5],\n"),
        "raw samples are kept, in a row: {written}"
    );
}

#[test]
fn text_and_markdown_say_each_median_and_each_failure() {
    let report = fixture::report();
    for form in [text::render(&report), markdown::render(&report)] {
        for row in report.measures.iter().flat_map(|measure| &measure.rows) {
            assert!(form.contains(&row.peer), "{} in {form}", row.peer);
        }
        assert!(form.contains("2.00") && form.contains("8.10"), "{form}");
        assert!(form.contains("runc run: exit status: 1"), "{form}");
        assert!(form.contains("software emulation"), "{form}");
    }
}

#[test]
fn what_was_left_out_did_not_fail() {
    let report = fixture::report();
    let page = html::render(&report).expect("renders");
    for form in [text::render(&report), markdown::render(&report), page] {
        assert!(!form.contains(&format!("failed: {ONLY_FULL}")), "{form}");
    }
}

#[test]
fn every_runtime_is_a_multiple_of_the_floor() {
    let report = fixture::report();
    let run = &report.measures[0];
    let crun = report.row("run-warm", "crun").expect("a row");
    // 8.1 to 2.0, and to 1.02.
    let [ours, floor] = report.multiples(run, crun);
    assert_eq!(
        (ours.map(figure::times), floor.map(figure::times)),
        (Some("4.05 x".into()), Some("7.94 x".into()))
    );
    let markdown = markdown::render(&report);
    assert!(
        markdown.contains("| crun | 8.10 ms | 7.50 to 8.50 | 4.05 x | 7.94 x |"),
        "{markdown}"
    );
    assert!(
        markdown.contains("| floor | 1.02 ms | 1.00 to 1.10 | 0.51 x |  |"),
        "{markdown}"
    );
}

#[test]
fn the_page_needs_nothing_else_and_runs_nothing() {
    let page = html::render(&fixture::report()).expect("renders");
    for forbidden in ["src=", "url(", "@import", "<script>", "alert(1)</script>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(
        page.matches("href=").count(),
        page.matches("href=\"#").count(),
        "links stay on the page"
    );
    assert!(page.contains("a &lt;processor&gt; &amp; its name"));
}

#[test]
fn numbers_get_the_digits_they_deserve() {
    let shown: Vec<String> = [0.054, 1.0, 7.256, 12.34, 12.0, 3350.6]
        .map(figure::digits)
        .into();
    assert_eq!(shown, ["0.05", "1.00", "7.26", "12.3", "12", "3351"]);
}

#[test]
fn a_date_is_the_civil_one() {
    assert_eq!(date::utc(0), "1970-01-01 00:00 UTC");
    assert_eq!(date::utc(951_782_400), "2000-02-29 00:00 UTC");
    assert_eq!(date::utc(1_795_255_200), "2026-11-21 10:00 UTC");
}
