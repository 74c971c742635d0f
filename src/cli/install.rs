//! `install`: puts this binary, its manual pages and its completions below a prefix.
//!
//! All files are written beside their places first and renamed when the last one is complete, so nobody ever sees half
//! a file, and a failure before that leaves what was there. What is already in place is left alone.

mod staged;

use super::ExitCode;
use super::argument::{option, path};
use super::{completion, man, print};
use crate::container::Globals;
use crate::error::{Context, Error, Result};
use clap::{ArgMatches, Command};
use clap_complete::Shell;
use staged::Staged;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "/usr/local";
const PROGRAM_MODE: u32 = 0o755;
const TEXT_MODE: u32 = 0o644;

/// One file to have in place.
struct Item {
    place: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

pub fn command() -> Command {
    Command::new("install")
        .about("put this binary, its manual pages and completions in place")
        .arg(option(
            "prefix",
            "DIR",
            "where bin/ and share/ are, /usr/local if not given",
        ))
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let prefix = prefix(matches)?;
    let done = put(&items(&prefix)?)
        .context(format_args!("install below {}", prefix.display()))
        .map_err(advise)?;
    print(&done)?;
    Ok(ExitCode::SUCCESS)
}

/// An empty prefix is an unset variable in someone's script, never a wish for the default.
fn prefix(matches: &ArgMatches) -> Result<PathBuf> {
    let given = matches.get_one::<OsString>("prefix");
    if given.is_some_and(|value| value.is_empty()) {
        return Err(Error::new("install: --prefix is empty"));
    }
    let prefix = path(matches, "prefix").unwrap_or_else(|| PREFIX.into());
    std::path::absolute(&prefix).context(format_args!("install: --prefix {}", prefix.display()))
}

fn advise(error: Error) -> Error {
    use nix::errno::Errno;
    match error.os() {
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
            error.hint("become root, or name a directory of yours: --prefix ~/.local")
        }
        _ => error,
    }
}

/// Everything to install; the binary last, so that a new one never stands beside old pages.
fn items(prefix: &Path) -> Result<Vec<Item>> {
    let text = |place: String, content| Item {
        place: prefix.join(place),
        content,
        mode: TEXT_MODE,
    };
    let mut items = Vec::new();
    for (name, page) in man::pages()? {
        items.push(text(format!("share/man/man1/{name}"), page));
    }
    for (place, shell) in [
        ("share/bash-completion/completions/crun-lite", Shell::Bash),
        ("share/zsh/site-functions/_crun-lite", Shell::Zsh),
        (
            "share/fish/vendor_completions.d/crun-lite.fish",
            Shell::Fish,
        ),
    ] {
        items.push(text(place.to_owned(), completion::script(shell)));
    }
    items.push(Item {
        place: prefix.join("bin/crun-lite"),
        content: fs::read("/proc/self/exe").context("read our own binary, /proc/self/exe")?,
        mode: PROGRAM_MODE,
    });
    Ok(items)
}

/// Puts all of them in place and says for each what was done.
fn put(items: &[Item]) -> Result<String> {
    let mut report = String::new();
    let mut missing = Vec::new();
    for item in items {
        let in_place = is_in_place(item)?;
        let done = if in_place { "unchanged" } else { "installed" };
        report += &format!("{done} {}\n", item.place.display());
        missing.extend((!in_place).then_some(item));
    }
    for file in stage(&missing)? {
        file.place()?;
    }
    Ok(report)
}

fn stage(items: &[&Item]) -> Result<Vec<Staged>> {
    let mut staged = Vec::new();
    for item in items {
        match Staged::write(&item.place, &item.content, item.mode) {
            Ok(file) => staged.push(file),
            Err(error) => {
                // The last first: a directory goes when all that was made in it has gone.
                while staged.pop().is_some() {}
                return Err(error);
            }
        }
    }
    Ok(staged)
}

fn is_in_place(item: &Item) -> Result<bool> {
    let place = item.place.display();
    match fs::symlink_metadata(&item.place) {
        Ok(there) if there.is_dir() => Err(Error::new(format!("{place} is a directory"))),
        Ok(there) if there.is_file() && there.permissions().mode() & 0o7777 == item.mode => {
            let content = fs::read(&item.place).context(format_args!("read {place}"))?;
            Ok(content == item.content)
        }
        // What can't be looked at is told by the attempt to write there.
        _ => Ok(false),
    }
}
