//! The report as JSON: everything, with each raw sample, and back again.

use crate::model::Report;
use std::path::Path;

pub fn render(report: &Report) -> Result<String, String> {
    let pretty = serde_json::to_string_pretty(report);
    let pretty = pretty.map_err(|error| format!("render the JSON: {error}"))?;
    Ok(numbers_in_a_row(&pretty))
}

/// A list of samples on one line, as a reader of a difference wants them.
fn numbers_in_a_row(pretty: &str) -> String {
    let mut text = String::with_capacity(pretty.len());
    let mut in_row = false;
    for line in pretty.lines() {
        let word = line.trim();
        let is_number = word.trim_end_matches(',').parse::<f64>().is_ok();
        match (in_row, is_number) {
            (true, true) => text.push(' '),
            (false, true) => {}
            (true, false) => {}
            (false, false) if text.is_empty() => {}
            (false, false) => text.push('\n'),
        }
        text.push_str(if in_row || is_number { word } else { line });
        in_row = is_number;
    }
    text.push('\n');
    text
}

pub fn read(file: &Path) -> Result<Report, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("parse {}: {error}", file.display()))
}
