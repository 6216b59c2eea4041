//! A whole answer, read as a stream that has only its end: so that what holds for streams holds here
//! (rule R4).
//!
//! Source: "The response object" (OpenAI's API reference, specification 2.3.0; November 2026).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::stream::Decoder;
use crate::{
    error::{Error, Result},
    ir::{Finish, Response, Usage},
    wire::{Memo, openai_chat::in_band_error, translate},
};

/// The answer as it stands on the wire, whole or within the events that begin and end a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    /// Some servers write fractions of seconds.
    #[serde(default)]
    pub created_at: Option<f64>,
    #[serde(default, borrow)]
    pub status: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub incomplete_details: Option<Incomplete<'a>>,
    #[serde(default, borrow)]
    pub output: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    pub usage: Option<Counts>,
    #[serde(default)]
    pub service_tier: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    let answer = read(body)?;
    let mut events = Vec::new();
    Decoder::new(memo.clone()).end(&answer, &mut events)?;
    Ok(Response { service_tier: answer.service_tier, ..translate::fold(events) })
}

/// Judges an answer without reading its items. One that is still under way is what a client asks for
/// that does not wait for it; only a translation can make nothing of it.
pub(super) fn accepts(body: &[u8]) -> Result<()> {
    whole(body).map(drop)
}

/// Why an answer ended and what it used; neither of one that is still under way.
pub(in crate::wire::openai_responses) fn whole(body: &[u8]) -> Result<(Option<Finish>, Option<Usage>)> {
    let answer = read(body)?;
    if matches!(answer.status.as_deref(), Some("queued" | "in_progress")) {
        return Ok((None, None));
    }
    let finish = answer.finish(answer.calls())?;
    Ok((Some(finish), answer.usage.as_ref().map(Counts::usage)))
}

fn read(body: &[u8]) -> Result<Answer<'_>> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| match in_band_error(body) {
        Some(error) => error.into(),
        None => unusable(&why.to_string()),
    })?;
    match answer.output {
        None if answer.status.is_none() => Err(match in_band_error(body) {
            Some(error) => error.into(),
            None => unusable("it has neither status nor output"),
        }),
        Some(_) | None => Ok(answer),
    }
}

// === impl Answer ===

impl Answer<'_> {
    /// Why the answer ended, or the error it is (rules E2, M2, S4).
    pub(super) fn finish(&self, calls: bool) -> Result<Finish> {
        let told = self.error.filter(|error| error.get() != "null");
        match self.status.as_deref() {
            Some("failed") => Err(self.failure()),
            Some("cancelled") => Err(unusable("it was cancelled")),
            Some(status @ ("queued" | "in_progress")) => Err(unusable(&format!("it is still `{status}`"))),
            Some("incomplete") => Ok(self.incomplete()),
            _ if told.is_some() => Err(self.failure()),
            Some(_) | None if calls => Ok(Finish::ToolCalls),
            Some(_) | None => Ok(Finish::Stop),
        }
    }

    /// Whether the client has a call to answer.
    pub(super) fn calls(&self) -> bool {
        #[derive(Deserialize)]
        struct Tag<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
        }
        let is_call = |item: &&RawValue| {
            serde_json::from_str::<Tag<'_>>(item.get())
                .is_ok_and(|tag| matches!(&*tag.kind, "function_call" | "custom_tool_call"))
        };
        self.output.iter().flatten().any(is_call)
    }

    /// The error of an answer that failed.
    pub(super) fn failure(&self) -> Error {
        let told = self.error.and_then(|error| in_band_error(format!("{{\"error\":{error}}}").as_bytes()));
        told.map_or_else(|| unusable("it failed and does not say why"), Error::from)
    }

    fn incomplete(&self) -> Finish {
        match self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref()) {
            Some("content_filter") => Finish::ContentFilter,
            // Another turn has taken its place.
            Some("steered") => Finish::Paused,
            Some(_) | None => Finish::Length,
        }
    }
}

// === impl Counts ===

impl Counts {
    /// The prompt's count holds the cached tokens, as in chat completions (rule C4).
    pub(super) fn usage(&self) -> Usage {
        let details = self.input_tokens_details.unwrap_or_default();
        let cache_read = details.cached_tokens.unwrap_or_default();
        let cache_write = details.cache_write_tokens.unwrap_or_default();
        let output = self.output_tokens.unwrap_or_default();
        let reasoning = self.output_tokens_details.unwrap_or_default().reasoning_tokens.unwrap_or_default();
        Usage {
            input: self.input_tokens.unwrap_or_default().saturating_sub(cache_read).saturating_sub(cache_write),
            cache_read,
            cache_write,
            output,
            reasoning: reasoning.min(output),
            ..Usage::default()
        }
    }
}

fn unusable(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream's answer is no finished response: {why}.") }
}
