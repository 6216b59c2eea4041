//! Cohere's embeddings, at the vendor (`POST /v2/embed`) and on Bedrock (both references, read
//! November 2026). The two differ in that Bedrock's body has no model.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ask, Part, no_vectors, prompt_tokens, read, write};
use crate::{
    error::Result,
    ir::{Embeddings, Encoding, Vector},
};

/// Fields of the vendor's own that a client may send.
const KNOWN: [&str; 2] = ["input_type", "truncate"];
/// The vendor wants to know what a vector is for; OpenAI's clients mostly fill an index.
const INPUT_TYPE: &str = "search_document";

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    input_type: &'a str,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'a str>,
    texts: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    embeddings: &'a RawValue,
    meta: Option<Meta>,
}

/// The vectors by type; Bedrock's older models give them bare.
#[derive(Deserialize)]
struct ByType<'a> {
    #[serde(borrow)]
    float: Option<Vec<&'a RawValue>>,
    base64: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Meta {
    billed_units: Option<Billed>,
}

#[derive(Deserialize)]
struct Billed {
    input_tokens: Option<f64>,
}

pub(super) fn encode(ask: Ask<'_>, names_model: bool) -> Result<Part> {
    // Bedrock's models answer in numbers only.
    let kind = match ask.request.encoding {
        Encoding::Base64 if names_model => "base64",
        Encoding::Base64 | Encoding::Float => "float",
    };
    let body = write(&Body {
        model: names_model.then_some(ask.model),
        input_type: ask.word("input_type").unwrap_or(INPUT_TYPE),
        embedding_types: [kind],
        output_dimension: ask.request.dimensions,
        truncate: ask.word("truncate"),
        texts: ask.texts()?,
    })?;
    Ok(Part { body, losses: ask.losses(&KNOWN) })
}

pub(super) fn decode(body: &[u8]) -> Result<Embeddings> {
    let answer: Answer<'_> = read(body)?;
    let billed = answer.meta.and_then(|meta| meta.billed_units?.input_tokens);
    let usage = billed.map(|tokens| prompt_tokens(tokens.max(0.0) as u64));
    Ok(Embeddings { vectors: vectors(answer.embeddings.get())?, usage })
}

fn vectors(json: &str) -> Result<Vec<Vector>> {
    let numbers = |all: Vec<&RawValue>| all.into_iter().map(|one| Vector::Numbers(one.get().to_owned())).collect();
    if json.starts_with('[') {
        return serde_json::from_str(json).map(numbers).map_err(|_| no_vectors());
    }
    let by_type: ByType<'_> = serde_json::from_str(json).map_err(|_| no_vectors())?;
    match (by_type.base64, by_type.float) {
        (Some(all), _) => Ok(all.into_iter().map(Vector::Base64).collect()),
        (None, Some(all)) => Ok(numbers(all)),
        (None, None) => Err(no_vectors()),
    }
}
