//! Credentials from Docker's and Podman's files, and from helper programs where the caller can run them.
//!
//! Secrets never appear in `Debug` output or errors.

use crate::error::{Context, Error, Kind, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A larger credential file is refused, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Name and password.
    Basic {
        /// The user.
        user: String,
        /// The password or access token.
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credential::Basic { user, .. } => write!(f, "Basic({user}, …)"),
            Credential::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

impl Credential {
    /// Reads `USER:PASSWORD`.
    pub fn parse(text: &str) -> Result<Credential> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Credential::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(Error::new(Kind::Invalid, "credentials: no USER:PASSWORD")),
        }
    }
}

/// What a credential helper says of a registry: a user (`<token>` for identity tokens) and a secret, if it has one.
pub type HelperAnswer = Result<Option<(String, String)>>;

/// Where to look for credentials.
#[derive(Clone, Default)]
pub struct Credentials {
    /// What the user gave for this one command; files are not read then.
    pub given: Option<Credential>,
    /// Files in order of preference; those that don't exist are skipped.
    pub files: Vec<PathBuf>,
    /// Runs `docker-credential-NAME get` for a server; this crate starts no processes itself.
    pub helper: Option<fn(name: &str, server: &str) -> HelperAnswer>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, {:?})", self.given, self.files)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// The files that Podman and Docker read, by the variables of the environment and the user id.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>, uid: u32) -> Credentials {
        let path = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME");
        let mut files: Vec<PathBuf> = path("REGISTRY_AUTH_FILE").into_iter().collect();
        let runtime = match uid {
            0 => PathBuf::from("/run/containers/0"),
            _ => path("XDG_RUNTIME_DIR")
                .unwrap_or_else(|| format!("/run/user/{uid}").into())
                .join("containers"),
        };
        files.push(runtime.join("auth.json"));
        let config =
            path("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
        files.extend(config.map(|dir| dir.join("containers/auth.json")));
        let docker =
            path("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        files.extend(docker.map(|dir| dir.join("config.json")));
        Credentials {
            given: None,
            files,
            helper: None,
        }
    }

    /// The credential for a repository of a registry, the most specific of the first file that has one.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>> {
        if self.given.is_some() {
            return Ok(self.given.clone());
        }
        for path in &self.files {
            let Some(file) = read(path)? else {
                continue;
            };
            let found = self.in_file(&file, registry, repository);
            if let Some(credential) = found.context(path.display())? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    fn in_file(&self, file: &File, registry: &str, repository: &str) -> Result<Option<Credential>> {
        if let Some(name) = file.cred_helpers.get(registry) {
            return self.ask(name, registry);
        }
        for key in keys(registry, repository) {
            let entry = file.auths.iter().find(|(name, _)| normalized(name) == key);
            if let Some(credential) = entry
                .map(|(_, entry)| entry.credential())
                .transpose()?
                .flatten()
            {
                return Ok(Some(credential));
            }
        }
        match &file.creds_store {
            Some(name) => self.ask(name, registry),
            None => Ok(None),
        }
    }

    fn ask(&self, name: &str, registry: &str) -> Result<Option<Credential>> {
        let Some(helper) = self.helper else {
            return Ok(None);
        };
        let server = match registry {
            "docker.io" => "https://index.docker.io/v1/",
            other => other,
        };
        let answer = helper(name, server).context(format_args!("docker-credential-{name} get"))?;
        Ok(answer.map(|(user, secret)| match user.as_str() {
            "<token>" => Credential::IdentityToken(secret),
            _ => Credential::Basic {
                user,
                password: secret,
            },
        }))
    }
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>> {
        if let Some(token) = self.identitytoken.as_ref().filter(|t| !t.is_empty()) {
            return Ok(Some(Credential::IdentityToken(token.clone())));
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Credential::Basic {
                user: user.clone(),
                password: password.clone(),
            }));
        }
        let Some(auth) = self.auth.as_deref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let malformed = || Error::new(Kind::Invalid, "auth is no base64 of USER:PASSWORD");
        let plain = decode_base64(auth.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
        // Docker pads the password with NUL bytes on some systems.
        let plain = plain.ok_or_else(malformed)?;
        Credential::parse(plain.trim_end_matches('\0'))
            .map(Some)
            .map_err(|_| malformed())
    }
}

fn read(path: &Path) -> Result<Option<File>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE_BYTES => {
            return Err(Error::new(
                Kind::TooLarge,
                format!("{}: larger than {MAX_FILE_BYTES} bytes", path.display()),
            ));
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        // Another user's run-time directory is none of ours.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        _ => {}
    }
    let text = fs::read(path).context(format_args!("read {}", path.display()))?;
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        // The parser's message could quote a secret: only its place is told.
        let at = format!("line {} column {}", error.line(), error.column());
        Error::new(
            Kind::Invalid,
            format!("{}: malformed JSON at {at}", path.display()),
        )
    })
}

/// From `registry/a/b` down to `registry`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut key = format!("{registry}/{repository}");
    let mut keys = Vec::new();
    loop {
        keys.push(key.clone());
        match key.rfind('/') {
            Some(at) => key.truncate(at),
            None => return keys,
        }
    }
}

/// A key of `auths` without scheme and API version; Docker Hub under its one name.
fn normalized(key: &str) -> String {
    let bare = key
        .split_once("://")
        .map_or(key, |(_, rest)| rest)
        .trim_end_matches('/');
    let bare = bare.trim_end_matches("/v1").trim_end_matches("/v2");
    match bare {
        "index.docker.io" | "registry-1.docker.io" | "docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, as `Authorization: Basic` needs it.
pub(super) fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = BASE64[(word >> (18 - 6 * place)) as usize & 63] as char;
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut word, mut bits, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic {
            user: user.into(),
            password: password.into(),
        })
    }

    fn credentials(text: &str) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("config.json");
        fs::write(&path, text).expect("writes");
        let files = vec![dir.path().join("absent.json"), path];
        (
            dir,
            Credentials {
                files,
                ..Credentials::default()
            },
        )
    }

    #[test]
    fn base64_both_ways() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pä", "dXNlcjpww6Q="),
        ] {
            assert_eq!(encode_base64(plain.as_bytes()), text);
            assert_eq!(decode_base64(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(decode_base64("!"), None);
    }

    #[test]
    fn dockers_file() {
        let (_dir, credentials) = credentials(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"quay.io":{"username":"a","password":"b"},
                "az.io":{"auth":"","identitytoken":"tok"},"empty.io":{}},"HttpHeaders":{}}"#,
        );
        let find = |registry: &str| credentials.find(registry, "a/b").expect("reads");
        assert_eq!(find("docker.io"), basic("u", "p"));
        assert_eq!(find("quay.io"), basic("a", "b"));
        assert_eq!(find("az.io"), Some(Credential::IdentityToken("tok".into())));
        assert_eq!(find("empty.io"), None);
        assert_eq!(find("quay.io.evil"), None);
    }

    #[test]
    fn podmans_file_prefers_the_longest_key() {
        let (_dir, credentials) = credentials(
            r#"{"auths":{"r.io":{"auth":"dTpw"},"r.io/team":{"auth":"dGVhbTpw"},"r.io/team/app":{"auth":"YXBwOnA="}}}"#,
        );
        let find = |repository: &str| credentials.find("r.io", repository).expect("reads");
        assert_eq!(find("other/x"), basic("u", "p"));
        assert_eq!(find("team/x"), basic("team", "p"));
        assert_eq!(find("team/app"), basic("app", "p"));
    }

    #[test]
    fn helpers_are_asked_where_the_caller_can() {
        fn helper(name: &str, server: &str) -> HelperAnswer {
            Ok(Some((name.into(), server.into())))
        }
        let (_dir, mut credentials) =
            credentials(r#"{"credHelpers":{"gcr.io":"gcloud"},"credsStore":"secret"}"#);
        assert_eq!(credentials.find("gcr.io", "a").expect("reads"), None);
        credentials.helper = Some(helper);
        assert_eq!(
            credentials.find("gcr.io", "a").expect("reads"),
            basic("gcloud", "gcr.io")
        );
        assert_eq!(
            credentials.find("docker.io", "a").expect("reads"),
            basic("secret", "https://index.docker.io/v1/")
        );
    }

    #[test]
    fn errors_and_debug_hide_secrets() {
        let (_dir, credentials) = credentials(r#"{"auths":{"r.io":{"auth":"c2VjcmV0"}}}"#);
        let error = credentials
            .find("r.io", "a")
            .expect_err("no colon")
            .to_string();
        assert!(
            !error.contains("c2VjcmV0") && !error.contains("secret"),
            "{error}"
        );
        let shown = format!("{:?}", Credential::parse("me:hunter2").expect("parses"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_usual_places() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/me".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            _ => None,
        };
        let files = Credentials::from_environment(variable, 7).files;
        let files: Vec<_> = files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(
            files,
            [
                "/run/user/7/containers/auth.json",
                "/home/me/.config/containers/auth.json",
                "/home/me/.docker/config.json"
            ]
        );
    }
}
