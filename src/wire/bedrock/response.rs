//! A whole answer.
//!
//! A block is an object with one member, whose name says what it is; unknown ones (an image, a
//! server's own tool result) are passed over. Arguments keep the bytes they came with. The service
//! gives an answer no id and no model's name.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Citation, Counts};
use crate::{
    error::{Error, Result},
    ir::{Annotation, Block, Response, ToolKind},
    wire::{
        Memo,
        anthropic::answer::{Called, called, custom_text},
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default, borrow)]
    additional_model_response_fields: Option<&'a RawValue>,
    #[serde(default)]
    service_tier: Option<Tier>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<Content<'a>>,
}

#[derive(Deserialize)]
struct Tier {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default, borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(default)]
    reasoning_content: Option<Reasoning>,
    #[serde(default)]
    citations_content: Option<Cited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    #[serde(default)]
    reasoning_text: Option<ReasoningText>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    #[serde(default)]
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    content: Vec<CitedText>,
    #[serde(default)]
    citations: Vec<Citation>,
}

#[derive(Deserialize)]
struct CitedText {
    #[serde(default)]
    text: String,
}

/// What has been read of the content.
#[derive(Default)]
struct Read {
    blocks: Vec<Block>,
    annotations: Vec<Annotation>,
    /// Characters of text so far.
    chars: u64,
    calls: bool,
    /// The answer came as a call (rule J1).
    output: Option<String>,
}

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    let answer: Answer<'_> = serde_json::from_slice(body)
        .map_err(|error| Error::BadReply { message: format!("The upstream's answer is no message: {error}.") })?;
    let mut read = Read::default();
    for content in answer.output.message.content {
        read.take(content, memo);
    }
    let reason = answer.stop_reason.as_deref();
    let finish = answer::finish(reason, read.calls);
    let (blocks, annotations) = read.settle();
    Ok(Response {
        id: String::new(),
        model: String::new(),
        created: 0,
        blocks,
        annotations,
        logprobs: Vec::new(),
        finish,
        stop_sequence: answer::stop_sequence(answer.additional_model_response_fields),
        usage: answer.usage.as_ref().map(Counts::usage),
        lost: Vec::new(),
        service_tier: answer.service_tier.and_then(|tier| tier.kind),
    })
}

// === impl Read ===

impl Read {
    fn take(&mut self, content: Content<'_>, memo: &Memo) {
        if let Some(text) = content.text {
            self.text(text, Vec::new());
        }
        if let Some(cited) = content.citations_content {
            self.text(cited.content.into_iter().map(|piece| piece.text).collect(), cited.citations);
        }
        if let Some(reasoning) = content.reasoning_content {
            self.reasoning(reasoning);
        }
        if let Some(call) = content.tool_use {
            self.call(call, memo);
        }
    }

    fn text(&mut self, text: String, citations: Vec<Citation>) {
        let start = self.chars;
        self.chars += text.chars().count() as u64;
        let end = self.chars;
        let cited = citations.into_iter().filter_map(Citation::into_web);
        self.annotations.extend(cited.map(|(url, title)| Annotation { url, title, start, end }));
        if !text.is_empty() {
            self.blocks.push(Block::text(text));
        }
    }

    fn reasoning(&mut self, reasoning: Reasoning) {
        if let Some(ReasoningText { text, signature }) = reasoning.reasoning_text {
            let signature = signature.filter(|signature| !signature.is_empty());
            self.blocks.push(Block::Reasoning { text, signature });
        }
        self.blocks.extend(reasoning.redacted_content.map(|data| Block::RedactedReasoning { data }));
    }

    fn call(&mut self, call: ToolUse<'_>, memo: &Memo) {
        let input = call.input.map_or("{}", RawValue::get);
        match called(&call.name, memo) {
            Called::Output => self.output = Some(input.to_owned()),
            Called::Tool { name, kind } => {
                self.calls = true;
                let arguments = match kind {
                    ToolKind::Function => input.to_owned(),
                    ToolKind::Custom => custom_text(input),
                };
                self.blocks.push(Block::ToolCall { id: call.tool_use_id, name, arguments, kind, cache: None });
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
