//! `help`: the whole tree of commands, or one command's options.

use super::{ExitCode, IMAGE_VERBS, VERBS, find, find_image_verb, globals, print};
use crate::error::Result;
use clap::{Arg, Command};
use std::ffi::OsString;

/// Every command with every option, for help, completion and manual pages.
pub fn whole_tree() -> Command {
    globals::command().subcommands(VERBS.iter().map(|verb| {
        let command = (verb.command)();
        match IMAGE_VERBS.iter().find(|other| other.name == verb.name) {
            Some(other) => with_options_of(command, &(other.command)()),
            None => command,
        }
    }))
}

fn with_options_of(command: Command, other: &Command) -> Command {
    let own: Vec<String> = command
        .get_arguments()
        .map(|arg| arg.get_id().to_string())
        .collect();
    let more = other
        .get_arguments()
        .filter(|arg| arg.get_long().is_some() && !own.contains(&arg.get_id().to_string()));
    let more: Vec<Arg> = more.cloned().collect();
    command.args(more)
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
    if let Some(verb) = find_image_verb(name) {
        let help = verb.command().render_help();
        print(&format!("\nOf an image or a directory: {help}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
