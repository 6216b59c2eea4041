//! The request as it stands on the wire, in the order it is written.
//!
//! The order is fixed and the large keys come last, `contents` at the very end, so that equal
//! prefixes of a conversation give equal bytes (rule C1). Arguments, and schemas that need no
//! rewriting, keep the bytes they came with.
//!
//! Source: "GenerateContentRequest" of the API's protobuf definitions (`generativelanguage/v1beta`
//! and `aiplatform/v1beta1`) and of the API reference (ai.google.dev/api, read November 2026).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::wire::arguments::Arguments;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    pub generation_config: GenerationConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_settings: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_content: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_armor_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "ToolConfig::is_empty")]
    pub tool_config: ToolConfig<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_instruction: Option<Instruction<'a>>,
    pub contents: Vec<Content<'a>>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub response_logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_config: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_modalities: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_resolution: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_timestamp: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_enhanced_civic_answers: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mime_type: Option<&'static str>,
    /// In the subset of OpenAPI's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_schema: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_json_schema: Option<Cow<'a, RawValue>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Thinking<'a> {
    /// As the client wrote it.
    Raw(&'a RawValue),
    Set(ThinkingConfig),
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThinkingConfig {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_calling_config: Option<Calling<'a>>,
    /// Wanted where the vendor's own tools stand beside functions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_server_side_tool_invocations: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval_config: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calling<'a> {
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_function_names: Vec<&'a str>,
}

/// One member of `tools`: the functions, or a tool of the vendor's own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Tool<'a> {
    FunctionDeclarations(Vec<Function<'a>>),
    GoogleSearch(Nothing),
    CodeExecution(Nothing),
    UrlContext(Nothing),
    GoogleMaps(Nothing),
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Nothing {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub description: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_json_schema: Option<Cow<'a, RawValue>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Instruction<'a> {
    pub parts: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    pub role: &'static str,
    pub parts: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(flatten)]
    pub data: Payload<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_resolution: Option<Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Payload<'a> {
    Text(Cow<'a, str>),
    InlineData(Blob<'a>),
    FileData(File<'a>),
    FunctionCall(Call<'a>),
    FunctionResponse(Outcome<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    pub mime_type: Cow<'a, str>,
    pub data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'static str>,
    pub file_uri: &'a str,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Resolution {
    pub level: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub name: &'a str,
    pub args: Arguments<'a>,
}

/// What a tool returned.
#[derive(Debug, Serialize)]
pub(super) struct Outcome<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    pub name: &'a str,
    pub response: Returned<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part<'a>>,
}

/// The two keys the vendor gives a meaning to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Returned<'a> {
    Output(Value<'a>),
    Error(Value<'a>),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

// === impl ToolConfig ===

impl ToolConfig<'_> {
    fn is_empty(&self) -> bool {
        self.function_calling_config.is_none()
            && !self.include_server_side_tool_invocations
            && self.retrieval_config.is_none()
    }
}

// === impl Part ===

impl<'a> Part<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Payload::Text(text.into()).into()
    }
}

impl<'a> From<Payload<'a>> for Part<'a> {
    fn from(data: Payload<'a>) -> Self {
        Self { data, thought: false, media_resolution: None, thought_signature: None }
    }
}
