//! What Anthropic says: events, answers and errors in the shapes of its Messages reference
//! (read November 2026).

use serde_json::{Value, json};

/// One event, named as its type says.
pub(crate) fn event(data: &Value) -> String {
    let name = data["type"].as_str().expect("a type");
    format!("event: {name}\ndata: {data}\n\n")
}

pub(crate) fn message_start(usage: &Value) -> String {
    event(&json!({"type": "message_start", "message": {
        "id": "msg_up", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage}}))
}

pub(crate) fn start(index: u64, block: &Value) -> String {
    event(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

pub(crate) fn delta(index: u64, delta: &Value) -> String {
    event(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

pub(crate) fn stop(index: u64) -> String {
    event(&json!({"type": "content_block_stop", "index": index}))
}

/// A text block of one delta.
pub(crate) fn text(index: u64, text: &str) -> Vec<String> {
    vec![
        start(index, &json!({"type": "text", "text": ""})),
        delta(index, &json!({"type": "text_delta", "text": text})),
        stop(index),
    ]
}

/// A tool call whose input comes in these pieces.
pub(crate) fn tool(index: u64, id: &str, name: &str, pieces: &[&str]) -> Vec<String> {
    let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let deltas = pieces.iter().map(|piece| delta(index, &json!({"type": "input_json_delta", "partial_json": piece})));
    [start(index, &block)].into_iter().chain(deltas).chain([stop(index)]).collect()
}

/// The end of a message: its reason and the cumulative usage.
pub(crate) fn end(reason: &str, usage: &Value) -> Vec<String> {
    let delta =
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage});
    vec![event(&delta), event(&json!({"type": "message_stop"}))]
}

/// A whole stream that says `words`.
pub(crate) fn says(words: &str) -> Vec<String> {
    let mut events = vec![message_start(&json!({"input_tokens": 5, "output_tokens": 1}))];
    events.extend(text(0, words));
    events.extend(end("end_turn", &json!({"input_tokens": 5, "output_tokens": 2})));
    events
}

/// A unary answer of these blocks.
pub(crate) fn message(content: &Value, reason: &str) -> Value {
    json!({
        "id": "msg_up", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2},
    })
}

pub(crate) fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"})
}
