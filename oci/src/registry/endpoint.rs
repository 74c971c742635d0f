//! Which hosts to ask for an image, and under which scheme.

use super::RegistriesConf;
use crate::error::{Error, Kind, Result};
use crate::reference::Reference;
use std::net::IpAddr;
use std::str::FromStr;

/// Where Docker Hub's API is.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// A registry that has the images of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry whose images it has, such as `docker.io`, or a part of it, `docker.io/library`.
    pub of: String,
    /// `HOST[:PORT][/PREFIX]`.
    pub location: String,
    /// It only speaks plain HTTP.
    pub plain_http: bool,
}

impl Mirror {
    /// The repository there; nothing when this mirror has other images. `whole` is `REGISTRY/PATH`.
    fn endpoint(&self, whole: &str) -> Option<Endpoint> {
        let rest = match self.of.starts_with("*.") {
            true => whole.split_once('/').map(|(_, path)| path),
            false => whole.strip_prefix(&self.of).and_then(|rest| match rest {
                "" => Some(""),
                rest => rest.strip_prefix('/'),
            }),
        }?;
        let (host, prefix) = self
            .location
            .split_once('/')
            .unwrap_or((&self.location, ""));
        let slash = if prefix.is_empty() || rest.is_empty() {
            ""
        } else {
            "/"
        };
        Some(Endpoint {
            host: host.to_owned(),
            repository: format!("{prefix}{slash}{rest}"),
            account: host.to_owned(),
            plain_http: self.plain_http,
        })
    }
}

impl FromStr for Mirror {
    type Err = Error;

    /// `REGISTRY=[http://|https://]HOST[:PORT][/PREFIX]`, or the latter alone for Docker Hub.
    fn from_str(text: &str) -> Result<Mirror> {
        let (of, url) = text.split_once('=').unwrap_or(("docker.io", text));
        let (plain_http, location) = match url.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            None => (false, url),
            Some(_) => (false, ""),
        };
        let location = location.trim_end_matches('/');
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:-_/[]".contains(c);
        if of.is_empty() || location.is_empty() || !location.chars().all(fits) {
            return Err(Error::new(Kind::Invalid, format!("mirror {text:?}"))
                .hint("write REGISTRY=https://HOST[:PORT][/PREFIX]"));
        }
        Ok(Mirror {
            of: of.to_owned(),
            location: location.to_owned(),
            plain_http,
        })
    }
}

/// One repository on one host.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// `HOST[:PORT]`: also what certificates are looked up by.
    pub host: String,
    /// The repository there.
    pub repository: String,
    /// The registry by whose name credentials are kept.
    pub account: String,
    /// Only plain HTTP is spoken there.
    pub plain_http: bool,
}

/// The mirrors in their order, then the registry itself.
pub(super) fn endpoints(
    reference: &Reference,
    mirrors: &[Mirror],
    conf: &RegistriesConf,
) -> Result<Vec<Endpoint>> {
    let registry = reference.registry();
    let whole = format!("{registry}/{}", reference.repository());
    let configured = conf.places(&whole)?;
    let mirrored = mirrors
        .iter()
        .chain(&configured)
        .filter_map(|mirror| mirror.endpoint(&whole));
    let itself = Endpoint {
        host: match registry {
            "docker.io" => DOCKER_HUB_API.to_owned(),
            other => other.to_owned(),
        },
        repository: reference.repository().to_owned(),
        account: registry.to_owned(),
        plain_http: false,
    };
    Ok(mirrored.chain([itself]).collect())
}

/// Whether a `HOST[:PORT]` is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    bare_host(host).eq_ignore_ascii_case("localhost")
        || address(host).is_some_and(|address| address.is_loopback())
}

/// Whether a `HOST[:PORT]` only makes sense on this machine or link: nowhere to be sent by a stranger.
pub(super) fn is_inside(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_link_local() || address.is_unspecified()
        }
        Some(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified()
        }
        // RFC 6761: every name below `localhost` is this machine too.
        None => {
            let name = bare_host(host).to_ascii_lowercase();
            let name = name.strip_suffix('.').unwrap_or(&name);
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// The address that a `HOST[:PORT]` is; an IPv4 address in IPv6's notation (`::ffff:127.0.0.1`) is that IPv4 address.
fn address(host: &str) -> Option<IpAddr> {
    let address: IpAddr = bare_host(host).parse().ok()?;
    Some(address.to_canonical())
}

/// Without port and brackets.
pub(super) fn bare_host(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::parse;

    #[test]
    fn mirrors_come_first_and_only_for_their_registry() {
        let mirrors = ["https://cache.example/hub", "quay.io=http://127.0.0.1:5000"];
        let mirrors: Vec<Mirror> = mirrors.iter().map(|m| m.parse().expect("parses")).collect();
        let hosts = |name: &str| -> Vec<String> {
            let conf = RegistriesConf::default();
            endpoints(&parse(name).expect("parses"), &mirrors, &conf)
                .expect("none is blocked")
                .iter()
                .map(|e| format!("{}/{}", e.host, e.repository))
                .collect()
        };
        assert_eq!(
            hosts("busybox"),
            [
                "cache.example/hub/library/busybox",
                "registry-1.docker.io/library/busybox"
            ]
        );
        assert_eq!(hosts("quay.io/a/b"), ["127.0.0.1:5000/a/b", "quay.io/a/b"]);
        assert!("ftp://x".parse::<Mirror>().is_err());
        assert!("a b".parse::<Mirror>().is_err());
    }

    #[test]
    fn hosts_of_this_machine() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "[::ffff:127.0.0.1]:5000",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com:5000",
            "128.0.0.1",
            "[::2]:1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn hosts_that_no_stranger_may_send_to() {
        for host in [
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[::ffff:7f00:1]",
            "[fe80::1]",
            "0.0.0.0:80",
            "[::]",
            "Localhost.",
            "registry.localhost:5000",
        ] {
            assert!(is_inside(host), "{host}");
        }
        for host in ["example.com", "notlocalhost", "[2001:db8::1]", "192.0.2.1"] {
            assert!(!is_inside(host), "{host}");
        }
    }
}
