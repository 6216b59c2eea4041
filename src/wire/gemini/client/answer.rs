//! An answer as it stands on the wire; a chunk of a stream has the same form.
//!
//! Source: "GenerateContentResponse" (ai.google.dev/api, read November 2026) and recorded traffic.

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    ir::{Finish, Logprob, ToolKind, Usage},
    wire::arguments::Arguments,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<[Candidate<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_feedback: Option<Feedback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_metadata: Option<Counts>,
    pub model_version: &'a str,
    pub response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'static str>,
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounding_metadata: Option<super::sources::Grounding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_logprobs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs_result: Option<Logprobs<'a>>,
}

#[derive(Serialize)]
pub(super) struct Content<'a> {
    pub role: &'static str,
    pub parts: &'a [Part<'a>],
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    pub mime_type: &'a str,
    pub data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File<'a> {
    pub file_uri: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub args: Arguments<'a>,
}

/// Why there is no answer to a prompt.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback {
    pub block_reason: &'static str,
}

/// Google counts thoughts beside the answer, and cached tokens within the prompt (rule C4). What it
/// counts none of it leaves out.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    total_token_count: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logprobs<'a> {
    top_candidates: Vec<Top<'a>>,
    chosen_candidates: Vec<Token<'a>>,
}

#[derive(Debug, Serialize)]
struct Top<'a> {
    candidates: Vec<Token<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    token: &'a str,
    log_probability: f64,
}

/// S4. The vendor has no word for an end in tool calls.
pub(super) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        // A turn that its vendor wants sent back to go on; Google has no such thing.
        Finish::Paused => "OTHER",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(super) fn of(parts: &'a [Part<'a>]) -> Self {
        Self {
            content: Content { role: "model", parts },
            finish_reason: None,
            index: 0,
            grounding_metadata: None,
            avg_logprobs: None,
            logprobs_result: None,
        }
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A call whose arguments are an object, whatever the model wrote (rule T3).
    pub(super) fn call(
        id: &'a str,
        name: &'a str,
        kind: ToolKind,
        arguments: &'a str,
        thought_signature: Option<String>,
    ) -> Self {
        let function_call = Some(Call { id, name, args: Arguments::of(kind, arguments) });
        Self { function_call, thought_signature, ..Self::default() }
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            prompt_token_count: usage.prompt(),
            cached_content_token_count: usage.cache_read,
            candidates_token_count: usage.output.saturating_sub(usage.reasoning),
            thoughts_token_count: usage.reasoning.min(usage.output),
            total_token_count: usage.total(),
        }
    }
}

// === impl Logprobs ===

impl<'a> Logprobs<'a> {
    /// `None` where nothing is told.
    pub(super) fn of(logprobs: &'a [Logprob]) -> Option<Self> {
        let token = |token: &'a Logprob| Token { token: &token.token, log_probability: token.logprob };
        let top = |chosen: &'a Logprob| Top { candidates: chosen.top.iter().map(token).collect() };
        (!logprobs.is_empty()).then(|| Self {
            top_candidates: logprobs.iter().map(top).collect(),
            chosen_candidates: logprobs.iter().map(token).collect(),
        })
    }
}

/// The mean of all tokens.
pub(super) fn average(logprobs: &[Logprob]) -> Option<f64> {
    let sum: f64 = logprobs.iter().map(|token| token.logprob).sum();
    (!logprobs.is_empty()).then(|| sum / logprobs.len() as f64)
}
