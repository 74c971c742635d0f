//! `image export`: an image of the store into a file or directory.

use super::store;
use crate::cli::ExitCode;
use crate::cli::argument::positional;
use crate::container::Globals;
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};

pub fn command() -> Command {
    Command::new("export")
        .about("write an image to a file or directory")
        .arg(
            Arg::new("image")
                .value_name("IMAGE")
                .help("name or digest of an image of the store")
                .required(true),
        )
        .arg(
            Arg::new("destination")
                .value_name("DESTINATION")
                .help("oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]")
                .required(true),
        )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let destination = positional(matches, "destination").unwrap_or_default();
    let location = destination.parse()?;
    let store = store(matches)?;
    let name = positional(matches, "image").unwrap_or_default();
    let image = store.resolve(&name)?;
    oci::archive::export(&store, &image, &location)?;
    Ok(ExitCode::SUCCESS)
}
