//! Tools and the choice among them: the shapes of chat completions, flattened (rule T6).
//!
//! `strict` is always said, since leaving it out means strict here and not strict there. Tools that
//! the vendor runs itself, which a client of another dialect may name all the same, travel on as
//! they were written when their results come back as text.

use serde::Serialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use std::borrow::Cow;

use crate::{
    ir::{self, ToolKind},
    wire::{losses::Losses, names::Names},
};

/// Hosted tools whose effect is within the text of the answer.
const HOSTED: [&str; 6] =
    ["code_interpreter", "file_search", "mcp", "web_search", "web_search_2025_08_26", "web_search_preview"];

const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Declared(Declared<'a>),
    Hosted(&'a RawValue),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Declared<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        strict: bool,
        parameters: Cow<'a, RawValue>,
    },
    Custom {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Cow<'a, RawValue>>,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Choice<'a> {
    Word(&'static str),
    Named(Reference<'a>),
    Allowed { r#type: &'static str, mode: &'static str, tools: Vec<Reference<'a>> },
}

#[derive(Debug, Serialize)]
pub(super) struct Reference<'a> {
    r#type: &'static str,
    name: &'a str,
}

pub(super) fn write<'a>(request: &'a ir::Request, names: &'a Names, losses: &mut Losses) -> Vec<Tool<'a>> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        if tool.cache.is_some() {
            losses.hint("tools[].cache_control");
        }
        tools.push(Tool::Declared(declared(tool, names)));
    }
    let hosted = request.extra.iter().filter(|(field, value)| is_hosted(field, value));
    tools.extend(hosted.map(|(_, value)| Tool::Hosted(value)));
    tools
}

/// Whether an unplaced field is a tool that travels on.
pub(super) fn is_hosted(field: &str, value: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    field.starts_with("tools[")
        && serde_json::from_str::<Kind<'_>>(value.get()).is_ok_and(|tool| HOSTED.contains(&&*tool.kind))
}

pub(super) fn choice<'a>(
    request: &'a ir::Request,
    names: &'a Names,
    has_tools: bool,
    losses: &mut Losses,
) -> Option<Choice<'a>> {
    let asked = request.tool_choice.as_ref()?;
    let reference = |name: &'a String| Reference { r#type: kind(name, request), name: names.wire(name) };
    let (choice, is_forced) = match asked {
        ir::ToolChoice::Auto => (Choice::Word("auto"), false),
        ir::ToolChoice::None => (Choice::Word("none"), false),
        ir::ToolChoice::Required => (Choice::Word("required"), true),
        ir::ToolChoice::Named(name) => (Choice::Named(reference(name)), true),
        ir::ToolChoice::Allowed { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools = names.iter().map(reference).collect();
            (Choice::Allowed { r#type: "allowed_tools", mode, tools }, *required)
        }
    };
    if !has_tools && is_forced {
        losses.meaning("tool_choice");
    }
    has_tools.then_some(choice)
}

fn kind(name: &str, request: &ir::Request) -> &'static str {
    let tool = request.tools.iter().find(|tool| tool.name == name);
    match tool.map(|tool| tool.kind).unwrap_or_default() {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
    }
}

fn declared<'a>(tool: &'a ir::Tool, names: &'a Names) -> Declared<'a> {
    let (name, description) = (names.wire(&tool.name), tool.description.as_deref());
    match tool.kind {
        ToolKind::Function => {
            let parameters = tool.schema.as_deref().map_or_else(no_arguments, Cow::Borrowed);
            Declared::Function { name, description, strict: tool.strict.unwrap_or(false), parameters }
        }
        ToolKind::Custom => Declared::Custom { name, description, format: tool.schema.as_deref().map(flat) },
    }
}

fn no_arguments<'a>() -> Cow<'a, RawValue> {
    // The text is JSON, so the other arm is never taken.
    RawValue::from_string(NO_ARGUMENTS.into()).map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

/// Chat completions nest a grammar under its own name; here it lies beside its type.
fn flat(format: &RawValue) -> Cow<'_, RawValue> {
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(format.get()) else {
        return Cow::Borrowed(format);
    };
    let Some(Value::Object(grammar)) = members.remove("grammar") else { return Cow::Borrowed(format) };
    let flat: Map<String, Value> = members.into_iter().chain(grammar).collect();
    to_raw_value(&flat).map_or(Cow::Borrowed(format), Cow::Owned)
}
