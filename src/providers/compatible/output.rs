//! A vendor's rules for `response_format` (rule J2: never silently ignored).

use super::{fields::quoted, losses::Losses, messages};
use crate::{
    providers::catalogue::{JsonSchema, Quirks},
    wire::json::{Edits, Object},
};

/// Any object at all, for servers that know schemas but no JSON mode.
const ANY_OBJECT: &str = r#"{"type":"json_schema","json_schema":{"name":"object","schema":{"type":"object"}}}"#;

pub(super) fn adjust(quirks: &Quirks, body: &mut Edits<'_>, losses: &mut Losses) {
    let Some(format) = body.get("response_format").map(String::from) else { return };
    let Ok(format) = Object::parse_str(&format) else { return };
    match format.get("type").map(|kind| kind.get()) {
        Some(r#""json_object""#) if quirks.json_object_as_schema => body.set("response_format", ANY_OBJECT),
        Some(r#""json_schema""#) if quirks.json_schema == JsonSchema::Prompt => in_prompt(&format, body, losses),
        _ => {}
    }
}

/// JSON mode with the schema in the prompt: the shape is asked for but no longer enforced, which
/// is reported.
fn in_prompt(format: &Object<'_>, body: &mut Edits<'_>, losses: &mut Losses) {
    let inner = format.present("json_schema").and_then(|inner| Object::parse_str(inner.get()).ok());
    let schema = inner.as_ref().and_then(|inner| inner.present("schema"));
    let instruction = match schema {
        Some(schema) => {
            format!("Answer with one JSON object, and nothing else, that fits this JSON schema:\n{}", schema.get())
        }
        None => "Answer with one JSON object and nothing else.".into(),
    };
    body.set("response_format", format!(r#"{{"type":{}}}"#, quoted("json_object")));
    messages::instruct(&instruction, body);
    losses.hint("response_format.json_schema");
}
