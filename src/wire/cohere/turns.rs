//! The conversation: canonical messages to the vendor's.
//!
//! - Empty texts, and messages that hold nothing else, are left out: the vendor refuses them (rule A5).
//! - Each tool result is a message of its own, in the order of the results (rule T4). It holds text alone, so
//!   images within one begin what the user says next, where the model sees images at all.
//! - Reasoning goes back as the plan of a turn with tool calls, else as thinking. No proof of origin
//!   is asked for; reasoning that only its own vendor can read stays out, and is named.
//! - Text documents become `documents`, which the model cites.
//!
//! Source: "Chat" of the vendor's API reference (docs.cohere.com/reference/chat, read November 2026).

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::body::{Call, Called, Content, Data, Document, Image, Message, Part};
use crate::{
    error::{Error, Result},
    ir::{self, Block, Role, Source, ToolKind},
    wire::{losses::Losses, names::Names, results},
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

/// Chat models that read text alone ("Models" and "Image inputs" of the vendor's documentation, November
/// 2026). Of a model that is not known the vendor says it itself.
const TEXT_ONLY: [&str; 7] = [
    "command-a-03",
    "command-a-reasoning",
    "command-a-translate",
    "command-light",
    "command-r",
    "c4ai-aya-expanse",
    "north-mini",
];

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    pub model: &'a str,
    pub names: &'a Names,
    pub documents: &'l mut Vec<Document<'a>>,
    pub losses: &'l mut Losses,
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    pub(super) fn conversation(mut self, request: &'a ir::Request) -> Result<Vec<Message<'a>>> {
        let mut out = Vec::with_capacity(request.messages.len());
        for message in &request.messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            let calls = message.blocks.iter().any(|block| matches!(block, Block::ToolCall { .. }));
            let mut turn = Message { role: role(message.role), ..Message::default() };
            for block in &message.blocks {
                match block {
                    Block::ToolResult { .. } => out.push(self.result(block, &mut turn.content)?),
                    Block::Reasoning { text, .. } if calls => plan(&mut turn.tool_plan, text),
                    Block::Text { .. }
                    | Block::Image { .. }
                    | Block::Document { .. }
                    | Block::Audio { .. }
                    | Block::Refusal { .. }
                    | Block::Reasoning { .. }
                    | Block::RedactedReasoning { .. }
                    | Block::ToolCall { .. } => self.block(block, &mut turn)?,
                }
            }
            if !turn.content.is_empty() || !turn.tool_calls.is_empty() {
                out.push(turn);
            }
        }
        Ok(out)
    }

    /// A result; `behind` gets what it cannot hold.
    fn result(&mut self, block: &'a Block, behind: &mut Content<'a>) -> Result<Message<'a>> {
        let mut turn = Message { role: "tool", ..Message::default() };
        if let Block::ToolResult { id, content, is_error, cache } = block {
            turn.tool_call_id = Some(id);
            self.no_cache(cache.as_ref());
            for block in content {
                self.block(block, &mut turn)?;
            }
            self.show_behind(&mut turn.content, behind);
            if *is_error {
                match turn.content.0.first_mut() {
                    Some(Part::Text { text }) => *text = results::failed(text).into(),
                    Some(Part::Thinking { .. } | Part::ImageUrl { .. }) | None => {
                        turn.content.0.insert(0, Part::Text { text: results::failed("").into() });
                    }
                }
            }
        }
        // A result of nothing is one all the same.
        if turn.content.is_empty() {
            turn.content.0.push(Part::Text { text: Cow::Borrowed("") });
        }
        Ok(turn)
    }

    /// Moves the images of a result behind it, or says that there was one.
    fn show_behind(&mut self, result: &mut Content<'a>, behind: &mut Content<'a>) {
        let (images, said): (Vec<_>, Vec<_>) =
            result.0.drain(..).partition(|part| matches!(part, Part::ImageUrl { .. }));
        result.0 = said;
        if images.is_empty() {
            return;
        }
        let text = |text: &'static str| Part::Text { text: text.into() };
        if TEXT_ONLY.iter().any(|start| self.model.starts_with(start)) {
            self.losses.hint(IMAGE);
            result.0.push(text(results::UNREAD));
            return;
        }
        if result.is_empty() {
            result.0.push(text(results::SHOWN_BEHIND));
        }
        behind.0.extend(images);
    }

    fn block(&mut self, block: &'a Block, turn: &mut Message<'a>) -> Result<()> {
        match block {
            Block::Text { text, cache } => {
                self.no_cache(cache.as_ref());
                push_text(&mut turn.content, Cow::Borrowed(text));
            }
            Block::Refusal { text } => push_text(&mut turn.content, Cow::Borrowed(text)),
            Block::Image { source, detail, cache } => {
                self.no_cache(cache.as_ref());
                self.image(source, detail.as_deref(), turn);
            }
            Block::Document { source, name, cache } => {
                self.no_cache(cache.as_ref());
                self.document(source, name.as_deref())?;
            }
            Block::Audio { .. } => self.losses.meaning("messages[].content[].input_audio"),
            Block::Reasoning { text, .. } if !text.is_empty() => turn.content.0.push(Part::Thinking { thinking: text }),
            Block::Reasoning { .. } => {}
            Block::RedactedReasoning { .. } => self.losses.hint("messages[].thinking_blocks"),
            Block::ToolCall { id, name, arguments, kind, cache } => {
                self.no_cache(cache.as_ref());
                let arguments = match kind {
                    ToolKind::Function if arguments.trim().is_empty() => Cow::Borrowed("{}"),
                    ToolKind::Function => Cow::Borrowed(arguments.as_str()),
                    ToolKind::Custom => Cow::Owned(json!({ "input": arguments }).to_string()),
                };
                let function = Called { name: self.names.wire(name), arguments };
                turn.tool_calls.push(Call { id, kind: "function", function });
            }
            // Results hold no results.
            Block::ToolResult { .. } => {}
        }
        Ok(())
    }

    /// N2: an address passes as one, data as a data URL.
    fn image(&mut self, source: &'a Source, detail: Option<&'a str>, turn: &mut Message<'a>) {
        let url = match source {
            Source::Url(url) => Cow::Borrowed(url.as_str()),
            Source::Base64 { media_type, data } => Cow::Owned(format!("data:{media_type};base64,{data}")),
            Source::File(_) | Source::Text(_) => return self.losses.meaning(IMAGE),
        };
        turn.content.0.push(Part::ImageUrl { image_url: Image { url, detail } });
    }

    /// A text to answer from; the vendor reads no other kind.
    fn document(&mut self, source: &'a Source, title: Option<&'a str>) -> Result<()> {
        let text = match source {
            Source::Text(text) => Cow::Borrowed(text.as_str()),
            Source::Base64 { media_type, data }
                if media_type.starts_with("text/") || media_type == "application/json" =>
            {
                let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let message = "A text file must be base64 of UTF-8.";
                Cow::Owned(text.ok_or_else(|| Error::invalid(message, FILE, "invalid_value"))?)
            }
            Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
                self.losses.meaning(FILE);
                return Ok(());
            }
        };
        let id = format!("document_{}", self.documents.len() + 1);
        self.documents.push(Document::Text { id, data: Data { title, text } });
        Ok(())
    }

    /// The vendor's cache knows no marks.
    fn no_cache(&mut self, hint: Option<&ir::CacheHint>) {
        if hint.is_some() {
            self.losses.hint("cache_control");
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// A5.
fn push_text<'a>(content: &mut Content<'a>, text: Cow<'a, str>) {
    if !text.is_empty() {
        content.0.push(Part::Text { text });
    }
}

fn plan<'a>(plan: &mut Cow<'a, str>, text: &'a str) {
    if plan.is_empty() {
        *plan = Cow::Borrowed(text);
    } else if !text.is_empty() {
        let joined = plan.to_mut();
        joined.push('\n');
        joined.push_str(text);
    }
}
