//! The messages of a client's request.
//!
//! Consecutive `tool` messages become one user turn, results in the order of the calls (rule T4).
//! A result that does not say which call it answers is taken for the only call still open, which
//! some clients rely on; with several open it is refused.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{extra_content, images, parts, request::cache_hint};
use crate::{
    error::{Error, Result},
    ir::{Block, Message, Role, ToolKind},
    wire::{
        read::{Node, Record, Shape},
        signature::Signed,
    },
};

type Extra = BTreeMap<String, Box<RawValue>>;

const ROLES: &[&str] = &["developer", "system", "user", "assistant", "tool", "function"];

/// The calls of the last assistant turn, in order.
#[derive(Default)]
struct Calls(Vec<OpenCall>);

struct OpenCall {
    id: String,
    name: String,
    answered: bool,
}

pub(super) fn decode(node: &Node<'_, '_>, extra: &mut Extra) -> Result<Vec<Message>> {
    let list = node.list()?;
    if list.is_empty() {
        let message = "Invalid 'messages': empty array. Expected at least one message.";
        return Err(Error::invalid(message, "messages", "empty_array"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    let mut calls = Calls::default();
    let mut after_result = false;
    for (index, raw) in list.into_iter().enumerate() {
        let item = node.item(index, raw);
        let record = item.record()?;
        let role = record.require("role")?;
        let role_name = role.str()?;
        let is_result = matches!(&*role_name, "tool" | "function");
        let message = match &*role_name {
            "system" => plain(&record, Role::System)?,
            "developer" => plain(&record, Role::Developer)?,
            "user" => plain(&record, Role::User)?,
            "assistant" => {
                let message = assistant(&record, index, extra)?;
                calls = Calls::of(&message);
                message
            }
            "tool" | "function" => result(&record, &role_name, &mut calls)?,
            other => return Err(role.path().unsupported(other, ROLES)),
        };
        match messages.last_mut().filter(|_| is_result && after_result) {
            Some(turn) => turn.blocks.extend(message.blocks),
            None => messages.push(message),
        }
        if let Some(turn) = messages.last_mut().filter(|_| is_result) {
            calls.sort(&mut turn.blocks);
        }
        after_result = is_result;
    }
    Ok(messages)
}

fn plain(record: &Record<'_, '_>, role: Role) -> Result<Message> {
    let mut blocks = Vec::new();
    parts::decode(&record.require("content")?, &mut blocks)?;
    parts::mark(&mut blocks, cache_hint(record)?);
    Ok(Message { role, blocks, name: record.string("name")? })
}

fn assistant(record: &Record<'_, '_>, index: usize, extra: &mut Extra) -> Result<Message> {
    let mut blocks = Vec::new();
    reasoning(record, &mut blocks)?;
    if let Some(content) = record.get("content") {
        parts::decode(&content, &mut blocks)?;
    }
    if let Some(node) = record.get("images") {
        let images = images::read(node.raw()).into_iter();
        blocks.extend(images.map(|source| Block::Image { source, detail: None, cache: None }));
    }
    // Behind what it is of.
    blocks.extend(extra_content::read(record).map(|signature| Signed::Part.block(&signature)));
    if let Some(text) = record.string("refusal")?.filter(|text| !text.is_empty()) {
        blocks.push(Block::Refusal { text });
    }
    if let Some(node) = record.get("tool_calls") {
        for (index, raw) in node.list()?.into_iter().enumerate() {
            let item = node.item(index, raw);
            let signature = extra_content::read(&item.record()?);
            blocks.extend(signature.map(|signature| Signed::Call.block(&signature)));
            blocks.push(call(&item)?);
        }
    }
    if let Some(node) = record.get("function_call") {
        let function = node.record()?;
        blocks.push(Block::ToolCall {
            // The deprecated form has no ids. One that depends on the place alone keeps equal
            // prefixes equal (rule C1).
            id: format!("call_function_{index}"),
            name: function.require("name")?.string()?,
            arguments: arguments(&function)?,
            kind: ToolKind::Function,
            cache: None,
        });
    }
    if let Some(audio) = record.get("audio") {
        extra.insert(audio.path().to_string(), audio.raw().to_owned());
    }
    parts::mark(&mut blocks, cache_hint(record)?);
    Ok(Message { role: Role::Assistant, blocks, name: record.string("name")? })
}

/// `thinking_blocks` (as LiteLLM names them) hold the reasoning with its signatures, in order
/// (rule R1); `reasoning_content` and `reasoning` are only its text.
fn reasoning(record: &Record<'_, '_>, blocks: &mut Vec<Block>) -> Result<()> {
    if let Some(node) = record.get("thinking_blocks") {
        let list = node.list()?;
        let is_empty = list.is_empty();
        for (index, raw) in list.into_iter().enumerate() {
            blocks.push(thinking_block(&node.item(index, raw).record()?)?);
        }
        if !is_empty {
            return Ok(());
        }
    }
    for key in ["reasoning_content", "reasoning"] {
        let Some(node) = record.get(key).filter(|node| node.shape() == Shape::String) else { continue };
        let text = node.string()?;
        if !text.is_empty() {
            blocks.push(Block::Reasoning { text, signature: None });
            return Ok(());
        }
    }
    Ok(())
}

fn thinking_block(block: &Record<'_, '_>) -> Result<Block> {
    let kind = block.require("type")?;
    match &*kind.str()? {
        "thinking" => Ok(Block::Reasoning {
            text: block.string("thinking")?.unwrap_or_default(),
            signature: block.string("signature")?,
        }),
        "redacted_thinking" => Ok(Block::RedactedReasoning { data: block.require("data")?.string()? }),
        other => Err(kind.path().unsupported(other, &["thinking", "redacted_thinking"])),
    }
}

fn call(node: &Node<'_, '_>) -> Result<Block> {
    let call = node.record()?;
    let id = call.require("id")?.string()?;
    let cache = cache_hint(&call)?;
    if let Some(custom) = call.get("custom") {
        let custom = custom.record()?;
        return Ok(Block::ToolCall {
            id,
            name: custom.require("name")?.string()?,
            arguments: custom.string("input")?.unwrap_or_default(),
            kind: ToolKind::Custom,
            cache,
        });
    }
    let node = call.require("function")?;
    let function = node.record()?;
    Ok(Block::ToolCall {
        id,
        name: function.require("name")?.string()?,
        arguments: arguments(&function)?,
        kind: ToolKind::Function,
        cache,
    })
}

/// A string by the book; an object as several servers write it and clients say it back (rule T3).
fn arguments(function: &Record<'_, '_>) -> Result<String> {
    let Some(node) = function.get("arguments") else { return Ok(String::new()) };
    match node.shape() {
        Shape::String => node.string(),
        Shape::Object => Ok(node.raw().get().to_owned()),
        Shape::Null | Shape::Bool | Shape::Number | Shape::Array => Err(node.mistyped("a string or an object")),
    }
}

fn result(record: &Record<'_, '_>, role: &str, calls: &mut Calls) -> Result<Message> {
    let id = match record.string("tool_call_id")? {
        Some(id) => id,
        None if role == "function" => calls.named(&record.require("name")?.str()?).unwrap_or_default(),
        None => String::new(),
    };
    let id = match id {
        id if !id.is_empty() => id,
        _ => calls.only_open().ok_or_else(|| record.path().missing("tool_call_id"))?,
    };
    calls.answer(&id);
    let mut content = Vec::new();
    if let Some(node) = record.get("content") {
        parts::decode(&node, &mut content)?;
    }
    let cache = cache_hint(record)?;
    Ok(Message::new(Role::User, vec![Block::ToolResult { id, content, is_error: false, cache }]))
}

// === impl Calls ===

impl Calls {
    fn of(message: &Message) -> Self {
        let calls = message.blocks.iter().filter_map(|block| match block {
            Block::ToolCall { id, name, .. } => Some(OpenCall { id: id.clone(), name: name.clone(), answered: false }),
            Block::Text { .. }
            | Block::Image { .. }
            | Block::Document { .. }
            | Block::Audio { .. }
            | Block::Refusal { .. }
            | Block::Reasoning { .. }
            | Block::RedactedReasoning { .. }
            | Block::ToolResult { .. } => None,
        });
        Self(calls.collect())
    }

    fn only_open(&self) -> Option<String> {
        let mut open = self.0.iter().filter(|call| !call.answered);
        match (open.next(), open.next()) {
            (Some(call), None) => Some(call.id.clone()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    fn named(&self, name: &str) -> Option<String> {
        self.0.iter().find(|call| !call.answered && call.name == name).map(|call| call.id.clone())
    }

    fn answer(&mut self, id: &str) {
        if let Some(call) = self.0.iter_mut().find(|call| call.id == id) {
            call.answered = true;
        }
    }

    /// Puts results into the order of the calls; those of unknown calls stay last, as they came.
    fn sort(&self, blocks: &mut [Block]) {
        let place = |wanted: &str| self.0.iter().position(|call| call.id == wanted).unwrap_or(usize::MAX);
        blocks.sort_by_key(|block| block.answers().map_or(usize::MAX, place));
    }
}
