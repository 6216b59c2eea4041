//! What a whole answer and a streamed one share: counts, stop reasons, citations.
//!
//! Source: "TokenUsage", "Converse", "CitationsContentBlock" (docs.aws.amazon.com/bedrock, read
//! November 2026).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ir::{Finish, Usage};

/// Counts as the wire has them: input is without what a cache gave or took (rule C4). The two names
/// ending in `Count` are undocumented and seen.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<u64>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<Written>>,
}

/// What one lifetime's share of the cache writes was.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}

/// A source, where it has an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Citation {
    title: Option<String>,
    location: Option<Location>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    web: Option<Web>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Web {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Matched {
    stop_sequence: Option<String>,
}

// === impl Counts ===

impl Counts {
    pub(super) fn usage(&self) -> Usage {
        let hours = self.cache_details.iter().flatten().filter(|written| written.ttl.as_deref() == Some("1h"));
        let hour = hours.filter_map(|written| written.input_tokens).fold(0, u64::saturating_add);
        let written = self.cache_write_input_tokens.unwrap_or(hour);
        Usage {
            input: self.input_tokens.unwrap_or_default(),
            cache_read: self.cache_read_input_tokens.unwrap_or_default(),
            cache_write: written.saturating_sub(hour),
            cache_write_1h: hour.min(written),
            output: self.output_tokens.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

// === impl Citation ===

impl Citation {
    pub(super) fn into_web(self) -> Option<(String, Option<String>)> {
        Some((self.location?.web?.url?, self.title))
    }
}

// === free functions ===

/// S4: calls outweigh a plain stop, and lengths and policies outweigh calls. Some families say
/// `end_turn` although they call.
pub(super) fn finish(reason: Option<&str>, calls: bool) -> Finish {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("content_filtered" | "guardrail_intervened" | "refusal") => Finish::ContentFilter,
        Some("stop_sequence") => Finish::StopSequence,
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The stop text that matched, which was asked for by its path.
pub(super) fn stop_sequence(fields: Option<&RawValue>) -> Option<String> {
    serde_json::from_str::<Matched>(fields?.get()).ok()?.stop_sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C3, C4: no token stands in two buckets.
    #[test]
    fn buckets_are_disjoint() {
        let counts = |json: &str| serde_json::from_str::<Counts>(json).unwrap().usage();
        let usage = counts(
            r#"{"inputTokens":3,"outputTokens":5,"totalTokens":115,"cacheReadInputTokens":7,"cacheWriteInputTokens":100,
                "cacheDetails":[{"ttl":"5m","inputTokens":60},{"ttl":"1h","inputTokens":40}],"serverToolUsage":{}}"#,
        );
        let expected =
            Usage { input: 3, cache_read: 7, cache_write: 60, cache_write_1h: 40, output: 5, ..Usage::default() };
        assert_eq!((usage, usage.prompt()), (expected, 110));
        let usage = counts(r#"{"inputTokens":1,"cacheReadInputTokenCount":2,"cacheDetails":null,"outputTokens":null}"#);
        assert_eq!((usage.prompt(), usage.cache_read, usage.output), (3, 2, 0));
    }

    /// S4.
    #[test]
    fn every_stop_reason_has_its_finish() {
        for (reason, calls, expected) in [
            ("end_turn", false, Finish::Stop),
            ("end_turn", true, Finish::ToolCalls),
            ("tool_use", true, Finish::ToolCalls),
            ("stop_sequence", false, Finish::StopSequence),
            ("max_tokens", true, Finish::Length),
            ("model_context_window_exceeded", false, Finish::Length),
            ("content_filtered", false, Finish::ContentFilter),
            ("guardrail_intervened", true, Finish::ContentFilter),
            ("malformed_tool_use", false, Finish::Stop),
            ("malformed_model_output", false, Finish::Stop),
            ("something_new", true, Finish::ToolCalls),
        ] {
            assert_eq!(finish(Some(reason), calls), expected, "{reason} {calls}");
        }
    }
}
