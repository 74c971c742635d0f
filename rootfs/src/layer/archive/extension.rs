//! PAX records and GNU long names: what comes before an entry and overrides its header.

use super::entry::{Timestamp, Xattr};
use super::field::{decimal, malformed, time};
use super::sparse::{self, PaxSparse, Segment, push_pairs};
use crate::layer::error::Fault;
use crate::layer::limits::{Limits, within};

/// Linux lists no more names of one inode.
const XATTR_LIST_BYTES: u64 = 65536;
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Everything said about the next entry outside its header.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) sparse: PaxSparse,
    /// Bytes of the names of all attributes.
    xattr_names_bytes: usize,
    long_path: bool,
    long_target: bool,
    pax: bool,
}

impl Extension {
    /// True when nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        !(self.long_path || self.long_target || self.pax)
    }

    /// A GNU `L` header's body.
    pub(super) fn set_long_path(&mut self, body: Vec<u8>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.long_path, true) || self.path.is_some() {
            return Err(malformed("an entry has two long names"));
        }
        self.path = Some(long_name(body)?);
        Ok(())
    }

    /// A GNU `K` header's body.
    pub(super) fn set_long_target(&mut self, body: Vec<u8>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.long_target, true) || self.link_target.is_some() {
            return Err(malformed("an entry has two long link targets"));
        }
        self.link_target = Some(long_name(body)?);
        Ok(())
    }

    /// A PAX `x` header's body.
    pub(super) fn set_pax(&mut self, body: &[u8], limits: &Limits) -> Result<(), Fault> {
        if std::mem::replace(&mut self.pax, true) {
            return Err(malformed("an entry has two PAX headers"));
        }
        let (long_path, long_target) = (self.path.take(), self.link_target.take());
        for record in Records(body) {
            let (key, value) = record?;
            self.apply(key, value, limits)?;
        }
        if long_path.is_some() && self.path.is_some()
            || long_target.is_some() && self.link_target.is_some()
        {
            return Err(malformed("a GNU long name and a PAX path for one entry"));
        }
        self.path = self.path.take().or(long_path);
        self.link_target = self.link_target.take().or(long_target);
        Ok(())
    }

    fn apply(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Fault> {
        if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
            return self.set_xattr(name, value, limits);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.apply_sparse(key, value, limits);
        }
        // An empty value takes the record back: the header counts again.
        let given = |value: &[u8]| (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = given(name(value, limits)?),
            b"linkpath" => self.link_target = given(name(value, limits)?),
            _ if value.is_empty() => {}
            b"size" => self.size = Some(decimal("PAX size", value)?),
            b"uid" => self.uid = Some(decimal("PAX uid", value)?),
            b"gid" => self.gid = Some(decimal("PAX gid", value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ => {}
        }
        Ok(())
    }

    /// An empty value is a value here: an attribute that is there and empty.
    fn set_xattr(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Fault> {
        if name.is_empty() || name.contains(&0) {
            return Err(malformed(
                "an extended attribute's name is empty or has a NUL",
            ));
        }
        within(
            "extended attribute size in bytes",
            value.len() as u64,
            limits.xattr_bytes as u64,
        )?;
        self.xattr_names_bytes += name.len() + 1;
        within(
            "names of extended attributes in bytes",
            self.xattr_names_bytes as u64,
            XATTR_LIST_BYTES,
        )?;
        self.xattrs.retain(|(earlier, _)| earlier != name);
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn apply_sparse(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Fault> {
        let sparse = &mut self.sparse;
        match key {
            b"major" => sparse.major = Some(decimal("GNU.sparse.major", value)?),
            b"minor" => sparse.minor = Some(decimal("GNU.sparse.minor", value)?),
            b"name" => sparse.name = Some(name(value, limits)?.to_vec()),
            b"size" | b"realsize" => sparse.size = Some(decimal("GNU.sparse.size", value)?),
            b"numblocks" => sparse.declared = Some(decimal("GNU.sparse.numblocks", value)?),
            b"map" => push_pairs(sparse.map.get_or_insert_default(), value, limits)?,
            b"offset" => sparse.offset = Some(decimal("GNU.sparse.offset", value)?),
            b"numbytes" => {
                let offset = sparse
                    .offset
                    .take()
                    .ok_or_else(|| malformed("a sparse length without an offset"))?;
                let length = decimal("GNU.sparse.numbytes", value)?;
                let map = sparse.map.get_or_insert_default();
                sparse::push(map, Segment { offset, length }, limits)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A record's value as a name: not too long, and without what would end it early.
fn name<'v>(value: &'v [u8], limits: &Limits) -> Result<&'v [u8], Fault> {
    limits.check_name_bytes(value.len())?;
    no_nul(value)
}

/// A global header's records hold for every entry after it in POSIX, for none in Go: those that matter are refused.
pub(super) fn check_global(body: &[u8]) -> Result<(), Fault> {
    for record in Records(body) {
        let (key, _) = record?;
        let matters = matches!(
            key,
            b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime"
        ) || key.starts_with(XATTR_PREFIX)
            || key.starts_with(b"GNU.sparse.");
        if matters {
            return Err(malformed(format!(
                "a global PAX header sets {}",
                key.escape_ascii()
            )));
        }
    }
    Ok(())
}

fn long_name(mut body: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if body.last() == Some(&0) {
        body.pop();
    }
    // Readers differ on what follows a first NUL.
    let end = body.iter().position(|&b| b == 0).unwrap_or(body.len());
    if body[end..].iter().any(|&b| b != 0) || end == 0 {
        return Err(malformed("a GNU long name is empty or has a NUL inside"));
    }
    body.truncate(end);
    Ok(body)
}

fn no_nul(value: &[u8]) -> Result<&[u8], Fault> {
    if value.contains(&0) {
        Err(malformed("a PAX name has a NUL"))
    } else {
        Ok(value)
    }
}

/// The records `LENGTH KEY=VALUE\n` of a PAX header, LENGTH counting all of it.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (record, rest) = match split_record(self.0) {
            Some(split) => split,
            None => {
                self.0 = &[];
                return Some(Err(malformed("a PAX record")));
            }
        };
        self.0 = rest;
        Some(Ok(record))
    }
}

type Split<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn split_record(bytes: &[u8]) -> Option<Split<'_>> {
    let space = bytes.iter().take(20).position(|&b| b == b' ')?;
    let length = usize::try_from(decimal("length", &bytes[..space]).ok()?).ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    let key = &record[..equals];
    if key.is_empty() || key.contains(&0) {
        return None;
    }
    Some(((key, &record[equals + 1..]), &bytes[length..]))
}
