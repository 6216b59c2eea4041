//! Function tools as vendors write them who took the form from OpenAI and have functions only
//! (Cohere, Ollama): a custom tool is a function of one string there, and its grammar is shown to
//! the model but not enforced.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::losses::Losses;
use crate::ir::{self, ToolKind};

/// A custom tool's argument.
pub(super) const TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// No arguments.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;

#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: Function<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Function<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: Cow<'a, str>,
    pub parameters: Cow<'a, RawValue>,
}

// === impl Tool ===

impl<'a> Tool<'a> {
    /// The tool under the name it has on the wire.
    pub(super) fn new(tool: &'a ir::Tool, name: &'a str, losses: &mut Losses) -> Self {
        if tool.cache.is_some() {
            losses.hint("tools[].cache_control");
        }
        let description = tool.description.as_deref().unwrap_or_default();
        let (description, parameters) = match (tool.kind, tool.schema.as_deref()) {
            (ToolKind::Function, Some(schema)) => (Cow::Borrowed(description), Cow::Borrowed(schema)),
            (ToolKind::Function, None) => (Cow::Borrowed(description), fixed(NOTHING)),
            (ToolKind::Custom, Some(format)) if format.get().contains("grammar") => {
                losses.hint("tools[].custom.format");
                (Cow::Owned(with_format(description, format)), fixed(TEXT))
            }
            (ToolKind::Custom, _) => (Cow::Borrowed(description), fixed(TEXT)),
        };
        Self { kind: "function", function: Function { name, description, parameters } }
    }
}

/// A custom tool's description with the grammar that nothing enforces.
pub(super) fn with_format(description: &str, format: &RawValue) -> String {
    format!("{description}\nFormat of the input: {format}").trim_start().to_owned()
}

/// One of the texts above, which are JSON.
fn fixed(schema: &'static str) -> Cow<'static, RawValue> {
    serde_json::from_str::<&RawValue>(schema).map_or(Cow::Borrowed(RawValue::NULL), Cow::Borrowed)
}
