//! The report's data: what the JSON file holds and every other form is drawn from.
//!
//! A peer that failed is a row with a reason, never a missing row. It must not
//! know how a number was measured nor how it is shown.

use crate::budget::{Outcome, Verdict};
use crate::gate::Judgement;
use crate::machine::Machine;
use crate::peers::{FLOOR, OURS};
use crate::stats::{Summary, summarize};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Seconds since 1970, UTC.
    pub taken_s: u64,
    pub mode: String,
    pub machine: Machine,
    pub peers: Vec<PeerInfo>,
    /// Every question of the benchmark, with the time it took.
    #[serde(default)]
    pub asked: Vec<Asked>,
    pub measures: Vec<Measure>,
    pub curves: Vec<Curve>,
    pub waterfalls: Vec<Waterfall>,
    pub budgets: Vec<Verdict>,
    /// Of a run with `--gate`.
    #[serde(default)]
    pub gate: Option<Judgement>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerInfo {
    pub name: String,
    pub version: String,
    pub program: String,
    /// Why it takes no part, where it does not.
    pub absent: Option<String>,
}

/// How long a question took, or why it has no answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    pub name: String,
    pub asks: String,
    pub took_s: Option<f64>,
    pub left_out: Option<String>,
}

impl Asked {
    /// How long it took, and why that was all.
    pub fn outcome(&self) -> String {
        let took = self.took_s.map(|seconds| format!("{seconds:.1} s"));
        let parts: Vec<String> = took.into_iter().chain(self.left_out.clone()).collect();
        parts.join(", ")
    }
}

/// What one question yields.
#[derive(Debug, Default)]
pub struct Answer {
    pub measures: Vec<Measure>,
    pub curves: Vec<Curve>,
    pub waterfalls: Vec<Waterfall>,
}

impl Answer {
    pub fn of(measure: Measure) -> Self {
        Self {
            measures: vec![measure],
            ..Self::default()
        }
    }
}

/// One number asked of every peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measure {
    pub id: String,
    pub title: String,
    pub about: String,
    pub unit: Unit,
    pub rows: Vec<Row>,
    /// The question it answers; `--only` takes this name.
    #[serde(default)]
    pub question: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "KiB")]
    Kibibytes,
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Kibibytes => "KiB",
            Self::Count => "",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub peer: String,
    pub samples: Vec<f64>,
    pub summary: Option<Summary>,
    pub failure: Option<String>,
    /// What a reader must know to compare this row, such as software emulation.
    pub note: Option<String>,
}

impl Row {
    pub fn new(peer: &str, outcome: Result<Vec<f64>, String>) -> Self {
        let (samples, failure) = match outcome {
            Ok(samples) => (samples, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Self {
            peer: peer.to_owned(),
            summary: summarize(&samples),
            samples,
            failure,
            note: None,
        }
    }

    /// Why there is no number, in a reader's words; what was left out on purpose did not fail.
    pub fn reason(&self) -> String {
        match self.failure.as_deref() {
            Some(reason) if self.is_left_out() => reason.to_owned(),
            Some(reason) => format!("failed: {reason}"),
            None => "failed: no samples".to_owned(),
        }
    }

    pub fn is_left_out(&self) -> bool {
        let reason = self.failure.as_deref().unwrap_or_default();
        reason.starts_with(crate::measure::ONLY_FULL)
    }

    pub fn noted(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }
}

/// How a number moves with another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Curve {
    pub id: String,
    pub title: String,
    pub about: String,
    pub x_label: String,
    pub unit: Unit,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub peer: String,
    pub points: Vec<Point>,
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub x: f64,
    pub samples: Vec<f64>,
    pub median: f64,
}

impl Point {
    pub fn new(x: f64, samples: Vec<f64>) -> Self {
        Self {
            x,
            median: crate::stats::median(&samples),
            samples,
        }
    }
}

/// The phases of one start, as the runtime itself recorded them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waterfall {
    pub title: String,
    pub phases: Vec<Phase>,
    /// Why there is none.
    #[serde(default)]
    pub failure: Option<String>,
}

impl Waterfall {
    /// When the last phase ends.
    pub fn end_us(&self) -> f64 {
        self.phases.iter().map(Phase::end_us).fold(0.0, f64::max)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub lane: String,
    pub name: String,
    pub start_us: f64,
    pub length_us: f64,
}

impl Phase {
    pub fn end_us(&self) -> f64 {
        self.start_us + self.length_us
    }

    /// Whether another phase of the same process is a part of this one.
    pub fn holds(&self, part: &Self) -> bool {
        self.lane == part.lane
            && part.length_us < self.length_us
            && part.start_us >= self.start_us
            && part.end_us() <= self.end_us()
    }
}

impl Report {
    /// Adds what a question yielded, in the place of what it yielded before.
    pub fn take(&mut self, question: &str, answer: Answer) {
        for mut measure in answer.measures {
            measure.question = question.to_owned();
            let before = self.measures.iter_mut().find(|old| old.id == measure.id);
            match before {
                Some(before) => *before = measure,
                None => self.measures.push(measure),
            }
        }
        for curve in answer.curves {
            let before = self.curves.iter_mut().find(|old| old.id == curve.id);
            match before {
                Some(before) => *before = curve,
                None => self.curves.push(curve),
            }
        }
        for waterfall in answer.waterfalls {
            self.waterfalls.retain(|old| old.title != waterfall.title);
            self.waterfalls.push(waterfall);
        }
    }

    /// Why a measure is not there: its question was left out, as far as its name tells.
    pub fn why_not(&self, measure: &str) -> String {
        let mut asked = self.asked.iter();
        let question = asked.find(|asked| measure.starts_with(asked.name.as_str()));
        let reason = question.and_then(|asked| asked.left_out.clone());
        reason.unwrap_or_else(|| "the measure was not taken".to_owned())
    }

    /// What all questions took together.
    pub fn took_s(&self) -> f64 {
        self.asked.iter().filter_map(|asked| asked.took_s).sum()
    }

    pub fn missed_measures(&self) -> Vec<String> {
        let missed = |verdict: &&Verdict| verdict.outcome == Outcome::Miss;
        let verdicts = self.budgets.iter().filter(missed);
        verdicts
            .map(|verdict| verdict.promise.measure.clone())
            .collect()
    }

    pub fn missed_questions(&self) -> Vec<&str> {
        let missed = self.missed_measures();
        let measures = self.measures.iter();
        measures
            .filter(|measure| missed.contains(&measure.id))
            .map(|measure| measure.question.as_str())
            .collect()
    }

    /// A peer's median as a multiple of ours and of the floor's, where these are known and it is neither.
    pub fn multiples(&self, measure: &Measure, row: &Row) -> [Option<f64>; 2] {
        [OURS, FLOOR].map(|base| {
            let base = self
                .row(&measure.id, base)
                .filter(|base| base.peer != row.peer)?;
            Some(row.summary.as_ref()?.median / base.summary.as_ref()?.median)
        })
    }

    pub fn row(&self, measure: &str, peer: &str) -> Option<&Row> {
        let measure = self.measures.iter().find(|m| m.id == measure)?;
        measure.rows.iter().find(|row| row.peer == peer)
    }
}
