//! `image ls`: the images of the store, as a table, as JSON, or by name only.

use super::inspect::word;
use super::{home, human};
use crate::cli::ExitCode;
use crate::cli::argument::{flag, is_json, option};
use crate::cli::{print, print_json};
use crate::container::Globals;
use crate::container::image::Home;
use crate::error::Result;
use clap::{ArgMatches, Command};
use oci::store::Listed;
use serde_json::json;

const HEADER: [&str; 7] = [
    "NAME", "DIGEST", "PLATFORM", "LAYERS", "UNPACKED", "SIZE", "CREATED",
];

pub fn command() -> Command {
    Command::new("ls")
        .visible_alias("list")
        .about("list the images of the store")
        .arg(option("format", "FORMAT", "table or json").short('f'))
        .arg(flag("quiet", "print names only").short('q'))
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let home = home(matches)?;
    let listed = home.store.list()?;
    if matches.get_flag("quiet") {
        print(
            &listed
                .iter()
                .map(|line| format!("{}\n", name(line)))
                .collect::<String>(),
        )?;
    } else if is_json(matches)? {
        print_json(
            &listed
                .iter()
                .map(|line| as_json(&home, line))
                .collect::<Vec<_>>(),
        )?;
    } else {
        print(&table(&home, &listed))?;
    }
    for damaged in listed.iter().filter(|line| line.problem.is_some()) {
        ::log::warn!(
            "image {}: {}",
            name(damaged),
            damaged.problem.as_deref().unwrap_or_default()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// An image without a name is its digest.
fn name(line: &Listed) -> String {
    line.name.clone().unwrap_or_else(|| line.digest.to_string())
}

/// In what forms the image's layers are unpacked: all in one, in several, or nothing.
fn unpacked(home: &Home, line: &Listed) -> Option<String> {
    let image = home.store.open_image(&line.digest.to_string()).ok()?;
    let forms = image.config.diff_ids.iter();
    let forms = forms.map(|diff_id| home.snapshots.form(diff_id).ok().flatten().map(word));
    let mut forms: Vec<&str> = forms.collect::<Option<_>>()?;
    forms.sort_unstable();
    forms.dedup();
    Some(forms.join("+")).filter(|forms| !forms.is_empty())
}

fn as_json(home: &Home, line: &Listed) -> serde_json::Value {
    json!({"name": line.name, "digest": line.digest, "platform": line.platform, "layers": line.layers,
        "size": line.bytes, "created": line.created, "containers": line.containers, "unpacked": unpacked(home, line), "problem": line.problem})
}

fn table(home: &Home, listed: &[Listed]) -> String {
    let row = |line: &Listed| {
        let day = line.created.split('T').next().unwrap_or_default();
        [
            line.name.clone().unwrap_or_else(|| "-".into()),
            line.digest.short().to_owned(),
            line.platform.clone(),
            line.layers.to_string(),
            unpacked(home, line).unwrap_or_else(|| "-".into()),
            human(line.bytes),
            day.to_owned(),
        ]
    };
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(listed.iter().map(row));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |row: &[String; 7]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}
