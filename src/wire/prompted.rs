//! The shape of an answer asked for in words, where an upstream cannot enforce it beside something
//! else the request holds (rule J2: never silently ignored).

use crate::ir::Output;

/// What to tell the model; `None` when any text will do.
pub(crate) fn json_output(output: &Output) -> Option<String> {
    match output {
        Output::Text => None,
        Output::JsonObject => Some("Unless you call a tool, answer with one JSON object and nothing else.".into()),
        Output::JsonSchema { schema, .. } => Some(format!(
            "Unless you call a tool, answer with one JSON object, and nothing else, that fits this JSON schema:\n{schema}"
        )),
    }
}
