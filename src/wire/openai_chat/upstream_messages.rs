//! Writes the messages of a chat completions request from canonical turns.
//!
//! A user turn with tool results becomes `tool` messages, in order, before the rest of the turn;
//! images inside results, which a `tool` message cannot hold, begin that rest. Text that is alone
//! is a plain string, since many servers take nothing else.
//!
//! Media is borrowed into the output: its base64 text is copied once, into the body.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::{names, response, upstream_request::CacheControl};
use crate::{
    ir::{self, Block, CacheHint, Role, Source},
    wire::{Loss, Weight, results},
};

#[derive(Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<response::ThinkingBlock<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(flatten)]
    kind: Kind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: Image<'a> },
    InputAudio { input_audio: Audio<'a> },
    File { file: File<'a> },
}

#[derive(Serialize)]
struct Image<'a> {
    url: Url<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Default, Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// A URL, or media written as one.
pub(super) enum Url<'a> {
    Plain(&'a str),
    Data { media_type: &'a str, data: &'a str },
}

#[derive(Serialize)]
struct ToolCall<'a> {
    id: Cow<'a, str>,
    #[serde(flatten)]
    kind: CallKind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum CallKind<'a> {
    Function { function: Function<'a> },
    Custom { custom: Custom<'a> },
}

#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: Cow<'a, str>,
    input: &'a str,
}

pub(super) fn encode<'a>(turns: &'a [ir::Message], losses: &mut Vec<Loss>) -> Vec<Message<'a>> {
    let mut messages = Vec::with_capacity(turns.len());
    for (index, turn) in turns.iter().enumerate() {
        let mut lose = || {
            losses.push(Loss { field: format!("messages[{index}].content"), weight: Weight::Meaning });
        };
        match turn.role {
            Role::System => plain("system", turn, &mut messages, &mut lose),
            Role::Developer => plain("developer", turn, &mut messages, &mut lose),
            Role::User => plain("user", turn, &mut messages, &mut lose),
            Role::Assistant => {
                // What another model drew; only users show images here.
                if turn.blocks.iter().any(|block| matches!(block, Block::Image { .. })) {
                    losses.push(Loss { field: format!("messages[{index}].images"), weight: Weight::Hint });
                }
                messages.push(assistant(turn));
            }
        }
    }
    messages
}

/// A turn of the client's side.
fn plain<'a>(role: &'static str, turn: &'a ir::Message, messages: &mut Vec<Message<'a>>, lose: &mut impl FnMut()) {
    let mut parts = Vec::new();
    let mut had_results = false;
    for block in &turn.blocks {
        match block {
            Block::ToolResult { id, content, is_error, cache } => {
                had_results = true;
                messages.push(result(id, content, *is_error, *cache, &mut parts, lose));
            }
            Block::Text { .. }
            | Block::Image { .. }
            | Block::Document { .. }
            | Block::Audio { .. }
            | Block::Refusal { .. }
            | Block::Reasoning { .. }
            | Block::RedactedReasoning { .. }
            | Block::ToolCall { .. } => parts.extend(part(block, lose)),
        }
    }
    if !parts.is_empty() || !had_results {
        messages.push(Message { content: Some(content(parts)), name: turn.name.as_deref(), ..Message::of(role) });
    }
}

fn result<'a>(
    id: &'a str,
    blocks: &'a [Block],
    is_error: bool,
    cache: Option<CacheHint>,
    rest: &mut Vec<Part<'a>>,
    lose: &mut impl FnMut(),
) -> Message<'a> {
    let (mut parts, media): (Vec<_>, Vec<_>) =
        blocks.iter().filter_map(|block| part(block, lose)).partition(|part| matches!(part.kind, Kind::Text { .. }));
    if parts.is_empty() && !media.is_empty() {
        parts.push(Part { kind: Kind::Text { text: results::SHOWN_BEHIND.into() }, cache_control: None });
    }
    rest.extend(media);
    // This dialect has no flag for a failed tool, only words.
    if is_error {
        let first = parts.first_mut().map(|part| &mut part.kind);
        match first {
            Some(Kind::Text { text }) => *text = results::failed(text).into(),
            Some(Kind::ImageUrl { .. } | Kind::InputAudio { .. } | Kind::File { .. }) | None => {
                parts.insert(0, Part { kind: Kind::Text { text: results::failed("").into() }, cache_control: None });
            }
        }
    }
    Message {
        content: Some(content(parts)),
        tool_call_id: Some(names::call_id(id)),
        cache_control: cache.map(CacheControl::of),
        ..Message::of("tool")
    }
}

fn assistant(turn: &ir::Message) -> Message<'_> {
    let mut message = Message { name: turn.name.as_deref(), ..Message::of("assistant") };
    let keeps_blocks = turn.blocks.iter().any(response::must_return);
    let mut parts = Vec::new();
    for block in &turn.blocks {
        match block {
            Block::Text { text, cache } => parts.push(Part::text(text, *cache)),
            Block::Refusal { text } => message.refusal.get_or_insert_default().push_str(text),
            Block::Reasoning { text, .. } => {
                message.reasoning_content.get_or_insert_default().push_str(text);
                message.thinking_blocks.extend(response::ThinkingBlock::of(block).filter(|_| keeps_blocks));
            }
            Block::RedactedReasoning { .. } => message.thinking_blocks.extend(response::ThinkingBlock::of(block)),
            Block::ToolCall { id, name, arguments, kind, cache } => {
                message.tool_calls.push(call(id, name, arguments, *kind, *cache));
            }
            // No model says these, so there is nothing to replay.
            Block::Image { .. } | Block::Document { .. } | Block::Audio { .. } | Block::ToolResult { .. } => {}
        }
    }
    if !parts.is_empty() || (message.tool_calls.is_empty() && message.refusal.is_none()) {
        message.content = Some(content(parts));
    }
    message
}

fn call<'a>(
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
    kind: ir::ToolKind,
    cache: Option<CacheHint>,
) -> ToolCall<'a> {
    let name = names::tool(name);
    let kind = match kind {
        ir::ToolKind::Function => {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            CallKind::Function { function: Function { name, arguments } }
        }
        ir::ToolKind::Custom => CallKind::Custom { custom: Custom { name, input: arguments } },
    };
    ToolCall { id: names::call_id(id), kind, cache_control: cache.map(CacheControl::of) }
}

fn content(mut parts: Vec<Part<'_>>) -> Content<'_> {
    let is_plain = |part: &Part<'_>| matches!(part.kind, Kind::Text { .. }) && part.cache_control.is_none();
    if parts.len() > 1 || !parts.iter().all(is_plain) {
        return Content::Parts(parts);
    }
    match parts.pop().map(|part| part.kind) {
        Some(Kind::Text { text }) => Content::Text(text),
        Some(Kind::ImageUrl { .. } | Kind::InputAudio { .. } | Kind::File { .. }) | None => Content::Text("".into()),
    }
}

/// A content part; `None` for what has no form here, which is a loss.
fn part<'a>(block: &'a Block, lose: &mut impl FnMut()) -> Option<Part<'a>> {
    let (kind, cache) = match block {
        Block::Text { text, cache } => return Some(Part::text(text, *cache)),
        Block::Image { source, detail, cache } => {
            let Some(url) = Url::of(source) else {
                lose();
                return None;
            };
            (Kind::ImageUrl { image_url: Image { url, detail: detail.as_deref() } }, *cache)
        }
        // Text has no name here but in its first line.
        Block::Document { source: Source::Text(text), name: Some(name), cache } => {
            (Kind::Text { text: format!("{name}\n{text}").into() }, *cache)
        }
        Block::Document { source: Source::Text(text), name: None, cache } => return Some(Part::text(text, *cache)),
        Block::Document { source, name, cache } => {
            let Some(file) = File::of(source, name.as_deref()) else {
                lose();
                return None;
            };
            (Kind::File { file }, *cache)
        }
        Block::Audio { data, format } => (Kind::InputAudio { input_audio: Audio { data, format } }, None),
        Block::Refusal { text } => return Some(Part::text(text, None)),
        Block::Reasoning { .. } | Block::RedactedReasoning { .. } | Block::ToolCall { .. } => {
            lose();
            return None;
        }
        Block::ToolResult { .. } => {
            lose();
            return None;
        }
    };
    Some(Part { kind, cache_control: cache.map(CacheControl::of) })
}

// === impl Message ===

impl Message<'_> {
    /// Takes out the fields that OpenAI itself does not have; names those that were there.
    pub(super) fn bare(&mut self) -> Vec<&'static str> {
        let mut marks = usize::from(self.cache_control.take().is_some());
        if let Some(Content::Parts(parts)) = &mut self.content {
            marks += parts.iter_mut().filter_map(|part| part.cache_control.take()).count();
        }
        marks += self.tool_calls.iter_mut().filter_map(|call| call.cache_control.take()).count();
        let reasoning = self.reasoning_content.take().is_some();
        let blocks = !std::mem::take(&mut self.thinking_blocks).is_empty();
        let found =
            [("content[].cache_control", marks > 0), ("reasoning_content", reasoning), ("thinking_blocks", blocks)];
        found.into_iter().filter_map(|(field, was_there)| was_there.then_some(field)).collect()
    }

    fn of(role: &'static str) -> Self {
        Self {
            role,
            content: None,
            name: None,
            refusal: None,
            reasoning_content: None,
            thinking_blocks: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            cache_control: None,
        }
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    fn text(text: &'a str, cache: Option<CacheHint>) -> Self {
        Self { kind: Kind::Text { text: text.into() }, cache_control: cache.map(CacheControl::of) }
    }
}

// === impl File ===

impl<'a> File<'a> {
    fn of(source: &'a Source, filename: Option<&'a str>) -> Option<Self> {
        match source {
            Source::Base64 { media_type, data } => {
                let file_data = Some(Url::Data { media_type, data });
                Some(Self { filename: Some(filename.unwrap_or("document")), file_data, file_id: None })
            }
            Source::File(id) => Some(Self { filename, file_id: Some(id), ..Self::default() }),
            Source::Url(_) | Source::Text(_) => None,
        }
    }
}

// === impl Url ===

impl<'a> Url<'a> {
    pub(super) fn of(source: &'a Source) -> Option<Self> {
        match source {
            Source::Url(url) => Some(Self::Plain(url)),
            Source::Base64 { media_type, data } => Some(Self::Data { media_type, data }),
            Source::Text(_) | Source::File(_) => None,
        }
    }
}

impl Serialize for Url<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(url) => serializer.serialize_str(url),
            Self::Data { media_type, data } => serializer.serialize_str(&format!("data:{media_type};base64,{data}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// T4, N2: what a tool shows follows all results, and a result of nothing else is not empty.
    #[test]
    fn images_in_results_follow_them() {
        let shows = |id: &str, text: Option<&str>| {
            let image = Block::Image { source: Source::Url("https://h/a.png".into()), detail: None, cache: None };
            let content = text.map(Block::text).into_iter().chain([image]).collect();
            Block::ToolResult { id: id.into(), content, is_error: false, cache: None }
        };
        let nothing = Block::ToolResult { id: "3".into(), content: Vec::new(), is_error: false, cache: None };
        let blocks = vec![shows("1", Some("A")), shows("2", None), nothing, Block::text("So?")];
        let turns = [ir::Message::new(Role::User, blocks)];
        let mut losses = Vec::new();
        let written: Value = serde_json::to_value(encode(&turns, &mut losses)).unwrap();
        let image = json!({"type": "image_url", "image_url": {"url": "https://h/a.png"}});
        let expected = json!([
            {"role": "tool", "tool_call_id": "1", "content": "A"},
            {"role": "tool", "tool_call_id": "2", "content": "[shown below]"},
            {"role": "tool", "tool_call_id": "3", "content": ""},
            {"role": "user", "content": [image, image, {"type": "text", "text": "So?"}]},
        ]);
        assert_eq!((written, losses), (expected, vec![]));
    }
}
