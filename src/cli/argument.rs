//! The shapes of argument that subcommands are made of, and how their values are read back.

use super::offer::Offer;
use crate::container::Id;
use crate::error::{Error, Result};
use clap::{Arg, ArgAction, ArgMatches};
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

/// `--name`, said or not.
pub fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .action(ArgAction::SetTrue)
}

/// `--name VALUE`; the last one counts.
pub fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .help(help)
        .value_parser(clap::value_parser!(OsString))
        .action(ArgAction::Set)
}

/// `--name VALUE`, each of which counts.
pub fn options(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

/// `--console-socket`, of every command that starts a process.
pub const CONSOLE_SOCKET: Offer = Offer::option(
    "console-socket",
    "PATH",
    "send the terminal's master to this socket",
);

/// `--no-subreaper`, likewise.
pub const NO_SUBREAPER: Offer = Offer::flag("no-subreaper", "don't adopt orphans of the container");

/// `--trace-start`, of every command that starts a process.
pub const TRACE_START: Offer = Offer::option(
    crate::container::trace::OPTION,
    "FILE",
    "write the phases of the start to FILE, as a trace for Perfetto",
);

/// The container's id.
pub fn container_id() -> Arg {
    Arg::new("id")
        .value_name("CONTAINER")
        .help("the container's id")
        .required(true)
}

/// The id that was given.
pub fn id(matches: &ArgMatches) -> Result<Id> {
    Id::parse(&positional(matches, "id").unwrap_or_default())
}

/// A positional word that was given.
pub fn positional(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

/// An option's word that is not empty. An option that the command was built without was not given.
fn given<'m>(matches: &'m ArgMatches, name: &str) -> Option<&'m OsString> {
    let value = matches.try_get_one::<OsString>(name).ok().flatten();
    value.filter(|value| !value.is_empty())
}

/// Whether a flag was given.
pub fn is_set(matches: &ArgMatches, name: &str) -> bool {
    let flag = matches.try_get_one::<bool>(name).ok().flatten();
    flag.copied().unwrap_or(false)
}

/// An option's text. COMPAT(runc): an empty one counts as not given.
pub fn text(matches: &ArgMatches, name: &str) -> Result<Option<String>> {
    match given(matches, name) {
        None => Ok(None),
        Some(value) => utf8(name, value).map(Some),
    }
}

/// All texts of an option that may be repeated.
pub fn texts(matches: &ArgMatches, name: &str) -> Result<Vec<String>> {
    let values = matches.try_get_many::<OsString>(name).ok().flatten();
    let values = values.unwrap_or_default();
    values.map(|value| utf8(name, value)).collect()
}

fn utf8(name: &str, value: &OsString) -> Result<String> {
    value
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::new(format!("--{name}: {value:?} is not UTF-8")))
}

/// An option's path; an empty one counts as not given.
pub fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    given(matches, name).map(PathBuf::from)
}

/// An option's number.
pub fn number<T: FromStr>(matches: &ArgMatches, name: &str) -> Result<Option<T>>
where
    T::Err: std::fmt::Display,
{
    let Some(text) = text(matches, name)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(error) => Err(Error::new(format!("--{name}: {text:?}: {error}"))),
    }
}

/// `--format table|json`.
pub fn is_json(matches: &ArgMatches) -> Result<bool> {
    match text(matches, "format")?.as_deref() {
        None | Some("table") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(Error::new(format!(
            "--format: invalid format {other:?}, want table or json"
        ))),
    }
}
