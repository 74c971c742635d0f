//! README's numbers are those of the report that is kept beside the benchmark.

use super::fixture;
use crate::budget::{judge, read};
use crate::model::Report;
use crate::report::{json, readme};
use std::path::Path;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn kept() -> Report {
    let file = repository().join("benches/report.json");
    let mut report = json::read(&file).expect("the report that README shows");
    report.budgets = judge(&read().expect("docs/budget.md"), &report);
    report
}

#[test]
fn readme_shows_the_numbers_of_the_kept_report() {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let new = readme::put(&text, &kept()).expect("has its marks");
    let hint = "cargo bench --bench runtimes -- --from benches/report.json --readme README.md";
    assert!(
        new == text,
        "README's numbers are not those of benches/report.json; run: {hint}"
    );
}

#[test]
fn numbers_stand_between_the_marks_and_nothing_else_moves() {
    let old = "# A\n<!-- numbers -->\nold\n<!-- /numbers -->\nmore\n";
    let new = readme::put(old, &fixture::report()).expect("has its marks");
    assert!(
        new.starts_with("# A\n<!-- numbers -->\n2026-11-21 10:00 UTC: a quick run on 2 x "),
        "{new}"
    );
    assert!(new.ends_with("<!-- /numbers -->\nmore\n"), "{new}");
    assert!(
        new.contains("| `run /bin/true`, back to back | 2.00 | 8.10 | - | "),
        "{new}"
    );
    assert!(
        !new.contains("old") && !new.contains("after 0.3 s idle"),
        "{new}"
    );
    assert_eq!(readme::put(&new, &fixture::report()).as_ref(), Ok(&new));
}

#[test]
fn a_readme_without_marks_is_refused() {
    let reason = readme::put("# A\n", &fixture::report()).expect_err("no marks");
    assert!(reason.contains("<!-- numbers -->"), "{reason}");
}
