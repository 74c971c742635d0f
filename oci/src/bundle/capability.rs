//! The capability sets of a container: the defaults, what was added, what was dropped.

use super::defaults::{ALL_CAPABILITIES, CAPABILITIES};
use super::options::RunOptions;
use crate::error::{Error, Kind, Result};
use crate::runtime::Capabilities;

/// The sets for a process. Ordinary users can gain what is bounding by set-uid programs, but hold nothing.
pub(super) fn sets(options: &RunOptions, is_root: bool) -> Result<Capabilities> {
    let added = names(&options.cap_add)?;
    let dropped = names(&options.cap_drop)?;
    let is_all = |list: &[&str]| list.contains(&"ALL");
    let kept = |name: &&str| -> bool {
        let given = is_all(&added) || (CAPABILITIES.contains(name) && !is_all(&dropped));
        // A name beats ALL, whichever side it is on; a name on both sides is dropped.
        (given || added.contains(name)) && !dropped.contains(name)
    };
    let bounding: Vec<String> = ALL_CAPABILITIES
        .iter()
        .filter(|name| kept(name))
        .map(|name| (*name).to_owned())
        .collect();
    let held = if is_root {
        bounding.clone()
    } else {
        Vec::new()
    };
    Ok(Capabilities {
        effective: held.clone(),
        permitted: held,
        bounding,
        ..Capabilities::default()
    })
}

/// `net_admin`, `CAP_NET_ADMIN` and `all` to the kernel's names.
fn names(written: &[String]) -> Result<Vec<&'static str>> {
    written
        .iter()
        .flat_map(|list| list.split(','))
        .map(name)
        .collect()
}

fn name(written: &str) -> Result<&'static str> {
    let upper = written.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if bare == "ALL" {
        return Ok("ALL");
    }
    let known = ALL_CAPABILITIES
        .iter()
        .find(|name| name.strip_prefix("CAP_") == Some(bare));
    known.copied().ok_or_else(|| {
        Error::new(
            Kind::Invalid,
            format!("capability {written:?}: there is no such capability"),
        )
        .hint("`man 7 capabilities` lists them")
    })
}
