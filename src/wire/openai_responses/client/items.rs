//! The item under way in a stream: its events, and what it is when it is done.

use bytes::BytesMut;
use serde::Serialize;

use super::encoder::Writer;
use crate::{
    ir::{Annotation, Logprob, ToolKind},
    wire::line,
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
    pub(super) fn begin(
        id: String,
        call_id: String,
        name: String,
        kind: ToolKind,
        writer: &mut Writer,
        out: &mut BytesMut,
    ) -> Self {
        let call = Self { id, call_id, name, kind, text: String::new() };
        writer.added(&call.shown("in_progress"), out);
        call
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
        let Self { id, call_id, name, kind, text } = self;
        match kind {
            ToolKind::Function => Shown::FunctionCall { id, status, call_id, name, arguments: text },
            ToolKind::Custom => Shown::CustomToolCall { id, status, call_id, name, input: text },
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
    line::write(value, list);
}

// === on the wire ===

/// JSON that is written already.
#[derive(Debug, Clone, Copy)]
struct List<'a>(&'a [u8]);

fn json_list(items: &[u8]) -> List<'_> {
    List(items)
}

impl Serialize for List<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = [b"[", self.0, b"]"].concat();
        let raw: &serde_json::value::RawValue = serde_json::from_slice(&text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Shown<'a> {
    Message {
        id: &'a str,
        status: &'static str,
        role: &'static str,
        content: List<'a>,
    },
    FunctionCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    CustomToolCall {
        id: &'a str,
        status: &'static str,
        call_id: &'a str,
        name: &'a str,
        input: &'a str,
    },
    ImageGenerationCall {
        id: &'a str,
        status: &'static str,
        result: Option<&'a str>,
    },
    Reasoning {
        id: &'a str,
        summary: Vec<SummaryText<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ShownPart<'a> {
    OutputText { text: &'a str, annotations: Vec<Citation<'a>>, logprobs: Vec<Token<'a>> },
    Refusal { refusal: &'a str },
}

#[derive(Serialize)]
struct Citation<'a> {
    r#type: &'static str,
    start_index: u64,
    end_index: u64,
    url: &'a str,
    title: &'a str,
}

impl<'a> Citation<'a> {
    fn of(annotation: &'a Annotation) -> Self {
        Self {
            r#type: "url_citation",
            start_index: annotation.start,
            end_index: annotation.end,
            url: &annotation.url,
            title: annotation.title.as_deref().unwrap_or_default(),
        }
    }
}

#[derive(Serialize)]
struct Token<'a> {
    token: &'a str,
    bytes: &'a [u8],
    logprob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Token<'a>>>,
}

impl<'a> Token<'a> {
    fn of(token: &'a Logprob) -> Self {
        Self { top_logprobs: Some(token.top.iter().map(Self::likely).collect()), ..Self::likely(token) }
    }

    fn likely(token: &'a Logprob) -> Self {
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        Self { token: &token.token, bytes, logprob: token.logprob, top_logprobs: None }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct SummaryText<'a> {
    r#type: &'static str,
    text: &'a str,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    output_index: u64,
    content_index: u64,
}

impl Place {
    fn of(self, item_id: &str) -> At<'_> {
        At { item_id, output_index: self.output_index, content_index: self.content_index }
    }
}

#[derive(Clone, Copy, Serialize)]
struct At<'a> {
    item_id: &'a str,
    output_index: u64,
    content_index: u64,
}

#[derive(Serialize)]
struct ItemOf<'a> {
    output_index: u64,
    item: &'a Shown<'a>,
}

#[derive(Serialize)]
struct PartOf<'a, P: Serialize> {
    #[serde(flatten)]
    at: At<'a>,
    part: P,
}

#[derive(Serialize)]
struct TextDelta<'a> {
    #[serde(flatten)]
    at: At<'a>,
    delta: &'a str,
    logprobs: [(); 0],
}

#[derive(Serialize)]
struct PartDelta<'a> {
    #[serde(flatten)]
    at: At<'a>,
    delta: &'a str,
}

#[derive(Serialize)]
struct TextDone<'a> {
    #[serde(flatten)]
    at: At<'a>,
    text: &'a str,
    logprobs: Vec<Token<'a>>,
}

#[derive(Serialize)]
struct RefusalDone<'a> {
    #[serde(flatten)]
    at: At<'a>,
    refusal: &'a str,
}

#[derive(Serialize)]
struct Cited<'a> {
    #[serde(flatten)]
    at: At<'a>,
    annotation_index: u64,
    annotation: Citation<'a>,
}

#[derive(Serialize)]
struct OfItem<'a> {
    item_id: &'a str,
    output_index: u64,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    item_id: &'a str,
    output_index: u64,
    delta: &'a str,
}

#[derive(Serialize)]
struct ArgumentsDone<'a> {
    item_id: &'a str,
    output_index: u64,
    arguments: &'a str,
}

#[derive(Serialize)]
struct InputDone<'a> {
    item_id: &'a str,
    output_index: u64,
    input: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct Summary<'a> {
    item_id: &'a str,
    output_index: u64,
    summary_index: u64,
}

#[derive(Serialize)]
struct SummaryPart<'a> {
    #[serde(flatten)]
    at: Summary<'a>,
    part: SummaryText<'a>,
}

#[derive(Serialize)]
struct SummaryDelta<'a> {
    #[serde(flatten)]
    at: Summary<'a>,
    delta: &'a str,
}

#[derive(Serialize)]
struct SummaryDone<'a> {
    #[serde(flatten)]
    at: Summary<'a>,
    text: &'a str,
}
