//! TLS with a registry whose only certificate is its own authority's: what `openssl req -x509` makes, and Docker's manual shows.
//!
//! Such a certificate says CA:TRUE, and webpki won't take it from a server. It is taken here when it is, byte by byte, one
//! that the user put into the host's certs.d; name and dates must still be right.

use crate::error::{Error, Kind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

/// Wraps connections in TLS, trusting the host's own certificate.
pub(super) struct PinningConnector(Arc<ClientConfig>);

impl PinningConnector {
    /// `roots` are all authorities, `pinned` those that the user gave for this host.
    pub(super) fn new(
        roots: &[Certificate<'static>],
        pinned: &[Certificate<'static>],
        client: Option<&ClientCert>,
    ) -> Result<PinningConnector> {
        let failed = |error: &dyn fmt::Display| Error::new(Kind::Invalid, format!("TLS: {error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().map(der));
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        let verifier = Pinning {
            webpki: webpki.build().map_err(|error| failed(&error))?,
            pinned: pinned.iter().map(der).collect(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let chain = client.certs().iter().map(der).collect();
                let key = private_key(client)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| failed(&error))?
            }
        };
        Ok(PinningConnector(Arc::new(config)))
    }
}

fn der(certificate: &Certificate<'static>) -> CertificateDer<'static> {
    CertificateDer::from(certificate.der().to_vec())
}

fn private_key(client: &ClientCert) -> Result<PrivateKeyDer<'static>> {
    let bytes = client.private_key().der().to_vec();
    PrivateKeyDer::try_from(bytes)
        .map_err(|error| Error::new(Kind::Invalid, format!("TLS: client key: {error}")))
}

#[derive(Debug)]
struct Pinning {
    webpki: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinning {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.webpki.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(problem) if is_authority(&problem) && self.pinned.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether all that is wrong is that an authority speaks for itself. webpki looks at the dates before.
fn is_authority(problem: &rustls::Error) -> bool {
    match problem {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("{other:?}").contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

impl<In: Transport> Connector<In> for PinningConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Err(ureq::Error::ConnectionFailed);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = super::endpoint::bare_host(details.uri.host().unwrap_or_default()).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| ureq::Error::Tls("the host has no name that TLS knows"))?;
        let mut connection = ClientConnection::new(self.0.clone(), name)?;
        let transport: Box<dyn Transport> = Box::new(transport);
        let mut socket = TransportAdapter::new(transport, details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let sizes = (
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(sizes.0, sizes.1),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

impl fmt::Debug for PinningConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinningConnector")
    }
}

/// A connection inside TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}
