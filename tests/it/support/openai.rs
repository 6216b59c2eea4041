//! What an OpenAI upstream says: chunks, answers and errors in the shapes OpenAI documents
//! (developers' API reference of chat completions, read November 2026).

use serde_json::{Value, json};

/// One event of an event stream.
pub(crate) fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A chunk of this choice delta.
pub(crate) fn chunk(delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1_795_000_000, "model": "m-2026",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

/// The first chunk, which tells the role.
pub(crate) fn role() -> String {
    event(&chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None))
}

/// A chunk of content.
pub(crate) fn c(content: &str) -> String {
    event(&chunk(&json!({ "content": content }), None))
}

/// The chunk with a finish reason.
pub(crate) fn finish(reason: &str) -> String {
    event(&chunk(&json!({}), Some(reason)))
}

/// The usage chunk.
pub(crate) fn usage(prompt: u64, completion: u64) -> String {
    let mut chunk = chunk(&json!({}), None);
    chunk["choices"] = json!([]);
    chunk["usage"] = counts(prompt, completion);
    event(&chunk)
}

pub(crate) fn counts(prompt: u64, completion: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// A whole stream that says `text` in one chunk, with usage.
pub(crate) fn says(text: &str) -> Vec<String> {
    vec![role(), c(text), finish("stop"), usage(5, 2), DONE.into()]
}

/// A unary answer.
pub(crate) fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1_795_000_000, "model": "m-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []}}],
        "usage": counts(5, 2),
    })
}

/// An error body.
pub(crate) fn error(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// A request a client sends.
pub(crate) fn ask(model: &str, stream: bool) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream})
}
