//! What a whole answer and a streamed one share: counts, finish reasons, citations, arguments.
//!
//! Source: "Chat", "Citations" and "Usage" of the vendor's documentation (docs.cohere.com, read
//! November 2026).

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    dialect::Dialect,
    error::{Error, UpstreamError},
    ir::{Annotation, Finish, Logprob, ToolKind, Usage},
    wire::Memo,
};

/// Counts as the wire has them, sometimes with a fraction.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(super) struct Counts {
    #[serde(default)]
    tokens: Option<Pair>,
    #[serde(default)]
    billed_units: Option<Pair>,
    #[serde(default)]
    cached_tokens: Option<f64>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Pair {
    #[serde(default)]
    input_tokens: Option<f64>,
    #[serde(default)]
    output_tokens: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Citation {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    pub content_index: u64,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    sources: Vec<Value>,
}

/// The log probabilities of one piece of text.
#[derive(Debug, Deserialize)]
pub(super) struct Likely {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    logprobs: Vec<f64>,
}

/// A custom tool's text in the object it was asked for in.
#[derive(Deserialize)]
struct CustomInput {
    input: String,
}

// === impl Counts ===

impl Counts {
    /// What the model read and wrote, which is what a window is measured by; what is billed is less
    /// by the vendor's own preamble, and stands in where the other is missing (rule C4).
    pub(super) fn usage(&self) -> Option<Usage> {
        let pair = self.tokens.or(self.billed_units)?;
        let count = |number: Option<f64>| number.filter(|number| *number > 0.0).map_or(0, |number| number as u64);
        let (input, cached) = (count(pair.input_tokens), count(self.cached_tokens));
        let cache_read = cached.min(input);
        Some(Usage { input: input - cache_read, cache_read, output: count(pair.output_tokens), ..Usage::default() })
    }
}

// === impl Citation ===

impl Citation {
    /// One annotation per source, `base` characters further on in the joined text. Citations of plans
    /// and thinking point into no text.
    pub(super) fn annotations(&self, base: u64) -> Vec<Annotation> {
        if self.kind.as_deref().is_some_and(|kind| kind != "TEXT_CONTENT") {
            return Vec::new();
        }
        let annotation = |source: &Value| {
            let held = source.get("document").or_else(|| source.get("tool_output"));
            let text = |key: &str| held?.get(key)?.as_str();
            // A source without an address is still told apart by its id.
            let url = text("url").or_else(|| source.get("id")?.as_str())?;
            let title = text("title").map(ToOwned::to_owned);
            Some(Annotation { url: url.to_owned(), title, start: base + self.start, end: base + self.end })
        };
        self.sources.iter().filter_map(annotation).collect()
    }
}

// === impl Likely ===

impl Likely {
    /// A piece of several tokens is told as one, with the likelihood of all.
    pub(super) fn logprob(self) -> Option<Logprob> {
        let token = self.text.filter(|_| !self.logprobs.is_empty())?;
        Some(Logprob { token, logprob: self.logprobs.iter().sum(), bytes: None, top: Vec::new() })
    }
}

// === free functions ===

/// S4, E2: what a reason means; a failure is an error, with the vendor's words if it has any.
pub(super) fn finish(reason: Option<&str>, calls: bool, words: Option<&str>) -> Result<Finish, Error> {
    let failed = |status: StatusCode, otherwise: &str| {
        let message = words.filter(|words| !words.is_empty()).unwrap_or(otherwise);
        Err(UpstreamError { dialect: Some(Dialect::Cohere), ..UpstreamError::new(status, message) }.into())
    };
    match reason {
        Some("ERROR") => failed(StatusCode::INTERNAL_SERVER_ERROR, "The upstream failed in the middle of its answer."),
        Some("TIMEOUT") => failed(StatusCode::GATEWAY_TIMEOUT, "The upstream ran out of time for its answer."),
        Some("MAX_TOKENS" | "ERROR_LIMIT") => Ok(Finish::Length),
        Some("ERROR_TOXIC") => Ok(Finish::ContentFilter),
        Some(_) | None if calls => Ok(Finish::ToolCalls),
        Some("STOP_SEQUENCE") => Ok(Finish::StopSequence),
        Some(_) | None => Ok(Finish::Stop),
    }
}

/// The client's name for a tool, and its kind.
pub(super) fn called(name: String, memo: &Memo) -> (String, ToolKind) {
    let name = memo.tool_names.get(&name).cloned().unwrap_or(name);
    let kind = memo.kind_of(&name);
    (name, kind)
}

/// T1: no arguments are `{}`, which the vendor says in three ways.
pub(super) fn arguments(text: &str, kind: ToolKind) -> String {
    let text = match text.trim() {
        "" | "null" => "{}",
        text => text,
    };
    match kind {
        ToolKind::Function => text.to_owned(),
        ToolKind::Custom => {
            serde_json::from_str::<CustomInput>(text).map_or_else(|_| text.to_owned(), |custom| custom.input)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C4: cached tokens are part of the prompt, and fractions are none.
    #[test]
    fn counts_are_those_of_the_model() {
        let counts = |json: &str| serde_json::from_str::<Counts>(json).unwrap().usage();
        let both = counts(
            r#"{"billed_units":{"input_tokens":46.0,"output_tokens":14},"tokens":{"input_tokens":1445,"output_tokens":43.0},"cached_tokens":704}"#,
        );
        assert_eq!(both, Some(Usage { input: 741, cache_read: 704, output: 43, ..Usage::default() }));
        let billed = counts(r#"{"billed_units":{"input_tokens":46,"output_tokens":14}}"#);
        assert_eq!(billed, Some(Usage { input: 46, output: 14, ..Usage::default() }));
        assert_eq!(counts("{}"), None);
        assert_eq!(
            counts(r#"{"tokens":{"input_tokens":-5,"output_tokens":1e300},"cached_tokens":7}"#).unwrap().input,
            0
        );
    }

    /// S4, E2.
    #[test]
    fn every_finish_reason_has_its_meaning() {
        for (reason, calls, expected) in [
            ("COMPLETE", false, Finish::Stop),
            ("COMPLETE", true, Finish::ToolCalls),
            ("STOP_SEQUENCE", false, Finish::StopSequence),
            ("MAX_TOKENS", true, Finish::Length),
            ("TOOL_CALL", true, Finish::ToolCalls),
            ("ERROR_TOXIC", false, Finish::ContentFilter),
            ("something_new", false, Finish::Stop),
        ] {
            assert_eq!(finish(Some(reason), calls, None).unwrap(), expected, "{reason}");
        }
        assert_eq!(finish(Some("ERROR"), false, Some("No.")).unwrap_err().status().as_u16(), 500);
        assert_eq!(finish(Some("TIMEOUT"), false, None).unwrap_err().status().as_u16(), 504);
    }

    #[test]
    fn sources_without_an_address_are_told_by_their_id() {
        let citation: Citation = serde_json::from_str(
            r#"{"start":1,"end":3,"sources":[{"type":"document","id":"d1","document":{"title":"T","url":"https://h/a"}},
                {"type":"tool","id":"f_1:0","tool_output":{"x":1}},{"type":"odd"}],"type":"TEXT_CONTENT"}"#,
        )
        .unwrap();
        let told: Vec<_> = citation.annotations(10).into_iter().map(|a| (a.url, a.title, a.start, a.end)).collect();
        let expected = [("https://h/a".into(), Some("T".into()), 11, 13), ("f_1:0".to_owned(), None, 11, 13)];
        assert_eq!(told, expected);
        let of_plan: Citation = serde_json::from_str(r#"{"sources":[{"id":"a"}],"type":"PLAN"}"#).unwrap();
        assert!(of_plan.annotations(0).is_empty());
    }
}
