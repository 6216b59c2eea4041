//! Writes a client's stream: chunk by chunk, exactly in the shape OpenAI sends (openai-openapi spec
//! 2.3.0 and recorded traffic, November 2026), because SDK accumulators concatenate whatever is
//! sent twice.
//!
//! Reasoning goes out as `reasoning_content`; its signatures, which must come back unchanged, as
//! `thinking_blocks`, whole and once, when the block ends (rule R1). Each carries an `index` since
//! the Python SDK's accumulator demands one of every list entry. Google's signatures go out with what
//! they are of, as `extra_content` (rule R2).
//!
//! Cost per event: writes into the output buffer and nothing else, except that the text of
//! reasoning is also kept until its block ends.

use bytes::BytesMut;
use serde::Serialize;

use super::{DONE, extra_content::ExtraContent, finish, images::Image, logprobs::Logprobs, response};
use crate::{
    ir::{Annotation, Delta, Event, Finish, Logprob, Opening, Source, ToolKind, Usage},
    wire::{
        Asked, StreamEncoder, json,
        signature::{self, Signed},
    },
};

pub(super) struct Encoder {
    asked: Asked,
    /// What every chunk begins with, up to its `choices`.
    head: Vec<u8>,
    role_sent: bool,
    blocks: Vec<OpenBlock>,
    calls: u32,
    thoughts: u32,
    images: usize,
    /// The signature of the call that comes next.
    signed: Option<String>,
    annotations: Vec<Annotation>,
    usage: Option<Usage>,
}

struct OpenBlock {
    index: u32,
    state: State,
}

enum State {
    Prose,
    Reasoning { text: String, signature: Option<String> },
    Call { number: u32, kind: ToolKind, has_arguments: bool },
}

#[derive(Default, Serialize)]
struct Chunk<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// `Some(None)` is JSON's `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_blocks: Option<[response::ThinkingBlock<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Image<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionDelta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    annotations: &'a [response::Citation<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionDelta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomDelta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct CustomDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    input: &'a str,
}

/// A piece of a call: its running number, and, in the first piece, its id, name and signature.
struct Piece<'a> {
    number: u32,
    kind: ToolKind,
    head: Option<(&'a str, &'a str)>,
    text: &'a str,
    signed: Option<&'a str>,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, created, .. } => self.start(id, *created),
            Event::Open { index, block } => self.open(*index, block, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Close { index } => self.close(*index, out),
            Event::Logprobs(logprobs) => self.logprobs(logprobs, out),
            // Together at the end, because accumulators cannot join lists.
            Event::Annotation(annotation) => self.annotations.push(annotation.clone()),
            Event::Lost(_) => {}
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, .. } => self.end(*reason, out),
        }
    }

    /// The one chunk with usage, last (rule S1).
    fn finish(&mut self, out: &mut BytesMut) {
        if let Some(usage) = self.usage.filter(|_| self.asked.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#""choices":[],"usage":"#);
            json::line(&response::Counts::of(&usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE);
    }
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(asked: Asked) -> Self {
        let mut encoder = Self {
            asked,
            head: Vec::new(),
            role_sent: false,
            blocks: Vec::new(),
            calls: 0,
            thoughts: 0,
            images: 0,
            signed: None,
            annotations: Vec::new(),
            usage: None,
        };
        encoder.start("", 0);
        encoder
    }

    /// Fixes what is the same on every chunk.
    fn start(&mut self, id: &str, created: u64) {
        let id = self.asked.name_of(id);
        let created = if created == 0 { self.asked.created } else { created };
        let head = &mut self.head;
        head.clear();
        head.extend_from_slice(br#"data: {"id":"#);
        json::line(&id, &mut *head);
        head.extend_from_slice(br#","object":"chat.completion.chunk","created":"#);
        json::line(&created, &mut *head);
        head.extend_from_slice(br#","model":"#);
        json::line(&self.asked.model, &mut *head);
        head.extend_from_slice(br#","system_fingerprint":null,"#);
    }

    fn open(&mut self, index: u32, block: &Opening, out: &mut BytesMut) {
        let state = match block {
            Opening::ToolCall { id, name, kind } => {
                let (number, kind) = (self.calls, *kind);
                self.calls += 1;
                let signed = self.signed.take();
                let signed = signed.as_deref();
                self.call(&Piece { number, kind, head: Some((id, name)), text: "", signed }, out);
                State::Call { number, kind, has_arguments: false }
            }
            Opening::Text | Opening::Refusal => State::Prose,
            Opening::Reasoning => State::Reasoning { text: String::new(), signature: None },
            Opening::Image { source } => {
                self.image(source, out);
                State::Prose
            }
            Opening::RedactedReasoning { data } => {
                self.thinking(|index| response::ThinkingBlock::redacted(data, index), out);
                State::Prose
            }
        };
        // A signature alone says nothing yet of how the answer begins.
        if !matches!(state, State::Reasoning { .. }) {
            self.role(out);
        }
        self.blocks.push(OpenBlock { index, state });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let state = self.blocks.iter_mut().find(|block| block.index == index).map(|block| &mut block.state);
        match (delta, state) {
            (Delta::Text(text), _) if !text.is_empty() => {
                self.chunk(&Chunk { content: Some(Some(text)), ..Chunk::default() }, out);
            }
            (Delta::Refusal(text), _) if !text.is_empty() => {
                self.chunk(&Chunk { refusal: Some(Some(text)), ..Chunk::default() }, out);
            }
            (Delta::Reasoning(piece), Some(State::Reasoning { text, .. })) if !piece.is_empty() => {
                text.push_str(piece);
                self.role(out);
                self.chunk(&Chunk { reasoning_content: Some(piece), ..Chunk::default() }, out);
            }
            (Delta::Signature(whole), Some(State::Reasoning { signature, .. })) => *signature = Some(whole.clone()),
            (Delta::Arguments(text), Some(State::Call { number, kind, has_arguments })) if !text.is_empty() => {
                *has_arguments = true;
                let (number, kind) = (*number, *kind);
                self.call(&Piece { number, kind, head: None, text, signed: None }, out);
            }
            (
                Delta::Text(_) | Delta::Refusal(_) | Delta::Reasoning(_) | Delta::Signature(_) | Delta::Arguments(_),
                _,
            ) => {}
        }
    }

    fn close(&mut self, index: u32, out: &mut BytesMut) {
        let Some(at) = self.blocks.iter().position(|block| block.index == index) else { return };
        match self.blocks.swap_remove(at).state {
            State::Reasoning { text, signature: Some(signature) } => self.signed(&text, &signature, out),
            // T1: a call without arguments is a call with no arguments.
            State::Call { number, kind: ToolKind::Function, has_arguments: false } => {
                let kind = ToolKind::Function;
                self.call(&Piece { number, kind, head: None, text: "{}", signed: None }, out);
            }
            State::Prose | State::Reasoning { signature: None, .. } | State::Call { .. } => {}
        }
    }

    fn end(&mut self, reason: Finish, out: &mut BytesMut) {
        self.role(out);
        let annotations = std::mem::take(&mut self.annotations);
        if !annotations.is_empty() {
            let annotations: Vec<_> = annotations.iter().map(response::Citation::of).collect();
            self.chunk(&Chunk { annotations: &annotations, ..Chunk::default() }, out);
        }
        self.write(
            &Chunk::default(),
            None,
            Some(finish::encode(reason, self.calls > 0, self.asked.legacy_functions)),
            out,
        );
    }

    /// The role, once, in the first chunk.
    fn role(&mut self, out: &mut BytesMut) {
        if let Some(role) = self.take_role() {
            let first = Chunk { role: Some(role), content: Some(Some("")), refusal: Some(None), ..Chunk::default() };
            self.chunk(&first, out);
        }
    }

    /// A call has its own running number, not the block's index, and says id and name once (rule
    /// T2). In the older words there is one call, without an id.
    fn call(&mut self, piece: &Piece<'_>, out: &mut BytesMut) {
        let Piece { number, kind, head, text, signed } = *piece;
        let name = head.map(|(_, name)| name);
        // An answer that begins with a call has null for its text.
        let role = self.take_role();
        let null = role.map(|_| None);
        let mut chunk = Chunk { role, content: null, refusal: null, ..Chunk::default() };
        if self.asked.legacy_functions {
            if number > 0 {
                return;
            }
            chunk.function_call = Some(FunctionDelta { name, arguments: text });
        } else {
            let (function, custom, spelled) = match kind {
                ToolKind::Function => (Some(FunctionDelta { name, arguments: text }), None, "function"),
                ToolKind::Custom => (None, Some(CustomDelta { name, input: text }), "custom"),
            };
            let (id, r#type) = (head.map(|(id, _)| id), head.map(|_| spelled));
            let extra_content = signed.map(ExtraContent::of);
            chunk.tool_calls = Some([CallDelta { index: number, id, r#type, function, custom, extra_content }]);
        }
        self.chunk(&chunk, out);
    }

    fn take_role(&mut self) -> Option<&'static str> {
        (!std::mem::replace(&mut self.role_sent, true)).then_some("assistant")
    }

    fn signed(&mut self, text: &str, signature: &str, out: &mut BytesMut) {
        match signature::read(signature) {
            Some((Signed::Call, signature)) => self.signed = Some(signature.to_owned()),
            Some((Signed::Part, signature)) => {
                self.role(out);
                let extra_content = Some(ExtraContent::of(signature));
                self.chunk(&Chunk { extra_content, ..Chunk::default() }, out);
            }
            Some((Signed::Thought, _)) | None => {
                self.thinking(|index| response::ThinkingBlock::signed(text, signature, index), out);
            }
        }
    }

    fn thinking<'a>(&mut self, block: impl FnOnce(u32) -> response::ThinkingBlock<'a>, out: &mut BytesMut) {
        self.role(out);
        let block = block(self.thoughts);
        self.thoughts += 1;
        self.chunk(&Chunk { thinking_blocks: Some([block]), ..Chunk::default() }, out);
    }

    fn image(&mut self, source: &Source, out: &mut BytesMut) {
        self.role(out);
        let image = Image::of(source, self.images);
        self.images += 1;
        self.chunk(&Chunk { images: image.map(|image| [image]), ..Chunk::default() }, out);
    }

    /// In a chunk of their own behind the text they are of; accumulators join the lists.
    fn logprobs(&mut self, logprobs: &[Logprob], out: &mut BytesMut) {
        self.role(out);
        let nothing = Chunk { content: Some(Some("")), ..Chunk::default() };
        self.write(&nothing, Logprobs::of(logprobs).as_ref(), None, out);
    }

    fn chunk(&self, chunk: &Chunk<'_>, out: &mut BytesMut) {
        self.write(chunk, None, None, out);
    }

    fn write(
        &self,
        delta: &Chunk<'_>,
        logprobs: Option<&Logprobs<'_>>,
        finish_reason: Option<&str>,
        out: &mut BytesMut,
    ) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#""choices":[{"index":0,"delta":"#);
        json::line(delta, out);
        out.extend_from_slice(br#","logprobs":"#);
        json::line(&logprobs, out);
        out.extend_from_slice(br#","finish_reason":"#);
        json::line(&finish_reason, out);
        out.extend_from_slice(b"}]");
        if self.asked.include_usage {
            out.extend_from_slice(br#","usage":null"#);
        }
        out.extend_from_slice(b"}\n\n");
    }
}
