//! Amazon's own embedding models on Bedrock, Titan and Nova, one text to a request (the models'
//! parameter pages, read November 2026). Cohere's there are `cohere`.

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ask, Part, no_vectors, prompt_tokens, read, write};
use crate::{
    error::Result,
    ir::{Embeddings, Vector},
};

/// Where Bedrock counts what a model's own answer does not.
const INPUT_TOKENS: &str = "x-amzn-bedrock-input-token-count";

pub(super) fn encode_titan(ask: Ask<'_>) -> Result<Part> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        dimensions: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        normalize: Option<&'a RawValue>,
        input_text: &'a str,
    }
    let normalize = ask.request.extra.get("normalize").map(|raw| &**raw);
    let body = write(&Body { dimensions: ask.request.dimensions, normalize, input_text: ask.text()? })?;
    Ok(Part { body, losses: ask.losses(&["normalize"]) })
}

pub(super) fn decode_titan(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
        input_text_token_count: Option<u64>,
    }
    let answer: Answer<'_> = read(body)?;
    let vectors = vec![Vector::Numbers(answer.embedding.get().to_owned())];
    Ok(Embeddings { vectors, usage: answer.input_text_token_count.map(prompt_tokens) })
}

pub(super) fn encode_nova(ask: Ask<'_>) -> Result<Part> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        task_type: &'static str,
        single_embedding_params: Params<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        embedding_purpose: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        embedding_dimension: Option<u64>,
        text: Text<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Text<'a> {
        truncation_mode: &'a str,
        value: &'a str,
    }
    let params = Params {
        embedding_purpose: ask.word("embedding_purpose").unwrap_or("GENERIC_INDEX"),
        embedding_dimension: ask.request.dimensions,
        text: Text { truncation_mode: ask.word("truncation_mode").unwrap_or("END"), value: ask.text()? },
    };
    let body = write(&Body { task_type: "SINGLE_EMBEDDING", single_embedding_params: params })?;
    Ok(Part { body, losses: ask.losses(&["embedding_purpose", "truncation_mode"]) })
}

pub(super) fn decode_nova(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        embeddings: Vec<One<'a>>,
        input_token_count: Option<u64>,
    }
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
    }
    let answer: Answer<'_> = read(body)?;
    let first = answer.embeddings.first().ok_or_else(no_vectors)?;
    let vectors = vec![Vector::Numbers(first.embedding.get().to_owned())];
    Ok(Embeddings { vectors, usage: answer.input_token_count.map(prompt_tokens) })
}

/// An answer with the count that stands in its head.
pub(super) fn counted(read: Embeddings, headers: &HeaderMap) -> Embeddings {
    let count = headers.get(INPUT_TOKENS).and_then(|value| value.to_str().ok()?.parse().ok());
    Embeddings { usage: count.map(prompt_tokens).or(read.usage), ..read }
}
