//! `tests/known-differences.toml`: which test a runtime is known to fail, and why.
//!
//! A listed test still runs. One that passes fails the run, so that the list only ever tells the truth; a reason that
//! begins with `sometimes: ` is of a race, where either result is true.

use std::collections::{BTreeMap, BTreeSet};

/// The known differences of one runtime in one suite: test name to reason.
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Reads the section `[runtime]`, and of it the keys `"suite::file::case"`.
    pub fn load(suite: &str, runtime: &str) -> Known {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/known-differences.toml");
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("read {path}: {error}"));
        let mut inside = false;
        let mut known = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(section) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                inside = section == runtime;
                continue;
            }
            let (name, reason) = entry(line)
                .unwrap_or_else(|| panic!("{path}:{}: want \"test\" = \"reason\"", number + 1));
            if let Some(name) = name
                .strip_prefix(suite)
                .and_then(|rest| rest.strip_prefix("::"))
                .filter(|_| inside)
            {
                known.insert(name.to_owned(), reason.to_owned());
            }
        }
        Known(known)
    }

    /// Why the test is known to fail, if it is.
    pub fn reason(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The listed names that no test has.
    pub fn names_missing_from(&self, existing: &BTreeSet<&str>) -> Vec<String> {
        self.0
            .keys()
            .filter(|name| !existing.contains(name.as_str()))
            .cloned()
            .collect()
    }
}

fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, reason) = line.split_once(" = ")?;
    Some((
        name.strip_prefix('"')?.strip_suffix('"')?,
        reason.strip_prefix('"')?.strip_suffix('"')?,
    ))
}
