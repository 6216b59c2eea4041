//! What a chat client's requests look like to Gemini. What its answers look like to a chat client,
//! `tests/golden` shows.

use serde_json::{Value, json};

use super::Gemini;
use crate::{
    error::Error,
    ir,
    wire::{
        Asked, ClientDialect, Encoded, Facts, Host, Loss, Memo, UpstreamDialect, Weight, openai_chat::OpenAiChat,
        openai_responses::OpenAiResponses, sealed::unseal,
    },
};

const CHAT: &dyn ClientDialect = &OpenAiChat;
const UP: &dyn UpstreamDialect = &Gemini;
const NEW: &str = "gemini-3.8-flash";
const MIDDLE: &str = "gemini-2.5-pro";
const OLD: &str = "gemini-2.0-flash";

fn decode(body: &Value) -> ir::Request {
    let mut body = body.clone();
    body["model"] = "public".into();
    CHAT.decode(body.to_string().as_bytes()).unwrap()
}

fn try_encode(body: &Value, model: &str, host: Host) -> Result<Encoded, Error> {
    UP.encode(&decode(body), &Facts { model, host, ..Facts::default() })
}

fn encode(body: &Value, model: &str) -> Encoded {
    try_encode(body, model, Host::Vendor).unwrap()
}

fn written(body: &Value, model: &str) -> Value {
    serde_json::from_slice(&encode(body, model).body).unwrap()
}

fn losses(body: &Value, model: &str) -> Vec<(String, Weight)> {
    encode(body, model).losses.into_iter().map(|Loss { field, weight }| (field, weight)).collect()
}

fn hi(rest: &Value) -> Value {
    let mut body = rest.clone();
    body["messages"] = json!([{"role": "user", "content": "Hi"}]);
    body
}

fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

fn call(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"city\": \"Oslo\"}"}})
}

/// T4, T6, T7, T9, J1, N2, C1: chat requests as Gemini bodies, byte for byte.
#[test]
fn requests_as_contents() {
    let schema =
        json!({"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "low"}});
    let linked = json!({"type": "image_url", "image_url": {"url": "https://pictures.example/a.jpg"}});
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}});
    for (name, model, body) in [
        (
            "sampling",
            NEW,
            hi(&json!({"temperature": 0.3, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": ["a", "b"], "max_tokens": 50,
                "presence_penalty": 0.5, "frequency_penalty": 0, "logprobs": true, "top_logprobs": 3,
                "reasoning_effort": "high", "service_tier": "flex", "store": false, "stream": true})),
        ),
        (
            "tools",
            NEW,
            json!({"tools": [tool("a b/get"), tool("a.b:get"), {"type": "function", "function": {"name": "now"}}],
                "tool_choice": "required", "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": "Q"},
                {"role": "assistant", "content": null, "tool_calls": [call("call_1", "a b/get"), call("4jh89wlf", "a.b:get")]},
                {"role": "tool", "tool_call_id": "4jh89wlf", "content": "{\"t\": 1.0}"},
                {"role": "tool", "tool_call_id": "call_1", "content": "A"},
                {"role": "user", "content": "So?"}]}),
        ),
        ("schema", NEW, hi(&json!({"response_format": format, "tools": [tool("f")]}))),
        ("schema_old", OLD, hi(&json!({"response_format": format}))),
        (
            "tools_old",
            OLD,
            hi(&json!({"tools": [tool("f")], "tool_choice": {"type": "function", "function": {"name": "f"}}})),
        ),
        (
            "media",
            NEW,
            json!({"messages": [{"role": "user", "content": [picture, linked, file, sound, {"type": "text", "text": "?"}]}]}),
        ),
        (
            "own_fields",
            MIDDLE,
            hi(&json!({"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
                "extra_body": {"google": {"cached_content": "cachedContents/x", "thinking_config": {"include_thoughts": true, "thinking_budget": -1}}},
                "web_search_options": {}, "modalities": ["text", "image"]})),
        ),
    ] {
        let encoded = encode(&body, model);
        let text = std::str::from_utf8(&encoded.body).unwrap();
        insta::assert_snapshot!(format!("request_{name}"), format!("{text}\n{:?}", encoded.losses));
    }
}

/// T6: every choice maps, or is refused by name.
#[test]
fn every_choice_of_tools_maps() {
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let allowed = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named("g"), named("f")]}});
    for (choice, parallel, expected, lost) in [
        (json!(null), true, json!(null), 0),
        (json!("auto"), true, json!(null), 0),
        (json!("none"), false, json!({"mode": "NONE"}), 0),
        (json!("required"), true, json!({"mode": "ANY"}), 0),
        (json!("required"), false, json!({"mode": "ANY"}), 1),
        (named("g"), true, json!({"mode": "ANY", "allowedFunctionNames": ["g"]}), 0),
        (allowed("auto"), true, json!({"mode": "VALIDATED", "allowedFunctionNames": ["g", "f"]}), 0),
        (allowed("required"), true, json!({"mode": "ANY", "allowedFunctionNames": ["g", "f"]}), 0),
    ] {
        for model in [OLD, MIDDLE, NEW] {
            let body = hi(
                &json!({"tools": [tool("f"), tool("g")], "tool_choice": choice, "parallel_tool_calls": parallel, "reasoning_effort": "none"}),
            );
            let body_written = written(&body, model);
            assert_eq!(body_written["toolConfig"]["functionCallingConfig"], expected, "{choice} {model}");
            let losses = losses(&body, model);
            assert_eq!(losses.iter().filter(|(field, _)| field == "parallel_tool_calls").count(), lost, "{choice}");
        }
    }
    let strict =
        json!({"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object"}}});
    let body = written(&hi(&json!({"tools": [strict]})), NEW);
    assert_eq!(body["toolConfig"]["functionCallingConfig"], json!({"mode": "VALIDATED"}));
    assert_eq!(losses(&hi(&json!({"tool_choice": "required"})), NEW), [("tool_choice".to_owned(), Weight::Meaning)]);
    let body = hi(&json!({"tools": [tool("f"), {"type": "google_search"}]}));
    let mixed = written(&body, NEW);
    assert_eq!(mixed["tools"][1], json!({"googleSearch": {}}));
    assert_eq!(mixed["toolConfig"]["includeServerSideToolInvocations"], true);
    assert_eq!(losses(&body, MIDDLE), [("web_search_options".to_owned(), Weight::Meaning)]);
}

/// T7, regression case 32: names come back as the client wrote them.
#[test]
fn names_are_mapped_apart() {
    let encoded = encode(&hi(&json!({"tools": [tool("a b/get"), tool("a_b_get"), tool("ok.name")]})), NEW);
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let names: Vec<&str> = body["tools"][0]["functionDeclarations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[1..], ["a_b_get", "ok.name"]);
    assert_eq!(encoded.memo.tool_names.get(names[0]).map(String::as_str), Some("a b/get"));
    let answer =
        json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": names[0]}}]}, "finishReason": "STOP"}]});
    let answer = UP.decode(answer.to_string().as_bytes(), &encoded.memo).unwrap();
    assert!(
        matches!(&answer.blocks[0], ir::Block::ToolCall { name, arguments, .. } if name == "a b/get" && arguments == "{}")
    );
}

/// R2, regression case 35: signatures out and in through a chat client; a turn from elsewhere has the
/// vendor's word for none.
#[test]
fn signatures_go_back() {
    let parts = json!([
        {"text": "Hm.", "thought": true},
        {"text": "Let me see."},
        {"functionCall": {"id": "4jh89wlf", "name": "f", "args": {"city": "Oslo"}}, "thoughtSignature": "S1"},
        {"functionCall": {"id": "5jh89wlf", "name": "f", "args": {"city": "Rome"}}},
    ]);
    let answer = json!({"responseId": "r", "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let answer = UP.decode(answer.to_string().as_bytes(), &Memo::default()).unwrap();
    let asked = Asked { id: "chatcmpl-1".into(), ..Asked::default() };
    let completion: Value = serde_json::from_slice(&CHAT.encode(&answer, &asked)).unwrap();
    let mut message = completion["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "S1");
    assert_eq!(message["reasoning_content"], "Hm.");
    let replay = |message: &Value| {
        json!({"tools": [tool("f")], "messages": [
            {"role": "user", "content": "Q"}, message,
            {"role": "tool", "tool_call_id": "4jh89wlf", "content": "A"},
            {"role": "tool", "tool_call_id": "5jh89wlf", "content": "B"}]})
    };
    let contents = &written(&replay(&message), NEW)["contents"];
    let mut expected = parts.as_array().unwrap()[1..].to_vec();
    assert_eq!(contents[1]["parts"], Value::from(expected.clone()));
    assert_eq!(contents[2]["parts"][0]["functionResponse"]["id"], "4jh89wlf");

    message["tool_calls"][0].as_object_mut().unwrap().shift_remove("extra_content");
    expected[1]["thoughtSignature"] = "skip_thought_signature_validator".into();
    assert_eq!(written(&replay(&message), NEW)["contents"][1]["parts"], Value::from(expected.clone()));
    expected[1].as_object_mut().unwrap().shift_remove("thoughtSignature");
    assert_eq!(
        written(&replay(&message), MIDDLE)["contents"][1]["parts"],
        Value::from(expected),
        "where none is wanted"
    );
}

/// R2: the same through a client of OpenAI's Responses, for which a signature is a sealed item; a
/// target that did not make it does not get it.
#[test]
fn signatures_survive_a_client_of_responses() {
    let responses: &dyn ClientDialect = &OpenAiResponses;
    let parts = json!([
        {"functionCall": {"id": "4jh89wlf", "name": "f", "args": {"city": "Oslo"}}, "thoughtSignature": "S1"},
        {"functionCall": {"id": "5jh89wlf", "name": "f", "args": {"city": "Rome"}}},
    ]);
    let answer = json!({"responseId": "r", "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let answer = UP.decode(answer.to_string().as_bytes(), &Memo::default()).unwrap();
    let asked = Asked { id: "resp_1".into(), target: "gem/a".into(), model: "public".into(), ..Asked::default() };
    let written: Value = serde_json::from_slice(&responses.encode(&answer, &asked)).unwrap();
    let mut input = vec![json!({"role": "user", "content": "Q"})];
    input.extend(written["output"].as_array().unwrap().iter().cloned());
    for id in ["4jh89wlf", "5jh89wlf"] {
        input.push(json!({"type": "function_call_output", "call_id": id, "output": "A"}));
    }
    let body = json!({"model": "public", "input": input, "tools": [{"type": "function", "name": "f"}]});
    let request = responses.decode(body.to_string().as_bytes()).unwrap();
    let replayed = |target: &str| {
        let request = unseal(&request, target).unwrap();
        let encoded = UP.encode(&request, &Facts { model: NEW, ..Facts::default() }).unwrap();
        let mut body: Value = serde_json::from_slice(&encoded.body).unwrap();
        body["contents"][1]["parts"].take()
    };
    assert_eq!(replayed("gem/a"), parts);
    assert_eq!(replayed("gem/b")[0]["thoughtSignature"], "skip_thought_signature_validator");
}

/// R1: a proof of another vendor's is none of this one's.
#[test]
fn foreign_reasoning_stays_away() {
    let thinking =
        json!([{"type": "thinking", "thinking": "Hm.", "signature": "S"}, {"type": "redacted_thinking", "data": "D"}]);
    let body = json!({"messages": [{"role": "user", "content": "Q"},
        {"role": "assistant", "content": "A", "thinking_blocks": thinking}, {"role": "user", "content": "Q2"}]});
    assert_eq!(written(&body, NEW)["contents"][1]["parts"], json!([{"text": "A"}]));
    let fields: Vec<String> = losses(&body, NEW).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["messages[].reasoning_content"]);
}

/// J2: an output shape beside functions is refused where the line does not take both.
#[test]
fn output_beside_functions_is_never_dropped() {
    let body = hi(&json!({"tools": [tool("f")], "response_format": {"type": "json_object"}}));
    assert_eq!(losses(&body, MIDDLE), [("response_format".to_owned(), Weight::Meaning)]);
    assert_eq!(written(&body, NEW)["generationConfig"]["responseMimeType"], "application/json");
}

#[test]
fn instructions_find_a_place() {
    let late = json!({"messages": [{"role": "user", "content": "Q"}, {"role": "system", "content": "S"}]});
    assert_eq!(written(&late, NEW)["systemInstruction"], json!({"parts": [{"text": "S"}]}));
    assert_eq!(losses(&late, NEW)[0].0, "messages[].role");
    let only = json!({"messages": [{"role": "system", "content": "S"}]});
    assert_eq!(
        written(&only, NEW),
        json!({"generationConfig": {}, "contents": [{"role": "user", "parts": [{"text": "S"}]}]})
    );
    let gemma = json!({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]});
    assert_eq!(written(&gemma, "gemma-3-27b-it")["contents"][0]["parts"], json!([{"text": "S"}, {"text": "Q"}]));
    assert_eq!(written(&gemma, "gemma-3-27b-it").get("systemInstruction"), None);
}

/// A result with an image, by line and host.
#[test]
fn results_may_hold_images() {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}});
    let linked = json!({"type": "image_url", "image_url": {"url": "https://pictures.example/a.jpg"}});
    let body = json!({"messages": [{"role": "user", "content": "Q"},
        {"role": "assistant", "tool_calls": [call("c_1", "f")]},
        {"role": "tool", "tool_call_id": "c_1", "content": [{"type": "text", "text": "a"}, picture, linked, {"type": "text", "text": "b"}]}]});
    let kinds = |model: &str, host| {
        let body: Value = serde_json::from_slice(&try_encode(&body, model, host).unwrap().body).unwrap();
        let parts = body["contents"][2]["parts"].as_array().unwrap().clone();
        assert_eq!(parts[0]["functionResponse"]["response"], json!({"output": "ab"}));
        (parts[0]["functionResponse"]["parts"].as_array().map_or(0, Vec::len), parts.len() - 1)
    };
    assert_eq!(kinds(NEW, Host::Vendor), (1, 1));
    assert_eq!(kinds(NEW, Host::Cloud), (2, 0));
    assert_eq!(kinds(MIDDLE, Host::Vendor), (0, 2));
}

/// What Vertex AI takes otherwise.
#[test]
fn a_cloud_takes_other_fields() {
    let body = hi(&json!({"service_tier": "flex", "metadata": {"team": "a-1", "Bad": "x"}, "labels": {"a": "b"},
        "enable_enhanced_civic_answers": true}));
    let cloud = try_encode(&body, NEW, Host::Cloud).unwrap();
    assert_eq!(cloud.headers["x-vertex-ai-llm-shared-request-type"], "flex");
    let lost = |encoded: Encoded| encoded.losses.into_iter().map(|loss| loss.field).collect::<Vec<_>>();
    let written: Value = serde_json::from_slice(&cloud.body).unwrap();
    assert_eq!((&written["labels"], written.get("serviceTier")), (&json!({"a": "b"}), None));
    assert_eq!(lost(cloud), ["metadata", "enable_enhanced_civic_answers"]);
    let vendor = encode(&body, NEW);
    assert!(vendor.headers.is_empty());
    assert_eq!(lost(vendor), ["metadata", "labels"]);
}

/// Design section 6.2: what cannot be carried is named, with its weight.
#[test]
fn losses_are_named() {
    let body = hi(
        &json!({"n": 2, "seed": 1u64 << 40, "user": "u", "verbosity": "low", "logit_bias": {"1": 2}, "prompt_cache_key": "k",
        "stop": ["1", "2", "3", "4", "5", "6"], "modalities": ["text", "audio"], "audio": {"voice": "v"}, "prediction": {},
        "extra_body": {"google": {"new": 1}, "other": 2}, "tools": [{"type": "mcp"}]}),
    );
    let losses = losses(&body, NEW);
    let of =
        |weight| losses.iter().filter(|(_, is)| *is == weight).map(|(field, _)| field.as_str()).collect::<Vec<_>>();
    assert_eq!(of(Weight::Meaning), ["stop", "n", "audio", "modalities"]);
    let hints = [
        "tools[0]",
        "seed",
        "verbosity",
        "user",
        "prompt_cache_key",
        "extra_body.google.new",
        "extra_body.other",
        "logit_bias",
        "prediction",
    ];
    assert_eq!(of(Weight::Hint), hints);
}

/// M1: what the vendor could not make sense of names its field.
#[test]
fn bad_requests_name_the_field() {
    let unknown =
        json!({"messages": [{"role": "user", "content": "Q"}, {"role": "tool", "tool_call_id": "c", "content": "A"}]});
    let param = |body: &Value| try_encode(body, NEW, Host::Vendor).unwrap_err().kind().param.unwrap();
    assert_eq!(param(&unknown), "messages[].tool_call_id");
    assert_eq!(param(&json!({"messages": [{"role": "user", "content": ""}]})), "messages");
    let file = json!({"type": "file", "file": {"file_id": "file-abc"}});
    assert_eq!(param(&json!({"messages": [{"role": "user", "content": [file]}]})), "messages[].content[].file");
}

/// A6: no more is asked for than the model has.
#[test]
fn the_asked_length_is_kept_or_cut() {
    let of = |asked: Value, limit| {
        let facts = Facts { model: NEW, max_output_tokens: limit, ..Facts::default() };
        let encoded = UP.encode(&decode(&hi(&asked)), &facts).unwrap();
        serde_json::from_slice::<Value>(&encoded.body).unwrap()["generationConfig"]["maxOutputTokens"].clone()
    };
    assert_eq!(of(json!({}), Some(65_536)), Value::Null);
    assert_eq!(of(json!({"max_completion_tokens": 50}), Some(65_536)), 50);
    assert_eq!(of(json!({"max_tokens": 100_000}), Some(65_536)), 65_536);
}
