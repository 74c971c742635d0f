//! `plan`: what a start would do, step by step. Needs no privileges and changes nothing.

use super::argument::{flag, option, path};
use super::{ExitCode, print, print_json};
use crate::container::{CreateOptions, Globals, Id, planned};
use crate::error::Result;
use clap::{Arg, ArgMatches, Command, value_parser};
use std::ffi::OsString;

pub fn command() -> Command {
    Command::new("plan")
        .about("say what a start would do, step by step, without doing it")
        .arg(
            option(
                "config",
                "FILE",
                "the configuration, instead of the bundle's config.json",
            )
            .short('f'),
        )
        .arg(flag("no-pivot", "as for create"))
        .arg(flag("no-new-keyring", "as for create"))
        .arg(flag("json", "print the plan as JSON"))
        .arg(
            Arg::new("bundle")
                .value_name("BUNDLE")
                .value_parser(value_parser!(OsString))
                .help("the bundle (default: the present directory)"),
        )
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let bundle = path(matches, "bundle").unwrap_or_else(|| ".".into());
    let id = Id::from_bundle(&bundle.canonicalize().unwrap_or_else(|_| bundle.clone()));
    let options = CreateOptions {
        config_file: path(matches, "config"),
        no_pivot: matches.get_flag("no-pivot"),
        no_new_keyring: matches.get_flag("no-new-keyring"),
        ..CreateOptions::new(id, bundle)
    };
    let plan = planned(globals, &options)?;
    match matches.get_flag("json") {
        true => print_json(&plan.to_json())?,
        false => print(&plan.to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}
