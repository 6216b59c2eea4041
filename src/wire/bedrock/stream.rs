//! A streamed answer.
//!
//! The event's name is in the frame and nowhere else. Text and reasoning begin with a delta, tool
//! calls with a start; every payload may carry padding, which is passed over like anything unknown.
//! The counts come after the stop reason, so the stream is read to both; one that ends without a
//! stop reason is no answer (rule E1).
//!
//! Where JSON output is emulated by a tool (rule J1), prose is held back until it is known whether
//! the answer came as a call, in which case the call is all the content there is.
//!
//! Cost: per delta one borrowed parse of the frame and one `String`.
//!
//! Source: "ConverseStream" (docs.aws.amazon.com/bedrock, read November 2026).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, Citation, Counts},
    error,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Annotation, Delta, Event, Opening, ToolKind},
    wire::{
        Memo, StreamDecoder,
        anthropic::answer::{Called, called, custom_text},
    },
};

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    memo: Memo,
    has_begun: bool,
    has_stopped: bool,
    has_counts: bool,
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

#[derive(Debug)]
enum Block {
    Text {
        index: u32,
        start: u64,
        cited: Vec<Citation>,
    },
    /// Text held back.
    Held(String),
    Reasoning {
        index: u32,
        signature: String,
    },
    /// Base64, whole at the end.
    Redacted(String),
    /// The emulating tool's call: its arguments are text.
    Output {
        index: u32,
    },
    Call {
        index: u32,
        is_empty: bool,
    },
    /// A custom tool's call: the object, until its text can be taken out.
    Custom {
        index: u32,
        json: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u64,
    #[serde(default)]
    start: Start,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    #[serde(default)]
    tool_use: Option<ToolUse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u64,
    delta: Piece,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tool_use: Option<Input>,
    #[serde(default)]
    reasoning_content: Option<ReasoningPiece>,
    #[serde(default)]
    citation: Option<Citation>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningPiece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default, borrow)]
    additional_model_response_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    usage: Option<Counts>,
}

/// Judges a frame while the head is held.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    if let Some(error) = error::in_stream(frame) {
        return Err(error);
    }
    let known: [&[u8]; 6] =
        [b"messageStart", b"contentBlockStart", b"contentBlockDelta", b"contentBlockStop", b"messageStop", b"metadata"];
    Ok(known.contains(&frame.event.as_deref().unwrap_or_default()))
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        match frame.event.as_deref().unwrap_or_default() {
            b"contentBlockDelta" => self.delta(read(frame)?, out),
            b"contentBlockStart" => self.start_block(read(frame)?, out),
            b"contentBlockStop" => self.stop_block(read::<BlockStop>(frame)?.content_block_index, out),
            b"messageStart" => self.begin(out),
            // E1: the end of a message that never began.
            b"messageStop" if !self.has_begun => {
                let message = "The upstream ended a message that it had not begun.".into();
                return Err(Error::BadReply { message });
            }
            b"messageStop" => self.stop(&read(frame)?, out),
            b"metadata" => self.count(&read(frame)?, out),
            _ => {
                if let Some(error) = error::in_stream(frame) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// An answer without its counts is an answer.
    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<()> {
        if self.has_stopped {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its message did.".into() })
    }

    fn is_done(&self) -> bool {
        self.has_stopped && self.has_counts
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self {
            memo,
            has_begun: false,
            has_stopped: false,
            has_counts: false,
            open: Vec::with_capacity(1),
            next: 0,
            chars: 0,
            calls: false,
            answered: false,
            held: Vec::new(),
        }
    }

    fn begin(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            out.push(Event::Start { id: String::new(), model: String::new(), created: 0 });
        }
    }

    fn start_block(&mut self, start: BlockStart, out: &mut Vec<Event>) {
        let Some(call) = start.start.tool_use.filter(|_| !self.has_stopped) else { return };
        self.begin(out);
        let block = match called(&call.name, &self.memo) {
            Called::Output => {
                self.answered = true;
                Block::Output { index: self.open_block(Opening::Text, out) }
            }
            Called::Tool { name, kind } => {
                self.calls = true;
                let index = self.open_block(Opening::ToolCall { id: call.tool_use_id, name, kind }, out);
                match kind {
                    ToolKind::Function => Block::Call { index, is_empty: true },
                    ToolKind::Custom => Block::Custom { index, json: String::new() },
                }
            }
        };
        self.open.push((start.content_block_index, block));
    }

    fn delta(&mut self, delta: BlockDelta, out: &mut Vec<Event>) {
        if self.has_stopped {
            return;
        }
        self.begin(out);
        let wire = delta.content_block_index;
        let Piece { text, tool_use, reasoning_content, citation } = delta.delta;
        if let Some(text) = text {
            self.text(wire, text, out);
        }
        if let (Some(Block::Text { cited, .. }), Some(citation)) = (self.block(wire), citation) {
            cited.push(citation);
        }
        if let Some(reasoning) = reasoning_content {
            self.reasoning(wire, reasoning, out);
        }
        if let Some(Input { input }) = tool_use.filter(|piece| !piece.input.is_empty()) {
            match self.block(wire) {
                Some(Block::Output { index }) => push(out, *index, Delta::Text, input),
                Some(Block::Call { index, is_empty }) => {
                    *is_empty = false;
                    push(out, *index, Delta::Arguments, input);
                }
                Some(Block::Custom { json, .. }) => json.push_str(&input),
                Some(Block::Text { .. } | Block::Held(_) | Block::Reasoning { .. } | Block::Redacted(_)) | None => {}
            }
        }
    }

    fn text(&mut self, wire: u64, text: String, out: &mut Vec<Event>) {
        if self.block(wire).is_none() {
            let block = if self.memo.output_tool.is_some() {
                Block::Held(String::new())
            } else {
                let (index, start) = (self.open_block(Opening::Text, out), self.chars);
                Block::Text { index, start, cited: Vec::new() }
            };
            self.open.push((wire, block));
        }
        let chars = text.chars().count() as u64;
        match self.block(wire) {
            Some(Block::Text { index, .. }) => {
                push(out, *index, Delta::Text, text);
                self.chars += chars;
            }
            Some(Block::Held(held)) => held.push_str(&text),
            _ => {}
        }
    }

    fn reasoning(&mut self, wire: u64, piece: ReasoningPiece, out: &mut Vec<Event>) {
        if self.block(wire).is_none() {
            let block = match piece.redacted_content {
                Some(_) => Block::Redacted(String::new()),
                None => Block::Reasoning { index: self.open_block(Opening::Reasoning, out), signature: String::new() },
            };
            self.open.push((wire, block));
        }
        match self.block(wire) {
            Some(Block::Reasoning { index, signature }) => {
                push(out, *index, Delta::Reasoning, piece.text.unwrap_or_default());
                signature.push_str(&piece.signature.unwrap_or_default());
            }
            Some(Block::Redacted(data)) => *data = joined(data, &piece.redacted_content.unwrap_or_default()),
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
            Block::Held(text) => return self.held.push(text),
            Block::Text { index, start, cited } => {
                let (end, cited) = (self.chars, cited.into_iter().filter_map(Citation::into_web));
                out.extend(cited.map(|(url, title)| Event::Annotation(Annotation { url, title, start, end })));
                index
            }
            Block::Reasoning { index, signature } => {
                push(out, index, Delta::Signature, signature);
                index
            }
            Block::Redacted(data) => self.open_block(Opening::RedactedReasoning { data }, out),
            // T1: no pieces means no arguments, which is an empty object.
            Block::Call { index, is_empty } => {
                push(out, index, Delta::Arguments, if is_empty { "{}".into() } else { String::new() });
                index
            }
            Block::Custom { index, json } => {
                push(out, index, Delta::Arguments, custom_text(&json));
                index
            }
            Block::Output { index } => index,
        };
        out.push(Event::Close { index });
    }

    fn stop(&mut self, stop: &MessageStop<'_>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.has_stopped, true) {
            return;
        }
        for (_, block) in std::mem::take(&mut self.open) {
            self.close(block, out);
        }
        // J1: prose counts only when no call was the answer.
        for text in std::mem::take(&mut self.held) {
            if !self.answered && !text.is_empty() {
                let index = self.open_block(Opening::Text, out);
                out.push(Event::Delta { index, delta: Delta::Text(text) });
                out.push(Event::Close { index });
            }
        }
        let reason = answer::finish(stop.stop_reason.as_deref(), self.calls);
        let stop_sequence = answer::stop_sequence(stop.additional_model_response_fields);
        out.push(Event::Finish { reason, stop_sequence });
    }

    fn count(&mut self, metadata: &Metadata, out: &mut Vec<Event>) {
        self.begin(out);
        if let Some(counts) = &metadata.usage {
            self.has_counts = true;
            out.push(Event::Usage(counts.usage()));
        }
    }

    fn block(&mut self, wire: u64) -> Option<&mut Block> {
        self.open.iter_mut().find(|(index, _)| *index == wire).map(|(_, block)| block)
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

/// Base64 of two pieces' bytes together; a piece that comes alone keeps its spelling.
fn joined(data: &str, more: &str) -> String {
    if data.is_empty() {
        return more.to_owned();
    }
    match (STANDARD.decode(data), STANDARD.decode(more)) {
        (Ok(start), Ok(rest)) => STANDARD.encode([start, rest].concat()),
        _ => [data, more].concat(),
    }
}

fn read<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T> {
    serde_json::from_slice(&frame.data).map_err(|error| Error::BadReply {
        message: format!("The upstream sent an event that cannot be read: {error}."),
    })
}
