//! Schemas in the words an endpoint takes (rule T9).
//!
//! An endpoint refuses a keyword it does not know, or passes it over. What each takes is a [`Table`];
//! the work is the same for all: references are put in place of themselves, what another keyword can
//! say is said with that, and what nothing can say is told in the description, where the model still
//! reads it, and reported. A schema that needs none of this keeps its bytes (rule C1).
//!
//! A reference that leads back to itself is followed once more and then left as what its type is, and
//! a schema may grow so far and no further, for a short one can unfold to an endless one.
//!
//! Source: "Schema" and "FunctionDeclaration" of the API reference, "Structured output"
//! (ai.google.dev/api and /gemini-api/docs, read November 2026).

use std::borrow::Cow;

use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

/// What an endpoint knows of schemas.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The keywords it takes.
    keywords: &'static [&'static str],
    /// One that it takes besides.
    also: Option<&'static str>,
    /// The formats it takes; all where none is named.
    formats: &'static [&'static str],
    /// It knows types as lists, tuples and values that are no strings; otherwise one type, `nullable`
    /// and strings.
    is_json_schema: bool,
}

/// The subset of OpenAPI's schema that `parameters` and `responseSchema` are.
pub const OPENAPI: Table = Table { keywords: SUBSET, also: None, formats: FORMATS, is_json_schema: false };

/// The same on Vertex AI, which has one keyword more.
pub const OPENAPI_CLOUD: Table =
    Table { keywords: SUBSET, also: Some("additionalProperties"), formats: &[], is_json_schema: false };

/// What is honoured in `parametersJsonSchema` and `responseJsonSchema`.
pub const JSON_SCHEMA: Table = Table { keywords: JSON_KEYWORDS, also: None, formats: &[], is_json_schema: true };

const SUBSET: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
];
const FORMATS: &[&str] = &["enum", "date-time", "float", "double", "int32", "int64"];
const JSON_KEYWORDS: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "enum",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "properties",
    "additionalProperties",
    "required",
    "propertyOrdering",
];

/// Keywords that constrain nothing, and may go without a word.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
    "title",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "strict",
    "nullable",
    "propertyOrdering",
    "additionalProperties",
    "unevaluatedProperties",
    "contentMediaType",
    "contentEncoding",
];

/// Nodes a rewritten schema may have.
const MOST_NODES: usize = 10_000;
/// Characters and members that references may put in place of themselves.
const MOST_COPIED: usize = 1 << 20;
/// How often `allOf` may stand within itself.
const MOST_MERGES: usize = 8;
/// How often a reference may stand within itself.
const MOST_TURNS: usize = 2;
/// How deep a schema may be; the vendor refuses far less.
const MOST_DEPTH: usize = 100;

/// A schema for the wire.
#[derive(Debug)]
pub(super) struct Fitted<'a> {
    pub schema: Cow<'a, RawValue>,
    /// A constraint could only be told in words.
    pub lossy: bool,
}

struct Rewriter<'t> {
    table: &'t Table,
    root: &'t Value,
    nodes: usize,
    copied: usize,
    depth: usize,
    /// The references that are being followed.
    within: Vec<String>,
    lossy: bool,
}

/// Rewrites a schema. `None` where it would become too large.
pub(super) fn fit<'a>(schema: &'a RawValue, table: &Table) -> Option<Fitted<'a>> {
    let root: Value = serde_json::from_str(schema.get()).ok()?;
    let mut rewriter = Rewriter { table, root: &root, nodes: 0, copied: 0, depth: 0, within: Vec::new(), lossy: false };
    let fitted = rewriter.schema(&root)?;
    let schema = if fitted == root { Cow::Borrowed(schema) } else { Cow::Owned(to_raw_value(&fitted).ok()?) };
    Some(Fitted { schema, lossy: rewriter.lossy })
}

/// Whether the schema describes an object that has properties.
pub(super) fn has_properties(schema: &RawValue) -> bool {
    let value: Option<Map<String, Value>> = serde_json::from_str(schema.get()).ok();
    value.is_some_and(|schema| {
        let is_empty = schema.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty);
        let others = ["$ref", "anyOf", "oneOf", "allOf", "additionalProperties", "patternProperties"];
        !is_empty || others.into_iter().any(|key| schema.get(key).is_some_and(|value| *value != Value::Bool(false)))
    })
}

// === impl Table ===

impl Table {
    fn takes(&self, keyword: &str) -> bool {
        self.keywords.contains(&keyword) || self.also == Some(keyword)
    }
}

// === impl Rewriter ===

impl Rewriter<'_> {
    fn schema(&mut self, schema: &Value) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || self.depth > MOST_DEPTH {
            return None;
        }
        self.depth += 1;
        let fitted = match schema {
            Value::Object(schema) => self.object(schema),
            // `true` takes anything; `false`, which takes nothing, has no other form.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Some(Value::Object(Map::new()))
            }
        };
        self.depth -= 1;
        fitted
    }

    fn object(&mut self, schema: &Map<String, Value>) -> Option<Value> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, schema);
        }
        let merged = self.merged(schema)?;
        let mut out = Map::new();
        let mut told = Vec::new();
        for (keyword, value) in merged.as_ref() {
            self.keyword(keyword, value, &mut out, &mut told)?;
        }
        self.settle(&mut out, &mut told);
        if !told.is_empty() {
            self.lossy = true;
            describe(&mut out, &told.join(", "));
        }
        Some(Value::Object(out))
    }

    /// What a reference leads to, with what stands beside it.
    fn reference(&mut self, reference: &str, schema: &Map<String, Value>) -> Option<Value> {
        let Some(Value::Object(target)) = resolve(self.root, reference) else {
            self.lossy = true;
            return Some(Value::Object(Map::new()));
        };
        self.copy(target)?;
        let mut whole = target.clone();
        whole.extend(schema.iter().filter(|(key, _)| *key != "$ref").map(|(key, value)| (key.clone(), value.clone())));
        if self.within.iter().filter(|name| *name == reference).count() >= MOST_TURNS {
            self.lossy = true;
            whole.retain(|key, _| key == "type" || key == "description");
            // A list must say of what.
            return self.object(&whole);
        }
        self.within.push(reference.to_owned());
        let out = self.schema(&Value::Object(whole));
        self.within.pop();
        out
    }

    /// The subschemas of `allOf` laid over one another, and the schema over all of them.
    fn merged<'s>(&mut self, schema: &'s Map<String, Value>) -> Option<Cow<'s, Map<String, Value>>> {
        if !schema.contains_key("allOf") {
            return Some(Cow::Borrowed(schema));
        }
        let mut merged = schema.clone();
        for _ in 0..MOST_MERGES {
            let Some(Value::Array(all)) = merged.shift_remove("allOf") else { break };
            for part in all {
                let target = part.get("$ref").and_then(Value::as_str).and_then(|name| resolve(self.root, name));
                if let Some(Value::Object(part)) = Some(target.unwrap_or(&part)) {
                    self.copy(part)?;
                    lay_under(&mut merged, part);
                }
            }
        }
        merged.shift_remove("allOf");
        Some(Cow::Owned(merged))
    }

    /// Counts what is about to be copied. `None` where it is too much.
    fn copy(&mut self, part: &Map<String, Value>) -> Option<()> {
        self.copied = self.copied.saturating_add(size(part));
        (self.copied <= MOST_COPIED).then_some(())
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        out: &mut Map<String, Value>,
        told: &mut Vec<String>,
    ) -> Option<()> {
        let json = self.table.is_json_schema;
        match (keyword, value) {
            ("type", Value::Array(types)) if !json => self.types(types, out),
            ("const", value) => enumerate(std::slice::from_ref(value), json, out, told),
            ("enum", Value::Array(values)) => enumerate(values, json, out, told),
            ("oneOf", Value::Array(schemas)) if !json => {
                let schemas = self.all(schemas)?;
                out.entry("anyOf").or_insert(Value::Array(schemas));
            }
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) if self.takes(keyword) => {
                let schemas = self.all(schemas)?;
                out.insert(keyword.into(), Value::Array(schemas));
            }
            ("items", Value::Array(schemas)) if json => {
                let schemas = self.all(schemas)?;
                out.insert("prefixItems".into(), Value::Array(schemas));
            }
            ("items", Value::Array(_)) => told.push(format!("items: {value}")),
            ("items", Value::Object(_) | Value::Bool(_)) => {
                let items = self.schema(value)?;
                out.insert("items".into(), items);
            }
            ("additionalProperties", Value::Object(_)) if self.takes(keyword) => {
                let schema = self.schema(value)?;
                out.insert(keyword.into(), schema);
            }
            ("properties", Value::Object(properties)) => {
                let mut fitted = Map::new();
                for (name, schema) in properties {
                    fitted.insert(name.clone(), self.schema(schema)?);
                }
                out.insert(keyword.into(), Value::Object(fitted));
            }
            ("exclusiveMinimum", Value::Number(_)) if is_integer(out) => shift(out, "minimum", value, 1),
            ("exclusiveMaximum", Value::Number(_)) if is_integer(out) => shift(out, "maximum", value, -1),
            ("format", Value::String(format)) if !self.takes_format(format) => told.push(format!("format: {format}")),
            _ if self.takes(keyword) => {
                out.insert(keyword.into(), value.clone());
            }
            _ if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-") => {}
            _ => told.push(format!("{keyword}: {value}")),
        }
        Some(())
    }

    fn all(&mut self, schemas: &[Value]) -> Option<Vec<Value>> {
        schemas.iter().map(|schema| self.schema(schema)).collect()
    }

    /// `["string", "null"]` is a nullable string; of several types any is taken.
    fn types(&self, types: &[Value], out: &mut Map<String, Value>) {
        let (null, types): (Vec<&Value>, Vec<&Value>) = types.iter().partition(|name| name.as_str() == Some("null"));
        if !null.is_empty() {
            out.insert("nullable".into(), true.into());
        }
        match types.as_slice() {
            [] => _ = out.insert("type".into(), "null".into()),
            [one] => _ = out.insert("type".into(), (*one).clone()),
            several => {
                let any = several.iter().map(|name| serde_json::json!({ "type": name })).collect();
                out.insert("anyOf".into(), Value::Array(any));
            }
        }
    }

    /// What the endpoint asks of the whole node.
    fn settle(&self, out: &mut Map<String, Value>, told: &mut Vec<String>) {
        let known: Option<Vec<String>> =
            out.get("properties").and_then(Value::as_object).map(|all| all.keys().cloned().collect());
        if let Some(Value::Array(required)) = out.get_mut("required") {
            let is_known = |name: &Value| {
                known
                    .as_ref()
                    .is_some_and(|known| name.as_str().is_some_and(|name| known.iter().any(|key| key == name)))
            };
            required.retain(is_known);
        }
        if out.get("required").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            out.shift_remove("required");
        }
        if self.table.is_json_schema {
            return;
        }
        let kind = out.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase);
        if kind.as_deref() == Some("array") && !out.contains_key("items") {
            out.insert("items".into(), serde_json::json!({ "type": "string" }));
        }
        // Values to choose from are strings, and so is what they are chosen for.
        if kind.as_deref().is_some_and(|kind| kind != "string")
            && let Some(values) = out.shift_remove("enum")
        {
            told.push(format!("enum: {values}"));
        }
        if out.contains_key("enum") {
            out.entry("type").or_insert("string".into());
        }
        null_alternative(out);
    }

    fn takes(&self, keyword: &str) -> bool {
        self.table.takes(keyword)
    }

    fn takes_format(&self, format: &str) -> bool {
        self.table.formats.is_empty() || self.table.formats.contains(&format)
    }
}

// === free functions ===

/// What `part` says and `schema` does not; members and required names come together.
fn lay_under(schema: &mut Map<String, Value>, part: &Map<String, Value>) {
    for (keyword, value) in part {
        match (schema.get_mut(keyword), value) {
            (Some(Value::Object(there)), Value::Object(more)) => {
                for (key, value) in more {
                    there.entry(key).or_insert_with(|| value.clone());
                }
            }
            (Some(Value::Array(there)), Value::Array(more)) if matches!(keyword.as_str(), "required" | "allOf") => {
                let new: Vec<Value> = more.iter().filter(|value| !there.contains(value)).cloned().collect();
                there.extend(new);
            }
            (Some(_), _) => {}
            (None, _) => _ = schema.insert(keyword.clone(), value.clone()),
        }
    }
}

/// About how much a schema is: its characters and members.
fn size(schema: &Map<String, Value>) -> usize {
    schema.iter().map(|(key, value)| key.len() + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 1,
        Value::Array(values) => values.iter().map(size_of_value).sum::<usize>() + 1,
        Value::Object(members) => size(members) + 1,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// A reference within the schema (`#`, `#/$defs/Name`); others lead where nobody goes.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

fn enumerate(values: &[Value], json: bool, out: &mut Map<String, Value>, told: &mut Vec<String>) {
    let fits = |value: &Value| value.is_string() || json && (value.is_number() || value.is_null());
    if values.iter().all(fits) {
        out.insert("enum".into(), values.into());
        return;
    }
    let strings: Vec<Value> = values.iter().filter(|value| value.is_string()).cloned().collect();
    let nulls = values.iter().filter(|value| value.is_null()).count();
    if !json && nulls > 0 && strings.len() + nulls == values.len() && !strings.is_empty() {
        out.insert("nullable".into(), true.into());
        out.insert("enum".into(), strings.into());
        return;
    }
    told.push(format!("one of: {}", Value::from(values)));
}

/// `anyOf` of one schema and null is that schema, nullable.
fn null_alternative(out: &mut Map<String, Value>) {
    let is_null = |schema: &Value| {
        schema.get("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("null"))
    };
    let Some(Value::Array(any)) = out.get_mut("anyOf") else { return };
    let before = any.len();
    any.retain(|schema| !is_null(schema));
    let (left, had_null) = (any.len(), any.len() < before);
    if !had_null || left == 0 {
        return;
    }
    if left == 1
        && let Some(Value::Array(mut any)) = out.shift_remove("anyOf")
        && let Some(Value::Object(only)) = any.pop()
    {
        for (key, value) in only {
            out.entry(key).or_insert(value);
        }
    }
    out.insert("nullable".into(), true.into());
}

fn is_integer(schema: &Map<String, Value>) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("integer")
}

/// A whole number above 3 is one of at least 4.
fn shift(out: &mut Map<String, Value>, keyword: &str, value: &Value, by: i64) {
    if let Some(bound) = value.as_i64().and_then(|bound| bound.checked_add(by)) {
        out.entry(keyword).or_insert(bound.into());
    }
}

fn describe(schema: &mut Map<String, Value>, told: &str) {
    let description = match schema.get("description").and_then(Value::as_str) {
        Some(text) => format!("{text} ({told})"),
        None => told.to_owned(),
    };
    schema.insert("description".into(), description.into());
}

#[cfg(test)]
mod tests;
