//! The promises: reads the table of `docs/budget.md` and judges a report by it.
//!
//! Pure but for `read`. A row that can't be judged says why and is no pass. It
//! must not know how a measure is taken.

use crate::model::{Report, Unit};
use crate::peers::OURS;
use crate::stats::{Ratio, median, ratio, summarize};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    pub measure: String,
    pub what: String,
    /// Empty for an absolute number; of several, the fastest counts.
    pub against: Vec<String>,
    pub bar: f64,
    pub reach: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verdict {
    pub promise: Promise,
    /// Our number, or our ratio to the peer's; with its 95 % interval.
    pub value: Option<Ratio>,
    pub unit: Option<Unit>,
    pub outcome: Outcome,
    /// Why there is nothing to judge.
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Reached,
    Pass,
    /// Over the bar, but the interval still holds it.
    Noise,
    Miss,
    Unknown,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Self::Reached => "pass, reached",
            Self::Pass => "pass",
            Self::Noise => "miss within noise",
            Self::Miss => "MISS",
            Self::Unknown => "not measured",
        }
    }
}

pub fn read() -> Result<Vec<Promise>, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/budget.md");
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    parse(&text).map_err(|reason| format!("{}: {reason}", file.display()))
}

/// Every table row whose first cell is code.
pub fn parse(text: &str) -> Result<Vec<Promise>, String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| `"))
        .map(|(index, line)| {
            parse_row(line).map_err(|reason| format!("line {}: {reason}", index + 1))
        })
        .collect()
}

fn parse_row(line: &str) -> Result<Promise, String> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [measure, what, against, bar, reach] = cells[..] else {
        return Err(format!("{} cells, expected 5", cells.len()));
    };
    Ok(Promise {
        measure: measure.trim_matches('`').to_owned(),
        what: what.to_owned(),
        against: parse_peers(against),
        bar: parse_bar(bar)?,
        reach: parse_bar(reach)?,
    })
}

fn parse_peers(cell: &str) -> Vec<String> {
    if cell == "-" {
        return Vec::new();
    }
    cell.split(" or ").map(str::to_owned).collect()
}

fn parse_bar(cell: &str) -> Result<f64, String> {
    let bound = cell
        .strip_prefix("<= ")
        .ok_or_else(|| format!("{cell:?} does not begin with \"<= \""))?;
    let number = bound.strip_suffix(" KiB").unwrap_or(bound);
    number
        .parse()
        .map_err(|_| format!("{number:?} is not a number"))
}

pub fn judge(promises: &[Promise], report: &Report) -> Vec<Verdict> {
    promises
        .iter()
        .map(|promise| match evaluate(promise, report) {
            Ok((value, unit)) => Verdict {
                outcome: outcome(promise, value),
                promise: promise.clone(),
                value: Some(value),
                unit,
                reason: None,
            },
            Err((outcome, reason)) => Verdict {
                promise: promise.clone(),
                value: None,
                unit: None,
                outcome,
                reason: Some(reason),
            },
        })
        .collect()
}

fn outcome(promise: &Promise, value: Ratio) -> Outcome {
    if value.value <= promise.reach {
        Outcome::Reached
    } else if value.value <= promise.bar {
        Outcome::Pass
    } else if value.low <= promise.bar {
        Outcome::Noise
    } else {
        Outcome::Miss
    }
}

/// Where there is nothing to compare: a failure of ours is a miss, any other unknown.
fn evaluate(
    promise: &Promise,
    report: &Report,
) -> Result<(Ratio, Option<Unit>), (Outcome, String)> {
    let id = &promise.measure;
    let measure = report.measures.iter().find(|measure| measure.id == *id);
    let unknown = |reason: String| (Outcome::Unknown, reason);
    let measure = measure.ok_or_else(|| unknown(report.why_not(id)))?;
    let ours = samples(report, id, OURS).map_err(|reason| (Outcome::Miss, reason))?;
    if promise.against.is_empty() {
        let summary = summarize(ours).ok_or_else(|| unknown("no samples".to_owned()))?;
        let value = Ratio {
            value: summary.median,
            low: summary.low,
            high: summary.high,
        };
        return Ok((value, Some(measure.unit)));
    }
    let theirs = fastest(promise, report).map_err(unknown)?;
    ratio(ours, theirs)
        .map(|value| (value, None))
        .ok_or_else(|| unknown("no samples".to_owned()))
}

/// The samples of the fastest peer that the promise names and that did not fail.
fn fastest<'a>(promise: &Promise, report: &'a Report) -> Result<&'a [f64], String> {
    let mut reasons = Vec::new();
    let mut there = Vec::new();
    for peer in &promise.against {
        match samples(report, &promise.measure, peer) {
            Ok(samples) => there.push(samples),
            Err(reason) => reasons.push(reason),
        }
    }
    there
        .into_iter()
        .min_by(|a, b| median(a).total_cmp(&median(b)))
        .ok_or_else(|| reasons.join("; "))
}

fn samples<'a>(report: &'a Report, measure: &str, peer: &str) -> Result<&'a [f64], String> {
    let row = report
        .row(measure, peer)
        .ok_or_else(|| format!("{peer} has no row"))?;
    match &row.failure {
        Some(reason) => Err(format!("{peer} failed: {reason}")),
        None => Ok(&row.samples),
    }
}
