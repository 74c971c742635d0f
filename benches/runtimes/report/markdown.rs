//! The report as Markdown tables, for README.

use super::figure::{digits, times, with_unit};
use crate::model::{Curve, Measure, Report, Row};
use std::fmt::Write;

pub fn render(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "Measured {} on {} x {}, kernel {}, cgroup {}; medians of interleaved samples with their 95 % intervals.\n",
        super::date::utc(report.taken_s),
        machine.cores,
        machine.processor,
        machine.kernel,
        machine.cgroup
    );
    for measure in &report.measures {
        table(&mut text, report, measure);
    }
    for curve in &report.curves {
        points(&mut text, curve);
    }
    budget(&mut text, report);
    asked(&mut text, report);
    text
}

fn asked(text: &mut String, report: &Report) {
    let _ = write!(
        text,
        "\n### What was asked, {:.0} s in all\n\n| | | time |\n|---|---|---|\n",
        report.took_s()
    );
    for asked in &report.asked {
        let outcome = cell(&asked.outcome());
        let _ = writeln!(
            text,
            "| {} | {} | {outcome} |",
            asked.name,
            cell(&asked.asks)
        );
    }
}

fn table(text: &mut String, report: &Report, measure: &Measure) {
    // Writing to a String can't fail, here and below.
    let _ = write!(
        text,
        "\n### {}\n\n| | median | 95 % interval | to crun-lite | to the floor |\n|---|---|---|---|---|\n",
        measure.title
    );
    for row in &measure.rows {
        table_row(text, report, measure, row);
    }
}

fn table_row(text: &mut String, report: &Report, measure: &Measure, row: &Row) {
    let note = row
        .note
        .as_deref()
        .map_or_else(String::new, |note| format!(" ({note})"));
    let name = cell(&format!("{}{note}", row.peer));
    let Some(summary) = &row.summary else {
        let reason = cell(&row.reason());
        let _ = writeln!(text, "| {name} | {reason} | | | |");
        return;
    };
    let [ours, floor] = report
        .multiples(measure, row)
        .map(|multiple| multiple.map_or_else(String::new, times));
    let _ = writeln!(
        text,
        "| {name} | {} | {} to {} | {ours} | {floor} |",
        with_unit(summary.median, measure.unit),
        digits(summary.low),
        digits(summary.high)
    );
}

fn points(text: &mut String, curve: &Curve) {
    let _ = write!(text, "\n### {} ({})\n\n", curve.title, curve.unit.name());
    let Some(longest) = curve.lines.iter().max_by_key(|line| line.points.len()) else {
        return;
    };
    let heads: Vec<String> = longest
        .points
        .iter()
        .map(|point| point.x.to_string())
        .collect();
    let rule = "---|".repeat(heads.len() + 1);
    let _ = writeln!(
        text,
        "| {} | {} |\n|{rule}",
        curve.x_label,
        heads.join(" | ")
    );
    for line in &curve.lines {
        let mut cells: Vec<String> = line
            .points
            .iter()
            .map(|point| digits(point.median))
            .collect();
        cells.extend(
            line.failure
                .as_deref()
                .map(|reason| format!("failed: {}", cell(reason))),
        );
        let _ = writeln!(text, "| {} | {} |", line.peer, cells.join(" | "));
    }
}

fn budget(text: &mut String, report: &Report) {
    text.push_str("\n### Budget\n\n| what | against | measured | bar | reach for | |\n|---|---|---|---|---|---|\n");
    for verdict in &report.budgets {
        let promise = &verdict.promise;
        let show = |value: f64| {
            verdict
                .unit
                .map_or_else(|| digits(value), |unit| with_unit(value, unit))
        };
        let measured = verdict.value.map_or_else(
            || cell(verdict.reason.as_deref().unwrap_or_default()),
            |value| show(value.value),
        );
        let _ = writeln!(
            text,
            "| {} | {} | {measured} | {} | {} | {} |",
            promise.what,
            promise.against.join(" or "),
            show(promise.bar),
            show(promise.reach),
            verdict.outcome.word()
        );
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
