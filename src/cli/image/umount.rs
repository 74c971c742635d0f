//! `image umount`: the end of `image mount`.

use super::home;
use crate::cli::ExitCode;
use crate::cli::argument::positional;
use crate::container::Globals;
use crate::container::image::unmount_image;
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

pub fn command() -> Command {
    Command::new("umount").about("unmount an image").arg(
        Arg::new("directory")
            .value_name("DIRECTORY")
            .help("what `image mount` printed")
            .required(true),
    )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let place = PathBuf::from(positional(matches, "directory").unwrap_or_default());
    unmount_image(&home(matches)?, &place)?;
    Ok(ExitCode::SUCCESS)
}
