//! What the fixtures of `tests/golden` do not show: the corners of requests, and streams that leave
//! things out.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::OpenAiResponses;
use crate::{
    error::{Class, Error, Result},
    framing::Frame,
    ir::{Block, Event, Finish, Response, ToolKind, Usage},
    wire::{
        Asked, ClientDialect, Encoded, Facts, Loss, Memo, UpstreamDialect, Weight, openai_chat::OpenAiChat, translate,
    },
};

const CHAT: &dyn ClientDialect = &OpenAiChat;
const UPSTREAM: &dyn UpstreamDialect = &OpenAiResponses;
const MODEL: &str = "gpt-5.6-terra";

fn encode(body: &Value) -> Encoded {
    let mut body = body.clone();
    body["model"] = "public".into();
    if body.get("messages").is_none() {
        body["messages"] = json!([{"role": "user", "content": "Hi"}]);
    }
    let request = CHAT.decode(body.to_string().as_bytes()).unwrap();
    UPSTREAM.encode(&request, &Facts { model: MODEL, stream: request.stream, ..Facts::default() }).unwrap()
}

fn written(body: &Value) -> Value {
    serde_json::from_slice(&encode(body).body).unwrap()
}

fn frame(event: &Value) -> Frame {
    let name = event["type"].as_str().unwrap().to_owned();
    Frame { raw: None, event: Some(Bytes::from(name)), data: Bytes::from(event.to_string()) }
}

fn events(stream: &[Value]) -> (Vec<Event>, Result<()>) {
    let mut decoder = UPSTREAM.decoder(Memo::default());
    let (mut out, mut grammar) = (Vec::new(), translate::Grammar::default());
    let mut end = Ok(());
    for event in stream {
        end = end.and_then(|()| decoder.frame(&frame(event), &mut out));
    }
    end = end.and_then(|()| decoder.finish(&mut out));
    out.iter().for_each(|event| grammar.check(event));
    (out, end)
}

fn streamed(stream: &[Value]) -> Response {
    let (events, end) = events(stream);
    end.unwrap();
    translate::fold(events)
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 7.5, "output": []}})
}

fn completed(output: &Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}})
}

fn delta(kind: &str, output: u64, content: u64, text: &str) -> Value {
    json!({"type": kind, "output_index": output, "content_index": content, "delta": text})
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": id, "name": name, "arguments": arguments})
}

/// R5, A6, J1, case 74: effort, limits and shape arrive under the names of this dialect.
#[test]
fn settings_have_their_places() {
    let schema = json!({"name": "n", "schema": {"type": "object"}});
    let body = written(&json!({
        "reasoning_effort": "high", "max_completion_tokens": 5, "verbosity": "low", "temperature": 0.5,
        "response_format": {"type": "json_schema", "json_schema": schema}, "safety_identifier": "s", "user": "u",
    }));
    assert_eq!(body["reasoning"], json!({"effort": "high"}));
    assert_eq!(body["max_output_tokens"], 16);
    let format = json!({"type": "json_schema", "name": "n", "strict": false, "schema": {"type": "object"}});
    assert_eq!(body["text"], json!({"format": format, "verbosity": "low"}));
    assert_eq!((&body["store"], &body["temperature"]), (&json!(false), &json!(0.5)));
    assert_eq!((&body["safety_identifier"], &body["user"]), (&json!("s"), &json!("u")));
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    let own = written(&json!({"reasoning": {"summary": "auto", "effort": "low"}, "reasoning_effort": "high"}));
    assert_eq!(own["reasoning"], json!({"summary": "auto", "effort": "high"}));
    let budget = written(&json!({"thinking": {"type": "enabled", "budget_tokens": 4000}}));
    assert_eq!(budget["reasoning"], json!({"effort": "medium"}));
}

/// Models that do not reason refuse the wish for encrypted reasoning.
#[test]
fn encrypted_reasoning_is_asked_of_models_that_reason() {
    let request = CHAT.decode(br#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).unwrap();
    for (model, asks) in [
        ("gpt-4.1-mini", false),
        ("gpt-4o", false),
        ("gpt-5-chat-latest", false),
        ("chatgpt-4o-latest", false),
        ("our-deployment", false),
        ("gpt-5-pro", true),
        ("o3-deep-research", true),
        ("openai/gpt-6.1-sol", true),
    ] {
        let encoded = UPSTREAM.encode(&request, &Facts { model, ..Facts::default() }).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(body.get("include").is_some(), asks, "{model}");
    }
}

/// T6: every form of the choice has its flat one.
#[test]
fn tools_and_choices_are_flat() {
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}});
    let tools = json!([
        {"type": "function", "function": {"name": "f"}},
        {"type": "custom", "custom": {"name": "c", "format": grammar}},
        {"type": "web_search"},
    ]);
    let reference = |kind: &str, name: &str| json!({"type": kind, kind: {"name": name}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
        "tools": [reference("function", "f"), reference("custom", "c")]}});
    for (asked, expected) in [
        (json!("auto"), json!("auto")),
        (json!("none"), json!("none")),
        (json!("required"), json!("required")),
        (reference("function", "f"), json!({"type": "function", "name": "f"})),
        (reference("custom", "c"), json!({"type": "custom", "name": "c"})),
        (
            allowed,
            json!({"type": "allowed_tools", "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}]}),
        ),
    ] {
        let body = written(&json!({"tools": tools, "tool_choice": asked, "parallel_tool_calls": false}));
        assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&expected, &json!(false)));
        let none = json!({"type": "object", "properties": {}});
        let flat = json!({"type": "grammar", "syntax": "lark", "definition": "start: /a/"});
        assert_eq!(
            body["tools"],
            json!([
                {"type": "function", "name": "f", "strict": false, "parameters": none},
                {"type": "custom", "name": "c", "format": flat},
                {"type": "web_search"},
            ])
        );
    }
    assert!(written(&json!({"tool_choice": "auto"})).get("tool_choice").is_none());
}

/// Design section 6.2: what has no place is named, by its weight.
#[test]
fn losses_are_named() {
    for (body, field, weight) in [
        (json!({"n": 2}), "n", Weight::Meaning),
        (json!({"stop": "x"}), "stop", Weight::Meaning),
        (json!({"logprobs": true}), "logprobs", Weight::Meaning),
        (json!({"modalities": ["text", "audio"]}), "modalities", Weight::Meaning),
        (json!({"tool_choice": "required"}), "tool_choice", Weight::Meaning),
        (json!({"seed": 1}), "seed", Weight::Hint),
        (json!({"presence_penalty": 0.5}), "presence_penalty", Weight::Hint),
        (json!({"frequency_penalty": 0.5}), "frequency_penalty", Weight::Hint),
        (json!({"logit_bias": {"1": 2}}), "logit_bias", Weight::Hint),
        (json!({"prediction": {}}), "prediction", Weight::Hint),
        (json!({"max_completion_tokens": 1}), "max_completion_tokens", Weight::Hint),
        (json!({"tools": [{"type": "image_generation"}]}), "tools[0]", Weight::Hint),
    ] {
        assert_eq!(encode(&body).losses, [Loss { field: field.into(), weight }], "{body}");
    }
    let nothing = json!({"n": 1, "presence_penalty": 0, "store": false, "logit_bias": {}, "stream_options": {}});
    assert!(encode(&nothing).losses.is_empty(), "{:?}", encode(&nothing).losses);
}

/// N2, L5: media by reference or as it came.
#[test]
fn media_stays_what_it_is() {
    let content = json!([
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
    ]);
    let body = written(&json!({"messages": [{"role": "user", "content": content}]}));
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_image", "detail": "low", "image_url": "https://a/b.png"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0="},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        ])
    );
    let audio = json!([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]);
    let messages = json!([{"role": "user", "content": "?"}, {"role": "user", "content": audio}]);
    assert_eq!(encode(&json!({ "messages": messages })).losses[0].field, "messages[].content[].input_audio");
}

/// R1: reasoning that led nowhere, or that another vendor signed, is not sent.
#[test]
fn reasoning_needs_what_followed_it() {
    let own = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"});
    let thinking = |signature: &str| json!([{"type": "thinking", "thinking": "hm", "signature": signature}]);
    let replay = |signature: &str, content: Value| {
        encode(&json!({"messages": [
            {"role": "assistant", "content": content, "thinking_blocks": thinking(signature)},
            {"role": "user", "content": "So?"},
        ]}))
    };
    let items = |encoded: &Encoded| serde_json::from_slice::<Value>(&encoded.body).unwrap()["input"].clone();
    let kept = replay(&own.to_string(), json!("ok"));
    assert_eq!(items(&kept)[0], own);
    assert_eq!(items(&kept)[1], json!({"role": "assistant", "content": "ok"}));
    let alone = replay(&own.to_string(), Value::Null);
    assert_eq!(items(&alone), json!([{"role": "user", "content": "So?"}]));
    let foreign = replay("EqQBCgIYAhIM", json!("ok"));
    assert_eq!(items(&foreign)[0], json!({"role": "assistant", "content": "ok"}));
    assert_eq!(foreign.losses[0].field, "messages[].reasoning_content");
}

/// T7: names and ids that do not fit are mapped, and the names come back.
#[test]
fn names_come_back() {
    let tool = json!({"type": "function", "function": {"name": "a.b/get"}});
    let encoded = encode(&json!({ "tools": [tool] }));
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let wire = body["tools"][0]["name"].as_str().unwrap();
    assert_ne!(wire, "a.b/get");
    let answer = json!({"status": "completed", "output": [call("call_1", wire, "{}")]});
    let answer = UPSTREAM.decode(answer.to_string().as_bytes(), &encoded.memo).unwrap();
    let Block::ToolCall { id, name, .. } = &answer.blocks[0] else { panic!("{answer:?}") };
    assert_eq!((id.as_str(), name.as_str()), ("call_1", "a.b/get"));
}

/// A server that tells an item only when it is done, or only at the very end, is read all the same.
#[test]
fn what_was_not_told_on_the_way_is_taken_from_the_end() {
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "Hi"}]});
    let output = json!([message, call("call_1", "f", "")]);
    let items: Vec<Value> =
        (0..2).map(|at| json!({"type": "response.output_item.done", "output_index": at, "item": output[at]})).collect();
    let late = streamed(&[created(), items[0].clone(), items[1].clone(), completed(&json!([]))]);
    let last = streamed(&[created(), completed(&output)]);
    assert_eq!(late, last);
    assert_eq!((late.created, late.finish), (7, Finish::ToolCalls));
    let expected = Block::ToolCall {
        id: "call_1".into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: ToolKind::Function,
        cache: None,
    };
    assert_eq!(late.blocks, [Block::text("Hi"), expected]);
}

/// Calls that grow at the same time, as OpenAI allows them to.
#[test]
fn items_may_overlap() {
    let added = |at: u64, id: &str| json!({"type": "response.output_item.added", "output_index": at, "item": call(id, "f", "")});
    let arguments = |at, text| delta("response.function_call_arguments.delta", at, 0, text);
    let done = |at: u64, id: &str, text: &str| json!({"type": "response.output_item.done", "output_index": at, "item": call(id, "f", text)});
    let answer = streamed(&[
        created(),
        added(0, "a"),
        added(1, "b"),
        arguments(0, "[1"),
        arguments(1, "[2"),
        arguments(0, "]"),
        arguments(1, "]"),
        done(1, "b", "[2]"),
        done(0, "a", "[1]"),
        completed(&json!([])),
    ]);
    let read: Vec<_> = answer
        .blocks
        .iter()
        .map(|block| {
            let Block::ToolCall { id, arguments, .. } = block else { panic!("{block:?}") };
            format!("{id}{arguments}")
        })
        .collect();
    assert_eq!(read, ["a[1]", "b[2]"]);
}

/// S2: events of other names, and those of tools the vendor runs, say nothing; nor does `[DONE]`.
#[test]
fn unknown_events_are_passed_over() {
    let answer = streamed(&[
        json!({"type": "keepalive", "sequence_number": 0}),
        created(),
        json!({"type": "response.shell_call_command.delta", "command": 5}),
        json!({"type": "response.something.new", "delta": {}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "program", "id": 5}}),
        delta("response.output_text.delta", 1, 0, "Hi"),
        completed(&json!([])),
    ]);
    assert_eq!(answer.blocks, [Block::text("Hi")]);
    let mut decoder = UPSTREAM.decoder(Memo::default());
    let done = Frame { raw: None, event: None, data: Bytes::from_static(b"[DONE]") };
    decoder.frame(&done, &mut Vec::new()).unwrap();
    assert!(matches!(decoder.finish(&mut Vec::new()), Err(Error::Interrupted { .. })), "no end by itself (E1)");
    assert!(!UPSTREAM.accepts(&done).unwrap());
}

/// E2, M1: failures in both shapes keep their words and tell their class.
#[test]
fn failures_are_errors() {
    let failed = |error: Value| json!({"type": "response.failed", "response": {"status": "failed", "error": error}});
    for (event, class, code, message) in [
        (
            failed(json!({"code": "rate_limit_exceeded", "message": "Slow."})),
            Some(Class::RateLimit),
            Some("rate_limit_exceeded"),
            "Slow.",
        ),
        (
            failed(json!({"code": "context_length_exceeded", "message": "Long."})),
            Some(Class::ContextLength),
            Some("context_length_exceeded"),
            "Long.",
        ),
        (failed(json!({"code": "server_error", "message": "Oh."})), Some(Class::Server), Some("server_error"), "Oh."),
        (
            failed(Value::Null),
            None,
            None,
            "The upstream's answer is no finished response: it failed and does not say why.",
        ),
        (
            json!({"type": "error", "code": "insufficient_quota", "message": "Pay.", "param": null}),
            Some(Class::Quota),
            Some("insufficient_quota"),
            "Pay.",
        ),
        (
            json!({"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_prompt", "message": "No."}}),
            Some(Class::Invalid),
            Some("invalid_prompt"),
            "No.",
        ),
    ] {
        let (_, end) = events(&[created(), event.clone()]);
        let error = end.unwrap_err();
        let held = UPSTREAM.accepts(&frame(&event)).unwrap_err();
        assert_eq!(error.message(), message);
        assert_eq!(held.message(), message);
        if let Error::Upstream(error) = error {
            assert_eq!((Some(error.class), error.code.as_deref()), (class, code));
            assert_ne!(error.kind.as_deref(), Some("error"), "the event's type is none of an error's");
        } else {
            assert_eq!(class, None);
        }
    }
    assert!(UPSTREAM.accepts(&frame(&created())).unwrap());
    assert!(!UPSTREAM.accepts(&frame(&json!({"type": "response.queued"}))).unwrap());
}

/// M2, case 64: bodies that are no answers, and answers with `error: null` that are.
#[test]
fn bodies_without_an_answer_are_errors() {
    for body in ["", "null", "<html>", "{}", "[]", r#"{"status":"cancelled"}"#] {
        assert!(matches!(UPSTREAM.accepts_whole(body.as_bytes()), Err(Error::BadReply { .. })), "{body}");
        assert!(UPSTREAM.decode(body.as_bytes(), &Memo::default()).is_err(), "{body}");
    }
    let under_way = br#"{"status":"in_progress","output":[]}"#;
    assert!(UPSTREAM.accepts_whole(under_way).is_ok(), "whose bytes pass may have asked for it");
    assert!(UPSTREAM.decode(under_way, &Memo::default()).is_err());
    let error = UPSTREAM.accepts_whole(br#"{"error":{"message":"m","code":"server_is_overloaded"}}"#);
    assert!(matches!(error, Err(Error::Upstream(error)) if error.class == Class::Overloaded));
    let body = br#"{"status":"completed","error":null,"output":[],"usage":null}"#;
    UPSTREAM.accepts_whole(body).unwrap();
    assert_eq!(UPSTREAM.decode(body, &Memo::default()).unwrap().finish, Finish::Stop);
}

/// C2, C4: subsets are taken out of their sums.
#[test]
fn usage_is_disjoint() {
    let body = json!({"status": "completed", "output": [], "usage": {
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 150}});
    let usage = UPSTREAM.decode(body.to_string().as_bytes(), &Memo::default()).unwrap().usage.unwrap();
    let expected = Usage { input: 10, cache_read: 60, cache_write: 30, output: 50, reasoning: 20, ..Usage::default() };
    assert_eq!(usage, expected);
    assert_eq!(usage.prompt(), 100);
}

proptest! {
    /// R1, case 34: reasoning goes out to a chat client in `thinking_blocks` and comes back byte for
    /// byte, each before the item it led to.
    #[test]
    fn reasoning_survives_a_chat_client(turns in proptest::collection::vec((".{0,8}", "[a-zA-Z0-9+/=]{1,12}", any::<bool>()), 1..4)) {
        let mut output = Vec::new();
        for (at, (summary, sealed, has_text)) in turns.iter().enumerate() {
            let part = json!({"type": "summary_text", "text": summary});
            let summary = if summary.is_empty() { json!([]) } else { json!([part]) };
            output.push(json!({"id": format!("rs_{at}"), "type": "reasoning", "encrypted_content": sealed, "summary": summary}));
            if *has_text && at == 0 {
                output.push(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "t"}]}));
            }
        }
        output.push(call("call_1", "f", "{}"));
        let answer = json!({"id": "resp_1", "status": "completed", "output": output});
        let answer = UPSTREAM.decode(answer.to_string().as_bytes(), &Memo::default()).unwrap();
        let completion: Value = serde_json::from_slice(&CHAT.encode(&answer, &Asked::default())).unwrap();
        let body = written(&json!({
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "messages": [
                {"role": "user", "content": "Hi"},
                completion["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "call_1", "content": "x"},
            ],
        }));
        let items = body["input"].as_array().unwrap();
        let back: Vec<&Value> = items.iter().filter(|item| item["type"] == "reasoning").collect();
        let sent: Vec<&Value> = output.iter().filter(|item| item["type"] == "reasoning").collect();
        prop_assert_eq!(back, sent);
        prop_assert_eq!(&items[items.len() - 2]["type"], "function_call");
    }

    /// E1: no bytes make an end of what has none, and none make a panic.
    #[test]
    fn any_event_is_read_or_refused(name in "(response\\.(created|completed|failed|output_item\\.(added|done)|output_text\\.delta|content_part\\.done|function_call_arguments\\.delta)|error|x)", data in "[\\[\\]{}\":,a-z0-9_]{0,40}") {
        let mut decoder = UPSTREAM.decoder(Memo::default());
        let frame = Frame { raw: None, event: Some(Bytes::from(name)), data: Bytes::from(data) };
        let mut out = Vec::new();
        let _ = decoder.frame(&frame, &mut out);
        let _ = UPSTREAM.accepts(&frame);
        prop_assert_eq!(decoder.finish(&mut out).is_ok(), out.iter().any(|event| matches!(event, Event::Finish { .. })));
    }
}
