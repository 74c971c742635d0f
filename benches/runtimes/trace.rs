//! Reads a start's phases from Chrome's trace format, as `--trace-start` writes it.
//!
//! Complete events (`X`) and pairs of begin and end (`B`, `E`); names of
//! processes and threads from metadata (`M`). Pure but for `read`.

use crate::model::{Phase, Waterfall};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

pub fn read(file: &Path) -> Result<Waterfall, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("read {}: {error}", file.display()))?;
    let title = file.file_stem().unwrap_or_default().to_string_lossy();
    parse(&title, &text).map_err(|reason| format!("{}: {reason}", file.display()))
}

pub fn parse(title: &str, text: &str) -> Result<Waterfall, String> {
    let trace: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let events = trace
        .get("traceEvents")
        .unwrap_or(&trace)
        .as_array()
        .ok_or("neither an array of events nor an object with traceEvents")?;
    let names = lane_names(events);
    let mut phases = Vec::new();
    let mut open: HashMap<Lane, Vec<(String, f64)>> = HashMap::new();
    for event in events {
        let lane = lane_of(event);
        let phase = |name: String, start_us: f64, length_us: f64| Phase {
            lane: names
                .get(&lane)
                .cloned()
                .unwrap_or_else(|| lane.1.to_string()),
            name,
            start_us,
            length_us,
        };
        let start = number(event, "ts");
        match event["ph"].as_str() {
            Some("X") => phases.push(phase(name_of(event), start, number(event, "dur"))),
            Some("B") => open.entry(lane).or_default().push((name_of(event), start)),
            Some("E") => {
                let (name, began) = open
                    .entry(lane)
                    .or_default()
                    .pop()
                    .ok_or("an end without a begin")?;
                phases.push(phase(name, began, start - began));
            }
            _ => {}
        }
    }
    from_zero(&mut phases);
    Ok(Waterfall {
        title: title.to_owned(),
        phases,
        failure: None,
    })
}

/// Process and thread.
type Lane = (u64, u64);

fn lane_of(event: &Value) -> Lane {
    let id = |key: &str| event[key].as_u64().unwrap_or(0);
    (id("pid"), id("tid"))
}

fn lane_names(events: &[Value]) -> HashMap<Lane, String> {
    let named = events
        .iter()
        .filter(|event| event["ph"] == "M" && event["name"] == "thread_name");
    named
        .filter_map(|event| Some((lane_of(event), event["args"]["name"].as_str()?.to_owned())))
        .collect()
}

fn name_of(event: &Value) -> String {
    event["name"].as_str().unwrap_or("?").to_owned()
}

fn number(event: &Value, key: &str) -> f64 {
    event[key].as_f64().unwrap_or(0.0)
}

fn from_zero(phases: &mut [Phase]) {
    // The whole before its parts.
    phases.sort_by(|a, b| {
        let starts = a.start_us.total_cmp(&b.start_us);
        starts.then(b.length_us.total_cmp(&a.length_us))
    });
    let zero = phases.first().map_or(0.0, |phase| phase.start_us);
    phases.iter_mut().for_each(|phase| phase.start_us -= zero);
}
