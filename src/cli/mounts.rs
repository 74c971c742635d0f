//! `mounts add|remove CONTAINER FILE`: changes a running container's mounts. COMPAT(crun)

use super::{ExitCode, argument};
use crate::container::{Globals, mounts};
use crate::error::{Context, Error, Result};
use clap::{Arg, ArgMatches, Command};
use oci::runtime::Mount;
use serde::Deserialize;
use std::path::PathBuf;

pub fn command() -> Command {
    Command::new("mounts")
        .about("add mounts to a running container or remove them (experimental)")
        .arg(
            Arg::new("change")
                .value_name("add|remove")
                .help("what to do")
                .required(true),
        )
        .arg(argument::container_id())
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("JSON: a list of mounts, or a configuration with mounts")
                .required(true),
        )
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let id = argument::id(matches)?;
    let file = PathBuf::from(argument::positional(matches, "file").unwrap_or_default());
    let wanted = read(&file)?;
    match argument::positional(matches, "change").as_deref() {
        Some("add") => mounts::add(globals, &id, &wanted)?,
        Some("remove") => mounts::remove(globals, &id, &wanted)?,
        _ => return Err(Error::new("mounts: want add or remove")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Either form that crun's users write.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    List(Vec<Mount>),
    Part { mounts: Vec<Mount> },
}

fn read(file: &PathBuf) -> Result<Vec<Mount>> {
    let json = std::fs::read(file).context(format_args!("read {}", file.display()))?;
    match serde_json::from_slice(&json) {
        Ok(Document::List(mounts) | Document::Part { mounts }) => Ok(mounts),
        Err(_) => Err(Error::new(format!(
            "{}: want a JSON list of mounts, or an object with one as \"mounts\"",
            file.display()
        ))),
    }
}
