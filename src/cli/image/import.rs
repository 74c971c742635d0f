//! `image import`: an image from a file or directory into the store.

use super::progress::Reporter;
use super::pull::{TRANSFER, transfer_options};
use super::store;
use crate::cli::ExitCode;
use crate::cli::argument::positional;
use crate::cli::offer::with_all;
use crate::container::Globals;
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};
use oci::transfer::StoreOnly;

pub fn command() -> Command {
    let command = Command::new("import")
        .about("take in an image from a file or directory")
        .arg(
            Arg::new("image")
                .value_name("SOURCE")
                .help("oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]")
                .required(true),
        )
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("its name in the store"),
        );
    with_all(command, &[TRANSFER])
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let word = positional(matches, "image").unwrap_or_default();
    run_with(matches, &word, positional(matches, "name").as_deref())
}

/// Also what `pull` does with a file or directory.
pub(super) fn run_with(matches: &ArgMatches, word: &str, name: Option<&str>) -> Result<ExitCode> {
    let location = word.parse()?;
    let store = store(matches)?;
    let reporter = Reporter::new(matches)?;
    let how = transfer_options(matches)?;
    let imported = oci::archive::import(&store, &location, name, &how, &StoreOnly, &reporter);
    let (name, stored) = reporter.finish(imported)?;
    reporter.done(&name, &stored)?;
    Ok(ExitCode::SUCCESS)
}
