//! The request as it stands on the wire, in the order it is written.
//!
//! The order is fixed and the large keys come last, `messages` at the very end, so that equal
//! prefixes of a conversation give equal bytes (rule C1). Schemas and arguments keep the bytes they
//! came with.
//!
//! Source: "Create a Message" of the vendor's API reference (platform.claude.com/docs, read
//! November 2026).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    ir::{CacheHint, CacheTtl},
    wire::arguments::Arguments,
};

#[derive(Debug, Default, Serialize)]
pub(crate) struct Body<'a> {
    pub model: &'a str,
    pub max_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_management: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<Cache<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Turn<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Metadata<'a> {
    pub user_id: &'a str,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Format<'a> {
    JsonSchema { schema: Cow<'a, RawValue> },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Thinking<'a> {
    /// As the client wrote it.
    Raw(&'a RawValue),
    Set(ThinkingKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ThinkingKind {
    Enabled { budget_tokens: u64 },
    Adaptive { display: &'static str },
    Disabled,
    BetweenTools,
}

#[derive(Debug, Serialize)]
pub(crate) struct ToolChoice<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disable_parallel_tool_use: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tool<'a> {
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    pub input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// A tool's arguments.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Schema<'a> {
    Raw(&'a RawValue),
    Fixed(Fixed),
}

/// The schemas of tools that came without one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fixed {
    /// No arguments.
    Nothing,
    /// A custom tool's free text.
    Text,
}

#[derive(Debug, Serialize)]
pub(crate) struct Turn<'a> {
    pub role: &'static str,
    pub content: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Image {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Arguments<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// Both keys are required, even when the text is empty.
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
    Text { media_type: &'static str, data: Cow<'a, str> },
    File { file_id: &'a str },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Cache<'a> {
    Raw(&'a RawValue),
    Hint(CacheControl),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

// === impl Fixed ===

impl Serialize for Fixed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Nothing {
            #[serde(rename = "type")]
            kind: &'static str,
            properties: Empty,
        }
        #[derive(Serialize)]
        struct Text {
            #[serde(rename = "type")]
            kind: &'static str,
            properties: Properties,
            required: [&'static str; 1],
        }
        #[derive(Serialize)]
        struct Properties {
            input: Property,
        }
        #[derive(Serialize)]
        struct Property {
            #[serde(rename = "type")]
            kind: &'static str,
        }
        #[derive(Serialize)]
        struct Empty {}
        match self {
            Self::Nothing => Nothing { kind: "object", properties: Empty {} }.serialize(serializer),
            Self::Text => {
                let properties = Properties { input: Property { kind: "string" } };
                Text { kind: "object", properties, required: ["input"] }.serialize(serializer)
            }
        }
    }
}

// === impl CacheControl ===

impl From<CacheHint> for CacheControl {
    fn from(hint: CacheHint) -> Self {
        let ttl = hint.ttl.map(|ttl| match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
        });
        Self { kind: "ephemeral", ttl }
    }
}

// === impl Block ===

impl<'a> Block<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), cache_control: None }
    }
}
