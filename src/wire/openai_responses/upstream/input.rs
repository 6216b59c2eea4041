//! The conversation: canonical messages to items, in order.
//!
//! - System and developer messages stay items in their place and under their own word.
//! - A user turn's tool results become items of their own before the rest of the turn (rule T4).
//! - A turn of the model becomes its text, calls and reasoning in the order it made them. Items
//!   carry no ids: an id promises stored state, and there is none.
//! - Reasoning goes back as the item it came in (rule R1) where an item it led to follows in the
//!   same turn; alone it would be refused. Reasoning that another vendor signed is not sent.
//!
//! Source: "Create a model response", the conversation state and reasoning guides (OpenAI, November
//! 2026).

use std::{borrow::Cow, collections::HashSet};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    ir::{self, Block, Role, Source, ToolKind},
    wire::{losses::Losses, names::Names, results},
};

const IMAGE: &str = "messages[].content[].image_url";
const FILE: &str = "messages[].content[].file";

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
    },
    Tagged(Tagged<'a>),
    /// An item of reasoning, as it came.
    Reasoning(&'a RawValue),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Tagged<'a> {
    FunctionCall { call_id: &'a str, name: &'a str, arguments: &'a str },
    FunctionCallOutput { call_id: &'a str, output: Content<'a> },
    CustomToolCall { call_id: &'a str, name: &'a str, input: &'a str },
    CustomToolCallOutput { call_id: &'a str, output: Content<'a> },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    InputText {
        text: Cow<'a, str>,
    },
    OutputText {
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Url<'a>>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<Url<'a>>,
    },
}

/// A URL, or media written as one.
#[derive(Debug)]
pub(super) enum Url<'a> {
    Plain(&'a str),
    Data { media_type: &'a str, data: &'a str },
}

/// How blocks are written.
#[derive(Debug)]
pub(super) struct Writer<'a, 'l> {
    pub tools: &'a Names,
    pub ids: &'a Names,
    pub losses: &'l mut Losses,
}

// === impl Writer ===

impl<'a> Writer<'a, '_> {
    pub(super) fn conversation(mut self, messages: &'a [ir::Message]) -> Vec<Item<'a>> {
        let mut items = Vec::with_capacity(messages.len());
        let custom = custom_calls(messages);
        for message in messages {
            if message.name.is_some() {
                self.losses.hint("messages[].name");
            }
            match message.role {
                Role::System => self.told("system", &message.blocks, &custom, &mut items),
                Role::Developer => self.told("developer", &message.blocks, &custom, &mut items),
                Role::User => self.told("user", &message.blocks, &custom, &mut items),
                Role::Assistant => self.said(&message.blocks, &mut items),
            }
        }
        items
    }

    /// A turn of the client's side.
    fn told(&mut self, role: &'static str, blocks: &'a [Block], custom: &HashSet<&str>, items: &mut Vec<Item<'a>>) {
        let mut parts = Vec::new();
        for block in blocks {
            match block {
                Block::ToolResult { id, content, is_error, cache } => {
                    self.mark(cache.is_some());
                    let item = self.result(id, content, *is_error, custom.contains(id.as_str()));
                    items.push(Item::Tagged(item));
                }
                Block::Text { .. }
                | Block::Image { .. }
                | Block::Document { .. }
                | Block::Audio { .. }
                | Block::Refusal { .. }
                | Block::Reasoning { .. }
                | Block::RedactedReasoning { .. }
                | Block::ToolCall { .. } => parts.extend(self.part(block)),
            }
        }
        if !parts.is_empty() {
            items.push(Item::Message { role, content: content(parts) });
        }
    }

    fn result(&mut self, id: &'a str, blocks: &'a [Block], is_error: bool, is_custom: bool) -> Tagged<'a> {
        let mut parts: Vec<Part<'a>> = blocks.iter().filter_map(|block| self.part(block)).collect();
        // This dialect has no flag for a failed tool, only words.
        if is_error {
            match parts.first_mut() {
                Some(Part::InputText { text }) => *text = results::failed(text).into(),
                _ => parts.insert(0, Part::InputText { text: results::failed("").into() }),
            }
        }
        let (call_id, output) = (self.ids.wire(id), content(parts));
        if is_custom {
            Tagged::CustomToolCallOutput { call_id, output }
        } else {
            Tagged::FunctionCallOutput { call_id, output }
        }
    }

    /// A turn of the model's.
    fn said(&mut self, blocks: &'a [Block], items: &mut Vec<Item<'a>>) {
        let mut parts: Vec<Part<'a>> = Vec::new();
        let mut reasoning: Vec<&'a RawValue> = Vec::new();
        for block in blocks {
            match block {
                Block::Text { text, cache } => {
                    self.mark(cache.is_some());
                    // The vendor refuses empty text.
                    if !text.is_empty() {
                        items.extend(reasoning.drain(..).map(Item::Reasoning));
                        parts.push(Part::OutputText { text });
                    }
                }
                Block::Refusal { text } => {
                    items.extend(reasoning.drain(..).map(Item::Reasoning));
                    parts.push(Part::Refusal { refusal: text });
                }
                Block::ToolCall { id, name, arguments, kind, cache } => {
                    self.mark(cache.is_some());
                    flush(&mut parts, items);
                    items.extend(reasoning.drain(..).map(Item::Reasoning));
                    items.push(Item::Tagged(self.call(id, name, arguments, *kind)));
                }
                Block::Reasoning { .. } | Block::RedactedReasoning { .. } => {
                    flush(&mut parts, items);
                    match sealed(block) {
                        Some(item) => reasoning.push(item),
                        None => self.losses.hint("messages[].reasoning_content"),
                    }
                }
                // No model says these, so there is nothing to replay.
                Block::Image { .. } | Block::Document { .. } | Block::Audio { .. } | Block::ToolResult { .. } => {}
            }
        }
        flush(&mut parts, items);
    }

    fn call(&self, id: &'a str, name: &'a str, arguments: &'a str, kind: ToolKind) -> Tagged<'a> {
        let (call_id, name) = (self.ids.wire(id), self.tools.wire(name));
        match kind {
            ToolKind::Function => {
                let arguments = if arguments.is_empty() { "{}" } else { arguments };
                Tagged::FunctionCall { call_id, name, arguments }
            }
            ToolKind::Custom => Tagged::CustomToolCall { call_id, name, input: arguments },
        }
    }

    /// A content part; `None` for what has no form here, which is a loss.
    fn part(&mut self, block: &'a Block) -> Option<Part<'a>> {
        match block {
            Block::Text { text, cache } => {
                self.mark(cache.is_some());
                Some(Part::InputText { text: text.into() })
            }
            Block::Refusal { text } => Some(Part::InputText { text: text.into() }),
            Block::Image { source, detail, cache } => {
                self.mark(cache.is_some());
                self.image(source, detail.as_deref())
            }
            Block::Document { source, name, cache } => {
                self.mark(cache.is_some());
                self.document(source, name.as_deref())
            }
            Block::Audio { .. } => {
                self.losses.meaning("messages[].content[].input_audio");
                None
            }
            Block::Reasoning { .. }
            | Block::RedactedReasoning { .. }
            | Block::ToolCall { .. }
            | Block::ToolResult { .. } => {
                self.losses.meaning("messages[].content");
                None
            }
        }
    }

    fn image(&mut self, source: &'a Source, detail: Option<&'a str>) -> Option<Part<'a>> {
        let (file_id, image_url) = match source {
            Source::Url(url) => (None, Some(Url::Plain(url))),
            Source::Base64 { media_type, data } => (None, Some(Url::Data { media_type, data })),
            Source::File(id) => (Some(id.as_str()), None),
            Source::Text(_) => {
                self.losses.meaning(IMAGE);
                return None;
            }
        };
        Some(Part::InputImage { detail, file_id, image_url })
    }

    /// N2: references stay references.
    fn document(&mut self, source: &'a Source, filename: Option<&'a str>) -> Option<Part<'a>> {
        let (file_id, file_url, file_data) = match source {
            Source::Text(text) => {
                // Text has no name here but in its first line.
                let named = filename.map(|name| format!("{name}\n{text}").into());
                return Some(Part::InputText { text: named.unwrap_or(Cow::Borrowed(text)) });
            }
            Source::Base64 { media_type, data } if media_type.starts_with("image/") => {
                let image_url = Some(Url::Data { media_type, data });
                return Some(Part::InputImage { detail: None, file_id: None, image_url });
            }
            Source::Base64 { media_type, data } => (None, None, Some(Url::Data { media_type, data })),
            Source::File(id) => (Some(id.as_str()), None, None),
            Source::Url(url) if url.starts_with("data:") => {
                self.losses.meaning(FILE);
                return None;
            }
            Source::Url(url) => (None, Some(url.as_str()), None),
        };
        // Data without a name is refused.
        let filename = filename.or(file_data.as_ref().map(|_| "document"));
        Some(Part::InputFile { filename, file_id, file_url, file_data })
    }

    /// The vendor caches by itself; a breakpoint is a wish it cannot be told on every model.
    fn mark(&mut self, is_marked: bool) {
        if is_marked {
            self.losses.hint("messages[].content[].cache_control");
        }
    }
}

/// The item a block of reasoning came in: the signature of readable reasoning, or the data of
/// redacted, that this dialect wrote.
fn sealed(block: &Block) -> Option<&RawValue> {
    let text = match block {
        Block::Reasoning { signature, .. } => signature.as_deref()?,
        Block::RedactedReasoning { data } => data,
        Block::Text { .. }
        | Block::Image { .. }
        | Block::Document { .. }
        | Block::Audio { .. }
        | Block::Refusal { .. }
        | Block::ToolCall { .. }
        | Block::ToolResult { .. } => return None,
    };
    if !text.starts_with('{') {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn flush<'a>(parts: &mut Vec<Part<'a>>, items: &mut Vec<Item<'a>>) {
    if !parts.is_empty() {
        items.push(Item::Message { role: "assistant", content: content(std::mem::take(parts)) });
    }
}

/// Text that is alone is a plain string.
fn content(mut parts: Vec<Part<'_>>) -> Content<'_> {
    if parts.len() > 1 {
        return Content::Parts(parts);
    }
    match parts.pop() {
        Some(Part::InputText { text }) => Content::Text(text),
        Some(Part::OutputText { text }) => Content::Text(text.into()),
        Some(part @ (Part::Refusal { .. } | Part::InputImage { .. } | Part::InputFile { .. })) => {
            Content::Parts(vec![part])
        }
        None => Content::Text("".into()),
    }
}

/// The calls whose results are those of custom tools.
fn custom_calls(messages: &[ir::Message]) -> HashSet<&str> {
    messages.iter().flat_map(|message| &message.blocks).filter_map(custom_call).collect()
}

fn custom_call(block: &Block) -> Option<&str> {
    if let Block::ToolCall { id, kind: ToolKind::Custom, .. } = block { Some(id) } else { None }
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(url) => serializer.serialize_str(url),
            Self::Data { media_type, data } => serializer.serialize_str(&format!("data:{media_type};base64,{data}")),
        }
    }
}
