//! Opens connections: the name's look-up, TCP, TLS and the protocol's first words, all under the
//! connect clock (rule F5), which stands here because nobody outside can tell connecting from
//! waiting for an answer.
//!
//! TLS trusts Mozilla's roots, embedded, so that an empty container can verify anybody, and the
//! certificates the operator names. HTTP/2 is spoken where the other side chooses it in TLS (ALPN),
//! and without TLS where the operator says so. Deliberately absent: proxies.
//!
//! Cost: per connection, not per request.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Uri, uri};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use crate::{
    call::Connection,
    error::{Clock, Error, Result},
};

/// A connection that has been silent for so long is asked whether the other side still lives, and
/// is given up after so many questions without an answer.
const ALIVE_AFTER: Duration = Duration::from_secs(60);
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const ALIVE_QUESTIONS: u32 = 3;

/// A socket, with TLS or without.
type Io = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;

/// What is sent.
pub(super) type Sent = Full<Bytes>;
/// One connection of HTTP/1.1, which moves only when it is polled.
pub(super) type Plain = http1::Connection<Io, Sent>;

/// An open connection, by the protocol it speaks.
pub(super) enum Opened {
    One(http1::SendRequest<Sent>, Box<Plain>),
    /// Its frames are moved by a task that ends with its last sender.
    Many(http2::SendRequest<Sent>),
}

/// Opens connections of one kind.
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    http2_prior_knowledge: bool,
    within: Duration,
}

// === impl Connector ===

impl Connector {
    /// Fails with a sentence for the operator when the certificates cannot be read.
    pub(super) fn new(connection: &Connection) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(ALIVE_AFTER));
        tcp.set_keepalive_interval(Some(ALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(ALIVE_QUESTIONS));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls(connection.ca_file.as_deref())?).https_or_http();
        Ok(Self {
            inner: tls.enable_all_versions().wrap_connector(tcp),
            http2_prior_knowledge: connection.http2_prior_knowledge,
            within: connection.connect_timeout,
        })
    }

    /// Opens a connection to the host that `uri` names.
    pub(super) async fn open(&self, uri: &Uri) -> Result<Opened> {
        let opened = timeout(self.within, self.try_open(uri)).await;
        opened.unwrap_or(Err(Error::Timeout(Clock::Connect)))
    }

    async fn try_open(&self, uri: &Uri) -> Result<Opened> {
        let io = self.inner.clone().oneshot(root(uri)?).await.map_err(|error| unreachable(&*error))?;
        if self.http2_prior_knowledge || io.connected().is_negotiated_h2() {
            let mut protocol = http2::Builder::new(TokioExecutor::new());
            let shaken = protocol.timer(TokioTimer::new()).handshake(io).await;
            let (send, connection) = shaken.map_err(|error| unreachable(&error))?;
            drive(connection);
            return Ok(Opened::Many(send));
        }
        let (send, connection) = http1::handshake(io).await.map_err(|error| unreachable(&error))?;
        Ok(Opened::One(send, Box::new(connection)))
    }
}

/// The host alone; the rest of a URL is nothing to a connector.
fn root(uri: &Uri) -> Result<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).map_err(|_| Error::Internal { message: "a base URL makes no valid request".into() })
}

/// Many exchanges share a connection of HTTP/2, so none of them can carry it.
#[expect(clippy::disallowed_methods, reason = "it belongs to no call and ends with its last sender")]
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an upstream's connection ended");
        }
    });
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let unusable = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

// === errors before the head ===

type Cause = dyn std::error::Error + 'static;

/// No connection stands. The message names the innermost cause, never the URL, which may hold a
/// secret (rule X4).
fn unreachable(error: &Cause) -> Error {
    let cause = innermost(error);
    if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        return Error::Timeout(Clock::Connect);
    }
    Error::Network { message: format!("The upstream could not be reached: {cause}."), stale: false }
}

/// The connection broke before an answer's head (rule F7).
pub(super) fn unanswered(error: &hyper::Error) -> Error {
    Error::Network {
        message: format!("The upstream closed the connection without an answer: {}.", innermost(error)),
        stale: std::iter::successors(Some(error as &Cause), |error| error.source()).any(is_closed_connection),
    }
}

fn innermost(error: &Cause) -> &Cause {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// The mark of a kept-alive connection that the other side had closed meanwhile.
fn is_closed_connection(error: &Cause) -> bool {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    }
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
}
