//! Writes a client's stream: every chunk a whole `GenerateContentResponse`.
//!
//! ```text
//! (text | thought | image | calls)* (calls | empty text) + end
//! ```
//!
//! Text and thoughts go out piece by piece, a call whole, since SDKs put no arguments together (rule
//! T2). Calls that end an answer come together, in its last chunk: those SDKs that make the calls
//! themselves look for them in one chunk, and older ones in the last only (Python, up to 1.75). With them,
//! or with an empty text, come the finish reason, the counts and what the answer cites, as the vendor has
//! it; nothing marks the end behind it. An end that failed is not written here: the error is, by whoever
//! saw it.
//!
//! Cost per piece of text: writes into the output buffer, and a copy of it into the text so far, by
//! which citations count.
//!
//! Source: "Generating content" (ai.google.dev/api, read November 2026) and recorded traffic.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::{
    answer::{Answer, Candidate, Counts, Logprobs, Part, average, finish_reason},
    response::BLOCKED,
    sources::Grounding,
    speech::Speech,
};
use crate::{
    ir::{Annotation, Delta, Event, Finish, Logprob, Opening, ToolKind, Usage},
    wire::{Asked, StreamEncoder, json},
};

pub(super) struct Encoder {
    asked: Asked,
    id: String,
    speech: Speech,
    open: Vec<Open>,
    /// Calls that nothing has followed yet.
    calls: Vec<Called>,
    /// Something has gone out.
    spoke: bool,
    text: String,
    annotations: Vec<Annotation>,
    logprobs: Vec<Logprob>,
    usage: Option<Usage>,
    finish: Finish,
}

/// A block that is told of only when it has closed.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind,
    /// Reasoning or arguments.
    text: String,
    signature: Option<String>,
}

#[derive(Debug)]
enum Kind {
    Reasoning,
    Call { id: String, name: String, kind: ToolKind },
}

/// A call that has closed.
#[derive(Debug)]
struct Called {
    id: String,
    name: String,
    kind: ToolKind,
    arguments: String,
    signature: Option<String>,
}

/// A JSON document as an event, in the vendor's own spelling.
pub(super) fn frame(json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + 10);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    out.extend_from_slice(b"\r\n\r\n");
    out.freeze()
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, .. } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
            }
            Event::Open { index, block } => self.open(*index, block, out),
            Event::Delta { index, delta } => self.delta(*index, delta, out),
            Event::Close { index } => self.close(*index, out),
            Event::Annotation(annotation) => self.annotations.push(annotation.clone()),
            Event::Logprobs(logprobs) => self.logprobs.extend_from_slice(logprobs),
            Event::Lost(_) => {}
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, .. } => self.finish = *reason,
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        while let Some(open) = self.open.first() {
            self.close(open.index, out);
        }
        let mut parts: Vec<Part<'_>> = self.calls.iter().map(Called::part).collect();
        parts.extend(self.speech.last());
        let blocked = !self.spoke && parts.is_empty() && self.finish == Finish::ContentFilter;
        if parts.is_empty() {
            parts.push(Part::text(""));
        }
        let candidate = Candidate {
            finish_reason: Some(finish_reason(self.finish)),
            grounding_metadata: Grounding::of(&self.annotations, &self.text),
            avg_logprobs: average(&self.logprobs),
            logprobs_result: Logprobs::of(&self.logprobs),
            ..Candidate::of(&parts)
        };
        let answer = Answer {
            candidates: (!blocked).then_some([candidate]),
            prompt_feedback: blocked.then_some(BLOCKED),
            usage_metadata: self.usage.as_ref().map(Counts::of),
            model_version: &self.asked.model,
            response_id: &self.id,
        };
        write(&answer, out);
    }
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            id: asked.id.clone(),
            speech: Speech::new(&asked),
            asked,
            open: Vec::new(),
            calls: Vec::new(),
            spoke: false,
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
            usage: None,
            finish: Finish::Stop,
        }
    }

    fn open(&mut self, index: u32, block: &Opening, out: &mut BytesMut) {
        let kind = match block {
            Opening::Text | Opening::Refusal => return,
            Opening::RedactedReasoning { data } => return self.speech.redacted(data),
            Opening::Image { source } => {
                let part = self.speech.image(source);
                return self.say(part, out);
            }
            Opening::Reasoning => Kind::Reasoning,
            Opening::ToolCall { id, name, kind } => Kind::Call { id: id.clone(), name: name.clone(), kind: *kind },
        };
        self.open.push(Open { index, kind, text: String::new(), signature: None });
    }

    fn delta(&mut self, index: u32, delta: &Delta, out: &mut BytesMut) {
        let mut open = self.open.iter_mut().find(|open| open.index == index);
        if let (Some(open), Delta::Reasoning(text) | Delta::Arguments(text)) = (&mut open, delta) {
            open.text.push_str(text);
        }
        match delta {
            Delta::Text(text) => {
                let part = self.speech.text(text);
                self.text.push_str(part.as_ref().and_then(|part| part.text.as_deref()).unwrap_or_default());
                self.say(part, out);
            }
            Delta::Refusal(text) => {
                let part = self.speech.say(text.as_str());
                self.say(part, out);
            }
            Delta::Reasoning(text) => {
                let part = self.speech.thought(text);
                self.say(part, out);
            }
            Delta::Signature(whole) => {
                if let Some(open) = open {
                    open.signature = Some(whole.clone());
                }
            }
            Delta::Arguments(_) => {}
        }
    }

    fn close(&mut self, index: u32, out: &mut BytesMut) {
        let Some(at) = self.open.iter().position(|open| open.index == index) else { return };
        let Open { kind, text, signature, .. } = self.open.remove(at);
        match kind {
            Kind::Reasoning => {
                let part = self.speech.think(Cow::Owned(text), signature.as_deref());
                self.say(part, out);
            }
            Kind::Call { id, name, kind } => {
                let signature = self.speech.sign();
                self.calls.push(Called { id, name, kind, arguments: text, signature });
            }
        }
    }

    fn say(&mut self, part: Option<Part<'_>>, out: &mut BytesMut) {
        let Some(part) = part else { return };
        self.spoke = true;
        let calls = std::mem::take(&mut self.calls);
        if !calls.is_empty() {
            let calls: Vec<Part<'_>> = calls.iter().map(Called::part).collect();
            self.chunk(&calls, out);
        }
        self.chunk(&[part], out);
    }

    fn chunk(&self, parts: &[Part<'_>], out: &mut BytesMut) {
        let answer = Answer {
            candidates: Some([Candidate::of(parts)]),
            prompt_feedback: None,
            usage_metadata: None,
            model_version: &self.asked.model,
            response_id: &self.id,
        };
        write(&answer, out);
    }
}

// === impl Called ===

impl Called {
    fn part(&self) -> Part<'_> {
        Part::call(&self.id, &self.name, self.kind, &self.arguments, self.signature.clone())
    }
}

fn write(answer: &Answer<'_>, out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    json::line(answer, out);
    out.extend_from_slice(b"\r\n\r\n");
}
