//! OpenAI's legacy completions: a text in, its continuation out, as clients speak it and as OpenAI
//! and compatible servers do (API reference, "Create completion", and the vendors' sources, read
//! November 2026).
//!
//! Where the upstream has the endpoint the bytes pass. Anywhere else the prompt is one user message
//! of a chat, and the answer's text comes back; what a chat cannot say is refused by name
//! ([`request`]). No chat is ever written in this dialect, so as an upstream's it only reads.

mod chunk;
mod decoder;
mod encoder;
mod relay;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use self::relay::Passthrough;
use super::{
    Asked, ClientDialect, Encoded, Facts, Memo, Relay, StreamDecoder, StreamEncoder, Tally, UpstreamDialect,
    openai_chat::OpenAiChat,
};
use crate::{
    call::Dialect,
    error::{Error, Result, UpstreamError},
    framing::Frame,
    ir,
};

/// The frame that ends every stream of this dialect.
const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Debug, Clone, Copy)]
pub struct OpenAiCompletions;

impl ClientDialect for OpenAiCompletions {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiCompletions
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
        Box::new(Passthrough::new(asked))
    }

    fn pass(&self, body: &Bytes) -> Result<(Bytes, Tally)> {
        whole::pass(body)
    }

    /// Errors and signs of life are those of every endpoint of OpenAI's.
    fn error(&self, error: &Error, id: Uuid) -> Bytes {
        ClientDialect::error(&OpenAiChat, error, id)
    }

    fn error_frame(&self, error: &Error, id: Uuid) -> Bytes {
        OpenAiChat.error_frame(error, id)
    }

    fn keep_alive(&self) -> Bytes {
        OpenAiChat.keep_alive()
    }

    /// Its answers have no images.
    fn shows_image(&self, _: &crate::ir::Source) -> bool {
        false
    }

    fn answer_id(&self, call: Uuid) -> String {
        format!("cmpl-{}", call.simple())
    }
}

impl UpstreamDialect for OpenAiCompletions {
    /// Only reached by clients of other dialects, for models that know nothing else.
    fn encode(&self, _: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        let message = format!("`{}` answers at `/v1/completions` only.", facts.model);
        Err(Error::invalid(message, "model", "model_not_supported"))
    }

    fn decode(&self, body: &[u8], _: &Memo) -> Result<ir::Response> {
        decoder::decode(body)
    }

    fn decoder(&self, _: Memo) -> Box<dyn StreamDecoder> {
        Box::new(decoder::Decoder::default())
    }

    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        UpstreamDialect::error(&OpenAiChat, status, headers, body)
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        let mut relay = Passthrough::new(&Asked::default());
        relay.frame(frame.clone(), &mut VecDeque::new())?;
        Ok(relay.has_begun())
    }

    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        whole::judge(body).map(drop)
    }
}
