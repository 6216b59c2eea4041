//! The conversation as clients send it: turns of strings or blocks.
//!
//! Empty text is left out (rule A5), and results are put in the order of their calls (rule T4). Reasoning that the gateway itself had to sign comes back as
//! reasoning without a signature; all other signatures are kept byte for byte (rule R1). What the
//! vendor's own tools did on its side is noted as lost; a block that nobody knows is refused where
//! a user said it, and noted where a model did.
//!
//! Source: "Create a Message", "Tool use", "Search results" (platform.claude.com/docs, read
//! November 2026).

use super::{
    media,
    request::{Extra, cache, note},
    signature,
};
use crate::{
    error::Result,
    ir::{Block, Message, Role, ToolKind},
    wire::{
        read::{Node, Record, Shape},
        results,
    },
};

const ROLES: &[&str] = &["user", "assistant", "system"];
const TYPES: &[&str] = &["text", "image", "document", "search_result", "tool_use", "tool_result", "thinking"];
/// Under which name lost blocks are noted.
const CONTENT: &str = "messages[].content";

/// Whose words a block is among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    System,
    User,
    Assistant,
    ToolResult,
}

pub(super) fn decode(node: &Node<'_, '_>, extra: &mut Extra) -> Result<Vec<Message>> {
    let list = node.list()?;
    let mut messages = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let item = node.item(at, raw);
        let message = item.record()?;
        note(&message, "messages[]", &["clear_at", "output_config"], extra);
        let role = message.require("role")?;
        let role = match &*role.str()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => return Err(role.path().unsupported(other, ROLES)),
        };
        let mut blocks = content(&message.require("content")?, role, extra)?;
        if role == Role::User {
            results::order(messages.last(), &mut blocks);
        }
        if !blocks.is_empty() {
            messages.push(Message::new(role, blocks));
        }
    }
    Ok(messages)
}

/// A string, or blocks.
pub(super) fn content(node: &Node<'_, '_>, role: Role, extra: &mut Extra) -> Result<Vec<Block>> {
    let place = match role {
        Role::System | Role::Developer => Place::System,
        Role::User => Place::User,
        Role::Assistant => Place::Assistant,
    };
    blocks(node, place, extra)
}

fn blocks(node: &Node<'_, '_>, place: Place, extra: &mut Extra) -> Result<Vec<Block>> {
    if node.shape() == Shape::String {
        let text = node.string()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Block::text(text)] });
    }
    let list = node.list_or("a string or an array of content blocks")?;
    let mut out = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        block(&node.item(at, raw), place, extra, &mut out)?;
    }
    Ok(out)
}

fn block(node: &Node<'_, '_>, place: Place, extra: &mut Extra, out: &mut Vec<Block>) -> Result<()> {
    let block = node.record()?;
    let kind = block.require("type")?;
    let mut lose = || _ = extra.entry(CONTENT.into()).or_insert_with(|| node.raw().to_owned());
    match &*kind.str()? {
        "text" => out.extend(text(&block, extra)?),
        "image" => out.push(media::image(&block, extra)?),
        "document" => out.push(media::document(&block, extra)?),
        "search_result" => out.push(media::search_result(&block, extra)?),
        "tool_use" => out.push(tool_use(&block)?),
        "tool_result" => out.push(tool_result(&block, extra)?),
        "thinking" => {
            let signature = block.string("signature")?.filter(|text| !signature::is_own(text));
            let text = block.string("thinking")?.unwrap_or_default();
            // What was neither said nor signed is nothing.
            if !text.is_empty() || signature.is_some() {
                out.push(Block::Reasoning { text, signature });
            }
        }
        "redacted_thinking" => out.push(Block::RedactedReasoning { data: block.require("data")?.string()? }),
        // The vendor's summary of what came before; without it the conversation has no beginning.
        "compaction" => out.extend(block.string("content")?.filter(|text| !text.is_empty()).map(Block::text)),
        // What the vendor's own tools did, and marks for its own use.
        "server_tool_use" | "mcp_tool_use" | "mcp_tool_result" | "container_upload" | "tool_reference" | "fallback"
        | "tool_addition" | "tool_removal" => lose(),
        other if other.ends_with("_tool_result") || place == Place::Assistant => lose(),
        other => return Err(kind.path().unsupported(other, TYPES)),
    }
    Ok(())
}

fn text(block: &Record<'_, '_>, extra: &mut Extra) -> Result<Option<Block>> {
    note(block, "messages[].content[]", &["citations"], extra);
    let text = block.require("text")?.string()?;
    Ok(if text.is_empty() { None } else { Some(Block::Text { text, cache: cache(block)? }) })
}

fn tool_use(block: &Record<'_, '_>) -> Result<Block> {
    let arguments = match block.get("input") {
        None => "{}".into(),
        // T3: an object by the reference; some clients write it as text.
        Some(input) if input.shape() == Shape::String => input.string()?,
        Some(input) => input.raw().get().to_owned(),
    };
    Ok(Block::ToolCall {
        id: block.require("id")?.string()?,
        name: block.require("name")?.string()?,
        arguments,
        kind: ToolKind::Function,
        cache: cache(block)?,
    })
}

fn tool_result(block: &Record<'_, '_>, extra: &mut Extra) -> Result<Block> {
    let content = block.get("content").map_or(Ok(Vec::new()), |node| blocks(&node, Place::ToolResult, extra))?;
    Ok(Block::ToolResult {
        id: block.require("tool_use_id")?.string()?,
        content,
        is_error: block.bool("is_error")?.unwrap_or(false),
        cache: cache(block)?,
    })
}
