//! `kill`: sends a signal to a container's init, or to all of its processes.

use super::argument::{self, flag};
use super::{ExitCode, matching};
use crate::container::Globals;
use crate::container::kill::{Whom, kill};
use crate::container::signal::Signal;
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};

pub fn command() -> Command {
    Command::new("kill")
        .about("send a signal to a container")
        .arg(flag("all", "send it to all processes of the container").short('a'))
        .arg(flag("regex", "send it to every container whose id matches").short('r'))
        .arg(argument::container_id())
        .arg(
            Arg::new("signal")
                .value_name("SIGNAL")
                .help("name or number (default: TERM)"),
        )
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let signal = match argument::positional(matches, "signal") {
        Some(text) => Signal::parse(&text)?,
        None => Signal::TERM,
    };
    let whom = match matches.get_flag("all") {
        true => Whom::All,
        false => Whom::Init,
    };
    for id in matching::ids(globals, matches)? {
        kill(globals, &id, signal, whom)?;
    }
    Ok(ExitCode::SUCCESS)
}
