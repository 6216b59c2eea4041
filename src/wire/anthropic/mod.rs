//! Anthropic Messages, as upstreams speak it; the way clients do is [`client`].
//!
//! A request is written by `request` with the help of one file per subject (`turns`, `tools`,
//! `thinking`, `output`, `media`, `extras`); an answer is read whole by `response` or frame by
//! frame by `stream`, and the two share `answer`. What a model line takes is the table in
//! [`models`].
//!
//! Source: the vendor's API reference and guides (platform.claude.com/docs, read November 2026),
//! and its Python and TypeScript SDKs of the same month.

pub(super) mod answer;
pub(super) mod body;
mod client;
#[cfg(test)]
mod crossed;
mod error;
pub(super) mod extras;
#[cfg(test)]
mod golden;
mod media;
pub mod models;
pub(super) mod output;
pub(super) mod request;
mod response;
mod stream;
pub(super) mod thinking;
pub(super) mod tools;
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
pub struct Anthropic;

impl UpstreamDialect for Anthropic {
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

    fn wants_reasoning_back(&self) -> bool {
        true
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        stream::accepts(frame)
    }
}
