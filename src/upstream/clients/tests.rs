use std::{
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Version;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::sleep,
};

use super::*;
use crate::{server::tls::acceptor, upstream::testing::tls_files};

#[expect(clippy::disallowed_methods, reason = "a test owns its servers")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

fn plain() -> Connection {
    Connection { connect_timeout: Duration::from_secs(2), http2_prior_knowledge: false, ca_file: None }
}

fn post(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

/// Serves `exchanges` requests of a connection and then closes it; notes their versions.
#[derive(Default)]
struct Server {
    accepted: AtomicUsize,
    versions: Mutex<Vec<Version>>,
}

impl Server {
    async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, endless: bool) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            self.versions.lock().unwrap().push(request.version());
            async move {
                let body: BoxBody<Bytes, Infallible> = if endless {
                    BoxBody::new(http_body_util::StreamBody::new(futures_util::stream::pending()))
                } else {
                    BoxBody::new(Full::new(Bytes::from_static(b"hello")))
                };
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await;
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn server(endless: bool) -> (String, Arc<Server>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/x?y=1", listener.local_addr().unwrap());
    let server = Arc::new(Server::default());
    let serving = Arc::clone(&server);
    spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            spawn(Arc::clone(&serving).serve(socket, endless));
        }
    });
    (url, server)
}

async fn ask(clients: &Clients, connection: &Connection, url: &str) {
    let response = clients.send(connection, post(url)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}

/// K1: connections that no configuration asks for any more are forgotten, and made anew if one
/// does again.
#[tokio::test]
async fn clients_are_forgotten() {
    let clients = Clients::default();
    let other = Connection { connect_timeout: Duration::from_secs(9), ..plain() };
    clients.get(&plain()).unwrap();
    clients.get(&other).unwrap();
    clients.retain(|connection| *connection == other);
    assert_eq!(clients.by_connection.read().unwrap().keys().collect::<Vec<_>>(), [&other]);
    clients.get(&plain()).unwrap();
    assert_eq!(clients.by_connection.read().unwrap().len(), 2);
}

/// What reaches the wire of HTTP/1.1: the path alone, the host, a length.
#[tokio::test]
async fn the_head_is_what_servers_expect() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 1024];
        let read = socket.read(&mut head).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    ask(&Clients::default(), &plain(), &format!("http://{address}/v1/x?y=1")).await;
    let head = server.await.unwrap();
    assert!(head.starts_with("POST /v1/x?y=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}\r\n")) && head.contains("content-length: 2\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n{}"), "{head}");
}

/// F7: a kept connection that was closed while nobody used it costs the next request nothing, and
/// no request is sent twice.
#[tokio::test]
async fn a_connection_closed_while_idle_is_passed_over() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = spawn(async move {
        for _ in 0..3 {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(socket.read(&mut request).await.unwrap() > 0, "one request for each connection");
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        }
    });
    let clients = Clients::default();
    for _ in 0..3 {
        ask(&clients, &plain(), &url).await;
        // For the news of the end to arrive.
        sleep(Duration::from_millis(50)).await;
    }
    server.await.unwrap();
}

/// S11: exchanges one after the other share a connection; exchanges at once do not.
#[tokio::test]
async fn connections_are_used_again() {
    let (url, server) = server(false).await;
    let clients = Clients::default();
    for _ in 0..3 {
        ask(&clients, &plain(), &url).await;
    }
    assert_eq!(server.accepted(), 1);
    let (first, second) = (clients.send(&plain(), post(&url)).await.unwrap(), clients.send(&plain(), post(&url)).await);
    assert_eq!(server.accepted(), 2);
    drop((first, second));
}

/// What nobody uses is closed after a while, and what the other side has closed is forgotten.
#[tokio::test]
async fn unused_connections_are_swept() {
    let (url, server) = server(false).await;
    let clients = Clients::default();
    let shared = Connection { http2_prior_knowledge: true, ..plain() };
    let pause = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    for connection in [plain(), shared] {
        let before = server.accepted();
        ask(&clients, &connection, &url).await;
        pause(60).await;
        clients.sweep();
        ask(&clients, &connection, &url).await;
        assert_eq!(server.accepted(), before + 1);
        pause(91).await;
        clients.sweep();
        ask(&clients, &connection, &url).await;
        assert_eq!(server.accepted(), before + 2);
    }
}

/// HTTP/2 is spoken where the other side chooses it, over one connection for many.
#[tokio::test]
async fn http2_is_negotiated_and_shared() {
    let (_dir, cert, key) = tls_files();
    let tls = acceptor(&cert, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = Arc::new(Server::default());
    let serving = Arc::clone(&server);
    spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(socket) = tls.accept(socket).await else { continue };
            spawn(Arc::clone(&serving).serve(socket, false));
        }
    });
    let (clients, trusting) = (Clients::default(), Connection { ca_file: Some(cert), ..plain() });
    ask(&clients, &trusting, &url).await;
    futures_util::future::join_all((0..10).map(|_| ask(&clients, &trusting, &url))).await;
    assert_eq!(server.accepted(), 1);
    assert!(server.versions.lock().unwrap().iter().all(|version| *version == Version::HTTP_2));
}

/// More exchanges than a server is sure to allow on one connection of HTTP/2 get a second one
/// instead of a place in a queue.
#[tokio::test]
async fn a_shared_connection_takes_only_so_many() {
    let (url, server) = server(true).await;
    let (clients, shared) = (Clients::default(), Connection { http2_prior_knowledge: true, ..plain() });
    let mut open = Vec::new();
    for _ in 0..101 {
        open.push(clients.send(&shared, post(&url)).await.unwrap());
    }
    assert_eq!(server.accepted(), 2);
}
