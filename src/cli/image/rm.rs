//! `image rm`: takes images' names away, and what nothing needs any more.

use super::inspect::{images, names};
use super::{explain, human, store};
use crate::cli::argument::flag;
use crate::cli::print;
use crate::error::Result;
use clap::{ArgMatches, Command};
use std::process::ExitCode;

pub fn command() -> Command {
    Command::new("rm").about("remove images").arg(images()).arg(
        flag(
            "force",
            "also an image that containers use: its bytes stay until they go",
        )
        .short('f'),
    )
}

pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let store = store(matches)?;
    for name in names(matches) {
        let garbage = store
            .remove(name, matches.get_flag("force"))
            .map_err(explain)?;
        print(&format!(
            "{name}: removed, {} freed\n",
            human(garbage.bytes)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
