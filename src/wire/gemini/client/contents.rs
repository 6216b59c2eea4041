//! The conversation as clients send it: contents of two roles, made of parts.
//!
//! - Neighbouring contents of the model are one turn, and texts that follow each other in it one text:
//!   a client that streamed keeps every chunk as a content of its own.
//! - Thoughts that were shown are reasoning without a proof, unless the part behind them carries what
//!   they were ([`super::thoughts`]), which then takes their place. Google's own signatures stay with
//!   what they are of.
//! - A call without an id gets one by its place, so that equal conversations give equal bytes (rule
//!   C1). A result belongs to the call of its id, else to the first open one of its name; results are put
//!   in the order of their calls (rule T4).
//!
//! Source: "Content", "Part", "Function calling" and "Thought signatures" (ai.google.dev, read
//! November 2026).

use super::{
    fields::{Extra, Fields, each},
    parts::{self, Kind},
    thoughts,
};
use crate::{
    error::{Error, Result},
    ir::{Block, Message, Role, ToolKind},
    wire::{
        read::{Node, Shape},
        results,
        signature::Signed,
    },
};

const ROLES: &[&str] = &["user", "model"];

/// Reads contents one after the other.
#[derive(Debug)]
pub(super) struct Reader<'e> {
    extra: &'e mut Extra,
    messages: Vec<Message>,
    /// Thoughts of the model's turn that no part has spoken for.
    thoughts: Vec<Block>,
    calls: Vec<Called>,
}

/// A call, and whether its result has come.
#[derive(Debug)]
struct Called {
    id: String,
    name: String,
    answered: bool,
}

/// The words of a system instruction.
pub(super) fn instruction(node: &Node<'_, '_>, extra: &mut Extra) -> Result<Vec<Block>> {
    if node.shape() == Shape::String {
        return Ok(vec![Block::text(node.string()?)]);
    }
    let content = Fields::of(node)?;
    let mut blocks = Vec::new();
    each(&content.require("parts")?, |node| {
        let part = Fields::of(&node)?;
        match parts::kind(&part)? {
            Kind::Text(text) => blocks.extend(Some(text).filter(|text| !text.is_empty()).map(Block::text)),
            Kind::Media(block) => blocks.push(block),
            Kind::Call(_) | Kind::Outcome(_) | Kind::Lost(_) => part.note("systemInstruction.parts[]", &[], extra),
        }
        Ok(())
    })?;
    Ok(blocks)
}

// === impl Reader ===

impl<'e> Reader<'e> {
    pub(super) fn new(extra: &'e mut Extra) -> Self {
        Self { extra, messages: Vec::new(), thoughts: Vec::new(), calls: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Vec<Message> {
        self.think();
        self.messages.retain(|message| !message.blocks.is_empty());
        for at in 1..self.messages.len() {
            let (before, rest) = self.messages.split_at_mut(at);
            if let Some(turn) = rest.first_mut().filter(|turn| turn.role == Role::User) {
                results::order(before.last(), &mut turn.blocks);
            }
        }
        self.messages
    }

    pub(super) fn contents(&mut self, node: &Node<'_, '_>) -> Result<()> {
        each(node, |item| {
            let content = Fields::of(&item)?;
            content.note("contents[]", &["role", "parts"], self.extra);
            let role = match content.get("role") {
                None => Role::User,
                Some(role) => match &*role.str()? {
                    // The last two are what older clients call those who bring a tool's result.
                    "" | "user" | "function" | "tool" => Role::User,
                    "model" => Role::Assistant,
                    other => return Err(role.path().unsupported(other, ROLES)),
                },
            };
            self.turn(role);
            // A model's turn that said nothing has none.
            content.get("parts").map_or(Ok(()), |parts| each(&parts, |part| self.part(&part, role)))
        })
    }

    /// Begins a turn; the model's goes on where it left off, and results join those before them (T4).
    fn turn(&mut self, role: Role) {
        let last = self.messages.last();
        let goes_on = last.is_some_and(|last| {
            let brings_results = last.blocks.last().is_some_and(|block| block.answers().is_some());
            last.role == role && (role == Role::Assistant || brings_results || last.blocks.is_empty())
        });
        if !goes_on {
            self.think();
            self.messages.push(Message::new(role, Vec::new()));
        }
    }

    fn part(&mut self, node: &Node<'_, '_>, role: Role) -> Result<()> {
        let part = Fields::of(node)?;
        part.note("contents[].parts[]", parts::KNOWN, self.extra);
        let signature = part.string("thoughtSignature")?.filter(|signature| !signature.is_empty());
        let kind = parts::kind(&part)?;
        if let (Kind::Text(text), Some(true)) = (&kind, part.bool("thought")?) {
            self.thought(text, signature);
            return Ok(());
        }
        let google = self.speak_for(signature);
        match kind {
            Kind::Text(text) => self.text(text, role),
            Kind::Media(block) => self.push(block),
            Kind::Call(call) => {
                let call = self.called(call);
                if let Some(signature) = &google {
                    self.push(Signed::Call.block(signature));
                }
                self.push(call);
                return Ok(());
            }
            Kind::Outcome(outcome) => {
                let result = self.answered(node, outcome)?;
                self.push(result);
            }
            Kind::Lost(field) => {
                self.extra.entry(format!("contents[].parts[].{field}")).or_insert_with(|| node.raw().to_owned());
            }
        }
        if let Some(signature) = google {
            self.push(Signed::Part.block(&signature));
        }
        Ok(())
    }

    /// What a part says of the thoughts before it: a signature of ours is all of them, one of Google's
    /// is given back, for it is of the part itself.
    fn speak_for(&mut self, signature: Option<String>) -> Option<String> {
        let opened = signature.as_deref().and_then(thoughts::open);
        let google = signature.filter(|_| opened.is_none());
        if let Some(opened) = opened {
            self.thoughts = opened;
        }
        self.think();
        google
    }

    fn thought(&mut self, text: &str, signature: Option<String>) {
        if let Some(blocks) = signature.as_deref().and_then(thoughts::open) {
            self.thoughts = blocks;
            return self.think();
        }
        let signature = signature.map(|signature| Signed::Thought.tag(&signature));
        match self.thoughts.last_mut() {
            Some(Block::Reasoning { text: before, signature: None }) if signature.is_none() => before.push_str(text),
            _ if text.is_empty() && signature.is_none() => {}
            _ => self.thoughts.push(Block::Reasoning { text: text.to_owned(), signature }),
        }
    }

    /// Texts of the model that follow each other are one; those of a user stay as they were divided.
    fn text(&mut self, text: String, role: Role) {
        if text.is_empty() {
            return;
        }
        let last = self.messages.last_mut().and_then(|message| message.blocks.last_mut());
        match last {
            Some(Block::Text { text: before, .. }) if role == Role::Assistant => before.push_str(&text),
            Some(_) | None => self.push(Block::text(text)),
        }
    }

    /// The thoughts so far are part of what the model said.
    fn think(&mut self) {
        let thoughts = std::mem::take(&mut self.thoughts);
        if let Some(message) = self.messages.last_mut() {
            message.blocks.extend(thoughts);
        }
    }

    fn push(&mut self, block: Block) {
        if let Some(message) = self.messages.last_mut() {
            message.blocks.push(block);
        }
    }

    fn called(&mut self, call: parts::Call) -> Block {
        let id = call.id.unwrap_or_else(|| format!("call_gemini_{}", self.calls.len()));
        self.calls.push(Called { id: id.clone(), name: call.name.clone(), answered: false });
        let parts::Call { name, arguments, .. } = call;
        Block::ToolCall { id, name, arguments, kind: ToolKind::Function, cache: None }
    }

    fn answered(&mut self, node: &Node<'_, '_>, outcome: parts::Outcome) -> Result<Block> {
        let parts::Outcome { id, name, content, is_error } = outcome;
        let by_id = id.as_ref().and_then(|id| self.calls.iter().position(|call| call.id == *id));
        let by_name = || self.calls.iter().position(|call| call.name == name && !call.answered);
        let call = by_id.or_else(by_name).and_then(|at| self.calls.get_mut(at));
        let id = match (call, id) {
            (Some(call), _) => {
                call.answered = true;
                call.id.clone()
            }
            // The call may have been left out of the conversation; the target judges it.
            (None, Some(id)) => id,
            (None, None) => {
                let message = format!("No call of `{name}` is open that this could be the result of.");
                return Err(Error::invalid(message, node.path().to_string(), "invalid_value"));
            }
        };
        Ok(Block::ToolResult { id, content, is_error, cache: None })
    }
}
