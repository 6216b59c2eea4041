//! Fields of other dialects: those that are the vendor's own travel on, the rest is a loss by name,
//! because the vendor answers an unknown field with a 400.

use serde_json::value::RawValue;

use super::body::{Body, Document, Value};
use crate::{
    ir,
    wire::losses::{Losses, is_default},
};

/// Fields whose effect is on the answer, in a form the canonical answer does not have.
const ANSWERLESS: &[&str] = &["audio", "modalities", "web_search_options"];

/// The client's own `documents`, each as it was written.
pub(super) fn documents<'a>(request: &'a ir::Request, losses: &mut Losses) -> Vec<Document<'a>> {
    let Some(raw) = request.extra_field("documents") else { return Vec::new() };
    let list: Option<Vec<&'a RawValue>> = serde_json::from_str(raw.get()).ok();
    if list.is_none() {
        losses.meaning("documents");
    }
    list.unwrap_or_default().into_iter().map(Document::Raw).collect()
}

/// Takes what the vendor knows under the same name.
pub(super) fn carry<'a>(request: &'a ir::Request, body: &mut Body<'a>, losses: &mut Losses) {
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        match field.as_str() {
            _ if is_default(field, value.get()) => {}
            "safety_mode" => body.safety_mode = Some(value),
            "priority" => body.priority = Some(value),
            "citation_options" => body.citation_options = Some(value),
            "strict_tools" => body.strict_tools = Some(Value::Raw(value)),
            "k" => body.k = Some(Value::Raw(value)),
            "p" => body.p = Some(Value::Raw(value)),
            // Read elsewhere.
            "documents" => {}
            name if ANSWERLESS.contains(&name) => losses.meaning(name),
            name => losses.hint(name),
        }
    }
}
