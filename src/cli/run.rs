//! `run`: makes a container, starts it, waits for its process and deletes it.

use super::argument::{is_set, path, positional};
use super::offer::{Offer, with_all, with_meant};
use super::{ExitCode, create, exit_code};
use crate::container::{CreateOptions, Globals, Id};
use crate::error::Result;
use clap::{Arg, ArgMatches, Command};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";

const OWN: &[Offer] = &[
    Offer::flag("detach", "don't wait for the container's end").short('d'),
    Offer::flag("keep", "keep the container when its process has ended"),
];

const OFFERED: &[&[Offer]] = &[create::BUNDLE, create::START, OWN];

pub fn command() -> Command {
    with_all(bare(), OFFERED).arg(id())
}

/// [`command`] with the options that these words can mean.
pub fn brief(words: &[OsString]) -> Option<Command> {
    Some(with_meant(bare(), OFFERED, words)?.arg(id()))
}

fn bare() -> Command {
    Command::new("run").about("make a container, start it, wait for its process and delete it")
}

fn id() -> Arg {
    Arg::new("id")
        .value_name("CONTAINER|BUNDLE")
        .help("the container's id, or a bundle whose name makes the id")
        .required(true)
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let options = options(globals, matches)?;
    Ok(exit_code(crate::container::run::run(globals, &options)?))
}

fn options(globals: &Globals, matches: &ArgMatches) -> Result<CreateOptions> {
    let word = positional(matches, "id").unwrap_or_default();
    let bundle_named = path(matches, "bundle").is_some() || path(matches, "config").is_some();
    let mut options = match bundle_in_place_of_id(&word, bundle_named, &is_bundle) {
        None => create::options(matches, Id::parse(&word)?)?,
        Some(bundle) => {
            let id = free_id(&globals.root, Id::from_bundle(&absolute(&bundle)));
            CreateOptions {
                bundle,
                ..create::options(matches, id)?
            }
        }
    };
    options.detach = is_set(matches, "detach");
    options.keep = is_set(matches, "keep");
    Ok(options)
}

/// `run DIR`: the only word names a bundle, no option does, and the present directory is none, so runc's reading of
/// the word as an id could only fail.
fn bundle_in_place_of_id(
    word: &str,
    bundle_named: bool,
    is_bundle: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let named = !bundle_named && !is_bundle(Path::new(".")) && is_bundle(Path::new(word));
    named.then(|| PathBuf::from(word))
}

fn is_bundle(directory: &Path) -> bool {
    directory.join(CONFIG).is_file()
}

fn absolute(bundle: &Path) -> PathBuf {
    bundle.canonicalize().unwrap_or_else(|_| bundle.to_owned())
}

/// A bundle may be run many times at once: from the second on its id gets our pid.
fn free_id(root: &Path, id: Id) -> Id {
    match root.join(&id).exists() {
        true => Id::parse(&format!("{id}-{}", std::process::id())).unwrap_or(id),
        false => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_bundle_only_where_it_can_be_no_id() {
        let only_b = |directory: &Path| directory == Path::new("b");
        let everywhere = |_: &Path| true;
        let found = |word, named, is_bundle| bundle_in_place_of_id(word, named, is_bundle);
        assert_eq!(found("b", false, &only_b), Some("b".into()));
        assert_eq!(found("b", true, &only_b), None);
        assert_eq!(found("c", false, &only_b), None);
        assert_eq!(found("b", false, &everywhere), None);
    }
}
