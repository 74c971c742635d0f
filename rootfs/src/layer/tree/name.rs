//! An entry's name, taken apart and bounded. Pure.

use super::whiteout::WHITEOUT_PREFIX;
use crate::layer::error::Fault;
use crate::layer::limits::{Limits, within};

const COMPONENT_BYTES: usize = 255;

/// The components of a name: leading slashes, empty ones and `.` dropped, `..` refused.
pub(crate) fn components<'a>(path: &'a [u8], limits: &Limits) -> Result<Vec<&'a [u8]>, Fault> {
    limits.check_name_bytes(path.len())?;
    if path.is_empty() {
        return Err(Fault::Name("it is empty"));
    }
    let mut parts = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(Fault::Name("it has \"..\" in it")),
            _ if part.contains(&0) => return Err(Fault::Name("it has a NUL in it")),
            _ if part.len() > COMPONENT_BYTES => {
                return Err(Fault::Name("a component is longer than 255 bytes"));
            }
            _ => parts.push(part),
        }
        within(
            "name depth in components",
            parts.len() as u64,
            limits.path_depth as u64,
        )?;
    }
    Ok(parts)
}

/// The name of the parent, and the last component.
pub(crate) type Split<'a> = (Vec<u8>, &'a [u8]);

/// Parent and last component; nothing for the root itself. Only the last component may be a whiteout.
pub(crate) fn split<'a>(path: &'a [u8], limits: &Limits) -> Result<Option<Split<'a>>, Fault> {
    let mut parts = components(path, limits)?;
    let above = parts.split_last().map_or(&[][..], |(_, above)| above);
    if above.iter().any(|part| part.starts_with(WHITEOUT_PREFIX)) {
        return Err(Fault::Name("a directory in it begins with .wh."));
    }
    Ok(parts.pop().map(|base| (parts.join(&b'/'), base)))
}
