use proptest::prelude::*;
use serde_json::json;

use super::*;

fn fitted(schema: &Value, table: &Table) -> (Value, bool) {
    let raw = RawValue::from_string(schema.to_string()).unwrap();
    let fitted = fit(&raw, table).unwrap();
    (serde_json::from_str(fitted.schema.get()).unwrap(), fitted.lossy)
}

/// T9: what the older endpoints do not know is said another way, or in words.
#[test]
fn the_subset_says_it_otherwise() {
    for (schema, expected, lossy) in [
        (json!({"type": ["string", "null"]}), json!({"nullable": true, "type": "string"}), false),
        (json!({"type": ["string", "integer"]}), json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), false),
        (json!({"const": "a"}), json!({"enum": ["a"], "type": "string"}), false),
        (json!({"type": "integer", "enum": [1, 2]}), json!({"type": "integer", "description": "one of: [1,2]"}), true),
        (json!({"enum": ["a", null]}), json!({"nullable": true, "enum": ["a"], "type": "string"}), false),
        (json!({"oneOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "string"}]}), false),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T"}),
            json!({"title": "T", "type": "string", "nullable": true}),
            false,
        ),
        (
            json!({"type": "object", "additionalProperties": false, "$schema": "s", "properties": {"a": {"type": "array"}}, "required": ["a", "b"]}),
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}, "required": ["a"]}),
            false,
        ),
        (
            json!({"type": "string", "format": "email", "description": "D."}),
            json!({"type": "string", "description": "D. (format: email)"}),
            true,
        ),
        (json!({"type": "integer", "exclusiveMinimum": 3}), json!({"type": "integer", "minimum": 4}), false),
        (json!({"type": "number", "multipleOf": 2}), json!({"type": "number", "description": "multipleOf: 2"}), true),
        (
            json!({"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"y": {"type": "string"}}, "required": ["y"]}], "$defs": {"a": {"type": "object", "properties": {"x": {}}, "required": ["x"]}}}),
            json!({"type": "object", "properties": {"x": {}, "y": {"type": "string"}}, "required": ["x", "y"]}),
            false,
        ),
    ] {
        assert_eq!(fitted(&schema, &OPENAPI), (expected, lossy), "{schema}");
    }
    let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
    assert_eq!(fitted(&open, &OPENAPI_CLOUD), (open.clone(), false), "Vertex AI knows it");
    assert_eq!(fitted(&open, &OPENAPI), (json!({"type": "object"}), false));
}

/// T9, C1: JSON Schema keeps its bytes where it can, references in place of themselves.
#[test]
fn json_schema_is_hardly_touched() {
    let raw = RawValue::from_string(r#"{ "type":["string","null"], "enum":["a", 1e0] }"#.into()).unwrap();
    let kept = fit(&raw, &JSON_SCHEMA).unwrap();
    assert!(matches!(kept.schema, Cow::Borrowed(_)) && !kept.lossy);
    let schema = json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/p", "description": "Mine."}, "n": {"type": "string", "minLength": 2}},
        "$defs": {"p": {"type": "number", "description": "Theirs.", "examples": [1]}}});
    let expected = json!({"type": "object", "properties": {"p": {"type": "number", "description": "Mine."}, "n": {"type": "string", "description": "minLength: 2"}}});
    assert_eq!(fitted(&schema, &JSON_SCHEMA), (expected, true));
}

/// T9: a schema of itself ends, and one that unfolds without end is refused.
#[test]
fn recursion_is_bounded() {
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}});
    let node = |inner: Value| json!({"type": "object", "properties": {"next": inner}});
    assert_eq!(fitted(&tree, &JSON_SCHEMA), (node(node(json!({"type": "object"}))), true));
    let mut bomb = Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
        bomb.insert(level.to_string(), json!({"anyOf": [next, next, next]}));
    }
    let bomb = json!({"$ref": "#/$defs/0", "$defs": bomb});
    assert!(fit(&RawValue::from_string(bomb.to_string()).unwrap(), &OPENAPI).is_none());
    let long = json!({"type": "string", "description": "x".repeat(10_000)});
    let copies: Vec<Value> = (0..200).map(|_| json!({"$ref": "#/$defs/long"})).collect();
    let blown = json!({"anyOf": copies, "$defs": {"long": long}});
    assert!(fit(&RawValue::from_string(blown.to_string()).unwrap(), &JSON_SCHEMA).is_none());
    let circle = json!({"allOf": [{"$ref": "#"}, {"allOf": [{"type": "object"}]}]});
    assert_eq!(fitted(&circle, &JSON_SCHEMA), (json!({"type": "object"}), false));
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/properties/a"})),
        Just(json!({"type": ["null", "integer"], "enum": [1, null]})),
        Just(json!({"const": {"a": 1}})),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let keyword = prop_oneof![
            Just("items"),
            Just("properties"),
            Just("anyOf"),
            Just("oneOf"),
            Just("allOf"),
            Just("not"),
            Just("additionalProperties"),
            Just("prefixItems"),
            Just("if"),
            Just("patternProperties"),
            Just("required"),
        ];
        proptest::collection::vec((keyword, inner), 0..4).prop_map(|parts| {
            let mut schema = Map::new();
            for (keyword, inner) in parts {
                let value = match keyword {
                    "properties" | "patternProperties" => json!({"a": inner, "b": {}}),
                    "anyOf" | "oneOf" | "allOf" | "prefixItems" => json!([inner, {"type": "null"}]),
                    _ => inner,
                };
                schema.insert(keyword.into(), value);
            }
            Value::Object(schema)
        })
    })
}

/// Whether all keywords are the table's; names of properties are none.
fn is_of(schema: &Value, table: &Table) -> bool {
    let Value::Object(schema) = schema else { return true };
    schema.iter().all(|(keyword, value)| {
        let within = match (keyword.as_str(), value) {
            ("properties", Value::Object(all)) => all.values().all(|schema| is_of(schema, table)),
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => all.iter().all(|schema| is_of(schema, table)),
            ("items" | "additionalProperties", schema) => is_of(schema, table),
            _ => true,
        };
        within && table.takes(keyword)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    /// T9: whatever comes, only the table's keywords go out.
    #[test]
    fn only_the_tables_keywords_go_out(schema in any_schema()) {
        for table in [OPENAPI, OPENAPI_CLOUD, JSON_SCHEMA] {
            let raw = RawValue::from_string(schema.to_string()).unwrap();
            if let Some(fitted) = fit(&raw, &table) {
                let value: Value = serde_json::from_str(fitted.schema.get()).unwrap();
                prop_assert!(is_of(&value, &table), "{value}");
            }
        }
    }
}
