//! `events`: a container's statistics, once or as a stream of one JSON object a line.

use super::argument::{self, flag, option, text};
use super::{ExitCode, print};
use crate::container::events::{self, Event, Stats};
use crate::container::{Globals, Id};
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};
use serde::Serialize;
use std::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

pub fn command() -> Command {
    Command::new("events")
        .about("print a container's events and statistics")
        .arg(option(
            "interval",
            "DURATION",
            "time between statistics, as 5s or 1m30s (default: 5s)",
        ))
        .arg(flag("stats", "print the statistics once"))
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let id = argument::id(matches)?;
    if matches.get_flag("stats") {
        print_event("stats", &id, Some(&events::stats(globals, &id)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let interval = text(matches, "interval")?
        .map(|text| duration(&text))
        .transpose()?;
    events::watch(
        globals,
        &id,
        interval.unwrap_or(DEFAULT_INTERVAL),
        &mut |event| match event {
            Event::Stats(stats) => print_event("stats", &id, Some(&stats)),
            Event::Oom => print_event("oom", &id, None),
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// One line. COMPAT(runc): scripts look for its first words, so the order matters.
#[derive(Serialize)]
struct Line<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'e Stats>,
}

fn print_event(kind: &'static str, id: &Id, data: Option<&Stats>) -> Result<()> {
    let id = id.as_str();
    let line = serde_json::to_string(&Line { kind, id, data })
        .map_err(|error| Error::new(format!("write the event as JSON: {error}")))?;
    print(&format!("{line}\n"))
}

/// A Go duration: `5s`, `1m30s`, `1.5h`, `100ms`. COMPAT(youki): a bare number is seconds.
fn duration(text: &str) -> Result<Duration> {
    let nonsense = || Error::new(format!("--interval: {text:?} is no duration such as 5s"));
    if let Ok(seconds @ 1..) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(nonsense)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        total += number.parse::<f64>().map_err(|_| nonsense())?
            * seconds_in(unit).ok_or_else(nonsense)?;
        rest = next;
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(nonsense()),
    }
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("100ms", 100),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("7", 7_000),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for text in ["", "s", "5x", "-5s", "0s", "0", "5s5", "1e400h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
