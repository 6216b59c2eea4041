//! Gemini's `generateContent` and `streamGenerateContent`, as upstreams speak it; as clients speak it,
//! it is [`client`].
//!
//! A request is written by `request` with the help of one file per subject (`turns`, `tools`,
//! `schema`, `thinking`, `media`, `extras`); an answer is read by `stream`, chunk by chunk or as a
//! stream of one chunk, so that both are read alike. What a model line takes is the table in
//! [`models`].
//!
//! The vendor's own endpoint and Vertex AI speak it and differ in a few fields and in the words of
//! schemas; which one is written for is [`Facts::host`]. Paths and keys are the providers' business.
//! Deliberately absent: sound in answers, and calls whose arguments come in
//! pieces (which Vertex AI sends only when asked to).
//!
//! Source: the API reference and guides (ai.google.dev, read November 2026), its protobuf definitions
//! and Python SDK of August 2026.

mod body;
mod chunk;
pub mod client;
mod error;
mod extras;
mod finish;
mod grounding;
mod media;
pub mod models;
mod request;
pub mod schema;
mod stream;
mod thinking;
mod tools;
mod turns;
#[cfg(test)]
mod written;

use http::{HeaderMap, StatusCode};

use crate::{
    error::{Result, UpstreamError},
    framing::Frame,
    ir,
    wire::{Encoded, Facts, Memo, StreamDecoder, UpstreamDialect},
};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl UpstreamDialect for Gemini {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        stream::whole(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(memo))
    }

    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error::read(status, headers, body)
    }

    fn wants_reasoning_back(&self) -> bool {
        true
    }

    fn refuses_proof(&self, error: &UpstreamError) -> bool {
        error::refuses_proof(error)
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        stream::accepts(frame)
    }

    /// Beside an error, a call that went wrong is looked for: another try may go right.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        let holds = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        if holds("\"candidates\"") && !["\"error\"", "_FUNCTION_CALL", "_TOOL_CALL"].into_iter().any(holds) {
            return Ok(());
        }
        self.decode(body, &Memo::default()).map(drop)
    }
}
