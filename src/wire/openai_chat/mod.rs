//! OpenAI chat completions, as clients speak it and as OpenAI and every compatible vendor do.
//!
//! To a client the reference is kept to the letter (openai-openapi spec 2.3.0 of August 2026, SDK
//! sources of November 2026); from an upstream nearly everything is taken, because compatible
//! servers leave out, rename and misplace nearly everything.

mod answer;
mod chunk;
mod custom;
mod decoder;
mod encoder;
mod error;
mod extra_content;
pub(in crate::wire) mod finish;
mod images;
mod in_band;
mod lenient;
mod logprobs;
mod messages;
mod names;
mod parts;
mod passthrough;
pub(in crate::wire) mod request;
mod response;
mod said;
#[cfg(test)]
mod tests;
mod think;
mod tools;
mod upstream_error;
mod upstream_messages;
mod upstream_request;
pub mod usage;

pub use self::passthrough::{Passthrough, unary};
pub(in crate::wire) use self::{
    in_band::{error_event, failed_finish},
    passthrough::{event, forward},
    response::Counts,
};
pub use in_band::in_band_error;
pub use usage::{leading_usage, usage};

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use memchr::memmem::Finder;
use uuid::Uuid;

use super::{Asked, ClientDialect, Encoded, Facts, Memo, Relay, StreamDecoder, StreamEncoder, Tally, UpstreamDialect};
use crate::{
    call::Dialect,
    error::{Error, Result, UpstreamError},
    framing::Frame,
    ir,
};

/// The frame that ends every stream of this dialect.
const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Debug, Clone, Copy)]
pub struct OpenAiChat;

impl ClientDialect for OpenAiChat {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
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

    fn relay(&self, asked: &Asked) -> Box<dyn Relay> {
        Box::new(Passthrough::new(asked.include_usage).standing_in(asked))
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        unary(body)
    }

    /// The dialect's errors name no call; a header does.
    fn error(&self, error: &Error, _: Uuid) -> Bytes {
        error::body(error)
    }

    fn error_frame(&self, error: &Error, _: Uuid) -> Bytes {
        error::frame(error)
    }

    /// A comment line, without the blank line that would make an event of it: some SDKs would then
    /// parse empty data (rule S7).
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": keepalive\n")
    }

    fn answer_id(&self, call: Uuid) -> String {
        format!("chatcmpl-{}", call.simple())
    }
}

/// What a whole answer holds, and then what only one with an error does. Made once: to make a
/// searcher takes longer than to search an answer.
static WORDS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["\"choices\"", "\"error\"", "base_resp", "x_groq"].map(Finder::new));

impl UpstreamDialect for OpenAiChat {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        upstream_request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        answer::decode(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(decoder::Decoder::new(memo))
    }

    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        upstream_error::read(status, headers, body)
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        passthrough::accepts(frame)
    }

    /// Beside the word itself, MiniMax's and Groq's own places for an error are looked for, and an
    /// answer without choices.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let [choices, words @ ..] = &*WORDS;
        if is_object && choices.find(body).is_some() && words.iter().all(|word| word.find(body).is_none()) {
            return Ok(());
        }
        UpstreamDialect::decode(self, body, &Memo::default()).map(drop)
    }
}
