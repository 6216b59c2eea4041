//! What an answer says back of its question: the settings that held, defaults included, since SDKs
//! and the Open Responses schema want every one of them (rule P1).
//!
//! Source: "The response object" (specification 2.3.0), recorded answers of 2026, and the schema of
//! the Open Responses compliance suite (read November 2026): numbers and not null for sampling, both
//! members of `reasoning` or none, every member of a function tool.

use serde_json::{Map, Value, json};

use crate::wire::json;

/// Members that are said back as they came, with what stands for them when they did not.
fn defaults() -> [(&'static str, Value); 21] {
    [
        ("background", json!(false)),
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("safety_identifier", Value::Null),
        ("service_tier", json!("default")),
        ("store", json!(true)),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("top_p", json!(1.0)),
        ("truncation", json!("disabled")),
        ("user", Value::Null),
        ("metadata", json!({})),
        ("conversation", Value::Null),
    ]
}

/// The settings as JSON text without braces, and some that stand in every answer alike.
pub(super) fn of(request: &[u8]) -> Vec<u8> {
    let mut asked: Map<String, Value> = serde_json::from_slice(request).unwrap_or_default();
    let mut said = Map::new();
    for (key, default) in defaults() {
        let value = asked.remove(key).filter(|value| !value.is_null());
        let value = value.map(|value| whole(key, value));
        // An answer outside a conversation does not speak of one.
        if key == "conversation" && value.is_none() {
            continue;
        }
        said.insert(key.into(), value.unwrap_or(default));
    }
    said.insert("presence_penalty".into(), json!(0.0));
    said.insert("frequency_penalty".into(), json!(0.0));
    let mut out = Vec::with_capacity(512);
    json::line(&Value::Object(said), &mut out);
    // Without the braces.
    out.pop();
    if !out.is_empty() {
        out.remove(0);
    }
    out
}

/// A value with the members that may be left out in a request and not in an answer.
fn whole(key: &str, value: Value) -> Value {
    match (key, value) {
        ("reasoning", Value::Object(mut members)) => {
            for key in ["effort", "summary"] {
                members.entry(key).or_insert(Value::Null);
            }
            Value::Object(members)
        }
        ("text", Value::Object(mut members)) => {
            members.entry("format").or_insert_with(|| json!({"type": "text"}));
            Value::Object(members)
        }
        ("tools", Value::Array(tools)) => Value::Array(tools.into_iter().map(tool).collect()),
        ("service_tier", Value::String(tier)) if tier == "auto" => json!("default"),
        ("conversation", Value::String(id)) => json!({ "id": id }),
        (_, value) => value,
    }
}

fn tool(mut tool: Value) -> Value {
    if tool.get("type").and_then(Value::as_str) == Some("function")
        && let Some(members) = tool.as_object_mut()
    {
        members.entry("description").or_insert(Value::Null);
        members.entry("parameters").or_insert(Value::Null);
        members.entry("strict").or_insert(json!(true));
    }
    tool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(request: &Value) -> Value {
        let members = String::from_utf8(of(request.to_string().as_bytes())).unwrap();
        serde_json::from_str(&format!("{{{members}}}")).unwrap()
    }

    /// P1: every setting is there, whatever was asked, and nobody's input is.
    #[test]
    fn every_setting_is_said() {
        let nothing = said(&json!({}));
        for (key, default) in defaults() {
            assert_eq!(nothing.get(key), (key != "conversation").then_some(&default), "{key}");
        }
        let asked = json!({
            "model": "m", "input": "Hi", "stream": true, "temperature": 0.5, "user": null, "service_tier": "auto",
            "conversation": "conv_1", "reasoning": {"effort": "low"}, "text": {"verbosity": "low"},
            "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        });
        let said = said(&asked);
        assert_eq!((&said["temperature"], &said["user"]), (&json!(0.5), &Value::Null));
        assert_eq!(said["reasoning"], json!({"effort": "low", "summary": null}));
        assert_eq!(said["text"], json!({"verbosity": "low", "format": {"type": "text"}}));
        assert_eq!((&said["conversation"], &said["service_tier"]), (&json!({"id": "conv_1"}), &json!("default")));
        let function =
            json!({"type": "function", "name": "f", "description": null, "parameters": null, "strict": true});
        assert_eq!(said["tools"], json!([function, {"type": "web_search"}]));
        assert!(said.get("input").is_none() && said.get("model").is_none() && said.get("stream").is_none());
        assert_eq!(super::of(b"no json").first(), Some(&b'"'));
    }
}
