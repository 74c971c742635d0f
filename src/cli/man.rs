//! `man` (hidden): writes a manual page for the program and one for each command.

use super::{argument, help};
use crate::container::Globals;
use crate::error::{Context, Result};
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;
use std::process::ExitCode;

pub fn command() -> Command {
    Command::new("man")
        .about("write manual pages")
        .hide(true)
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .help("where to")
                .required(true),
        )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let directory = PathBuf::from(argument::positional(matches, "directory").unwrap_or_default());
    std::fs::create_dir_all(&directory)
        .context(format_args!("make directory {}", directory.display()))?;
    clap_mangen::generate_to(help::whole_tree(), &directory).context(format_args!(
        "write manual pages to {}",
        directory.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
