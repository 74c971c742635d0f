//! `image prune`: removes what no name, no container and no running pull leads to.

use super::{explain, human, store};
use crate::cli::argument::flag;
use crate::cli::print;
use crate::error::Result;
use clap::{ArgMatches, Command};
use std::process::ExitCode;

pub fn command() -> Command {
    Command::new("prune")
        .about("remove unused blobs and interrupted downloads")
        .arg(flag("all", "and every image that no container uses").short('a'))
}

pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let pruned = store(matches)?
        .prune(matches.get_flag("all"))
        .map_err(explain)?;
    let mut text: String = pruned
        .names
        .iter()
        .map(|name| format!("{name}: removed\n"))
        .collect();
    text += &format!(
        "{} blobs, {} freed\n",
        pruned.garbage.blobs.len(),
        human(pruned.garbage.bytes)
    );
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
