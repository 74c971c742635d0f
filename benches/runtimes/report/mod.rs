//! The forms of a report: text for a terminal, Markdown, JSON and a page.
//!
//! All are drawn from the same data, and none adds a number to it.

pub mod date;
pub mod figure;
pub mod html;
pub mod json;
pub mod markdown;
pub mod readme;
pub mod text;

use crate::model::Report;
use crate::options::Options;
use std::path::Path;

/// Writes those forms that the options ask for.
pub fn write(report: &Report, options: &Options) -> Result<(), String> {
    if let Some(file) = &options.json {
        save(file, &json::render(report)?)?;
    }
    if let Some(file) = &options.html {
        save(file, &html::render(report)?)?;
    }
    if let Some(file) = &options.markdown {
        save(file, &markdown::render(report))?;
    }
    if let Some(file) = &options.readme {
        let named = |error| format!("read {}: {error}", file.display());
        let old = std::fs::read_to_string(file).map_err(named)?;
        let new = readme::put(&old, report);
        save(
            file,
            &new.map_err(|reason| format!("{}: {reason}", file.display()))?,
        )?;
    }
    Ok(())
}

fn save(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("write {}: {error}", file.display()))?;
    eprintln!("bench: wrote {}", file.display());
    Ok(())
}
