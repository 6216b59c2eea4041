//! Anthropic Messages, as clients speak it.
//!
//! A request is read by `request` with one file per subject (`turns`, `media`, `tools`, `options`);
//! an answer is written whole by `message` or event by event by `encoder`, with `serial` to keep the
//! blocks apart. Where the upstream speaks the dialect too, `relay` lets its bytes pass and `mend`
//! takes out of the request what the vendor would refuse.
//!
//! Source: the vendor's API reference and guides (platform.claude.com/docs, read November 2026),
//! and what its SDKs of the same month do with them.

mod encoder;
mod error;
#[cfg(test)]
#[path = "../../../../tests/shared/messages_lifecycle.rs"]
mod lifecycle;
mod media;
mod mend;
mod message;
mod options;
mod pieces;
mod relay;
mod request;
mod serial;
mod signature;
#[cfg(test)]
mod tests;
mod tools;
mod turns;
mod usage;

use bytes::Bytes;
use uuid::Uuid;

use super::Anthropic;
use crate::{
    call::Dialect,
    error::{Error, Result},
    ir,
    wire::{Asked, ClientDialect, Relay, StreamEncoder, Tally, json::Edits},
};

impl ClientDialect for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn decode(&self, body: &[u8]) -> Result<ir::Request> {
        request::decode(body)
    }

    fn encode(&self, response: &ir::Response, asked: &Asked) -> Bytes {
        message::encode(response, asked)
    }

    fn encoder(&self, asked: Asked) -> Box<dyn StreamEncoder> {
        Box::new(encoder::Encoder::new(asked))
    }

    fn pass_on(&self, body: &mut Edits<'_>) {
        mend::mend(body);
    }

    fn relay(&self, _: &Asked) -> Box<dyn Relay> {
        Box::new(relay::Passthrough::default())
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        relay::whole(body)
    }

    fn error(&self, error: &Error, id: Uuid) -> Bytes {
        error::body(error, id)
    }

    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes {
        error::frame(error, id)
    }

    /// The vendor's own; its SDKs pass over it, even before the message has begun (rule S7).
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
    }

    fn spelled<'a>(&self, field: &'a str) -> std::borrow::Cow<'a, str> {
        crate::wire::spelled::spelled(field, crate::wire::spelled::MESSAGES)
    }

    /// Its answers have no images.
    fn shows_image(&self, _: &crate::ir::Source) -> bool {
        false
    }

    fn answer_id(&self, call: Uuid) -> String {
        format!("msg_{}", call.simple())
    }
}
