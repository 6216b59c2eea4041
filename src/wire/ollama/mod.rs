//! Ollama's own chat API, as its servers speak it.
//!
//! Chosen over the server's OpenAI layer because that one swallows errors in mid-stream, ignores
//! `max_completion_tokens`, and has no way to ask for a context size. A request is written by
//! `request` with the help of one file per subject; answers are read line by line by `stream`, whole
//! ones included, so that both give the same split (rule R4).
//!
//! Deliberately absent: the way clients speak it; fetching of images by URL (rule N2: what the
//! target cannot read is refused by name); pulling, loading and deleting of models.
//!
//! Source: docs and sources of ollama/ollama (`api/types.go`, `server/routes.go`), read November
//! 2026.

mod body;
mod error;
mod extras;
#[cfg(test)]
mod golden;
mod request;
mod stream;
mod thinking;
mod tools;
mod turns;
#[cfg(test)]
mod written;

use http::{HeaderMap, StatusCode};

use crate::{
    error::{Result, UpstreamError},
    framing::{Frame, Framing},
    ir,
    wire::{Encoded, Facts, Memo, StreamDecoder, UpstreamDialect},
};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ollama;

impl UpstreamDialect for Ollama {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        stream::decode(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(memo))
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error::read(status, headers, body)
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        stream::accepts(frame)
    }
}
