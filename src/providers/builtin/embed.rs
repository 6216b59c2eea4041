//! Embeddings of the built-in model: the words of a text counted into a fixed number of places and
//! brought to length one. The same text always gives the same vector, and texts that share words
//! lie near each other, which is enough to try a client or an index without a key.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    error::Result,
    ir::{EmbeddingInput, Encoding},
    wire::embeddings::openai,
};

const DIMENSIONS: u64 = 256;
const MOST_DIMENSIONS: u64 = 4096;

/// The answer to an embeddings request in OpenAI's form.
pub(super) fn answer(request: &[u8], model: &str) -> Result<Value> {
    let request = openai::request(request)?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS).min(MOST_DIMENSIONS);
    let mut tokens = 0;
    let mut data = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.iter().enumerate() {
        let words = words(input);
        tokens += words.len();
        let vector = vector(&words, dimensions);
        let embedding = match request.encoding {
            Encoding::Float => json!(vector),
            Encoding::Base64 => {
                STANDARD.encode(vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).into()
            }
        };
        data.push(json!({"object": "embedding", "index": index, "embedding": embedding}));
    }
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(json!({"object": "list", "data": data, "model": model, "usage": usage}))
}

fn words(input: &EmbeddingInput) -> Vec<String> {
    match input {
        EmbeddingInput::Text(text) => text.split_whitespace().map(str::to_lowercase).collect(),
        EmbeddingInput::Tokens(tokens) => tokens.iter().map(u64::to_string).collect(),
    }
}

fn vector(words: &[String], dimensions: u64) -> Vec<f32> {
    let mut counts = vec![0f32; usize::try_from(dimensions).unwrap_or_default()];
    for word in words {
        let hash = fnv(word.as_bytes());
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        if let Some(count) = usize::try_from(hash % dimensions).ok().and_then(|place| counts.get_mut(place)) {
            *count += sign;
        }
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    if length > 0.0 {
        counts.iter_mut().for_each(|count| *count /= length);
    }
    counts
}

/// FNV-1a, which never changes, unlike the standard library's hash.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(body: &str) -> Vec<Vec<f32>> {
        let answer = answer(body.as_bytes(), "echo").unwrap();
        answer["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| serde_json::from_value(item["embedding"].clone()).unwrap())
            .collect()
    }

    #[test]
    fn equal_texts_have_equal_vectors_and_like_texts_near_ones() {
        let all = vectors(r#"{"input":["the red cat","the red cat","a red cat","stock prices fell"]}"#);
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        assert_eq!((all[0].len(), &all[0]), (256, &all[1]));
        assert!((near(&all[0], &all[1]) - 1.0).abs() < 1e-5);
        assert!(near(&all[0], &all[2]) > near(&all[0], &all[3]) + 0.3);
    }

    #[test]
    fn length_and_encoding_are_the_clients_choice() {
        assert_eq!(vectors(r#"{"input":[1,2,3],"dimensions":8}"#)[0].len(), 8);
        let answer = answer(br#"{"input":"a b","dimensions":8,"encoding_format":"base64"}"#, "echo").unwrap();
        let bytes = STANDARD.decode(answer["data"][0]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!((bytes.len(), &answer["usage"]["prompt_tokens"]), (32, &2.into()));
    }
}
