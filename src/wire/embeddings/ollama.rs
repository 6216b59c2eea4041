//! Ollama's embeddings, `POST /api/embed` (the project's API page, read November 2026).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ask, Part, prompt_tokens, read, write};
use crate::{
    error::Result,
    ir::{Embeddings, Vector},
};

/// Fields of the server's own that a client may send.
const KNOWN: [&str; 3] = ["truncate", "keep_alive", "options"];

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a RawValue>,
    input: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    embeddings: Vec<&'a RawValue>,
    prompt_eval_count: Option<u64>,
}

pub(super) fn encode(ask: Ask<'_>) -> Result<Part> {
    let raw = |field: &str| ask.request.extra.get(field).map(|raw| &**raw);
    let body = write(&Body {
        model: ask.model,
        dimensions: ask.request.dimensions,
        truncate: raw("truncate"),
        keep_alive: raw("keep_alive"),
        options: raw("options"),
        input: ask.texts()?,
    })?;
    Ok(Part { body, losses: ask.losses(&KNOWN) })
}

pub(super) fn decode(body: &[u8]) -> Result<Embeddings> {
    let answer: Answer<'_> = read(body)?;
    let vectors = answer.embeddings.iter().map(|one| Vector::Numbers(one.get().to_owned())).collect();
    Ok(Embeddings { vectors, usage: answer.prompt_eval_count.map(prompt_tokens) })
}
