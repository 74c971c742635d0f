//! `image`: the images of the local store. One file a subcommand.
//!
//! Nothing of it is built or opened unless the word `image` was said.

mod commit;
mod conf;
mod credential;
mod export;
mod import;
mod inspect;
mod ls;
mod mount;
pub(in crate::cli) mod progress;
mod prune;
pub(in crate::cli) mod pull;
mod rm;
mod umount;
mod unpack;
pub(in crate::cli) mod unpacking;

use super::argument::{option, path};
use crate::cli::ExitCode;
use crate::container::Globals;
use crate::container::image::Home;
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};
use oci::store::Store;
use std::path::PathBuf;

/// A subcommand of `image`.
type Subcommand = (
    fn() -> Command,
    fn(&Globals, &ArgMatches) -> Result<ExitCode>,
);

const SUBCOMMANDS: [Subcommand; 11] = [
    (commit::command, commit::run),
    (export::command, export::run),
    (import::command, import::run),
    (inspect::command, inspect::run),
    (ls::command, ls::run),
    (mount::command, mount::run),
    (prune::command, prune::run),
    (pull::command, pull::run),
    (rm::command, rm::run),
    (umount::command, umount::run),
    (unpack::command, unpack::run),
];

pub fn command() -> Command {
    let shared = |command: fn() -> Command| {
        command().args_override_self(true).arg(option(
            "store",
            "DIR",
            "directory of the image store",
        ))
    };
    Command::new("image")
        .about("pull, list, import, export, mount, commit and remove images")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(SUBCOMMANDS.map(|(command, _)| shared(command)))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Error::new("image: no subcommand"));
    };
    let found = SUBCOMMANDS
        .iter()
        .find(|(command, _)| command().get_name() == name);
    match found {
        Some((_, run)) => run(globals, matches),
        None => Err(Error::new(format!("image: unknown subcommand {name:?}"))),
    }
}

/// The store with its unpacked layers, whose files may belong to any of the caller's ids.
fn home(matches: &ArgMatches) -> Result<Home> {
    let root = store_root(matches);
    crate::container::image::enter()?;
    Home::open(&root)
}

/// The store that `--store` or `CRUN_LITE_STORE` names, else the caller's own.
fn store(matches: &ArgMatches) -> Result<Store> {
    Ok(Store::open(store_root(matches))?)
}

/// Where that store is.
pub(in crate::cli) fn store_root(matches: &ArgMatches) -> PathBuf {
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let named = path(matches, "store").or_else(|| variable("CRUN_LITE_STORE"));
    named.unwrap_or_else(|| {
        let data_home = variable("XDG_DATA_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
            .filter(|_| !nix::unistd::geteuid().is_root());
        Store::default_root(data_home.as_deref())
    })
}

/// Bytes for people: `12.3 MB`.
pub(in crate::cli) fn human(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match bytes {
        0..1000 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345_678, "12.3 MB"),
            (999_960_000, "1.0 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn every_subcommand_parses_its_own_help() {
        command().debug_assert();
    }
}
