//! `--regex` of `kill` and `delete`: one word for many containers. COMPAT(crun).

use super::argument;
use crate::container::state::list_ids;
use crate::container::{Globals, Id};
use crate::error::{Error, Result};
use clap::ArgMatches;
use regex_lite::Regex;

/// The containers that the command line means: the named one, or with `--regex` all that match.
pub fn ids(globals: &Globals, matches: &ArgMatches) -> Result<Vec<Id>> {
    if !matches.get_flag("regex") {
        return Ok(vec![argument::id(matches)?]);
    }
    let pattern = argument::positional(matches, "id").unwrap_or_default();
    let regex = Regex::new(&pattern)
        .map_err(|error| Error::new(format!("--regex {pattern:?}: {error}")))?;
    let mut ids = list_ids(&globals.root)?;
    ids.retain(|id| regex.is_match(id.as_str()));
    Ok(ids)
}
