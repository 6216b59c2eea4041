//! Event streams taken apart and put together again, and answers that pass without being kept: an
//! upstream's own, told under ids that lead back to it (rule P4).

use std::sync::Arc;

use async_stream::stream;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;

use super::{fold::Event, ids};
use crate::{
    call::ByteStream,
    error::{Error, Result},
    framing::{DEFAULT_MAX_FRAME_BYTES, Frame, Framer, Framing},
    store::Status,
    wire::json::Object,
};

/// A stream of bytes, cut into its events.
pub(super) struct Events {
    inner: ByteStream,
    framer: Framer,
    is_over: bool,
}

impl Events {
    pub(super) fn new(inner: ByteStream) -> Self {
        Self { inner, framer: Framing::Sse.framer(DEFAULT_MAX_FRAME_BYTES), is_over: false }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            match self.framer.next() {
                Some(Ok(frame)) => return Some(Ok(frame)),
                Some(Err(_)) => {
                    self.is_over = true;
                    return Some(Err(Error::Interrupted { message: "An event is too large.".into() }));
                }
                None => {}
            }
            if self.is_over {
                return None;
            }
            match self.inner.next().await {
                Some(Ok(bytes)) => self.framer.push(bytes),
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => {
                    self.is_over = true;
                    return self.framer.finish().map(Ok);
                }
            }
        }
    }
}

/// The event that ends a stream with this object.
pub(super) fn last_event(kind: &str, number: i64, response: &str) -> Bytes {
    let data = format!(r#"{{"type":"{kind}","sequence_number":{number},"response":{response}}}"#);
    written(Some(kind), data.as_bytes())
}

/// The event that a response of this status ends with.
pub(super) fn last_kind(status: Status) -> &'static str {
    match status {
        Status::Completed => "response.completed",
        Status::Failed => "response.failed",
        Status::Incomplete => "response.incomplete",
        Status::Cancelled => "response.cancelled",
        Status::Queued => "response.queued",
        Status::InProgress => "response.in_progress",
    }
}

pub(super) fn written(kind: Option<&str>, data: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 64);
    if let Some(kind) = kind {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
    out.into()
}

/// What an upstream keeps, told under ids of ours (rule P4).
#[derive(Debug, Clone)]
pub(super) struct There {
    pub key: ids::IdKey,
    pub caller: Arc<str>,
    pub provider: String,
}

// === impl There ===

impl There {
    pub(super) fn wrap(&self, id: &str) -> String {
        ids::wrap(&self.key, &self.caller, &self.provider, id)
    }

    /// A response object, or a list of items, with ids and encrypted texts that lead back.
    pub(super) fn body(&self, body: &str) -> String {
        let sealed = ids::seal(body, &self.provider);
        let body = sealed.as_deref().unwrap_or(body);
        let Ok(object) = Object::parse_str(body) else { return body.to_owned() };
        let is_response = object.get("object").is_some_and(|kind| kind.get().starts_with("\"response"));
        if !is_response {
            return body.to_owned();
        }
        let mut edits = object.edit();
        for field in ["id", "previous_response_id"] {
            let id = edits.get(field).and_then(|id| serde_json::from_str::<Option<String>>(id).ok().flatten());
            if let Some(id) = id {
                edits.set(field, json!(self.wrap(&id)).to_string());
            }
        }
        edits.apply()
    }

    pub(super) fn stream(self, inner: ByteStream) -> ByteStream {
        let mut events = Events::new(inner);
        Box::pin(stream! {
            while let Some(event) = events.next().await {
                yield event.map(|frame| self.event(&frame));
            }
        })
    }

    fn event(&self, frame: &Frame) -> Bytes {
        let text = String::from_utf8_lossy(&frame.data);
        let Some(event) = Event::parse(&frame.data) else { return written(None, text.as_bytes()) };
        let Some(response) = event.response else {
            let sealed = ids::seal(&text, &self.provider);
            return written(Some(&event.kind), sealed.as_deref().unwrap_or(&text).as_bytes());
        };
        let Ok(object) = Object::parse_str(&text) else { return written(Some(&event.kind), text.as_bytes()) };
        let mut edits = object.edit();
        edits.set("response", self.body(response.get()));
        written(Some(&event.kind), edits.apply().as_bytes())
    }
}

/// Seals what a target has encrypted, in a stream that nobody keeps.
pub(super) fn sealed(mut inner: ByteStream, maker: String) -> ByteStream {
    Box::pin(stream! {
        while let Some(item) = inner.next().await {
            yield item.map(|bytes| {
                let text = std::str::from_utf8(&bytes).ok();
                text.and_then(|text| ids::seal(text, &maker)).map_or(bytes.clone(), Bytes::from)
            });
        }
    })
}
