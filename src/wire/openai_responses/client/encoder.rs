//! Writes a client's stream: items one after the other, each part opened, grown and closed in the
//! vendor's order, every event numbered (rule P1).
//!
//! ```text
//! created in_progress (output_item.added PART* output_item.done)* completed|incomplete
//! message:   content_part.added (output_text|refusal).delta* .done content_part.done
//! call:      (function_call_arguments|custom_tool_call_input).delta* .done
//! reasoning: reasoning_summary_part.added reasoning_summary_text.delta* .done reasoning_summary_part.done
//! ```
//!
//! Text that follows text is one part, and text and refusals that follow each other one message. An
//! item ends when the next begins or the answer does, for only then is it known whether it is whole;
//! one with nothing to say is never begun. Reasoning is shown as its summary, which every client
//! reads, and carries what its maker wants back in `encrypted_content` ([`crate::wire::sealed`]).
//!
//! Cost per delta: writes into the output buffer, and the text once more, for the event that ends it.
//!
//! Source: "Streaming events" (OpenAI's API reference, specification 2.3.0), the stream helpers of
//! its SDKs, and the Open Responses compliance suite (read November 2026).

use bytes::BytesMut;

use super::{
    events::{Events, Head, Status},
    items::{self, Call, Item, Message, Reasoning},
    namespaces::Namespaces,
    serial::{Serial, Turn},
};
use crate::{
    ir::{Annotation, Delta, Event, Finish, Opening, Source, ToolKind, Usage},
    wire::{
        Asked, StreamEncoder,
        sealed::{self, Proof},
    },
};

pub(super) struct Encoder {
    asked: Asked,
    groups: Namespaces,
    head: Head,
    started: bool,
    writer: Writer,
    serial: Serial,
    open: Option<Item>,
    /// Characters of text so far.
    chars: u64,
    usage: Option<Usage>,
    finish: Finish,
}

/// What the events of items need.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub events: Events,
    /// The items that are done, comma-separated.
    pub output: Vec<u8>,
    /// The place of the item under way.
    pub output_index: u64,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { created, .. } => self.start(*created, out),
            Event::Open { .. } | Event::Delta { .. } | Event::Close { .. } => {
                let mut serial = std::mem::take(&mut self.serial);
                serial.take(event, |turn| self.turn(turn, out));
                self.serial = serial;
            }
            Event::Annotation(annotation) => self.cite(annotation, out),
            Event::Logprobs(tokens) => {
                if let Some(Item::Message(message)) = &mut self.open {
                    message.weigh(tokens);
                }
            }
            Event::Lost(_) => {}
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, .. } => self.finish = *reason,
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        let response = self.end(out);
        let (name, _) = Status::Ended(self.finish).end();
        self.writer.events.lifecycle(name, &response, out);
    }
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            head: Head::new(&asked, 0),
            groups: Namespaces::of(&asked.request),
            asked,
            started: false,
            writer: Writer::default(),
            serial: Serial::default(),
            open: None,
            chars: 0,
            usage: None,
            finish: Finish::Stop,
        }
    }

    /// Closes what is open and gives the whole answer.
    pub(super) fn end(&mut self, out: &mut BytesMut) -> Vec<u8> {
        self.start(0, out);
        let mut serial = std::mem::take(&mut self.serial);
        serial.finish(|turn| self.turn(turn, out));
        let status = Status::Ended(self.finish);
        self.close(status.end().1, out);
        self.head.write(status, &self.writer.output, self.usage.as_ref())
    }

    fn start(&mut self, created: u64, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if created != 0 {
            self.head = Head::new(&self.asked, created);
        }
        let response = self.head.write(Status::InProgress, b"", None);
        self.writer.events.lifecycle("response.created", &response, out);
        self.writer.events.lifecycle("response.in_progress", &response, out);
    }

    fn turn(&mut self, turn: Turn, out: &mut BytesMut) {
        self.start(0, out);
        match turn {
            // Prose begins with its first word.
            Turn::Open(Opening::Text | Opening::Refusal) | Turn::Close => {}
            Turn::Open(Opening::Reasoning) => {
                self.close("completed", out);
                self.open = Some(Item::Reasoning(Reasoning::new(self.id("rs"))));
            }
            Turn::Open(Opening::RedactedReasoning { data }) => {
                self.close("completed", out);
                let mut item = Reasoning::new(self.id("rs"));
                item.prove(self.seal(Proof::Redacted(&data)));
                self.open = Some(Item::Reasoning(item));
            }
            Turn::Open(Opening::ToolCall { id, name, kind }) => {
                self.close("completed", out);
                let item_id = self.id(match kind {
                    ToolKind::Function => "fc",
                    ToolKind::Custom => "ctc",
                });
                let call = match self.groups.apart(&name) {
                    Some((namespace, short)) => Call::new(item_id, id, String::new(), kind).within(namespace, short),
                    None => Call::new(item_id, id, name, kind),
                };
                self.open = Some(Item::Call(call.begin(&mut self.writer, out)));
            }
            Turn::Open(Opening::Image { source }) => {
                self.close("completed", out);
                let id = self.id("ig");
                if let Source::Base64 { data, .. } = &source {
                    items::image(&id, data, &mut self.writer, out);
                }
            }
            Turn::Delta(delta) => self.delta(delta, out),
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) if !text.is_empty() => {
                let chars = self.chars;
                if let Some((message, writer)) = self.speak(out) {
                    message.text(&text, chars, writer, out);
                }
                self.chars += text.chars().count() as u64;
            }
            Delta::Refusal(text) if !text.is_empty() => {
                if let Some((message, writer)) = self.speak(out) {
                    message.refusal(&text, writer, out);
                }
            }
            Delta::Reasoning(text) => {
                if let Some(Item::Reasoning(item)) = &mut self.open {
                    item.think(&text, &mut self.writer, out);
                }
            }
            Delta::Signature(whole) => {
                let sealed = self.seal(Proof::Signature(&whole));
                if let Some(Item::Reasoning(item)) = &mut self.open {
                    item.prove(sealed);
                }
            }
            Delta::Arguments(text) => {
                if let Some(Item::Call(item)) = &mut self.open {
                    item.add(&text, &mut self.writer, out);
                }
            }
            Delta::Text(_) | Delta::Refusal(_) => {}
        }
    }

    /// Begins a message, unless one is under way.
    fn speak(&mut self, out: &mut BytesMut) -> Option<(&mut Message, &mut Writer)> {
        if !matches!(self.open, Some(Item::Message(_))) {
            self.close("completed", out);
            let id = self.id("msg");
            self.open = Some(Item::Message(Message::begin(id, &mut self.writer, out)));
        }
        match &mut self.open {
            Some(Item::Message(message)) => Some((message, &mut self.writer)),
            Some(Item::Call(_) | Item::Reasoning(_)) | None => None,
        }
    }

    /// A source belongs to the part its place lies in; one of a part that is over comes too late.
    fn cite(&mut self, annotation: &Annotation, out: &mut BytesMut) {
        if let Some(Item::Message(message)) = &mut self.open {
            message.cite(annotation, &mut self.writer, out);
        }
    }

    fn close(&mut self, status: &'static str, out: &mut BytesMut) {
        if let Some(item) = self.open.take() {
            item.end(status, &mut self.writer, out);
        }
    }

    fn seal(&self, proof: Proof<'_>) -> String {
        sealed::seal(proof, &self.asked.target, &self.asked.model)
    }

    /// An id for the next item, equal to no other's in any answer.
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_{}{:02}", self.head.seed(), self.writer.output_index)
    }
}
