//! Writes a client's whole answer, with every member the reference shows (API reference, "The
//! completion object", read November 2026).
//!
//! The text is what the model said, a refusal in its own words included, whose finish reason is
//! `content_filter`. Reasoning, images and citations have no place here and are left out; tool calls
//! cannot come, since no tools go.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    ir::{Block, Response},
    wire::{
        Asked, json,
        openai_chat::{Counts, finish},
    },
};

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Option<Counts>,
}

#[derive(Serialize)]
pub(super) struct Choice<'a> {
    pub(super) text: &'a str,
    pub(super) index: u32,
    pub(super) logprobs: (),
    pub(super) finish_reason: Option<&'static str>,
}

pub(super) fn encode(response: &Response, asked: &Asked) -> Bytes {
    let text: String = response.blocks.iter().map(said).collect();
    let finish_reason = Some(finish::encode(response.finish, false, false));
    let completion = Completion {
        id: asked.name_of(&response.id),
        object: "text_completion",
        created: if response.created == 0 { asked.created } else { response.created },
        model: &asked.model,
        choices: [Choice { text: &text, index: 0, logprobs: (), finish_reason }],
        usage: response.usage.as_ref().map(Counts::of),
    };
    // These types always have a JSON form.
    json::body(&completion).unwrap_or_default()
}

fn said(block: &Block) -> &str {
    match block {
        Block::Text { text, .. } | Block::Refusal { text } => text,
        Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Reasoning { .. }
        | Block::RedactedReasoning { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => "",
    }
}
