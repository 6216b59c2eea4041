//! Over real sockets on 127.0.0.1: what reaches the wire, and what every kind of answer becomes.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant as Wall},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};
use uuid::Uuid;

use super::*;
use crate::{
    call::{Attempts, Dialect, Expects, Target},
    config::Policy,
    error::{Class, Verdict},
    server::tls::acceptor,
    upstream::testing::tls_files,
};

#[expect(clippy::disallowed_methods, reason = "a test owns its servers")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}

const CHUNK: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
    \"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
const WHOLE: &str = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
const BOUNDS: Bounds = Bounds { max_frame_bytes: 4096, max_reply_bytes: 100_000 };

fn plain() -> Connection {
    Connection { connect_timeout: Duration::from_secs(2), http2_prior_knowledge: false, ca_file: None }
}

fn call(url: &str, stream: bool, connection: Connection) -> Call {
    let target = Target {
        label: "lab/m".into(),
        provider: "lab".into(),
        kind: "openai-compatible".into(),
        model: "m".into(),
        policy: Policy::default(),
        connection,
        slots: None,
    };
    let mut request = http::Request::new(Bytes::from_static(b"{}"));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.parse().unwrap();
    let headers = request.headers_mut();
    headers.insert("accept-encoding", "identity".parse().unwrap());
    headers.insert("authorization", "Bearer canary".parse().unwrap());
    Call {
        id: Uuid::nil(),
        target: Arc::new(target),
        dialect: Dialect::OpenAiChat,
        expects: Expects::Answer,
        stream,
        request,
        deadline: Instant::now() + Duration::from_secs(60),
        rotates: false,
        attempts: Attempts::default(),
    }
}

fn transport() -> Transport {
    Transport::new(Arc::default(), BOUNDS)
}

async fn ask(url: &str, stream: bool) -> Result<Reply> {
    transport().call(call(url, stream, plain())).await
}

/// Reads one request and answers it with these bytes.
async fn answer(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), reply: &[u8]) -> bool {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"{}") && !request.starts_with(b"GET") {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    socket.write_all(reply).await.is_ok() && socket.flush().await.is_ok()
}

/// A server that gives each connection one of these answers and then closes it, or holds it open
/// after the last one.
async fn upstream(replies: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let last = replies.len();
        for (at, reply) in replies.into_iter().enumerate() {
            let (mut socket, _) = listener.accept().await.unwrap();
            answer(&mut socket, &reply).await;
            if at + 1 == last {
                std::future::pending::<()>().await;
            }
        }
    });
    format!("http://{address}/v1/chat/completions?canary=1")
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    reply.extend_from_slice(body);
    reply
}

fn sse(body: &str) -> Vec<u8> {
    let mut reply = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
    reply.extend_from_slice(body.as_bytes());
    reply
}

/// X4: no error says where it went or with what.
fn failed<T>(result: Result<T>) -> Error {
    let Err(error) = result else { panic!("no error") };
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary") && !shown.contains("http://"), "{shown}");
    error
}

async fn frames(reply: Reply) -> Vec<Result<Bytes>> {
    match reply.body {
        ReplyBody::Frames(frames) => frames.map(|frame| frame.map(|frame| frame.data)).collect().await,
        ReplyBody::Whole(bytes) => panic!("whole: {bytes:?}"),
    }
}

fn body(reply: Reply) -> Bytes {
    match reply.body {
        ReplyBody::Whole(bytes) => bytes,
        ReplyBody::Frames(_) => panic!("a stream"),
    }
}

/// F1, F5: nobody there is an error of the network, at once.
#[tokio::test]
async fn a_refused_connection_is_a_network_error() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = failed(ask(&format!("http://{closed}/canary"), false).await);
    assert!(matches!(error, Error::Network { stale: false, .. }), "{error:?}");
    assert!(matches!(error.verdict(), Verdict::Again { .. }));
}

/// F5, regression 59: a name that leads nowhere fails within the connect clock.
#[tokio::test]
async fn an_unknown_host_fails_within_the_connect_clock() {
    let started = Wall::now();
    let error = failed(ask("http://nowhere.invalid/canary", false).await);
    assert!(matches!(error, Error::Network { .. } | Error::Timeout(Clock::Connect)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// O1: a server that accepts and never speaks TLS runs into the connect clock, which has a name.
#[tokio::test]
async fn the_connect_clock_covers_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/canary", listener.local_addr().unwrap());
    let connection = Connection { connect_timeout: Duration::from_millis(200), ..plain() };
    let error = failed(transport().call(call(&url, false, connection)).await);
    assert!(matches!(error, Error::Timeout(Clock::Connect)), "{error:?}");
}

/// X3: a redirect is followed nowhere.
#[tokio::test]
async fn a_redirect_is_refused() {
    let url = upstream(vec![http("307 Temporary Redirect", "location: http://canary.invalid/\r\n", b"")]).await;
    let error = failed(ask(&url, false).await);
    assert!(matches!(error, Error::BadReply { .. }), "{error:?}");
}

/// A failure with a body without end is still told, by its head and the beginning of its text.
#[tokio::test]
async fn error_bodies_are_bounded() {
    let mut endless = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\nx-request-id: up-1\r\n\r\n".to_vec();
    endless.extend(std::iter::repeat_n(b'x', 10 * MAX_ERROR_BYTES));
    let url = upstream(vec![endless]).await;
    let Error::Upstream(error) = failed(ask(&url, true).await) else { panic!("another error") };
    assert_eq!((error.class, error.retry_after), (Class::Overloaded, Some(Duration::from_secs(7))));
    assert!(error.message.len() <= MAX_ERROR_BYTES);
    let json = r#"{"error":{"message":"no such model","type":"invalid_request_error","code":"model_not_found"}}"#;
    let url = upstream(vec![http("404 Not Found", "content-type: application/json\r\n", json.as_bytes())]).await;
    let Error::Upstream(error) = failed(ask(&url, false).await) else { panic!("another error") };
    assert_eq!((error.class, error.message.as_str()), (Class::NotFound, "no such model"));
}

/// M1: an error whose words do not come has its status all the same, and soon.
#[tokio::test(start_paused = true)]
async fn an_error_without_its_words_is_told() {
    let head = http::Response::builder().status(503).header("retry-after", "7").body(()).unwrap().into_parts().0;
    let never = StreamBody::new(futures_util::stream::pending::<std::io::Result<http_body::Frame<Bytes>>>());
    let started = Instant::now();
    let result = receive(&call("http://lab/canary", false, plain()), head, never, BOUNDS).await;
    let Error::Upstream(error) = failed(result) else { panic!("another error") };
    assert_eq!((error.class, error.retry_after), (Class::Overloaded, Some(Duration::from_secs(7))));
    assert!(started.elapsed() <= ERROR_PATIENCE * 2);
}

#[tokio::test]
async fn a_body_is_cut_in_the_middle_of_a_piece() {
    let body = || http_body_util::Full::new(Bytes::from_static(b"abcdef"));
    assert_eq!(read(body(), 4, Overrun::Cut).await.unwrap(), "abcd");
    assert_eq!(read(body(), 6, Overrun::Fail).await.unwrap(), "abcdef");
    assert!(matches!(read(body(), 5, Overrun::Fail).await, Err(Error::BadReply { .. })));
}

/// M2, S8: an answer larger than its bound is none, and neither is one event.
#[tokio::test]
async fn answers_are_bounded() {
    let large = format!(r#"{{"choices":[{}]}}"#, " ".repeat(BOUNDS.max_reply_bytes));
    let url = upstream(vec![http("200 OK", "content-type: application/json\r\n", large.as_bytes())]).await;
    assert!(matches!(failed(ask(&url, false).await), Error::BadReply { .. }));
    let url = upstream(vec![sse(&format!("{CHUNK}data: {}\n\n", "x".repeat(BOUNDS.max_frame_bytes)))]).await;
    let items = frames(ask(&url, true).await.unwrap()).await;
    assert!(items[0].is_ok() && matches!(items[1], Err(Error::BadReply { .. })), "{items:?}");
}

/// M2, regression 64: a success without an answer is none.
#[tokio::test]
async fn a_success_without_an_answer_is_an_error() {
    for body in ["", "null", "<html>", r#"{"error":{"message":"no","code":502}}"#] {
        let url = upstream(vec![http("200 OK", "content-type: application/json\r\n", body.as_bytes())]).await;
        assert_eq!(failed(ask(&url, false).await).status().as_u16(), 502, "{body}");
    }
}

async fn compressed(coding: &str, text: &str) -> Vec<u8> {
    use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
    let mut out = Vec::new();
    let text = text.as_bytes();
    match coding {
        "gzip" => GzipEncoder::new(text).read_to_end(&mut out).await,
        "br" => BrotliEncoder::new(text).read_to_end(&mut out).await,
        _ => ZstdEncoder::new(text).read_to_end(&mut out).await,
    }
    .unwrap();
    out
}

/// S10, regression 21: whatever coding an upstream uses unasked, the answer is plain and says so.
#[tokio::test]
async fn compressed_answers_become_plain() {
    for coding in ["gzip", "br", "zstd"] {
        let headers = format!("content-type: application/json\r\ncontent-encoding: {coding}\r\n");
        let url = upstream(vec![http("200 OK", &headers, &compressed(coding, WHOLE).await)]).await;
        let reply = ask(&url, false).await.unwrap();
        assert!(!reply.head.headers.contains_key("content-encoding"), "{coding}");
        assert!(!reply.head.headers.contains_key("content-length"), "{coding}");
        assert_eq!(body(reply), WHOLE, "{coding}");
        let headers = format!("content-type: text/event-stream\r\ncontent-encoding: {coding}\r\n");
        let text = format!("{CHUNK}{CHUNK}");
        let url = upstream(vec![http("200 OK", &headers, &compressed(coding, &text).await)]).await;
        assert_eq!(frames(ask(&url, true).await.unwrap()).await.len(), 2, "{coding}");
    }
}

/// E1, E2, regressions 7 and 8: the head waits for the first event, and what that says decides.
#[tokio::test]
async fn the_first_event_decides() {
    let url = upstream(vec![sse(&format!(": hello\n\n{CHUNK}{CHUNK}data: [DONE]\n\n")), Vec::new()]).await;
    let items = frames(ask(&url, true).await.unwrap()).await;
    assert_eq!(items.len(), 3);
    assert_eq!(items[2].as_ref().unwrap(), "[DONE]");

    let error =
        "data: {\"error\":{\"message\":\"too long\",\"type\":\"BadRequestError\",\"code\":400}}\n\ndata: [DONE]\n\n";
    let url = upstream(vec![sse(error)]).await;
    let error = failed(ask(&url, true).await);
    assert_eq!((error.status().as_u16(), error.message()), (400, "too long".into()));

    let url = upstream(vec![sse(""), Vec::new()]).await;
    let error = failed(ask(&url, true).await);
    assert!(matches!(error, Error::BadReply { .. }) && matches!(error.verdict(), Verdict::Again { .. }), "{error:?}");

    let url =
        upstream(vec![http("200 OK", "Content-Type: Application/JSON; charset=utf-8\r\n", WHOLE.as_bytes())]).await;
    assert_eq!(body(ask(&url, true).await.unwrap()), WHOLE, "JSON to who asked for a stream");

    let silent = upstream(vec![sse(": only a comment\n\n")]).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), ask(&silent, true)).await.is_err());
}

/// E1: a connection that dies in the middle is an error after what came.
#[tokio::test]
async fn a_broken_stream_is_an_error_last() {
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{CHUNK}\r\n",
        CHUNK.len()
    );
    let url = upstream(vec![chunked.into_bytes(), Vec::new()]).await;
    let items = frames(ask(&url, true).await.unwrap()).await;
    assert_eq!(items.len(), 2);
    assert!(items[0].is_ok());
    assert!(matches!(failed(items.into_iter().nth(1).unwrap()), Error::Interrupted { .. }));
}

/// F7: a kept connection that the other side closed under the request is told apart.
#[tokio::test]
async fn a_connection_closed_under_the_request_is_stale() {
    let url = upstream(vec![Vec::new(), Vec::new()]).await;
    let error = failed(ask(&url, false).await);
    assert!(matches!(error, Error::Network { stale: true, .. }), "{error:?}");
}

/// S11: the connection of an answer that was read to its end is used again, any other is not.
#[tokio::test]
async fn connections_are_kept_only_after_the_end_of_a_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            spawn(async move {
                let reply = http("200 OK", "content-type: text/event-stream\r\n", format!("{CHUNK}{CHUNK}").as_bytes());
                while answer(&mut socket, &reply).await {}
            });
        }
    });
    let transport = transport();
    for _ in 0..3 {
        let reply = transport.clone().call(call(&url, true, plain())).await.unwrap();
        assert_eq!(frames(reply).await.len(), 2);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let ReplyBody::Frames(unread) = transport.clone().call(call(&url, true, plain())).await.unwrap().body else {
        panic!("no stream")
    };
    drop(unread);
    transport.clone().call(call(&url, true, plain())).await.unwrap();
    assert!(accepted.load(Ordering::SeqCst) >= 1);
}

/// D1: dropping an exchange closes its connection, before the first byte and after it.
#[tokio::test]
async fn a_dropped_exchange_is_closed() {
    for reply in [Vec::new(), sse(CHUNK)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let begun = !reply.is_empty();
        let server = spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            answer(&mut socket, &reply).await;
            let mut rest = Vec::new();
            tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest)).await.is_ok()
        });
        let exchange = transport().call(call(&url, true, plain()));
        let held = tokio::time::timeout(Duration::from_millis(300), exchange).await;
        assert_eq!(held.is_ok(), begun);
        drop(held);
        assert!(server.await.unwrap(), "the upstream sees the end");
    }
}

/// An upstream with a certificate of the operator's own is trusted where its file is named, and
/// nowhere else.
#[tokio::test]
async fn a_ca_file_makes_an_upstream_trusted() {
    let (_dir, cert, key) = tls_files();
    let tls = acceptor(&cert, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(socket) = tls.accept(socket).await else { continue };
            let app = axum::Router::new().fallback(|| async { ([("content-type", "application/json")], WHOLE) });
            let service = TowerToHyperService::new(app);
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        }
    });
    let trusting = Connection { ca_file: Some(cert), ..plain() };
    let reply = transport().call(call(&url, false, trusting)).await.unwrap();
    assert_eq!(body(reply), WHOLE);
    let error = failed(ask(&url, false).await);
    assert!(matches!(error, Error::Network { stale: false, .. }), "{error:?}");
    let missing = Connection { ca_file: Some("/nowhere/ca.pem".into()), ..plain() };
    assert!(matches!(failed(transport().call(call(&url, false, missing)).await), Error::Internal { .. }));
}

/// HTTP/2 without TLS, where the operator says so.
#[tokio::test]
async fn http2_by_prior_knowledge() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let versions: Arc<Mutex<Vec<http::Version>>> = Arc::default();
    let seen = Arc::clone(&versions);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        seen.lock().unwrap().push(request.version());
        async { ([("content-type", "application/json")], WHOLE) }
    });
    spawn(async move { axum::serve(listener, app).await });
    let reply =
        transport().call(call(&url, false, Connection { http2_prior_knowledge: true, ..plain() })).await.unwrap();
    assert_eq!(body(reply), WHOLE);
    assert_eq!(*versions.lock().unwrap(), [http::Version::HTTP_2]);
}

/// The embedded upstream goes through the same acceptance, without a socket.
#[tokio::test(start_paused = true)]
async fn the_embedded_upstream_is_played() {
    let ask = |content: &str, stream: bool| {
        let mut call = call(&format!("{}/chat/completions", builtin::BASE_URL), stream, plain());
        let body =
            format!(r#"{{"model":"echo","stream":{stream},"messages":[{{"role":"user","content":"{content}"}}]}}"#);
        *call.request.body_mut() = body.into();
        let attempts = call.attempts.clone();
        async move {
            let result = transport().call(call).await;
            assert_eq!(attempts.count(), 1);
            result
        }
    };
    assert!(frames(ask("hello", true).await.unwrap()).await.len() > 2);
    assert!(!body(ask("hello", false).await.unwrap()).is_empty());
    assert!(
        matches!(failed(ask("[[fail=429]] x", true).await), Error::Upstream(error) if error.class == Class::RateLimit)
    );
    let items = frames(ask("[[cut=2]] one two three", true).await.unwrap()).await;
    assert!(matches!(items.last(), Some(Err(Error::Interrupted { .. }))), "{items:?}");
}

/// K6: a list is read within its time and size, whoever answers.
#[tokio::test]
async fn lists_are_bounded() {
    let get = |url: &str| {
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = url.parse().unwrap();
        request
    };
    let clients = Clients::default();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/canary", silent.local_addr().unwrap());
    let started = Wall::now();
    let error = failed(clients.fetch(&plain(), get(&url), Duration::from_millis(200)).await);
    assert!(matches!(error, Error::Timeout(_)) && started.elapsed() < Duration::from_secs(10), "{error:?}");
    let url = upstream(vec![http("200 OK", "", &vec![b' '; MAX_LIST_BYTES + 1])]).await;
    let error = failed(clients.fetch(&plain(), get(&url), Duration::from_secs(20)).await);
    assert!(matches!(error, Error::BadReply { .. }), "{error:?}");
}

/// One of Amazon's binary messages.
fn message(event: &'static str, payload: &str) -> Vec<u8> {
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
    let (kind, name) = event.split_once(' ').unwrap();
    let header = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let named = if kind == "event" { header(":event-type", name) } else { header(":exception-type", name) };
    let message = Message::new(payload.to_owned()).add_header(named).add_header(header(":message-type", kind));
    let mut bytes = Vec::new();
    aws_smithy_eventstream::frame::write_message_to(&message, &mut bytes).unwrap();
    bytes
}

/// A model's own events in binary messages are its dialect's frames, and an exception among them is
/// an error with its own status (rule E2); so are the service's error responses.
#[tokio::test]
async fn binary_messages_may_wrap_events() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let chunk = |own: &str| message("event chunk", &format!(r#"{{"bytes":"{}","p":"ab"}}"#, STANDARD.encode(own)));
    let ask = async |head: &'static str, body: Vec<u8>, stream: bool| {
        let url = upstream(vec![[head.as_bytes(), &body].concat()]).await;
        let dialect = Dialect::Anthropic;
        transport().call(Call { dialect, ..call(&url, stream, plain()) }).await
    };
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nconnection: close\r\n\r\n";
    let start = r#"{"type":"message_start","message":{}}"#;
    let slow = || message("exception throttlingException", r#"{"message":"Slow down."}"#);

    let url_body = [chunk(r#"{"type":"ping"}"#), chunk(start), slow()].concat();
    let ReplyBody::Frames(frames) = ask(stream, url_body, true).await.unwrap().body else { panic!() };
    let frames: Vec<_> = frames.collect().await;
    let first = frames[0].as_ref().unwrap();
    assert_eq!((first.event.as_deref(), &*first.data), (Some(&b"message_start"[..]), start.as_bytes()));
    let Some(Err(Error::Upstream(error))) = frames.get(1) else { panic!("{frames:?}") };
    assert_eq!((error.class, error.message.as_str()), (Class::RateLimit, "Slow down."));
    assert_eq!(frames.len(), 2);

    assert_eq!(failed(ask(stream, slow(), true).await).status(), StatusCode::TOO_MANY_REQUESTS);
    let refused =
        http("400 Bad Request", "x-amzn-errortype: ValidationException\r\n", br#"{"message":"Input is too long."}"#);
    let error = failed(ask("", refused, false).await);
    assert_eq!(
        (error.message().as_str(), error.kind().code.as_deref()),
        ("Input is too long.", Some("context_length_exceeded"))
    );
}
