//! The request as it stands on the wire, in the order it is written.
//!
//! The order is fixed and the large keys come last, `messages` at the very end, so that equal
//! prefixes of a conversation give equal bytes (rule C1). Unknown keys are refused by the service,
//! so nothing is written here that its description does not have.
//!
//! Source: "Converse" of the Bedrock Runtime API reference (docs.aws.amazon.com/bedrock, read
//! November 2026).

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    ir::{CacheHint, CacheTtl},
    wire::{anthropic::body::Schema, arguments::Arguments},
};

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "InferenceConfig::is_empty")]
    pub inference_config: InferenceConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_variables: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Tier<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_model_response_field_paths: Option<Paths<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Message<'a>>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InferenceConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Metadata<'a> {
    Raw(&'a RawValue),
    Pairs(BTreeMap<&'a str, &'a str>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tier<'a> {
    Raw(&'a RawValue),
    Named {
        #[serde(rename = "type")]
        kind: &'a str,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Paths<'a> {
    Raw(&'a RawValue),
    Fixed([&'static str; 1]),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutputConfig<'a> {
    pub text_format: TextFormat<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct TextFormat<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub structure: Structure<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Structure<'a> {
    JsonSchema(JsonSchema<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct JsonSchema<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// The schema's text: a string here, an object everywhere else.
    pub schema: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Tool<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolSpec<'a> {
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    pub input_schema: InputSchema<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum InputSchema<'a> {
    Json(Schema<'a>),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToolChoice<'a> {
    Any {},
    Tool { name: Cow<'a, str> },
}

#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    pub content: Vec<Block<'a>>,
}

/// Everything that may stand in a message, in `system` or in a tool's result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Document(Document<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(ReasoningContent<'a>),
    CachePoint(CachePoint),
}

#[derive(Debug, Serialize)]
pub(super) struct Media<'a> {
    pub format: &'a str,
    pub source: Source<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    pub format: &'a str,
    pub name: String,
    pub source: Source<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source<'a> {
    /// Base64, as every blob in JSON.
    Bytes(Cow<'a, str>),
    S3Location {
        uri: &'a str,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub tool_use_id: &'a str,
    pub name: &'a str,
    pub input: Arguments<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub tool_use_id: &'a str,
    pub content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ReasoningContent<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

// === impl InferenceConfig ===

impl InferenceConfig<'_> {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Block ===

impl<'a> Block<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }
}

// === impl CachePoint ===

impl CachePoint {
    pub(super) const DEFAULT: Self = Self { kind: "default", ttl: None };
}

impl From<CacheHint> for CachePoint {
    /// Five minutes is the lifetime of one that names none, and older models know no other.
    fn from(hint: CacheHint) -> Self {
        match hint.ttl {
            Some(CacheTtl::OneHour) => Self { ttl: Some("1h"), ..Self::DEFAULT },
            Some(CacheTtl::FiveMinutes) | None => Self::DEFAULT,
        }
    }
}
