//! Answers to `WWW-Authenticate`: basic credentials or a bearer token.
//!
//! A registry only ever gets its own credentials, and a token server those of the registry that named it: over TLS,
//! unless the registry itself is spoken to in the clear.

use super::credentials::{Credential, encode_base64};
use super::endpoint::{Endpoint, is_inside};
use super::http::{self, Client, Failure, shown};
use crate::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use ureq::Body;
use ureq::http::header::AUTHORIZATION;
use ureq::http::{Response, Uri};

/// A longer token answer is refused, in bytes.
const MAX_TOKEN_BYTES: u64 = 1 << 20;

/// The headers that worked, by host and repository.
#[derive(Default)]
pub(super) struct Authorizations(Mutex<HashMap<(String, String), String>>);

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: HashMap<String, String>,
}

impl Authorizations {
    pub(super) fn known(&self, endpoint: &Endpoint) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key(endpoint)).cloned()
    }

    /// The header that answers the challenges, or none when there is nothing to answer with.
    pub(super) fn answer(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        challenges: &[String],
        in_the_clear: bool,
    ) -> Result<Option<String>, Failure> {
        let challenges: Vec<Challenge> = challenges.iter().flat_map(|text| parse(text)).collect();
        let by_scheme = |scheme: &str| {
            challenges
                .iter()
                .find(|c| c.scheme.eq_ignore_ascii_case(scheme))
        };
        let credential = client
            .options()
            .credentials
            .find(&endpoint.account, &endpoint.repository)?;
        let header = if let Some(challenge) = by_scheme("bearer") {
            let token = fetch(
                client,
                endpoint,
                challenge,
                credential.as_ref(),
                in_the_clear,
            )?;
            Some(format!("Bearer {token}"))
        } else {
            by_scheme("basic").and(credential.as_ref().and_then(basic))
        };
        if let Some(header) = &header {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(key(endpoint), header.clone());
        }
        Ok(header)
    }
}

fn key(endpoint: &Endpoint) -> (String, String) {
    (endpoint.host.clone(), endpoint.repository.clone())
}

fn basic(credential: &Credential) -> Option<String> {
    match credential {
        Credential::Basic { user, password } => Some(format!(
            "Basic {}",
            encode_base64(format!("{user}:{password}").as_bytes())
        )),
        Credential::IdentityToken(_) => None,
    }
}

/// Gets a token for pulling from the server that the challenge names.
fn fetch(
    client: &Client,
    endpoint: &Endpoint,
    challenge: &Challenge,
    credential: Option<&Credential>,
    in_the_clear: bool,
) -> Result<String, Failure> {
    let parameter = |name: &str| challenge.parameters.get(name).map_or("", String::as_str);
    let realm = http::parse(parameter("realm"))?;
    check_realm(&realm, endpoint, credential.is_some(), in_the_clear)?;
    let asked = format!("repository:{}:pull", endpoint.repository);
    let scope = match parameter("scope") {
        "" => asked.as_str(),
        scope => scope,
    };
    let agent = client.agent(&realm)?;
    let sent = match credential {
        Some(Credential::IdentityToken(token)) => agent.post(&realm).send_form([
            ("grant_type", "refresh_token"),
            ("service", parameter("service")),
            ("scope", scope),
            ("client_id", "crun-lite"),
            ("refresh_token", token.as_str()),
        ]),
        _ => {
            let mut request = agent.get(&realm).query("service", parameter("service"));
            for scope in scope.split(' ') {
                request = request.query("scope", scope);
            }
            if let Some(header) = credential.and_then(basic) {
                request = request.header(AUTHORIZATION, header);
            }
            request.call()
        }
    };
    let response = sent.map_err(|error| http::failed(&realm, error))?;
    read(client, &realm, response)
}

/// Whether the token server may be asked, and be given the registry's credentials if there are any.
fn check_realm(
    realm: &Uri,
    endpoint: &Endpoint,
    with_secret: bool,
    in_the_clear: bool,
) -> Result<()> {
    let host = realm.authority().map_or("", |authority| authority.as_str());
    let refuse = |why: &str| {
        let what = format!(
            "{}: the registry's token server {} {why}",
            endpoint.host,
            shown(realm)
        );
        Err(Error::new(Kind::Denied, what))
    };
    match realm.scheme_str() {
        Some("https") => {}
        Some("http") if in_the_clear || !with_secret => {}
        Some("http") => return refuse("would get the credentials in the clear"),
        _ => return refuse("is no web address"),
    }
    if host.contains('@') {
        return refuse("has a password in its address");
    }
    match is_inside(host) && !is_inside(&endpoint.host) {
        true => refuse("is this machine"),
        false => Ok(()),
    }
}

fn read(client: &Client, realm: &Uri, response: Response<Body>) -> Result<String, Failure> {
    if response.status().is_redirection() {
        let what = format!("{}: the token server redirects", shown(realm));
        return Err(Error::new(Kind::Remote, what).into());
    }
    let response = client.accept(realm, response)?;
    let bytes = client.read_all(response, MAX_TOKEN_BYTES)?;
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = answer["token"]
        .as_str()
        .or(answer["access_token"].as_str())
        .unwrap_or_default();
    // What isn't printable could forge headers.
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::new(
            Kind::Remote,
            format!("{}: the answer holds no token", shown(realm)),
        )
        .into());
    }
    Ok(token.to_owned())
}

/// RFC 7235: `Scheme key="value", key=value, Scheme …`. What is malformed is left out.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for part in split_outside_quotes(text) {
        let part = part.trim();
        let (before, value) = part
            .split_once('=')
            .map_or((part, None), |(k, v)| (k.trim(), Some(v.trim())));
        let name = match before.rsplit_once(' ') {
            Some((scheme, name)) => {
                challenges.push(Challenge {
                    scheme: scheme.trim().to_owned(),
                    parameters: HashMap::new(),
                });
                name
            }
            None => before,
        };
        match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let value = value.trim_matches('"').replace("\\\"", "\"");
                challenge
                    .parameters
                    .insert(name.to_ascii_lowercase(), value);
            }
            (None, _) if !name.is_empty() => challenges.push(Challenge {
                scheme: name.to_owned(),
                parameters: HashMap::new(),
            }),
            _ => {}
        }
    }
    challenges
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut start, mut parts) = (false, false, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters = parameters
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Challenge {
            scheme: scheme.to_owned(),
            parameters: parameters.collect(),
        }
    }

    #[test]
    fn challenges() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.r.io/token",service="r.io",scope="repository:a/b:pull,push""#
            ),
            [challenge(
                "Bearer",
                &[
                    ("realm", "https://auth.r.io/token"),
                    ("service", "r.io"),
                    ("scope", "repository:a/b:pull,push")
                ]
            )]
        );
        assert_eq!(
            parse(r#"Basic realm="x", Bearer realm=y"#),
            [
                challenge("Basic", &[("realm", "x")]),
                challenge("Bearer", &[("realm", "y")])
            ]
        );
        assert_eq!(parse("Negotiate"), [challenge("Negotiate", &[])]);
        for odd in ["", ",", "=", "\"", "a=\"b", "Bearer realm=\"\\"] {
            parse(odd);
        }
    }

    #[test]
    fn a_token_server_must_be_worth_the_secret() {
        let endpoint = |host: &str| Endpoint {
            host: host.into(),
            repository: "a".into(),
            account: host.into(),
            plain_http: false,
        };
        let check = |realm: &str, host: &str, secret, clear| {
            check_realm(
                &realm.parse().expect("parses"),
                &endpoint(host),
                secret,
                clear,
            )
            .is_ok()
        };
        assert!(check("https://auth.r.io/t", "r.io", true, false));
        assert!(!check("http://auth.r.io/t", "r.io", true, false));
        assert!(check("http://auth.r.io/t", "r.io", false, false));
        assert!(check("http://127.0.0.1:1/t", "localhost:5000", true, true));
        assert!(!check("https://127.0.0.1/t", "r.io", false, false));
        assert!(!check("https://169.254.169.254/t", "r.io", false, false));
        // A user before the host hides nothing.
        assert!(!check("https://x@127.0.0.1/t", "r.io", false, false));
        assert!(!check("https://x:y@auth.r.io/t", "r.io", false, false));
    }
}
