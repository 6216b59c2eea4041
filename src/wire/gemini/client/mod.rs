//! Gemini's `generateContent` and its stream, as clients speak it.
//!
//! A request is read by `request` with one file per subject (`contents`, `parts`, `tools`, `schema`,
//! `config`), under either spelling of its names (`fields`). An answer is put together by `speech`,
//! part by part, and written whole by `response` or chunk by chunk by `encoder`. Where the upstream
//! speaks the dialect too, `relay` lets its bytes pass, and `mend` takes out of the request what
//! Google would refuse. What other vendors sign travels in `thoughtSignature` (`thoughts`). Embeddings
//! are a matter of their own (`embed`).
//!
//! The vendor streams in two forms, one behind `alt=sse` and a JSON array without it; [`Listed`] is
//! the dialect in the second one.
//!
//! The model, and whether the answer is streamed, stand in the path: what is decoded here has neither.
//!
//! Source: the API reference and guides (ai.google.dev, read November 2026), its protobuf definitions,
//! and what its SDKs in Python (3.6) and JavaScript (3.3) send and read.

mod answer;
mod array;
mod config;
mod contents;
pub mod embed;
mod encoder;
mod error;
mod fields;
mod mend;
mod parts;
mod relay;
mod request;
mod response;
mod schema;
mod sources;
mod speech;
#[cfg(test)]
mod tests;
mod thoughts;
mod tools;
mod wrapped;

pub use self::{array::Listed, request::counted};

use bytes::Bytes;
use uuid::Uuid;

use super::Gemini;
use crate::{
    call::Dialect,
    error::{Error, Result},
    ir,
    wire::{Asked, ClientDialect, Relay, StreamEncoder, Tally, json::Edits},
};

impl ClientDialect for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn decode(&self, body: &[u8]) -> Result<ir::Request> {
        request::decode(body)
    }

    fn encode(&self, response: &ir::Response, asked: &Asked) -> Bytes {
        response::encode(response, asked)
    }

    fn encoder(&self, asked: Asked) -> Box<dyn StreamEncoder> {
        Box::new(encoder::Encoder::new(asked))
    }

    fn relay(&self, _: &Asked) -> Box<dyn Relay> {
        Box::new(relay::Passthrough::default())
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        relay::whole(body)
    }

    fn pass_on(&self, body: &mut Edits<'_>) {
        mend::mend(body);
    }

    fn error(&self, error: &Error, id: Uuid) -> Bytes {
        error::body(error, id)
    }

    /// As an event, and behind it the bare object, as the vendor sends it in mid-stream: SDKs of older
    /// lines (JavaScript up to 1.52) pass over the event and would take the answer for whole (rule E1). An
    /// object that no blank line ends is an error to them in any case.
    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes {
        let body = error::body(error, id);
        [&encoder::frame(&body), &body[..], b"\r\n"].concat().into()
    }

    /// Blank lines, which end no event. The vendor sends no signs of life, and its Python SDK takes a
    /// comment for a chunk that is no JSON (3.6, November 2026), while both SDKs pass over these (S7).
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"\r\n\r\n")
    }

    fn spelled<'a>(&self, field: &'a str) -> std::borrow::Cow<'a, str> {
        crate::wire::spelled::spelled(field, crate::wire::spelled::GEMINI)
    }

    fn answer_id(&self, call: Uuid) -> String {
        call.simple().to_string()
    }
}
