//! `state`: what a container is, as JSON.

use super::{ExitCode, argument, print_json};
use crate::container::report::Report;
use crate::container::{Globals, StateDir, Status};
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("state")
        .about("print a container's state")
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let dir = StateDir::open(&globals.root, &argument::id(matches)?)?;
    let record = dir.read()?;
    print_json(&Report::new(&record, Status::of(&record, &dir)))?;
    Ok(ExitCode::SUCCESS)
}
