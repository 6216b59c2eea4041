//! Cohere's chat API, version 2, as the vendor speaks it.
//!
//! Chosen over the vendor's OpenAI layer because that one loses citations, documents and the text of
//! thinking. A request is written by `request` with the help of one file per subject; an answer is
//! read whole by `response` or event by event by `stream`, and the two share `answer`.
//!
//! Deliberately absent: the way clients speak it; version 1 of the API.
//!
//! Source: the vendor's API reference and OpenAPI document (docs.cohere.com, read November 2026), and
//! traffic recorded by its SDK's users.

mod answer;
mod body;
mod error;
mod extras;
#[cfg(test)]
mod golden;
mod request;
mod response;
mod stream;
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
pub struct Cohere;

impl UpstreamDialect for Cohere {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        response::decode(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(memo))
    }

    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        error::read(status, headers, body)
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        stream::accepts(frame)
    }

    /// A failure is told by a finish reason here.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        let holds = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        if holds("\"finish_reason\"") && !holds("\"ERROR\"") && !holds("\"TIMEOUT\"") {
            return Ok(());
        }
        self.decode(body, &Memo::default()).map(drop)
    }
}
