//! Blocks one at a time (rule T8): canonical blocks may overlap, those of this dialect may not.
//!
//! One block is on the wire; what belongs to another waits until that one ends. Text ends as soon
//! as something else has come and goes on in a further block; a tool's call ends early when its
//! JSON is complete, since many upstreams close their calls only at the very end. A block that has
//! nothing to say is never begun (rule A5).
//!
//! Cost per delta: a look for its block among the few that are open, and the write.

use bytes::BytesMut;

use super::pieces;
use crate::{
    ir::{Annotation, Delta, Opening, ToolKind},
    wire::json::push_escaped,
};

/// The blocks of one message.
#[derive(Debug, Default)]
pub(super) struct Serial {
    /// Those that have not ended, in the order they were opened.
    blocks: Vec<Block>,
    /// The canonical index of the one on the wire.
    current: Option<u32>,
    /// The wire's index of the next one.
    next: u64,
    /// Citations that came when no text was on the wire.
    citations: Vec<Annotation>,
}

#[derive(Debug)]
struct Block {
    index: u32,
    kind: Kind,
    /// What waits, of text, reasoning or arguments.
    waiting: String,
    signature: Option<String>,
    /// Its canonical end has come.
    closed: bool,
    /// Its last word is on the wire; whatever comes is of no use.
    spent: bool,
    json: Json,
}

#[derive(Debug)]
enum Kind {
    /// Text, and a refusal, which is no kind of its own here.
    Text,
    Reasoning,
    Redacted(String),
    /// An answer has no place for it here.
    Image,
    Call {
        id: String,
        name: String,
        kind: ToolKind,
    },
}

/// Where in a JSON text one is.
#[derive(Debug, Default)]
struct Json {
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

// === impl Serial ===

impl Serial {
    pub(super) fn open(&mut self, index: u32, opening: &Opening, out: &mut BytesMut) {
        let kind = match opening {
            Opening::Text | Opening::Refusal => Kind::Text,
            Opening::Reasoning => Kind::Reasoning,
            Opening::RedactedReasoning { data } => Kind::Redacted(data.clone()),
            Opening::Image { .. } => Kind::Image,
            Opening::ToolCall { id, name, kind } => Kind::Call { id: id.clone(), name: name.clone(), kind: *kind },
        };
        self.blocks.push(Block {
            index,
            kind,
            waiting: String::new(),
            signature: None,
            closed: false,
            spent: false,
            json: Json::default(),
        });
        self.advance(out);
    }

    pub(super) fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let is_current = self.current == Some(index);
        let at = self.next.saturating_sub(1);
        let Some(block) = self.blocks.iter_mut().find(|block| block.index == index && !block.spent) else { return };
        match delta {
            Delta::Signature(signature) => block.signature = Some(signature.clone()),
            Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) | Delta::Refusal(text) => {
                if is_current {
                    block.write(at, text, out);
                } else {
                    block.waiting.push_str(text);
                }
                let is_whole = block.reads_whole(text);
                if is_current && !is_whole {
                    return;
                }
            }
        }
        self.advance(out);
    }

    pub(super) fn close(&mut self, index: u32, out: &mut BytesMut) {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.index == index) {
            block.closed = true;
        }
        self.advance(out);
    }

    pub(super) fn close_all(&mut self, out: &mut BytesMut) {
        self.blocks.iter_mut().for_each(|block| block.closed = true);
        self.advance(out);
    }

    /// A citation belongs to text: the one on the wire, else the next.
    pub(super) fn cite(&mut self, annotation: &Annotation, out: &mut BytesMut) {
        let current = self.blocks.iter().find(|block| Some(block.index) == self.current);
        if current.is_some_and(|block| matches!(block.kind, Kind::Text)) {
            pieces::citation(self.next.saturating_sub(1), annotation, out);
        } else {
            self.citations.push(annotation.clone());
        }
    }

    /// Ends what can end and begins what has something to say, until one block stays on the wire.
    fn advance(&mut self, out: &mut BytesMut) {
        loop {
            if let Some(current) = self.current {
                let wanted = self.blocks.iter().any(|block| block.index != current && block.is_ready());
                let at = self.next.saturating_sub(1);
                if let Some(block) = self.blocks.iter_mut().find(|block| block.index == current) {
                    if !(block.closed || wanted && block.yields()) {
                        return;
                    }
                    block.end(at, out);
                }
                self.current = None;
            }
            self.blocks.retain(|block| !block.closed || block.is_ready());
            let Some(block) = self.blocks.iter_mut().find(|block| block.is_ready()) else { return };
            block.begin(self.next, out);
            self.current = Some(block.index);
            if matches!(block.kind, Kind::Text) {
                self.citations.drain(..).for_each(|annotation| pieces::citation(self.next, &annotation, out));
            }
            self.next += 1;
        }
    }
}

// === impl Block ===

impl Block {
    /// Whether it has something to say that is not on the wire.
    fn is_ready(&self) -> bool {
        !self.spent
            && match self.kind {
                Kind::Text => !self.waiting.is_empty(),
                Kind::Reasoning => !self.waiting.is_empty() || self.signature.is_some(),
                Kind::Redacted(_) | Kind::Call { .. } => true,
                Kind::Image => false,
            }
    }

    /// Whether it may end before its canonical end, for another's sake.
    fn yields(&self) -> bool {
        match self.kind {
            Kind::Text | Kind::Redacted(_) | Kind::Image => true,
            Kind::Reasoning => false,
            Kind::Call { kind: ToolKind::Function, .. } => self.json.complete,
            Kind::Call { kind: ToolKind::Custom, .. } => false,
        }
    }

    /// Whether the call's arguments are whole with this piece; of other blocks nobody knows.
    fn reads_whole(&mut self, piece: &str) -> bool {
        let is_call = matches!(self.kind, Kind::Call { kind: ToolKind::Function, .. });
        if is_call {
            self.json.read(piece);
        }
        is_call && self.json.complete
    }

    fn begin(&mut self, at: u64, out: &mut BytesMut) {
        match &self.kind {
            Kind::Text => pieces::start_text(at, out),
            Kind::Reasoning => pieces::start_thinking(at, out),
            Kind::Redacted(data) => pieces::start_redacted(at, data, out),
            Kind::Image => {}
            Kind::Call { id, name, kind } => {
                pieces::start_call(at, id, name, out);
                if *kind == ToolKind::Custom {
                    pieces::arguments(at, "{\"input\":\"", out);
                }
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.write(at, &waiting, out);
    }

    fn write(&self, at: u64, text: &str, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        match &self.kind {
            Kind::Text => pieces::text(at, text, out),
            Kind::Reasoning => pieces::thinking(at, text, out),
            Kind::Redacted(_) | Kind::Image => {}
            Kind::Call { kind: ToolKind::Function, .. } => pieces::arguments(at, text, out),
            Kind::Call { kind: ToolKind::Custom, .. } => {
                let mut escaped = String::with_capacity(text.len());
                push_escaped(&mut escaped, text);
                pieces::arguments(at, &escaped, out);
            }
        }
    }

    fn end(&mut self, at: u64, out: &mut BytesMut) {
        match &self.kind {
            Kind::Reasoning => pieces::signature(at, self.signature.as_deref(), out),
            Kind::Call { kind: ToolKind::Custom, .. } => pieces::arguments(at, "\"}", out),
            Kind::Text | Kind::Redacted(_) | Kind::Image | Kind::Call { kind: ToolKind::Function, .. } => {}
        }
        pieces::stop(at, out);
        // Text may go on in another block, unless this was its end.
        self.spent = self.closed || !matches!(self.kind, Kind::Text);
    }
}

// === impl Json ===

impl Json {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}
