//! A client that sees every byte and when it came, and leaves when it likes.

use std::{net::SocketAddr, time::Instant};

use serde_json::Value;
use tokio::net::TcpStream;

use super::{
    http::{self, Body, Head, Reader},
    within,
};

/// A connection to the gateway with an answer under way. Dropping it is leaving.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    reader: Reader,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// An answer that is still coming.
#[derive(Debug)]
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    pub(crate) head: Head,
    stream: &'c TcpStream,
    body: Body<'c>,
    /// All that came so far.
    pub(crate) seen: Vec<u8>,
}

// === impl Client ===

impl Client {
    /// Sends a request and does not wait for anything.
    pub(crate) async fn send(addr: SocketAddr, head: &str, body: &[u8]) -> Self {
        let stream = within("a connection", TcpStream::connect(addr)).await.expect("the gateway listens");
        let _ = stream.set_nodelay(true);
        // A request that is refused early may be answered and closed before it was sent.
        let _ = http::write(&stream, &[head.as_bytes(), body].concat()).await;
        Self { stream, reader: Reader::default() }
    }

    /// The head of the answer.
    pub(crate) async fn answer(&mut self) -> Answer<'_> {
        let head = within("an answer", self.reader.head(&self.stream)).await;
        let head = head.expect("an answer's head").expect("an answer and no close");
        let status = head.line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let body = self.reader.body(&head, false);
        Answer { status, head, stream: &self.stream, body, seen: Vec::new() }
    }

    /// The whole answer.
    pub(crate) async fn whole(mut self) -> Reply {
        let answer = self.answer().await;
        answer.whole().await
    }
}

// === impl Answer ===

impl Answer<'_> {
    /// The next bytes as they come; `None` at the proper end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        let piece = within("the next bytes", self.body.next(self.stream)).await.expect("a body that ends properly")?;
        self.seen.extend_from_slice(&piece);
        Some(piece)
    }

    /// Reads until `text` has come, and says when.
    pub(crate) async fn until(&mut self, text: &str) -> Instant {
        while http::find(&self.seen, text.as_bytes()).is_none() {
            let piece = self.next().await;
            assert!(piece.is_some(), "{text:?} never came; seen: {}", String::from_utf8_lossy(&self.seen));
        }
        Instant::now()
    }

    pub(crate) async fn whole(mut self) -> Reply {
        while self.next().await.is_some() {}
        Reply { status: self.status, head: self.head, body: self.seen }
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The data of each event, as an event-stream client would join it. Comments are skipped.
    pub(crate) fn data(&self) -> Vec<String> {
        data(&self.text())
    }

    /// The JSON of each event but `[DONE]`, which must be the last.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let mut data = self.data();
        assert_eq!(data.pop().as_deref(), Some("[DONE]"), "the stream ends with [DONE]: {}", self.text());
        data.iter().map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
    }

    /// The text the client has read, all content deltas joined.
    pub(crate) fn content(&self) -> String {
        let chunks = self.chunks();
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/content").and_then(Value::as_str)).collect()
    }

    /// The `error` object, whose four members must be there.
    pub(crate) fn error(&self) -> Value {
        let body = self.json();
        let error = body.get("error").unwrap_or_else(|| panic!("no error in {body}")).clone();
        for member in ["message", "type", "param", "code"] {
            assert!(error.get(member).is_some(), "{member} is missing in {error}");
        }
        error
    }
}

fn data(text: &str) -> Vec<String> {
    let mut events = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("data:") {
            Some(data) => lines.push(data.strip_prefix(' ').unwrap_or(data)),
            None if line.is_empty() && !lines.is_empty() => events.push(std::mem::take(&mut lines).join("\n")),
            None => {}
        }
    }
    assert!(lines.is_empty(), "the last event has no blank line: {text:?}");
    events
}
