//! A message as it stands on the wire, and whole answers.
//!
//! Source: "Create a Message", "Stop reasons" (platform.claude.com/docs, read November 2026).

use bytes::Bytes;
use serde::Serialize;

use super::{
    signature,
    usage::{self, Counts},
};
use crate::{
    ir::{self, Annotation, Finish, Response},
    wire::{Asked, arguments::Arguments, json},
};

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub id: &'a str,
    pub r#type: &'static str,
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<Content<'a>>,
    pub stop_reason: Option<&'static str>,
    pub stop_sequence: Option<&'a str>,
    pub stop_details: Option<()>,
    pub container: Option<()>,
    pub usage: Counts,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Citation<'a>>,
    },
    /// Both keys, even when the text is empty.
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Arguments<'a>,
        caller: Caller,
    },
}

/// Who calls a tool: the model itself, not code that it runs.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Caller {
    Direct,
}

/// The one kind of citation that names an address.
#[derive(Serialize)]
#[serde(tag = "type", rename = "web_search_result_location")]
pub(super) struct Citation<'a> {
    url: &'a str,
    title: Option<&'a str>,
    /// What only the vendor's own search could tell.
    cited_text: &'static str,
    encrypted_index: &'static str,
}

/// Writes a whole answer.
pub(super) fn encode(response: &Response, asked: &Asked) -> Bytes {
    let mut message = Message::new(asked, &response.id);
    message.content = content(response);
    let calls = response.blocks.iter().any(|block| matches!(block, ir::Block::ToolCall { .. }));
    message.stop_reason = Some(stop_reason(response.finish, calls));
    message.stop_sequence = stop_sequence(response.finish, response.stop_sequence.as_deref());
    message.usage = match &response.usage {
        Some(usage) => Counts::of(usage),
        None => Counts::guessed(asked, usage::text_bytes(&response.blocks)),
    };
    let mut out = Vec::with_capacity(512);
    json::line(&message, &mut out);
    out.into()
}

fn content(response: &Response) -> Vec<Content<'_>> {
    let mut content = Vec::with_capacity(response.blocks.len());
    // Characters of text so far: citations count in the text of the whole answer.
    let mut at = 0;
    for block in &response.blocks {
        content.extend(match block {
            ir::Block::Text { text, .. } => {
                let start = at;
                at += text.chars().count() as u64;
                let citations = response.annotations.iter().filter(|a| a.end > start && a.end <= at).map(Citation::of);
                // A5.
                (!text.is_empty()).then(|| Content::Text { text, citations: citations.collect() })
            }
            ir::Block::Refusal { text } => (!text.is_empty()).then_some(Content::Text { text, citations: Vec::new() }),
            ir::Block::Reasoning { text, signature: None } if text.is_empty() => None,
            ir::Block::Reasoning { text, signature } => {
                let signature = signature.as_deref().unwrap_or(signature::OWN);
                Some(Content::Thinking { thinking: text, signature })
            }
            ir::Block::RedactedReasoning { data } => Some(Content::RedactedThinking { data }),
            ir::Block::ToolCall { id, name, arguments, kind, .. } => {
                let input = Arguments::of(*kind, arguments);
                Some(Content::ToolUse { id, name, input, caller: Caller::Direct })
            }
            // No model of this dialect answers with these.
            ir::Block::Image { .. }
            | ir::Block::Document { .. }
            | ir::Block::Audio { .. }
            | ir::Block::ToolResult { .. } => None,
        });
    }
    content
}

/// S4: calls outweigh a plain stop, and everything else outweighs calls.
pub(super) fn stop_reason(finish: Finish, calls: bool) -> &'static str {
    match finish {
        Finish::Stop if calls => "tool_use",
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "refusal",
        Finish::Paused => "pause_turn",
    }
}

/// Names the text that matched, beside the reason that says one did.
pub(super) fn stop_sequence(finish: Finish, text: Option<&str>) -> Option<&str> {
    text.filter(|_| finish == Finish::StopSequence)
}

// === impl Message ===

impl<'a> Message<'a> {
    /// One that has said nothing yet.
    pub(super) fn new(asked: &'a Asked, id: &'a str) -> Self {
        Self {
            id: asked.name_of(id),
            r#type: "message",
            role: "assistant",
            model: &asked.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            container: None,
            usage: Counts::guessed(asked, 0),
        }
    }
}

// === impl Citation ===

impl<'a> Citation<'a> {
    pub(super) fn of(annotation: &'a Annotation) -> Self {
        Self { url: &annotation.url, title: annotation.title.as_deref(), cited_text: "", encrypted_index: "" }
    }
}
