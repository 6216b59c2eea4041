//! Mock upstream speaking OpenAI chat completions. One thread, pre-serialised
//! bodies, so that it is never the bottleneck.
//!
//!   mock [--port 18080] [--h2-port 0] [--delay-ms 0] [--chunks 50] [--interval-ms 20]
//!
//! A request can override the defaults with a directive inside the prompt text,
//! which every gateway forwards unchanged:  [[chunks=50 interval=20 delay=0]]
//!
//! Every streamed content chunk carries `@T=<CLOCK_MONOTONIC ns, 19 digits>@` at the
//! start of delta.content (content survives gateways that re-serialise), so a receiver
//! on the same machine can compute the transit time of each chunk.
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper::{body::Incoming, header, service::service_fn, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{sleep_until, Instant, Sleep};

#[derive(Clone, Copy)]
struct Cfg {
    delay_ms: u64,
    chunks: u32,
    interval_ms: u64,
}

fn mono_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

const ANSWER: &str = concat!(
    r#"{"id":"chatcmpl-BenchMock00000000000000000001","object":"chat.completion","created":1760000000,"#,
    r#""model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#,
    "A gateway sits between applications and model providers. It accepts one request format, chooses a ",
    "provider, forwards the call, and returns the answer unchanged. Because every request passes through ",
    "it, the time and memory that it spends per request are paid by everyone, so they should be small. ",
    "Good gateways reuse connections, avoid copying bodies, and forward streamed tokens as soon as they ",
    "arrive, without waiting for a full buffer.",
    r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":123,"completion_tokens":87,"total_tokens":210,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"#,
    r#""completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"#,
    r#""service_tier":"default","system_fingerprint":"fp_bench00000"}"#
);
const HEAD: &str = concat!(
    r#"data: {"id":"chatcmpl-BenchMock00000000000000000001","object":"chat.completion.chunk","created":1760000000,"#,
    r#""model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_bench00000","choices":["#
);
/// The same answer in Anthropic's dialect.
const MESSAGE: &str = concat!(
    r#"{"id":"msg_BenchMock0000000001","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":""#,
    "A gateway sits between applications and model providers. It accepts one request format, chooses a ",
    "provider, forwards the call, and returns the answer unchanged. Because every request passes through ",
    "it, the time and memory that it spends per request are paid by everyone, so they should be small. ",
    "Good gateways reuse connections, avoid copying bodies, and forward streamed tokens as soon as they ",
    "arrive, without waiting for a full buffer.",
    r#""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":123,"cache_creation_input_tokens":0,"#,
    r#""cache_read_input_tokens":0,"output_tokens":87,"service_tier":"standard"}}"#
);
const MESSAGE_START: &str = concat!(
    "event: message_start\ndata: ",
    r#"{"type":"message_start","message":{"id":"msg_BenchMock0000000001","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"#,
    r#""stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":123,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
    "\n\nevent: content_block_start\ndata: ",
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
);
const MESSAGE_FINISH: &str = concat!(
    "event: content_block_stop\ndata: ",
    r#"{"type":"content_block_stop","index":0}"#,
    "\n\nevent: message_delta\ndata: ",
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":50}}"#
);
const MESSAGE_STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}";
const MODELS: &str = r#"{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1760000000,"owned_by":"mock"}]}"#;
const USAGE: &str = r#"],"usage":{"prompt_tokens":123,"completion_tokens":50,"total_tokens":173,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#;

/// Position of the first `"key"` whose value is true (whitespace allowed after the colon).
fn is_true(body: &[u8], key: &[u8]) -> bool {
    for p in memchr::memmem::find_iter(body, key) {
        let mut r = &body[p + key.len()..];
        while let [b' ' | b':' | b'\n' | b'\t', rest @ ..] = r {
            r = rest;
        }
        if r.starts_with(b"true") {
            return true;
        }
    }
    false
}

fn directives(body: &[u8], mut c: Cfg) -> Cfg {
    let Some(a) = memchr::memmem::find(body, b"[[") else { return c };
    let rest = &body[a + 2..];
    let Some(e) = memchr::memmem::find(&rest[..rest.len().min(128)], b"]]") else { return c };
    if let Ok(s) = std::str::from_utf8(&rest[..e]) {
        for kv in s.split(' ') {
            if let Some((k, v)) = kv.split_once('=') {
                let v: u64 = v.parse().unwrap_or(0);
                match k {
                    "chunks" => c.chunks = v as u32,
                    "interval" => c.interval_ms = v,
                    "delay" => c.delay_ms = v,
                    _ => {}
                }
            }
        }
    }
    c
}

struct Sse {
    sleep: Pin<Box<Sleep>>,
    next: Instant,
    waiting: bool,
    i: u32, // 0 = role chunk, 1..=n content, n+1 finish, n+2 usage, n+3 [DONE], then end
    n: u32,
    usage: bool,
    every: Duration,
    /// Anthropic's events instead of OpenAI's chunks.
    messages: bool,
}

/// The monotonic clock in 19 digits.
fn stamp(b: &mut BytesMut) {
    let mut d = [b'0'; 19];
    let mut v = mono_ns();
    for k in (0..19).rev() {
        d[k] = b'0' + (v % 10) as u8;
        v /= 10;
    }
    b.extend_from_slice(&d);
}

impl Body for Sse {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let me = &mut *self;
        if me.waiting {
            if me.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            me.waiting = false;
        }
        let mut b = BytesMut::with_capacity(512);
        let (i, n) = (me.i, me.n);
        me.i += 1;
        if (1..n).contains(&i) && !me.every.is_zero() {
            me.next += me.every;
            let at = me.next;
            me.sleep.as_mut().reset(at);
            me.waiting = true;
        }
        if i > n + 3 || (me.messages && i > n + 2) {
            return Poll::Ready(None);
        }
        if me.messages {
            if i == 0 {
                b.extend_from_slice(MESSAGE_START.as_bytes());
            } else if i <= n {
                b.extend_from_slice(b"event: content_block_delta\ndata: ");
                b.extend_from_slice(br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@T="#);
                stamp(&mut b);
                b.extend_from_slice(br#"@ word"}}"#);
            } else if i == n + 1 {
                b.extend_from_slice(MESSAGE_FINISH.as_bytes());
            } else {
                b.extend_from_slice(MESSAGE_STOP.as_bytes());
            }
        } else if i == 0 {
            b.extend_from_slice(HEAD.as_bytes());
            b.extend_from_slice(br#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}"#);
        } else if i <= n {
            b.extend_from_slice(HEAD.as_bytes());
            b.extend_from_slice(br#"{"index":0,"delta":{"content":"@T="#);
            stamp(&mut b);
            b.extend_from_slice(br#"@ word"},"logprobs":null,"finish_reason":null}]}"#);
        } else if i == n + 1 {
            b.extend_from_slice(HEAD.as_bytes());
            b.extend_from_slice(br#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#);
            if !me.usage {
                me.i += 1;
            }
        } else if i == n + 2 {
            b.extend_from_slice(HEAD.as_bytes());
            b.extend_from_slice(USAGE.as_bytes());
        } else {
            b.extend_from_slice(b"data: [DONE]");
        }
        b.extend_from_slice(b"\n\n");
        Poll::Ready(Some(Ok(Frame::data(b.freeze()))))
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

type Out = Response<Either<Full<Bytes>, Sse>>;

fn full(ct: &'static str, b: &'static str) -> Out {
    let mut r = Response::new(Either::Left(Full::new(Bytes::from_static(b.as_bytes()))));
    r.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(ct));
    r
}

async fn handle(req: Request<Incoming>, cfg: Cfg) -> Result<Out, hyper::Error> {
    if req.method() == Method::POST {
        let messages = req.uri().path().ends_with("/messages");
        let body = req.into_body().collect().await?.to_bytes();
        let c = directives(&body, cfg);
        if c.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(c.delay_ms)).await;
        }
        if is_true(&body, b"\"stream\"") {
            let now = Instant::now();
            let sse = Sse {
                sleep: Box::pin(sleep_until(now)),
                next: now,
                waiting: false,
                i: 0,
                n: c.chunks,
                usage: is_true(&body, b"\"include_usage\""),
                every: Duration::from_millis(c.interval_ms),
                messages,
            };
            let mut r = Response::new(Either::Right(sse));
            r.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream; charset=utf-8"));
            r.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
            return Ok(r);
        }
        return Ok(full("application/json", if messages { MESSAGE } else { ANSWER }));
    }
    if req.uri().path().ends_with("/models") {
        return Ok(full("application/json", MODELS));
    }
    Ok(full("application/json", r#"{"status":"ok"}"#))
}

fn listen(port: u16) -> tokio::net::TcpListener {
    let s = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    s.set_reuse_address(true).unwrap();
    s.set_nonblocking(true).unwrap();
    s.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("bind");
    s.listen(4096).unwrap();
    tokio::net::TcpListener::from_std(s.into()).unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let get = |k: &str, d: u64| -> u64 {
        a.iter().position(|x| x == k).and_then(|i| a.get(i + 1)).and_then(|v| v.parse().ok()).unwrap_or(d)
    };
    let cfg = Cfg { delay_ms: get("--delay-ms", 0), chunks: get("--chunks", 50) as u32, interval_ms: get("--interval-ms", 20) };
    let h2 = get("--h2-port", 0) as u16;
    if h2 != 0 {
        let l = listen(h2);
        tokio::spawn(async move {
            loop {
                let Ok((s, _)) = l.accept().await else { continue };
                let _ = s.set_nodelay(true);
                tokio::spawn(async move {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(10_000)
                        .serve_connection(TokioIo::new(s), service_fn(move |r| handle(r, cfg)))
                        .await;
                });
            }
        });
    }
    let l = listen(get("--port", 18080) as u16);
    loop {
        let Ok((s, _)) = l.accept().await else { continue };
        let _ = s.set_nodelay(true);
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(s), service_fn(move |r| handle(r, cfg)))
                .await;
        });
    }
}
