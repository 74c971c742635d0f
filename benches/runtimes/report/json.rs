//! The report as JSON: everything, with each raw sample, and back again.

use crate::model::Report;
use std::path::Path;

pub fn render(report: &Report) -> Result<String, String> {
    serde_json::to_string_pretty(report).map_err(|error| format!("render the JSON: {error}"))
}

pub fn read(file: &Path) -> Result<Report, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("parse {}: {error}", file.display()))
}
