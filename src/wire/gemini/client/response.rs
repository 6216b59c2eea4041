//! Whole answers.
//!
//! Source: "GenerateContentResponse" (ai.google.dev/api, read November 2026).

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    answer::{Answer, Candidate, Counts, Feedback, Logprobs, Part, average, finish_reason},
    sources::Grounding,
    speech::Speech,
};
use crate::{
    ir::{Block, Finish, Response},
    wire::{Asked, json},
};

/// What is said of a prompt that got no answer at all, since other vendors do not say why.
pub(super) const BLOCKED: Feedback = Feedback { block_reason: "OTHER" };

pub(super) fn encode(response: &Response, asked: &Asked) -> Bytes {
    let parts = parts(&response.blocks, asked);
    let text: String = parts.iter().filter(|part| !part.thought).filter_map(|part| part.text.as_deref()).collect();
    let blocked = parts.is_empty() && response.finish == Finish::ContentFilter;
    let candidate = Candidate {
        finish_reason: Some(finish_reason(response.finish)),
        grounding_metadata: Grounding::of(&response.annotations, &text),
        avg_logprobs: average(&response.logprobs),
        logprobs_result: Logprobs::of(&response.logprobs),
        ..Candidate::of(&parts)
    };
    let answer = Answer {
        candidates: (!blocked).then_some([candidate]),
        prompt_feedback: blocked.then_some(BLOCKED),
        usage_metadata: response.usage.as_ref().map(Counts::of),
        model_version: &asked.model,
        response_id: if response.id.is_empty() { &asked.id } else { &response.id },
    };
    let mut out = Vec::with_capacity(512);
    json::line(&answer, &mut out);
    out.into()
}

fn parts<'a>(blocks: &'a [Block], asked: &Asked) -> Vec<Part<'a>> {
    let mut speech = Speech::new(asked);
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            Block::Text { text, .. } => parts.extend(speech.text(text)),
            Block::Refusal { text } => parts.extend(speech.say(text.as_str())),
            Block::Reasoning { text, signature } => {
                parts.extend(speech.thought(text));
                parts.extend(speech.think(Cow::Borrowed(text), signature.as_deref()));
            }
            Block::RedactedReasoning { data } => speech.redacted(data),
            Block::ToolCall { id, name, arguments, kind, .. } => {
                parts.push(Part::call(id, name, *kind, arguments, speech.sign()));
            }
            Block::Image { source, .. } => parts.extend(speech.image(source)),
            // No model of another dialect answers with these.
            Block::Document { .. } | Block::Audio { .. } | Block::ToolResult { .. } => {}
        }
    }
    parts.extend(speech.last());
    parts
}
