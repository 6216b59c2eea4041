//! A streamed answer: items that open, grow and are done, told apart by their place in the output.
//!
//! The event's name decides before anything is read; unknown events are passed over, as are items
//! of tools that the vendor runs itself. Blocks open with their first content, so that an empty part
//! is none, and what a server left out on the way is taken from the item when it is done, or from
//! the whole answer at the end. An end without a terminal event is no end (rule E1).
//!
//! Text of a second message in one answer (a comment first, the answer after it) begins with a blank
//! line, since chat clients read all text as one.
//!
//! Cost: per delta one borrowed parse of the frame and one `String`; the items of the terminal event
//! are skipped, not read again.
//!
//! Source: "Streaming events" (OpenAI's API reference, specification 2.3.0) and the stream helpers
//! of its SDKs; `response.reasoning.delta` is the Open Responses specification's name (November
//! 2026).

use serde_json::{Value, value::RawValue};

use super::{
    answer::Answer,
    events::{
        AnnotationEvent, Call, Citation, Content, Image, ItemEvent, Lifecycle, Message, PartEvent, PieceEvent,
        Reasoning, Tag, error_event, kind, parse, read,
    },
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Annotation, Delta, Event, Opening, Source, ToolKind},
    wire::{Memo, StreamDecoder, openai_chat::in_band_error},
};

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    memo: Memo,
    phase: Phase,
    /// The answer's id, for calls that came without one of their own.
    id: String,
    /// By their place in the output.
    items: Vec<(u64, Item)>,
    /// The canonical index of the next block.
    next: u32,
    /// Characters of text so far.
    chars: u64,
    calls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Within,
    Done,
}

#[derive(Debug)]
enum Item {
    Message {
        /// By their place in the content.
        parts: Vec<(u64, Part)>,
    },
    Call {
        index: u32,
        is_empty: bool,
        kind: ToolKind,
    },
    Reasoning {
        index: Option<u32>,
        /// The part the last text was of.
        place: Option<Place>,
    },
    /// An image in the making.
    Image,
    /// Nothing more comes of it.
    Done,
}

/// A part of a message that has begun.
#[derive(Debug)]
struct Part {
    index: u32,
    /// Where its text begins in the text of the answer.
    start: u64,
    is_open: bool,
    cited: Vec<Annotation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Summary(u64),
    Content(u64),
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        match kind(frame)?.as_ref() {
            "response.output_text.delta" => self.text(read(frame)?, Opening::Text, Delta::Text, out),
            "response.refusal.delta" => self.text(read(frame)?, Opening::Refusal, Delta::Refusal, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let piece: PieceEvent = read(frame)?;
                self.arguments(piece.output_index, piece.delta, out);
            }
            "response.reasoning_summary_text.delta" => {
                let piece: PieceEvent = read(frame)?;
                self.reasoning(piece.output_index, Place::Summary(piece.summary_index), piece.delta, out);
            }
            "response.reasoning_text.delta" | "response.reasoning.delta" => {
                let piece: PieceEvent = read(frame)?;
                self.reasoning(piece.output_index, Place::Content(piece.content_index), piece.delta, out);
            }
            "response.output_text.annotation.added" => self.annotation(read(frame)?),
            "response.output_item.added" => self.added(&read(frame)?, out)?,
            "response.content_part.done" => self.part_done(read(frame)?, out),
            "response.output_item.done" => {
                let ItemEvent { output_index, item } = read(frame)?;
                self.item_done(output_index, item, out)?;
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(&read::<Lifecycle<'_>>(frame)?.response, out);
            }
            "response.completed" | "response.incomplete" => self.end(&read::<Lifecycle<'_>>(frame)?.response, out)?,
            "response.failed" => return Err(read::<Lifecycle<'_>>(frame)?.response.failure()),
            "error" => return Err(error_event(frame)),
            name if name.starts_with("response.") => {}
            _ => {
                if let Some(error) = in_band_error(&frame.data) {
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
        Err(Error::Interrupted { message: "The upstream's stream ended before its response did.".into() })
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self { memo, phase: Phase::Before, id: String::new(), items: Vec::new(), next: 0, chars: 0, calls: false }
    }

    fn start(&mut self, answer: &Answer<'_>, out: &mut Vec<Event>) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Within;
        self.id = answer.id.clone().unwrap_or_default();
        let model = answer.model.clone().unwrap_or_default();
        out.push(Event::Start { id: self.id.clone(), model, created: answer.created_at.unwrap_or_default() as u64 });
    }

    /// Content before the first lifecycle event, which no server should send.
    fn begun(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Before {
            self.phase = Phase::Within;
            out.push(Event::Start { id: String::new(), model: String::new(), created: 0 });
        }
    }

    fn added(&mut self, event: &ItemEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.begun(out);
        if self.item(event.output_index).is_some() {
            return Ok(());
        }
        let item = match parse::<Tag<'_>>(event.item)?.kind.as_ref() {
            "message" => Item::Message { parts: Vec::new() },
            "reasoning" => Item::Reasoning { index: None, place: None },
            "function_call" => self.call(event.output_index, parse(event.item)?, ToolKind::Function, out),
            "custom_tool_call" => self.call(event.output_index, parse(event.item)?, ToolKind::Custom, out),
            "image_generation_call" => Item::Image,
            _ => Item::Done,
        };
        self.items.push((event.output_index, item));
        Ok(())
    }

    fn call(&mut self, place: u64, call: Call, kind: ToolKind, out: &mut Vec<Event>) -> Item {
        self.calls = true;
        let told = call.call_id.or(call.id).filter(|id| !id.is_empty());
        let id = told.unwrap_or_else(|| format!("call_{}_{place}", self.id));
        let name = self.memo.tool_names.get(&call.name).cloned().unwrap_or(call.name);
        let index = self.open(Opening::ToolCall { id, name, kind }, out);
        Item::Call { index, is_empty: true, kind }
    }

    fn text(&mut self, piece: PieceEvent, opening: Opening, delta: fn(String) -> Delta, out: &mut Vec<Event>) {
        self.begun(out);
        let PieceEvent { output_index, content_index, delta: text, .. } = piece;
        self.say(output_index, content_index, opening, delta, text, out);
    }

    /// Adds text to a part, which opens with it.
    fn say(
        &mut self,
        output: u64,
        content: u64,
        opening: Opening,
        delta: fn(String) -> Delta,
        text: String,
        out: &mut Vec<Event>,
    ) {
        if text.is_empty() {
            return;
        }
        let is_text = opening == Opening::Text;
        if self.item(output).is_none() {
            self.items.push((output, Item::Message { parts: Vec::new() }));
        }
        let Some(Item::Message { parts }) = self.item(output) else { return };
        let index = match parts.iter().find(|(at, _)| *at == content) {
            Some((_, part)) if part.is_open => part.index,
            Some(_) => return,
            None => {
                let is_first = parts.is_empty();
                let index = self.open(opening, out);
                if is_first && is_text && self.chars > 0 {
                    self.chars += 2;
                    out.push(Event::Delta { index, delta: Delta::Text("\n\n".into()) });
                }
                let part = Part { index, start: self.chars, is_open: true, cited: Vec::new() };
                if let Some(Item::Message { parts }) = self.item(output) {
                    parts.push((content, part));
                }
                index
            }
        };
        if is_text {
            self.chars += text.chars().count() as u64;
        }
        out.push(Event::Delta { index, delta: delta(text) });
    }

    fn arguments(&mut self, output: u64, piece: String, out: &mut Vec<Event>) {
        if let Some(Item::Call { index, is_empty, .. }) = self.item(output)
            && !piece.is_empty()
        {
            *is_empty = false;
            out.push(Event::Delta { index: *index, delta: Delta::Arguments(piece) });
        }
    }

    /// Parts of reasoning are paragraphs of one block.
    fn reasoning(&mut self, output: u64, now: Place, text: String, out: &mut Vec<Event>) {
        self.begun(out);
        if text.is_empty() {
            return;
        }
        if self.item(output).is_none() {
            self.items.push((output, Item::Reasoning { index: None, place: None }));
        }
        let Some(Item::Reasoning { index, place }) = self.item(output) else { return };
        let before = place.replace(now);
        let index = match *index {
            Some(index) => index,
            None => self.open_reasoning(output, out),
        };
        if before.is_some_and(|before| before != now) {
            out.push(Event::Delta { index, delta: Delta::Reasoning("\n\n".into()) });
        }
        out.push(Event::Delta { index, delta: Delta::Reasoning(text) });
    }

    fn open_reasoning(&mut self, output: u64, out: &mut Vec<Event>) -> u32 {
        let opened = self.open(Opening::Reasoning, out);
        if let Some(Item::Reasoning { index, .. }) = self.item(output) {
            *index = Some(opened);
        }
        opened
    }

    fn annotation(&mut self, event: AnnotationEvent) {
        if let Some(Item::Message { parts }) = self.item(event.output_index)
            && let Some((_, part)) = parts.iter_mut().find(|(at, _)| *at == event.content_index)
        {
            part.cite(event.annotation);
        }
    }

    fn part_done(&mut self, event: PartEvent<'_>, out: &mut Vec<Event>) {
        self.begun(out);
        self.content_done(event.output_index, event.content_index, event.part, out);
    }

    /// Ends a part of a message: says what was never said of it, its sources, and closes it.
    fn content_done(&mut self, output: u64, at: u64, content: Content<'_>, out: &mut Vec<Event>) {
        let Content { kind, text, refusal, annotations } = content;
        let is_new =
            !matches!(self.item(output), Some(Item::Message { parts }) if parts.iter().any(|(place, _)| *place == at));
        match kind.as_ref() {
            "output_text" if is_new => {
                self.say(output, at, Opening::Text, Delta::Text, text.unwrap_or_default(), out);
            }
            "refusal" if is_new => {
                self.say(output, at, Opening::Refusal, Delta::Refusal, refusal.unwrap_or_default(), out);
            }
            _ => {}
        }
        let Some(Item::Message { parts }) = self.item(output) else { return };
        let Some((_, part)) = parts.iter_mut().find(|(place, _)| *place == at) else { return };
        annotations.into_iter().flatten().for_each(|citation| part.cite(citation));
        part.close(out);
    }

    fn item_done(&mut self, output: u64, raw: &RawValue, out: &mut Vec<Event>) -> Result<()> {
        self.begun(out);
        self.added(&ItemEvent { output_index: output, item: raw }, out)?;
        match parse::<Tag<'_>>(raw)?.kind.as_ref() {
            "message" => {
                let contents = parse::<Message<'_>>(raw)?.content.unwrap_or_default();
                for (at, content) in (0u64..).zip(contents) {
                    self.content_done(output, at, content, out);
                }
            }
            "reasoning" => self.reasoning_done(output, raw, out)?,
            "function_call" | "custom_tool_call" => {
                let call: Call = parse(raw)?;
                let whole = call.arguments.or(call.input).unwrap_or_default();
                let unsaid = self.unsaid(output, whole);
                self.arguments(output, unsaid, out);
            }
            "image_generation_call" if matches!(self.item(output), Some(Item::Image)) => self.image(parse(raw)?, out),
            _ => {}
        }
        self.close(output, out);
        Ok(())
    }

    /// An image that the vendor made, whole at once.
    fn image(&mut self, image: Image, out: &mut Vec<Event>) {
        let Some(data) = image.result.filter(|data| !data.is_empty()) else { return };
        let media_type = format!("image/{}", image.output_format.as_deref().unwrap_or("png"));
        let index = self.open(Opening::Image { source: Source::Base64 { media_type, data } }, out);
        out.push(Event::Close { index });
    }

    /// A call's arguments, if none of them has come in pieces.
    fn unsaid(&mut self, output: u64, whole: String) -> String {
        match self.item(output) {
            Some(Item::Call { is_empty: true, .. }) => whole,
            Some(_) | None => String::new(),
        }
    }

    /// R1: the item itself is the proof of the reasoning.
    fn reasoning_done(&mut self, output: u64, raw: &RawValue, out: &mut Vec<Event>) -> Result<()> {
        let item: Reasoning<'_> = parse(raw)?;
        if let Some(Item::Reasoning { place: None, .. }) = self.item(output) {
            let summary = (0u64..).zip(item.summary.into_iter().flatten()).map(|(at, part)| (Place::Summary(at), part));
            let content = (0u64..).zip(item.content.into_iter().flatten()).map(|(at, part)| (Place::Content(at), part));
            for (place, part) in summary.chain(content) {
                self.reasoning(output, place, part.text.unwrap_or_default(), out);
            }
        }
        if item.encrypted_content.is_some_and(|sealed| !sealed.is_empty()) {
            let index = match self.item(output) {
                Some(Item::Reasoning { index: Some(index), .. }) => *index,
                Some(Item::Reasoning { index: None, .. }) => self.open_reasoning(output, out),
                Some(_) | None => return Ok(()),
            };
            out.push(Event::Delta { index, delta: Delta::Signature(compact(raw)) });
        }
        Ok(())
    }

    /// Ends an item, whatever state it is in.
    fn close(&mut self, output: u64, out: &mut Vec<Event>) {
        let Some(item) = self.item(output) else { return };
        match std::mem::replace(item, Item::Done) {
            Item::Message { parts } => parts.into_iter().for_each(|(_, mut part)| part.close(out)),
            Item::Call { index, is_empty, kind } => {
                // T1: a call without arguments is one with no arguments.
                if is_empty && kind == ToolKind::Function {
                    out.push(Event::Delta { index, delta: Delta::Arguments("{}".into()) });
                }
                out.push(Event::Close { index });
            }
            Item::Reasoning { index, .. } => out.extend(index.map(|index| Event::Close { index })),
            Item::Image | Item::Done => {}
        }
    }

    /// The terminal event, or a whole answer: whatever was not told on the way, and the end.
    pub(super) fn end(&mut self, answer: &Answer<'_>, out: &mut Vec<Event>) -> Result<()> {
        self.start(answer, out);
        for (at, item) in (0u64..).zip(answer.output.iter().flatten()) {
            if !matches!(self.item(at), Some(Item::Done)) {
                self.item_done(at, item, out)?;
            }
        }
        let open: Vec<u64> = self.items.iter().map(|(at, _)| *at).collect();
        open.into_iter().for_each(|at| self.close(at, out));
        let reason = answer.finish(self.calls)?;
        out.extend(answer.usage.as_ref().map(|counts| Event::Usage(counts.usage())));
        out.push(Event::Finish { reason, stop_sequence: None });
        self.phase = Phase::Done;
        Ok(())
    }

    fn item(&mut self, output: u64) -> Option<&mut Item> {
        // The one in question is nearly always the last.
        self.items.iter_mut().rev().find(|(at, _)| *at == output).map(|(_, item)| item)
    }

    fn open(&mut self, block: Opening, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next += 1;
        out.push(Event::Open { index, block });
        index
    }
}

// === impl Part ===

impl Part {
    /// Notes a source of the web, once; others have no address.
    fn cite(&mut self, citation: Citation) {
        let Some(url) = citation.url.filter(|_| self.is_open) else { return };
        let (start, end) = (self.start + citation.start_index, self.start + citation.end_index);
        let annotation = Annotation { url, title: citation.title, start, end };
        if !self.cited.contains(&annotation) {
            self.cited.push(annotation);
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if std::mem::take(&mut self.is_open) {
            out.extend(self.cited.drain(..).map(Event::Annotation));
            out.push(Event::Close { index: self.index });
        }
    }
}

// === free functions ===

/// An item's text without the line ends and indents that the vendor writes in whole answers.
fn compact(raw: &RawValue) -> String {
    let value: Option<Value> = raw.get().contains('\n').then(|| serde_json::from_str(raw.get()).ok()).flatten();
    value.map_or_else(|| raw.get().to_owned(), |value| value.to_string())
}
