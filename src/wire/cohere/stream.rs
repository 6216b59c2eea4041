//! A streamed answer.
//!
//! The event's type, in its data, decides before anything is read; what is not known is passed over.
//! Texts, plans and calls have numberings of their own, so a block is told by its kind and number. An
//! end without `message-end` is no end (rule E1), and one whose reason is a failure is an error (E2).
//!
//! Arguments are held back only where they cannot be passed on as they come: a custom tool's, whose
//! text must be taken out of its object, and a `null`, the vendor's word for none.
//!
//! Cost: per delta one borrowed parse of the frame and one `String`.
//!
//! Source: "Streaming" of the vendor's documentation (docs.cohere.com, read November 2026).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, Citation, Counts, Likely},
    error,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Delta, Event, Opening, ToolKind},
    wire::{
        Memo, StreamDecoder,
        blocks::{Blocks, Prose},
        ids,
    },
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    memo: Memo,
    started: bool,
    done: bool,
    id: String,
    blocks: Blocks,
    calls: Vec<Call>,
    /// Characters of text so far, and where the text of each part began.
    chars: u64,
    bases: Vec<(u64, u64)>,
}

/// The plan of a tool turn among the parts of the content, which are numbered from zero.
const PLAN: u64 = u64::MAX;

#[derive(Debug)]
struct Call {
    wire: u64,
    block: u32,
    kind: ToolKind,
    /// What could not be passed on yet.
    held: String,
    has_arguments: bool,
    is_open: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Option<Likely>,
}

#[derive(Default, Deserialize)]
struct Change<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    usage: Option<Counts>,
}

/// One of these, as the event's type says.
#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Piece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
}

#[derive(Default, Deserialize)]
struct CallPiece {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Function,
}

#[derive(Default, Deserialize)]
struct Function {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// Judges a frame while the head is held.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    let Some(envelope) = parse(frame)? else { return Ok(false) };
    match &*envelope.kind {
        "message-end" => {
            let change = change(&envelope)?;
            answer::finish(change.finish_reason.as_deref(), false, change.error.as_deref()).map(|_| true)
        }
        "message-start" | "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start" => Ok(true),
        _ => Ok(false),
    }
}

/// An event; `None` for the terminal mark that some servers add, and for nothing.
fn parse(frame: &Frame) -> Result<Option<Envelope<'_>>> {
    let data = frame.data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return Ok(None);
    }
    if let Some(error) = (frame.event.as_deref() == Some(b"error")).then(|| error::read_in_band(data)).flatten() {
        return Err(error.into());
    }
    let envelope: Envelope<'_> = serde_json::from_slice(data).map_err(|error| broken(&error))?;
    if envelope.kind.is_empty() || envelope.kind == "error" {
        return Err(error::read_in_band(data).map_or_else(
            || Error::BadReply { message: "The upstream sent an event without a type.".into() },
            Error::from,
        ));
    }
    Ok(Some(envelope))
}

fn change<'a>(envelope: &Envelope<'a>) -> Result<Change<'a>> {
    envelope.delta.map_or_else(|| Ok(Change::default()), read)
}

fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| broken(&error))
}

/// An object where the reference has one, or the first of a list.
fn one<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<Option<T>> {
    if raw.get().starts_with('[') {
        let list: Vec<&RawValue> = read(raw)?;
        return list.first().map(|first| read(first)).transpose();
    }
    read(raw)
}

fn broken(error: &serde_json::Error) -> Error {
    Error::BadReply { message: format!("The upstream's stream holds a broken event: {error}.") }
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let Some(envelope) = parse(frame)? else { return Ok(()) };
        match &*envelope.kind {
            "message-start" => self.start(envelope.id, out),
            "content-start" | "content-delta" => self.content(envelope, out)?,
            "content-end" => self.blocks.close_prose(out),
            "tool-plan-delta" => self.plan(&envelope, out)?,
            "tool-call-start" => self.begin_call(&envelope, out)?,
            "tool-call-delta" => self.call(&envelope, out)?,
            "tool-call-end" => self.end_call(envelope.index, out),
            "citation-start" => self.citation(&envelope, out)?,
            "message-end" => self.end(&envelope, out)?,
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its message did.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self { memo, ..Self::default() }
    }

    fn start(&mut self, id: Option<String>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.id = id.unwrap_or_default();
        out.push(Event::Start { id: self.id.clone(), model: String::new(), created: 0 });
    }

    fn content(&mut self, envelope: Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(None, out);
        let Some(raw) = change(&envelope)?.message.and_then(|message| message.content) else { return Ok(()) };
        let piece: Piece = one(raw)?.unwrap_or_default();
        if let Some(text) = piece.thinking.filter(|text| !text.is_empty()) {
            let (index, _) = self.blocks.part(Prose::Reasoning, envelope.index, out);
            out.push(Event::Delta { index, delta: Delta::Reasoning(text) });
        }
        if let Some(text) = piece.text.filter(|text| !text.is_empty()) {
            let (index, is_new) = self.blocks.part(Prose::Text, envelope.index, out);
            if is_new {
                self.bases.push((envelope.index, self.chars));
            }
            self.chars += text.chars().count() as u64;
            out.push(Event::Delta { index, delta: Delta::Text(text) });
            if let Some(logprob) = envelope.logprobs.and_then(Likely::logprob) {
                out.push(Event::Logprobs(vec![logprob]));
            }
        }
        Ok(())
    }

    fn plan(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(None, out);
        let plan = change(envelope)?.message.and_then(|message| message.tool_plan);
        if let Some(text) = plan.filter(|text| !text.is_empty()) {
            let (index, _) = self.blocks.part(Prose::Reasoning, PLAN, out);
            out.push(Event::Delta { index, delta: Delta::Reasoning(text) });
        }
        Ok(())
    }

    fn begin_call(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(None, out);
        let piece = call_piece(envelope)?;
        let Some(name) = piece.function.name.filter(|name| !name.is_empty()) else {
            return Err(Error::BadReply { message: "The upstream called a tool without naming it.".into() });
        };
        self.blocks.close_prose(out);
        let (name, kind) = answer::called(name, &self.memo);
        let given = piece.id.filter(|id| !id.is_empty());
        let id = given.unwrap_or_else(|| ids::tool_call(&self.id, 0, self.calls.len()));
        let block = self.blocks.open(Opening::ToolCall { id, name, kind }, out);
        self.calls.push(Call {
            wire: envelope.index,
            block,
            kind,
            held: String::new(),
            has_arguments: false,
            is_open: true,
        });
        self.arguments(envelope.index, piece.function.arguments, out);
        Ok(())
    }

    fn call(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        let piece = call_piece(envelope)?;
        self.arguments(envelope.index, piece.function.arguments, out);
        Ok(())
    }

    fn arguments(&mut self, wire: u64, piece: Option<String>, out: &mut Vec<Event>) {
        let Some(piece) = piece.filter(|piece| !piece.is_empty()) else { return };
        let Some(call) = self.calls.iter_mut().rev().find(|call| call.wire == wire && call.is_open) else { return };
        let is_late = !call.held.is_empty() || (!call.has_arguments && piece.starts_with('n'));
        if call.kind == ToolKind::Custom || is_late {
            call.held.push_str(&piece);
            return;
        }
        call.has_arguments = true;
        out.push(Event::Delta { index: call.block, delta: Delta::Arguments(piece) });
    }

    fn end_call(&mut self, wire: u64, out: &mut Vec<Event>) {
        if let Some(call) = self.calls.iter_mut().rev().find(|call| call.wire == wire && call.is_open) {
            call.close(out);
        }
    }

    fn citation(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(None, out);
        let Some(raw) = change(envelope)?.message.and_then(|message| message.citations) else { return Ok(()) };
        let Some(citation) = one::<Citation>(raw)? else { return Ok(()) };
        let base = self.bases.iter().find(|(part, _)| *part == citation.content_index).map_or(0, |(_, base)| *base);
        out.extend(citation.annotations(base).into_iter().map(Event::Annotation));
        Ok(())
    }

    fn end(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(None, out);
        let change = change(envelope)?;
        self.blocks.close_prose(out);
        self.calls.iter_mut().for_each(|call| call.close(out));
        out.extend(change.usage.and_then(|counts| counts.usage()).map(Event::Usage));
        let reason = answer::finish(change.finish_reason.as_deref(), !self.calls.is_empty(), change.error.as_deref())?;
        out.push(Event::Finish { reason, stop_sequence: None });
        self.done = true;
        Ok(())
    }
}

fn call_piece(envelope: &Envelope<'_>) -> Result<CallPiece> {
    let raw = change(envelope)?.message.and_then(|message| message.tool_calls);
    Ok(raw.map(one).transpose()?.flatten().unwrap_or_default())
}

// === impl Call ===

impl Call {
    /// T1: what is held, made whole; `{}` where nothing came.
    fn close(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        if !self.has_arguments {
            let arguments = answer::arguments(&self.held, self.kind);
            out.push(Event::Delta { index: self.block, delta: Delta::Arguments(arguments) });
        }
        out.push(Event::Close { index: self.block });
    }
}
