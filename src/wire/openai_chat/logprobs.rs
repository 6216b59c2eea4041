//! Log probabilities of an answer's tokens, both ways (openai-openapi spec 2.3.0 of August 2026).
//!
//! `bytes` is always written, for clients put together with them what tokens cut in the middle of a
//! character; where the upstream told none they are those of the token's text.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ir::Logprob;

/// A choice's `logprobs`.
#[derive(Serialize)]
pub(super) struct Logprobs<'a> {
    content: Vec<Token<'a>>,
    refusal: (),
}

#[derive(Serialize)]
struct Token<'a> {
    #[serde(flatten)]
    head: Likely<'a>,
    top_logprobs: Vec<Likely<'a>>,
}

#[derive(Serialize)]
struct Likely<'a> {
    token: &'a str,
    logprob: f64,
    bytes: &'a [u8],
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    content: Option<Vec<ToldToken>>,
}

#[derive(Deserialize)]
struct ToldToken {
    token: String,
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<ToldToken>>,
}

// === impl Logprobs ===

impl<'a> Logprobs<'a> {
    /// `None` is JSON's `null`.
    pub(super) fn of(logprobs: &'a [Logprob]) -> Option<Self> {
        let token = |logprob: &'a Logprob| Token {
            head: Likely::of(logprob),
            top_logprobs: logprob.top.iter().map(Likely::of).collect(),
        };
        (!logprobs.is_empty()).then(|| Self { content: logprobs.iter().map(token).collect(), refusal: () })
    }
}

// === impl Likely ===

impl<'a> Likely<'a> {
    fn of(logprob: &'a Logprob) -> Self {
        let bytes = logprob.bytes.as_deref().unwrap_or(logprob.token.as_bytes());
        Self { token: &logprob.token, logprob: logprob.logprob, bytes }
    }
}

// === impl ToldToken ===

impl From<ToldToken> for Logprob {
    fn from(told: ToldToken) -> Self {
        let top = told.top_logprobs.unwrap_or_default();
        Self {
            bytes: told.bytes.filter(|bytes| bytes != told.token.as_bytes()),
            token: told.token,
            logprob: told.logprob,
            top: top.into_iter().map(|told| Self { top: Vec::new(), ..Self::from(told) }).collect(),
        }
    }
}

/// Reads what an upstream wrote; what has another shape (the older one of completions) says nothing.
pub(super) fn read(raw: &RawValue) -> Vec<Logprob> {
    let told: Option<Told> = serde_json::from_str(raw.get()).ok();
    told.and_then(|told| told.content).unwrap_or_default().into_iter().map(Logprob::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let likely = |token: &str, bytes: Option<Vec<u8>>| Logprob {
            token: token.into(),
            logprob: -0.25,
            bytes,
            top: Vec::new(),
        };
        let logprobs = vec![
            Logprob { top: vec![likely("a", None), likely("b", None)], ..likely("a", None) },
            likely("\u{fffd}", Some(vec![0xf0, 0x9f])),
        ];
        let json = serde_json::to_string(&Logprobs::of(&logprobs)).unwrap();
        assert!(
            json.starts_with(r#"{"content":[{"token":"a","logprob":-0.25,"bytes":[97],"top_logprobs":[{"token":"a","#),
            "{json}"
        );
        assert!(json.ends_with(r#""bytes":[240,159],"top_logprobs":[]}],"refusal":null}"#), "{json}");
        assert_eq!(read(&RawValue::from_string(json).unwrap()), logprobs);
        for other in ["null", "{}", r#"{"tokens":["a"],"token_logprobs":[-1]}"#, r#"{"content":[{"token":5}]}"#] {
            assert_eq!(read(&RawValue::from_string(other.into()).unwrap()), Vec::new());
        }
        assert_eq!(serde_json::to_string(&Logprobs::of(&[])).unwrap(), "null");
    }
}
