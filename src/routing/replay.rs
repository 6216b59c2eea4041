//! Remembers the signed reasoning of answers that called tools, for clients that do not.
//!
//! An upstream such as Anthropic wants the reasoning that led to a tool call back, unchanged and in
//! its place, when the turn is replayed with the tool's result (rule R1); Google wants the signatures
//! of the calls themselves ([`signature`], rule R2). A client that keeps our `thinking_blocks` or
//! `extra_content` sends them itself. Most keep only what OpenAI's reference knows: text, ids, names
//! and arguments. For them it is kept here, in memory, and put back where it stood. What no vendor signs
//! and some want back all the same is [`said`]'s.
//!
//! It is found again by who called, which target answered, and the id of the first call, so that
//! nobody sees another's and no block moves between models: signatures hold for one model only.
//! What is forgotten (too old, too much, a restart) is a turn without reasoning, as if the client
//! had never had it; the dialect then switches thinking off where the vendor would refuse.
//!
//! Deliberately absent: a store shared by instances, and models whose answers need nothing back.
//!
//! Cost: per translated request one lock over a look-up per turn of tool calls, and a copy of the
//! request if something is put back; per event of a translated stream a match, and a copy of its
//! reasoning. Bytes that pass see none of it, but those of [`said`]'s models.

pub(super) mod said;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    error::Result,
    framing::Frame,
    ir::{Block, Delta, Event, Message, Opening, Request, Response, Role},
    wire::{StreamDecoder, signature},
};

/// What is kept at most, and for how long after its last use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) turns: usize,
    pub(super) bytes: usize,
    pub(super) age: Duration,
}

/// The turns that are remembered, the least recently used one forgotten first.
#[derive(Debug)]
pub(super) struct Replay {
    bounds: Bounds,
    kept: Mutex<Kept>,
}

/// Whose turns are meant: the caller's name and the target's label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) caller: Arc<str>,
    pub(super) target: Arc<str>,
}

/// What to remember an answer for.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    owner: Owner,
    form: Form,
}

/// How reasoning comes back.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As blocks that their maker has signed.
    Signed,
    /// As a text, after this conversation.
    Said(said::After),
}

#[derive(Debug, Default)]
struct Kept {
    by_call: HashMap<(Owner, String), Entry>,
    /// By last use, counted.
    by_use: BTreeMap<u64, (Owner, String)>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    turn: Arc<Turn>,
    bytes: usize,
    used: u64,
    until: Instant,
}

/// An answer with tool calls, as far as it must come back.
#[derive(Debug, Default, PartialEq)]
struct Turn(Vec<Piece>);

#[derive(Debug, PartialEq)]
enum Piece {
    /// A block of reasoning, to come back as it is.
    Reasoning(Block),
    /// Text of so many bytes.
    Text(usize),
    /// A tool call's id.
    Call(String),
}

/// Notes a stream's turn as it is decoded, and remembers it once it is complete.
pub(super) struct Remembering {
    inner: Box<dyn StreamDecoder>,
    replay: Arc<Replay>,
    memory: Memory,
    /// By the index of its block.
    pieces: Vec<(u32, Piece)>,
}

// === impl Bounds ===

impl Default for Bounds {
    /// Room for thousands of agents at work; one that rests for longer starts without.
    fn default() -> Self {
        Self { turns: 10_000, bytes: 64 * 1024 * 1024, age: Duration::from_secs(6 * 3600) }
    }
}

// === impl Memory ===

impl Memory {
    /// For reasoning that comes back signed.
    pub(super) fn signed(owner: Owner) -> Self {
        Self { owner, form: Form::Signed }
    }
}

// === impl Replay ===

impl Replay {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    /// Notes a whole answer.
    pub(super) fn remember(&self, memory: &Memory, response: &Response) {
        self.keep(memory, Turn(response.blocks.iter().filter_map(Piece::of).collect()));
    }

    /// Puts back what the request's turns are missing.
    pub(super) fn restore<'a>(&self, owner: &Owner, request: &'a Request) -> Cow<'a, Request> {
        let missing: Vec<(usize, Vec<&str>)> = request
            .messages
            .iter()
            .enumerate()
            .filter(|(_, message)| wants_reasoning(message))
            .map(|(at, message)| (at, message.blocks.iter().filter_map(call_id).collect()))
            .collect();
        let found = self.recall(owner, &missing);
        if found.is_empty() {
            return Cow::Borrowed(request);
        }
        let mut request = request.clone();
        for (at, turn) in found {
            if let Some(message) = request.messages.get_mut(at) {
                message.blocks = turn.restore(std::mem::take(&mut message.blocks));
            }
        }
        Cow::Owned(request)
    }

    /// The turns that are known of those that lack their reasoning.
    fn recall(&self, owner: &Owner, missing: &[(usize, Vec<&str>)]) -> Vec<(usize, Arc<Turn>)> {
        if missing.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |(at, ids): &(usize, Vec<&str>)| {
            let turn = ids.iter().find_map(|id| kept.touch(owner, id, now, self.bounds.age))?;
            ids.iter().all(|id| turn.calls(id)).then_some((*at, turn))
        };
        missing.iter().filter_map(known).collect()
    }

    fn keep(&self, Memory { owner, form }: &Memory, turn: Turn) {
        let (turn, is_worth_it) = match form {
            Form::Signed => turn.signed(),
            Form::Said(after) => turn.said(*after),
        };
        let Some(call) = turn.first_call().filter(|_| is_worth_it).map(str::to_owned) else { return };
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert((owner.clone(), call), turn, now + self.bounds.age);
        kept.shrink(self.bounds, now);
    }
}

// === impl Kept ===

impl Kept {
    /// The turn that began with this call, now the one used last.
    fn touch(&mut self, owner: &Owner, call: &str, now: Instant, age: Duration) -> Option<Arc<Turn>> {
        let key = (owner.clone(), call.to_owned());
        let entry = self.by_call.get_mut(&key).filter(|entry| entry.until > now)?;
        self.uses += 1;
        self.by_use.remove(&entry.used);
        (entry.used, entry.until) = (self.uses, now + age);
        let turn = Arc::clone(&entry.turn);
        self.by_use.insert(self.uses, key);
        Some(turn)
    }

    fn insert(&mut self, key: (Owner, String), turn: Turn, until: Instant) {
        self.remove(&key);
        self.uses += 1;
        let bytes = turn.bytes() + 2 * key.1.len();
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        self.by_call.insert(key, Entry { turn: Arc::new(turn), bytes, used: self.uses, until });
    }

    /// Forgets from the least recently used on, until the bounds hold and that one is not too old.
    fn shrink(&mut self, bounds: Bounds, now: Instant) {
        while let Some(key) = self.by_use.values().next() {
            let fits = self.by_call.len() <= bounds.turns && self.bytes <= bounds.bytes;
            if fits && self.by_call.get(key).is_some_and(|entry| entry.until > now) {
                return;
            }
            let key = key.clone();
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &(Owner, String)) {
        if let Some(entry) = self.by_call.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

// === impl Turn ===

impl Turn {
    fn first_call(&self) -> Option<&str> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Call(id) => Some(id.as_str()),
            Piece::Reasoning(_) | Piece::Text(_) => None,
        })
    }

    fn calls(&self, id: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Call(call) if call == id))
    }

    /// As it comes back where reasoning is signed, and whether it has to. Where calls are signed
    /// themselves, the text of the reasoning need not.
    fn signed(mut self) -> (Self, bool) {
        if self.0.iter().any(Piece::is_tied) {
            self.0.retain(|piece| !matches!(piece, Piece::Reasoning(block) if !is_signed(block)));
        }
        let must_return = self.must_return();
        (self, must_return)
    }

    /// The signature that stands before a call and is of it.
    fn proof(&self, call: &str) -> Option<&Block> {
        let at = self.0.iter().position(|piece| matches!(piece, Piece::Call(id) if id == call))?;
        match self.0.get(at.checked_sub(1)?)? {
            Piece::Reasoning(block) if signature::is_tied(block) => Some(block),
            Piece::Reasoning(_) | Piece::Text(_) | Piece::Call(_) => None,
        }
    }

    /// Whether there is reasoning, and all of it is signed: a part of it would be refused.
    fn must_return(&self) -> bool {
        let mut reasoning = self.0.iter().filter_map(|piece| match piece {
            Piece::Reasoning(block) => Some(block),
            Piece::Text(_) | Piece::Call(_) => None,
        });
        let first = reasoning.next();
        first.is_some_and(is_signed) && reasoning.all(is_signed)
    }

    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        let heap = |piece: &Piece| match piece {
            Piece::Reasoning(Block::Reasoning { text, signature }) => {
                text.len() + signature.as_ref().map_or(0, String::len)
            }
            Piece::Reasoning(Block::RedactedReasoning { data }) => data.len(),
            Piece::Call(id) => id.len(),
            Piece::Reasoning(_) | Piece::Text(_) => 0,
        };
        self.0.iter().map(|piece| size_of::<Piece>() + heap(piece)).sum::<usize>() + size_of::<Entry>()
    }

    /// The client's blocks with the reasoning where it stood among them. Where the client's text is
    /// no longer the model's, the reasoning comes first, as it does in nearly every answer, and a
    /// call's own signature before the call.
    fn restore(&self, blocks: Vec<Block>) -> Vec<Block> {
        let blocks: Vec<Block> = blocks.into_iter().filter(|block| !is_reasoning(block)).collect();
        let text = |block: &Block| if let Block::Text { text, .. } = block { text.len() } else { 0 };
        let made = |piece: &Piece| if let Piece::Text(bytes) = piece { *bytes } else { 0 };
        let is_same_text = blocks.iter().map(text).sum::<usize>() == self.0.iter().map(made).sum::<usize>();
        let mut rest = Rest(blocks);
        let mut out = Vec::with_capacity(rest.0.len() + self.0.len());
        for piece in &self.0 {
            match piece {
                Piece::Reasoning(block) if is_same_text || !signature::is_tied(block) => out.push(block.clone()),
                Piece::Text(bytes) if is_same_text => rest.take_text(*bytes, &mut out),
                Piece::Call(id) if is_same_text => rest.take_call(id, &mut out),
                Piece::Reasoning(_) | Piece::Text(_) | Piece::Call(_) => {}
            }
        }
        for block in rest.0 {
            out.extend(call_id(&block).and_then(|call| self.proof(call)).cloned());
            out.push(block);
        }
        out
    }
}

/// The client's blocks that have not found their place yet.
struct Rest(Vec<Block>);

impl Rest {
    /// Moves so many bytes of text, cutting a block that the client has joined from several.
    fn take_text(&mut self, mut bytes: usize, out: &mut Vec<Block>) {
        while bytes > 0 {
            let Some(at) = self.0.iter().position(|block| matches!(block, Block::Text { .. })) else { return };
            if let Some(Block::Text { text, .. }) = self.0.get_mut(at)
                && text.len() > bytes
                && text.is_char_boundary(bytes)
            {
                let later = text.split_off(bytes);
                out.push(Block::text(std::mem::replace(text, later)));
                return;
            }
            let block = self.0.remove(at);
            if let Block::Text { text, .. } = &block {
                bytes = bytes.saturating_sub(text.len());
            }
            out.push(block);
        }
    }

    fn take_call(&mut self, id: &str, out: &mut Vec<Block>) {
        if let Some(at) = self.0.iter().position(|block| call_id(block) == Some(id)) {
            out.push(self.0.remove(at));
        }
    }
}

// === impl Piece ===

impl Piece {
    fn is_tied(&self) -> bool {
        matches!(self, Self::Reasoning(block) if signature::is_tied(block))
    }

    fn of(block: &Block) -> Option<Self> {
        match block {
            Block::Reasoning { .. } | Block::RedactedReasoning { .. } => Some(Self::Reasoning(block.clone())),
            Block::Text { text, .. } => Some(Self::Text(text.len())),
            Block::ToolCall { id, .. } => Some(Self::Call(id.clone())),
            Block::Image { .. }
            | Block::Document { .. }
            | Block::Audio { .. }
            | Block::Refusal { .. }
            | Block::ToolResult { .. } => None,
        }
    }

    fn opened(opening: &Opening) -> Option<Self> {
        match opening {
            Opening::Text => Some(Self::Text(0)),
            Opening::Reasoning => Some(Self::Reasoning(Block::Reasoning { text: String::new(), signature: None })),
            Opening::RedactedReasoning { data } => {
                Some(Self::Reasoning(Block::RedactedReasoning { data: data.clone() }))
            }
            Opening::ToolCall { id, .. } => Some(Self::Call(id.clone())),
            Opening::Refusal | Opening::Image { .. } => None,
        }
    }

    fn extend(&mut self, delta: &Delta) {
        match (self, delta) {
            (Self::Text(bytes), Delta::Text(piece)) => *bytes += piece.len(),
            (Self::Reasoning(Block::Reasoning { text, .. }), Delta::Reasoning(piece)) => text.push_str(piece),
            (Self::Reasoning(Block::Reasoning { signature, .. }), Delta::Signature(whole)) => {
                *signature = Some(whole.clone());
            }
            (Self::Text(_) | Self::Reasoning(_) | Self::Call(_), _) => {}
        }
    }
}

// === impl Remembering ===

impl Remembering {
    pub(super) fn new(inner: Box<dyn StreamDecoder>, replay: Arc<Replay>, memory: Memory) -> Self {
        Self { inner, replay, memory, pieces: Vec::new() }
    }

    fn note_all<'e>(&mut self, events: impl Iterator<Item = &'e Event>) {
        events.for_each(|event| self.note(event));
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Open { index, block } => self.pieces.extend(Piece::opened(block).map(|piece| (*index, piece))),
            Event::Delta { index, delta } => {
                if let Some((_, piece)) = self.pieces.iter_mut().rev().find(|(at, _)| at == index) {
                    piece.extend(delta);
                }
            }
            // Before the client has its last bytes, so that its next request finds it.
            Event::Finish { .. } => {
                let pieces = std::mem::take(&mut self.pieces);
                self.replay.keep(&self.memory, Turn(pieces.into_iter().map(|(_, piece)| piece).collect()));
            }
            Event::Start { .. }
            | Event::Close { .. }
            | Event::Annotation(_)
            | Event::Logprobs(_)
            | Event::Usage(_)
            | Event::Lost(_) => {}
        }
    }
}

impl StreamDecoder for Remembering {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        let known = out.len();
        let result = self.inner.frame(frame, out);
        self.note_all(out.iter().skip(known));
        result
    }

    /// A vendor whose only end is that of the body tells the finish here.
    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        let known = out.len();
        let result = self.inner.finish(out);
        self.note_all(out.iter().skip(known));
        result
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}

impl fmt::Debug for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembering").field("memory", &self.memory).finish_non_exhaustive()
    }
}

// === free functions ===

/// An assistant's turn that called tools and came back without the proof of its reasoning.
fn wants_reasoning(message: &Message) -> bool {
    message.role == Role::Assistant
        && message.blocks.iter().any(|block| call_id(block).is_some())
        && !message.blocks.iter().any(is_signed)
}

fn is_signed(block: &Block) -> bool {
    match block {
        Block::RedactedReasoning { .. } => true,
        Block::Reasoning { signature, .. } => signature.as_deref().is_some_and(|signature| !signature.is_empty()),
        Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => false,
    }
}

fn is_reasoning(block: &Block) -> bool {
    matches!(block, Block::Reasoning { .. } | Block::RedactedReasoning { .. })
}

fn call_id(block: &Block) -> Option<&str> {
    if let Block::ToolCall { id, .. } = block { Some(id) } else { None }
}

#[cfg(test)]
mod tests;
