//! Anthropic crossed with OpenAI chat: what a chat client's requests look like to it. What its
//! answers look like to a chat client, `tests/golden` shows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Anthropic;
use crate::wire::{Asked, ClientDialect, Encoded, Facts, Memo, UpstreamDialect, openai_chat::OpenAiChat};

const CHAT: &dyn ClientDialect = &OpenAiChat;

fn asked() -> Asked {
    Asked { model: "public".into(), include_usage: true, id: "chatcmpl-1".into(), created: 1, ..Asked::default() }
}

fn encode(body: &Value, model: &str) -> Encoded {
    let request = CHAT.decode(body.to_string().as_bytes()).unwrap();
    UpstreamDialect::encode(&Anthropic, &request, &Facts { model, stream: request.stream, ..Facts::default() }).unwrap()
}

/// T4, T6, T7, A5, J1, C1 and regression cases 32, 38: chat requests as Anthropic bodies.
#[test]
fn requests_as_messages() {
    let weather = json!({"type": "function", "function": {"name": "a.b/get", "parameters": {"type": "object"}}});
    let twin = json!({"type": "function", "function": {"name": "a_b_get"}});
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "a.b/get", "arguments": ""}});
    let hi = json!([{"role": "user", "content": "Hi"}]);
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}});
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}});
    for (name, model, body) in [
        ("plain", "claude-opus-5-5", json!({"messages": hi, "temperature": 0.3, "seed": 1, "stream": true})),
        (
            "tools",
            "claude-haiku-4-5",
            json!({"tools": [weather, twin], "parallel_tool_calls": false, "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "Q"},
                {"role": "assistant", "content": null, "tool_calls": [call("call_1"), call("call:2")]},
                {"role": "tool", "tool_call_id": "call:2", "content": "B"},
                {"role": "tool", "tool_call_id": "call_1", "content": "A"},
                {"role": "user", "content": "So?"}]}),
        ),
        ("schema_native", "claude-haiku-4-5", json!({"messages": hi, "response_format": format})),
        (
            "schema_tool",
            "claude-sonnet-4-20250514",
            json!({"messages": hi, "response_format": format, "tools": [twin]}),
        ),
        (
            "effort",
            "claude-opus-4-8",
            json!({"messages": hi, "reasoning_effort": "high", "max_completion_tokens": 100}),
        ),
        (
            "media",
            "claude-haiku-4-5",
            json!({"messages": [{"role": "user", "content": [picture, file, {"type": "text", "text": "?"}]}]}),
        ),
    ] {
        let mut body = body;
        body["model"] = "public".into();
        let encoded = encode(&body, model);
        let text = std::str::from_utf8(&encoded.body).unwrap();
        insta::assert_snapshot!(format!("request_{name}"), format!("{text}\n{:?}", encoded.losses));
    }
}

proptest! {
    /// R1, regression case 34: thinking goes out to a chat client in `thinking_blocks` and comes
    /// back byte for byte.
    #[test]
    fn thinking_survives_a_chat_client(blocks in proptest::collection::vec((".{0,12}", "[^:]{1,12}", any::<bool>()), 1..5)) {
        let thinking: Vec<Value> = blocks
            .iter()
            .map(|(text, proof, redacted)| {
                if *redacted {
                    json!({"type": "redacted_thinking", "data": proof})
                } else {
                    json!({"type": "thinking", "thinking": text, "signature": proof})
                }
            })
            .collect();
        let mut content = thinking.clone();
        content.push(json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}));
        let answer = json!({"id": "m", "model": "c", "content": content, "stop_reason": "tool_use"});
        let answer = UpstreamDialect::decode(&Anthropic, answer.to_string().as_bytes(), &Memo::default()).unwrap();
        let completion: Value = serde_json::from_slice(&CHAT.encode(&answer, &asked())).unwrap();
        let replay = json!({
            "model": "public",
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "messages": [
                {"role": "user", "content": "Hi"},
                completion["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "toolu_1", "content": "x"},
            ],
        });
        let encoded = encode(&replay, "claude-opus-5-5");
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        prop_assert_eq!(&body["messages"][1]["content"], &Value::Array(content));
        prop_assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
    }
}
