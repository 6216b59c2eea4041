//! A whole answer or one chunk of a stream, which have the same form. Every field may be missing: a
//! blocked prompt has no candidate, an empty answer no parts, an early chunk no counts.
//!
//! Source: "GenerateContentResponse" (ai.google.dev/api, read November 2026) and recorded traffic.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error, grounding::Grounding};
use crate::{
    error::{Error, Result},
    ir::{Logprob, Usage},
};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub candidates: Option<Vec<Candidate<'a>>>,
    pub prompt_feedback: Option<Feedback>,
    pub usage_metadata: Option<Counts>,
    pub model_version: Option<String>,
    pub response_id: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    pub finish_reason: Option<String>,
    pub finish_message: Option<String>,
    #[serde(borrow)]
    pub grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub citation_metadata: Option<&'a RawValue>,
    pub logprobs_result: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part<'a> {
    pub text: Option<String>,
    pub thought: Option<bool>,
    pub thought_signature: Option<String>,
    #[serde(borrow)]
    pub function_call: Option<Call<'a>>,
    pub inline_data: Option<Blob>,
    pub file_data: Option<File>,
    pub executable_code: Option<Code>,
    pub code_execution_result: Option<Outcome>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    pub id: Option<String>,
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Blob {
    pub mime_type: String,
    pub data: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub mime_type: String,
    pub file_uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Code {
    pub language: String,
    pub code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Outcome {
    pub outcome: String,
    pub output: String,
}

/// Why a prompt was not taken.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Feedback {
    pub block_reason: Option<String>,
    pub block_reason_message: Option<String>,
}

/// Counts as the wire has them. A later one overwrites what it names (rule C2).
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Counts {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    prompt_tokens_details: Option<Vec<Share>>,
    cache_tokens_details: Option<Vec<Share>>,
    candidates_tokens_details: Option<Vec<Share>>,
    pub service_tier: Option<String>,
}

/// How many tokens of a count were of one kind.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Share {
    modality: String,
    token_count: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logprobs {
    top_candidates: Vec<Top>,
    chosen_candidates: Vec<Token>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Top {
    candidates: Vec<Token>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Token {
    token: String,
    log_probability: f64,
}

// === impl Chunk ===

impl<'a> Chunk<'a> {
    /// Reads a chunk or an answer; an error in its place, or within it, is that error (rules E2, M2).
    pub(super) fn parse(data: &'a [u8]) -> Result<Self> {
        match serde_json::from_slice::<Self>(data) {
            Ok(chunk) if chunk.error.is_none_or(|error| error.get() == "null") => Ok(chunk),
            Ok(_) => Err(error::read_in_band(data).map_or_else(|| unusable("its error says nothing"), Into::into)),
            Err(why) => Err(error::read_in_band(data).map_or_else(|| unusable(&why.to_string()), Into::into)),
        }
    }

    /// The only candidate that can be translated.
    pub(super) fn candidate(&self) -> Option<&Candidate<'a>> {
        self.candidates.iter().flatten().find(|candidate| candidate.is_first())
    }

    pub(super) fn blocked(&self) -> Option<&Feedback> {
        self.prompt_feedback.as_ref().filter(|feedback| feedback.block_reason.is_some())
    }
}

pub(super) fn unusable(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream's answer is no Gemini answer: {why}.") }
}

// === impl Candidate ===

impl<'a> Candidate<'a> {
    pub(super) fn is_first(&self) -> bool {
        self.index.unwrap_or_default() == 0
    }

    pub(super) fn parts(self) -> Vec<Part<'a>> {
        self.content.and_then(|content| content.parts).unwrap_or_default()
    }

    pub(super) fn has_parts(&self) -> bool {
        self.content.as_ref().and_then(|content| content.parts.as_ref()).is_some_and(|parts| !parts.is_empty())
    }

    /// What it tells of the web, if it can be read.
    pub(super) fn grounding(&self) -> Option<Grounding> {
        Grounding::read(self.grounding_metadata, self.citation_metadata)
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn overwrite(&mut self, later: Self) {
        set(&mut self.prompt_token_count, later.prompt_token_count);
        set(&mut self.cached_content_token_count, later.cached_content_token_count);
        set(&mut self.candidates_token_count, later.candidates_token_count);
        set(&mut self.thoughts_token_count, later.thoughts_token_count);
        set(&mut self.tool_use_prompt_token_count, later.tool_use_prompt_token_count);
        set(&mut self.prompt_tokens_details, later.prompt_tokens_details);
        set(&mut self.cache_tokens_details, later.cache_tokens_details);
        set(&mut self.candidates_tokens_details, later.candidates_tokens_details);
        set(&mut self.service_tier, later.service_tier);
    }

    /// Whether it tells of the answer, and not only of the prompt.
    pub(super) fn is_of_answer(&self) -> bool {
        self.candidates_token_count.is_some() || self.thoughts_token_count.is_some()
    }

    /// The cached part stands within the prompt, thoughts and a tool's prompt beside what they are
    /// like (rule C4).
    pub(super) fn usage(&self) -> Option<Usage> {
        let prompt = self.prompt_token_count?;
        let cache_read = self.cached_content_token_count.unwrap_or_default().min(prompt);
        let reasoning = self.thoughts_token_count.unwrap_or_default();
        let tools = self.tool_use_prompt_token_count.unwrap_or_default();
        let input = (prompt - cache_read).saturating_add(tools);
        let output = self.candidates_token_count.unwrap_or_default().saturating_add(reasoning);
        let cached_audio = audio(self.cache_tokens_details.as_deref());
        Some(Usage {
            input,
            cache_read,
            output,
            reasoning,
            audio_input: audio(self.prompt_tokens_details.as_deref()).saturating_sub(cached_audio).min(input),
            audio_output: audio(self.candidates_tokens_details.as_deref()).min(output),
            ..Usage::default()
        })
    }
}

fn audio(shares: Option<&[Share]>) -> u64 {
    let sound = shares.unwrap_or_default().iter().filter(|share| share.modality == "AUDIO");
    sound.map(|share| share.token_count).fold(0, u64::saturating_add)
}

fn set<T>(earlier: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

// === impl Logprobs ===

impl From<Logprobs> for Vec<Logprob> {
    fn from(told: Logprobs) -> Self {
        let likely =
            |token: Token| Logprob { token: token.token, logprob: token.log_probability, bytes: None, top: Vec::new() };
        let mut tops = told.top_candidates.into_iter();
        let chosen = told.chosen_candidates.into_iter();
        chosen
            .map(|token| {
                let top = tops.next().map(|top| top.candidates).unwrap_or_default();
                Logprob { top: top.into_iter().map(likely).collect(), ..likely(token) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Counts {
        serde_json::from_str(json).unwrap()
    }

    /// C2, C4: later counts replace, and no token stands in two buckets.
    #[test]
    fn buckets_are_disjoint() {
        let mut all = counts(r#"{"promptTokenCount":55,"candidatesTokenCount":1}"#);
        all.overwrite(counts(
            r#"{"promptTokenCount":257,"cachedContentTokenCount":200,"candidatesTokenCount":30,"thoughtsTokenCount":12,
                "toolUsePromptTokenCount":9,"totalTokenCount":308,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}"#,
        ));
        let usage = all.usage().unwrap();
        assert_eq!((usage.prompt(), usage.total()), (266, 308));
        assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (66, 200, 42, 12));
        assert_eq!(usage.audio_input, 20);
        assert_eq!(counts(r#"{"trafficType":"ON_DEMAND"}"#).usage(), None);
    }

    #[test]
    fn logprobs_are_read_token_by_token() {
        let told: Logprobs = serde_json::from_str(
            r#"{"topCandidates":[{"candidates":[{"token":"a","logProbability":-0.1},{"token":"b","logProbability":-2}]}],
                "chosenCandidates":[{"token":"a","tokenId":5,"logProbability":-0.1},{"token":"c","logProbability":-3}]}"#,
        )
        .unwrap();
        let read: Vec<Logprob> = told.into();
        assert_eq!((read[0].top.len(), read[1].top.len()), (2, 0));
        assert_eq!((read[0].top[1].token.as_str(), read[1].logprob), ("b", -3.0));
    }
}
