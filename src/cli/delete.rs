//! `delete`: removes what is left of a stopped container, or ends it first.

use super::argument::{self, flag};
use super::{ExitCode, matching};
use crate::container::Globals;
use crate::container::delete::delete;
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("delete")
        .about("remove a stopped container")
        .arg(
            flag(
                "force",
                "end the container first; a missing one is no error",
            )
            .short('f'),
        )
        .arg(flag("regex", "delete every container whose id matches").short('r'))
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let force = matches.get_flag("force");
    for id in matching::ids(globals, matches)? {
        delete(globals, &id, force)?;
    }
    Ok(ExitCode::SUCCESS)
}
