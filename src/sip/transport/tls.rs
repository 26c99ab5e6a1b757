//! TLS: the same messages on a connection that nobody else reads (RFC 3261 §26.2). Phones prove who
//! they are by digest; only we have a certificate. A trunk that we call has one, too, which must be
//! for the name in the settings.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Flow;
use super::tcp::{Shared, outgoing, serve};
use crate::config::Tls;

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// When each of both files was written, and its length.
type Stamps = [Option<(SystemTime, u64)>; 2];

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("tls needs a certificate; set certificate and key in [sip.tls]")]
    NotSet,
    #[error("{} can't be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} holds no certificate; a PEM file has a line -----BEGIN CERTIFICATE-----", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{} holds no private key; a PEM file has a line -----BEGIN PRIVATE KEY-----", file.display())]
    NoKey { file: PathBuf },
    #[error("{} and {} can't be used together: {why}", certificate.display(), key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, why: rustls::Error },
}

/// The certificate in force. Connections keep the one that they began with.
#[derive(Clone, Debug)]
pub struct Certificate {
    files: Tls,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Certificate {
    pub async fn load(files: &Tls) -> Result<Self, CertificateError> {
        let current = Arc::new(ArcSwap::from_pointee(read(files).await?));
        Ok(Self { files: files.clone(), current })
    }

    /// Takes over each new certificate, for as long as it is polled.
    pub async fn follow(self) {
        let mut seen = self.stamps().await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look(&mut seen).await;
        }
    }

    /// Reads the files if they are not as they were seen last. Of ones that can't be used it is told
    /// once, and the certificate in force stays.
    async fn look(&self, seen: &mut Stamps) {
        let stamps = self.stamps().await;
        if stamps == *seen {
            return;
        }
        *seen = stamps;
        match read(&self.files).await {
            Ok(config) => {
                self.current.store(Arc::new(config));
                let file = self.files.certificate.display();
                tracing::info!(certificate = %file, "new TLS connections get the new certificate");
            }
            Err(error) => {
                tracing::warn!("the TLS certificate before the change stays in force: {error}");
            }
        }
    }

    /// Shows whether one of the files was written or replaced.
    async fn stamps(&self) -> Stamps {
        let stamp = async |file: &Path| {
            let found = tokio::fs::metadata(file).await.ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        [stamp(&self.files.certificate).await, stamp(&self.files.key).await]
    }

    /// Agrees on keys with a peer and serves it. A peer that takes too long for it is dropped, or takes
    /// a place that others need.
    pub async fn serve(self, stream: TcpStream, flow: Flow, shared: Shared) {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let patience = Duration::from_millis(shared.limits.half_message_ms);
        let handshake = shared.handshakes.begin(flow.remote.ip());
        let accepted = tokio::select! {
            accepted = timeout(patience, acceptor.accept(stream)) => accepted,
            () = handshake.must_go() => return,
            () = shared.stop.cancelled() => return,
        };
        drop(handshake);
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(source = %flow.remote, %error, "no TLS"),
            Err(_) => return,
        };
        let (read, write) = tokio::io::split(stream);
        let (_, unwritten) = outgoing(&shared.limits);
        serve(read, write, flow, unwritten, shared).await;
    }
}

/// Whom we speak TLS with when the connection is ours.
#[derive(Clone)]
pub struct TlsPeer {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsPeer {
    /// `host` is what the certificate must be for; `authorities` is a PEM file with those that may
    /// have signed it, instead of those that browsers know.
    pub async fn new(host: &str, authorities: Option<&Path>) -> Result<Self, PeerError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| PeerError::NoName(host.to_owned()))?;
        let mut roots = RootCertStore::empty();
        match authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(file) => {
                let unreadable = |why| PeerError::Unreadable { file: file.to_owned(), why };
                let bytes = tokio::fs::read(file).await.map_err(unreadable)?;
                let found = CertificateDer::pem_slice_iter(&bytes).flatten();
                if roots.add_parsable_certificates(found).0 == 0 {
                    return Err(PeerError::NoAuthority(file.to_owned()));
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(PeerError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Agrees on keys with the peer.
    pub async fn connect(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name, stream).await
    }
}

/// Why TLS with a trunk can't be spoken at all.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("{0} is no name that a certificate could be for")]
    NoName(String),
    #[error("{} can't be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} holds no certificate; a PEM file has a line -----BEGIN CERTIFICATE-----", .0.display())]
    NoAuthority(PathBuf),
    #[error("TLS can't be set up: {0}")]
    Unusable(rustls::Error),
}

async fn read(files: &Tls) -> Result<ServerConfig, CertificateError> {
    let Tls { certificate, key } = files.clone();
    let bytes = async |file: &Path| {
        let unreadable = |why| CertificateError::Unreadable { file: file.to_owned(), why };
        tokio::fs::read(file).await.map_err(unreadable)
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&bytes(&certificate).await?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain =
        chain.ok_or_else(|| CertificateError::NoCertificate { file: certificate.clone() })?;
    let private = PrivateKeyDer::from_pem_slice(&bytes(&key).await?)
        .map_err(|_| CertificateError::NoKey { file: key.clone() })?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|why| CertificateError::Unusable { certificate, key, why })
}

#[cfg(test)]
mod tests;
