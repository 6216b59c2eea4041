//! The HTTP client, with its pools of connections: TCP, TLS, HTTP/1.1 and HTTP/2, and nothing that
//! knows a call. The only file that names hyper-util's client and rustls for upstreams.
//!
//! A client per kind of connection, since the connect clock and the trusted certificates are the
//! connector's. The connect clock covers the look-up of the name, TCP and TLS together (rule F5); it
//! stands here because nobody outside can tell connecting from waiting for an answer.
//!
//! A request that meets a kept connection which the other side has closed before a byte of the
//! request was sent is put on another one by the client itself; one that was sent and got no answer
//! is an error that says so (rule F7), and the retry layer decides.
//!
//! Deliberately absent: proxies, redirects, cookies, decompression (`decoded`), and clocks for
//! whatever comes after the connection stands (`layers/clocks`).
//!
//! Cost per request: one lookup of the client; the request is moved, the body is shared.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::{Arc, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tower::Service;

use crate::{
    call::Connection,
    error::{Clock, Error, Result},
};

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// A connection that has been silent for so long is asked whether the other side still lives, and
/// is given up after this many questions without an answer.
const ALIVE_AFTER: Duration = Duration::from_secs(60);
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const ALIVE_QUESTIONS: u32 = 3;

type Cause = dyn std::error::Error + 'static;

type Client = legacy::Client<Clocked, Full<Bytes>>;

/// One client, with its pool of connections, for each kind of connection.
#[derive(Default)]
pub struct Clients {
    by_connection: RwLock<HashMap<Connection, Client>>,
}

/// Opens connections, under the connect clock.
#[derive(Clone)]
struct Clocked {
    inner: HttpsConnector<HttpConnector>,
    within: Duration,
}

// === impl Clients ===

impl Clients {
    /// Sends a request and waits for the answer's head. Dropped, it closes the connection of
    /// HTTP/1.1 and resets the stream of HTTP/2; so does dropping an unread body.
    pub(super) async fn send(&self, connection: &Connection, request: Request<Bytes>) -> Result<Response<Incoming>> {
        let client = self.get(connection)?;
        client.request(request.map(Full::new)).await.map_err(|error| unsent(&error))
    }

    /// The client for a kind of connection, made at its first use.
    fn get(&self, connection: &Connection) -> Result<Client> {
        if let Some(client) = self.by_connection.read().ok().and_then(|clients| clients.get(connection).cloned()) {
            return Ok(client);
        }
        let client = client(connection).map_err(|message| Error::Internal { message })?;
        if let Ok(mut clients) = self.by_connection.write() {
            return Ok(clients.entry(connection.clone()).or_insert(client).clone());
        }
        Ok(client)
    }

    /// Forgets every client whose kind of connection is not `wanted`. Exchanges under way go on.
    pub fn retain(&self, wanted: impl Fn(&Connection) -> bool) {
        if let Ok(mut clients) = self.by_connection.write() {
            clients.retain(|connection, _| wanted(connection));
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

// === impl Clocked ===

impl Service<Uri> for Clocked {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connected = tokio::time::timeout(self.within, self.inner.call(uri));
        Box::pin(
            async move { connected.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) },
        )
    }
}

// === making a client ===

fn client(connection: &Connection) -> Result<Client, String> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(ALIVE_AFTER));
    tcp.set_keepalive_interval(Some(ALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(ALIVE_QUESTIONS));
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls(connection.ca_file.as_deref())?).https_or_http();
    let inner = tls.enable_all_versions().wrap_connector(tcp);
    let client = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http2_only(connection.http2_prior_knowledge)
        .build(Clocked { inner, within: connection.connect_timeout });
    Ok(client)
}

/// Mozilla's roots, embedded, so that an empty container can verify anybody; and the operator's.
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

/// What a failed send means. The message names the kind of failure and its innermost cause, never
/// the URL, which may hold a secret (rule X4).
fn unsent(error: &legacy::Error) -> Error {
    let innermost = chain(error).last();
    if error.is_connect() && innermost.is_some_and(is_timed_out) {
        return Error::Timeout(Clock::Connect);
    }
    let cause = innermost.map_or_else(|| "unknown cause".into(), ToString::to_string);
    if error.is_connect() {
        return Error::Network { message: format!("The upstream could not be reached: {cause}."), stale: false };
    }
    Error::Network {
        message: format!("The upstream closed the connection without an answer: {cause}."),
        stale: chain(error).any(is_closed_connection),
    }
}

fn chain<'a>(error: &'a Cause) -> impl Iterator<Item = &'a Cause> {
    std::iter::successors(error.source(), |error| error.source())
}

fn is_timed_out(error: &Cause) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// The mark of a kept-alive connection that the other side had closed meanwhile (rule F7).
fn is_closed_connection(error: &Cause) -> bool {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    }
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K1: connections that no configuration asks for any more are forgotten, and made anew if one
    /// does again.
    #[tokio::test]
    async fn clients_are_forgotten() {
        let plain = Connection { connect_timeout: Duration::from_secs(2), http2_prior_knowledge: false, ca_file: None };
        let other = Connection { connect_timeout: Duration::from_secs(9), ..plain.clone() };
        let clients = Clients::default();
        clients.get(&plain).unwrap();
        clients.get(&other).unwrap();
        clients.retain(|connection| *connection == other);
        assert_eq!(clients.by_connection.read().unwrap().keys().collect::<Vec<_>>(), [&other]);
        clients.get(&plain).unwrap();
        assert_eq!(clients.by_connection.read().unwrap().len(), 2);
    }
}
