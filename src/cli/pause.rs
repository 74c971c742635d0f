//! `pause`: stops a container's processes where they are.

use super::{ExitCode, argument};
use crate::container::Globals;
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("pause")
        .about("stop all processes of a container where they are")
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    crate::container::pause::pause(globals, &argument::id(matches)?)?;
    Ok(ExitCode::SUCCESS)
}
