//! Fields of other dialects: those that are the server's own travel on, the rest is a loss by name.
//!
//! A client may write Ollama's parameters at the top level, where OpenAI SDKs' `extra_body` puts
//! them, or as the server knows them, in `options`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::body::{Body, Options};
use crate::{
    ir,
    wire::{
        json::Object,
        losses::{Losses, is_default},
    },
};

/// What the server reads in `options` beside the parameters OpenAI has too (`api/types.go` and
/// `docs/modelfile` of ollama/ollama, read November 2026).
const OPTIONS: &[&str] = &[
    "draft_num_predict",
    "main_gpu",
    "min_p",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "repeat_last_n",
    "repeat_penalty",
    "typical_p",
    "use_mmap",
];

/// Other servers' word for an option of the same meaning.
const SYNONYMS: &[(&str, &str)] = &[("repetition_penalty", "repeat_penalty")];

/// Fields whose effect is on the answer, in a form the canonical answer does not have.
const ANSWERLESS: &[&str] = &["audio", "modalities", "web_search_options"];

/// Takes the run's parameters: of those given twice, the one in `options` counts.
pub(super) fn options<'a>(request: &'a ir::Request, options: &mut Options<'a>, losses: &mut Losses) {
    if let Some(raw) = request.extra_field("options") {
        match Object::parse_str(raw.get()) {
            Ok(object) => object.members().iter().filter(|member| member.value.get() != "null").for_each(|member| {
                options.add(member.key.clone(), Cow::Borrowed(member.value));
            }),
            Err(_) => losses.meaning("options"),
        }
    }
    for name in OPTIONS {
        if let Some(raw) = request.extra_field(name) {
            options.add(*name, Cow::Borrowed(raw));
        }
    }
    for (theirs, ours) in SYNONYMS {
        if let Some(raw) = request.extra_field(theirs) {
            options.add(*ours, Cow::Borrowed(raw));
        }
    }
}

/// Takes what the server knows under the same name.
pub(super) fn carry<'a>(request: &'a ir::Request, body: &mut Body<'a>, losses: &mut Losses) {
    for (field, value) in &request.extra {
        let value: &'a RawValue = value;
        match field.as_str() {
            _ if is_default(field, value.get()) => {}
            "keep_alive" => body.keep_alive = Some(value),
            "truncate" => body.truncate = Some(value),
            "shift" => body.shift = Some(value),
            // Read elsewhere.
            "options" | "think" => {}
            name if OPTIONS.contains(&name) || SYNONYMS.iter().any(|(theirs, _)| *theirs == name) => {}
            name if ANSWERLESS.contains(&name) => losses.meaning(name),
            name => losses.hint(name),
        }
    }
}
