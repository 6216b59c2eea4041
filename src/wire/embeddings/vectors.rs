//! Vectors between their two encodings: JSON numbers, and base64 of little-endian 32-bit floats
//! (OpenAI's API reference, "Create embeddings", read November 2026).

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::no_vectors;
use crate::{
    error::Result,
    ir::{Encoding, Vector},
};

/// The vector as a JSON value in the wanted encoding. What is in it already keeps every digit.
pub(super) fn json(vector: &Vector, wanted: Encoding) -> Result<String> {
    match (vector, wanted) {
        (Vector::Numbers(numbers), Encoding::Float) => Ok(numbers.clone()),
        (Vector::Base64(text), Encoding::Base64) => Ok(quoted(text)),
        (Vector::Numbers(numbers), Encoding::Base64) => {
            let numbers: Vec<f64> = serde_json::from_str(numbers).map_err(|_| no_vectors())?;
            let bytes: Vec<u8> = numbers.into_iter().flat_map(|number| (number as f32).to_le_bytes()).collect();
            Ok(quoted(&STANDARD.encode(bytes)))
        }
        (Vector::Base64(text), Encoding::Float) => numbers(text),
    }
}

fn numbers(base64: &str) -> Result<String> {
    let bytes = STANDARD.decode(base64).map_err(|_| no_vectors())?;
    let (floats, []) = bytes.as_chunks::<4>() else { return Err(no_vectors()) };
    let mut out = String::with_capacity(floats.len() * 14 + 2);
    out.push('[');
    for (at, float) in floats.iter().enumerate() {
        let float = f32::from_le_bytes(*float);
        if !float.is_finite() {
            return Err(no_vectors());
        }
        let comma = if at > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}{float}");
    }
    out.push(']');
    Ok(out)
}

/// Base64 needs no escapes.
fn quoted(base64: &str) -> String {
    format!("\"{base64}\"")
}
