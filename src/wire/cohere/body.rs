//! The request as it stands on the wire, in the order it is written: `messages` last, so that equal
//! prefixes of a conversation give equal bytes (rule C1). Schemas, arguments and documents keep the
//! bytes they came with.
//!
//! Source: "Chat" of the vendor's API reference (docs.cohere.com/reference/chat, read November 2026).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::function::Tool;

#[derive(Debug, Default, Serialize)]
pub(super) struct Body<'a> {
    pub model: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<Value<'a, f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<Value<'a, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_mode: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation_options: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_tools: Option<Value<'a, bool>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document<'a>>,
    pub messages: Vec<Message<'a>>,
}

/// The vendor's own field as the client wrote it, or ours.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a, T> {
    Raw(&'a RawValue),
    Set(T),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    Disabled,
    Enabled {
        #[serde(skip_serializing_if = "Option::is_none")]
        token_budget: Option<u64>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Format<'a> {
    JsonObject {
        #[serde(skip_serializing_if = "Option::is_none")]
        json_schema: Option<&'a RawValue>,
    },
}

/// Something to answer from, and to cite.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Document<'a> {
    Raw(&'a RawValue),
    Text { id: String, data: Data<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'a str>,
    pub text: Cow<'a, str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tool_plan: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Content::is_empty")]
    pub content: Content<'a>,
}

/// A string where there is but text, else parts.
#[derive(Debug, Default)]
pub(super) struct Content<'a>(pub Vec<Part<'a>>);

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text { text: Cow<'a, str> },
    Thinking { thinking: &'a str },
    ImageUrl { image_url: Image<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct Image<'a> {
    pub url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    pub id: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: Called<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Called<'a> {
    pub name: &'a str,
    /// JSON text.
    pub arguments: Cow<'a, str>,
}

// === impl Content ===

impl Content<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Part::Text { text }] => serializer.serialize_str(text),
            parts => parts.serialize(serializer),
        }
    }
}
