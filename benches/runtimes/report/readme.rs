//! README's table of numbers: what a reader wants to know first, between two marks.
//!
//! Numbers come from the report alone, so a committed report proves the table. It must not decide what is good.

use super::figure::digits;
use crate::model::{Report, Row};
use crate::peers::{FLOOR, OURS};
use std::fmt::Write;

const BEGIN: &str = "<!-- numbers -->\n";
const END: &str = "<!-- /numbers -->";
const PEERS: [&str; 3] = [OURS, "crun", "runc"];

const TIMES: [(&str, &str); 7] = [
    ("run-warm", "`run /bin/true`, back to back"),
    ("run-idle", "the same after 0.3 s idle"),
    ("run-docker", "with Docker's default configuration"),
    ("run-rootless", "started without privileges"),
    ("exec-warm", "`exec /bin/true`, back to back"),
    ("exec-idle", "the same after 0.3 s idle"),
    ("lifecycle-warm", "create + start + delete"),
];

const SIZES: [(&str, &str); 5] = [
    (
        "monitor-memory",
        "beside a running container (monitor, PSS)",
    ),
    ("init-memory", "a created, not started container (PSS)"),
    ("peak-memory", "peak of `run`"),
    ("smallest-limit", "the smallest memory limit that starts"),
    ("binary-size", "the binary"),
];

/// `readme` with the report's numbers in place of those that it has.
pub fn put(readme: &str, report: &Report) -> Result<String, String> {
    let missing = || format!("no {} and {END} in it", BEGIN.trim());
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", render(report)))
}

pub fn render(report: &Report) -> String {
    let mut text = introduction(report);
    text.push_str(
        "| median ms | crun-lite | crun | runc | of crun's | bar |\n|---|---|---|---|---|---|\n",
    );
    for (id, title) in TIMES {
        time_row(&mut text, report, id, title);
    }
    text.push_str("\n| KiB | crun-lite | crun | runc | bar |\n|---|---|---|---|---|\n");
    for (id, title) in SIZES {
        size_row(&mut text, report, id, title);
    }
    floor(&mut text, report);
    text
}

fn introduction(report: &Report) -> String {
    let machine = &report.machine;
    let versions: Vec<&str> = report
        .peers
        .iter()
        .filter(|peer| ["crun", "runc"].contains(&peer.name.as_str()) && peer.absent.is_none())
        .map(|peer| peer.version.as_str())
        .collect();
    format!(
        "{}: a {} run on {} x {}{}, kernel {}, cgroup {}; {}.\n\n",
        super::date::utc(report.taken_s),
        report.mode,
        machine.cores,
        machine.processor,
        if machine.virtual_machine {
            " in a virtual machine"
        } else {
            ""
        },
        machine.kernel,
        machine.cgroup,
        versions.join(", ")
    )
}

/// A row that the report has no number of ours for is left out.
fn time_row(text: &mut String, report: &Report, id: &str, title: &str) {
    let Some(ours) = median(report, id, OURS) else {
        return;
    };
    let share = median(report, id, "crun").map(|theirs| ours / theirs);
    // Writing to a String can't fail, here and below.
    let _ = writeln!(
        text,
        "| {title} | {} | {} | {} |",
        cells(report, id),
        share.map_or_else(String::new, digits),
        bar(report, id, &["crun"])
    );
}

fn size_row(text: &mut String, report: &Report, id: &str, title: &str) {
    if median(report, id, OURS).is_some() {
        let _ = writeln!(
            text,
            "| {title} | {} | {} |",
            cells(report, id),
            bar(report, id, &[])
        );
    }
}

fn cells(report: &Report, id: &str) -> String {
    let cell = |peer: &str| {
        let row = report.row(id, peer);
        let median = row
            .and_then(|row| row.summary.as_ref())
            .map(|summary| summary.median);
        let note = row.and_then(|row: &Row| row.note.as_deref());
        let number = median.map_or_else(|| "-".to_owned(), digits);
        note.map_or_else(|| number.clone(), |note| format!("{number}, {note}"))
    };
    PEERS.map(cell).join(" | ")
}

fn median(report: &Report, id: &str, peer: &str) -> Option<f64> {
    let summary = report.row(id, peer)?.summary.as_ref()?;
    Some(summary.median)
}

fn bar(report: &Report, id: &str, against: &[&str]) -> String {
    let verdict = report
        .budgets
        .iter()
        .find(|verdict| verdict.promise.measure == id && verdict.promise.against == against);
    verdict.map_or_else(String::new, |verdict| digits(verdict.promise.bar))
}

fn floor(text: &mut String, report: &Report) {
    let verdict = report
        .budgets
        .iter()
        .find(|verdict| verdict.promise.against == [FLOOR]);
    if let Some((verdict, ratio)) = verdict.and_then(|verdict| Some((verdict, verdict.value?))) {
        let _ = writeln!(
            text,
            "\nA warm `run` takes {} times what the floor takes, a program that only makes the namespaces and mounts \
             (95 % between {} and {}; bar {}).",
            digits(ratio.value),
            digits(ratio.low),
            digits(ratio.high),
            digits(verdict.promise.bar)
        );
    }
}
