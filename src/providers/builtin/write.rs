//! The answer in OpenAI's chat dialect: one object, or events of chunks.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    reply::{Reply, ToolCall},
    request::Asked,
};

const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// What every chunk of an answer repeats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) created: u64,
    pub(super) model: &'a str,
}

/// One server-sent event.
pub(super) fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

/// The whole answer.
pub(super) fn whole(head: &Head<'_>, asked: &Asked, reply: &Reply) -> Value {
    let choices: Vec<Value> = (0..asked.n)
        .map(|index| {
            json!({"index": index, "message": message(reply, index), "logprobs": null, "finish_reason": reply.finish})
        })
        .collect();
    json!({
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": choices,
        "usage": usage(asked, reply),
        "system_fingerprint": null,
    })
}

fn message(reply: &Reply, choice: u64) -> Value {
    let content = if reply.calls.is_empty() { Value::String(reply.text.concat()) } else { Value::Null };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if let Some(members) = message.as_object_mut().filter(|_| !reply.calls.is_empty()) {
        let calls = reply.calls.iter().map(|call| {
            let mut header = header(call, choice, None);
            put_input(&mut header, call, &call.input.concat());
            header
        });
        members.insert("tool_calls".into(), calls.collect());
    }
    message
}

fn usage(asked: &Asked, reply: &Reply) -> Value {
    let completion = reply.tokens() as u64 * asked.n;
    let prompt = reply.prompt_tokens as u64;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0
        },
    })
}

/// All events of the stream, `[DONE]` included.
pub(super) fn stream(head: &Head<'_>, asked: &Asked, reply: &Reply) -> Vec<Bytes> {
    let mut events = Vec::new();
    for choice in 0..asked.n {
        let mut push = |delta: &Value, finish: Option<&str>| {
            let choices = json!([{"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish}]);
            events.push(chunk(head, choices, asked.include_usage.then_some(Value::Null)));
        };
        if reply.calls.is_empty() {
            push(&json!({"role": "assistant", "content": "", "refusal": null}), None);
        }
        for piece in &reply.text {
            push(&json!({"content": piece}), None);
        }
        for (index, call) in reply.calls.iter().enumerate() {
            let header = header(call, choice, Some(index));
            if index == 0 {
                push(&json!({"role": "assistant", "content": null, "tool_calls": [header], "refusal": null}), None);
            } else {
                push(&json!({"tool_calls": [header]}), None);
            }
            for piece in &call.input {
                let mut fragment = json!({"index": index});
                put_input(&mut fragment, call, piece);
                push(&json!({"tool_calls": [fragment]}), None);
            }
        }
        push(&json!({}), Some(reply.finish));
    }
    if asked.include_usage {
        events.push(chunk(head, json!([]), Some(usage(asked, reply))));
    }
    events.push(DONE);
    events
}

fn chunk(head: &Head<'_>, choices: Value, usage: Option<Value>) -> Bytes {
    let mut chunk = json!({
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "system_fingerprint": null,
    });
    if let Some(members) = chunk.as_object_mut() {
        members.insert("choices".into(), choices);
        members.extend(usage.map(|usage| ("usage".into(), usage)));
    }
    event(&chunk)
}

/// A call without its input. Choices have calls of their own, so their ids differ.
fn header(call: &ToolCall, choice: u64, index: Option<usize>) -> Value {
    let id = if choice == 0 { call.id.clone() } else { format!("{}_{choice}", call.id) };
    let (kind, field) = words(call);
    let mut header = json!({"index": index, "id": id, "type": kind, kind: {"name": call.name, field: ""}});
    if let Some(members) = header.as_object_mut().filter(|_| index.is_none()) {
        members.shift_remove("index");
    }
    header
}

fn put_input(call_json: &mut Value, call: &ToolCall, input: &str) {
    let (kind, field) = words(call);
    let Some(members) = call_json.as_object_mut() else { return };
    let inner = members.entry(kind).or_insert_with(|| json!({}));
    if let Some(inner) = inner.as_object_mut() {
        inner.insert(field.into(), input.into());
    }
}

/// A tool's kind, and what its input is called.
fn words(call: &ToolCall) -> (&'static str, &'static str) {
    if call.custom { ("custom", "input") } else { ("function", "arguments") }
}
