//! The scripted upstream and the client, face to face: what the other modules build on is true.

use std::{io::ErrorKind, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    Client, Gate, Script, Upstream,
    http::write,
    openai::{DONE, c, says},
};

const ASK: &str = "POST /v1/x?y=z HTTP/1.1\r\nHost: up\r\ncontent-length: 2\r\n\r\n";

/// A request is recorded byte for byte, and a stream arrives chunk by chunk.
#[tokio::test]
async fn a_stream_is_served_and_its_request_recorded() {
    let gate = Gate::closed();
    let upstream = Upstream::scripted([Script::sse().frame(c("a")).gate(&gate).frame(DONE).end()]).await;
    let mut client = Client::send(upstream.addr(), ASK, b"{}").await;
    let mut answer = client.answer().await;
    answer.until("\"a\"").await;
    assert!(!String::from_utf8_lossy(&answer.seen).contains("DONE"));
    gate.open();
    let reply = answer.whole().await;
    assert_eq!(reply.chunks().len(), 1);
    let request = upstream.request(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/x?y=z"));
    assert_eq!(request.header("host"), Some("up"));
    assert_eq!(request.text(), "{}");
}

/// A chunked request and two answers on one connection; then the close of an HTTP/1.0 answer.
#[tokio::test]
async fn connections_are_kept_and_closed_as_scripted() {
    let first = Script::body(200, &[], b"one");
    let upstream = Upstream::scripted([first, Script::sse_http10().slowly(says("two").concat())]).await;
    let mut stream = TcpStream::connect(upstream.addr()).await.unwrap();
    let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    write(&stream, format!("{chunked}{ASK}{{}}").as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("one") && said.contains("two") && said.ends_with(DONE), "{said}");
    let exchanges = upstream.exchanges();
    assert_eq!(exchanges[0].request.text(), "{}");
    assert_eq!(exchanges[0].connection, exchanges[1].connection);
}

/// A cut is a reset, and no clean end.
#[tokio::test]
async fn a_cut_is_a_reset() {
    let upstream = Upstream::scripted([Script::sse().frame(c("a")).wait(Duration::from_millis(20)).cut()]).await;
    let mut stream = TcpStream::connect(upstream.addr()).await.unwrap();
    write(&stream, format!("{ASK}{{}}").as_bytes()).await.unwrap();
    let end = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// A client that leaves is noticed, whatever the script waits for.
#[tokio::test]
async fn leaving_is_noticed() {
    let upstream = Upstream::scripted([Script::silent(), Script::sse().repeat(c("a"), Duration::from_millis(5))]).await;
    for index in 0..2 {
        let client = Client::send(upstream.addr(), ASK, b"{}").await;
        upstream.asked(index).await;
        drop(client);
        upstream.closed(index).await;
    }
}

/// A script nobody asked for fails the test.
#[tokio::test]
#[should_panic(expected = "1 scripts were not asked for")]
async fn an_unused_script_fails_the_test() {
    drop(Upstream::scripted([Script::silent()]).await);
}

/// So does a request without a script.
#[tokio::test]
#[should_panic(expected = "no script for POST /v1/x?y=z")]
async fn a_request_without_a_script_fails_the_test() {
    let upstream = Upstream::scripted([]).await;
    let mut stream = TcpStream::connect(upstream.addr()).await.unwrap();
    write(&stream, format!("{ASK}{{}}").as_bytes()).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// And an answer that was left before its last frame.
#[tokio::test]
#[should_panic(expected = "1 frames unsaid")]
async fn an_answer_that_was_left_early_fails_the_test() {
    let upstream = Upstream::scripted([Script::sse().gate(&Gate::closed()).frame(c("a")).end()]).await;
    let client = Client::send(upstream.addr(), ASK, b"{}").await;
    upstream.asked(0).await;
    drop(client);
    upstream.closed(0).await;
}
