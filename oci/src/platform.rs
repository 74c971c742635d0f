//! Which of an index's images fits a machine.
//!
//! SPEC(image-spec/image-index.md): `platform`. An older processor variant runs on a newer one, never the reverse.

use crate::descriptor::{MediaKind, annotation, media_kind};
use crate::error::{Error, Kind, Result};
use crate::spec;
use std::fmt;
use std::str::FromStr;

/// An operating system, an architecture and, where it matters, a variant, as Go names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Such as `linux`.
    pub os: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `v8`; empty for the architecture's default.
    pub variant: String,
}

impl Platform {
    /// The one that this program was built for.
    pub fn host() -> Platform {
        let (architecture, variant) = normalize(std::env::consts::ARCH, "");
        Platform {
            os: "linux".into(),
            architecture,
            variant,
        }
    }

    /// The best fitting entry of an index.
    pub fn select<'a>(&self, index: &'a spec::ImageIndex) -> Result<&'a spec::Descriptor> {
        let images = || index.manifests().iter().filter(|d| is_image(d));
        let best = images()
            .filter_map(|descriptor| Some((self.fitness(descriptor)?, descriptor)))
            // `max_by_key` returns the last of equals; the first listed shall win.
            .rev()
            .max_by_key(|(fitness, _)| *fitness);
        if let Some((_, descriptor)) = best {
            return Ok(descriptor);
        }
        // An index of one image that doesn't say its platform leaves no choice.
        if let [only] = images().collect::<Vec<_>>()[..]
            && only.platform().is_none()
        {
            return Ok(only);
        }
        let there: Vec<String> = images()
            .filter_map(|d| Some(describe(d.platform().as_ref()?)))
            .collect();
        Err(Error::new(
            Kind::NotFound,
            format!(
                "no image for platform {self}; there is {}",
                there.join(", ")
            ),
        ))
    }

    /// How well an entry fits: none at all, or more for a newer variant.
    fn fitness(&self, descriptor: &spec::Descriptor) -> Option<u32> {
        let offered = descriptor.platform().as_ref()?;
        let variant = offered.variant().as_deref().unwrap_or_default();
        let (architecture, variant) = normalize(&offered.architecture().to_string(), variant);
        if offered.os().to_string() != self.os || architecture != self.architecture {
            return None;
        }
        let (offered, wanted) = (rank(&variant)?, rank(&self.variant)?);
        (offered <= wanted).then_some(offered)
    }

    /// Whether an image configuration is for this platform, as far as it says.
    pub fn runs(&self, config: &spec::ImageConfiguration) -> bool {
        let (architecture, _) = normalize(&config.architecture().to_string(), "");
        architecture.is_empty() || architecture == self.architecture
    }
}

/// Attestations and signatures stand in indexes as manifests of no platform.
fn is_image(descriptor: &spec::Descriptor) -> bool {
    let kind = media_kind(descriptor.media_type().as_ref());
    matches!(kind, MediaKind::Manifest | MediaKind::Index)
        && annotation(descriptor, "vnd.docker.reference.type").is_none()
}

/// `v7` is 7; the default, empty, is 0.
fn rank(variant: &str) -> Option<u32> {
    match variant {
        "" => Some(0),
        _ => variant.strip_prefix('v')?.parse().ok(),
    }
}

/// Go's names for what others call differently; the variant that is the architecture's default becomes empty.
fn normalize(architecture: &str, variant: &str) -> (String, String) {
    let (name, default) = match architecture {
        "x86_64" | "x86-64" | "amd64" => ("amd64", "v1"),
        "aarch64" | "arm64" => ("arm64", "v8"),
        "i386" | "i686" | "x86" | "386" => ("386", ""),
        "powerpc64" | "ppc64le" => ("ppc64le", ""),
        "loongarch64" | "loong64" => ("loong64", ""),
        "armhf" => ("arm", ""),
        other => (other, ""),
    };
    let variant = match (name, variant) {
        ("arm", "") => "v7",
        (_, "8") => "v8",
        (_, v) => v,
    };
    let variant = if variant == default { "" } else { variant };
    (name.to_owned(), variant.to_owned())
}

fn describe(platform: &spec::Platform) -> String {
    let variant = platform.variant().as_deref().map(|v| format!("/{v}"));
    format!(
        "{}/{}{}",
        platform.os(),
        platform.architecture(),
        variant.unwrap_or_default()
    )
}

impl FromStr for Platform {
    type Err = Error;

    /// `os/architecture[/variant]`, or an architecture alone.
    fn from_str(text: &str) -> Result<Platform> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [architecture] => ("linux", architecture, ""),
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            _ => ("", "", ""),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(Error::new(Kind::Invalid, format!("platform {text:?}"))
                .hint("write os/architecture[/variant], such as linux/arm64"));
        }
        let (architecture, variant) = normalize(architecture, variant);
        if rank(&variant).is_none() {
            return Err(Error::new(
                Kind::Invalid,
                format!("platform {text:?}: variant {variant:?}"),
            ));
        }
        Ok(Platform {
            os: os.to_owned(),
            architecture,
            variant,
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_str() {
            "" => Ok(()),
            variant => write!(f, "/{variant}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::OCI_MANIFEST;
    use crate::digest::Digest;

    fn index(platforms: &[&str]) -> spec::ImageIndex {
        let entries: Vec<serde_json::Value> = platforms
            .iter()
            .map(|text| {
                let mut parts = text.split('/');
                let mut platform =
                    serde_json::json!({"os": parts.next(), "architecture": parts.next()});
                if let Some(variant) = parts.next() {
                    platform["variant"] = variant.into();
                }
                serde_json::json!({"mediaType": OCI_MANIFEST, "size": 1,
                    "digest": Digest::of(text.as_bytes()), "platform": platform})
            })
            .collect();
        serde_json::from_value(serde_json::json!({"schemaVersion": 2, "manifests": entries}))
            .expect("is an index")
    }

    fn chosen(wanted: &str, offered: &[&str]) -> Option<String> {
        let index = index(offered);
        let descriptor = wanted
            .parse::<Platform>()
            .expect("parses")
            .select(&index)
            .ok()?
            .clone();
        let found = offered
            .iter()
            .find(|o| Digest::of(o.as_bytes()).to_string() == descriptor.digest().to_string());
        Some((*found.expect("is offered")).to_owned())
    }

    #[test]
    fn the_newest_variant_that_runs_wins() {
        let offered = [
            "linux/amd64",
            "linux/arm/v5",
            "linux/arm/v7",
            "linux/arm/v6",
            "linux/arm64/v8",
            "windows/amd64",
        ];
        assert_eq!(
            chosen("linux/amd64", &offered).as_deref(),
            Some("linux/amd64")
        );
        assert_eq!(
            chosen("aarch64", &offered).as_deref(),
            Some("linux/arm64/v8")
        );
        assert_eq!(
            chosen("linux/arm", &offered).as_deref(),
            Some("linux/arm/v7")
        );
        assert_eq!(
            chosen("linux/arm/v6", &offered).as_deref(),
            Some("linux/arm/v6")
        );
        assert_eq!(chosen("linux/s390x", &offered), None);
        assert_eq!(chosen("linux/amd64", &["linux/amd64/v3"]), None);
        assert_eq!(
            chosen("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"]).as_deref(),
            Some("linux/amd64/v2")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/arm/seven"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
