//! `run` and `create` of an image, or of a directory under a container's own: `run --image REF [OPTIONS] [-- COMMAND…]`.
//!
//! The options are Docker's where Docker has them. [`wishes`] reads them; here is what becomes of them.

mod arguments;
mod wishes;

use self::arguments::{CREATE_TABLES, RUN_TABLES, with_meant_options, with_options};
use super::ExitCode;
use super::argument::{is_set, text};
use super::image::progress::Reporter;
use super::image::pull::{registry_options, transfer_options};
use super::image::store_root;
use super::image::unpacking::unpack_options;
use super::{create as bundle_create, exit_code, print};
use crate::container::image::{Base, FetchOptions, Home, ImageOptions, Pull, fetch};
use crate::container::{self, CreateOptions, Globals, Id};
use crate::error::{Error, Result};
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub fn run_command() -> Command {
    with_options(bare_run(), RUN_TABLES)
}

pub fn create_command() -> Command {
    with_options(bare_create(), CREATE_TABLES)
}

/// [`run_command`] with the options that these words can mean.
pub fn run_command_for(words: &[OsString]) -> Option<Command> {
    with_meant_options(bare_run(), RUN_TABLES, words)
}

/// [`create_command`] with the options that these words can mean.
pub fn create_command_for(words: &[OsString]) -> Option<Command> {
    with_meant_options(bare_create(), CREATE_TABLES, words)
}

fn bare_run() -> Command {
    Command::new("run")
        .about("make a container of an image, start it, wait for its process and delete it")
}

fn bare_create() -> Command {
    Command::new("create").about("make a container of an image whose process waits for start")
}

/// Whether a command line of `run` or `create` speaks of an image or a directory and not of a bundle.
pub fn is_meant(words: &[OsString]) -> bool {
    words
        .iter()
        .take_while(|word| *word != "--")
        .filter_map(|word| {
            let dashes = word.as_bytes().iter().take_while(|b| **b == b'-').count();
            (dashes > 0).then(|| word.as_bytes()[dashes..].split(|b| *b == b'=').next())?
        })
        .any(|name| matches!(name, b"image" | b"rootfs"))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let detach = is_set(matches, "detach");
    let keep = is_set(matches, "keep");
    if keep && is_set(matches, "rm") {
        return Err(Error::new("--keep and --rm say the opposite of each other"));
    }
    let remove = is_set(matches, "rm") || !(detach || keep);
    let mut options = options(matches, remove)?;
    options.detach = detach;
    options.keep = keep;
    let code = container::run::run(globals, &options)?;
    if detach {
        tell_name(matches, &options)?;
    }
    Ok(exit_code(code))
}

pub fn create(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let options = options(matches, false)?;
    container::create::create(globals, &options)?;
    tell_name(matches, &options)?;
    Ok(ExitCode::SUCCESS)
}

/// A name that nobody chose must be said.
fn tell_name(matches: &ArgMatches, options: &CreateOptions) -> Result<()> {
    match text(matches, "name")? {
        Some(_) => Ok(()),
        None => print(&format!("{}\n", options.id)),
    }
}

fn options(matches: &ArgMatches, remove: bool) -> Result<CreateOptions> {
    // It may execute us again: before any byte is fetched.
    container::own_binary::protect()?;
    let id = match text(matches, "name")? {
        Some(name) => Id::parse(&name)?,
        None => invented_id()?,
    };
    let store = store_root(matches);
    // Whoever names ids means those of the host.
    if text(matches, "uidmap")?.is_none() {
        container::image::enter()?;
    }
    let mut run = wishes::run_options(matches, &id)?;
    let home = Home::open(&store)?;
    if is_set(matches, "init") {
        let program = home.init_program()?;
        run.init = Some(program.to_string_lossy().into_owned());
    }
    let base = base(matches, &home)?;
    if !is_set(matches, "interactive") && !run.terminal {
        container::image::silence_standard_input()?;
    }
    let image = ImageOptions {
        home,
        base,
        run,
        remove,
    };
    let mut options = bundle_create::start_options(matches, CreateOptions::new(id, "."))?;
    options.image = Some(image);
    Ok(options)
}

fn base(matches: &ArgMatches, home: &Home) -> Result<Base> {
    match (text(matches, "image")?, text(matches, "rootfs")?) {
        (Some(_), Some(_)) => Err(Error::new("--image and --rootfs: want one of them")),
        (Some(reference), None) => {
            let options = FetchOptions {
                pull: pull(matches)?,
                registry: Some(&|| registry_options(matches)),
                transfer: transfer_options(matches)?,
                unpack: unpack_options(matches)?,
            };
            let reporter = Reporter::new(matches)?.only_news();
            let fetched = fetch(home, &reference, &options, &reporter);
            Ok(Base::Image(Arc::new(reporter.finish(fetched)?)))
        }
        (None, Some(directory)) => Ok(Base::Directory(lower(&directory)?)),
        (None, None) => Err(Error::new("want --image REF or --rootfs DIR:O")),
    }
}

fn pull(matches: &ArgMatches) -> Result<Pull> {
    match text(matches, "pull")?.as_deref() {
        None | Some("missing") => Ok(Pull::Missing),
        Some("always") => Ok(Pull::Always),
        Some("never") => Ok(Pull::Never),
        Some(other) => Err(Error::new(format!(
            "--pull: unknown value {other:?}, want missing, always or never"
        ))),
    }
}

/// `DIR:O`, as Podman writes it: the directory is only read.
fn lower(text: &str) -> Result<PathBuf> {
    let Some(directory) = text.strip_suffix(":O") else {
        return Err(Error::new(format!("--rootfs {text:?}: want DIR:O")).hint(
            "with :O the directory is only read, and the container writes to a copy of its own",
        ));
    };
    let failed = |error| Error::io(format!("--rootfs {text}: open {directory}"), &error);
    let path = Path::new(directory).canonicalize().map_err(failed)?;
    match path.is_dir() {
        true => Ok(path),
        false => Err(Error::new(format!(
            "--rootfs {text}: {directory} is no directory"
        ))),
    }
}

/// An id that nobody chose.
pub fn invented_id() -> Result<Id> {
    let number = RandomState::new().hash_one(std::process::id());
    Id::parse(&format!("c{:012x}", number >> 16))
}
