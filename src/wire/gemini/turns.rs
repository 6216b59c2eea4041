//! The conversation: canonical messages to instructions and turns of the two roles.
//!
//! - System messages become the instruction. A later one joins it: its words and rank survive, its
//!   place is reported lost. Where a line takes no instruction, the first turn begins with it.
//! - Neighbours of one role become one turn; tool results stand first in it, in the order of the
//!   calls, each under its function's name (rule T4).
//! - A call carries the signature that came with it. Newer lines refuse a turn of calls without any,
//!   so a turn from elsewhere gets the word the vendor documents for that (rule R2).
//! - Reasoning goes back only where Google signed it; other vendors' is not theirs to read. What Google
//!   shows of its thoughts is not signed itself and stays out; where a part of the turn is, nothing is lost.
//! - An id goes back only if the model gave it; the vendor otherwise goes by names and order.
//!
//! Deliberately absent: repairs of a history that the vendor refuses for what it says (unanswered
//! calls, no user turn first). The vendor's own message is the better answer.
//!
//! Source: "Function calling", "Thought signatures" and "Text generation"
//! (ai.google.dev/gemini-api/docs, read November 2026).

use std::{borrow::Cow, collections::HashMap};

use serde_json::value::RawValue;

use super::{
    body::{Call, Content, Instruction, Outcome, Part, Payload, Resolution, Returned, Value},
    media,
    models::Model,
};
use crate::{
    error::{Error, Result},
    ir::{self, Role, ToolKind},
    wire::{
        Host,
        arguments::Arguments,
        losses::Losses,
        names::Names,
        signature::{self, Signed},
    },
};

const USER: &str = "user";
const MODEL: &str = "model";

/// Stands for a signature that nobody has.
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// Ids of the model's own are shorter.
const OWN_ID_LIMIT: usize = 16;

/// A conversation on the wire.
#[derive(Debug, Default)]
pub(super) struct Conversation<'a> {
    pub instruction: Option<Instruction<'a>>,
    pub contents: Vec<Content<'a>>,
}

/// How blocks are written.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    pub model: &'l Model,
    pub host: Host,
    pub tools: &'a Names,
    /// The names of the calls so far, by id.
    pub called: HashMap<&'a str, &'a str>,
    /// The signature of the call that comes next.
    pub signed: Option<&'a str>,
    /// A part of this turn carries the proof of its thoughts.
    pub proven: bool,
    pub losses: &'l mut Losses,
}

#[derive(Debug)]
struct Turn<'a> {
    role: &'static str,
    pieces: Vec<Piece<'a>>,
}

/// A part, and the id of the call that it is or answers.
#[derive(Debug)]
struct Piece<'a> {
    part: Part<'a>,
    calls: Option<&'a str>,
    answers: Option<&'a str>,
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    pub(super) fn conversation(mut self, messages: &'a [ir::Message]) -> Result<Conversation<'a>> {
        let mut instruction: Vec<Piece<'a>> = Vec::new();
        let mut turns: Vec<Turn<'a>> = Vec::with_capacity(messages.len());
        for message in messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            let pieces = self.blocks(&message.blocks)?;
            let role = match message.role {
                Role::System | Role::Developer => {
                    if !turns.is_empty() && !pieces.is_empty() {
                        self.losses.hint("messages[].role");
                    }
                    instruction.extend(pieces);
                    continue;
                }
                Role::User => USER,
                Role::Assistant => MODEL,
            };
            push(&mut turns, Turn { role, pieces });
        }
        order_results(&mut turns);
        if self.model.signatures {
            turns.iter_mut().for_each(Turn::sign);
        }
        Ok(self.place(instruction, turns))
    }

    /// A request of nothing but instructions is one of a user: the vendor wants a turn, and OpenAI's
    /// clients may send none.
    fn place(&self, instruction: Vec<Piece<'a>>, mut turns: Vec<Turn<'a>>) -> Conversation<'a> {
        if !instruction.is_empty() && (turns.is_empty() || !self.model.system) {
            match turns.first_mut().filter(|turn| turn.role == USER) {
                Some(first) => _ = first.pieces.splice(..0, instruction),
                None => turns.insert(0, Turn { role: USER, pieces: instruction }),
            }
            return Conversation { instruction: None, contents: turns.into_iter().map(Turn::into_content).collect() };
        }
        let parts: Vec<Part<'a>> = instruction.into_iter().map(|piece| piece.part).collect();
        Conversation {
            instruction: (!parts.is_empty()).then_some(Instruction { parts }),
            contents: turns.into_iter().map(Turn::into_content).collect(),
        }
    }

    fn blocks(&mut self, blocks: &'a [ir::Block]) -> Result<Vec<Piece<'a>>> {
        let mut out = Vec::with_capacity(blocks.len());
        self.proven = blocks.iter().any(signature::is_tied);
        for block in blocks {
            self.block(block, &mut out)?;
        }
        self.signed = None;
        Ok(out)
    }

    fn block(&mut self, block: &'a ir::Block, out: &mut Vec<Piece<'a>>) -> Result<()> {
        match block {
            ir::Block::Text { text, .. } | ir::Block::Refusal { text } if text.is_empty() => {}
            ir::Block::Text { text, .. } | ir::Block::Refusal { text } => out.push(Part::text(text).into()),
            ir::Block::Image { source, detail, .. } => {
                let data = media::image(source, self.host)?;
                let media_resolution = self.resolution(detail.as_deref());
                out.push(Part { media_resolution, ..data.into() }.into());
            }
            ir::Block::Document { source, .. } => out.push(Part::from(media::document(source, self.host)?).into()),
            ir::Block::Audio { data, format } => out.push(Part::from(media::audio(data, format)).into()),
            ir::Block::Reasoning { text, .. } => self.reasoning(block, text, out),
            ir::Block::RedactedReasoning { .. } => self.losses.hint("messages[].reasoning_content"),
            ir::Block::ToolCall { id, name, arguments, kind, .. } => out.push(self.call(id, name, arguments, *kind)),
            ir::Block::ToolResult { id, content, is_error, .. } => self.result(id, content, *is_error, out)?,
        }
        if is_marked(block) {
            self.losses.hint("messages[].content[].cache_control");
        }
        Ok(())
    }

    fn reasoning(&mut self, block: &'a ir::Block, text: &'a str, out: &mut Vec<Piece<'a>>) {
        match signature::of(block) {
            Some((Signed::Call, signature)) => self.signed = Some(signature),
            Some((Signed::Part, signature)) => match out.last_mut().filter(|piece| piece.takes_signature()) {
                Some(piece) => piece.part.thought_signature = Some(signature),
                None => out.push(Part { thought_signature: Some(signature), ..Part::text("") }.into()),
            },
            Some((Signed::Thought, signature)) => {
                let part = Part { thought: true, thought_signature: Some(signature), ..Part::text(text) };
                out.push(part.into());
            }
            None if text.is_empty() => {}
            // What Google showed of its thoughts; their proof goes back with a part of the turn.
            None if self.proven && is_unsigned(block) => {}
            None => self.losses.hint("messages[].reasoning_content"),
        }
    }

    fn call(&mut self, id: &'a str, name: &'a str, arguments: &'a str, kind: ToolKind) -> Piece<'a> {
        self.called.insert(id, name);
        let args = Arguments::of(kind, arguments);
        let call = Call { id: self.own_id(id), name: self.tools.wire(name), args };
        let part = Part { thought_signature: self.signed.take(), ..Payload::FunctionCall(call).into() };
        Piece { part, calls: Some(id), answers: None }
    }

    fn result(
        &mut self,
        id: &'a str,
        content: &'a [ir::Block],
        is_error: bool,
        out: &mut Vec<Piece<'a>>,
    ) -> Result<()> {
        let Some(name) = self.called.get(id).copied() else {
            let message = format!("No earlier message calls a tool with the id '{id}'.");
            return Err(Error::invalid(message, "messages[].tool_call_id", "invalid_value"));
        };
        let mut inner = self.blocks(content)?;
        let (texts, media): (Vec<_>, Vec<_>) =
            inner.drain(..).map(|piece| piece.part).partition(|part| matches!(part.data, Payload::Text(_)));
        let (within, beside): (Vec<_>, Vec<_>) = media.into_iter().partition(|part| self.takes_in_result(part));
        let value = value(texts);
        let response = if is_error { Returned::Error(value) } else { Returned::Output(value) };
        let outcome = Outcome { id: self.own_id(id), name: self.tools.wire(name), response, parts: within };
        out.push(Piece { part: Payload::FunctionResponse(outcome).into(), calls: None, answers: Some(id) });
        out.extend(beside.into_iter().map(Piece::from));
        Ok(())
    }

    /// The vendor's own endpoint takes only data in a result, Vertex AI references too.
    fn takes_in_result(&self, part: &Part<'_>) -> bool {
        self.model.rich_results && (self.host == Host::Cloud || matches!(part.data, Payload::InlineData(_)))
    }

    /// The id, if it looks like one the model gave. Vertex AI takes none back.
    fn own_id(&self, id: &'a str) -> Option<&'a str> {
        let is_own = id.len() <= OWN_ID_LIMIT && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (self.host == Host::Vendor && is_own && !id.is_empty()).then_some(id)
    }

    fn resolution(&mut self, detail: Option<&str>) -> Option<Resolution> {
        match detail {
            None | Some("auto") => None,
            Some("low") if self.model.resolution => Some(Resolution { level: "MEDIA_RESOLUTION_LOW" }),
            Some("high") if self.model.resolution => Some(Resolution { level: "MEDIA_RESOLUTION_HIGH" }),
            Some(_) => {
                self.losses.hint("messages[].content[].image_url.detail");
                None
            }
        }
    }
}

// === impl Turn ===

impl<'a> Turn<'a> {
    fn into_content(self) -> Content<'a> {
        Content { role: self.role, parts: self.pieces.into_iter().map(|piece| piece.part).collect() }
    }

    /// R2: of the calls of a turn the first is signed at least.
    fn sign(&mut self) {
        let mut calls = self.pieces.iter_mut().filter(|piece| piece.calls.is_some());
        if let Some(first) = calls.next()
            && first.part.thought_signature.is_none()
            && calls.all(|call| call.part.thought_signature.is_none())
        {
            first.part.thought_signature = Some(UNSIGNED);
        }
    }
}

// === impl Piece ===

impl Piece<'_> {
    /// Whether what follows may be the signature of this part.
    fn takes_signature(&self) -> bool {
        let is_said = matches!(self.part.data, Payload::Text(_) | Payload::InlineData(_));
        is_said && !self.part.thought && self.part.thought_signature.is_none()
    }
}

impl<'a> From<Part<'a>> for Piece<'a> {
    fn from(part: Part<'a>) -> Self {
        Self { part, calls: None, answers: None }
    }
}

// === free functions ===

/// Appends a turn, or its pieces to a neighbour of the same role.
fn push<'a>(turns: &mut Vec<Turn<'a>>, turn: Turn<'a>) {
    if turn.pieces.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == turn.role => last.pieces.extend(turn.pieces),
        Some(_) | None => turns.push(turn),
    }
}

fn is_unsigned(block: &ir::Block) -> bool {
    matches!(block, ir::Block::Reasoning { signature: None, .. })
}

/// T4: results before anything else in their turn, in the order of the calls they answer.
fn order_results(turns: &mut [Turn<'_>]) {
    let mut calls: Vec<&str> = Vec::new();
    for turn in turns {
        let place = |id: &str| calls.iter().position(|call| *call == id).unwrap_or(calls.len());
        if turn.role == USER {
            turn.pieces.sort_by_key(|piece| piece.answers.map_or(usize::MAX, place));
        }
        calls = turn.pieces.iter().filter_map(|piece| piece.calls).collect();
    }
}

/// What a tool returned: an object or a list as such, everything else as text.
fn value<'a>(texts: Vec<Part<'a>>) -> Value<'a> {
    let mut texts =
        texts.into_iter().filter_map(|part| if let Payload::Text(text) = part.data { Some(text) } else { None });
    let (first, rest) = (texts.next().unwrap_or_default(), texts.collect::<Vec<_>>());
    if !rest.is_empty() {
        return Value::Text(Cow::Owned([vec![first], rest].concat().concat()));
    }
    if let Cow::Borrowed(text) = first
        && let Ok(json) = serde_json::from_str::<&'a RawValue>(text)
        && json.get().starts_with(['{', '['])
    {
        return Value::Json(json);
    }
    Value::Text(first)
}

fn is_marked(block: &ir::Block) -> bool {
    match block {
        ir::Block::Text { cache, .. }
        | ir::Block::Image { cache, .. }
        | ir::Block::Document { cache, .. }
        | ir::Block::ToolCall { cache, .. }
        | ir::Block::ToolResult { cache, .. } => cache.is_some(),
        ir::Block::Audio { .. }
        | ir::Block::Refusal { .. }
        | ir::Block::Reasoning { .. }
        | ir::Block::RedactedReasoning { .. } => false,
    }
}
