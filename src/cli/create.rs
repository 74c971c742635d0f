//! `create`: makes a container whose process waits for `start`.

use super::ExitCode;
use super::argument::{container_id, flag, id, is_set, number, option, path, trace_start};
use crate::container::{CreateOptions, Globals, Id};
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};

pub fn command() -> Command {
    Command::new("create")
        .about("make a container whose process waits for start")
        .args(arguments())
        .arg(container_id())
}

/// What `create` and `run` have in common.
pub fn arguments() -> Vec<Arg> {
    let bundle = option(
        "bundle",
        "DIR",
        "the bundle (default: the present directory)",
    );
    let config = option(
        "config",
        "FILE",
        "the configuration, instead of the bundle's config.json",
    );
    let own = [bundle.short('b'), config.short('f')];
    own.into_iter().chain(start_arguments()).collect()
}

/// What they have in common whatever the container is made from.
pub fn start_arguments() -> Vec<Arg> {
    vec![
        option(
            "console-socket",
            "PATH",
            "send the terminal's master to this socket",
        ),
        option(
            "pidfd-socket",
            "PATH",
            "send a pidfd of init to this socket",
        ),
        option("pid-file", "FILE", "write init's pid there"),
        flag("no-pivot", "don't use pivot_root, for a root on a ramdisk"),
        flag("no-new-keyring", "keep the caller's session keyring"),
        flag("no-subreaper", "don't adopt orphans of the container"),
        option(
            "preserve-fds",
            "N",
            "pass N file descriptors from 3 on to the container",
        ),
        trace_start(),
    ]
}

/// The options that [`arguments`] describes.
pub fn options(matches: &ArgMatches, id: Id) -> Result<CreateOptions> {
    let bundle = path(matches, "bundle").unwrap_or_else(|| ".".into());
    Ok(CreateOptions {
        config_file: path(matches, "config"),
        ..start_options(matches, CreateOptions::new(id, bundle))?
    })
}

/// The options that [`start_arguments`] describes, over `others`.
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
