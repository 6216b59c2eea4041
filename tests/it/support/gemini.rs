//! What Gemini says: chunks, answers and errors in the shapes of its API reference (read November
//! 2026).

use serde_json::{Value, json};

/// One event. The vendor ends its lines with CRLF.
pub(crate) fn event(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

fn counts() -> Value {
    json!({"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7})
}

/// A chunk of these parts.
pub(crate) fn parts(parts: &Value) -> Value {
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
        "usageMetadata": counts(), "modelVersion": "gemini-x", "responseId": "resp_up",
    })
}

pub(crate) fn text(text: &str) -> String {
    event(&parts(&json!([{ "text": text }])))
}

/// A chunk with one call, as it comes: whole.
pub(crate) fn call(name: &str, args: &Value, signature: Option<&str>) -> String {
    let mut part = json!({"functionCall": {"name": name, "args": args}});
    if let Some(signature) = signature {
        part["thoughtSignature"] = signature.into();
    }
    event(&parts(&json!([part])))
}

/// The last chunk.
pub(crate) fn end(reason: &str) -> String {
    let mut chunk = parts(&json!([{"text": ""}]));
    chunk["candidates"][0]["finishReason"] = reason.into();
    event(&chunk)
}

/// A whole stream that says `words`.
pub(crate) fn says(words: &str) -> Vec<String> {
    vec![text(words), end("STOP")]
}

/// A unary answer of these parts.
pub(crate) fn answer(content: &Value, reason: &str) -> Value {
    let mut answer = parts(content);
    answer["candidates"][0]["finishReason"] = reason.into();
    answer
}

pub(crate) fn error(code: u16, status: &str, message: &str, details: &Value) -> Value {
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}
