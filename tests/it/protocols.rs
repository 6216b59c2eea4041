//! HTTP/2 on both sides without TLS, and IPv6.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{
    Gateway, client,
    gateway::Process,
    openai::{ask, says},
    until, within,
};

/// An upstream that knows HTTP/2 alone and streams an answer to whatever it is asked.
async fn h2_upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request: Request<Incoming>| {
                assert_eq!(request.version(), Version::HTTP_2);
                let body = Full::new(Bytes::from(says("over two").concat()));
                let response = Response::builder().header("content-type", "text/event-stream").body(body);
                Ok::<_, Infallible>(response.unwrap())
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new()).http2_only();
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    addr
}

/// Design section 6: HTTP/2 with prior knowledge, from the client and to a provider with `http2`.
#[tokio::test]
async fn http2_on_both_sides() {
    let upstream = h2_upstream().await;
    let provider =
        format!("[providers.up]\ntype = \"openai-compatible\"\nbase-url = \"http://{upstream}/v1\"\nhttp2 = true\n");
    let gateway = Gateway::start(&provider).await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("http://{}/v1/chat/completions", gateway.addr))
        .header("content-type", "application/json")
        .body(Full::new(ask("up/m", true).to_string().into()));
    let reply = within("an answer", client.request(request.unwrap())).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, Version::HTTP_2));
    assert_eq!(reply.headers()["content-type"], "text/event-stream; charset=utf-8");
    let body = within("its end", reply.into_body().collect()).await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("over two") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

/// M1, L5: a refusal over HTTP/2 arrives, however much of the request is still on its way.
#[tokio::test]
async fn a_refusal_arrives_over_http2() {
    let gateway = Gateway::start("[server]\nbody-limit = \"1MiB\"\n").await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for (status, path) in [(413, "/v1/chat/completions"), (404, "/v1/nothing")] {
        let request = Request::post(format!("http://{}{path}", gateway.addr))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(vec![b' '; 8 << 20])));
        let reply = within("an answer", client.request(request.unwrap())).await.unwrap();
        assert_eq!(reply.status().as_u16(), status, "{path}");
        let body = within("its end", reply.into_body().collect()).await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"error\":"), "{path}: {body:?}");
    }
}

/// The loopback address of IPv6 is served without keys like that of IPv4, and announced so that
/// it can be pasted.
#[tokio::test]
async fn ipv6_loopback_is_served() {
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        println!("not tested, this machine has no IPv6 loopback: {error}");
        return;
    }
    let process = Process::run(&["--listen", "[::1]:0", "--no-probe"], None, &[]);
    let addr = until("the gateway to say where it is", async || {
        let log = process.log();
        let (_, rest) = log.split_once("http://[::1]:")?;
        let port = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        format!("[::1]:{port}").parse::<SocketAddr>().ok().filter(|addr| addr.port() != 0)
    })
    .await;
    let body = ask("builtin/echo", false).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let reply = client::Client::send(addr, &head, body.as_bytes()).await.whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["object"], Value::from("chat.completion"));
}
