//! A container's id: the one text of the caller's that becomes part of host paths, so its alphabet is closed.
//!
//! COMPAT(runc): `[a-zA-Z0-9_+-][a-zA-Z0-9_+.-]*`, so `.`, `..` and anything with a slash can't be said.

use crate::error::{Error, Result};
use std::fmt;
use std::path::Path;

/// The longest id in bytes: it names a directory.
const MAX_BYTES: usize = 255;

/// An id that is safe as one component of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// Checks `text` against the alphabet and the length.
    pub fn parse(text: &str) -> Result<Id> {
        if text.is_empty() {
            return Err(Error::new("invalid container ID format: it is empty"));
        }
        if text.len() > MAX_BYTES {
            return Err(Error::new(format!(
                "invalid container ID format: {} bytes long, at most {MAX_BYTES} are allowed",
                text.len()
            )));
        }
        match text.char_indices().find(|(at, c)| !allowed(*at, *c)) {
            None => Ok(Id(text.to_owned())),
            Some((at, c)) => Err(Error::new(format!(
                "invalid container ID format {text:?}: invalid character `{}` in the ID, at byte {at}",
                c.escape_debug()
            ))
            .hint("an id is made of letters, digits, _ + - and, not at its start, dots")),
        }
    }

    /// The id that a bundle directory suggests: its name with every other character replaced by `_`.
    pub fn from_bundle(bundle: &Path) -> Id {
        let name = bundle.file_name().unwrap_or_default().to_string_lossy();
        let id: String = name
            .chars()
            .enumerate()
            .map(|(at, c)| if allowed(at, c) { c } else { '_' })
            .take(MAX_BYTES)
            .collect();
        Id(if id.is_empty() { "bundle".into() } else { id })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(at: usize, c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-') || (c == '.' && at > 0)
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for Id {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_of_runc_is_accepted() {
        for id in ["a", "web1", "_", "+x", "-", "a..b", "A+b_c-d.e", "9"] {
            assert!(Id::parse(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn what_could_leave_the_state_directory_is_refused() {
        for id in [
            "", ".", "..", "/", "a/b", "../x", ".a", "a b", "a\0b", "é", "a\n",
        ] {
            assert!(Id::parse(id).is_err(), "{id:?}");
        }
        assert!(Id::parse(&"a".repeat(255)).is_ok());
        assert!(Id::parse(&"a".repeat(256)).is_err());
        assert!(Id::parse(&"a".repeat(1024)).is_err());
    }

    #[test]
    fn a_bundle_suggests_its_name() {
        for (bundle, id) in [
            ("/b/web", "web"),
            ("/b/my bundle", "my_bundle"),
            ("/b/.hidden", "_hidden"),
            ("/", "bundle"),
            ("/b/größe", "gr__e"),
        ] {
            assert_eq!(Id::from_bundle(Path::new(bundle)).as_str(), id);
        }
    }
}
