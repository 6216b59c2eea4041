//! The dialect as clients speak it.
//!
//! `request` and `input` read a question into the canonical form, `encoder` writes a stream and
//! `response` a whole answer, `relay` lets the bytes of an upstream of the same dialect pass,
//! `minder` keeps a quiet stream alive and ends one that failed.
//!
//! What a request goes on from and whether its answer is kept is the endpoint's business: what is
//! decoded here stands on its own. The answer says back the settings of
//! [`crate::wire::Asked::request`], and has the id of the call.

mod echo;
mod encoder;
mod events;
mod input;
mod items;
mod minder;
mod namespaces;
mod numbered;
mod parts;
mod relay;
mod request;
mod response;
mod serial;
mod shown;
#[cfg(test)]
mod tests;
mod tools;

use bytes::Bytes;
use uuid::Uuid;

use super::OpenAiResponses;
use crate::{
    call::Dialect,
    error::{Error, Result},
    ir,
    wire::{
        Asked, ClientDialect, Minder, Origin, Relay, StreamEncoder, Tally, json::Edits, openai_chat::OpenAiChat, sealed,
    },
};

impl ClientDialect for OpenAiResponses {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiResponses
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

    fn relay(&self, _asked: &Asked) -> Box<dyn Relay> {
        Box::new(relay::Passthrough::default())
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        relay::pass(body)
    }

    /// The same body as that of chat completions.
    fn error(&self, error: &Error, id: Uuid) -> Bytes {
        OpenAiChat.error(error, id)
    }

    /// For a stream that nobody minds.
    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes {
        minder::Numbered::new(self.answer_id(id)).error_frame(error)
    }

    /// The same: a comment line, without the blank line that would make an event of it.
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(minder::COMMENT)
    }

    fn minder(&self, id: Uuid) -> Option<Box<dyn Minder>> {
        Some(Box::new(minder::Numbered::new(self.answer_id(id))))
    }

    fn spelled<'a>(&self, field: &'a str) -> std::borrow::Cow<'a, str> {
        crate::wire::spelled::spelled(field, crate::wire::spelled::RESPONSES)
    }

    /// An image stands in an item by its data.
    fn shows_image(&self, source: &crate::ir::Source) -> bool {
        matches!(source, crate::ir::Source::Base64 { .. })
    }

    fn answer_id(&self, call: Uuid) -> String {
        format!("resp_{}", call.simple())
    }

    /// Reasoning that another upstream made and the gateway sealed is nothing this one could read.
    fn pass_on(&self, body: &mut Edits<'_>) {
        relay::strip_sealed(body);
    }

    fn made_by(&self, body: &[u8]) -> Option<Origin> {
        sealed::origin(body)
    }
}
