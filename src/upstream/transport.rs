//! Sends one request and accepts one answer.
//!
//! The response future resolves late on purpose: a failure status has become a typed error, a
//! unary body has been read whole, and a stream has shown its first event, so that retry, fallback
//! and an honest status are possible until the last moment (design section 6.3).
//!
//! Not here: connections (`clients`), clocks, retries, keys.
//!
//! Cost per request: what `clients` takes, and a boxed future; the answer's bytes are shared.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{StatusCode, header};
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use tower::Service;

pub use super::clients::Clients;
use super::{
    decoded,
    frames::{BodyFrames, interrupted},
    played,
};
use crate::{
    call::{Call, Connection, Expects, Reply, ReplyBody},
    error::{Clock, Error, Result},
    framing::{Frame, Framing},
    providers::{self, builtin},
    wire::{self, bedrock},
};

/// An error body is read up to here. Some servers quote the whole request in it, and what is cut off is
/// no JSON any more.
const MAX_ERROR_BYTES: usize = 1024 * 1024;

/// For an error's body to come. Its status is known, and nobody shall wait for words that do not.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

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

async fn exchange(transport: Transport, mut call: Call) -> Result<Reply> {
    call.attempts.add();
    if call.request.uri().scheme_str() == Some(builtin::SCHEME) {
        return Box::pin(played::exchange(call, transport.bounds)).await;
    }
    let request = std::mem::take(&mut call.request);
    let (mut head, body) = transport.clients.send(&call.target.connection, request).await?.into_parts();
    // What is unusual apart, so that the usual way does not carry the room for it.
    match decoded::take(&mut head) {
        Ok(None) if call.stream && is_json(&head) && head.status.is_success() => {
            Box::pin(receive_unsure(&call, head, body, transport.bounds)).await
        }
        Ok(None) => receive(&call, head, body, transport.bounds).await,
        Ok(Some(coding)) => Box::pin(receive(&call, head, decoded::decode(body, coding), transport.bounds)).await,
        // Its status says enough.
        Err(_) if !head.status.is_success() => {
            Box::pin(receive(&call, head, http_body_util::Empty::new(), transport.bounds)).await
        }
        Err(error) => Err(error),
    }
}

/// Receives what is called JSON though a stream was asked for: some servers call their events so too.
async fn receive_unsure<B>(call: &Call, mut head: http::response::Parts, body: B, bounds: Bounds) -> Result<Reply>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send,
{
    let (begins, body) = begun(body).await;
    let is_field = matches!(begins, Some(b':' | b'd' | b'e' | b'i' | b'r'));
    if is_field && wire::upstream(call.dialect).framing() == Framing::Sse {
        head.headers.remove(header::CONTENT_TYPE);
    }
    receive(call, head, body, bounds).await
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
        let text = tokio::time::timeout(ERROR_PATIENCE, read(body, MAX_ERROR_BYTES, Overrun::Cut)).await;
        let text = text.ok().and_then(Result::ok).unwrap_or_default();
        // Bedrock words its errors its own way, whatever dialect the request was in.
        let error = match bedrock::error::is_ours(&head.headers) {
            true => bedrock::error::read(head.status, &head.headers, &text),
            false => dialect.error(head.status, &head.headers, &text),
        };
        return Err(providers::refine(&call.target.kind, error.into()));
    }
    if !call.stream || is_json(&head) {
        let whole = read(body, bounds.max_reply_bytes, Overrun::Fail).await?;
        let accepted = match call.expects {
            Expects::Answer => dialect.accepts_whole(&whole),
            Expects::Document => dialect.accepts_document(&whole),
        };
        accepted.map_err(|error| providers::refine(&call.target.kind, error))?;
        return Ok(Reply { head, body: ReplyBody::Whole(whole) });
    }
    let mut frames = frames_of(call, &head, body, bounds.max_frame_bytes);
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
        if frame.is_sign() {
            continue;
        }
        if dialect.accepts(&frame).map_err(|error| providers::refine(&call.target.kind, error))? {
            return Ok(frame);
        }
    }
}

/// The frames of a stream. A dialect of server-sent events may come in binary messages too, each of
/// which then wraps one event.
fn frames_of<B>(call: &Call, head: &http::response::Parts, body: B, max_frame_bytes: usize) -> BodyFrames<B> {
    let framing = wire::upstream(call.dialect).framing();
    if framing == Framing::Sse && has_type(head, b"application/vnd.amazon.eventstream") {
        return BodyFrames::new(body, Framing::EventStream, max_frame_bytes).unwrapped(bedrock::chunks::unwrap);
    }
    BodyFrames::new(body, framing, max_frame_bytes)
}

fn is_json(head: &http::response::Parts) -> bool {
    has_type(head, b"application/json")
}

/// Whether the body is of this type, parameters aside.
fn has_type(head: &http::response::Parts, kind: &[u8]) -> bool {
    let start = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().get(..kind.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// Waits for a body's first bytes that are no white space, and gives it back with them in front.
async fn begun<B>(body: B) -> (Option<u8>, impl http_body::Body<Data = Bytes, Error = B::Error> + Send + 'static)
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    let mut pieces = Box::pin(BodyDataStream::new(body));
    let (mut begins, mut first) = (None, None);
    while first.is_none() {
        let Some(piece) = pieces.next().await else { break };
        begins = piece.as_ref().ok().and_then(|piece| piece.trim_ascii_start().first().copied());
        first = Some(piece).filter(|piece| begins.is_some() || piece.is_err());
    }
    let pieces = futures_util::stream::iter(first).chain(pieces);
    (begins, StreamBody::new(pieces.map_ok(http_body::Frame::data)))
}

/// What becomes of a body that does not end well.
#[derive(Clone, Copy, PartialEq)]
enum Overrun {
    /// What there is of it will do.
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
        let frame = match frame {
            Ok(frame) => frame,
            Err(_) if overrun == Overrun::Cut => break,
            Err(error) => return Err(interrupted(&error)),
        };
        let Ok(mut piece) = frame.into_data() else { continue };
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

// === impl Clients ===

impl Clients {
    /// A plain GET for the model lists and reachability checks; calls no model (rule K6).
    /// Waits up to `patience` for everything together.
    pub async fn fetch(
        &self,
        connection: &Connection,
        request: http::Request<Bytes>,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes)> {
        let fetched = async {
            let (head, body) = self.send(connection, request).await?.into_parts();
            Ok((head.status, read(body, MAX_LIST_BYTES, Overrun::Fail).await?))
        };
        tokio::time::timeout(patience, fetched).await.unwrap_or(Err(Error::Timeout(Clock::Total)))
    }
}

#[cfg(test)]
mod tests;
