//! What Bedrock says: binary messages, answers and errors in the shapes of its Runtime API reference
//! (read November 2026). The messages are written by AWS's own library.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

use super::{Script, Upstream};

/// The head of a stream.
pub(crate) const STREAM: (&str, &str) = ("content-type", "application/vnd.amazon.eventstream");

pub(crate) fn stream() -> Script {
    Script::chunked(&[STREAM, ("x-amzn-requestid", "req-up")])
}

/// One message of the stream.
pub(crate) fn event(name: &str, payload: &Value) -> Vec<u8> {
    message("event", ":event-type", name, payload)
}

pub(crate) fn exception(name: &str, message_text: &str) -> Vec<u8> {
    message("exception", ":exception-type", name, &json!({ "message": message_text }))
}

fn message(kind: &str, name_header: &'static str, name: &str, payload: &Value) -> Vec<u8> {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(Header::new(name_header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text(kind)));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a message that can be written");
    bytes
}

pub(crate) fn start() -> Vec<u8> {
    event("messageStart", &json!({"role": "assistant", "p": "abcdef"}))
}

pub(crate) fn delta(index: u64, delta: &Value) -> Vec<u8> {
    event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta, "p": "ab"}))
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    delta(0, &json!({ "text": text }))
}

pub(crate) fn stop(index: u64) -> Vec<u8> {
    event("contentBlockStop", &json!({ "contentBlockIndex": index }))
}

/// A tool call whose input comes in these pieces.
pub(crate) fn tool(index: u64, id: &str, name: &str, pieces: &[&str]) -> Vec<Vec<u8>> {
    let start = json!({"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": id, "name": name}}});
    let pieces = pieces.iter().map(|piece| delta(index, &json!({"toolUse": {"input": piece}})));
    [event("contentBlockStart", &start)].into_iter().chain(pieces).chain([stop(index)]).collect()
}

/// The end of a message: its reason, then the counts.
pub(crate) fn end(reason: &str) -> Vec<Vec<u8>> {
    let usage = json!({"inputTokens": 5, "outputTokens": 2, "totalTokens": 7});
    vec![
        event("messageStop", &json!({ "stopReason": reason })),
        event("metadata", &json!({"usage": usage, "metrics": {"latencyMs": 9}})),
    ]
}

/// A whole stream that says `words`.
pub(crate) fn says(words: &str) -> Vec<Vec<u8>> {
    [vec![start(), text(words), stop(0)], end("end_turn")].concat()
}

/// A whole answer of these blocks.
pub(crate) fn answer(content: &Value, reason: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason,
        "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 9},
    })
}

/// One event of a model's own dialect, as InvokeModelWithResponseStream wraps it.
pub(crate) fn chunk(own: &Value) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    event("chunk", &json!({"bytes": STANDARD.encode(own.to_string()), "p": "abc"}))
}

/// A configuration with the Bedrock provider `aws` under an API key, that tries once.
pub(crate) fn bedrock(upstream: &Upstream) -> String {
    let base = upstream.url("");
    format!(
        "[retry]\nattempts = 1\n[providers.aws]\ntype = \"bedrock\"\nregion = \"eu-west-1\"\n\
         base-url = \"{base}\"\napi-key = \"ABSK-up\"\n"
    )
}
