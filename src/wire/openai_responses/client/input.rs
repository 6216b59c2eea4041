//! The items of a client's request, as messages.
//!
//! - What the model made (messages, calls, reasoning) is one turn as long as nothing comes between;
//!   so are the results of tools, in the order of their calls (rule T4).
//! - Reasoning keeps what proves its origin: what [`crate::wire::sealed`] wrapped stays wrapped here, for
//!   only a target can tell whether it is its own (rules R1, P4). An item that only OpenAI can read
//!   keeps its summary.
//! - `configuration_update` changes effort or shape from its place on; the last one holds.
//! - Whether a message was a comment or the answer (`phase`) no other dialect can say: it is left out and
//!   reported.
//! - Records of what the vendor did itself (a search, an image) are left out and reported. Items
//!   that need an answer of their own kind, and references to stored items, are refused by name:
//!   whoever has the store puts the items in their place before.
//!
//! Source: "Create a model response", input items (OpenAI's API reference, specification 2.3.0;
//! November 2026).

use super::{namespaces::joined, parts, request, tools};
use crate::{
    error::Result,
    ir::{self, Block, Message, Role, ToolKind},
    wire::{
        read::{Node, Record, Shape},
        sealed,
    },
};

const ROLES: &[&str] = &["user", "assistant", "system", "developer"];

/// Records of the vendor's own doings, which nobody else needs to know.
const RECORDS: &[&str] = &[
    "code_interpreter_call",
    "compaction_trigger",
    "file_search_call",
    "image_generation_call",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];

/// `instructions`: a string, or items.
pub(super) fn instructions(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    if node.shape() == Shape::Array {
        return decode(node, request);
    }
    let text = node.string()?;
    if !text.is_empty() {
        request.messages.push(Message::new(Role::System, vec![Block::text(text)]));
    }
    Ok(())
}

pub(super) fn decode(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    if node.shape() == Shape::String {
        let text = node.string()?;
        request.messages.push(Message::new(Role::User, vec![Block::text(text)]));
        return Ok(());
    }
    for (index, raw) in node.list_or("a string or an array of items")?.into_iter().enumerate() {
        item(&node.item(index, raw), request)?;
    }
    for message in &mut request.messages {
        message.blocks.retain(|block| !matches!(block, Block::Text { text, .. } if text.is_empty()));
    }
    Ok(())
}

fn item(node: &Node<'_, '_>, request: &mut ir::Request) -> Result<()> {
    let record = node.record()?;
    let kind = match record.string("type")? {
        Some(kind) => kind,
        None if record.get("role").is_some() => "message".into(),
        None if record.get("id").is_some() => "item_reference".into(),
        None => return Err(record.path().missing("type")),
    };
    match kind.as_str() {
        "message" => message(&record, request),
        "function_call" => {
            said(request, call(&record, "arguments", ToolKind::Function)?);
            Ok(())
        }
        "custom_tool_call" => {
            said(request, call(&record, "input", ToolKind::Custom)?);
            Ok(())
        }
        "function_call_output" | "custom_tool_call_output" => result(&record, request),
        "reasoning" => {
            if let Some(block) = reasoning(&record)? {
                said(request, block);
            }
            Ok(())
        }
        "configuration_update" => {
            record.get("reasoning").map_or(Ok(()), |node| request::reasoning(&node, request))?;
            record.get("text").map_or(Ok(()), |node| request::text(&node, request))
        }
        "additional_tools" => tools::decode(&record.require("tools")?, request),
        "item_reference" => {
            let message = "Items cannot be referred to by their ids here: send the item itself.";
            Err(parts::unusable(node, message))
        }
        record if RECORDS.contains(&record) => {
            request.extra.insert(node.path().to_string(), node.raw().to_owned());
            Ok(())
        }
        other => {
            let message = format!("Items of type `{other}` are the vendor's own and cannot be used with this model.");
            Err(parts::unusable(node, &message))
        }
    }
}

fn message(record: &Record<'_, '_>, request: &mut ir::Request) -> Result<()> {
    let role = record.require("role")?;
    let role = match &*role.str()? {
        "user" => Role::User,
        "system" => Role::System,
        "developer" => Role::Developer,
        "assistant" => Role::Assistant,
        other => return Err(role.path().unsupported(other, ROLES)),
    };
    if let Some(phase) = record.get("phase") {
        request.extra.insert("input[].phase".into(), phase.raw().to_owned());
    }
    let mut blocks = Vec::new();
    parts::decode(&record.require("content")?, &mut blocks)?;
    if role == Role::Assistant {
        blocks.into_iter().for_each(|block| said(request, block));
    } else {
        request.messages.push(Message::new(role, blocks));
    }
    Ok(())
}

/// Adds to the model's turn.
fn said(request: &mut ir::Request, block: Block) {
    match request.messages.last_mut().filter(|message| message.role == Role::Assistant) {
        Some(turn) => turn.blocks.push(block),
        None => request.messages.push(Message::new(Role::Assistant, vec![block])),
    }
}

fn call(record: &Record<'_, '_>, key: &str, kind: ToolKind) -> Result<Block> {
    let arguments = match record.get(key) {
        // T3.
        Some(node) if node.shape() == Shape::Object => node.raw().get().to_owned(),
        Some(node) => node.string()?,
        None => String::new(),
    };
    let (id, name) = (record.require("call_id")?.string()?, record.require("name")?.string()?);
    let name = record.string("namespace")?.map_or(name.clone(), |namespace| joined(&namespace, &name));
    Ok(Block::ToolCall { id, name, arguments, kind, cache: None })
}

/// T4: results that follow each other are one turn, in the order of the calls.
fn result(record: &Record<'_, '_>, request: &mut ir::Request) -> Result<()> {
    let calls: Vec<String> = last_calls(&request.messages);
    let id = match record.string("call_id")? {
        Some(id) => id,
        // Newer clients may leave it out; one open call leaves no doubt.
        None => match calls.as_slice() {
            [only] => only.clone(),
            [] | [_, _, ..] => return Err(record.path().missing("call_id")),
        },
    };
    let mut content = Vec::new();
    if let Some(output) = record.get("output") {
        parts::decode(&output, &mut content)?;
    }
    let block = Block::ToolResult { id, content, is_error: false, cache: None };
    let is_result = |message: &&mut Message| {
        message.role == Role::User && message.blocks.iter().all(|block| matches!(block, Block::ToolResult { .. }))
    };
    match request.messages.last_mut().filter(is_result) {
        Some(turn) => turn.blocks.push(block),
        None => request.messages.push(Message::new(Role::User, vec![block])),
    }
    if let Some(turn) = request.messages.last_mut() {
        let place = |wanted: &str| calls.iter().position(|call| call == wanted).unwrap_or(usize::MAX);
        turn.blocks.sort_by_key(|block| block.answers().map_or(usize::MAX, place));
    }
    Ok(())
}

/// The ids of the last turn's calls, in order.
fn last_calls(messages: &[Message]) -> Vec<String> {
    let turn = messages.iter().rev().find(|message| message.role == Role::Assistant);
    let id = |block: &Block| match block {
        Block::ToolCall { id, .. } => Some(id.clone()),
        Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::Reasoning { .. }
        | Block::RedactedReasoning { .. }
        | Block::ToolResult { .. } => None,
    };
    turn.map(|turn| turn.blocks.iter().filter_map(id).collect()).unwrap_or_default()
}

/// `None` for an item that says nothing to anybody here.
fn reasoning(record: &Record<'_, '_>) -> Result<Option<Block>> {
    let sealed = record.string("encrypted_content")?.filter(|text| sealed::is_ours(text));
    let mut text = String::new();
    for key in ["summary", "content"] {
        let Some(node) = record.get(key) else { continue };
        for (index, raw) in node.list()?.into_iter().enumerate() {
            let part = node.item(index, raw).record()?.string("text")?.unwrap_or_default();
            if !text.is_empty() && !part.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&part);
        }
    }
    Ok(match sealed {
        Some(data) if sealed::is_redacted(&data) => Some(Block::RedactedReasoning { data }),
        Some(signature) => Some(Block::Reasoning { text, signature: Some(signature) }),
        None if text.is_empty() => None,
        None => Some(Block::Reasoning { text, signature: None }),
    })
}
