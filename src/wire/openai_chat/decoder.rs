//! Reads an upstream's stream, and, through the same code, its whole answers, so that both give
//! the same split of reasoning, content and calls (rule R4).
//!
//! Only the choice with index 0 has a place in the canonical form.
//!
//! Cost per chunk: one parse, one `String` per piece of text, which the event owns.

use std::collections::HashSet;

use super::{
    chunk::{Called, Choice, Chunk, Part, Said},
    custom, finish, images, in_band, logprobs,
    think::{Split, Splitter},
    usage,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Annotation, Delta, Event, Finish, Lost, Opening, ToolKind, Usage},
    wire::{
        Memo, StreamDecoder,
        blocks::{Blocks, Prose},
        ids,
        read::Shape,
    },
};

#[derive(Debug, Default)]
pub(super) struct Decoder {
    memo: Memo,
    started: bool,
    /// What tells this answer from others: its id, or the time it was made.
    seed: String,
    finished: bool,
    /// `[DONE]` has passed.
    done: bool,
    blocks: Blocks,
    /// Takes reasoning out of the text, where the upstream leaves it there.
    splitter: Option<Splitter>,
    calls: Vec<OpenCall>,
    /// There was audio.
    spoke: bool,
    usage: Option<Usage>,
}

/// A tool call whose pieces are coming.
#[derive(Debug)]
struct OpenCall {
    /// The upstream's index and id, to find it again.
    index: Option<u64>,
    id: String,
    /// `None` while its name has not come.
    block: Option<u32>,
    /// Arguments that came before the name, or that are a custom tool's text wrapped in an object, which only
    /// its end lets out.
    held: String,
    is_wrapped: bool,
}

fn empty() -> Error {
    Error::BadReply { message: "The upstream's stream ended without a single event.".into() }
}

/// The data of a frame that may be a chunk; `None` for pings and the like.
fn payload(frame: &Frame) -> Result<Option<&[u8]>> {
    let data = frame.data.trim_ascii();
    match frame.event.as_deref() {
        Some(b"error") => Err(in_band::error_event(data).into()),
        Some(b"ping") => Ok(None),
        Some(_) | None => Ok(Some(data).filter(|data| !data.is_empty())),
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        if frame.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return if self.started { self.end(Finish::Stop, out) } else { Err(empty()) };
        }
        let Some(data) = payload(frame)? else { return Ok(()) };
        let chunk = Chunk::parse(data)?;
        let choice = chunk.choice();
        // A server that does not stream sends the whole message in its only event.
        let whole = choice.and_then(|choice| choice.message.as_ref()).filter(|_| !self.started);
        let said = choice.and_then(|choice| Some((choice, choice.delta.as_ref().or(whole)?)));
        self.chunk(&chunk, said, out);
        match choice.map(|choice| choice.finish_reason.0.as_str()) {
            Some(reason) if !reason.is_empty() => self.stop(reason, out),
            Some(_) | None => Ok(()),
        }
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        let message = if self.started {
            "The upstream's stream ended in the middle of its answer."
        } else {
            "The upstream's stream ended without a single event."
        };
        Err(Error::Interrupted { message: message.into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self { splitter: memo.think_tags.then(Splitter::default), memo, ..Self::default() }
    }

    /// Takes everything of a chunk or an answer but its end.
    pub(super) fn chunk(&mut self, chunk: &Chunk<'_>, said: Option<(&Choice<'_>, &Said<'_>)>, out: &mut Vec<Event>) {
        let usage = chunk.usage().and_then(|raw| usage::usage(raw.get()));
        // A prelude without choices (Azure) knows neither id nor model (rule S3).
        if !self.started && (chunk.choices.iter().flatten().next().is_some() || usage.is_some()) {
            self.started = true;
            let (id, created) = (&chunk.id.0, chunk.created.0.unwrap_or_default());
            self.seed = if id.is_empty() { created.to_string() } else { id.clone() };
            out.push(Event::Start { id: chunk.id.0.clone(), model: chunk.model.0.clone(), created });
        }
        // Some servers repeat the whole answer after its end.
        if let Some((choice, said)) = said.filter(|_| !self.finished) {
            self.said(said, out);
            let logprobs = choice.logprobs.map(logprobs::read).filter(|logprobs| !logprobs.is_empty());
            out.extend(logprobs.map(Event::Logprobs));
        }
        if let Some(usage) = usage.filter(|usage| self.usage != Some(*usage)) {
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
        }
    }

    /// Ends the answer for the upstream's reason, unless that is a failure (rule E2).
    pub(super) fn stop(&mut self, reason: &str, out: &mut Vec<Event>) -> Result<()> {
        match in_band::failed_finish(reason, !self.blocks.is_empty()) {
            Some(error) => Err(error.into()),
            None => self.end(finish::decode(reason), out),
        }
    }

    /// Closes everything and says why the answer ended; the first reason counts.
    pub(super) fn end(&mut self, reason: Finish, out: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.finished = true;
        self.flush(out);
        self.blocks.close_prose(out);
        for call in &mut self.calls {
            let Some(index) = call.block else {
                return Err(Error::BadReply { message: "The upstream called a tool without naming it.".into() });
            };
            let text = Some(std::mem::take(&mut call.held)).filter(|held| call.is_wrapped && !held.is_empty());
            out.extend(text.map(|held| Event::Delta { index, delta: Delta::Arguments(custom::text(held)) }));
            out.push(Event::Close { index });
        }
        let reason = finish::settle(reason, !self.calls.is_empty());
        out.push(Event::Finish { reason, stop_sequence: None });
        Ok(())
    }

    fn said(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        self.reasoning(said, out);
        if let Some(content) = said.content {
            self.content(content, out);
        }
        self.prose(Prose::Refusal, &said.refusal.0, out);
        if said.tool_calls.iter().flatten().next().is_some() || said.function_call.is_some() {
            self.flush(out);
        }
        let mut touched = HashSet::new();
        for call in said.tool_calls.iter().flatten() {
            let called = call.called();
            let at = self.find(call.index.0, &call.id.0, &called.name, &touched);
            let at = at.unwrap_or_else(|| self.new_call(call.index.0, &call.id.0));
            touched.insert(at);
            self.piece(at, called, out);
        }
        if let Some(raw) = said.function_call {
            let called = Called::parse(raw);
            let at = if self.calls.is_empty() { self.new_call(None, "") } else { 0 };
            self.piece(at, called, out);
        }
        for source in said.images.map(images::read).unwrap_or_default() {
            self.blocks.whole(Opening::Image { source }, None, out);
        }
        if let Some(audio) = &said.audio {
            // The sound has no place here; its words have.
            self.text(audio.transcript.0.clone(), out);
            if !std::mem::replace(&mut self.spoke, true) {
                out.push(Event::Lost(Lost::Audio));
            }
        }
        if let Some(raw) = said.annotations {
            annotations(raw.get(), out);
        }
    }

    /// Reasoning under any of its names; the first that says something counts.
    fn reasoning(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        let blocks = said.thinking_blocks.map(Part::list).unwrap_or_default();
        for (at, block) in blocks.iter().enumerate() {
            if at > 0 {
                self.blocks.close_prose(out);
            }
            // A signed block at the end of streamed reasoning repeats its whole text.
            let streaming = self.blocks.speaking() == Some(Prose::Reasoning);
            let repeats = at == 0 && streaming && !block.signature.0.is_empty();
            let text = if repeats { String::new() } else { block.thinking() };
            self.thought(block, &text, out);
        }
        if !blocks.is_empty() {
            return;
        }
        let text = [&said.reasoning_content.0, &said.reasoning.0].into_iter().find(|text| !text.is_empty());
        self.prose(Prose::Reasoning, text.map_or("", String::as_str), out);
        for detail in said.reasoning_details.map(Part::list).unwrap_or_default() {
            let told = [&detail.text.0, &detail.summary.0].into_iter().find(|text| !text.is_empty());
            let told = told.filter(|_| text.is_none()).map_or("", String::as_str);
            self.thought(&detail, told, out);
        }
    }

    /// One block of reasoning, or a piece of one, with what proves its origin.
    fn thought(&mut self, part: &Part<'_>, text: &str, out: &mut Vec<Event>) {
        if part.r#type.0 == "redacted_thinking" {
            self.blocks.whole(Opening::RedactedReasoning { data: part.data.0.clone() }, None, out);
            return;
        }
        self.prose(Prose::Reasoning, text, out);
        if part.signature.0.is_empty() {
            return;
        }
        let index = self.blocks.prose(Prose::Reasoning, out);
        out.push(Event::Delta { index, delta: Delta::Signature(part.signature.0.clone()) });
        self.blocks.close_prose(out);
    }

    /// A string, or Mistral's array of text and thinking parts.
    fn content(&mut self, content: &serde_json::value::RawValue, out: &mut Vec<Event>) {
        if Shape::of(content.get()) == Shape::String {
            let text: String = serde_json::from_str(content.get()).unwrap_or_default();
            return self.text(text, out);
        }
        for part in Part::list(content) {
            match part.r#type.0.as_str() {
                "thinking" => self.thought(&part, &part.thinking(), out),
                "refusal" => self.prose(Prose::Refusal, &part.refusal.0, out),
                _ => self.text(part.text.0, out),
            }
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<Event>) {
        let split = match &mut self.splitter {
            Some(splitter) => splitter.push(text),
            None => Split { text, ..Split::default() },
        };
        self.split(split, out);
    }

    /// Lets go of what may have been the beginning of a tag.
    fn flush(&mut self, out: &mut Vec<Event>) {
        if let Some(splitter) = &mut self.splitter {
            let split = splitter.flush();
            self.split(split, out);
        }
    }

    fn split(&mut self, split: Split, out: &mut Vec<Event>) {
        self.blocks.say(Prose::Reasoning, split.reasoning, out);
        self.blocks.say(Prose::Text, split.text, out);
    }

    fn prose(&mut self, kind: Prose, text: &str, out: &mut Vec<Event>) {
        self.blocks.say(kind, text.to_owned(), out);
    }

    /// Finds the call a piece belongs to: by index, else by id, else it is the last one's unless a
    /// name begins a new call. Two entries of one chunk are two calls, and so are two ids under one
    /// index (vendors that give every parallel call the index 0).
    fn find(&self, index: Option<u64>, id: &str, name: &str, touched: &HashSet<usize>) -> Option<usize> {
        let begins = !name.is_empty();
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None if !id.is_empty() => match self.calls.iter().rposition(|call| call.id == id) {
                Some(at) => at,
                None if begins => return None,
                None => self.calls.len().checked_sub(1)?,
            },
            None if begins => self.calls.len().checked_sub(1).filter(|at| self.is_nameless(*at))?,
            None => self.calls.len().checked_sub(1)?,
        };
        let other_id = !id.is_empty() && self.calls.get(at).is_some_and(|call| !call.id.is_empty() && call.id != id);
        let is_another = begins && (other_id || touched.contains(&at));
        (!is_another).then_some(at)
    }

    fn is_nameless(&self, at: usize) -> bool {
        self.calls.get(at).is_some_and(|call| call.block.is_none())
    }

    fn new_call(&mut self, index: Option<u64>, id: &str) -> usize {
        self.calls.push(OpenCall { index, id: id.into(), block: None, held: String::new(), is_wrapped: false });
        self.calls.len() - 1
    }

    fn piece(&mut self, at: usize, called: Called, out: &mut Vec<Event>) {
        let Called { name, arguments, is_custom } = called;
        let Some(call) = self.calls.get(at) else { return };
        let block = match call.block {
            Some(block) => block,
            None if name.is_empty() => {
                if let Some(call) = self.calls.get_mut(at) {
                    call.held.push_str(&arguments);
                }
                return;
            }
            None => self.open_call(at, name, is_custom, out),
        };
        let Some(call) = self.calls.get_mut(at) else { return };
        if call.is_wrapped {
            call.held.push_str(&arguments);
            return;
        }
        let held = std::mem::take(&mut call.held);
        for piece in [held, arguments] {
            if !piece.is_empty() {
                out.push(Event::Delta { index: block, delta: Delta::Arguments(piece) });
            }
        }
    }

    fn open_call(&mut self, at: usize, name: String, is_custom: bool, out: &mut Vec<Event>) -> u32 {
        self.blocks.close_prose(out);
        let name = self.memo.tool_names.get(&name).cloned().unwrap_or(name);
        let id = self.calls.get(at).map(|call| call.id.clone()).unwrap_or_default();
        let used = self.calls.iter().take(at).any(|call| call.id == id);
        // Servers without ids, or with "0" for every call, need one that no other turn has.
        let id = if id.is_empty() || used { ids::tool_call(&self.seed, 0, at) } else { id };
        let kind = self.memo.kind_of(&name);
        let index = self.blocks.open(Opening::ToolCall { id, name, kind }, out);
        if let Some(call) = self.calls.get_mut(at) {
            call.block = Some(index);
            call.is_wrapped = kind == ToolKind::Custom && !is_custom;
        }
        index
    }
}

/// `{"type":"url_citation","url_citation":{"start_index","end_index","url","title"}}`.
fn annotations(json: &str, out: &mut Vec<Event>) {
    let list: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    for item in list {
        let Some(citation) = item.get("url_citation") else { continue };
        let Some(url) = citation.get("url").and_then(|url| url.as_str()) else { continue };
        let count = |key| citation.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default();
        out.push(Event::Annotation(Annotation {
            url: url.into(),
            title: citation.get("title").and_then(|title| title.as_str()).map(Into::into),
            start: count("start_index"),
            end: count("end_index"),
        }));
    }
}
