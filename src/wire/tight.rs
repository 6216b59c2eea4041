//! Schemas that any vendor can enforce to the letter. Some enforce optional properties too, others take
//! a schema for a strict one only when it has none.

use serde_json::{Value, value::RawValue};

/// Whether every object in a schema is closed and has all its properties required.
pub(crate) fn takes_strict(schema: &RawValue) -> bool {
    serde_json::from_str::<Value>(schema.get()).is_ok_and(|schema| is_tight(&schema))
}

fn is_tight(schema: &Value) -> bool {
    match schema {
        Value::Array(all) => all.iter().all(is_tight),
        Value::Object(members) => {
            let tight = match members.get("properties") {
                Some(Value::Object(properties)) => {
                    let required = members.get("required").and_then(Value::as_array).map_or(0, Vec::len);
                    members.get("additionalProperties") == Some(&Value::Bool(false)) && required == properties.len()
                }
                _ => members.get("type").and_then(Value::as_str) != Some("object"),
            };
            tight && members.values().all(is_tight)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
