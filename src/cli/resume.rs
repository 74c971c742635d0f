//! `resume`: lets a paused container's processes go on.

use super::{ExitCode, argument};
use crate::container::Globals;
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("resume")
        .about("let a paused container's processes go on")
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    crate::container::pause::resume(globals, &argument::id(matches)?)?;
    Ok(ExitCode::SUCCESS)
}
