//! The dialect as vendors speak it.
//!
//! Nothing is stored upstream (`store: false`): the client holds the conversation, and what the
//! model must have back of its own reasoning travels encrypted. Such an item of reasoning becomes
//! one canonical block whose signature is the item itself, as it came, so that it goes back byte for
//! byte (rule R1).

mod answer;
mod events;
mod input;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tools;

pub(super) use self::{
    answer::whole,
    events::{Told, told},
};

use http::{HeaderMap, StatusCode};

use super::OpenAiResponses;
use crate::{
    error::{Result, UpstreamError},
    framing::Frame,
    ir,
    wire::{Encoded, Facts, Memo, StreamDecoder, UpstreamDialect, openai_chat::OpenAiChat},
};

impl UpstreamDialect for OpenAiResponses {
    fn encode(&self, request: &ir::Request, facts: &Facts<'_>) -> Result<Encoded> {
        request::encode(request, facts)
    }

    fn decode(&self, body: &[u8], memo: &Memo) -> Result<ir::Response> {
        answer::decode(body, memo)
    }

    fn decoder(&self, memo: Memo) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::new(memo))
    }

    /// The same body, types and codes as those of chat completions.
    fn error(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        OpenAiChat.error(status, headers, body)
    }

    fn wants_reasoning_back(&self) -> bool {
        true
    }

    fn accepts(&self, frame: &Frame) -> Result<bool> {
        events::accepts(frame)
    }

    /// Every answer has a member `error`, null as a rule, so the word alone says nothing.
    fn accepts_whole(&self, body: &[u8]) -> Result<()> {
        answer::accepts(body)
    }
}
