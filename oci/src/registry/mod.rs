//! Pulling from a registry: the distribution protocol over HTTP.
//!
//! [`Registry`] is one repository as a [`Source`] of blobs. [`http`] sends one request (redirects, TLS, retries),
//! [`auth`] answers challenges, [`body`] reads a blob to its end whatever the network does.
//! Nothing is initialised and no thread runs unless a registry is used.

mod auth;
mod body;
mod conf;
mod credentials;
mod dns;
mod endpoint;
mod http;
mod pin;
mod resolver;
mod tls;

pub use conf::RegistriesConf;
pub use credentials::{Credential, Credentials, HelperAnswer};
pub use endpoint::Mirror;

use crate::descriptor::{
    Blob, DOCKER_INDEX, DOCKER_MANIFEST, MediaKind, OCI_INDEX, OCI_MANIFEST, media_kind,
};
use crate::error::{Context, Error, Kind, Result};
use crate::manifest::{Document, MAX_MANIFEST_BYTES};
use crate::progress::{Progress, Role};
use crate::reference::{self, Reference};
use crate::spec;
use crate::store::Store;
use crate::transfer::{self, LayerSink, Root, Source, Stored};
use crate::verify;
use body::ResumingBody;
use endpoint::Endpoint;
use http::{Client, Request};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How registries are spoken to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who we are there.
    pub credentials: Credentials,
    /// Other places to look first.
    pub mirrors: Vec<Mirror>,
    /// What `registries.conf` says; asked behind `mirrors`.
    pub conf: RegistriesConf,
    /// Plain HTTP and unverified certificates are good enough, for every host (`--tls-verify=false`).
    pub insecure: bool,
    /// Directories with a directory `HOST[:PORT]` of certificates each.
    pub certificate_dirs: Vec<PathBuf>,
    /// A read that brings nothing for so long is a failure.
    pub stall_timeout: Duration,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Attempts at one request, or at one stretch of a blob without any progress.
    pub attempts: u32,
    /// The pause after the first failure; it doubles each time.
    pub first_pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            credentials: Credentials::default(),
            mirrors: Vec::new(),
            conf: RegistriesConf::default(),
            insecure: false,
            certificate_dirs: ["/etc/containers/certs.d", "/etc/docker/certs.d"]
                .map(PathBuf::from)
                .to_vec(),
            stall_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            attempts: 5,
            first_pause: Duration::from_millis(250),
        }
    }
}

/// One image of a registry, ready to be read.
pub struct Registry<'a> {
    reference: Reference,
    client: Client<'a>,
    /// An error where no host may be asked.
    endpoints: Result<Vec<Endpoint>>,
    /// Which endpoint had the image.
    chosen: AtomicUsize,
}

/// Pulls an image into the store, under the name that the reference has there.
pub fn pull(
    store: &Store,
    reference: &Reference,
    options: &Options,
    how: &transfer::Options,
    sink: &dyn LayerSink,
    progress: &dyn Progress,
) -> Result<Stored> {
    let registry = Registry::new(reference, options, progress);
    let name = reference::store_name(reference);
    transfer::transfer(store, &registry, &name, how, sink, progress)
        .context(format_args!("pull {reference}"))
}

const DOCUMENTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST];

impl<'a> Registry<'a> {
    /// Nothing is sent yet.
    pub fn new(
        reference: &Reference,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Registry<'a> {
        Registry {
            endpoints: endpoint::endpoints(reference, &options.mirrors, &options.conf),
            reference: reference.clone(),
            client: Client::new(options, progress),
            chosen: AtomicUsize::new(0),
        }
    }

    /// Asks every endpoint in turn, beginning with the one that had the image.
    fn on_endpoints<T>(&self, mut ask: impl FnMut(&Endpoint) -> Result<T>) -> Result<T> {
        let endpoints = self.endpoints.as_ref().map_err(Error::clone)?;
        let first = self.chosen.load(Ordering::Relaxed);
        let count = endpoints.len();
        let mut last = None;
        for index in (first..count).chain(0..first) {
            let endpoint = &endpoints[index];
            match ask(endpoint) {
                Ok(answer) => {
                    self.chosen.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    if count > 1 {
                        self.client
                            .progress()
                            .note(&format!("{}: {error}", endpoint.host));
                    }
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Invalid, "no registry to ask")))
    }

    fn document(&self, name: &str) -> Result<(String, Vec<u8>)> {
        self.on_endpoints(|endpoint| {
            let request = Request {
                endpoint,
                path: format!("manifests/{name}"),
                accept: &DOCUMENTS,
                offset: 0,
            };
            self.client.document(&request, MAX_MANIFEST_BYTES)
        })
    }
}

impl Source for Registry<'_> {
    fn root(&self) -> Result<Root> {
        let wanted = self.reference.digest();
        let name = wanted.or(self.reference.tag()).unwrap_or("latest");
        let (content_type, bytes) = self.document(name)?;
        let blob = Blob::of_bytes(&bytes);
        if let Some(digest) = wanted {
            verify::manifest(&bytes, digest.parse()?, bytes.len() as u64)?;
        }
        let media_type = announced(&content_type, &bytes)?;
        let mut descriptor = blob.descriptor(&media_type)?;
        if let Some(digest) = wanted {
            descriptor.set_digest(
                digest
                    .parse()
                    .map_err(|e| Error::new(Kind::Invalid, format!("{digest}: {e}")))?,
            );
        }
        Ok(Root { descriptor, bytes })
    }

    fn read_document(&self, descriptor: &spec::Descriptor) -> Result<Vec<u8>> {
        let (_, bytes) = self.document(descriptor.digest().as_ref())?;
        Ok(bytes)
    }

    fn open(&self, blob: &Blob, _role: Role, offset: u64) -> Result<Box<dyn Read + Send + '_>> {
        let body =
            self.on_endpoints(|endpoint| ResumingBody::open(&self.client, endpoint, blob, offset))?;
        Ok(Box::new(body))
    }
}

/// The media type of a document: what the registry calls it, unless that is vague and the document says more.
fn announced(content_type: &str, bytes: &[u8]) -> Result<String> {
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    if media_kind(bare) != MediaKind::Other {
        return Ok(bare.to_owned());
    }
    let stated = match Document::parse(bytes, Some(bare))? {
        Document::Index(index) => index
            .media_type()
            .clone()
            .unwrap_or(spec::MediaType::ImageIndex),
        Document::Manifest(manifest) => manifest
            .document
            .media_type()
            .clone()
            .unwrap_or(spec::MediaType::ImageManifest),
    };
    Ok(stated.to_string())
}

#[cfg(test)]
mod tests;
