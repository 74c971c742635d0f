//! `create`: makes a container whose process waits for `start`.

use super::ExitCode;
use super::argument::{
    CONSOLE_SOCKET, NO_SUBREAPER, TRACE_START, container_id, id, is_set, number, path,
};
use super::offer::{Offer, with_all, with_meant};
use crate::container::{CreateOptions, Globals, Id};
use crate::error::Result;
use clap::{ArgMatches, Command};
use std::ffi::OsString;

/// What `create` and `run` of a bundle have in common.
pub const BUNDLE: &[Offer] = &[
    Offer::option(
        "bundle",
        "DIR",
        "the bundle (default: the present directory)",
    )
    .short('b'),
    Offer::option(
        "config",
        "FILE",
        "the configuration, instead of the bundle's config.json",
    )
    .short('f'),
];

/// What they have in common whatever the container is made from.
pub const START: &[Offer] = &[
    CONSOLE_SOCKET,
    Offer::option(
        "pidfd-socket",
        "PATH",
        "send a pidfd of init to this socket",
    ),
    Offer::option("pid-file", "FILE", "write init's pid there"),
    Offer::flag("no-pivot", "don't use pivot_root, for a root on a ramdisk"),
    Offer::flag("no-new-keyring", "keep the caller's session keyring"),
    NO_SUBREAPER,
    Offer::option(
        "preserve-fds",
        "N",
        "pass N file descriptors from 3 on to the container",
    ),
    TRACE_START,
];

pub fn command() -> Command {
    with_all(bare(), &[BUNDLE, START]).arg(container_id())
}

/// [`command`] with the options that these words can mean.
pub fn brief(words: &[OsString]) -> Option<Command> {
    Some(with_meant(bare(), &[BUNDLE, START], words)?.arg(container_id()))
}

fn bare() -> Command {
    Command::new("create").about("make a container whose process waits for start")
}

/// The options that [`BUNDLE`] and [`START`] describe.
pub fn options(matches: &ArgMatches, id: Id) -> Result<CreateOptions> {
    let bundle = path(matches, "bundle").unwrap_or_else(|| ".".into());
    Ok(CreateOptions {
        config_file: path(matches, "config"),
        ..start_options(matches, CreateOptions::new(id, bundle))?
    })
}

/// The options that [`START`] describes, over `others`.
pub fn start_options(matches: &ArgMatches, others: CreateOptions) -> Result<CreateOptions> {
    Ok(CreateOptions {
        console_socket: path(matches, "console-socket"),
        pidfd_socket: path(matches, "pidfd-socket"),
        pid_file: path(matches, "pid-file"),
        no_pivot: is_set(matches, "no-pivot"),
        no_new_keyring: is_set(matches, "no-new-keyring"),
        no_subreaper: is_set(matches, "no-subreaper"),
        preserve_fds: number(matches, "preserve-fds")?.unwrap_or(0),
        trace_start: path(matches, crate::container::trace::OPTION),
        ..others
    })
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let options = options(matches, id(matches)?)?;
    crate::container::create::create(globals, &options)?;
    Ok(ExitCode::SUCCESS)
}
