//! One request to a registry: TLS or plain, redirects, credentials, what a refusal means, and when to try again.
//!
//! Credentials go to the origin that asked for them and nowhere else: redirects are followed here, not by `ureq`.

use super::auth::Authorizations;
use super::endpoint::{Endpoint, is_inside, is_loopback};
use super::resolver::SystemResolver;
use super::{Options, tls};
use crate::error::{Error, Kind, Result};
use crate::progress::Progress;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER};
use ureq::http::{Response, StatusCode, Uri};
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, DefaultConnector, TcpConnector,
};
use ureq::{Agent, Body};

const MAX_REDIRECTS: usize = 10;
/// A whole document must be here within this time, in multiples of the stall timeout.
const DOCUMENT_PATIENCE: u32 = 4;
/// A server that wants a longer pause is taken for gone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Of a refusal's text so many bytes are read.
const MAX_REFUSAL_BYTES: u64 = 16 << 10;

/// What to get of a repository.
pub(super) struct Request<'r> {
    pub endpoint: &'r Endpoint,
    /// Behind `/v2/REPOSITORY/`.
    pub path: String,
    pub accept: &'r [&'r str],
    /// The first byte wanted.
    pub offset: u64,
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub error: Error,
    /// How long the server wants to be left alone.
    pub wait: Option<Duration>,
    /// What answers is no TLS.
    speaks_no_tls: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            error,
            wait: None,
            speaks_no_tls: false,
        }
    }
}

/// Speaks to registries.
pub(super) struct Client<'a> {
    options: &'a Options,
    progress: &'a dyn Progress,
    agents: Mutex<HashMap<String, Agent>>,
    schemes: Mutex<HashMap<String, &'static str>>,
    authorizations: Authorizations,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a Options, progress: &'a dyn Progress) -> Client<'a> {
        Client {
            options,
            progress,
            agents: Mutex::default(),
            schemes: Mutex::default(),
            authorizations: Authorizations::default(),
        }
    }

    pub(super) fn options(&self) -> &'a Options {
        self.options
    }

    pub(super) fn progress(&self) -> &'a dyn Progress {
        self.progress
    }

    /// A whole small answer and its content type.
    pub(super) fn document(&self, request: &Request, max_bytes: u64) -> Result<(String, Vec<u8>)> {
        self.retry(|| {
            let response = self.get(request)?;
            let content_type = header(&response, CONTENT_TYPE.as_str())
                .unwrap_or_default()
                .to_owned();
            Ok((content_type, self.read_all(response, max_bytes)?))
        })
    }

    /// A bounded body within a bounded time.
    pub(super) fn read_all(&self, response: Response<Body>, max_bytes: u64) -> Result<Vec<u8>> {
        let deadline = Instant::now() + self.options.stall_timeout * DOCUMENT_PATIENCE;
        let mut body = response.into_body().into_reader().take(max_bytes + 1);
        let (mut bytes, mut chunk) = (Vec::new(), [0; 16 << 10]);
        loop {
            match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(error) => return Err(cut(&error)),
            }
            if Instant::now() > deadline {
                return Err(Error::new(Kind::Transient, "the registry stalls"));
            }
        }
        match bytes.len() as u64 > max_bytes {
            true => Err(Error::new(
                Kind::TooLarge,
                format!("the registry sends more than {max_bytes} bytes"),
            )),
            false => Ok(bytes),
        }
    }

    /// Tries until it works, fails for good, or the attempts are used up.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let mut failures = 0;
        loop {
            let failure = match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            failures += 1;
            if failure.error.kind() != Kind::Transient || failures >= self.options.attempts {
                return Err(failure.error);
            }
            self.pause(failures, &failure);
        }
    }

    /// Waits before the next attempt: twice as long each time, or as long as the server says, and never in step with others.
    pub(super) fn pause(&self, failures: u32, failure: &Failure) {
        let doubled = self.options.first_pause * 2u32.saturating_pow((failures - 1).min(6));
        let random = RandomState::new().build_hasher().finish() as u32;
        let pause = failure.wait.unwrap_or(doubled / 2) + doubled / 2 * (random >> 24) / 256;
        self.progress.note(&format!(
            "{}; trying again in {:.1} s",
            failure.error,
            pause.as_secs_f32()
        ));
        std::thread::sleep(pause);
    }

    /// One attempt: an answer of success, or the refusal as an error.
    pub(super) fn get(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let mut problem = None;
        for scheme in self.schemes(request.endpoint) {
            match self.get_by(scheme, request) {
                Err(failure) if failure.speaks_no_tls => problem = Some(failure),
                answer => return answer,
            }
        }
        Err(problem.unwrap_or_else(|| Error::new(Kind::Invalid, "no scheme to speak").into()))
    }

    /// TLS, unless the host is known to have none; plain HTTP besides where nobody can listen or the user doesn't mind.
    fn schemes(&self, endpoint: &Endpoint) -> &'static [&'static str] {
        match held(&self.schemes).get(&endpoint.host) {
            Some(&"http") => return &["http"],
            Some(_) => return &["https"],
            None if endpoint.plain_http => return &["http"],
            None => {}
        }
        match self.options.insecure || is_loopback(&endpoint.host) {
            true => &["https", "http"],
            false => &["https"],
        }
    }

    fn get_by(&self, scheme: &'static str, request: &Request) -> Result<Response<Body>, Failure> {
        let endpoint = request.endpoint;
        let url = format!(
            "{scheme}://{}/v2/{}/{}",
            endpoint.host, endpoint.repository, request.path
        );
        let url = parse(&url)?;
        let known = self.authorizations.known(endpoint);
        let mut response = self.follow(&url, request, known.as_deref())?;
        held(&self.schemes).insert(endpoint.host.clone(), scheme);
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenges = response.headers().get_all("www-authenticate");
            let challenges: Vec<String> = challenges
                .iter()
                .filter_map(|v| v.to_str().ok().map(str::to_owned))
                .collect();
            if let Some(header) =
                self.authorizations
                    .answer(self, endpoint, &challenges, scheme == "http")?
            {
                response = self.follow(&url, request, Some(&header))?;
            }
        }
        self.accept(&url, response)
    }

    /// Sends, and follows redirects as far as they are decent.
    fn follow(
        &self,
        url: &Uri,
        request: &Request,
        authorization: Option<&str>,
    ) -> Result<Response<Body>, Failure> {
        let mut current = url.clone();
        let mut at_home = true;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&current, request, authorization.filter(|_| at_home))?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let Some(location) = header(&response, LOCATION.as_str()) else {
                return Err(refused(&current, "redirects to nowhere").into());
            };
            let next = join(&current, location)?;
            self.may_redirect(&current, &next)?;
            // Once away, never trusted again: the way back could be a stranger's choice.
            at_home &= origin(&next) == origin(url);
            current = next;
        }
        Err(refused(url, "redirects too often").into())
    }

    fn may_redirect(&self, from: &Uri, to: &Uri) -> Result<()> {
        let host = |uri: &Uri| {
            uri.authority()
                .map(|a| a.as_str().to_owned())
                .unwrap_or_default()
        };
        if from.scheme_str() == Some("https")
            && to.scheme_str() != Some("https")
            && !self.options.insecure
        {
            return Err(refused(
                from,
                &format!("redirects to plain HTTP: {}", shown(to)),
            ));
        }
        if is_inside(&host(to)) && !is_inside(&host(from)) {
            return Err(refused(
                from,
                &format!("redirects to this machine: {}", shown(to)),
            ));
        }
        Ok(())
    }

    fn send(
        &self,
        url: &Uri,
        request: &Request,
        authorization: Option<&str>,
    ) -> Result<Response<Body>, Failure> {
        let mut builder = self.agent(url)?.get(url);
        for media_type in request.accept {
            builder = builder.header(ACCEPT, *media_type);
        }
        if request.offset > 0 {
            builder = builder.header(RANGE, format!("bytes={}-", request.offset));
        }
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        builder.call().map_err(|error| Failure {
            speaks_no_tls: matches!(tls_problem(&error), Some(rustls::Error::InvalidMessage(_))),
            ..failed(url, error).into()
        })
    }

    /// The connections to a host.
    pub(super) fn agent(&self, url: &Uri) -> Result<Agent> {
        let key = origin(url);
        let mut agents = held(&self.agents);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = self.new_agent(url)?;
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn new_agent(&self, url: &Uri) -> Result<Agent> {
        let options = self.options;
        let stall = Some(options.stall_timeout);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            .timeout_recv_response(stall)
            .input_buffer_size(256 << 10)
            .accept_encoding("identity")
            .user_agent(concat!("crun-lite/", env!("CARGO_PKG_VERSION")));
        let host = url.authority().map_or("", |authority| authority.as_str());
        // No proxy knows the way to this machine's own registry.
        if is_loopback(host) {
            config = config.proxy(None);
        }
        // Reading the bundle of certificates takes longer than a request on loopback.
        let resolver = SystemResolver::default();
        if url.scheme_str() != Some("https") {
            return Ok(Agent::with_parts(
                config.build(),
                DefaultConnector::default(),
                resolver,
            ));
        }
        let tls = tls::host_tls(host, &options.certificate_dirs, options.insecure)?;
        let config = config.tls_config(tls.config).build();
        Ok(match tls.pinning {
            None => Agent::with_parts(config, DefaultConnector::default(), resolver),
            Some(pinning) => {
                let plain =
                    ().chain(ConnectProxyConnector::default())
                        .chain(TcpConnector::default());
                Agent::with_parts(config, plain.chain(pinning), resolver)
            }
        })
    }

    /// Makes an error of every answer that isn't success.
    pub(super) fn accept(
        &self,
        url: &Uri,
        response: Response<Body>,
    ) -> Result<Response<Body>, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = header(&response, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
        let wait = wait
            .map(Duration::from_secs)
            .filter(|wait| *wait <= MAX_RETRY_AFTER);
        let said = self.refusal(response);
        let kind = match status.as_u16() {
            401 | 403 => Kind::Denied,
            404 => Kind::NotFound,
            408 | 425 | 429 | 500..=599 => Kind::Transient,
            _ => Kind::Remote,
        };
        let reason = status.canonical_reason().unwrap_or_default();
        let mut error = Error::new(
            kind,
            format!("{}: {} {reason}{said}", shown(url), status.as_u16()),
        );
        if kind == Kind::Denied {
            error = error.hint("the image may not exist, or needs a login: give --creds USER:PASSWORD, or an --authfile");
        }
        Err(Failure {
            wait,
            ..error.into()
        })
    }

    /// What the registry says besides the status, fit for a terminal.
    fn refusal(&self, response: Response<Body>) -> String {
        let mut bytes = Vec::new();
        let body = response.into_body().into_reader();
        let _ = body.take(MAX_REFUSAL_BYTES).read_to_end(&mut bytes);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let first = &json["errors"][0];
        let said = first["message"]
            .as_str()
            .or(first["code"].as_str())
            .or(json["details"].as_str());
        let clean =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
        said.map(|text| format!(" ({})", clean(text)))
            .unwrap_or_default()
    }
}

pub(super) fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

pub(super) fn parse(url: &str) -> Result<Uri> {
    url.parse()
        .map_err(|error| Error::new(Kind::Invalid, format!("address {url:?}: {error}")))
}

/// Scheme, host and port.
pub(super) fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    format!("{scheme}://{host}:{port}")
}

/// For people: without the query, which may hold a signature.
pub(super) fn shown(uri: &Uri) -> String {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!(
        "{}://{host}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.path()
    )
}

/// RFC 3986, as far as `Location` needs it.
fn join(base: &Uri, location: &str) -> Result<Uri> {
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let next = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        return Err(refused(base, "redirects to another protocol"));
    } else {
        let (dir, _) = base.path().rsplit_once('/').unwrap_or_default();
        format!("{scheme}://{authority}{dir}/{location}")
    };
    let next = next.split('#').next().unwrap_or_default();
    let uri = parse(next)?;
    match uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        true => Err(refused(base, "redirects to an address with a password")),
        false => Ok(uri),
    }
}

fn refused(url: &Uri, why: &str) -> Error {
    Error::new(Kind::Remote, format!("{}: {why}", shown(url)))
}

/// What a failed exchange means.
pub(super) fn failed(url: &Uri, error: ureq::Error) -> Error {
    let url = shown(url);
    let transient = |why: &dyn fmt::Display| Error::new(Kind::Transient, format!("{url}: {why}"));
    if let Some(problem) = tls_problem(&error) {
        return untrusted(&url, problem);
    }
    match &error {
        ureq::Error::Timeout(_) => transient(&"no answer in time"),
        ureq::Error::HostNotFound => Error::new(Kind::Remote, format!("{url}: no such host")),
        ureq::Error::Io(inner) => transient(&plain(inner)),
        ureq::Error::Protocol(_) => {
            Error::new(Kind::Transient, format!("{url}: malformed HTTP: {error}"))
        }
        _ => Error::new(Kind::Remote, format!("{url}: {error}")),
    }
}

fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => Error::io("connection", io::Error::from(error.kind())).to_string(),
        None => error.to_string(),
    }
}

/// A body that broke off.
pub(super) fn cut(error: &io::Error) -> Error {
    Error::new(Kind::Transient, format!("the connection broke: {error}"))
}

fn tls_problem(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(problem) => Some(problem),
        ureq::Error::Io(inner) => inner.get_ref()?.downcast_ref(),
        _ => None,
    }
}

fn untrusted(url: &str, problem: &rustls::Error) -> Error {
    match problem {
        rustls::Error::InvalidMessage(_) => Error::new(Kind::Remote, format!("{url}: speaks no TLS"))
            .hint("--tls-verify=false allows plain HTTP"),
        rustls::Error::InvalidCertificate(_) => Error::new(Kind::Remote, format!("{url}: {problem}"))
            .hint("put its authority into /etc/containers/certs.d/HOST:PORT/ca.crt, or give --tls-verify=false"),
        _ => Error::new(Kind::Remote, format!("{url}: TLS: {problem}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_joined() {
        let base: Uri = "https://r.io:5000/v2/a/blobs/x".parse().expect("parses");
        let to = |location: &str| join(&base, location).map(|uri| uri.to_string());
        assert_eq!(to("/y?s=1#f").expect("joins"), "https://r.io:5000/y?s=1");
        assert_eq!(to("z").expect("joins"), "https://r.io:5000/v2/a/blobs/z");
        assert_eq!(to("//cdn.io/y").expect("joins"), "https://cdn.io/y");
        assert_eq!(to("http://cdn.io/y").expect("joins"), "http://cdn.io/y");
        for bad in [
            "file:///etc/passwd",
            "javascript:x",
            "https://user:pw@cdn.io/",
            "http://a b/",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_have_their_port() {
        let origin = |text: &str| super::origin(&text.parse().expect("parses"));
        assert_eq!(origin("https://R.io/a"), origin("https://r.io:443/b"));
        assert_ne!(origin("https://r.io/"), origin("http://r.io/"));
        assert_ne!(origin("https://r.io/"), origin("https://r.io:5000/"));
    }

    #[test]
    fn shown_addresses_have_no_secrets() {
        let uri: Uri = "https://me:pw@cdn.io/blob?Signature=s3cr3t"
            .parse()
            .expect("parses");
        assert_eq!(shown(&uri), "https://cdn.io/blob");
    }
}
