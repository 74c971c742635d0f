//! `completion`: a script that completes our command line in a shell.

use super::{ExitCode, argument, help, print};
use crate::container::Globals;
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command, ValueEnum};
use clap_complete::Shell;

pub fn command() -> Command {
    Command::new("completion")
        .about("print a completion script for a shell")
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .help("bash, elvish, fish, powershell or zsh")
                .required(true),
        )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let name = argument::positional(matches, "shell").unwrap_or_default();
    let shell = Shell::from_str(&name, true)
        .map_err(|_| Error::new(format!("completion: unknown shell {name:?}")))?;
    print(&String::from_utf8_lossy(&script(shell)))?;
    Ok(ExitCode::SUCCESS)
}

/// The script for one shell.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut help::whole_tree(), "crun-lite", &mut script);
    script
}
