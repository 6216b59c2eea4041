//! Google's embeddings: `batchEmbedContents` of the Gemini API, `predict` and `embedContent` of
//! Vertex AI (both vendors' references, read November 2026).
//!
//! A vector shorter than the model's own is not of length one at Google, and OpenAI's always is, so
//! it is brought to that ([`normalise`]); a vector of full length keeps its digits.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ask, Part, no_vectors, prompt_tokens, read, write};
use crate::{
    error::Result,
    ir::{EmbeddingRequest, Embeddings, Usage, Vector},
};

/// Fields of the vendor's own that a client may send, in the vendor's words.
const KNOWN: [&str; 2] = ["task_type", "title"];
/// The only model whose shortened vectors are known not to be normalised.
const NOT_NORMALISED: &str = "gemini-embedding-001";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    content: Parts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_content_config: Option<Config<'a>>,
}

#[derive(Serialize)]
struct Parts<'a> {
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts {
    prompt_token_count: u64,
}

pub(super) fn encode_batch(ask: Ask<'_>) -> Result<Part> {
    #[derive(Serialize)]
    struct Body<'a> {
        requests: Vec<Content<'a>>,
    }
    let name = if ask.model.starts_with("models/") { ask.model.to_owned() } else { format!("models/{}", ask.model) };
    let one = |text| Content {
        model: Some(name.clone()),
        content: parts(text),
        task_type: ask.word("task_type"),
        title: ask.word("title"),
        output_dimensionality: ask.request.dimensions,
        embed_content_config: None,
    };
    let body = write(&Body { requests: ask.texts()?.into_iter().map(one).collect() })?;
    Ok(Part { body, losses: ask.losses(&KNOWN) })
}

pub(super) fn encode_one(ask: Ask<'_>) -> Result<Part> {
    let config = Config {
        task_type: ask.word("task_type"),
        title: ask.word("title"),
        output_dimensionality: ask.request.dimensions,
    };
    let body = write(&Content {
        model: None,
        content: parts(ask.text()?),
        task_type: None,
        title: None,
        output_dimensionality: None,
        embed_content_config: Some(config),
    })?;
    Ok(Part { body, losses: ask.losses(&KNOWN) })
}

pub(super) fn encode_predict(ask: Ask<'_>) -> Result<Part> {
    #[derive(Serialize)]
    struct Body<'a> {
        instances: Vec<Instance<'a>>,
        parameters: Parameters,
    }
    #[derive(Serialize)]
    struct Instance<'a> {
        content: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        task_type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        #[serde(skip_serializing_if = "Option::is_none")]
        output_dimensionality: Option<u64>,
    }
    let instance = |content| Instance { content, task_type: ask.word("task_type"), title: ask.word("title") };
    let instances = ask.texts()?.into_iter().map(instance).collect();
    let parameters = Parameters { output_dimensionality: ask.request.dimensions };
    Ok(Part { body: write(&Body { instances, parameters })?, losses: ask.losses(&KNOWN) })
}

fn parts(text: &str) -> Parts<'_> {
    Parts { parts: [Text { text }] }
}

pub(super) fn decode_batch(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        embeddings: Vec<Values<'a>>,
        usage_metadata: Option<Counts>,
    }
    let answer: Answer<'_> = read(body)?;
    let vectors = answer.embeddings.iter().map(vector).collect();
    Ok(Embeddings { vectors, usage: answer.usage_metadata.map(usage) })
}

pub(super) fn decode_one(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow)]
        embedding: Values<'a>,
        usage_metadata: Option<Counts>,
    }
    let answer: Answer<'_> = read(body)?;
    Ok(Embeddings { vectors: vec![vector(&answer.embedding)], usage: answer.usage_metadata.map(usage) })
}

pub(super) fn decode_predict(body: &[u8]) -> Result<Embeddings> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        predictions: Vec<Prediction<'a>>,
    }
    #[derive(Deserialize)]
    struct Prediction<'a> {
        #[serde(borrow)]
        embeddings: Embedding<'a>,
    }
    #[derive(Deserialize)]
    struct Embedding<'a> {
        #[serde(borrow)]
        values: &'a RawValue,
        statistics: Option<Statistics>,
    }
    #[derive(Deserialize)]
    struct Statistics {
        token_count: Option<f64>,
    }
    let answer: Answer<'_> = read(body)?;
    let count = |prediction: &Prediction<'_>| prediction.embeddings.statistics.as_ref()?.token_count;
    let counts: Option<Vec<f64>> = answer.predictions.iter().map(count).collect();
    let vectors = answer.predictions.iter().map(|one| Vector::Numbers(one.embeddings.values.get().to_owned()));
    let usage = counts.map(|counts| prompt_tokens(counts.iter().sum::<f64>().max(0.0) as u64));
    Ok(Embeddings { vectors: vectors.collect(), usage })
}

fn vector(values: &Values<'_>) -> Vector {
    Vector::Numbers(values.values.get().to_owned())
}

fn usage(counts: Counts) -> Usage {
    prompt_tokens(counts.prompt_token_count)
}

/// Brings shortened vectors to length one.
pub(super) fn normalise(embeddings: &mut Embeddings, request: &EmbeddingRequest, model: &str) {
    if request.dimensions.is_none() || !model.ends_with(NOT_NORMALISED) {
        return;
    }
    for vector in &mut embeddings.vectors {
        if let Vector::Numbers(numbers) = vector
            && let Ok(unit) = unit(numbers)
        {
            *numbers = unit;
        }
    }
}

fn unit(numbers: &str) -> Result<String> {
    let numbers: Vec<f64> = serde_json::from_str(numbers).map_err(|_| no_vectors())?;
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 1.0 };
    let scaled: Vec<f64> = numbers.into_iter().map(|number| number * scale).collect();
    serde_json::to_string(&scaled).map_err(|_| no_vectors())
}
