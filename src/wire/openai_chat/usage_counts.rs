//! Token counts of an answer, in OpenAI's form: `prompt_tokens` holds the cached ones,
//! `completion_tokens` the reasoning ones (rule C4).

use serde::Deserialize;

use super::lenient::Count;
use crate::ir;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's and others' names for the cached part.
    prompt_cache_hit_tokens: Count,
    cached_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
}

/// Reads a `usage` object. `None` when it counts nothing.
pub(super) fn read(json: &str) -> Option<ir::Usage> {
    let counts: Counts = serde_json::from_str(json).ok()?;
    if counts.prompt_tokens.0.is_none() && counts.completion_tokens.0.is_none() {
        return None;
    }
    let prompt = counts.prompt_tokens.0.unwrap_or_default();
    let details = counts.prompt_tokens_details.unwrap_or_default();
    let cached = details.cached_tokens.0.or(counts.prompt_cache_hit_tokens.0).or(counts.cached_tokens.0);
    let cache_read = cached.unwrap_or_default();
    let cache_write = details.cache_write_tokens.0.unwrap_or_default();
    let reasoning = counts.completion_tokens_details.unwrap_or_default().reasoning_tokens.0.unwrap_or_default();
    let completion = counts.completion_tokens.0.unwrap_or_default();
    // xAI leaves reasoning out of the completion; its total shows it.
    let whole = completion.saturating_add(reasoning);
    let apart = reasoning > 0 && counts.total_tokens.0 == Some(prompt.saturating_add(whole));
    // A part larger than its whole was not counted in it.
    let rest = |whole: u64, part: u64| whole.checked_sub(part).unwrap_or(whole);
    Some(ir::Usage {
        input: rest(rest(prompt, cache_read), cache_write),
        cache_read,
        cache_write,
        cache_write_1h: 0,
        output: if apart { whole } else { completion },
        reasoning,
    })
}
