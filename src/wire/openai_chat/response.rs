//! Writes a client's whole answer, with every member the reference shows (openai-openapi spec 2.3.0
//! and recorded answers, November 2026), since SDKs do not validate and fail later where one is
//! missing.
//!
//! Four extensions: `reasoning_content`, as DeepSeek named it, `thinking_blocks`, as LiteLLM named
//! them, present when a block is signed or redacted and therefore must come back (rule R1),
//! `extra_content`, where Google puts its signatures (rule R2), and `images`, as OpenRouter named
//! them.

use bytes::Bytes;
use serde::Serialize;

use super::{extra_content::ExtraContent, finish, images::Image, logprobs::Logprobs};
use crate::{
    ir::{Annotation, Block, Response, ToolKind, Usage},
    wire::{
        Asked, json,
        signature::{self, Signed},
    },
};

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    system_fingerprint: (),
    choices: [Choice<'a>; 1],
    usage: Option<Counts>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<Logprobs<'a>>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    annotations: Vec<Citation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thinking_blocks: Vec<ThinkingBlock<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
    /// Of the call that comes next.
    #[serde(skip)]
    signed: Option<ExtraContent<'a>>,
}

/// A tool call by its type.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Call<'a> {
    Function {
        id: &'a str,
        function: Function<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<ExtraContent<'a>>,
    },
    Custom {
        id: &'a str,
        custom: Custom<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<ExtraContent<'a>>,
    },
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
pub(super) struct Custom<'a> {
    name: &'a str,
    input: &'a str,
}

/// A block of reasoning that must come back as it is.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThinkingBlock<'a> {
    Thinking {
        thinking: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
    },
    RedactedThinking {
        data: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        index: Option<u32>,
    },
}

#[derive(Serialize)]
pub(super) struct Citation<'a> {
    r#type: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    start_index: u64,
    end_index: u64,
    url: &'a str,
    title: &'a str,
}

/// Token counts: the prompt with its cached part, the completion with its reasoning (rule C4).
#[derive(Serialize)]
pub(in crate::wire) struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

pub(super) fn encode(response: &Response, asked: &Asked) -> Bytes {
    let mut message = Message::of(response);
    let finish_reason = finish::encode(response.finish, !message.tool_calls.is_empty(), asked.legacy_functions);
    if asked.legacy_functions {
        message.function_call = std::mem::take(&mut message.tool_calls).into_iter().find_map(Call::into_function);
    }
    let logprobs = Logprobs::of(&response.logprobs);
    let completion = Completion {
        id: asked.name_of(&response.id),
        object: "chat.completion",
        created: if response.created == 0 { asked.created } else { response.created },
        model: &asked.model,
        service_tier: response.service_tier.as_deref(),
        system_fingerprint: (),
        choices: [Choice { index: 0, message, logprobs, finish_reason }],
        usage: response.usage.as_ref().map(Counts::of),
    };
    // These types always have a JSON form.
    json::body(&completion).unwrap_or_default()
}

/// Whether a block of reasoning must come back, so that its text alone does not do. What is tied to
/// a call or a text comes back with that.
pub(super) fn must_return(block: &Block) -> bool {
    matches!(block, Block::RedactedReasoning { .. } | Block::Reasoning { signature: Some(_), .. })
        && !signature::is_tied(block)
}

// === impl Message ===

impl<'a> Message<'a> {
    fn of(response: &'a Response) -> Self {
        let keeps_blocks = response.blocks.iter().any(must_return);
        let mut message = Self {
            role: "assistant",
            content: None,
            refusal: None,
            annotations: response.annotations.iter().map(Citation::of).collect(),
            reasoning_content: None,
            thinking_blocks: Vec::new(),
            images: Vec::new(),
            tool_calls: Vec::new(),
            function_call: None,
            extra_content: None,
            signed: None,
        };
        for block in &response.blocks {
            message.add(block, keeps_blocks);
        }
        // Only an answer of calls, or a refusal, has null for its text.
        if message.content.is_none() && message.refusal.is_none() && message.tool_calls.is_empty() {
            message.content = Some(String::new());
        }
        message
    }

    fn add(&mut self, block: &'a Block, keeps_blocks: bool) {
        match ExtraContent::tied(block) {
            Some((Signed::Call, signed)) => return self.signed = Some(signed),
            Some((Signed::Part, signed)) => return self.extra_content = Some(signed),
            Some((Signed::Thought, _)) | None => {}
        }
        match block {
            Block::Text { text, .. } => append(&mut self.content, text),
            Block::Refusal { text } => append(&mut self.refusal, text),
            Block::Reasoning { text, .. } => {
                if !text.is_empty() {
                    append(&mut self.reasoning_content, text);
                }
                if keeps_blocks {
                    self.thinking_blocks.extend(ThinkingBlock::of(block));
                }
            }
            Block::RedactedReasoning { .. } => self.thinking_blocks.extend(ThinkingBlock::of(block)),
            Block::ToolCall { id, name, arguments, kind, .. } => {
                let signed = self.signed.take();
                self.tool_calls.push(Call::of(id, name, arguments, *kind, signed));
            }
            Block::Image { source, .. } => self.images.extend(Image::of(source, self.images.len())),
            // No model answers with these in this dialect.
            Block::Document { .. } | Block::Audio { .. } | Block::ToolResult { .. } => {}
        }
    }
}

fn append(to: &mut Option<String>, text: &str) {
    to.get_or_insert_default().push_str(text);
}

// === impl Call ===

impl<'a> Call<'a> {
    /// A function call without arguments has `{}` (rule T1).
    fn of(
        id: &'a str,
        name: &'a str,
        arguments: &'a str,
        kind: ToolKind,
        extra_content: Option<ExtraContent<'a>>,
    ) -> Self {
        match kind {
            ToolKind::Function => {
                let arguments = if arguments.is_empty() { "{}" } else { arguments };
                Self::Function { id, function: Function { name, arguments }, extra_content }
            }
            ToolKind::Custom => Self::Custom { id, custom: Custom { name, input: arguments }, extra_content },
        }
    }

    fn into_function(self) -> Option<Function<'a>> {
        match self {
            Self::Function { function, .. } => Some(function),
            Self::Custom { .. } => None,
        }
    }
}

// === impl ThinkingBlock ===

impl<'a> ThinkingBlock<'a> {
    pub(super) fn of(block: &'a Block) -> Option<Self> {
        match block {
            Block::Reasoning { text, signature } => {
                Some(Self::Thinking { thinking: text, signature: signature.as_deref(), index: None })
            }
            Block::RedactedReasoning { data } => Some(Self::RedactedThinking { data, index: None }),
            Block::Text { .. }
            | Block::Image { .. }
            | Block::Document { .. }
            | Block::Audio { .. }
            | Block::Refusal { .. }
            | Block::ToolCall { .. }
            | Block::ToolResult { .. } => None,
        }
    }

    pub(super) fn signed(thinking: &'a str, signature: &'a str, index: u32) -> Self {
        Self::Thinking { thinking, signature: Some(signature), index: Some(index) }
    }

    pub(super) fn redacted(data: &'a str, index: u32) -> Self {
        Self::RedactedThinking { data, index: Some(index) }
    }
}

// === impl Citation ===

impl<'a> Citation<'a> {
    pub(super) fn of(annotation: &'a Annotation) -> Self {
        let url_citation = UrlCitation {
            start_index: annotation.start,
            end_index: annotation.end,
            url: &annotation.url,
            title: annotation.title.as_deref().unwrap_or_default(),
        };
        Self { r#type: "url_citation", url_citation }
    }
}

// === impl Counts ===

impl Counts {
    pub(in crate::wire) fn of(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt(),
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write + usage.cache_write_1h,
                audio_tokens: usage.audio_input,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_output,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}
