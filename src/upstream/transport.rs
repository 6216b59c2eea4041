//! Sends one request and accepts one answer. The only file that knows reqwest.
//!
//! The response future resolves late on purpose: a failure status has become a typed error, a
//! unary body has been read whole, and a stream has shown its first event, so that retry, fallback
//! and an honest status are possible until the last moment (design section 6.3).
//!
//! Not here: clocks other than the connect clock (reqwest has no hook for a layer to see connect
//! alone), retries, keys.
//!
//! Cost per request: one lookup of the client and one of the parsed URL, one copy of the headers; the
//! body is shared.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, RwLock},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{StatusCode, Uri, header};
use http_body_util::BodyExt;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tower::Service;

use super::{
    decoded,
    frames::{BodyFrames, interrupted},
    played,
};
use crate::{
    call::{Call, Connection, Reply, ReplyBody},
    error::{Clock, Error, Result},
    framing::Frame,
    providers::{self, builtin},
    wire,
};

/// An error body is read up to here; its rest says nothing that its head does not.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// URLs kept; further ones are parsed each time.
const CACHED_URLS: usize = 1024;
/// A list of models is read up to here; the longest known one has a tenth of it.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// The bottom of the upstream stack.
#[derive(Debug, Clone)]
pub struct Transport {
    clients: Arc<Clients>,
    bounds: Bounds,
}

/// What one answer may take in memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// One event of a stream, in bytes.
    pub max_frame_bytes: usize,
    /// A unary answer, in bytes.
    pub max_reply_bytes: usize,
}

/// One client, with its pool of connections, for each kind of connection.
#[derive(Default)]
pub struct Clients {
    by_connection: RwLock<HashMap<Connection, reqwest::Client>>,
    /// URLs as reqwest wants them: parsing one costs more than all else a request does here.
    urls: RwLock<HashMap<Uri, reqwest::Url>>,
}

// === impl Transport ===

impl Transport {
    pub fn new(clients: Arc<Clients>, bounds: Bounds) -> Self {
        Self { clients, bounds }
    }
}

impl Service<Call> for Transport {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(exchange(self.clone(), call))
    }
}

async fn exchange(transport: Transport, call: Call) -> Result<Reply> {
    call.attempts.add();
    if call.request.uri().scheme_str() == Some(builtin::SCHEME) {
        return played::exchange(call, transport.bounds).await;
    }
    let response = send(&transport.clients, &call).await?;
    let (mut head, body) = http::Response::from(response).into_parts();
    // Errors of the body would name the URL.
    let body = body.map_err(reqwest::Error::without_url);
    match decoded::take(&mut head)? {
        None => receive(&call, head, body, transport.bounds).await,
        Some(coding) => receive(&call, head, decoded::decode(body, coding), transport.bounds).await,
    }
}

async fn send(clients: &Clients, call: &Call) -> Result<reqwest::Response> {
    let client = clients.get(&call.target.connection)?;
    let mut request = reqwest::Request::new(call.request.method().clone(), clients.url(call.request.uri())?);
    *request.headers_mut() = call.request.headers().clone();
    *request.body_mut() = Some(call.request.body().clone().into());
    client.execute(request).await.map_err(|error| unsent(&error))
}

/// Turns a head and a body into a reply, or into the error they stand for.
pub(super) async fn receive<B>(call: &Call, head: http::response::Parts, body: B, bounds: Bounds) -> Result<Reply>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send,
{
    let dialect = wire::upstream(call.dialect);
    if head.status.is_redirection() {
        let message = "The upstream answered with a redirect; the provider's base URL may be wrong.";
        return Err(Error::BadReply { message: message.into() });
    }
    if !head.status.is_success() {
        let text = read(body, MAX_ERROR_BYTES, Overrun::Cut).await.unwrap_or_default();
        let error = dialect.error(head.status, &head.headers, &text);
        return Err(providers::refine(&call.target.kind, error.into()));
    }
    if !call.stream || is_json(&head) {
        let whole = read(body, bounds.max_reply_bytes, Overrun::Fail).await?;
        dialect.accepts_whole(&whole).map_err(|error| providers::refine(&call.target.kind, error))?;
        return Ok(Reply { head, body: ReplyBody::Whole(whole) });
    }
    let mut frames = BodyFrames::new(body, dialect.framing(), bounds.max_frame_bytes);
    let first = accepted(call, &mut frames).await?;
    frames.put_back(first);
    Ok(Reply { head, body: ReplyBody::Frames(Box::pin(frames)) })
}

/// Holds the stream until its first event has proved that the upstream took the request.
async fn accepted(call: &Call, frames: &mut (impl Stream<Item = Result<Frame>> + Unpin)) -> Result<Frame> {
    let dialect = wire::upstream(call.dialect);
    loop {
        let Some(frame) = frames.next().await.transpose()? else {
            return Err(Error::BadReply { message: "The upstream's stream ended without a single event.".into() });
        };
        if dialect.accepts(&frame).map_err(|error| providers::refine(&call.target.kind, error))? {
            return Ok(frame);
        }
    }
}

fn is_json(head: &http::response::Parts) -> bool {
    const JSON: &[u8] = b"application/json";
    let start = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().get(..JSON.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(JSON))
}

#[derive(Clone, Copy, PartialEq)]
enum Overrun {
    Cut,
    Fail,
}

/// Reads a body whole. A body in one piece is not copied.
async fn read<B>(body: B, max_bytes: usize, overrun: Overrun) -> Result<Bytes>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::error::Error,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(mut piece) = frame.map_err(|error| interrupted(&error))?.into_data() else { continue };
        let room = max_bytes.saturating_sub(first.len() + joined.len());
        if piece.len() > room && overrun == Overrun::Fail {
            let message = format!("The upstream's answer is larger than the limit of {max_bytes} bytes.");
            return Err(Error::BadReply { message });
        }
        let is_cut = piece.len() > room;
        piece.truncate(room);
        if first.is_empty() && joined.is_empty() {
            first = piece;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&piece);
        }
        if is_cut {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

// === errors before the head ===

/// What a failed send means. The message names the kind of failure and its innermost cause, never
/// the URL, which may hold a secret (rule X4).
fn unsent(error: &reqwest::Error) -> Error {
    if error.is_connect() && (error.is_timeout() || innermost(error).is_some_and(is_timed_out)) {
        return Error::Timeout(Clock::Connect);
    }
    let cause = innermost(error).map_or_else(|| "unknown cause".into(), ToString::to_string);
    if error.is_connect() {
        return Error::Network { message: format!("The upstream could not be reached: {cause}."), stale: false };
    }
    Error::Network {
        message: format!("The upstream closed the connection without an answer: {cause}."),
        stale: chain(error).any(is_closed_connection),
    }
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| error.source())
}

fn innermost(error: &reqwest::Error) -> Option<&(dyn std::error::Error + 'static)> {
    chain(error).last()
}

fn is_timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

/// The mark of a kept-alive connection that the other side had closed meanwhile (rule F7).
fn is_closed_connection(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    }
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe)
    })
}

// === impl Clients ===

impl Clients {
    /// The client for a kind of connection, made at its first use.
    fn get(&self, connection: &Connection) -> Result<reqwest::Client> {
        if let Some(client) = self.by_connection.read().ok().and_then(|clients| clients.get(connection).cloned()) {
            return Ok(client);
        }
        let client = connect(connection).map_err(|message| Error::Internal { message })?;
        if let Ok(mut clients) = self.by_connection.write() {
            return Ok(clients.entry(connection.clone()).or_insert(client).clone());
        }
        Ok(client)
    }

    fn url(&self, uri: &Uri) -> Result<reqwest::Url> {
        if let Some(url) = self.urls.read().ok().and_then(|urls| urls.get(uri).cloned()) {
            return Ok(url);
        }
        let invalid = |_| Error::Internal { message: "a base URL makes no valid request".into() };
        let url = reqwest::Url::parse(&uri.to_string()).map_err(invalid)?;
        if let Ok(mut urls) = self.urls.write()
            && urls.len() < CACHED_URLS
        {
            urls.insert(uri.clone(), url.clone());
        }
        Ok(url)
    }

    /// Forgets every client whose kind of connection is not `wanted`. Exchanges under way go on.
    pub fn retain(&self, wanted: impl Fn(&Connection) -> bool) {
        if let Ok(mut clients) = self.by_connection.write() {
            clients.retain(|connection, _| wanted(connection));
        }
    }

    /// A plain GET for the model lists and reachability checks; calls no model (rule K6).
    /// Waits up to `patience` for everything together.
    pub async fn fetch(
        &self,
        connection: &Connection,
        request: http::Request<Bytes>,
        patience: std::time::Duration,
    ) -> Result<(StatusCode, Bytes)> {
        let client = self.get(connection)?;
        let request = reqwest::Request::try_from(request)
            .map_err(|_| Error::Internal { message: "the base URL makes no valid request".into() })?;
        let fetched = async {
            let response = client.execute(request).await.map_err(|error| unsent(&error))?;
            let (head, body) = http::Response::from(response).into_parts();
            let body = body.map_err(reqwest::Error::without_url);
            Ok((head.status, read(body, MAX_LIST_BYTES, Overrun::Fail).await?))
        };
        tokio::time::timeout(patience, fetched).await.unwrap_or(Err(Error::Timeout(Clock::Total)))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

fn connect(connection: &Connection) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(connection)?)
        .connect_timeout(connection.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .tcp_keepalive(std::time::Duration::from_secs(60))
        .pool_idle_timeout(std::time::Duration::from_secs(90))
        .no_proxy();
    if connection.http2_prior_knowledge {
        builder = builder.http2_prior_knowledge();
    }
    builder.build().map_err(|error| format!("the upstream client cannot be built: {error}"))
}

/// Mozilla's roots, embedded, so that an empty container can verify anybody; and the operator's.
fn tls(connection: &Connection) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = &connection.ca_file {
        let pem = CertificateDer::pem_file_iter(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for certificate in pem {
            let certificate = certificate.map_err(|error| format!("{}: {error}", path.display()))?;
            roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests;
