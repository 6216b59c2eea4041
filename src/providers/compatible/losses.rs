//! What was left out of a request, and how much that weighs.

use crate::wire::{Loss, Weight};

/// Fields without which the answer would mean something else (design: refused with 400, rules R5,
/// J2, T6). All others are hints.
const MEANING: &[&str] = &[
    "audio",
    "logprobs",
    "modalities",
    "n",
    "reasoning_effort",
    "response_format",
    "stop",
    "tool_choice",
    "tools",
    "top_logprobs",
];

#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Loss>);

impl Losses {
    /// Notes a top-level field that was dropped.
    pub(super) fn field(&mut self, field: &str) {
        let weight = if MEANING.contains(&field) { Weight::Meaning } else { Weight::Hint };
        self.push(field.into(), weight);
    }

    /// Notes something that was only advice.
    pub(super) fn hint(&mut self, field: impl Into<String>) {
        self.push(field.into(), Weight::Hint);
    }

    pub(super) fn into_vec(self) -> Vec<Loss> {
        self.0
    }

    fn push(&mut self, field: String, weight: Weight) {
        if !self.0.iter().any(|loss| loss.field == field) {
            self.0.push(Loss { field, weight });
        }
    }
}

/// Whether a field says no more than its absence would, so that dropping it loses nothing.
pub(super) fn says_nothing(field: &str, json: &str) -> bool {
    match field {
        _ if json == "null" => true,
        "n" => json == "1",
        "presence_penalty" | "frequency_penalty" | "top_logprobs" => {
            json.parse::<f64>().is_ok_and(|value| value == 0.0)
        }
        "parallel_tool_calls" => json == "true",
        "service_tier" => matches!(json, r#""auto""# | r#""default""#),
        "response_format" => {
            crate::wire::json::Object::parse_str(json).is_ok_and(|format| format.get("type").is_some_and(is_text))
        }
        "logprobs" | "store" => json == "false",
        "truncation" => json == r#""disabled""#,
        // The gateway asks everybody for it; whoever encrypts nothing has nothing to leave out.
        "include" => matches!(json, "[]" | r#"["reasoning.encrypted_content"]"#),
        _ => serde_json::from_str::<serde_json::Value>(json).is_ok_and(|value| match value {
            serde_json::Value::Array(items) => items.is_empty(),
            serde_json::Value::Object(members) => members.is_empty(),
            serde_json::Value::Null => true,
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) | serde_json::Value::String(_) => false,
        }),
    }
}

fn is_text(value: &serde_json::value::RawValue) -> bool {
    value.get() == r#""text""#
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_say_nothing() {
        for (field, json, expected) in [
            ("n", "1", true),
            ("n", "2", false),
            ("user", "null", true),
            ("user", "\"u\"", false),
            ("logit_bias", "{}", true),
            ("logit_bias", "{\"1\":2}", false),
            ("stop", "[]", true),
            ("presence_penalty", "0.0", true),
            ("presence_penalty", "0.5", false),
            ("logprobs", "false", true),
            ("logprobs", "true", false),
            ("response_format", "{\"type\":\"text\"}", true),
            ("response_format", "{\"type\":\"json_object\"}", false),
            ("parallel_tool_calls", "false", false),
        ] {
            assert_eq!(says_nothing(field, json), expected, "{field} {json}");
        }
    }
}
