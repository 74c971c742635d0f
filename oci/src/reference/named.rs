//! `registry/repository:tag@digest`, with what Docker leaves out filled in.
//!
//! The grammar is that of the distribution project. A regular expression for it would weigh more than the registry client
//! and take longer than starting a container; tests hold this one to oci-spec's.

use crate::digest::Digest;
use std::fmt;
use std::str::FromStr;

/// An image's name, complete: it has a registry, and a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Where a name without registry is, and the part of it that Docker's own images are in.
const DEFAULT_REGISTRY: &str = "docker.io";
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
const OFFICIAL: &str = "library";
const DEFAULT_TAG: &str = "latest";

/// A longer repository is refused, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// A longer tag is refused, in bytes.
const MAX_TAG_BYTES: usize = 128;

impl Reference {
    /// Host name, perhaps with a port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path of the repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: `latest` where neither tag nor digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which has precedence over the tag.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Says what is wrong, without the reference.
impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Reference, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            digest
                .parse::<Digest>()
                .map_err(|error| error.to_string())?;
        }
        // A colon before a slash is a port's.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(format!("{tag:?} is no tag"));
        }
        let (registry, repository) = split(name)?;
        let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG));
        Ok(Reference {
            registry,
            repository,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

/// Registry and repository, completed by Docker's rules.
fn split(name: &str) -> Result<(String, String), String> {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    if !is_registry(registry) {
        return Err(format!("{registry:?} is no registry"));
    }
    if let Some(part) = repository.split('/').find(|part| !is_path_part(part)) {
        return Err(format!("{part:?} is no part of a repository's name"));
    }
    let registry = match registry {
        LEGACY_DEFAULT_REGISTRY => DEFAULT_REGISTRY,
        registry => registry,
    };
    let repository = match registry == DEFAULT_REGISTRY && !repository.contains('/') {
        true => format!("{OFFICIAL}/{repository}"),
        false => repository.to_owned(),
    };
    if repository.len() > MAX_NAME_BYTES {
        return Err(format!(
            "the repository's name is longer than {MAX_NAME_BYTES} bytes"
        ));
    }
    Ok((registry.to_owned(), repository))
}

/// Labels of letters, digits and inner hyphens, or an IPv6 address in brackets; then perhaps a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => host.split('.').all(is_label),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    is_host && port.is_none_or(is_port)
}

/// Small letters and digits, parted by one `.`, one or two `_`, or any number of `-`.
fn is_path_part(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_in_words =
        bytes.first().is_some_and(|&b| is_word(b)) && bytes.last().is_some_and(|&b| is_word(b));
    let is_separator =
        |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|&b| b == b'-');
    ends_in_words
        && bytes
            .chunk_by(|&a, &b| is_word(a) == is_word(b))
            .all(|run| is_word(run[0]) || is_separator(run))
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let begins = text.bytes().next().is_some_and(is_word);
    begins
        && text.len() <= MAX_TAG_BYTES
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::distribution::Reference as Oracle;
    use proptest::prelude::*;

    /// Both refuse it, or both read the same; ours refuses more: capitals in a repository, and digests that are none.
    fn check(text: &str) {
        let oracle = text.parse::<Oracle>();
        match (text.parse::<Reference>(), oracle) {
            (Ok(ours), Ok(oracle)) => {
                assert_eq!(ours.registry(), oracle.registry(), "{text}");
                assert_eq!(ours.repository(), oracle.repository(), "{text}");
                assert_eq!(ours.tag(), oracle.tag(), "{text}");
                assert_eq!(ours.digest(), oracle.digest(), "{text}");
                assert_eq!(ours.to_string(), oracle.to_string(), "{text}");
            }
            (Ok(ours), Err(error)) => panic!("{text}: {ours:?}, but {error}"),
            (Err(error), Ok(oracle)) => {
                let capitals = oracle.repository().bytes().any(|b| b.is_ascii_uppercase());
                let address = text.contains('[');
                assert!(
                    capitals
                        || address
                        || oracle
                            .digest()
                            .is_some_and(|d| d.parse::<Digest>().is_err()),
                    "{text}: {error}, but {oracle}"
                );
            }
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn names_of_every_shape_are_read_as_by_the_oracle() {
        let digest = Digest::of(b"");
        for name in [
            "busybox",
            "a/b",
            "localhost/a",
            "localhost:5000/a/b",
            "index.docker.io/a",
            "docker.io/a",
            "quay.io/a/b/c",
            "127.0.0.1:80/x",
            "a..b",
            "a__b",
            "a___b",
            "a-_b",
            "a---b",
            "-a",
            "a-",
            "a.b/c",
            "UPPER",
            "a//b",
            "/a",
            "a/",
            "host.:1/a",
            "h:/a",
            "h:x/a",
            "",
            "a b",
            "a:b:c",
            "x/y.",
            "a_.b",
            "registry-1.example.org:443/a/b-c_d.e",
        ] {
            for tag in ["", ":1.2", ":", ":-x", ":x-._Y", ":a/b"] {
                for end in [
                    "".to_owned(),
                    format!("@{digest}"),
                    "@sha256:12".into(),
                    "@".into(),
                ] {
                    check(&format!("{name}{tag}{end}"));
                }
            }
        }
        check(&format!("a:{}", "t".repeat(128)));
        check(&format!("a:{}", "t".repeat(129)));
        check(&"n".repeat(255));
        check(&"n".repeat(256));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_by_the_oracle(text in "[a-cA1./:_@-]{0,14}") {
            check(&text);
        }
    }
}
