//! The item under way in a stream: its events, and what it is when it is done.

use bytes::BytesMut;
use serde::Serialize;

use super::{
    encoder::Writer,
    shown::{
        ArgumentsDone, CallDelta, Citation, Cited, InputDone, ItemOf, OfItem, PartDelta, PartOf, Place, RefusalDone,
        Shown, ShownPart, Summary, SummaryDelta, SummaryDone, SummaryPart, SummaryText, TextDelta, TextDone, Token,
        json_list,
    },
};
use crate::{
    ir::{Annotation, Logprob, ToolKind},
    wire::json,
};

#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    Call(Call),
    Reasoning(Reasoning),
}

#[derive(Debug)]
pub(super) struct Message {
    id: String,
    /// The parts that are done, comma-separated.
    parts: Vec<u8>,
    content_index: u64,
    part: Option<Part>,
}

/// The part of a message under way.
#[derive(Debug)]
struct Part {
    kind: PartKind,
    text: String,
    /// Where it begins in the text of the answer.
    start: u64,
    cited: Vec<Annotation>,
    weights: Vec<Logprob>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartKind {
    Text,
    Refusal,
}

#[derive(Debug)]
pub(super) struct Call {
    id: String,
    call_id: String,
    name: String,
    /// The group the tool was declared in.
    namespace: Option<String>,
    kind: ToolKind,
    text: String,
}

#[derive(Debug)]
pub(super) struct Reasoning {
    id: String,
    text: String,
    sealed: Option<String>,
    begun: bool,
}

// === impl Item ===

impl Item {
    /// Says that it is over, and puts it among the items that are done.
    pub(super) fn end(self, status: &'static str, writer: &mut Writer, out: &mut BytesMut) {
        match self {
            Self::Message(mut message) => {
                message.end_part(writer, out);
                let content = json_list(&message.parts);
                let item = Shown::Message { id: &message.id, status, role: "assistant", content };
                writer.done(&item, out);
            }
            Self::Call(call) => call.end(status, writer, out),
            Self::Reasoning(reasoning) => reasoning.end(writer, out),
        }
    }
}

// === impl Message ===

impl Message {
    pub(super) fn begin(id: String, writer: &mut Writer, out: &mut BytesMut) -> Self {
        writer
            .added(&Shown::Message { id: &id, status: "in_progress", role: "assistant", content: json_list(b"") }, out);
        Self { id, parts: Vec::new(), content_index: 0, part: None }
    }

    pub(super) fn text(&mut self, text: &str, chars: u64, writer: &mut Writer, out: &mut BytesMut) {
        self.say(PartKind::Text, text, chars, writer, out);
    }

    pub(super) fn refusal(&mut self, text: &str, writer: &mut Writer, out: &mut BytesMut) {
        self.say(PartKind::Refusal, text, 0, writer, out);
    }

    pub(super) fn cite(&mut self, annotation: &Annotation, writer: &mut Writer, out: &mut BytesMut) {
        let at = self.at(writer);
        let Some(part) = self.part.as_mut() else { return };
        if part.kind != PartKind::Text || annotation.start < part.start {
            return;
        }
        let cited = Annotation {
            start: annotation.start - part.start,
            end: annotation.end.saturating_sub(part.start),
            ..annotation.clone()
        };
        let shown =
            Cited { at: at.of(&self.id), annotation_index: part.cited.len() as u64, annotation: Citation::of(&cited) };
        writer.events.write("response.output_text.annotation.added", &shown, out);
        part.cited.push(cited);
    }

    /// How likely the tokens so far were: told when their part is done.
    pub(super) fn weigh(&mut self, tokens: &[Logprob]) {
        if let Some(part) = &mut self.part {
            part.weights.extend_from_slice(tokens);
        }
    }

    fn say(&mut self, kind: PartKind, text: &str, start: u64, writer: &mut Writer, out: &mut BytesMut) {
        if self.part.as_ref().is_some_and(|part| part.kind != kind) {
            self.end_part(writer, out);
        }
        let at = self.at(writer);
        if self.part.is_none() {
            let part = Part { kind, text: String::new(), start, cited: Vec::new(), weights: Vec::new() };
            let shown = PartOf { at: at.of(&self.id), part: part.shown("") };
            writer.events.write("response.content_part.added", &shown, out);
            self.part = Some(part);
        }
        let Some(part) = self.part.as_mut() else { return };
        part.text.push_str(text);
        match kind {
            PartKind::Text => {
                let shown = TextDelta { at: at.of(&self.id), delta: text, logprobs: [] };
                writer.events.write("response.output_text.delta", &shown, out);
            }
            PartKind::Refusal => {
                let shown = PartDelta { at: at.of(&self.id), delta: text };
                writer.events.write("response.refusal.delta", &shown, out);
            }
        }
    }

    fn end_part(&mut self, writer: &mut Writer, out: &mut BytesMut) {
        let Some(part) = self.part.take() else { return };
        let at = self.at(writer);
        match part.kind {
            PartKind::Text => {
                let logprobs = part.weights.iter().map(Token::of).collect();
                let shown = TextDone { at: at.of(&self.id), text: &part.text, logprobs };
                writer.events.write("response.output_text.done", &shown, out);
            }
            PartKind::Refusal => {
                let shown = RefusalDone { at: at.of(&self.id), refusal: &part.text };
                writer.events.write("response.refusal.done", &shown, out);
            }
        }
        let shown = part.shown(&part.text);
        writer.events.write("response.content_part.done", &PartOf { at: at.of(&self.id), part: &shown }, out);
        push(&shown, &mut self.parts);
        self.content_index += 1;
    }

    fn at(&self, writer: &Writer) -> Place {
        Place { output_index: writer.output_index, content_index: self.content_index }
    }
}

// === impl Part ===

impl Part {
    fn shown<'a>(&'a self, text: &'a str) -> ShownPart<'a> {
        match self.kind {
            PartKind::Text => ShownPart::OutputText {
                text,
                annotations: self.cited.iter().map(Citation::of).collect(),
                logprobs: self.weights.iter().map(Token::of).collect(),
            },
            PartKind::Refusal => ShownPart::Refusal { refusal: text },
        }
    }
}

// === impl Call ===

impl Call {
    pub(super) fn new(id: String, call_id: String, name: String, kind: ToolKind) -> Self {
        Self { id, call_id, name, namespace: None, kind, text: String::new() }
    }

    /// The same of a tool in a group.
    pub(super) fn within(self, namespace: &str, name: &str) -> Self {
        Self { name: name.into(), namespace: Some(namespace.into()), ..self }
    }

    pub(super) fn begin(self, writer: &mut Writer, out: &mut BytesMut) -> Self {
        writer.added(&self.shown("in_progress"), out);
        self
    }

    pub(super) fn add(&mut self, text: &str, writer: &mut Writer, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let shown = CallDelta { item_id: &self.id, output_index: writer.output_index, delta: text };
        let name = match self.kind {
            ToolKind::Function => "response.function_call_arguments.delta",
            ToolKind::Custom => "response.custom_tool_call_input.delta",
        };
        writer.events.write(name, &shown, out);
    }

    fn end(mut self, status: &'static str, writer: &mut Writer, out: &mut BytesMut) {
        // T1: no arguments are an empty object, in the pieces too.
        if self.kind == ToolKind::Function && self.text.is_empty() && status == "completed" {
            self.add("{}", writer, out);
        }
        let (item_id, output_index) = (self.id.as_str(), writer.output_index);
        match self.kind {
            ToolKind::Function => {
                let shown = ArgumentsDone { item_id, output_index, arguments: &self.text };
                writer.events.write("response.function_call_arguments.done", &shown, out);
            }
            ToolKind::Custom => {
                let shown = InputDone { item_id, output_index, input: &self.text };
                writer.events.write("response.custom_tool_call_input.done", &shown, out);
            }
        }
        writer.done(&self.shown(status), out);
    }

    fn shown<'a>(&'a self, status: &'static str) -> Shown<'a> {
        let Self { id, call_id, name, namespace, kind, text } = self;
        let namespace = namespace.as_deref();
        match kind {
            ToolKind::Function => Shown::FunctionCall { id, status, call_id, name, namespace, arguments: text },
            ToolKind::Custom => Shown::CustomToolCall { id, status, call_id, name, namespace, input: text },
        }
    }
}

// === impl Reasoning ===

impl Reasoning {
    pub(super) fn new(id: String) -> Self {
        Self { id, text: String::new(), sealed: None, begun: false }
    }

    pub(super) fn prove(&mut self, sealed: String) {
        self.sealed = Some(sealed);
    }

    pub(super) fn think(&mut self, text: &str, writer: &mut Writer, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.begin(writer, out);
        let at = Summary { item_id: &self.id, output_index: writer.output_index, summary_index: 0 };
        if self.text.is_empty() {
            let shown = SummaryPart { at, part: SummaryText { r#type: "summary_text", text: "" } };
            writer.events.write("response.reasoning_summary_part.added", &shown, out);
        }
        writer.events.write("response.reasoning_summary_text.delta", &SummaryDelta { at, delta: text }, out);
        self.text.push_str(text);
    }

    fn begin(&mut self, writer: &mut Writer, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.begun, true) {
            writer.added(&Shown::Reasoning { id: &self.id, summary: Vec::new(), encrypted_content: None }, out);
        }
    }

    fn end(mut self, writer: &mut Writer, out: &mut BytesMut) {
        if !self.begun && self.sealed.is_none() {
            return;
        }
        self.begin(writer, out);
        let mut summary = Vec::new();
        if !self.text.is_empty() {
            let at = Summary { item_id: &self.id, output_index: writer.output_index, summary_index: 0 };
            let part = SummaryText { r#type: "summary_text", text: &self.text };
            writer.events.write("response.reasoning_summary_text.done", &SummaryDone { at, text: &self.text }, out);
            writer.events.write("response.reasoning_summary_part.done", &SummaryPart { at, part }, out);
            summary.push(part);
        }
        writer.done(&Shown::Reasoning { id: &self.id, summary, encrypted_content: self.sealed.as_deref() }, out);
    }
}

// === impl Writer ===

impl Writer {
    fn added(&mut self, item: &Shown<'_>, out: &mut BytesMut) {
        let event = ItemOf { output_index: self.output_index, item };
        self.events.write("response.output_item.added", &event, out);
    }

    fn done(&mut self, item: &Shown<'_>, out: &mut BytesMut) {
        let event = ItemOf { output_index: self.output_index, item };
        self.events.write("response.output_item.done", &event, out);
        push(item, &mut self.output);
        self.output_index += 1;
    }
}

/// An image is whole at once.
pub(super) fn image(id: &str, data: &str, writer: &mut Writer, out: &mut BytesMut) {
    writer.added(&Shown::ImageGenerationCall { id, status: "in_progress", result: None }, out);
    let event = OfItem { item_id: id, output_index: writer.output_index };
    writer.events.write("response.image_generation_call.completed", &event, out);
    writer.done(&Shown::ImageGenerationCall { id, status: "completed", result: Some(data) }, out);
}

/// Appends to a comma-separated list.
fn push(value: &impl Serialize, list: &mut Vec<u8>) {
    if !list.is_empty() {
        list.push(b',');
    }
    json::line(value, list);
}
