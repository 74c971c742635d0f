//! `image prune`: removes what no name, no container and no running pull leads to: blobs, unpacked layers, directories of
//! containers that are gone.

use super::{home, human};
use crate::cli::ExitCode;
use crate::cli::argument::flag;
use crate::cli::print;
use crate::container::Globals;
use crate::container::image::{remove_unused_layers, sweep, sweep_half_made, sweep_snapshots};
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("prune")
        .about("remove unused blobs and interrupted downloads")
        .arg(flag("all", "and every image that no container uses").short('a'))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let home = home(matches)?;
    sweep(globals, &home);
    let containers = sweep_snapshots(&home)? + sweep_half_made(&home)?.unwrap_or_default();
    let pruned = home.store.prune(matches.get_flag("all"))?;
    let layers = remove_unused_layers(&home)?;
    let mut text: String = pruned
        .names
        .iter()
        .map(|name| format!("{name}: removed\n"))
        .collect();
    text += &format!(
        "{} blobs, {} unpacked layers, {containers} forgotten containers, {} freed\n",
        pruned.garbage.blobs.len(),
        layers.count,
        human(pruned.garbage.bytes + layers.bytes)
    );
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
