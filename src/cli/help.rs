//! `help`: the whole tree of commands, or one command's options.

use super::{VERBS, find, globals, print};
use crate::error::Result;
use clap::Command;
use std::ffi::OsString;
use std::process::ExitCode;

/// Every command with every option, for help, completion and manual pages.
pub fn whole_tree() -> Command {
    globals::command().subcommands(VERBS.iter().map(|verb| (verb.command)()))
}

/// Prints the list of commands and the global options.
pub fn print_all() -> Result<ExitCode> {
    print(&whole_tree().render_help().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one command's help, or the list when none is named.
pub fn print_one(name: Option<&OsString>) -> Result<ExitCode, super::Failed> {
    let Some(name) = name else {
        return Ok(print_all()?);
    };
    print(&find(name)?.command().render_help().to_string())?;
    Ok(ExitCode::SUCCESS)
}
