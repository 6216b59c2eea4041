//! The canonical form of embeddings: texts in, vectors out, nothing streamed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Usage;

/// What shall be embedded, and how.
#[derive(Debug, Clone, Default)]
pub struct EmbeddingRequest {
    pub inputs: Vec<EmbeddingInput>,
    /// The length of the vectors, where the model lets one choose.
    pub dimensions: Option<u64>,
    /// What the client wants to read.
    pub encoding: Encoding,
    /// The end user's opaque id.
    pub user: Option<String>,
    /// Further fields of the client's request, as they were written.
    pub extra: BTreeMap<String, Box<RawValue>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    Text(String),
    /// Already cut into tokens, by a tokenizer that only the client knows.
    Tokens(Vec<u64>),
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
}

/// The vectors of a request, in the order of its inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embeddings {
    pub vectors: Vec<Vector>,
    /// `None` where the vendor counts nothing.
    pub usage: Option<Usage>,
}

/// A vector as its vendor wrote it, so that no digit is lost on the way (rule N1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vector {
    /// A JSON array of numbers.
    Numbers(String),
    /// Base64 of little-endian 32-bit floats.
    Base64(String),
}
