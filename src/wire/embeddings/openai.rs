//! OpenAI's embeddings, as clients and most vendors speak them (API reference, "Create
//! embeddings", read November 2026).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ask, Part, no_vectors, read, vectors, write};
use crate::{
    error::{Error, Result},
    ir::{EmbeddingInput, EmbeddingRequest, Embeddings, Encoding, Usage, Vector},
    wire::{json::Object, openai_chat},
};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Input<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a BTreeMap<String, Box<RawValue>>,
}

#[derive(Serialize)]
struct Input<'a>(#[serde(serialize_with = "pieces")] &'a [EmbeddingInput]);

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    index: Option<u64>,
}

/// Reads a client's request. `null` is absence, as everywhere.
pub fn request(body: &[u8]) -> Result<EmbeddingRequest> {
    let object = Object::parse(body)?;
    let mut request = EmbeddingRequest::default();
    for member in object.members().iter().filter(|member| member.value.get() != "null") {
        let text = member.value.get();
        match &*member.key {
            "model" => {}
            "input" => request.inputs = inputs(text)?,
            "encoding_format" => request.encoding = encoding(text)?,
            "dimensions" => {
                let dimensions = serde_json::from_str(text).ok().filter(|dimensions| *dimensions > 0);
                request.dimensions = Some(dimensions.ok_or_else(|| wrong("dimensions", "a positive whole number"))?);
            }
            "user" => request.user = Some(serde_json::from_str(text).map_err(|_| wrong("user", "a string"))?),
            other => {
                request.extra.insert(other.to_owned(), member.value.to_owned());
            }
        }
    }
    Ok(request)
}

/// The input as it may be given: a text, texts, tokens, or arrays of tokens.
fn inputs(json: &str) -> Result<Vec<EmbeddingInput>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        Texts(Vec<String>),
        Tokens(Vec<u64>),
        Lists(Vec<Vec<u64>>),
    }
    let given = serde_json::from_str(json)
        .map_err(|_| wrong("input", "a string, an array of strings, an array of tokens, or an array of such arrays"))?;
    let inputs = match given {
        Given::Text(text) => vec![EmbeddingInput::Text(text)],
        Given::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
        Given::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
        Given::Lists(lists) => lists.into_iter().map(EmbeddingInput::Tokens).collect(),
    };
    if inputs.is_empty() {
        return Err(Error::invalid("`input` must hold at least one text.", "input", "empty_array"));
    }
    Ok(inputs)
}

fn encoding(json: &str) -> Result<Encoding> {
    match json {
        "\"float\"" => Ok(Encoding::Float),
        "\"base64\"" => Ok(Encoding::Base64),
        _ => {
            let message = "`encoding_format` must be `float` or `base64`.";
            Err(Error::invalid(message, "encoding_format", "invalid_value"))
        }
    }
}

fn wrong(field: &'static str, expected: &str) -> Error {
    Error::invalid(format!("Invalid type for `{field}`: it must be {expected}."), field, "invalid_type")
}

/// Writes a part. The encoding is asked for only where the client did (rule N1).
pub(super) fn encode(ask: Ask<'_>) -> Result<Part> {
    let request = ask.request;
    let body = Body {
        model: ask.model,
        input: Input(ask.inputs),
        encoding_format: (request.encoding == Encoding::Base64).then_some("base64"),
        dimensions: request.dimensions,
        user: request.user.as_deref(),
        extra: &request.extra,
    };
    Ok(Part { body: write(&body)?, losses: Vec::new() })
}

fn pieces<S: serde::Serializer>(inputs: &[EmbeddingInput], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Piece<'a> {
        Text(&'a str),
        Tokens(&'a [u64]),
    }
    serializer.collect_seq(inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => Piece::Text(text),
        EmbeddingInput::Tokens(tokens) => Piece::Tokens(tokens),
    }))
}

/// Reads an answer.
pub(super) fn decode(body: &[u8]) -> Result<Embeddings> {
    let mut answer: Answer<'_> = read(body)?;
    answer.data.sort_by_key(|item| item.index);
    let vectors: Option<Vec<Vector>> = answer.data.iter().map(|item| vector(item.embedding.get())).collect();
    Ok(Embeddings {
        vectors: vectors.ok_or_else(no_vectors)?,
        usage: answer.usage.and_then(|usage| openai_chat::usage::usage(usage.get())),
    })
}

fn vector(json: &str) -> Option<Vector> {
    if json.starts_with('[') {
        return Some(Vector::Numbers(json.to_owned()));
    }
    serde_json::from_str(json).ok().map(Vector::Base64)
}

/// The counts of an answer that may go to the client as it came: every vector is in the encoding
/// that was asked for. `None` where it must be written anew.
pub fn passes(body: &[u8], wanted: Encoding, inputs: usize) -> Option<Option<Usage>> {
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let opening = match wanted {
        Encoding::Float => '[',
        Encoding::Base64 => '"',
    };
    let fits = answer.data.iter().all(|item| item.embedding.get().starts_with(opening));
    let usage = answer.usage.and_then(|usage| openai_chat::usage::usage(usage.get()));
    (fits && answer.data.len() == inputs).then_some(usage)
}

/// Writes the client's answer: the vectors in the encoding it asked for.
pub fn answer(embeddings: &Embeddings, wanted: Encoding, model: &str) -> Result<Bytes> {
    #[derive(Serialize)]
    struct Answer<'a> {
        object: &'static str,
        data: Vec<Item>,
        model: &'a str,
        usage: Counts,
    }
    #[derive(Serialize)]
    struct Item {
        object: &'static str,
        index: usize,
        embedding: Box<RawValue>,
    }
    #[derive(Serialize)]
    struct Counts {
        prompt_tokens: u64,
        total_tokens: u64,
    }
    let item = |(index, vector): (usize, &Vector)| {
        let embedding = RawValue::from_string(vectors::json(vector, wanted)?).map_err(|_| no_vectors())?;
        Ok(Item { object: "embedding", index, embedding })
    };
    let data: Result<Vec<Item>> = embeddings.vectors.iter().enumerate().map(item).collect();
    let prompt = embeddings.usage.unwrap_or_default().prompt();
    let usage = Counts { prompt_tokens: prompt, total_tokens: prompt };
    write(&Answer { object: "list", data: data?, model, usage })
}
