//! Embeddings: OpenAI's form towards clients ([`openai`]), and each vendor's own towards upstreams.
//! Pure, as every dialect is.
//!
//! A vendor takes only so many inputs in one request, so a request is written for a part of its
//! inputs, and whoever sends the parts joins the vectors in order. Vectors are carried as they were
//! written; they are written anew only when the client wants the other encoding (rule N1).

mod bedrock;
mod cohere;
mod gemini;
mod ollama;
pub mod openai;
mod vectors;

use bytes::Bytes;
use http::HeaderMap;

use super::{Loss, Weight};
use crate::{
    error::{Error, Result},
    ir::{EmbeddingInput, EmbeddingRequest, Embeddings},
    wire::json,
};

/// A vendor's form of embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenAi,
    /// `batchEmbedContents` of the Gemini API.
    Gemini,
    /// `predict` of Vertex AI's older models.
    VertexPredict,
    /// `embedContent` of Vertex AI's newer models.
    VertexEmbed,
    Cohere,
    Ollama,
    /// Amazon's Titan models on Bedrock.
    Titan,
    /// Amazon's Nova models on Bedrock.
    Nova,
    /// Cohere's models on Bedrock.
    BedrockCohere,
}

/// A request for a part of the inputs, and what it leaves out.
#[derive(Debug, Default)]
pub struct Part {
    pub body: Bytes,
    pub losses: Vec<Loss>,
}

/// What a part is written from.
#[derive(Debug, Clone, Copy)]
struct Ask<'a> {
    request: &'a EmbeddingRequest,
    inputs: &'a [EmbeddingInput],
    /// The upstream's own id.
    model: &'a str,
}

// === impl Format ===

impl Format {
    /// Writes a request for `inputs`, a part of the request's own.
    pub fn encode(self, request: &EmbeddingRequest, inputs: &[EmbeddingInput], model: &str) -> Result<Part> {
        let ask = Ask { request, inputs, model };
        match self {
            Self::OpenAi => openai::encode(ask),
            Self::Gemini => gemini::encode_batch(ask),
            Self::VertexPredict => gemini::encode_predict(ask),
            Self::VertexEmbed => gemini::encode_one(ask),
            Self::Cohere => cohere::encode(ask, true),
            Self::BedrockCohere => cohere::encode(ask, false),
            Self::Ollama => ollama::encode(ask),
            Self::Titan => bedrock::encode_titan(ask),
            Self::Nova => bedrock::encode_nova(ask),
        }
    }

    /// Reads an answer. One that holds no vectors is `Error::BadReply` (rule M2).
    pub fn decode(self, headers: &HeaderMap, body: &[u8]) -> Result<Embeddings> {
        match self {
            Self::OpenAi => openai::decode(body),
            Self::Gemini => gemini::decode_batch(body),
            Self::VertexPredict => gemini::decode_predict(body),
            Self::VertexEmbed => gemini::decode_one(body),
            Self::Cohere => cohere::decode(body),
            Self::BedrockCohere => cohere::decode(body).map(|read| bedrock::counted(read, headers)),
            Self::Ollama => ollama::decode(body),
            Self::Titan => bedrock::decode_titan(body),
            Self::Nova => bedrock::decode_nova(body),
        }
    }

    /// Brings a whole request's vectors to what OpenAI's clients expect of them.
    pub fn settle(self, embeddings: &mut Embeddings, request: &EmbeddingRequest, model: &str) {
        match self {
            Self::Gemini | Self::VertexPredict | Self::VertexEmbed => gemini::normalise(embeddings, request, model),
            Self::OpenAi | Self::Cohere | Self::BedrockCohere | Self::Ollama | Self::Titan | Self::Nova => {}
        }
    }
}

// === impl Ask ===

impl<'a> Ask<'a> {
    /// The inputs as texts. Tokens mean nothing without the tokenizer that made them, so a vendor
    /// that takes only text cannot have them.
    fn texts(&self) -> Result<Vec<&'a str>> {
        let text = |input: &'a EmbeddingInput| match input {
            EmbeddingInput::Text(text) => Ok(text.as_str()),
            EmbeddingInput::Tokens(_) => {
                let message = format!("`{}` embeds text; it takes no arrays of tokens as `input`.", self.model);
                Err(Error::invalid(message, "input", "unsupported_parameter"))
            }
        };
        self.inputs.iter().map(text).collect()
    }

    /// The only text of a part with one.
    fn text(&self) -> Result<&'a str> {
        self.texts()?.first().copied().ok_or_else(|| Error::Internal { message: "a part without inputs".into() })
    }

    /// A text field that the vendor knows, as the client wrote it.
    fn word(&self, field: &str) -> Option<&'a str> {
        self.request.extra.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// Names every field that the vendor has no place for, but for those `known`.
    fn losses(&self, known: &[&str]) -> Vec<Loss> {
        let lost = self.request.extra.keys().filter(|field| !known.contains(&field.as_str()));
        let user = self.request.user.is_some().then_some("user");
        let hint = |field: &str| Loss { field: field.into(), weight: Weight::Hint };
        lost.map(String::as_str).chain(user).map(hint).collect()
    }
}

/// An answer without vectors.
fn no_vectors() -> Error {
    Error::BadReply { message: "The upstream's answer holds no embeddings.".into() }
}

/// Reads an answer's document.
fn read<'de, T: serde::Deserialize<'de>>(body: &'de [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|_| no_vectors())
}

/// Writes a request's document.
fn write(document: &impl serde::Serialize) -> Result<Bytes> {
    json::body(document)
}

/// Counts of prompt tokens and nothing else.
fn prompt_tokens(input: u64) -> crate::ir::Usage {
    crate::ir::Usage { input, ..crate::ir::Usage::default() }
}

#[cfg(test)]
mod tests;
