//! The conversation: canonical messages to the server's.
//!
//! - A message's content is one string: its texts are joined by a line feed. Images and audio stand
//!   beside it, so their place among the texts is lost, as the server knows none.
//! - Each tool result is a message of its own, with the tool's name looked up among the calls before
//!   it, and the call's id for the templates that read it.
//! - Reasoning goes back as `thinking`: several models work on from it. Reasoning that only its own
//!   vendor can read stays out, and is named.
//!
//! Deliberately absent: merging and reordering. The server takes any order of roles, and what a
//! model's template makes of it is the model's business.
//!
//! Source: `Message` in `api/types.go` and `docs/api` of ollama/ollama (read November 2026).

use std::{borrow::Cow, collections::HashMap};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::body::{Call, Called, Message};
use crate::{
    error::{Error, Result},
    ir::{self, Block, Role, Source},
    wire::{arguments::Arguments, losses::Losses, results},
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    losses: &'l mut Losses,
    /// The tool each call was of, by the call's id.
    called: HashMap<&'a str, &'a str>,
}

// === impl Writer ===

impl<'a, 'l> Writer<'a, 'l> {
    pub(super) fn new(losses: &'l mut Losses) -> Self {
        Self { losses, called: HashMap::new() }
    }

    pub(super) fn conversation(mut self, messages: &'a [ir::Message]) -> Result<Vec<Message<'a>>> {
        let mut out = Vec::with_capacity(messages.len());
        for message in messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            let mut turn = Message { role: role(message.role), ..Message::default() };
            let mut results = 0;
            for block in &message.blocks {
                if let Block::ToolResult { .. } = block {
                    results += 1;
                    out.push(self.result(block)?);
                } else {
                    self.block(block, &mut turn)?;
                }
            }
            // A message of nothing but results is said already.
            if results == 0 || results < message.blocks.len() {
                out.push(turn);
            }
        }
        Ok(out)
    }

    fn result(&mut self, block: &'a Block) -> Result<Message<'a>> {
        let mut turn = Message { role: "tool", ..Message::default() };
        if let Block::ToolResult { id, content, is_error, cache } = block {
            turn.tool_name = self.called.get(id.as_str()).copied();
            turn.tool_call_id = Some(id);
            self.no_cache(cache.as_ref());
            for block in content {
                self.block(block, &mut turn)?;
            }
            if *is_error {
                turn.content = results::failed(&turn.content).into();
            }
        }
        Ok(turn)
    }

    fn block(&mut self, block: &'a Block, turn: &mut Message<'a>) -> Result<()> {
        match block {
            Block::Text { text, cache } => {
                self.no_cache(cache.as_ref());
                append(&mut turn.content, Cow::Borrowed(text));
            }
            Block::Refusal { text } => append(&mut turn.content, Cow::Borrowed(text)),
            Block::Image { source, detail, cache } => {
                self.no_cache(cache.as_ref());
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.hint("messages[].content[].image_url.detail");
                }
                match source {
                    Source::Base64 { data, .. } => turn.images.push(data),
                    Source::Url(_) | Source::File(_) | Source::Text(_) => self.losses.meaning(IMAGE),
                }
            }
            Block::Document { source, cache, .. } => {
                self.no_cache(cache.as_ref());
                self.document(source, turn)?;
            }
            // The server tells sound from pictures by its first bytes.
            Block::Audio { data, .. } => turn.images.push(data),
            Block::Reasoning { text, .. } => append(&mut turn.thinking, Cow::Borrowed(text)),
            Block::RedactedReasoning { .. } => self.losses.hint("messages[].thinking_blocks"),
            Block::ToolCall { id, name, arguments, kind, cache } => {
                self.no_cache(cache.as_ref());
                self.called.insert(id, name);
                let arguments = Arguments::of(*kind, arguments);
                let index = turn.tool_calls.len();
                turn.tool_calls.push(Call { id, function: Called { index, name, arguments } });
            }
            // Results hold no results.
            Block::ToolResult { .. } => {}
        }
        Ok(())
    }

    /// A text document is text; the server reads no other kind.
    fn document(&mut self, source: &'a Source, turn: &mut Message<'a>) -> Result<()> {
        match source {
            Source::Text(text) => append(&mut turn.content, Cow::Borrowed(text)),
            Source::Base64 { media_type, data } if media_type.starts_with("image/") => turn.images.push(data),
            Source::Base64 { media_type, data }
                if media_type.starts_with("text/") || media_type == "application/json" =>
            {
                let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let message = "A text file must be base64 of UTF-8.";
                append(
                    &mut turn.content,
                    Cow::Owned(text.ok_or_else(|| Error::invalid(message, FILE, "invalid_value"))?),
                );
            }
            Source::Base64 { .. } | Source::Url(_) | Source::File(_) => self.losses.meaning(FILE),
        }
        Ok(())
    }

    /// The server caches every prompt's beginning by itself.
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

fn append<'a>(to: &mut Cow<'a, str>, text: Cow<'a, str>) {
    if to.is_empty() {
        *to = text;
    } else if !text.is_empty() {
        let joined = to.to_mut();
        joined.push('\n');
        joined.push_str(&text);
    }
}
