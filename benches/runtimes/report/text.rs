//! The report for a terminal: a table a measure, each peer as a multiple of ours and of the floor.

use crate::budget::Verdict;
use crate::model::{Curve, Measure, Report, Row};
use crate::peers::{FLOOR, OURS};
use std::fmt::Write;

pub fn render(report: &Report) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    // Writing to a String can't fail.
    let _ = writeln!(
        text,
        "kernel {}, {} x {}, cgroup {}, load before {} after {}",
        machine.kernel,
        machine.cores,
        machine.processor,
        machine.cgroup,
        machine.load_before,
        machine.load_after
    );
    for measure in &report.measures {
        table(&mut text, measure);
    }
    for curve in &report.curves {
        points(&mut text, curve);
    }
    asked(&mut text, report);
    verdicts(&mut text, report);
    text
}

fn asked(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\nwhat was asked, {:.0} s in all", report.took_s());
    for asked in &report.asked {
        let _ = writeln!(text, "  {:<18} {}", asked.name, asked.outcome());
    }
}

fn table(text: &mut String, measure: &Measure) {
    let unit = measure.unit.name();
    let _ = writeln!(
        text,
        "\n{} ({}{unit})",
        measure.title,
        if unit.is_empty() { "count" } else { "" }
    );
    let of = |peer: &str| {
        let row = measure.rows.iter().find(|row| row.peer == peer)?;
        row.summary.as_ref().map(|summary| summary.median)
    };
    let (ours, floor) = (of(OURS), of(FLOOR));
    for row in &measure.rows {
        let _ = writeln!(text, "  {:<16} {}", row.peer, cells(row, ours, floor));
    }
}

fn cells(row: &Row, ours: Option<f64>, floor: Option<f64>) -> String {
    let Some(summary) = &row.summary else {
        return row.reason();
    };
    let mut cells = format!(
        "{:>10.2}  [{:.2}, {:.2}]  min {:.2}",
        summary.median, summary.low, summary.high, summary.min
    );
    if let Some(floor) = floor {
        let _ = write!(cells, "  {:.2} x floor", summary.median / floor);
    }
    if let Some(ours) = ours.filter(|_| row.peer != OURS) {
        let _ = write!(cells, "  ours is {:.2} of it", ours / summary.median);
    }
    let _ = write!(cells, "  n={}", summary.count);
    if let Some(note) = &row.note {
        let _ = write!(cells, "  ({note})");
    }
    cells
}

fn points(text: &mut String, curve: &Curve) {
    let _ = writeln!(
        text,
        "\n{} ({}) by {}",
        curve.title,
        curve.unit.name(),
        curve.x_label
    );
    for line in &curve.lines {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{}: {:.2}", point.x, point.median))
            .collect();
        let failure = line
            .failure
            .as_deref()
            .map(|why| format!("  failed: {why}"));
        let _ = writeln!(
            text,
            "  {:<16} {}{}",
            line.peer,
            points.join("  "),
            failure.unwrap_or_default()
        );
    }
}

fn verdicts(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\nbudget (docs/budget.md)");
    let taken = |verdict: &&Verdict| {
        report
            .measures
            .iter()
            .any(|measure| measure.id == verdict.promise.measure)
    };
    for verdict in report.budgets.iter().filter(taken) {
        let promise = &verdict.promise;
        let against = if promise.against.is_empty() {
            String::new()
        } else {
            format!(" / {}", promise.against.join(" or "))
        };
        let value = verdict.value.map_or_else(
            || verdict.reason.clone().unwrap_or_default(),
            |value| {
                format!(
                    "{:.2} (bar {}, reach for {})",
                    value.value, promise.bar, promise.reach
                )
            },
        );
        let name = format!("{}{against}", promise.measure);
        let _ = writeln!(text, "  {name:<26}{:<18} {value}", verdict.outcome.word());
    }
}
