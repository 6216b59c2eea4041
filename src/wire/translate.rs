//! The way back of a stream between two dialects: frames to canonical events to the client's bytes.
//! Also the bridge between whole answers and streams, in canonical form.
//!
//! Cost per frame: what decoder and encoder cost, and one shared buffer for all bytes of the frame.

use std::{collections::VecDeque, fmt};

use bytes::{Bytes, BytesMut};

use super::{ClientDialect, Relay, StreamDecoder, StreamEncoder, Tally};
use crate::{
    error::Result,
    framing::Frame,
    ir::{Block, Delta, Event, Finish, Lost, Opening, Response},
};

/// Decodes an upstream's stream and encodes it for the client.
pub struct Translate {
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    events: Vec<Event>,
    buffer: BytesMut,
    grammar: Grammar,
    client: Option<&'static dyn ClientDialect>,
    tally: Tally,
    done: bool,
}

/// Folds a stream's events into the answer they tell of.
pub fn fold(events: impl IntoIterator<Item = Event>) -> Response {
    let mut response = empty();
    let mut blocks: Vec<(u32, Block)> = Vec::new();
    for event in events {
        match event {
            Event::Start { id, model, created } => response = Response { id, model, created, ..response },
            Event::Open { index, block } => blocks.push((index, opened(block))),
            Event::Delta { index, delta } => {
                if let Some((_, block)) = blocks.iter_mut().find(|(at, _)| *at == index) {
                    extend(block, delta);
                }
            }
            Event::Close { .. } => {}
            Event::Annotation(annotation) => response.annotations.push(annotation),
            Event::Logprobs(logprobs) => response.logprobs.extend(logprobs),
            Event::Usage(usage) => response.usage = Some(usage),
            Event::Lost(lost) => response.lost.push(lost),
            Event::Finish { reason, stop_sequence } => {
                response = Response { finish: reason, stop_sequence, ..response }
            }
        }
    }
    blocks.sort_by_key(|(index, _)| *index);
    response.blocks = blocks.into_iter().map(|(_, block)| block).collect();
    response
}

/// Unfolds an answer into events, for an upstream that answers a stream request with one body.
pub fn unfold(response: &Response) -> Vec<Event> {
    let Response { id, model, created, .. } = response.clone();
    let mut events = vec![Event::Start { id, model, created }];
    let opened = response.blocks.iter().filter_map(unfold_block);
    for (index, (block, deltas)) in (0u32..).zip(opened) {
        events.push(Event::Open { index, block });
        events.extend(deltas.into_iter().map(|delta| Event::Delta { index, delta }));
        events.push(Event::Close { index });
    }
    events.extend(response.annotations.iter().cloned().map(Event::Annotation));
    if !response.logprobs.is_empty() {
        events.push(Event::Logprobs(response.logprobs.clone()));
    }
    events.extend(response.usage.map(Event::Usage));
    events.extend(response.lost.iter().copied().map(Event::Lost));
    events.push(Event::Finish { reason: response.finish, stop_sequence: response.stop_sequence.clone() });
    events
}

impl Relay for Translate {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        let result = self.decoder.frame(&frame, &mut self.events);
        self.encode();
        if result.is_ok() && self.decoder.is_done() {
            self.end(out);
            return Ok(());
        }
        self.push(out);
        result
    }

    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let result = self.decoder.finish(&mut self.events);
        self.encode();
        match result {
            Ok(()) => self.end(out),
            Err(_) => self.push(out),
        }
        result
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl fmt::Debug for Translate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translate").field("tally", &self.tally).field("done", &self.done).finish_non_exhaustive()
    }
}

// === impl Translate ===

impl Translate {
    pub fn new(decoder: Box<dyn StreamDecoder>, encoder: Box<dyn StreamEncoder>) -> Self {
        Self {
            decoder,
            encoder,
            events: Vec::new(),
            buffer: BytesMut::new(),
            grammar: Grammar::default(),
            client: None,
            tally: Tally::default(),
            done: false,
        }
    }

    /// Notes what this dialect's clients are not shown.
    pub fn for_client(self, client: &'static dyn ClientDialect) -> Self {
        Self { client: Some(client), ..self }
    }

    fn encode(&mut self) {
        for event in &self.events {
            self.grammar.check(event);
            self.tally.note(event);
            if let (Event::Open { block: Opening::Image { source }, .. }, Some(client)) = (event, self.client)
                && !client.shows_image(source)
            {
                self.tally.lose(Lost::Images);
            }
            self.encoder.event(event, &mut self.buffer);
        }
        self.events.clear();
    }

    fn end(&mut self, out: &mut VecDeque<Bytes>) {
        if !self.done {
            self.done = true;
            self.encoder.finish(&mut self.buffer);
        }
        self.push(out);
    }

    fn push(&mut self, out: &mut VecDeque<Bytes>) {
        if !self.buffer.is_empty() {
            out.push_back(self.buffer.split().freeze());
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Counts what an event says of the call's end.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Delta { delta, .. } => {
                self.output_bytes += match delta {
                    Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) | Delta::Refusal(text) => {
                        text.len() as u64
                    }
                    Delta::Signature(_) => 0,
                };
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, .. } => self.finish = Some(*reason),
            Event::Lost(lost) => self.lose(*lost),
            Event::Start { .. }
            | Event::Open { .. }
            | Event::Close { .. }
            | Event::Annotation(_)
            | Event::Logprobs(_) => {}
        }
    }
}

impl Tally {
    /// Notes what the client is not shown, once for each kind.
    pub fn lose(&mut self, lost: Lost) {
        if !self.lost.contains(&lost) {
            self.lost.push(lost);
        }
    }
}

/// Asserts `Start (Open Delta* Close)* Finish`, blocks overlapping, indices without gaps, `Usage`
/// anywhere after the start. In builds without debug assertions it does nothing.
#[derive(Debug, Default)]
pub struct Grammar {
    started: bool,
    finished: bool,
    next: u32,
    open: Vec<u32>,
}

// === impl Grammar ===

impl Grammar {
    pub fn check(&mut self, event: &Event) {
        if cfg!(debug_assertions) {
            debug_assert!(self.takes(event), "{event:?} breaks the grammar of events: {self:?}");
        }
    }

    fn takes(&mut self, event: &Event) -> bool {
        let runs = self.started && !self.finished;
        match event {
            Event::Start { .. } => !std::mem::replace(&mut self.started, true),
            Event::Open { index, .. } => {
                self.open.push(*index);
                let expected = self.next;
                self.next += 1;
                runs && *index == expected
            }
            Event::Delta { index, .. } => runs && self.open.contains(index),
            Event::Close { index } => {
                let was_open = self.open.contains(index);
                self.open.retain(|open| open != index);
                runs && was_open
            }
            Event::Annotation(_) | Event::Logprobs(_) | Event::Lost(_) => runs,
            Event::Usage(_) => self.started,
            Event::Finish { .. } => !std::mem::replace(&mut self.finished, true) && runs && self.open.is_empty(),
        }
    }
}

fn empty() -> Response {
    Response {
        id: String::new(),
        model: String::new(),
        created: 0,
        blocks: Vec::new(),
        annotations: Vec::new(),
        logprobs: Vec::new(),
        finish: Finish::Stop,
        stop_sequence: None,
        usage: None,
        lost: Vec::new(),
        service_tier: None,
    }
}

fn opened(opening: Opening) -> Block {
    match opening {
        Opening::Text => Block::text(""),
        Opening::Reasoning => Block::Reasoning { text: String::new(), signature: None },
        Opening::RedactedReasoning { data } => Block::RedactedReasoning { data },
        Opening::ToolCall { id, name, kind } => {
            Block::ToolCall { id, name, arguments: String::new(), kind, cache: None }
        }
        Opening::Refusal => Block::Refusal { text: String::new() },
        Opening::Image { source } => Block::Image { source, detail: None, cache: None },
    }
}

/// Adds a delta to the block it is for; one for another kind of block is not valid and is left out.
fn extend(block: &mut Block, delta: Delta) {
    match (block, delta) {
        (Block::Text { text, .. }, Delta::Text(piece))
        | (Block::Refusal { text }, Delta::Refusal(piece))
        | (Block::Reasoning { text, .. }, Delta::Reasoning(piece))
        | (Block::ToolCall { arguments: text, .. }, Delta::Arguments(piece)) => text.push_str(&piece),
        (Block::Reasoning { signature, .. }, Delta::Signature(whole)) => *signature = Some(whole),
        (
            Block::Text { .. }
            | Block::Refusal { .. }
            | Block::Reasoning { .. }
            | Block::ToolCall { .. }
            | Block::Image { .. }
            | Block::Document { .. }
            | Block::Audio { .. }
            | Block::RedactedReasoning { .. }
            | Block::ToolResult { .. },
            _,
        ) => {}
    }
}

/// How a block opens, and its deltas; `None` for a block no model answers with.
fn unfold_block(block: &Block) -> Option<(Opening, Vec<Delta>)> {
    match block {
        Block::Text { text, .. } => Some((Opening::Text, vec![Delta::Text(text.clone())])),
        Block::Refusal { text } => Some((Opening::Refusal, vec![Delta::Refusal(text.clone())])),
        Block::Reasoning { text, signature } => {
            let mut deltas = vec![Delta::Reasoning(text.clone())];
            deltas.extend(signature.clone().map(Delta::Signature));
            Some((Opening::Reasoning, deltas))
        }
        Block::RedactedReasoning { data } => Some((Opening::RedactedReasoning { data: data.clone() }, Vec::new())),
        Block::ToolCall { id, name, arguments, kind, .. } => {
            let opening = Opening::ToolCall { id: id.clone(), name: name.clone(), kind: *kind };
            Some((opening, vec![Delta::Arguments(arguments.clone())]))
        }
        Block::Image { source, .. } => Some((Opening::Image { source: source.clone() }, Vec::new())),
        Block::Document { .. } | Block::Audio { .. } | Block::ToolResult { .. } => None,
    }
}
