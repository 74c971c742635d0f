//! Sparse files: where the stored bytes of a file go. The old GNU form and the three PAX forms end as one list.

use super::field::{decimal, malformed, size};
use crate::layer::error::Fault;
use crate::layer::limits::Limits;

/// A run of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What PAX records say about a sparse file.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) declared: Option<u64>,
    pub(super) offset: Option<u64>,
    pub(super) map: Option<Vec<Segment>>,
}

/// Which PAX form a file has.
pub(super) enum Form {
    /// 0.0 and 0.1: the map came in the records.
    Listed(Vec<Segment>),
    /// 1.0: the map is in front of the body.
    InBody,
}

impl PaxSparse {
    /// The form of the map, when the entry is sparse at all.
    pub(super) fn form(&mut self) -> Result<Option<Form>, Fault> {
        if self.offset.is_some() {
            return Err(malformed("a sparse offset without a length"));
        }
        match (self.major, self.minor, self.map.take()) {
            (None, None, None) if self.size.is_none() && self.name.is_none() => Ok(None),
            (Some(1), Some(0), None) => Ok(Some(Form::InBody)),
            (None | Some(0), None | Some(0 | 1), Some(map)) => {
                if self
                    .declared
                    .is_some_and(|declared| declared != map.len() as u64)
                {
                    return Err(malformed("a sparse map of another length than declared"));
                }
                Ok(Some(Form::Listed(map)))
            }
            _ => Err(malformed("sparse records that don't fit together")),
        }
    }
}

/// Adds one segment, as long as the limit lets it.
pub(super) fn push(map: &mut Vec<Segment>, segment: Segment, limits: &Limits) -> Result<(), Fault> {
    limits.check_segments(map.len() as u64 + 1)?;
    map.push(segment);
    Ok(())
}

/// Adds the `offset,length,offset,length` of a 0.1 map.
pub(super) fn push_pairs(
    map: &mut Vec<Segment>,
    text: &[u8],
    limits: &Limits,
) -> Result<(), Fault> {
    let mut numbers = text.split(|&b| b == b',');
    while let Some(offset) = numbers.next() {
        let length = numbers
            .next()
            .ok_or_else(|| malformed("a sparse map of odd length"))?;
        let segment = Segment {
            offset: decimal("sparse offset", offset)?,
            length: decimal("sparse length", length)?,
        };
        push(map, segment, limits)?;
    }
    Ok(())
}

/// Adds the used slots of an old GNU header or of its extension block.
pub(super) fn push_slots(
    map: &mut Vec<Segment>,
    slots: &[tar::GnuSparseHeader],
    limits: &Limits,
) -> Result<(), Fault> {
    for slot in slots {
        // The first unused slot ends the list.
        if slot.offset[0] == 0 || slot.numbytes[0] == 0 {
            return Ok(());
        }
        let segment = Segment {
            offset: size("sparse offset", &slot.offset)?,
            length: size("sparse length", &slot.numbytes)?,
        };
        push(map, segment, limits)?;
    }
    Ok(())
}

/// Segments in order, apart, inside the file, and together as long as the body.
pub(super) fn check(map: &[Segment], file_bytes: u64, stored_bytes: u64) -> Result<(), Fault> {
    let (mut end, mut stored) = (0u64, 0u64);
    for segment in map {
        let next = segment
            .offset
            .checked_add(segment.length)
            .filter(|&next| next <= file_bytes);
        if segment.offset < end {
            return Err(malformed("sparse segments overlap"));
        }
        end = next.ok_or_else(|| malformed("a sparse segment beyond the file's end"))?;
        stored += segment.length;
    }
    if stored != stored_bytes {
        return Err(malformed("sparse segments don't add up to the stored size"));
    }
    Ok(())
}
