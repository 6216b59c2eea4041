//! Content that came as an array of parts where OpenAI has a string.
//!
//! Mistral's reasoning models answer `[{"type":"thinking","thinking":[{"type":"text",...}]},
//! {"type":"text",...}]`, in deltas too (Mistral API reference, "Reasoning", read November 2026).

use serde_json::{Value, value::RawValue};

/// The parts' texts, joined by kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) content: String,
    pub(super) reasoning: String,
}

/// Reads an array of parts; `None` when it is no array. A part of a kind that is no text is left
/// out.
pub(super) fn texts(content: &RawValue) -> Option<Texts> {
    if !content.get().starts_with('[') {
        return None;
    }
    let parts: Vec<Value> = serde_json::from_str(content.get()).ok()?;
    let mut texts = Texts::default();
    for part in &parts {
        match part.get("type").and_then(Value::as_str) {
            Some("thinking") => push_text(&mut texts.reasoning, part.get("thinking")),
            Some("text" | "output_text") | None => push_text(&mut texts.content, Some(part)),
            Some(_) => {}
        }
    }
    Some(texts)
}

/// Appends a text, a part with a text, or all of an array of them.
fn push_text(out: &mut String, value: Option<&Value>) {
    match value {
        Some(Value::String(text)) => out.push_str(text),
        Some(Value::Array(parts)) => parts.iter().for_each(|part| push_text(out, Some(part))),
        Some(Value::Object(part)) => {
            if let Some(Value::String(text)) = part.get("text") {
                out.push_str(text);
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_by_kind() {
        let read = |json: &str| texts(&RawValue::from_string(json.into()).unwrap());
        let expected = Texts { content: "ab".into(), reasoning: "Let me".into() };
        let json = r#"[{"type":"thinking","thinking":[{"type":"text","text":"Let "},{"type":"text","text":"me"}]},
            {"type":"text","text":"a"},{"type":"reference","reference_ids":[1]},{"type":"text","text":"b"}]"#;
        assert_eq!(read(json), Some(expected));
        assert_eq!(read(r#"[{"type":"thinking","thinking":"x"},7,"y"]"#).unwrap().reasoning, "x");
        assert_eq!(read(r#""text""#), None);
        assert_eq!(read("null"), None);
    }
}
