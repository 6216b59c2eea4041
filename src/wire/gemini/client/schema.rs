//! Google's schemas, which are OpenAPI's, as JSON Schema.
//!
//! | Google | JSON Schema |
//! |---|---|
//! | `"type": "STRING"` | `"type": "string"` |
//! | `nullable` | `null` among the types, the values and the alternatives |
//! | `"minItems": "1"` | `"minItems": 1` |
//! | `example`, `ref`, `defs` | `examples`, `$ref`, `$defs` |
//! | `propertyOrdering` | the order of the properties |
//! | `"format": "enum"` | nothing: `enum` says it |
//!
//! A keyword that is none of Google's stays as it is, since lower case and plain JSON Schema are taken
//! as well. Google's models write no property that is not declared; where an answer is described
//! ([`Objects::Closed`]) that is said outright, because other vendors enforce nothing less.
//!
//! Source: "Schema" (ai.google.dev/api, read November 2026) and its protobuf definition.

use serde_json::value::RawValue;

use super::fields::camel;
use crate::{
    error::{Error, Result},
    wire::{
        json::{Object, items, push_string},
        read::{Node, Shape},
    },
};

/// Deeper than this nobody describes anything.
const DEEPEST: usize = 64;
/// Keywords whose value is a count, which the vendor's JSON may write as text.
const COUNTS: &[&str] = &["minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"];

/// Whether an object that does not say so may have properties it does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    Open,
    Closed,
}

pub(super) fn convert(node: &Node<'_, '_>, objects: Objects) -> Result<Box<RawValue>> {
    if node.shape() != Shape::Object {
        return Err(node.mistyped("an object"));
    }
    let mut out = String::with_capacity(node.raw().get().len());
    let written = Writer { objects, out: &mut out }.schema(node.raw(), 0);
    let whole = written.and_then(|()| RawValue::from_string(out).ok());
    whole.ok_or_else(|| {
        let path = node.path().to_string();
        Error::invalid(format!("The schema in '{path}' cannot be read."), path, "invalid_value")
    })
}

struct Writer<'o> {
    objects: Objects,
    out: &'o mut String,
}

/// What is known of a schema before its members are written.
#[derive(Default)]
struct Traits {
    nullable: bool,
    has_type: bool,
    is_open_object: bool,
    order: Vec<String>,
}

// === impl Traits ===

impl Traits {
    fn of(schema: &Object<'_>) -> Option<Self> {
        let mut traits = Self::default();
        let mut closed = false;
        let mut has_properties = false;
        for member in schema.members() {
            let json = member.value.get();
            match &*camel(&member.key) {
                "nullable" => traits.nullable = json == "true",
                "type" => traits.has_type = true,
                "properties" => has_properties = json != "null",
                "additionalProperties" => closed = true,
                "propertyOrdering" => traits.order = serde_json::from_str(json).ok()?,
                _ => {}
            }
        }
        traits.is_open_object = has_properties && !closed;
        Some(traits)
    }
}

// === impl Writer ===

impl Writer<'_> {
    /// `None` where it is no schema, or too deep a one.
    fn schema(&mut self, raw: &RawValue, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        // `true` and `false` are schemas too.
        if matches!(Shape::of(raw.get()), Shape::Bool) {
            self.out.push_str(raw.get());
            return Some(());
        }
        let schema = Object::parse_str(raw.get()).ok()?;
        let traits = Traits::of(&schema)?;
        self.out.push('{');
        let start = self.out.len();
        for member in schema.members() {
            self.member(&camel(&member.key), member.value, &traits, depth, start)?;
        }
        if traits.is_open_object && self.objects == Objects::Closed {
            self.key("additionalProperties", start);
            self.out.push_str("false");
        }
        self.out.push('}');
        Some(())
    }

    fn member(&mut self, key: &str, value: &RawValue, traits: &Traits, depth: usize, start: usize) -> Option<()> {
        let json = value.get();
        if json == "null" && !matches!(key, "default" | "example" | "const") {
            return Some(());
        }
        match key {
            "nullable" | "propertyOrdering" => {}
            "format" if json == "\"enum\"" => {}
            "type" => self.kind(value, traits, start)?,
            "enum" if traits.nullable => {
                self.key(key, start);
                let inside = json.strip_prefix('[')?.strip_suffix(']')?;
                let gap = if inside.trim().is_empty() { "" } else { "," };
                self.out.push_str(&format!("[{inside}{gap}null]"));
            }
            "properties" | "defs" | "$defs" | "definitions" => {
                self.key(if key == "defs" { "$defs" } else { key }, start);
                self.named(value, if key == "properties" { &traits.order } else { &[] }, depth)?;
            }
            "items" | "additionalProperties" | "not" => {
                self.key(key, start);
                self.schema(value, depth + 1)?;
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                self.key(key, start);
                self.list(value, traits.nullable && key == "anyOf" && !traits.has_type, depth)?;
            }
            "example" => {
                self.key("examples", start);
                self.out.push_str(&format!("[{json}]"));
            }
            "ref" => {
                self.key("$ref", start);
                self.out.push_str(&json.replacen("#/defs/", "#/$defs/", 1));
            }
            _ if COUNTS.contains(&key) => {
                self.key(key, start);
                self.out.push_str(json.trim_matches('"'));
            }
            _ => {
                self.key(key, start);
                self.out.push_str(json);
            }
        }
        Some(())
    }

    fn key(&mut self, key: &str, start: usize) {
        if self.out.len() > start {
            self.out.push(',');
        }
        push_string(self.out, key);
        self.out.push(':');
    }

    fn kind(&mut self, value: &RawValue, traits: &Traits, start: usize) -> Option<()> {
        let mut kinds: Vec<String> = match Shape::of(value.get()) {
            Shape::String => vec![serde_json::from_str(value.get()).ok()?],
            Shape::Array => serde_json::from_str(value.get()).ok()?,
            Shape::Null | Shape::Bool | Shape::Number | Shape::Object => return None,
        };
        kinds.retain(|kind| kind != "TYPE_UNSPECIFIED");
        kinds.iter_mut().for_each(|kind| kind.make_ascii_lowercase());
        if traits.nullable && !kinds.is_empty() && !kinds.iter().any(|kind| kind == "null") {
            kinds.push("null".into());
        }
        let written = match kinds.as_slice() {
            [] => return Some(()),
            [one] => serde_json::to_string(one).ok()?,
            several => serde_json::to_string(several).ok()?,
        };
        self.key("type", start);
        self.out.push_str(&written);
        Some(())
    }

    /// Schemas by name, those of `order` first.
    fn named(&mut self, value: &RawValue, order: &[String], depth: usize) -> Option<()> {
        let object = Object::parse_str(value.get()).ok()?;
        let place = |key: &str| order.iter().position(|name| name == key).unwrap_or(order.len());
        let mut members: Vec<_> = object.members().iter().collect();
        members.sort_by_key(|member| place(&member.key));
        self.out.push('{');
        let start = self.out.len();
        for member in members {
            self.key(&member.key, start);
            self.schema(member.value, depth + 1)?;
        }
        self.out.push('}');
        Some(())
    }

    fn list(&mut self, value: &RawValue, or_null: bool, depth: usize) -> Option<()> {
        self.out.push('[');
        let start = self.out.len();
        for item in items(value.get()).ok()? {
            if self.out.len() > start {
                self.out.push(',');
            }
            self.schema(item, depth + 1)?;
        }
        if or_null {
            self.out.push_str(if self.out.len() > start { ",{\"type\":\"null\"}" } else { "{\"type\":\"null\"}" });
        }
        self.out.push(']');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::gemini::client::fields::Fields;

    fn converted(schema: &str, objects: Objects) -> Result<String> {
        let body = format!("{{\"s\":{schema}}}");
        let document = crate::wire::json::Document::parse(body.as_bytes())?;
        let fields = Fields::root(&document);
        convert(&fields.require("s")?, objects).map(|raw| raw.get().to_owned())
    }

    #[test]
    fn openapis_words_become_json_schemas() {
        for (google, plain) in [
            (r#"{"type":"STRING","nullable":true}"#, r#"{"type":["string","null"]}"#),
            (r#"{"type":"STRING","format":"enum","enum":["a"]}"#, r#"{"type":"string","enum":["a"]}"#),
            (r#"{"nullable":true,"enum":["a"],"type":"string"}"#, r#"{"enum":["a",null],"type":["string","null"]}"#),
            (r#"{"any_of":[{"type":"INTEGER"}],"nullable":true}"#, r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#),
            (
                r#"{"type":"ARRAY","items":{"type":"NUMBER"},"min_items":"1"}"#,
                r#"{"type":"array","items":{"type":"number"},"minItems":1}"#,
            ),
            (
                r#"{"type":"OBJECT","properties":{"b":{"type":"BOOLEAN"},"a_b":{}},"propertyOrdering":["a_b","b"],"required":["a_b"]}"#,
                r#"{"type":"object","properties":{"a_b":{},"b":{"type":"boolean"}},"required":["a_b"]}"#,
            ),
            (
                r##"{"defs":{"x":{"type":"NULL"}},"ref":"#/defs/x","example":1.0}"##,
                r##"{"$defs":{"x":{"type":"null"}},"$ref":"#/$defs/x","examples":[1.0]}"##,
            ),
            (
                r#"{"type":"TYPE_UNSPECIFIED","additionalProperties":false,"x-y":[1]}"#,
                r#"{"additionalProperties":false,"x-y":[1]}"#,
            ),
            (r#"{"type":["string","null"],"title":null}"#, r#"{"type":["string","null"]}"#),
        ] {
            assert_eq!(converted(google, Objects::Open).unwrap(), plain, "{google}");
        }
    }

    /// J1: what describes an answer is closed, however deep.
    #[test]
    fn answers_have_no_other_properties() {
        let google = r#"{"properties":{"a":{"type":"OBJECT","properties":{"b":{}}},"c":{"type":"OBJECT"}}}"#;
        let plain = r#"{"properties":{"a":{"type":"object","properties":{"b":{}},"additionalProperties":false},"c":{"type":"object"}},"additionalProperties":false}"#;
        assert_eq!(converted(google, Objects::Closed).unwrap(), plain);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let deep = format!("{}{}", "{\"items\":".repeat(80), "{}".to_owned() + &"}".repeat(80));
        for schema in ["5", "[]", r#"{"type":5}"#, r#"{"properties":[]}"#, r#"{"items":"x"}"#, &deep] {
            assert!(converted(schema, Objects::Open).is_err(), "{schema}");
        }
    }

    proptest! {
        /// Whatever comes, what goes out is JSON or nothing does.
        #[test]
        fn any_json_is_converted_or_refused(text in r#"(\{"(type|items|anyOf|enum|properties|nullable)":("[A-Z]{0,3}"|true|\[\]|\{\}|null|1)\}|[ -~]{0,20})"#) {
            if let Ok(written) = converted(&text, Objects::Closed) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
            }
        }
    }
}
