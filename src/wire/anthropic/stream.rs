//! A streamed answer.
//!
//! The event's name, or its tag where a vendor leaves the name out, decides before anything is
//! read: pings and unknown events are passed over, as are blocks of server-side tools with their
//! deltas. An end without `message_stop` is no end (rule E1).
//!
//! Where JSON output is emulated by a tool (rule J1), prose is held back until it is known whether
//! the answer came as a call, in which case the call is all the content there is.
//!
//! Counts go out once they are whole, with `message_delta`; those of `message_start` alone would
//! make a cut stream look as if it had cost one token.
//!
//! Cost: per delta one borrowed parse of the frame and one `String`.
//!
//! Source: "Streaming messages" (platform.claude.com/docs, read November 2026).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, Called, Citation, Counts, StopDetails},
    error,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Annotation, Delta, Event, Opening, ToolKind},
    wire::{Memo, StreamDecoder},
};

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    memo: Memo,
    phase: Phase,
    counts: Counts,
    /// Blocks that are open, one as a rule, by the wire's index.
    open: Vec<(u64, Block)>,
    /// The canonical index of the next block.
    next: u32,
    /// Characters of text so far.
    chars: u64,
    calls: bool,
    /// The answer came as a call.
    answered: bool,
    /// Texts that wait for the end, where JSON output is emulated.
    held: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Within,
    /// The stop reason has passed.
    Finished,
    Done,
}

#[derive(Debug)]
enum Block {
    Text {
        index: u32,
        start: u64,
        cited: Vec<Citation>,
    },
    /// Text held back.
    Held(String),
    Thinking {
        index: u32,
        signature: String,
    },
    /// The emulating tool's call: its arguments are text.
    Output {
        index: u32,
    },
    Call {
        index: u32,
        given: Option<String>,
    },
    /// A custom tool's call: the object, until its text can be taken out.
    Custom {
        index: u32,
        json: String,
    },
    /// One with no place here.
    Skipped,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct MessageStart {
    message: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    index: u64,
    #[serde(borrow)]
    content_block: Content<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockDelta<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Piece<'a>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    partial_json: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: String,
    #[serde(default, borrow)]
    citation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BlockStop {
    index: u64,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    delta: Change,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Default, Deserialize)]
struct Change {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
    #[serde(default)]
    stop_details: Option<StopDetails>,
}

/// Judges a frame while the head is held.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    match kind(frame)?.as_ref() {
        "message_start" | "content_block_start" | "content_block_delta" | "message_delta" | "message_stop" => Ok(true),
        "error" => Err(error_event(frame)),
        _ => match error::read_in_band(&frame.data) {
            Some(error) => Err(error.into()),
            None => Ok(false),
        },
    }
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        match kind(frame)?.as_ref() {
            "content_block_delta" => self.delta(read(frame)?, out),
            "content_block_start" => self.start_block(read(frame)?, out),
            "content_block_stop" => self.stop_block(read::<BlockStop>(frame)?.index, out),
            "message_start" => self.start(read(frame)?, out),
            "message_delta" => self.change(read(frame)?, out),
            // E1: the end of a message that never began.
            "message_stop" if self.phase == Phase::Before => {
                let message = "The upstream ended a message that it had not begun.".into();
                return Err(Error::BadReply { message });
            }
            "message_stop" => {
                self.end(&Change::default(), out);
                self.phase = Phase::Done;
            }
            "error" => return Err(error_event(frame)),
            "ping" => {}
            _ => {
                if let Some(error) = error::read_in_band(&frame.data) {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<()> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its message did.".into() })
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self {
            memo,
            phase: Phase::Before,
            counts: Counts::default(),
            open: Vec::with_capacity(1),
            next: 0,
            chars: 0,
            calls: false,
            answered: false,
            held: Vec::new(),
        }
    }

    fn start(&mut self, start: MessageStart, out: &mut Vec<Event>) {
        let Head { id, model, usage } = start.message;
        self.counts.overwrite(usage.unwrap_or_default());
        if self.phase == Phase::Before {
            self.phase = Phase::Within;
            out.push(Event::Start { id, model, created: 0 });
        }
    }

    fn start_block(&mut self, start: BlockStart<'_>, out: &mut Vec<Event>) {
        if self.phase != Phase::Within {
            return;
        }
        let content = start.content_block;
        let block = match content.kind.as_ref() {
            "text" => self.start_text(content.text.unwrap_or_default(), out),
            "thinking" => {
                let index = self.open_block(Opening::Reasoning, out);
                push(out, index, Delta::Reasoning, content.thinking.unwrap_or_default());
                Block::Thinking { index, signature: content.signature.unwrap_or_default() }
            }
            "redacted_thinking" => {
                let data = content.data.unwrap_or_default();
                let index = self.open_block(Opening::RedactedReasoning { data }, out);
                out.push(Event::Close { index });
                return;
            }
            "tool_use" => self.start_call(content, out),
            _ => Block::Skipped,
        };
        self.open.push((start.index, block));
    }

    /// Some who copy the vendor begin no block of prose. Passed over, it would be an empty answer.
    fn start_unannounced(&mut self, delta: &BlockDelta<'_>, out: &mut Vec<Event>) {
        let block = match delta.delta.kind.as_ref() {
            _ if self.phase != Phase::Within => return,
            "text_delta" => self.start_text(String::new(), out),
            "thinking_delta" => {
                Block::Thinking { index: self.open_block(Opening::Reasoning, out), signature: String::new() }
            }
            _ => return,
        };
        self.open.push((delta.index, block));
    }

    fn start_text(&mut self, text: String, out: &mut Vec<Event>) -> Block {
        if self.memo.output_tool.is_some() {
            return Block::Held(text);
        }
        let (index, start) = (self.open_block(Opening::Text, out), self.chars);
        self.chars += text.chars().count() as u64;
        push(out, index, Delta::Text, text);
        Block::Text { index, start, cited: Vec::new() }
    }

    fn start_call(&mut self, content: Content<'_>, out: &mut Vec<Event>) -> Block {
        let (name, kind) = match answer::called(&content.name, &self.memo) {
            Called::Output => {
                self.answered = true;
                return Block::Output { index: self.open_block(Opening::Text, out) };
            }
            Called::Tool { name, kind } => (name, kind),
        };
        self.calls = true;
        let index = self.open_block(Opening::ToolCall { id: content.id, name, kind }, out);
        // Whole arguments at the start are not the vendor's way, but that of some who copy it.
        let given = content.input.map_or("{}", RawValue::get).to_owned();
        match kind {
            ToolKind::Function => Block::Call { index, given: Some(given) },
            ToolKind::Custom => Block::Custom { index, json: String::new() },
        }
    }

    fn delta(&mut self, delta: BlockDelta<'_>, out: &mut Vec<Event>) {
        if !self.open.iter().any(|(wire, _)| *wire == delta.index) {
            self.start_unannounced(&delta, out);
        }
        let Some((_, block)) = self.open.iter_mut().find(|(wire, _)| *wire == delta.index) else { return };
        let piece = delta.delta;
        match (block, piece.kind.as_ref()) {
            (Block::Text { index, .. }, "text_delta") => {
                self.chars += piece.text.chars().count() as u64;
                push(out, *index, Delta::Text, piece.text);
            }
            (Block::Text { cited, .. }, "citations_delta") => {
                cited.extend(piece.citation.and_then(|raw| serde_json::from_str(raw.get()).ok()));
            }
            (Block::Held(text), "text_delta") => text.push_str(&piece.text),
            (Block::Thinking { index, .. }, "thinking_delta") => push(out, *index, Delta::Reasoning, piece.thinking),
            // The vendor's SDKs overwrite as well: a signature is never in pieces.
            (Block::Thinking { signature, .. }, "signature_delta") => *signature = piece.signature,
            (Block::Output { index }, "input_json_delta") => push(out, *index, Delta::Text, piece.partial_json),
            (Block::Call { index, given }, "input_json_delta") if !piece.partial_json.is_empty() => {
                *given = None;
                push(out, *index, Delta::Arguments, piece.partial_json);
            }
            (Block::Custom { json, .. }, "input_json_delta") => json.push_str(&piece.partial_json),
            _ => {}
        }
    }

    fn stop_block(&mut self, wire: u64, out: &mut Vec<Event>) {
        let Some(at) = self.open.iter().position(|(index, _)| *index == wire) else { return };
        let (_, block) = self.open.swap_remove(at);
        self.close(block, out);
    }

    fn close(&mut self, block: Block, out: &mut Vec<Event>) {
        let index = match block {
            Block::Skipped => return,
            Block::Held(text) => return self.held.push(text),
            Block::Text { index, start, cited } => {
                let (end, cited) = (self.chars, cited.into_iter().filter_map(Citation::into_web));
                out.extend(cited.map(|(url, title)| Event::Annotation(Annotation { url, title, start, end })));
                index
            }
            Block::Thinking { index, signature } => {
                push(out, index, Delta::Signature, signature);
                index
            }
            // T1: no pieces means no arguments, which is an empty object.
            Block::Call { index, given } => {
                push(out, index, Delta::Arguments, given.unwrap_or_default());
                index
            }
            Block::Custom { index, json } => {
                push(out, index, Delta::Arguments, answer::custom_text(&json));
                index
            }
            Block::Output { index } => index,
        };
        out.push(Event::Close { index });
    }

    fn change(&mut self, change: MessageDelta, out: &mut Vec<Event>) {
        let MessageDelta { delta, usage } = change;
        let counted = usage.is_some();
        self.counts.overwrite(usage.unwrap_or_default());
        if counted && self.phase == Phase::Finished {
            out.push(Event::Usage(self.counts.usage()));
        }
        if delta.stop_reason.is_some() {
            self.end(&delta, out);
        }
    }

    /// Says why the message ended, once.
    fn end(&mut self, change: &Change, out: &mut Vec<Event>) {
        if self.phase != Phase::Within {
            return;
        }
        self.phase = Phase::Finished;
        for (_, block) in std::mem::take(&mut self.open) {
            self.close(block, out);
        }
        self.release(out);
        let reason = change.stop_reason.as_deref();
        let refusal = change.stop_details.as_ref().and_then(|details| details.explanation.clone());
        if let (Some(text), Some("refusal")) = (refusal, reason) {
            self.whole(Opening::Refusal, Delta::Refusal(text), out);
        }
        out.push(Event::Usage(self.counts.usage()));
        let reason = answer::finish(reason, self.calls);
        out.push(Event::Finish { reason, stop_sequence: change.stop_sequence.clone() });
    }

    /// J1: prose counts only when no call was the answer.
    fn release(&mut self, out: &mut Vec<Event>) {
        for text in std::mem::take(&mut self.held) {
            if !self.answered && !text.is_empty() {
                self.whole(Opening::Text, Delta::Text(text), out);
            }
        }
    }

    fn whole(&mut self, block: Opening, delta: Delta, out: &mut Vec<Event>) {
        let index = self.open_block(block, out);
        out.push(Event::Delta { index, delta });
        out.push(Event::Close { index });
    }

    fn open_block(&mut self, block: Opening, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::Open { index, block });
        index
    }
}

// === free functions ===

/// Pushes a delta that holds something.
fn push(out: &mut Vec<Event>, index: u32, delta: impl FnOnce(String) -> Delta, text: String) {
    if !text.is_empty() {
        out.push(Event::Delta { index, delta: delta(text) });
    }
}

/// The event's name, from the frame or from its payload.
pub(super) fn kind(frame: &Frame) -> Result<Cow<'_, str>> {
    match frame.event.as_deref().map(str::from_utf8) {
        Some(Ok(name)) if name != "message" => Ok(Cow::Borrowed(name)),
        Some(_) | None => read::<Tag<'_>>(frame).map(|tag| tag.kind),
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T> {
    serde_json::from_slice(&frame.data).map_err(|error| Error::BadReply {
        message: format!("The upstream sent an event that cannot be read: {error}."),
    })
}

pub(super) fn error_event(frame: &Frame) -> Error {
    match error::read_in_band(&frame.data) {
        Some(error) => error.into(),
        None => Error::BadReply { message: "The upstream sent an error event that says nothing.".into() },
    }
}
