//! Amazon Bedrock's Converse and ConverseStream: one form for the models of every vendor.
//!
//! A request is written by `request` with the help of one file per subject (`turns`, `media`,
//! `tools`, `fields`); an answer is read whole by `response` or message by message by `stream`, and
//! the two share `answer`. What a model takes is the table in [`models`]; what is said of Claude
//! there, and how its thinking and its structured outputs are asked for, is the Anthropic dialect's
//! and shared with it. [`chunks`] unwraps the events of InvokeModelWithResponseStream, which are a
//! model's own: Claude's are those of the Anthropic dialect. Deliberately absent: addresses and
//! signatures, which are the provider's.
//!
//! Source: the Bedrock Runtime API reference, its service description in botocore of August 2026,
//! and the user guide's pages on the Converse API (docs.aws.amazon.com/bedrock, read November 2026).

mod answer;
mod body;
pub mod chunks;
pub mod error;
mod fields;
#[cfg(test)]
mod golden;
mod ids;
mod media;
pub mod models;
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
    framing::{Frame, Framing},
    ir,
    wire::{Encoded, Facts, Memo, StreamDecoder, UpstreamDialect},
};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Converse;

impl UpstreamDialect for Converse {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        response::decode(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(memo))
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
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

    /// A wrong path is answered with a success status and an object of another service's making.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        if memchr::memmem::find(body, b"\"output\"").is_some() {
            return Ok(());
        }
        self.decode(body, &Memo::default()).map(drop)
    }
}
