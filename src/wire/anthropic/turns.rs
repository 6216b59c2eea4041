//! The conversation: canonical messages to system blocks and alternating turns.
//!
//! - Leading system messages become `system`. A later one stays in its place on the lines that take
//!   it there and where the vendor allows it (after a user turn, before an assistant turn or at the
//!   end); elsewhere it joins `system`: its words and rank survive, its place is reported lost.
//! - Neighbours of one role become one turn; tool results stand first in it, in the order of the
//!   calls (rule T4). Empty text, and turns that hold nothing else, are left out (rule A5).
//! - Signed thinking goes back byte for byte and in order (rule R1). Per turn it is all or nothing:
//!   a turn whose thinking is not signed throughout is replayed without it. Signatures are never
//!   made up.
//! - A history of tool calls in a request without tools is refused upstream, so it is told in words
//!   (rule T5); the thinking of such turns would no longer fit and is left out.
//!
//! Deliberately absent: repairs of a history that the vendor refuses for what it says (no user turn
//! first, unanswered calls, a prefilled answer where models no longer take one). The vendor's own
//! message is the better answer.
//!
//! Source: "Create a Message", "Tool use", "Extended thinking", "Mid-conversation system messages"
//! (platform.claude.com/docs, read November 2026).

use std::borrow::Cow;

use super::{
    body::{Block, CacheControl, Turn},
    media,
};
use crate::{
    error::Result,
    ir::{self, Role},
    wire::{arguments::Arguments, losses::Losses, names::Names, signature::is_unproven},
};

const SYSTEM: &str = "system";
const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// A conversation on the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub system: Vec<Block<'a>>,
    pub turns: Vec<Turn<'a>>,
}

/// How blocks are written.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    pub tools: &'a Names,
    pub ids: &'a Names,
    /// Tool calls and results are told in words.
    pub told: bool,
    pub mid_system: bool,
    pub losses: &'l mut Losses,
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    pub(super) fn conversation(mut self, messages: &'a [ir::Message]) -> Result<Conversation<'a>> {
        let mut turns: Vec<Turn<'a>> = Vec::with_capacity(messages.len());
        for message in messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            push(&mut turns, Turn { role: role(message.role), content: self.blocks(message)? });
        }
        let mut conversation = self.place_system(turns);
        order_results(&mut conversation.turns);
        // A request of nothing but instructions: the vendor wants a user turn, and OpenAI's clients
        // may send none.
        if conversation.turns.is_empty() && !conversation.system.is_empty() {
            let content = std::mem::take(&mut conversation.system);
            conversation.turns.push(Turn { role: USER, content });
        }
        Ok(conversation)
    }

    fn place_system(&mut self, turns: Vec<Turn<'a>>) -> Conversation<'a> {
        let mut conversation = Conversation::default();
        let mut turns = turns.into_iter().peekable();
        while let Some(turn) = turns.next() {
            if turn.role != SYSTEM {
                push(&mut conversation.turns, turn);
                continue;
            }
            let Some(before) = conversation.turns.last() else {
                conversation.system.extend(turn.content);
                continue;
            };
            let fits = before.role == USER && turns.peek().is_none_or(|next| next.role == ASSISTANT);
            if self.mid_system && fits {
                conversation.turns.push(turn);
            } else {
                self.losses.hint("messages[].role");
                conversation.system.extend(turn.content);
            }
        }
        conversation
    }

    fn blocks(&mut self, message: &'a ir::Message) -> Result<Vec<Block<'a>>> {
        let thinking = self.replays_thinking(&message.blocks);
        let mut out = Vec::with_capacity(message.blocks.len());
        for block in &message.blocks {
            // What another model drew; only users show images here.
            if message.role == Role::Assistant && matches!(block, ir::Block::Image { .. }) {
                self.losses.hint("messages[].images");
                continue;
            }
            self.block(block, thinking, &mut out)?;
        }
        Ok(out)
    }

    /// Whether a turn's thinking can go back whole.
    fn replays_thinking(&mut self, blocks: &[ir::Block]) -> bool {
        if blocks.iter().any(is_unproven) {
            self.losses.hint("messages[].reasoning_content");
            return false;
        }
        !(self.told && blocks.iter().any(|block| matches!(block, ir::Block::ToolCall { .. })))
    }

    fn block(&mut self, block: &'a ir::Block, thinking: bool, out: &mut Vec<Block<'a>>) -> Result<()> {
        let cache = |hint: &Option<ir::CacheHint>| hint.map(CacheControl::from);
        match block {
            ir::Block::Text { text, cache: hint } => push_text(out, text, cache(hint)),
            ir::Block::Refusal { text } => push_text(out, text, None),
            ir::Block::Image { source, detail, cache: hint } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.hint("messages[].content[].image_url.detail");
                }
                out.push(media::image(source, cache(hint))?);
            }
            ir::Block::Document { source, name, cache: hint } => {
                out.push(media::document(source, name.as_deref(), cache(hint))?);
            }
            ir::Block::Audio { .. } => self.losses.meaning("messages[].content[].input_audio"),
            ir::Block::Reasoning { text, signature: Some(signature) } if thinking => {
                out.push(Block::Thinking { thinking: text, signature });
            }
            ir::Block::RedactedReasoning { data } if thinking => out.push(Block::RedactedThinking { data }),
            ir::Block::Reasoning { .. } | ir::Block::RedactedReasoning { .. } => {}
            ir::Block::ToolCall { name, arguments, .. } if self.told => {
                self.losses.hint("messages[].tool_calls");
                out.push(Block::text(format!("[Called the tool {name} with {arguments}]")));
            }
            ir::Block::ToolCall { id, name, arguments, kind, cache: hint } => out.push(Block::ToolUse {
                id: self.ids.wire(id),
                name: self.tools.wire(name),
                input: Arguments::of(*kind, arguments),
                cache_control: cache(hint),
            }),
            ir::Block::ToolResult { id, content, is_error, cache: hint } => {
                let mut inner = Vec::with_capacity(content.len());
                for block in content {
                    self.block(block, false, &mut inner)?;
                }
                if self.told {
                    out.push(Block::text(if *is_error { "[The tool failed with]" } else { "[The tool returned]" }));
                    out.append(&mut inner);
                    return Ok(());
                }
                let tool_use_id = self.ids.wire(id);
                let cache_control = cache(hint);
                out.push(Block::ToolResult { tool_use_id, content: inner, is_error: *is_error, cache_control });
            }
        }
        Ok(())
    }
}

/// Whether the conversation ends in a tool turn whose thinking did not come back: with a budget the
/// vendor then refuses to think on.
pub(super) fn ends_in_bare_tool_turn(turns: &[Turn<'_>]) -> bool {
    let Some(last) = turns.iter().rev().find(|turn| turn.role == ASSISTANT) else { return false };
    let calls = last.content.iter().any(|block| matches!(block, Block::ToolUse { .. }));
    let thought = matches!(last.content.first(), Some(Block::Thinking { .. } | Block::RedactedThinking { .. }));
    calls && !thought
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => SYSTEM,
        Role::User => USER,
        Role::Assistant => ASSISTANT,
    }
}

/// Appends a turn, or its content to a neighbour of the same role.
fn push<'a>(turns: &mut Vec<Turn<'a>>, turn: Turn<'a>) {
    if turn.content.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == turn.role => last.content.extend(turn.content),
        Some(_) | None => turns.push(turn),
    }
}

/// A5. The vendor refuses text of white space as it does empty text.
fn push_text<'a>(out: &mut Vec<Block<'a>>, text: &'a str, cache_control: Option<CacheControl>) {
    if !text.trim().is_empty() {
        out.push(Block::Text { text: Cow::Borrowed(text), cache_control });
    }
}

/// T4: results before anything else in their turn, in the order of the calls they answer.
fn order_results(turns: &mut [Turn<'_>]) {
    let mut calls: Vec<&str> = Vec::new();
    for turn in turns {
        if turn.role == USER {
            turn.content.sort_by_key(|block| answered(block).map_or(usize::MAX, |id| place(&calls, id)));
        }
        calls.clear();
        calls.extend(turn.content.iter().filter_map(call_id));
    }
}

fn place(calls: &[&str], id: &str) -> usize {
    calls.iter().position(|call| *call == id).unwrap_or(calls.len())
}

fn answered<'a>(block: &Block<'a>) -> Option<&'a str> {
    if let Block::ToolResult { tool_use_id, .. } = block { Some(tool_use_id) } else { None }
}

fn call_id<'a>(block: &Block<'a>) -> Option<&'a str> {
    if let Block::ToolUse { id, .. } = block { Some(id) } else { None }
}
