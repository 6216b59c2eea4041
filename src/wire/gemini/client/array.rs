//! The vendor's other form of a stream: without `alt=sse` the chunks are the items of one JSON array,
//! written as they come.
//!
//! The stream is made as events like any other and turned into the array on its last step, where signs
//! of life (white space) and errors (one more item) must fit what went before.
//!
//! Source: "Generating content" (ai.google.dev/api, read November 2026) and recorded traffic.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::{super::Gemini, error};
use crate::{
    call::Dialect,
    error::{Error, Result},
    framing::sse::Framer,
    ir,
    wire::{Asked, ClientDialect, Minder, Relay, StreamEncoder, Tally},
};

/// The dialect to clients that take a stream as an array.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listed;

impl ClientDialect for Listed {
    fn dialect(&self) -> Dialect {
        Gemini.dialect()
    }

    fn decode(&self, body: &[u8]) -> Result<ir::Request> {
        Gemini.decode(body)
    }

    fn encode(&self, response: &ir::Response, asked: &Asked) -> Bytes {
        Gemini.encode(response, asked)
    }

    fn encoder(&self, asked: Asked) -> Box<dyn StreamEncoder> {
        Gemini.encoder(asked)
    }

    fn relay(&self, asked: &Asked) -> Box<dyn Relay> {
        Gemini.relay(asked)
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        Gemini.pass(body)
    }

    fn error(&self, error: &Error, id: Uuid) -> Bytes {
        Gemini.error(error, id)
    }

    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes {
        Array::new(id).error_frame(error)
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(SPACE)
    }

    fn minder(&self, id: Uuid) -> Option<Box<dyn Minder>> {
        Some(Box::new(Array::new(id)))
    }

    fn stream_type(&self) -> &'static str {
        "application/json; charset=utf-8"
    }

    fn answer_id(&self, call: Uuid) -> String {
        Gemini.answer_id(call)
    }
}

/// What JSON may have between any two of its tokens.
const SPACE: &[u8] = b"\r\n";

/// Events on their way into one array.
#[derive(Debug)]
struct Array {
    id: Uuid,
    events: Framer,
    begun: bool,
    ended: bool,
}

// === impl Array ===

impl Array {
    fn new(id: Uuid) -> Self {
        // What comes here is our own, and bounded where it was read.
        Self { id, events: Framer::new(usize::MAX), begun: false, ended: false }
    }

    fn item(&mut self, json: &[u8], out: &mut BytesMut) {
        out.extend_from_slice(if std::mem::replace(&mut self.begun, true) { b",\r\n" } else { b"[" });
        out.extend_from_slice(json);
    }

    fn close(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.ended, true) {
            out.extend_from_slice(if self.begun { b"\r\n]\r\n" } else { b"[]\r\n" });
        }
    }
}

impl Minder for Array {
    fn sends(&mut self, bytes: Bytes) -> Bytes {
        let mut out = BytesMut::with_capacity(bytes.len() + 8);
        self.events.push(bytes);
        while let Some(Ok(frame)) = self.events.next() {
            self.item(&frame.data, &mut out);
        }
        out.freeze()
    }

    fn keep_alive(&mut self) -> Bytes {
        Bytes::from_static(SPACE)
    }

    fn error_frame(&mut self, error: &Error) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        self.item(&error::body(error, self.id), &mut out);
        self.close(&mut out);
        out.freeze()
    }

    fn ends(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        self.close(&mut out);
        out.freeze()
    }
}
