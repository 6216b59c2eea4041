//! What an upstream of OpenAI's Responses says: events and answers in the shapes of its reference
//! (specification 2.3.0, read November 2026).

use serde_json::{Value, json};

/// One event, named as its type says.
pub(crate) fn event(data: &Value) -> String {
    let name = data["type"].as_str().expect("a type");
    format!("event: {name}\ndata: {data}\n\n")
}

/// A whole answer, or what stands in the events that begin and end one.
pub(crate) fn response(status: &str, output: &Value) -> Value {
    let usage = json!({
        "input_tokens": 5, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7});
    json!({
        "id": "resp_up", "object": "response", "created_at": 1_795_000_000, "status": status, "error": null,
        "incomplete_details": null, "model": "m-2026", "output": output,
        "usage": if status == "completed" { usage } else { Value::Null },
    })
}

pub(crate) fn created() -> String {
    event(&json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", &json!([]))}))
}

pub(crate) fn completed(output: &Value) -> String {
    event(&json!({"type": "response.completed", "sequence_number": 99, "response": response("completed", output)}))
}

pub(crate) fn failed(code: &str, message: &str) -> String {
    let mut response = response("failed", &json!([]));
    response["error"] = json!({"code": code, "message": message});
    event(&json!({"type": "response.failed", "sequence_number": 9, "response": response}))
}

pub(crate) fn message(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]})
}

pub(crate) fn reasoning(sealed: &str) -> Value {
    json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": sealed})
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": "fc_1", "type": "function_call", "status": "completed", "call_id": id, "name": name, "arguments": arguments})
}

/// A piece of text of the item at this place.
pub(crate) fn text(output: u64, delta: &str) -> String {
    event(&json!({"type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1",
        "output_index": output, "content_index": 0, "delta": delta, "logprobs": []}))
}

/// An item that is whole at once.
pub(crate) fn item(output: u64, item: &Value) -> Vec<String> {
    ["added", "done"]
        .into_iter()
        .map(|what| {
            event(&json!({"type": format!("response.output_item.{what}"), "sequence_number": 5,
                "output_index": output, "item": item}))
        })
        .collect()
}

/// A whole stream of these items.
pub(crate) fn says(output: &[Value]) -> Vec<String> {
    let mut events = vec![created()];
    for (at, one) in (0u64..).zip(output) {
        events.extend(item(at, one));
    }
    events.push(completed(&json!(output)));
    events
}
