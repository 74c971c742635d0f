//! `image unpack`: an image's layers on disk, or its whole tree as a bundle.

use super::home;
use super::progress::Reporter;
use super::pull::{REGISTRY, TRANSFER, registry_options, transfer_options};
use super::unpacking::{UNPACK, unpack_options};
use crate::cli::argument::positional;
use crate::cli::offer::with_all;
use crate::cli::{ExitCode, print};
use crate::container::Globals;
use crate::container::image::{FetchOptions, Fetched, Home, copy_image, fetch, write_config};
use crate::error::{Context, Error, Result};
use clap::{Arg, ArgMatches, Command};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub fn command() -> Command {
    let command = Command::new("unpack")
        .about("unpack an image's layers, so that its first run has nothing left to do; or write it as a bundle")
        .arg(image())
        .arg(
            Arg::new("directory")
                .value_name("DIRECTORY")
                .help("a new or empty directory: gets rootfs and config.json"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .help("the program and its arguments for config.json, instead of the image's")
                .num_args(1..)
                .last(true),
        );
    with_all(command, &[REGISTRY, TRANSFER, UNPACK])
}

/// The image that a command is about, fetched when it is missing.
pub(super) fn image() -> Arg {
    Arg::new("image")
        .value_name("IMAGE")
        .help("a name, docker://…, oci:DIR, oci-archive:FILE or docker-archive:FILE")
        .required(true)
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let command: Vec<String> = matches
        .get_many("command")
        .map(|words| words.cloned().collect())
        .unwrap_or_default();
    let directory = positional(matches, "directory").map(PathBuf::from);
    if directory.is_none() && !command.is_empty() {
        return Err(Error::new("a command is for a DIRECTORY's config.json")
            .hint("write: image unpack IMAGE DIRECTORY -- COMMAND"));
    }
    let home = home(matches)?;
    let image = fetched(&home, matches)?;
    match directory {
        None => {
            let layers = image.config.diff_ids.len();
            print(&format!("{}: {layers} layers unpacked\n", image.name))?;
        }
        Some(directory) => write_bundle(&home, &image, &directory, command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The image, in the store and unpacked.
pub(super) fn fetched(home: &Home, matches: &ArgMatches) -> Result<Fetched> {
    let options = FetchOptions {
        registry: Some(&|| registry_options(matches)),
        transfer: transfer_options(matches)?,
        unpack: unpack_options(matches)?,
        ..FetchOptions::default()
    };
    let reporter = Reporter::new(matches)?.only_news();
    let reference = positional(matches, "image").unwrap_or_default();
    reporter.finish(fetch(home, &reference, &options, &reporter))
}

fn write_bundle(
    home: &Home,
    image: &Fetched,
    directory: &Path,
    command: Vec<String>,
) -> Result<()> {
    let shown = directory.display();
    fs::create_dir_all(directory).context(format_args!("mkdir {shown}"))?;
    let mut entries = fs::read_dir(directory).context(format_args!("read {shown}"))?;
    if entries.next().is_some() {
        return Err(Error::new(format!("unpack to {shown}: it is not empty")));
    }
    let rootfs = directory.join("rootfs");
    fs::create_dir(&rootfs)
        .and_then(|()| fs::set_permissions(&rootfs, Permissions::from_mode(0o755)))
        .context(format_args!("mkdir {}", rootfs.display()))?;
    copy_image(home, image, &rootfs)?;
    write_config(image, command, &directory.join("config.json"))
}
