//! The conversation: canonical messages to system texts and alternating turns.
//!
//! - System messages become `system`, wherever they stood; the place of a later one is reported
//!   lost.
//! - Neighbours of one role become one turn; tool results stand first in it, in the order of the
//!   calls (rule T4). Blank text, and turns that hold nothing else, are left out (rule A5): the
//!   service refuses them.
//! - Images in results are for Claude and Nova alone; for others they follow their result.
//! - Signed reasoning goes back byte for byte and in order (rule R1). Per turn it is all or nothing:
//!   a turn whose reasoning is not signed throughout is replayed without it.
//! - A history of tool calls in a request without tools is refused upstream, so it is told in words
//!   (rule T5).
//! - A cache hint becomes a cache point after its block; one within a tool's result stands after the
//!   result.
//!
//! Deliberately absent, as in the Anthropic dialect: repairs of a history that the service refuses
//! for what it says.
//!
//! Source: "Using the Converse API", "Call a tool", "Prompt caching" (docs.aws.amazon.com/bedrock,
//! read November 2026).

use super::{
    body::{Block, CachePoint, Message, ReasoningContent, ToolResult, ToolUse},
    ids::Ids,
    media::{self, Titles},
    models::{Cache, Line},
};
use crate::{
    error::Result,
    ir::{self, CacheHint, CacheTtl, Role, ToolKind},
    wire::{arguments::Arguments, losses::Losses, names::Names, results, signature::is_unproven},
};

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// A conversation on the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Message<'a>>,
}

/// How blocks are written.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    pub line: &'l Line,
    pub tools: &'a Names,
    pub ids: &'a Ids,
    /// Tool calls and results are told in words.
    pub told: bool,
    pub losses: &'l mut Losses,
}

/// A block, and the cache point that follows it wherever it is moved.
#[derive(Debug)]
struct Item<'a> {
    block: Block<'a>,
    cache: Option<CachePoint>,
}

#[derive(Debug)]
struct Turn<'a> {
    role: &'static str,
    items: Vec<Item<'a>>,
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    /// `cache` asks for a cache point after all of it.
    pub(super) fn conversation(
        mut self,
        messages: &'a [ir::Message],
        cache: Option<CacheHint>,
    ) -> Result<Conversation<'a>> {
        let mut system = Vec::new();
        let mut turns: Vec<Turn<'a>> = Vec::with_capacity(messages.len());
        let mut titles = Titles::default();
        for message in messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            let items = self.items(message, &mut titles)?;
            match message.role {
                Role::System | Role::Developer => {
                    if !turns.is_empty() && !items.is_empty() {
                        self.losses.hint("messages[].role");
                    }
                    system.extend(items);
                }
                Role::User => push(&mut turns, USER, items),
                Role::Assistant => push(&mut turns, ASSISTANT, items),
            }
        }
        order_results(&mut turns);
        // A request of nothing but instructions: the service wants a user turn, and OpenAI's
        // clients may send none.
        if turns.is_empty() {
            push(&mut turns, USER, std::mem::take(&mut system));
        }
        if let Some(last) = turns.last_mut().and_then(|turn| turn.items.last_mut()) {
            last.cache = last.cache.or(self.cache_point(cache));
        }
        let message = |turn: Turn<'a>| Message { role: turn.role, content: flat(turn.items) };
        Ok(Conversation { system: flat(system), messages: turns.into_iter().map(message).collect() })
    }

    fn items(&mut self, message: &'a ir::Message, titles: &mut Titles) -> Result<Vec<Item<'a>>> {
        let reasoning = self.replays_reasoning(&message.blocks);
        let mut out = Vec::with_capacity(message.blocks.len());
        for block in &message.blocks {
            self.item(block, reasoning, titles, &mut out)?;
        }
        Ok(out)
    }

    /// Whether a turn's reasoning can go back whole.
    fn replays_reasoning(&mut self, blocks: &[ir::Block]) -> bool {
        if blocks.iter().any(is_unproven) {
            self.losses.hint("messages[].reasoning_content");
            return false;
        }
        !(self.told && blocks.iter().any(|block| matches!(block, ir::Block::ToolCall { .. })))
    }

    fn item(
        &mut self,
        block: &'a ir::Block,
        reasoning: bool,
        titles: &mut Titles,
        out: &mut Vec<Item<'a>>,
    ) -> Result<()> {
        let (block, hint) = match block {
            ir::Block::Text { text, .. } | ir::Block::Refusal { text } if text.trim().is_empty() => return Ok(()),
            ir::Block::Text { text, cache } => (Block::text(text), *cache),
            ir::Block::Refusal { text } => (Block::text(text), None),
            ir::Block::Image { source, detail, cache } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.hint("messages[].content[].image_url.detail");
                }
                (media::image(source)?, *cache)
            }
            ir::Block::Document { source, name, cache } => (media::document(source, name.as_deref(), titles)?, *cache),
            ir::Block::Audio { data, format } => (media::audio(data, format), None),
            ir::Block::Reasoning { text, signature: Some(signature) } if reasoning => {
                (Block::ReasoningContent(ReasoningContent::ReasoningText { text, signature }), None)
            }
            ir::Block::RedactedReasoning { data } if reasoning => {
                (Block::ReasoningContent(ReasoningContent::RedactedContent(data)), None)
            }
            ir::Block::Reasoning { .. } | ir::Block::RedactedReasoning { .. } => return Ok(()),
            ir::Block::ToolCall { id, name, arguments, kind, cache } => (self.call(id, name, arguments, *kind), *cache),
            ir::Block::ToolResult { id, content, is_error, cache } => {
                let mut inner = Vec::with_capacity(content.len());
                for block in content {
                    self.item(block, false, titles, &mut inner)?;
                }
                self.result(id, inner, *is_error, *cache, out);
                return Ok(());
            }
        };
        let cache = self.cache_point(hint);
        out.push(Item { block, cache });
        Ok(())
    }

    fn call(&mut self, id: &'a str, name: &'a str, arguments: &'a str, kind: ToolKind) -> Block<'a> {
        if self.told {
            self.losses.hint("messages[].tool_calls");
            return Block::text(format!("[Called the tool {name} with {arguments}]"));
        }
        let input = Arguments::of(kind, arguments);
        Block::ToolUse(ToolUse { tool_use_id: self.ids.wire(id), name: self.tools.wire(name), input })
    }

    fn result(
        &mut self,
        id: &'a str,
        mut inner: Vec<Item<'a>>,
        is_error: bool,
        cache: Option<CacheHint>,
        out: &mut Vec<Item<'a>>,
    ) {
        if self.told {
            let words = if is_error { "[The tool failed with]" } else { "[The tool returned]" };
            out.push(Item { block: Block::text(words), cache: None });
            out.append(&mut inner);
            return;
        }
        if is_error && !self.line.rich_results {
            self.losses.hint("messages[].content[].is_error");
        }
        let status = (is_error && self.line.rich_results).then_some("error");
        let within = inner.iter().rev().find_map(|item| item.cache);
        let cache = self.cache_point(cache).or(within);
        let is_shown = |item: &Item<'_>| !self.line.rich_results && matches!(item.block, Block::Image(_));
        let (behind, inner): (Vec<_>, Vec<_>) = inner.into_iter().partition(is_shown);
        let mut content: Vec<Block<'a>> = inner.into_iter().map(|item| item.block).collect();
        if content.is_empty() && !behind.is_empty() {
            content.push(Block::text(results::SHOWN_BEHIND));
        }
        let tool_use_id = self.ids.wire(id);
        out.push(Item { block: Block::ToolResult(ToolResult { tool_use_id, content, status }), cache });
        out.extend(behind.into_iter().map(|item| Item { cache: None, ..item }));
    }

    /// C1: the hint as the model takes it.
    fn cache_point(&mut self, hint: Option<CacheHint>) -> Option<CachePoint> {
        let hint = hint?;
        match self.line.cache {
            Cache::All => Some(hint.into()),
            Cache::Prompt => {
                if hint.ttl == Some(CacheTtl::OneHour) {
                    self.losses.hint("cache_control.ttl");
                }
                Some(CachePoint::DEFAULT)
            }
            Cache::None => {
                self.losses.hint("cache_control");
                None
            }
        }
    }
}

// === free functions ===

/// Whether the conversation ends in a tool turn whose reasoning did not come back: with a budget
/// Claude then refuses to think on.
pub(super) fn ends_in_bare_tool_turn(messages: &[Message<'_>]) -> bool {
    let Some(last) = messages.iter().rev().find(|message| message.role == ASSISTANT) else { return false };
    let calls = last.content.iter().any(|block| matches!(block, Block::ToolUse(_)));
    calls && !matches!(last.content.first(), Some(Block::ReasoningContent(_)))
}

/// Appends a turn, or its content to a neighbour of the same role.
fn push<'a>(turns: &mut Vec<Turn<'a>>, role: &'static str, items: Vec<Item<'a>>) {
    if items.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == role => last.items.extend(items),
        Some(_) | None => turns.push(Turn { role, items }),
    }
}

/// T4: results before anything else in their turn, in the order of the calls they answer.
fn order_results(turns: &mut [Turn<'_>]) {
    let mut calls: Vec<&str> = Vec::new();
    for turn in turns {
        if turn.role == USER {
            turn.items.sort_by_key(|item| answered(&item.block).map_or(usize::MAX, |id| place(&calls, id)));
        }
        calls.clear();
        calls.extend(turn.items.iter().filter_map(|item| call_id(&item.block)));
    }
}

fn place(calls: &[&str], id: &str) -> usize {
    calls.iter().position(|call| *call == id).unwrap_or(calls.len())
}

fn answered<'a>(block: &Block<'a>) -> Option<&'a str> {
    if let Block::ToolResult(result) = block { Some(result.tool_use_id) } else { None }
}

fn call_id<'a>(block: &Block<'a>) -> Option<&'a str> {
    if let Block::ToolUse(call) = block { Some(call.tool_use_id) } else { None }
}

fn flat(items: Vec<Item<'_>>) -> Vec<Block<'_>> {
    let mut blocks = Vec::with_capacity(items.len());
    for item in items {
        blocks.push(item.block);
        blocks.extend(item.cache.map(Block::CachePoint));
    }
    blocks
}
