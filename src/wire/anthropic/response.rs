//! A whole answer.
//!
//! Blocks are told apart by their tag before they are read: those of server-side tools, and those
//! not yet invented, are passed over. Arguments keep the bytes they came with.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    answer::{self, Called, Citation, Counts, StopDetails},
    error,
};
use crate::{
    error::{Error, Result},
    ir::{Annotation, Block, Response, ToolKind},
    wire::Memo,
};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
    #[serde(default)]
    stop_details: Option<StopDetails>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    #[serde(default)]
    citations: Option<Vec<Citation>>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Redacted {
    data: String,
}

#[derive(Deserialize)]
struct ToolUse<'a> {
    id: String,
    name: String,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What has been read of the content.
#[derive(Default)]
struct Content {
    blocks: Vec<Block>,
    annotations: Vec<Annotation>,
    /// Characters of text so far.
    chars: u64,
    calls: bool,
    /// The answer came as a call (rule J1).
    output: Option<String>,
}

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    let message: Message<'_> = serde_json::from_slice(body).map_err(|why| match error::read_in_band(body) {
        Some(error) => error.into(),
        None => unusable(&why),
    })?;
    let mut content = Content::default();
    for block in &message.content {
        content.read(block, memo)?;
    }
    if let Some(text) = message.stop_details.and_then(|details| details.explanation)
        && message.stop_reason.as_deref() == Some("refusal")
    {
        content.blocks.push(Block::Refusal { text });
    }
    let finish = answer::finish(message.stop_reason.as_deref(), content.calls);
    let (blocks, annotations) = content.settle();
    Ok(Response {
        id: message.id,
        model: message.model,
        created: 0,
        blocks,
        annotations,
        logprobs: Vec::new(),
        finish,
        stop_sequence: message.stop_sequence,
        usage: message.usage.as_ref().map(Counts::usage),
        lost: Vec::new(),
        service_tier: message.usage.and_then(|counts| counts.service_tier),
    })
}

// === impl Content ===

impl Content {
    fn read(&mut self, block: &RawValue, memo: &Memo) -> Result<()> {
        let tag: Tag<'_> = parse(block)?;
        match tag.kind.as_ref() {
            "text" => self.text(parse(block)?),
            "thinking" => {
                let Thinking { thinking, signature } = parse(block)?;
                let signature = signature.filter(|signature| !signature.is_empty());
                self.blocks.push(Block::Reasoning { text: thinking, signature });
            }
            "redacted_thinking" => {
                let Redacted { data } = parse(block)?;
                self.blocks.push(Block::RedactedReasoning { data });
            }
            "tool_use" => self.tool_use(parse(block)?, memo),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: Text) {
        let start = self.chars;
        self.chars += text.text.chars().count() as u64;
        let cited = text.citations.unwrap_or_default().into_iter().filter_map(Citation::into_web);
        let end = self.chars;
        self.annotations.extend(cited.map(|(url, title)| Annotation { url, title, start, end }));
        if !text.text.is_empty() {
            self.blocks.push(Block::text(text.text));
        }
    }

    fn tool_use(&mut self, call: ToolUse<'_>, memo: &Memo) {
        let input = call.input.map_or("{}", RawValue::get);
        match answer::called(&call.name, memo) {
            Called::Output => self.output = Some(input.to_owned()),
            Called::Tool { name, kind } => {
                self.calls = true;
                let arguments = match kind {
                    ToolKind::Function => input.to_owned(),
                    ToolKind::Custom => answer::custom_text(input),
                };
                self.blocks.push(Block::ToolCall { id: call.id, name, arguments, kind, cache: None });
            }
        }
    }

    /// J1: where the answer came as a call, it is all the text there is.
    fn settle(mut self) -> (Vec<Block>, Vec<Annotation>) {
        if let Some(output) = self.output {
            self.blocks.retain(|block| !matches!(block, Block::Text { .. }));
            self.blocks.push(Block::text(output));
            self.annotations.clear();
        }
        (self.blocks, self.annotations)
    }
}

fn parse<'a, T: Deserialize<'a>>(block: &'a RawValue) -> Result<T> {
    serde_json::from_str(block.get()).map_err(|error| unusable(&error))
}

fn unusable(error: &serde_json::Error) -> Error {
    Error::BadReply { message: format!("The upstream's answer is no message: {error}.") }
}
