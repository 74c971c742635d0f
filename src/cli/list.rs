//! `list`: the containers under the root, as runc's table, as JSON, or by id only.

use super::{ExitCode, argument, print};
use crate::container::report::Report;
use crate::container::state::list_ids;
use crate::container::{Globals, Id, Record, StateDir, Status};
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};

const HEADER: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
/// COMPAT(runc): blanks between columns, and the least width of one.
const PADDING: usize = 3;
const LEAST_WIDTH: usize = 12;

pub fn command() -> Command {
    Command::new("list")
        .about("list the containers under the root")
        .arg(argument::option("format", "FORMAT", "table or json").short('f'))
        .arg(argument::flag("quiet", "print ids only").short('q'))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let json = argument::is_json(matches)?;
    if globals.root_named {
        std::fs::symlink_metadata(&globals.root)
            .map_err(|error| Error::io(format!("open {}", globals.root.display()), &error))?;
    }
    let found: Vec<(Record, Status)> = list_ids(&globals.root)?
        .iter()
        .filter_map(|id| look(globals, id))
        .collect();
    let reports: Vec<Report> = found
        .iter()
        .map(|(record, status)| Report::new(record, *status))
        .collect();
    if matches.get_flag("quiet") {
        print(&ids(&reports))?;
    } else if json {
        print(&json_line(&reports)?)?;
    } else {
        print(&table(&reports.iter().map(Report::row).collect::<Vec<_>>()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A container that is half made, half deleted or damaged doesn't hide the others.
fn look(globals: &Globals, id: &Id) -> Option<(Record, Status)> {
    let read = StateDir::open(&globals.root, id).and_then(|dir| {
        let record = dir.read()?;
        let status = Status::of(&record, &dir);
        Ok((record, status))
    });
    read.inspect_err(|error| ::log::warn!("list: {error}")).ok()
}

fn ids(reports: &[Report]) -> String {
    reports
        .iter()
        .map(|report| format!("{}\n", report.id()))
        .collect()
}

fn json_line(reports: &[Report]) -> Result<String> {
    match serde_json::to_string(reports) {
        Ok(line) => Ok(line + "\n"),
        Err(error) => Err(Error::new(format!("write JSON: {error}"))),
    }
}

/// Columns as wide as their widest cell and the padding; the last one isn't padded.
fn table(rows: &[[String; 6]]) -> String {
    let rows: Vec<[&str; 6]> = std::iter::once(HEADER)
        .chain(rows.iter().map(|row| row.each_ref().map(String::as_str)))
        .collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max();
        (widest.unwrap_or(0) + PADDING).max(LEAST_WIDTH)
    });
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(&format!("{cell:width$}"));
        }
        text.push_str(row[5]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_as_runc_aligns_it() {
        let row = ["web1", "7", "running", "/a/long/bundle", "now", "root"].map(String::from);
        assert_eq!(
            table(&[row]),
            "ID          PID         STATUS      BUNDLE           CREATED     OWNER\n\
             web1        7           running     /a/long/bundle   now         root\n"
        );
        assert_eq!(
            table(&[]),
            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
        );
    }
}
