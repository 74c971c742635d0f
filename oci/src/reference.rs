//! Where an image is, in the ecosystem's notation: `docker://…`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
//! `docker-archive:FILE[:TAG]`, or a bare name, which Docker's rules complete.
//!
//! Pure text: whether a bare name is in the local store is for the store to say.

mod named;

use crate::error::{Error, Kind, Result};
pub use named::Reference;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where an image comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A registry: `docker://busybox`.
    Registry(Reference),
    /// An OCI image layout.
    OciDir(Place),
    /// An OCI image layout in a tar file.
    OciArchive(Place),
    /// What `docker save` writes.
    DockerArchive(Place),
    /// A name that may be in the local store, else in a registry.
    Name(String),
}

/// A path with an image's name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Directory or file.
    pub path: PathBuf,
    /// Which of the images there; none means the only one.
    pub tag: Option<String>,
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Location> {
        match text.split_once(':') {
            Some(("docker", rest)) if rest.starts_with("//") => {
                parse(&rest[2..]).map(Location::Registry)
            }
            Some(("oci", rest)) => place(text, rest).map(Location::OciDir),
            Some(("oci-archive", rest)) => place(text, rest).map(Location::OciArchive),
            Some(("docker-archive", rest)) => place(text, rest).map(Location::DockerArchive),
            _ if text.is_empty() => Err(Error::new(Kind::Invalid, "image reference is empty")),
            _ => Ok(Location::Name(text.to_owned())),
        }
    }
}

fn place(whole: &str, rest: &str) -> Result<Place> {
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    if path.is_empty() || tag == Some("") {
        return Err(Error::new(
            Kind::Invalid,
            format!("image reference {whole:?}: path or tag is empty"),
        ));
    }
    Ok(Place {
        path: path.into(),
        tag: tag.map(str::to_owned),
    })
}

impl Place {
    /// A name for the local store, where the user gave none: the tag when it is a full name, else file name and tag.
    pub fn store_name(&self) -> String {
        let tag = self.tag.as_deref().unwrap_or("latest");
        if tag.contains(['/', ':']) {
            return tag.to_owned();
        }
        let stem = self.path.file_stem().or(self.path.file_name());
        let stem = stem
            .unwrap_or(Path::new("image").as_os_str())
            .to_string_lossy();
        let clean: String = stem
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        format!("{}:{tag}", clean.trim_matches(['.', '_', '-']))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, place) = match self {
            Location::Registry(reference) => return write!(f, "docker://{reference}"),
            Location::Name(name) => return f.write_str(name),
            Location::OciDir(place) => ("oci", place),
            Location::OciArchive(place) => ("oci-archive", place),
            Location::DockerArchive(place) => ("docker-archive", place),
        };
        write!(f, "{scheme}:{}", place.path.display())?;
        match &place.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

/// Reads `registry/name:tag@digest`, completed by Docker's rules.
pub fn parse(text: &str) -> Result<Reference> {
    let refuse =
        |why: String| Error::new(Kind::Invalid, format!("image reference {text:?}: {why}"));
    text.parse().map_err(|error| {
        let error = refuse(error);
        match text.to_ascii_lowercase() == text {
            true => error,
            false => error.hint("repository names are lower-case"),
        }
    })
}

/// The name under which the store keeps what a reference pulled: with the tag, or the digest where there is no tag.
pub fn store_name(reference: &Reference) -> String {
    let name = format!("{}/{}", reference.registry(), reference.repository());
    match (reference.tag(), reference.digest()) {
        (Some(tag), _) => format!("{name}:{tag}"),
        (None, Some(digest)) => format!("{name}@{digest}"),
        (None, None) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn bare_names_are_read_as_docker_reads_them() {
        for (text, name) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("user/app:1.2", "docker.io/user/app:1.2"),
            ("localhost/app", "localhost/app:latest"),
            ("127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t"),
        ] {
            assert_eq!(store_name(&parse(text).expect(text)), name);
        }
    }

    #[test]
    fn a_tag_and_a_digest() {
        let digest = Digest::of(b"");
        let both = parse(&format!("quay.io/a/b:t@{digest}")).expect("parses");
        assert_eq!(both.digest(), Some(digest.to_string().as_str()));
        assert_eq!(store_name(&both), "quay.io/a/b:t");
    }

    #[test]
    fn schemes() {
        let place = |path: &str, tag: Option<&str>| Place {
            path: path.into(),
            tag: tag.map(Into::into),
        };
        let parse = |text: &str| text.parse::<Location>();
        assert_eq!(
            parse("oci:/d/x:t").expect("parses"),
            Location::OciDir(place("/d/x", Some("t")))
        );
        assert_eq!(
            parse("docker-archive:a.tar:b/c:t").expect("parses"),
            Location::DockerArchive(place("a.tar", Some("b/c:t")))
        );
        assert_eq!(
            parse("oci-archive:a.tar").expect("parses"),
            Location::OciArchive(place("a.tar", None))
        );
        assert_eq!(
            parse("alpine:3").expect("parses"),
            Location::Name("alpine:3".into())
        );
        assert!(parse("oci::x").is_err());
        assert!(parse("docker://UPPER/case").is_err());
        assert!(parse("docker://").is_err());
        for text in [
            "oci:/d/x:t",
            "docker://docker.io/library/busybox:latest",
            "alpine:3",
        ] {
            assert_eq!(parse(text).expect("parses").to_string(), text);
        }
    }

    #[test]
    fn names_for_imports() {
        let name = |text: &str| match text.parse() {
            Ok(Location::OciDir(place) | Location::OciArchive(place)) => place.store_name(),
            other => panic!("{other:?}"),
        };
        assert_eq!(name("oci:/tmp/busybox:1.36"), "busybox:1.36");
        assert_eq!(name("oci-archive:My Image.tar"), "my-image:latest");
        assert_eq!(name("oci:x:docker.io/library/a:b"), "docker.io/library/a:b");
    }
}
