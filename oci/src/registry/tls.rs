//! Which certificates a registry may show, and which one we show it.
//!
//! The system's bundle, else the built-in Mozilla roots; besides, what Docker's and Podman's `certs.d/HOST[:PORT]` holds:
//! `*.crt` are authorities, `*.cert` with its `*.key` is the client's.

use super::pin::PinningConnector;
use crate::error::{Context, Error, Kind, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where distributions keep the bundle of authorities.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How to speak TLS with a host.
pub(super) struct HostTls {
    /// For `ureq`.
    pub config: TlsConfig,
    /// Where the host has authorities of its own: what takes their certificates from the host itself.
    pub pinning: Option<PinningConnector>,
}

/// Looks up what is trusted of a host.
pub(super) fn host_tls(
    host: &str,
    certificate_dirs: &[PathBuf],
    insecure: bool,
) -> Result<HostTls> {
    let mut own = Vec::new();
    let mut client = None;
    for dir in certificate_dirs {
        let (authorities, certificate) = host_certificates(&dir.join(host))?;
        own.extend(authorities);
        client = client.or(certificate);
    }
    let mut all = system_roots()?;
    all.extend(own.iter().cloned());
    let pinning = match own.is_empty() || insecure {
        true => None,
        false => Some(PinningConnector::new(&all, &own, client.as_ref())?),
    };
    let roots = match all.is_empty() {
        true => RootCerts::WebPki,
        false => RootCerts::Specific(Arc::new(all)),
    };
    let config = TlsConfig::builder()
        .root_certs(roots)
        .client_cert(client)
        .disable_verification(insecure)
        .build();
    Ok(HostTls { config, pinning })
}

/// The system's bundle; empty where there is none.
fn system_roots() -> Result<Vec<Certificate<'static>>> {
    let chosen = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = || {
        SYSTEM_BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    };
    match chosen.or_else(known) {
        Some(bundle) => certificates(&bundle),
        None => Ok(Vec::new()),
    }
}

type HostCertificates = (Vec<Certificate<'static>>, Option<ClientCert>);

fn host_certificates(dir: &Path) -> Result<HostCertificates> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok((Vec::new(), None));
    };
    let (mut authorities, mut client) = (Vec::new(), None);
    for entry in entries.flatten() {
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => authorities.extend(certificates(&path)?),
            Some("cert") => {
                let key = private_key(&path.with_extension("key"))?;
                client = Some(ClientCert::new_with_certs(&certificates(&path)?, key));
            }
            _ => {}
        }
    }
    Ok((authorities, client))
}

/// All certificates of a PEM file; items that are none, or broken, are skipped as OpenSSL does.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = fs::read(path).context(format_args!("read {}", path.display()))?;
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    Ok(items.collect())
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>> {
    let pem = fs::read(path).context(format_args!("read {}", path.display()))?;
    PrivateKey::from_pem(&pem)
        .map_err(|_| Error::new(Kind::Invalid, format!("{}: no private key", path.display())))
}
