//! What a whole answer and a streamed one share: counts, stop reasons, citations, tools mapped back.
//!
//! Source: "Create a Message", "Stop reasons", "Citations" (platform.claude.com/docs, read November
//! 2026).

use serde::Deserialize;

use crate::{
    ir::{Finish, ToolKind, Usage},
    wire::Memo,
};

/// Counts as the wire has them. A later one overwrites what it names (rule C2).
#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    pub service_tier: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

/// Why a refusal came.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StopDetails {
    #[serde(default)]
    pub explanation: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Citation {
    #[serde(default)]
    url: Option<String>,
    /// A search result's address.
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

/// Whose call a tool block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    /// The answer itself (rule J1).
    Output,
    Tool {
        name: String,
        kind: ToolKind,
    },
}

#[derive(Deserialize)]
struct CustomInput {
    input: String,
}

// === impl Counts ===

impl Counts {
    pub(crate) fn overwrite(&mut self, later: Self) {
        set(&mut self.input_tokens, later.input_tokens);
        set(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        set(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        set(&mut self.cache_creation, later.cache_creation);
        set(&mut self.output_tokens, later.output_tokens);
        set(&mut self.output_tokens_details, later.output_tokens_details);
        set(&mut self.service_tier, later.service_tier);
    }

    /// Disjoint on the wire as in the canonical form (rule C4); the two lifetimes of a cache write
    /// are told apart where the vendor does.
    pub(crate) fn usage(&self) -> Usage {
        let split = self.cache_creation.unwrap_or_default();
        let hour = split.ephemeral_1h_input_tokens.unwrap_or_default();
        let five_minutes = split.ephemeral_5m_input_tokens.unwrap_or_default();
        let written = self.cache_creation_input_tokens.unwrap_or_else(|| hour.saturating_add(five_minutes));
        Usage {
            input: self.input_tokens.unwrap_or_default(),
            cache_read: self.cache_read_input_tokens.unwrap_or_default(),
            cache_write: written.saturating_sub(hour),
            cache_write_1h: hour.min(written),
            output: self.output_tokens.unwrap_or_default(),
            reasoning: self.output_tokens_details.unwrap_or_default().thinking_tokens.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

fn set<T>(earlier: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *earlier = later;
    }
}

// === impl Citation ===

impl Citation {
    /// Address and title of a citation of the web; others have no address.
    pub(crate) fn into_web(self) -> Option<(String, Option<String>)> {
        let web = |text: &String| text.starts_with("http://") || text.starts_with("https://");
        let url = self.url.or(self.source).filter(web)?;
        Some((url, self.title))
    }
}

// === free functions ===

/// S4: calls outweigh a plain stop, and lengths and refusals outweigh calls. The call that is the
/// answer does not count as one.
pub(crate) fn finish(reason: Option<&str>, calls: bool) -> Finish {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("refusal") => Finish::ContentFilter,
        Some("pause_turn" | "compaction") => Finish::Paused,
        Some("stop_sequence") => Finish::StopSequence,
        _ if calls => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Tells whose a call is, by the name the wire has for it.
pub(crate) fn called(name: &str, memo: &Memo) -> Called {
    if memo.output_tool.as_deref() == Some(name) {
        return Called::Output;
    }
    let name = memo.tool_names.get(name).cloned().unwrap_or_else(|| name.to_owned());
    let kind = memo.kind_of(&name);
    Called::Tool { name, kind }
}

/// A custom tool's text, out of the object it was asked for in; as it came when it is no such
/// object.
pub(crate) fn custom_text(input: &str) -> String {
    serde_json::from_str::<CustomInput>(input).map_or_else(|_| input.to_owned(), |custom| custom.input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Counts {
        serde_json::from_str(json).unwrap()
    }

    /// C2, regression case 41: the later count replaces, field by field.
    #[test]
    fn later_counts_replace() {
        let mut all = counts(r#"{"input_tokens":9,"cache_read_input_tokens":1,"output_tokens":1}"#);
        all.overwrite(counts(r#"{"input_tokens":9,"cache_read_input_tokens":1,"output_tokens":16}"#));
        let usage = all.usage();
        assert_eq!((usage.prompt(), usage.cache_read, usage.output), (10, 1, 16));
        all.overwrite(counts(r#"{"output_tokens":17}"#));
        assert_eq!((all.usage().prompt(), all.usage().output), (10, 17));
    }

    /// C3, C4: no token stands in two buckets.
    #[test]
    fn buckets_are_disjoint() {
        let usage = counts(
            r#"{"input_tokens":3,"cache_creation_input_tokens":100,"cache_read_input_tokens":7,
                "cache_creation":{"ephemeral_5m_input_tokens":60,"ephemeral_1h_input_tokens":40},
                "output_tokens":5,"output_tokens_details":{"thinking_tokens":2}}"#,
        )
        .usage();
        assert_eq!(
            usage,
            Usage {
                input: 3,
                cache_read: 7,
                cache_write: 60,
                cache_write_1h: 40,
                output: 5,
                reasoning: 2,
                ..Usage::default()
            }
        );
        assert_eq!(usage.prompt(), 110);
    }

    /// S4.
    #[test]
    fn every_stop_reason_has_its_finish() {
        for (reason, calls, expected) in [
            ("end_turn", false, Finish::Stop),
            ("end_turn", true, Finish::ToolCalls),
            ("tool_use", true, Finish::ToolCalls),
            ("tool_use", false, Finish::Stop),
            ("max_tokens", true, Finish::Length),
            ("model_context_window_exceeded", false, Finish::Length),
            ("stop_sequence", false, Finish::StopSequence),
            ("pause_turn", false, Finish::Paused),
            ("refusal", true, Finish::ContentFilter),
            ("compaction", false, Finish::Paused),
            ("something_new", false, Finish::Stop),
        ] {
            assert_eq!(finish(Some(reason), calls), expected, "{reason} {calls}");
        }
        assert_eq!(finish(None, true), Finish::ToolCalls);
    }
}
