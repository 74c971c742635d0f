//! Which ids a mount maps: SPEC(config-linux.md#mounts) `uidMappings`, and crun's `idmap=uids=…;gids=…`.
//!
//! Knows ranges of ids only, not what is mounted.

use super::{Idmap, IdmapSource, MountFacts};
use oci::runtime::{IdMapping, Mount};

/// The option that asks for an id mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// `ridmap`.
    pub recursive: bool,
    /// What stands behind `=`.
    pub ranges: Option<&'a str>,
}

/// The mapping of one mount; the error is the problem, without its place.
pub(super) fn plan(
    mount: &Mount,
    request: Option<Request<'_>>,
    facts: &MountFacts<'_>,
) -> Result<Option<Idmap>, String> {
    let listed = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let recursive = request.is_some_and(|request| request.recursive);
    let mapping = match request.and_then(|request| request.ranges) {
        Some(text) => parse_ranges(text, facts)?,
        None if listed => listed_ranges(mount)?,
        None if request.is_none() => return Ok(None),
        None if facts.user_namespace => IdmapSource::Container,
        None => {
            return Err(
                "an id mapping needs uidMappings and gidMappings, or a user namespace".into(),
            );
        }
    };
    Ok(Some(Idmap { mapping, recursive }))
}

fn listed_ranges(mount: &Mount) -> Result<IdmapSource, String> {
    if mount.uid_mappings.is_empty() || mount.gid_mappings.is_empty() {
        return Err("uidMappings and gidMappings must be given together".into());
    }
    Ok(IdmapSource::Ranges {
        uids: mount.uid_mappings.clone(),
        gids: mount.gid_mappings.clone(),
    })
}

/// Reads `uids=0-1-10#10-11-10;gids=@0-100-10`. COMPAT(crun)
fn parse_ranges(text: &str, facts: &MountFacts<'_>) -> Result<IdmapSource, String> {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("uids", ranges)) => parse_list(ranges, facts.uid_mappings, &mut uids)?,
            Some(("gids", ranges)) => parse_list(ranges, facts.gid_mappings, &mut gids)?,
            _ => {
                return Err(format!(
                    "expected uids=… or gids=… in idmap, found {part:?}"
                ));
            }
        }
    }
    if uids.is_empty() || gids.is_empty() {
        return Err("idmap=… needs both uids and gids".into());
    }
    Ok(IdmapSource::Ranges { uids, gids })
}

/// Reads ranges between `#`. `@` makes those from there on relative to the container's user namespace.
fn parse_list(
    text: &str,
    container: &[IdMapping],
    ranges: &mut Vec<IdMapping>,
) -> Result<(), String> {
    let mut relative = false;
    for range in text.split('#').filter(|range| !range.is_empty()) {
        let numbers = range.strip_prefix('@');
        relative |= numbers.is_some();
        let mapping = parse_range(numbers.unwrap_or(range))
            .ok_or_else(|| format!("expected FROM-TO-LENGTH in idmap, found {range:?}"))?;
        ranges.push(if relative {
            on_host(mapping, container)
                .ok_or_else(|| format!("the container maps no id for {range:?} of idmap"))?
        } else {
            mapping
        });
    }
    Ok(())
}

fn parse_range(text: &str) -> Option<IdMapping> {
    let mut numbers = text.split('-').map(|number| number.parse().ok());
    let mapping = IdMapping {
        container_id: numbers.next()??,
        host_id: numbers.next()??,
        size: numbers.next()??,
    };
    (numbers.next().is_none() && mapping.size > 0).then_some(mapping)
}

/// Turns a range whose second number is an id of the container into one with an id of the host.
fn on_host(mapping: IdMapping, container: &[IdMapping]) -> Option<IdMapping> {
    container.iter().find_map(|range| {
        let offset = mapping.host_id.checked_sub(range.container_id)?;
        (offset < range.size).then_some(IdMapping {
            host_id: range.host_id.checked_add(offset)?,
            ..mapping
        })
    })
}
