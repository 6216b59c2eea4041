//! The listener: connections in, over TCP or TLS, HTTP/1.1 or HTTP/2, until the process ends.
//!
//! One task per connection; everything a call does happens within it, so that a connection that
//! goes takes its calls along (rule D1).
//!
//! The end has three steps (rule K5). When draining begins, idle connections close, busy ones
//! finish what they have, and new ones are still accepted as long as that takes, so that a
//! readiness probe gets its 503 and a late client a proper refusal. When the drain limit passes,
//! open streams are cut with an error frame. What has not gone a second later is dropped.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::{Lifecycle, routes};

/// Connections the kernel keeps for us to accept; it takes what its own limit allows.
const BACKLOG: i32 = 4096;
/// For a request's head to come, and so also for an idle connection to be used again. Longer than
/// the pools of most clients keep one, so that they rarely use one we are about to close.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 pings find clients that vanished without a word.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 1024;
/// For the error frames of cut streams to go out.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// After a failed accept that may fail again at once, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
struct Door {
    router: Router,
    tls: Option<TlsAcceptor>,
    lifecycle: Lifecycle,
    protocol: Arc<auto::Builder<TokioExecutor>>,
    /// For connections accepted while draining, which exist to be told so.
    late: bool,
}

/// Opens the listening socket. `SO_REUSEADDR`, so that a restart need not wait for old
/// connections to be forgotten.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `lifecycle` drains and the last connection has gone, at the latest `drain_limit`
/// and a second after that. Not cancel-safe: dropped, it leaves connections running.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    lifecycle: Lifecycle,
    drain_limit: Duration,
) {
    let mut door = Door { router, tls, lifecycle: lifecycle.clone(), protocol: Arc::new(protocol()), late: false };
    let open = TaskTracker::new();
    tokio::select! {
        () = accept(&listener, &door, &open) => {}
        () = lifecycle.draining() => {}
    }
    open.close();
    tracing::info!(connections = open.len(), "draining");
    // Connections of the drain are answered, but not waited for.
    let late = TaskTracker::new();
    door.late = true;
    tokio::select! {
        () = accept(&listener, &door, &late) => {}
        () = wind_down(&open, &lifecycle, drain_limit) => {}
    }
    drop(listener);
    lifecycle.close();
    late.close();
    open.wait().await;
    late.wait().await;
}

async fn wind_down(open: &TaskTracker, lifecycle: &Lifecycle, limit: Duration) {
    if timeout(limit, open.wait()).await.is_ok() {
        return;
    }
    tracing::warn!(connections = open.len(), "the drain limit has passed; open streams are cut");
    lifecycle.cut();
    let _ = timeout(LAST_WORDS, open.wait()).await;
}

/// Accepts for ever.
async fn accept(listener: &TcpListener, door: &Door, tracker: &TaskTracker) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => welcome(door.clone(), stream, tracker),
            // The client's doing, and over.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Begins a connection in a task of its own. Two kinds of tasks, so that a plain connection does not
/// carry the room for a TLS session.
fn welcome(door: Door, stream: TcpStream, tracker: &TaskTracker) {
    // An event must not wait for the acknowledgement of the one before (rule S5).
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    match door.tls.clone() {
        None => tracker.spawn(door.converse(stream)),
        Some(tls) => tracker.spawn(door.secure(tls, stream)),
    };
}

fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

// === impl Door ===

impl Door {
    async fn secure(self, tls: TlsAcceptor, stream: TcpStream) {
        let mut close = self.lifecycle.watch_close();
        let mut handshake = pin!(timeout(TLS_TIMEOUT, tls.accept(stream)));
        let handshake = poll_fn(|context| {
            if close.has_come(context) {
                return Poll::Ready(None);
            }
            handshake.as_mut().poll(context).map(Some)
        });
        let Some(result) = handshake.await else { return };
        match result {
            Ok(Ok(stream)) => self.converse(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let used = Arc::new(AtomicBool::new(false));
        let service = service_fn({
            let used = Arc::clone(&used);
            move |request: Request<Incoming>| {
                used.store(true, Ordering::Relaxed);
                routes::answer(self.router.clone(), request.map(Body::new))
            }
        });
        let mut connection = pin!(self.protocol.serve_connection(TokioIo::new(stream), service));
        let mut unused = pin!(sleep(HEAD_TIMEOUT));
        let (mut drain, mut close) = (self.lifecycle.watch_drain(), self.lifecycle.watch_close());
        let mut goes_on = !self.late;
        // Polled for every event, hence no select over futures that lock when asked.
        let conversation = poll_fn(|context| {
            if close.has_come(context) {
                return Poll::Ready(());
            }
            if goes_on && drain.has_come(context) {
                goes_on = false;
                connection.as_mut().graceful_shutdown();
            }
            // The protocol's own timeout begins with the first bytes only.
            if !used.load(Ordering::Relaxed) && unused.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            connection.as_mut().poll(context).map(ended)
        });
        conversation.await;
    }
}

/// A connection's end is the client's affair; calls report their own.
fn ended(result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use async_stream::stream;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::client::legacy::Client;
    use tokio::{io::AsyncWriteExt, net::TcpStream};

    use super::*;
    use crate::server::testing::{
        Fake, Running, STREAM, UNARY, chat, front, read_until, start, start_with, streamed, whole,
    };

    /// Sends one event, then another after `pause`.
    fn streams(pause: Duration) -> crate::server::Front {
        front(move |_| async move {
            Ok(streamed(Box::pin(stream! {
                yield Ok(Bytes::from_static(b"data: 1\n\n"));
                sleep(pause).await;
                yield Ok(Bytes::from_static(b"data: 2\n\n"));
            })))
        })
    }

    async fn open_stream(server: &Running) -> TcpStream {
        let mut connection = server.connect().await;
        connection.write_all(chat("/v1/chat/completions", "", STREAM).as_bytes()).await.unwrap();
        read_until(&mut connection, "data: 1\n\n").await;
        connection
    }

    /// K5, regression 81: once draining, the process is not ready, refuses new calls, closes idle
    /// connections and lets open streams end.
    #[tokio::test]
    async fn draining_lets_open_streams_end() {
        let server = start(streams(Duration::from_millis(600)));
        let mut idle = server.connect().await;
        idle.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        read_until(&mut idle, "ready\"}").await;
        let mut open = open_stream(&server).await;
        server.lifecycle.drain();
        let answer = server.get("/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("draining"), "{answer}");
        assert!(server.chat(UNARY).await.contains("shutting_down"));
        assert_eq!(
            timeout(Duration::from_secs(1), tokio::io::AsyncReadExt::read(&mut idle, &mut [0; 9]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
        let rest = read_until(&mut open, "0\r\n\r\n").await;
        assert!(rest.contains("data: 2\n\n") && !rest.contains("error"), "{rest}");
        timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    }

    /// K5, regression 81: what is still open at the drain limit gets an error frame.
    #[tokio::test]
    async fn the_drain_limit_cuts_with_an_error_frame() {
        let limit = Duration::from_millis(300);
        let server = start_with(streams(Duration::from_secs(60)), Fake::default(), None, limit);
        let mut open = open_stream(&server).await;
        let begun = Instant::now();
        server.lifecycle.drain();
        read_until(&mut open, "\"code\":\"shutting_down\"}}\n\ndata: [DONE]\n\n\r\n0\r\n\r\n").await;
        assert!(begun.elapsed() >= limit);
        timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn without_connections_draining_ends_at_once() {
        let server = start(streams(Duration::ZERO));
        server.lifecycle.drain();
        timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    }

    /// HTTP/2 without TLS, streams included, and the drain's error frame.
    #[tokio::test]
    async fn http2_is_spoken_by_prior_knowledge() {
        let limit = Duration::from_millis(300);
        let server = start_with(streams(Duration::from_secs(60)), Fake::default(), None, limit);
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let request = Request::post(format!("http://{}/v1/chat/completions", server.address))
            .header("authorization", "Bearer secret")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(STREAM.as_bytes())))
            .unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
        let mut body = answer.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
        server.lifecycle.drain();
        let mut rest = Vec::new();
        while let Some(frame) = timeout(Duration::from_secs(2), body.frame()).await.unwrap() {
            rest.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.ends_with("\"code\":\"shutting_down\"}}\n\ndata: [DONE]\n\n"), "{rest}");
        timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap();
    }

    /// TLS is spoken, with both protocols offered; a client that never shakes hands holds up
    /// nobody.
    #[tokio::test]
    async fn tls_is_spoken() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = crate::server::tls::acceptor(&certificate, &key).unwrap();
        let echo = front(|_| async { Ok(whole("{}")) });
        let server = start_with(echo, Fake::default(), Some(tls), Duration::from_secs(1));

        let _silent = server.connect().await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        for offer in [&b"h2"[..], b"http/1.1"] {
            let mut config =
                rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(roots.clone())
                    .with_no_client_auth();
            config.alpn_protocols = vec![offer.to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let name = "localhost".try_into().unwrap();
            let mut stream = connector.connect(name, server.connect().await).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(offer));
            if offer == b"h2" {
                continue;
            }
            let request = chat("/v1/chat/completions", "connection: close\r\n", UNARY);
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        }
    }

    /// The file that is wrong is named, and nothing of a key is shown.
    #[test]
    fn a_bad_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        std::fs::write(&path, "canary").unwrap();
        let error = crate::server::tls::acceptor(&path, &path).err().unwrap().to_string();
        assert!(error.contains("cert.pem") && !error.contains("canary"), "{error}");
    }

    /// A client that connects and says nothing, or stops in the middle of its head, is let go.
    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_let_go() {
        let server = start(streams(Duration::ZERO));
        for bytes in [&b""[..], b"P", b"GET / HT"] {
            let mut connection = server.connect().await;
            connection.write_all(bytes).await.unwrap();
            let mut rest = Vec::new();
            let end = tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut rest);
            assert!(timeout(HEAD_TIMEOUT * 3, end).await.is_ok(), "{bytes:?}");
        }
    }
}
