//! `start`: lets a created container's process begin.

use super::{ExitCode, argument};
use crate::container::Globals;
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("start")
        .about("let a created container's process begin")
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    crate::container::start::start(globals, &argument::id(matches)?)?;
    Ok(ExitCode::SUCCESS)
}
