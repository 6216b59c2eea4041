//! The shape the answer must have (rules J1, J2).
//!
//! Lines with structured outputs take the schema as `output_config.format`. Elsewhere, and for
//! schemas with open objects that structured outputs refuse, a tool is offered whose arguments are
//! the answer and a call is forced; the answer's decoder turns the call back into content.
//! `json_object` has no counterpart: it becomes an instruction and is reported.
//!
//! Structured outputs refuse bounds (`minLength`, `maximum`, ...) and want closed objects. Bounds
//! move into the description, where the model still reads them, and are reported.
//!
//! Source: "Structured outputs", section on JSON Schema limitations (platform.claude.com/docs, read
//! November 2026).

use std::borrow::Cow;

use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::models::Model;
use crate::{
    ir::Output,
    wire::{losses::Losses, names::Names},
};

/// The wish for the emulating tool's name.
const TOOL: &str = "json_response";

pub(crate) const INSTRUCTION: &str =
    "Answer with one JSON object and nothing else: no prose before or after it, no code fence.";
pub(crate) const TOOL_DESCRIPTION: &str = "Gives the final answer to the user. Its arguments are the answer.";

/// Keywords that structured outputs refuse.
const BOUNDS: [&str; 14] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
];

/// How the shape is asked for.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    Free,
    Native(Cow<'a, RawValue>),
    Tool { name: String, description: Option<&'a str>, schema: &'a RawValue },
    Instruction,
}

// === impl Shape ===

impl<'a> Shape<'a> {
    pub(crate) fn new(output: &'a Output, model: &Model, tools: &mut Names, losses: &mut Losses) -> Self {
        let (schema, description) = match output {
            Output::Text => return Self::Free,
            Output::JsonObject => {
                losses.hint("response_format");
                return Self::Instruction;
            }
            Output::JsonSchema { schema, description, .. } => (schema, description.as_deref()),
        };
        match Fitted::new(schema) {
            Fitted::AsIs if model.structured => Self::Native(Cow::Borrowed(schema)),
            Fitted::Changed { schema, bounded } if model.structured => {
                if bounded {
                    losses.hint("response_format.json_schema.schema");
                }
                Self::Native(Cow::Owned(schema))
            }
            Fitted::AsIs | Fitted::Changed { .. } | Fitted::Open if model.forced_choice && describes_object(schema) => {
                Self::Tool { name: tools.fresh(TOOL), description, schema }
            }
            Fitted::AsIs | Fitted::Changed { .. } | Fitted::Open => {
                losses.meaning("response_format.json_schema.schema");
                Self::Free
            }
        }
    }
}

/// A schema as structured outputs take it.
pub(crate) enum Fitted {
    AsIs,
    Changed {
        schema: Box<RawValue>,
        bounded: bool,
    },
    /// It describes objects with names of their own choosing.
    Open,
}

// === impl Fitted ===

impl Fitted {
    pub(crate) fn new(schema: &RawValue) -> Self {
        let Ok(before) = serde_json::from_str::<Value>(schema.get()) else { return Self::Open };
        let mut after = before.clone();
        let mut bounded = false;
        if !fit(&mut after, &mut bounded) {
            return Self::Open;
        }
        if after == before {
            return Self::AsIs;
        }
        to_raw_value(&after).map_or(Self::Open, |schema| Self::Changed { schema, bounded })
    }
}

/// A tool's schema must be an object's.
fn describes_object(schema: &RawValue) -> bool {
    let value: Option<Value> = serde_json::from_str(schema.get()).ok();
    value.is_some_and(|value| value.get("type").and_then(Value::as_str) == Some("object"))
}

/// Rewrites one schema and those within. False when it cannot be said.
fn fit(schema: &mut Value, bounded: &mut bool) -> bool {
    let Value::Object(schema) = schema else { return true };
    *bounded |= move_bounds(schema);
    close(schema) && schema.iter_mut().all(|(keyword, value)| fit_within(keyword, value, bounded))
}

fn fit_within(keyword: &str, value: &mut Value, bounded: &mut bool) -> bool {
    match (keyword, value) {
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
            schemas.iter_mut().all(|(_, schema)| fit(schema, bounded))
        }
        ("anyOf" | "allOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
            schemas.iter_mut().all(|schema| fit(schema, bounded))
        }
        ("items" | "not", schema) => fit(schema, bounded),
        _ => true,
    }
}

fn move_bounds(schema: &mut Map<String, Value>) -> bool {
    let refused = |keyword: &str, value: &Value| {
        BOUNDS.contains(&keyword) || keyword == "minItems" && value.as_u64().is_none_or(|least| least > 1)
    };
    let moved: Vec<String> = schema
        .iter()
        .filter(|(keyword, value)| refused(keyword, value))
        .map(|(keyword, value)| format!("{keyword}: {value}"))
        .collect();
    if moved.is_empty() {
        return false;
    }
    schema.retain(|keyword, value| !refused(keyword, value));
    let bounds = moved.join(", ");
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} ({bounds})"),
        None => bounds,
    };
    schema.insert("description".into(), description.into());
    true
}

fn close(schema: &mut Map<String, Value>) -> bool {
    let is_object = schema.get("type").and_then(Value::as_str) == Some("object") || schema.contains_key("properties");
    if schema.contains_key("patternProperties") {
        return false;
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => true,
        Some(_) => false,
        None => {
            if is_object {
                schema.insert("additionalProperties".into(), false.into());
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(schema: &str) -> String {
        match Fitted::new(&RawValue::from_string(schema.into()).unwrap()) {
            Fitted::AsIs => "as is".into(),
            Fitted::Open => "open".into(),
            Fitted::Changed { schema, bounded } => format!("{bounded} {}", schema.get()),
        }
    }

    /// J1: what structured outputs refuse is moved or closed, what they take keeps its bytes.
    #[test]
    fn schemas_are_fitted() {
        for (schema, expected) in [
            (r#"{ "type":"object", "properties":{"a":{"type":"string"}}, "additionalProperties":false }"#, "as is"),
            (
                r#"{"type":"object","properties":{"a":{"type":"string","description":"A.","minLength":2}}}"#,
                r#"true {"type":"object","properties":{"a":{"type":"string","description":"A. (minLength: 2)"}},"additionalProperties":false}"#,
            ),
            (r#"{"type":"array","minItems":1,"items":{"type":"integer"}}"#, "as is"),
            (
                r#"{"type":"array","minItems":3,"items":{"type":"integer","minimum":1}}"#,
                r#"true {"type":"array","items":{"type":"integer","description":"minimum: 1"},"description":"minItems: 3"}"#,
            ),
            (r#"{"type":"object","additionalProperties":{"type":"string"}}"#, "open"),
            (r#"{"anyOf":[{"type":"object","additionalProperties":true}]}"#, "open"),
            (r#"{"properties":{"minLength":{"type":"string"}},"additionalProperties":false}"#, "as is"),
        ] {
            assert_eq!(fitted(schema), expected, "{schema}");
        }
    }
}
