//! `image mount`: an image as a read-only tree on the host, to look at.

use super::home;
use super::pull::{REGISTRY, TRANSFER};
use super::unpack::{fetched, image};
use super::unpacking::UNPACK;
use crate::cli::argument::positional;
use crate::cli::offer::with_all;
use crate::cli::{ExitCode, print};
use crate::container::Globals;
use crate::container::image::mount_image;
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

pub fn command() -> Command {
    let command = Command::new("mount")
        .about("mount an image read-only and print where")
        .arg(image())
        .arg(
            Arg::new("directory")
                .value_name("DIRECTORY")
                .help("where to (default: a directory of the store)"),
        );
    with_all(command, &[REGISTRY, TRANSFER, UNPACK])
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let home = home(matches)?;
    let image = fetched(&home, matches)?;
    let directory = positional(matches, "directory").map(PathBuf::from);
    let place = mount_image(&home, &image, directory.as_deref())?;
    print(&format!("{}\n", place.display()))?;
    Ok(ExitCode::SUCCESS)
}
