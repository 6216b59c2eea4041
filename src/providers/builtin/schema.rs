//! The smallest value that fits a JSON schema: required members only, the first of every choice.
//!
//! Patterns are not solved. Depth and size are bounded, since schemas come from clients.

use serde_json::{Map, Value, json};

const DEEPEST: u32 = 32;
/// Values in one result.
const MOST_VALUES: u32 = 4096;
const LONGEST_TEXT: u64 = 1024;
const MOST_ITEMS: u64 = 64;

/// A value for `schema`.
pub(super) fn fill(schema: &Value) -> Value {
    Filler { root: schema, left: MOST_VALUES }.value(schema, 0)
}

struct Filler<'a> {
    root: &'a Value,
    left: u32,
}

impl<'a> Filler<'a> {
    fn value(&mut self, schema: &'a Value, depth: u32) -> Value {
        self.left = self.left.saturating_sub(1);
        if depth > DEEPEST || self.left == 0 {
            return Value::Null;
        }
        if let Some(fixed) = ["const", "default"].iter().find_map(|key| schema.get(key)) {
            return fixed.clone();
        }
        if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|path| self.resolve(path)) {
            return self.value(target, depth + 1);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(first) = schema.get(choice).and_then(Value::as_array).and_then(|all| all.first()) {
                return self.value(first, depth + 1);
            }
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.all_of(schema, all, depth);
        }
        self.typed(schema, depth)
    }

    fn typed(&mut self, schema: &'a Value, depth: u32) -> Value {
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => Value::String(text(schema)),
            "integer" => json!(bound(schema).ceil() as i64),
            "number" => json!(bound(schema)),
            "boolean" => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn object(&mut self, schema: &'a Value, depth: u32) -> Value {
        let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut members = Map::new();
        for name in required.iter().filter_map(Value::as_str) {
            if self.left == 0 {
                break;
            }
            let value = match schema.get("properties").and_then(|all| all.get(name)) {
                Some(property) => self.value(property, depth + 1),
                None => Value::Null,
            };
            members.insert(name.into(), value);
        }
        Value::Object(members)
    }

    fn array(&mut self, schema: &'a Value, depth: u32) -> Value {
        let number = |key| schema.get(key).and_then(Value::as_u64);
        let count = number("minItems").unwrap_or(0).min(MOST_ITEMS);
        let prefix = schema.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut items = Vec::new();
        for index in 0..count {
            if self.left == 0 {
                break;
            }
            let item = usize::try_from(index).ok().and_then(|index| prefix.get(index)).or_else(|| schema.get("items"));
            items.push(item.map_or(Value::Null, |item| self.value(item, depth + 1)));
        }
        Value::Array(items)
    }

    /// The members of all parts together; of parts that are no objects the first.
    fn all_of(&mut self, schema: &'a Value, all: &'a [Value], depth: u32) -> Value {
        let mut members = Map::new();
        let mut first = None;
        let own = self.typed(schema, depth);
        for value in std::iter::once(own).chain(all.iter().map(|part| self.value(part, depth + 1))) {
            match value {
                Value::Object(more) => members.extend(more),
                Value::Null => {}
                other @ (Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                    first.get_or_insert(other);
                }
            }
        }
        match first {
            Some(first) if members.is_empty() => first,
            Some(_) | None => Value::Object(members),
        }
    }

    /// Only references into the schema itself.
    fn resolve(&self, path: &str) -> Option<&'a Value> {
        self.root.pointer(path.strip_prefix('#')?)
    }
}

/// The schema's type; of several the first that is not null, and one inferred where none is given.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() || schema.get("required").is_some() => "object",
        _ if schema.get("items").is_some() || schema.get("prefixItems").is_some() => "array",
        _ => "null",
    }
}

fn text(schema: &Value) -> String {
    let formatted = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "echo@example.com",
        Some("uri" | "url") => "https://example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("ipv4") => "127.0.0.1",
        _ => "",
    };
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(LONGEST_TEXT);
    let missing = usize::try_from(least).unwrap_or(0).saturating_sub(formatted.len());
    format!("{formatted}{}", "x".repeat(missing))
}

/// The number nearest to zero within the bounds, and a multiple where one is asked for.
fn bound(schema: &Value) -> f64 {
    let number = |key| schema.get(key).and_then(Value::as_f64);
    let step = number("multipleOf").filter(|step| *step > 0.0);
    let beyond = step.unwrap_or(1.0);
    let least = number("minimum").or_else(|| number("exclusiveMinimum").map(|least| least + beyond));
    let most = number("maximum").or_else(|| number("exclusiveMaximum").map(|most| most - beyond));
    let value = match (least, most) {
        (Some(least), _) if least > 0.0 => least,
        (_, Some(most)) if most < 0.0 => most,
        _ => 0.0,
    };
    step.map_or(value, |step| (value / step).ceil() * step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_value_that_fits() {
        let schema = json!({
            "type": "object",
            "required": ["a", "b", "c", "d", "e", "f", "g", "h"],
            "properties": {
                "a": {"type": "string", "minLength": 2},
                "b": {"type": ["null", "integer"], "minimum": 3},
                "c": {"type": "array", "items": {"$ref": "#/$defs/leaf"}, "minItems": 2},
                "d": {"enum": ["x", "y"]},
                "e": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
                "f": {"type": "string", "format": "date"},
                "g": {"allOf": [{"type": "object", "required": ["p"], "properties": {"p": {"const": 1}}}, {"required": ["q"]}]},
                "h": {"type": "number", "exclusiveMaximum": -1.5},
                "optional": {"type": "string"}
            },
            "$defs": {"leaf": {"type": "integer", "exclusiveMinimum": 4, "multipleOf": 5}}
        });
        let expected = json!({
            "a": "xx", "b": 3, "c": [10, 10], "d": "x", "e": false, "f": "2026-01-01", "g": {"p": 1, "q": null}, "h": -2.5
        });
        assert_eq!(fill(&schema), expected);
        assert_eq!(fill(&Value::Null), Value::Null);
    }

    #[test]
    fn what_refers_to_itself_ends() {
        let value = fill(&json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}));
        assert!(value.to_string().len() < 1000);
        let wide = json!({"type": "array", "minItems": 1_000_000, "items": {"$ref": "#"}});
        assert!(fill(&wide).to_string().len() < 400_000);
        assert!(fill(&json!({"type": "string", "minLength": u64::MAX})).to_string().len() < 2000);
    }

    proptest! {
        /// Any JSON as a schema: bounded and no panic.
        #[test]
        fn any_schema_is_survived(text in "\\{\"(type|anyOf|allOf|\\$ref|enum|minItems|minimum|required)\":(null|1|\\[\\]|\\[\\{\\}\\]|\"#\"|\"object\"|-1e300)\\}") {
            let schema: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(fill(&schema).to_string().len() < 1000);
        }
    }
}
