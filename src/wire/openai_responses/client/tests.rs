//! Questions read, answers written, bytes passed, crossed with the dialects of upstreams.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::OpenAiResponses;
use crate::{
    error::{Error, Result, UpstreamError},
    framing::Frame,
    ir::{
        Annotation, Block, Delta, Effort, Event, Finish, Logprob, Message, Opening, Output, Request, Response, Role,
        Source, ToolChoice, ToolKind, Usage,
    },
    wire::{
        Asked, ClientDialect, Facts, Memo, Relay, UpstreamDialect, anthropic::Anthropic, json::Object,
        openai_chat::OpenAiChat, translate,
    },
};

#[path = "../../../../tests/shared/responses_lifecycle.rs"]
mod lifecycle;

use lifecycle::{check, check_response};

const CLIENT: &dyn ClientDialect = &OpenAiResponses;

fn decode(body: &Value) -> Request {
    let mut body = body.clone();
    body["model"] = "public".into();
    CLIENT.decode(body.to_string().as_bytes()).unwrap()
}

fn refused(body: &Value) -> String {
    let mut body = body.clone();
    body["model"] = "public".into();
    let error = CLIENT.decode(body.to_string().as_bytes()).unwrap_err();
    let kind = error.kind();
    format!("{} {}", kind.code.unwrap_or_default(), kind.param.unwrap_or_default())
}

fn asked() -> Asked {
    let request = json!({"model": "public", "input": "Hi", "instructions": "Be brief.", "temperature": 0.5,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]});
    Asked {
        model: "public".into(),
        id: CLIENT.answer_id(Uuid::from_u128(7)),
        created: 1_795_000_001,
        request: request.to_string().into(),
        target: "ant/claude".into(),
        ..Asked::default()
    }
}

/// A stream of these events as the client gets it.
fn streamed(events: &[Event]) -> String {
    let mut encoder = CLIENT.encoder(asked());
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn start() -> Event {
    Event::Start { id: "up".into(), model: "m".into(), created: 1_795_000_000 }
}

fn finish(reason: Finish) -> Event {
    Event::Finish { reason, stop_sequence: None }
}

fn open(index: u32, block: Opening) -> Event {
    Event::Open { index, block }
}

fn delta(index: u32, delta: Delta) -> Event {
    Event::Delta { index, delta }
}

fn close(index: u32) -> Event {
    Event::Close { index }
}

fn call(id: &str, kind: ToolKind) -> Opening {
    Opening::ToolCall { id: id.into(), name: "f".into(), kind }
}

fn text(index: u32, pieces: &[&str]) -> Vec<Event> {
    let mut events = vec![open(index, Opening::Text)];
    events.extend(pieces.iter().map(|piece| delta(index, Delta::Text((*piece).into()))));
    events.push(close(index));
    events
}

fn answer(blocks: Vec<Block>, finish: Finish) -> Response {
    Response { blocks, finish, ..translate::fold([start()]) }
}

fn frame(event: &Value) -> Frame {
    let name = event["type"].as_str().unwrap().to_owned();
    Frame { raw: None, event: Some(Bytes::from(name)), data: Bytes::from(event.to_string()) }
}

/// R5, A6, T6, J1: every setting finds its place.
#[test]
fn settings_are_read() {
    let request = decode(&json!({
        "input": "Hi", "instructions": "Be brief.", "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.9,
        "reasoning": {"effort": "high", "summary": "auto", "mode": "pro"}, "parallel_tool_calls": false,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "safety_identifier": "u", "metadata": {"k": "v"}, "service_tier": "flex", "prompt_cache_key": "p",
        "stream": true, "store": false, "include": ["reasoning.encrypted_content"], "truncation": "disabled",
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "d"}},
            {"type": "web_search"},
        ],
        "client_metadata": {"a": "b"},
    }));
    assert_eq!((request.max_tokens, request.sampling.temperature), (Some(50), Some(0.5)));
    assert_eq!((request.reasoning.effort, request.verbosity.as_deref()), (Some(Effort::High), Some("low")));
    assert_eq!((request.user.as_deref(), request.service_tier.as_deref()), (Some("u"), Some("flex")));
    assert_eq!((request.parallel_tool_calls, request.stream), (Some(false), true));
    assert!(matches!(&request.output, Output::JsonSchema { name, .. } if name == "n"));
    let allowed = ToolChoice::Allowed { names: vec!["f".into()], required: true };
    assert_eq!(request.tool_choice, Some(allowed));
    let kinds: Vec<_> = request.tools.iter().map(|tool| (tool.name.as_str(), tool.kind, tool.strict)).collect();
    assert_eq!(kinds, [("f", ToolKind::Function, Some(true)), ("c", ToolKind::Custom, None)]);
    let grammar: Value = serde_json::from_str(request.tools[1].schema.as_ref().unwrap().get()).unwrap();
    assert_eq!(grammar["grammar"], json!({"syntax": "lark", "definition": "d"}));
    let extra: Vec<&str> = request.extra.keys().map(String::as_str).collect();
    assert_eq!(extra, ["client_metadata", "reasoning.mode", "tools[2]"], "named, so that nobody drops it in silence");
    let expected =
        [Message::new(Role::System, vec![Block::text("Be brief.")]), Message::new(Role::User, vec![Block::text("Hi")])];
    assert_eq!(request.messages, expected);
}

/// P2: tools in a group are offered under joined names, and their calls name both again.
#[test]
fn grouped_tools_keep_their_group() {
    let nested = json!([{"type": "function", "name": "find", "parameters": {"type": "object"}}, {"type": "x"}]);
    let body = json!({
        "model": "public",
        "tools": [{"type": "namespace", "name": "docs", "description": "Docs.", "tools": nested}],
        "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "1", "namespace": "docs", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "namespace", "name": "late", "tools": nested}]},
        ],
    });
    let request = decode(&body);
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["docs__find", "late__find"]);
    assert!(matches!(&request.messages[1].blocks[0], Block::ToolCall { name, .. } if name == "docs__find"));
    assert!(request.extra.contains_key("tools[0].tools[1]"), "{:?}", request.extra.keys());
    let called = |name: &str| {
        let block = Block::ToolCall {
            id: "c".into(),
            name: name.into(),
            arguments: "{}".into(),
            kind: ToolKind::Function,
            cache: None,
        };
        let asked = Asked { request: body.to_string().into(), ..asked() };
        let written = CLIENT.encode(&answer(vec![block], Finish::ToolCalls), &asked);
        let written: Value = serde_json::from_slice(&written).unwrap();
        check_response(&written);
        (written["output"][0]["namespace"].clone(), written["output"][0]["name"].clone())
    };
    assert_eq!(called("docs__find"), (json!("docs"), json!("find")));
    assert_eq!(called("late__find"), (json!("late"), json!("find")));
    assert_eq!(called("other__find"), (Value::Null, json!("other__find")));
}

/// T3, T4, R3: items become turns; what the model made is one, and results follow their calls.
#[test]
fn items_become_turns() {
    let request = decode(&json!({"input": [
        {"role": "user", "content": [
            {"type": "input_text", "text": "Look"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0=", "detail": "low"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "JVBE"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "So", "annotations": []}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "2", "name": "c", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "2", "output": "two"},
        {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "one"}]},
        {"role": "assistant", "content": "Done", "phase": "final_answer"},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "developer", "content": "Now"},
    ]}));
    let tool = |id: &str, name: &str, arguments: &str, kind| Block::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        kind,
        cache: None,
    };
    let result = |id: &str, text: &str| Block::ToolResult {
        id: id.into(),
        content: vec![Block::text(text)],
        is_error: false,
        cache: None,
    };
    let png = Source::Base64 { media_type: "image/png".into(), data: "iVBORw0=".into() };
    let pdf = Source::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() };
    let expected = [
        Message::new(
            Role::User,
            vec![
                Block::text("Look"),
                Block::Image { source: png, detail: Some("low".into()), cache: None },
                Block::Document { source: Source::File("file-1".into()), name: None, cache: None },
                Block::Document { source: pdf, name: Some("a.pdf".into()), cache: None },
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Block::Reasoning { text: "a\n\nb".into(), signature: None },
                Block::text("So"),
                tool("1", "f", "{}", ToolKind::Function),
                tool("2", "c", "x", ToolKind::Custom),
            ],
        ),
        Message::new(Role::User, vec![result("1", "one"), result("2", "two")]),
        Message::new(Role::Assistant, vec![Block::text("Done")]),
        Message::new(Role::Developer, vec![Block::text("Now")]),
    ];
    assert_eq!(request.messages, expected);
    assert_eq!((request.reasoning.effort, request.tools[0].name.as_str()), (Some(Effort::Low), "late"));
    assert_eq!(request.extra.keys().collect::<Vec<_>>(), ["input[10]", "input[].phase"]);
}

/// M1: what cannot be used is named by its path.
#[test]
fn malformed_requests_are_named() {
    let input = |item: Value| json!({ "input": [item] });
    for (body, expected) in [
        (json!({}), "missing_required_parameter input"),
        (json!({"input": 5}), "invalid_type input"),
        (input(json!({"role": "robot", "content": ""})), "invalid_value input[0].role"),
        (input(json!({"role": "user"})), "missing_required_parameter input[0].content"),
        (input(json!({"role": "user", "content": [{"type": "x"}]})), "invalid_value input[0].content[0].type"),
        (input(json!({"type": "function_call", "name": "f"})), "missing_required_parameter input[0].call_id"),
        (input(json!({"type": "function_call_output", "output": ""})), "missing_required_parameter input[0].call_id"),
        (input(json!({"id": "msg_1"})), "invalid_value input[0]"),
        (input(json!({"type": "item_reference", "id": "msg_1"})), "invalid_value input[0]"),
        (input(json!({"type": "compaction", "encrypted_content": "x"})), "invalid_value input[0]"),
        (input(json!({"type": "computer_call_output"})), "invalid_value input[0]"),
        (json!({"input": "x", "prompt": {"id": "p"}}), "unsupported_parameter prompt"),
        (json!({"input": "x", "reasoning": {"effort": "huge"}}), "invalid_value reasoning.effort"),
        (
            json!({"input": "x", "text": {"format": {"type": "json_schema", "name": "n"}}}),
            "missing_required_parameter text.format.schema",
        ),
        (json!({"input": "x", "tool_choice": {"type": "file_search"}}), "invalid_value tool_choice.type"),
    ] {
        assert_eq!(refused(&body), expected, "{body}");
    }
    assert!(CLIENT.decode(br#"{"input":"x"}"#).is_err(), "no model");
}

/// P1: text, a call, reasoning, refusals and an image, each in its order, and the settings said back.
#[test]
fn a_stream_has_every_kind_of_item() {
    let mut events = vec![start(), open(0, Opening::Reasoning), delta(0, Delta::Reasoning("Hm".into()))];
    events.extend([delta(0, Delta::Reasoning("m.".into())), delta(0, Delta::Signature("S1".into())), close(0)]);
    events.extend(text(1, &["Let me", "", " look."]));
    events.extend([open(2, Opening::Refusal), delta(2, Delta::Refusal("No.".into())), close(2)]);
    events.extend([open(3, call("call_1", ToolKind::Function)), close(3)]);
    events.extend([open(4, call("call_2", ToolKind::Custom)), delta(4, Delta::Arguments("x".into())), close(4)]);
    events.extend([open(5, Opening::RedactedReasoning { data: "R".into() }), close(5)]);
    let png = Source::Base64 { media_type: "image/png".into(), data: "iVBORw0=".into() };
    events.extend([open(6, Opening::Image { source: png }), close(6)]);
    events.extend([open(7, Opening::Text), close(7), open(8, Opening::Reasoning), close(8)]);
    events.push(Event::Usage(Usage { input: 3, cache_read: 2, output: 9, reasoning: 4, ..Usage::default() }));
    events.push(finish(Finish::ToolCalls));
    let checked = check(&streamed(&events));
    let response = &checked.response;
    let kinds: Vec<_> =
        response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["reasoning", "message", "function_call", "custom_tool_call", "reasoning", "image_generation_call"],
        "blocks with nothing to say are none"
    );
    assert_eq!(response["output"][1]["content"][0]["text"], "Let me look.");
    assert_eq!((&response["output"][2]["arguments"], &response["status"]), (&json!("{}"), &json!("completed")));
    assert_eq!((&response["model"], &response["created_at"]), (&json!("public"), &json!(1_795_000_000)));
    assert_eq!((&response["instructions"], &response["temperature"]), (&json!("Be brief."), &json!(0.5)));
    assert_eq!(response["tools"][0]["strict"], true);
    let usage = &response["usage"];
    assert_eq!((&usage["input_tokens"], &usage["total_tokens"]), (&json!(5), &json!(14)));
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 2);
    insta::assert_snapshot!("stream_of_every_kind", streamed(&events));
}

/// P1: blocks that overlap come out one after the other; a stream that was cut short says so.
#[test]
fn overlapping_and_unfinished_items_are_in_order() {
    let overlapping = [
        start(),
        open(0, call("a", ToolKind::Function)),
        open(1, call("b", ToolKind::Function)),
        delta(1, Delta::Arguments("[2".into())),
        delta(0, Delta::Arguments("[1]".into())),
        close(1),
        close(0),
        finish(Finish::Length),
    ];
    let response = check(&streamed(&overlapping)).response;
    assert_eq!(
        (&response["status"], &response["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let states: Vec<_> =
        (0..2).map(|at| (&response["output"][at]["call_id"], &response["output"][at]["status"])).collect();
    assert_eq!(states, [(&json!("a"), &json!("completed")), (&json!("b"), &json!("incomplete"))]);
    let filtered = check(&streamed(&[start(), finish(Finish::ContentFilter)])).response;
    assert_eq!(filtered["incomplete_details"]["reason"], "content_filter");
    check(&streamed(&[]));
}

/// Sources and log probabilities stand with the part they are of, at places counted from its start.
#[test]
fn sources_stand_with_their_part() {
    let cited = |start, end| Annotation { url: "https://a".into(), title: None, start, end };
    let weight = Logprob { token: "b".into(), logprob: -0.5, bytes: None, top: Vec::new() };
    let mut events = vec![start()];
    events.extend(text(0, &["ab\u{e9}"]));
    events.push(Event::Annotation(cited(0, 2)));
    events.extend([open(1, call("c", ToolKind::Function)), close(1)]);
    events.extend([open(2, Opening::Text), delta(2, Delta::Text("xyz".into()))]);
    events.extend([Event::Annotation(cited(4, 6)), Event::Logprobs(vec![weight.clone()]), close(2)]);
    events.push(finish(Finish::Stop));
    let streamed = check(&streamed(&events)).response;
    let mut whole = translate::fold(events);
    whole.finish = Finish::Stop;
    let written: Value = serde_json::from_slice(&CLIENT.encode(&whole, &asked())).unwrap();
    check_response(&written);
    assert_eq!(written["output"], streamed["output"], "R4");
    assert_eq!(streamed["output"][0]["content"][0]["annotations"][0]["end_index"], 2);
    let second = &streamed["output"][2]["content"][0];
    assert_eq!((&second["annotations"][0]["start_index"], &second["annotations"][0]["title"]), (&json!(1), &json!("")));
    assert_eq!(second["logprobs"][0], json!({"token": "b", "bytes": [98], "logprob": -0.5, "top_logprobs": []}));
}

/// P1: a whole answer has what a stream's last event has.
#[test]
fn a_whole_answer_is_a_streams_last_word() {
    let blocks = vec![Block::text("Hi"), Block::Refusal { text: "No.".into() }];
    let mut response = answer(blocks, Finish::Stop);
    response.service_tier = Some("flex".into());
    let written: Value = serde_json::from_slice(&CLIENT.encode(&response, &asked())).unwrap();
    check_response(&written);
    assert_eq!(
        (&written["service_tier"], &written["output"][0]["content"][1]["refusal"]),
        (&json!("flex"), &json!("No."))
    );
    insta::assert_snapshot!("whole_answer", written);
}

/// R1, R2, P4: what a target wants back of its reasoning goes through the client and returns as it
/// was; to another target it does not.
#[test]
fn reasoning_survives_the_client() {
    let content = json!([
        {"type": "thinking", "thinking": "hm", "signature": "S1=="},
        {"type": "redacted_thinking", "data": "D1"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]);
    let message = json!({"id": "m", "model": "c", "content": content, "stop_reason": "tool_use"});
    let upstream = UpstreamDialect::decode(&Anthropic, message.to_string().as_bytes(), &Memo::default()).unwrap();
    let written: Value = serde_json::from_slice(&CLIENT.encode(&upstream, &asked())).unwrap();
    let mut input = vec![json!({"role": "user", "content": "Hi"})];
    input.extend(written["output"].as_array().unwrap().iter().cloned());
    input.push(json!({"type": "function_call_output", "call_id": "toolu_1", "output": "x"}));
    let body = json!({"input": input, "tools": [{"type": "function", "name": "f"}]});
    let origin = CLIENT.made_by(body.to_string().as_bytes()).unwrap();
    assert_eq!((origin.target.as_str(), origin.model.as_str()), ("ant/claude", "public"));
    let request = decode(&body);
    let write = |target: &str| {
        let request = crate::wire::sealed::unseal(&request, target).unwrap();
        let facts = Facts { model: "claude-opus-5-5", ..Facts::default() };
        let body = UpstreamDialect::encode(&Anthropic, &request, &facts).unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap()["messages"][1]["content"].clone()
    };
    assert_eq!(write("ant/claude"), content);
    assert_eq!(write("ant/other"), json!([content[3]]), "another target would refuse it");
    // Nor may an upstream of this dialect see it, whose bytes pass.
    let text = body.to_string();
    let mut edits = Object::parse(text.as_bytes()).unwrap().edit();
    CLIENT.pass_on(&mut edits);
    let passed: Value = serde_json::from_str(&edits.apply()).unwrap();
    let kinds: Vec<_> = passed["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, [Value::Null, json!("function_call"), json!("function_call_output")]);
}

/// P2, case 68: nothing of a body that passes is touched where nothing is sealed.
#[test]
fn bodies_pass_as_they_are() {
    let body = br#"{ "input":[{"type":"additional_tools","tools":[{"type":"custom"},{"type":"namespace"}]}],"new_field":1.0e2}"#;
    let mut edits = Object::parse(body).unwrap().edit();
    CLIENT.pass_on(&mut edits);
    assert!(edits.is_empty());
}

fn created(id: &str) -> Value {
    let response: Value = serde_json::from_slice(&CLIENT.encode(&answer(vec![], Finish::Stop), &asked())).unwrap();
    let mut response = response;
    (response["id"], response["status"], response["completed_at"]) = (json!(id), json!("in_progress"), Value::Null);
    response
}

/// The stream of an upstream of this dialect, shortened.
fn upstream_stream() -> Vec<Value> {
    let mut completed = created("resp_up");
    let message = json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]});
    completed["status"] = "completed".into();
    completed["completed_at"] = json!(1);
    completed["output"] = json!([message]);
    completed["usage"] = json!({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7});
    let at = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
    let event = |kind: &str, more: Value| {
        let mut event = json!({ "type": kind });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let with = |more: Value| {
        let mut at = at.clone();
        at.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        at
    };
    let empty = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    let begun = json!({"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let mut events = vec![
        event("response.created", json!({"response": created("resp_up")})),
        event("response.in_progress", json!({"response": created("resp_up")})),
        event("response.output_item.added", json!({"output_index": 0, "item": begun})),
        event("response.content_part.added", with(json!({ "part": empty }))),
        event("response.output_text.delta", with(json!({"delta": "Hi", "logprobs": []}))),
        event("response.output_text.done", with(json!({"text": "Hi", "logprobs": []}))),
        event("response.content_part.done", with(json!({"part": message["content"][0]}))),
        event("response.output_item.done", json!({"output_index": 0, "item": message})),
        event("response.completed", json!({ "response": completed })),
    ];
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events
}

fn relayed(events: &[Value]) -> (Vec<Bytes>, Result<()>, Box<dyn Relay>) {
    let mut relay = CLIENT.relay(&asked());
    let mut out = VecDeque::new();
    let mut end = Ok(());
    for event in events {
        end = end.and_then(|()| relay.frame(frame(event), &mut out));
    }
    end = end.and_then(|()| relay.finish(&mut out));
    (out.into(), end, relay)
}

/// S2, P2: events pass with the JSON that came, unknown ones too, and are counted.
#[test]
fn events_pass_as_they_came() {
    let mut events = upstream_stream();
    let last = events.pop().unwrap();
    let unknown = json!({"type": "response.new.thing", "sequence_number": 8, "x": 1.0});
    let (out, end, relay) = relayed(&[&events[..], &[unknown.clone(), last.clone()]].concat());
    end.unwrap();
    assert_eq!(out.len(), 10);
    assert_eq!(out[8], format!("event: response.new.thing\ndata: {unknown}\n\n"));
    assert_eq!(out[9], format!("event: response.completed\ndata: {last}\n\n"));
    let tally = relay.tally();
    assert_eq!((tally.output_bytes, tally.finish), (2, Some(Finish::Stop)));
    assert_eq!(tally.usage.map(|usage| (usage.prompt(), usage.cache_read, usage.output)), Some((5, 1, 2)));
    let (_, end, _) = relayed(&events);
    assert!(matches!(end, Err(Error::Interrupted { .. })), "E1");
    let done = Frame { raw: None, event: None, data: Bytes::from_static(b"[DONE]") };
    let mut out = VecDeque::new();
    CLIENT.relay(&asked()).frame(done, &mut out).unwrap();
    assert!(out.is_empty());
}

/// M2, E2: whole answers pass as they came, failures do not.
#[test]
fn whole_answers_pass_as_they_came() {
    let body = Bytes::from(upstream_stream().pop().unwrap()["response"].to_string());
    let (passed, tally) = CLIENT.pass(&body).unwrap();
    assert_eq!(passed, body);
    assert_eq!((tally.finish, tally.usage.map(|usage| usage.output)), (Some(Finish::Stop), Some(2)));
    let queued = Bytes::from_static(br#"{"id":"resp_1","status":"queued","output":[]}"#);
    assert_eq!(CLIENT.pass(&queued).unwrap().1.finish, None);
    let failed =
        Bytes::from_static(br#"{"status":"failed","error":{"code":"server_error","message":"Oh."},"output":[]}"#);
    assert!(matches!(CLIENT.pass(&failed), Err(Error::Upstream(_))));
}

/// All that a client gets with a minder between, which puts in a sign of life where there is none.
fn minded(pieces: &[Option<Bytes>], error: Option<&Error>) -> String {
    let mut minder = CLIENT.minder(Uuid::from_u128(7)).unwrap();
    let mut heard = Vec::new();
    for piece in pieces {
        heard.push(match piece {
            Some(bytes) => minder.sends(bytes.clone()),
            None => minder.keep_alive(),
        });
    }
    heard.extend(error.map(|error| minder.error_frame(error)));
    heard.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
}

/// S6, S7, P1: signs of life are events whose numbers fit, on every route and at every place.
#[test]
fn signs_of_life_are_numbered() {
    let (passed, _, _) = relayed(&upstream_stream());
    let translated: Vec<Bytes> = {
        let whole = streamed(&[&[start()][..], &text(0, &["Hi", " there"]), &[finish(Finish::Stop)]].concat());
        whole.split_inclusive("\n\n").map(|event| Bytes::from(event.to_owned())).collect()
    };
    for pieces in [passed, translated] {
        for beats in 0..1u32 << pieces.len().min(9) {
            let mut all = vec![None];
            for (at, piece) in pieces.iter().enumerate() {
                all.push(Some(piece.clone()));
                let more = at + 1 < pieces.len();
                all.extend((0..2).filter(|_| more && beats & (1 << at.min(8)) != 0).map(|_| None));
            }
            let checked = check(&minded(&all, None));
            assert_eq!(checked.events.len(), all.iter().skip(1).count());
        }
        let joined = Bytes::from(pieces.concat());
        let text = minded(&[Some(joined)], None);
        assert_eq!(text.as_bytes(), pieces.concat(), "nothing is touched where nothing was put in");
        assert!(minded(&[None], None).starts_with(": keepalive\n"), "no answer to speak of yet");
        let kept = pieces.iter().map(|piece| {
            let text = std::str::from_utf8(piece).unwrap().replace("\"background\":false", "\"background\":true");
            [None, Some(Bytes::from(text))]
        });
        let resumable = minded(&kept.flatten().collect::<Vec<_>>(), None);
        assert_eq!(check(&resumable).events.len(), pieces.len(), "numbers that are kept stay what they are");
    }
}

/// E1, E2, M1: a failure is told in both forms, under the answer's own id, after whatever was sent.
#[test]
fn failures_end_a_stream_in_both_forms() {
    let (passed, _, _) = relayed(&upstream_stream());
    let upstream = UpstreamError {
        kind: Some("rate_limit_error".into()),
        code: Some("rate_limit_exceeded".into()),
        ..UpstreamError::new(http::StatusCode::TOO_MANY_REQUESTS, "Slow down.")
    };
    for (error, code, message) in [
        (Error::from(upstream), "rate_limit_exceeded", "Slow down."),
        (Error::Interrupted { message: "Gone.".into() }, "upstream_stream_interrupted", "Gone."),
        (Error::Internal { message: "bug".into() }, "internal_error", "The gateway failed to handle this request."),
    ] {
        for sent in 0..passed.len() {
            for beat in [false, true] {
                let mut pieces: Vec<_> = passed.iter().take(sent).cloned().map(Some).collect();
                pieces.extend(beat.then_some(None));
                let checked = check(&minded(&pieces, Some(&error)));
                assert_eq!(
                    (&checked.response["error"]["code"], &checked.response["error"]["message"]),
                    (&json!(code), &json!(message))
                );
                let id = if sent == 0 { json!(asked().id) } else { json!("resp_up") };
                assert_eq!(checked.response["id"], id);
                let told = &checked.events[checked.events.len() - 2];
                assert_eq!((&told["type"], &told["error"]["message"]), (&json!("error"), &json!(message)));
            }
        }
        let body: Value = serde_json::from_slice(&CLIENT.error(&error, Uuid::nil())).unwrap();
        assert_eq!(body["error"]["message"], message);
    }
}

/// Case 10, the other way round too: streams of other dialects as this one's.
#[test]
fn streams_of_other_dialects_are_written() {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        Frame { raw: None, event: None, data: Bytes::from(chunk.to_string()) }
    };
    let call = |index: u64, id: Value, arguments: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": if id.is_null() { Value::Null } else { json!("f") }, "arguments": arguments}}]});
    let mut relay = translate::Translate::new(OpenAiChat.decoder(Memo::default()), CLIENT.encoder(asked()));
    let mut out = VecDeque::new();
    for frame in [
        chunk(json!({"role": "assistant", "reasoning_content": "Hm."}), Value::Null),
        chunk(json!({"content": "Let me look."}), Value::Null),
        chunk(call(0, json!("call_1"), ""), Value::Null),
        chunk(call(1, json!("call_2"), "[2"), Value::Null),
        chunk(call(0, Value::Null, "[1]"), Value::Null),
        chunk(call(1, Value::Null, "]"), Value::Null),
        chunk(json!({}), json!("tool_calls")),
        Frame { raw: None, event: None, data: Bytes::from_static(b"[DONE]") },
    ] {
        relay.frame(frame, &mut out).unwrap();
    }
    let stream: String = out.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    let response = check(&stream).response;
    let calls: Vec<_> =
        response["output"].as_array().unwrap().iter().skip(2).map(|item| item["arguments"].clone()).collect();
    assert_eq!(calls, [json!("[1]"), json!("[2]")]);
    assert_eq!(response["output"][0]["summary"][0]["text"], "Hm.");
}

fn any_blocks() -> impl Strategy<Value = Vec<Block>> {
    let block = prop_oneof![
        ".{0,12}".prop_map(Block::text),
        ".{0,12}".prop_map(|text| Block::Refusal { text }),
        (".{0,12}", proptest::option::of(".{1,12}")).prop_map(|(text, signature)| Block::Reasoning { text, signature }),
        ".{1,12}".prop_map(|data| Block::RedactedReasoning { data }),
        ("[a-z]{1,8}", ".{0,12}", any::<bool>()).prop_map(|(id, arguments, custom)| Block::ToolCall {
            id,
            name: "f".into(),
            arguments,
            kind: if custom { ToolKind::Custom } else { ToolKind::Function },
            cache: None,
        }),
    ];
    proptest::collection::vec(block, 0..8)
}

proptest! {
    /// P1, R4: whatever the blocks, in whatever overlap, the stream passes the rules and ends with
    /// the whole answer.
    #[test]
    fn any_answer_passes_the_rules(blocks in any_blocks(), order in any::<u64>(), cut in any::<bool>()) {
        let reason = if cut { Finish::Length } else { Finish::Stop };
        let whole = answer(blocks, reason);
        let events = translate::unfold(&whole);
        let checked = check(&streamed(&overlapped(events, order)));
        let written: Value = serde_json::from_slice(&CLIENT.encode(&whole, &asked())).unwrap();
        check_response(&written);
        prop_assert_eq!(&written, &checked.response);
    }

    /// No body makes a panic, and what is read can be said again.
    #[test]
    fn any_body_is_read_or_refused(body in "[\\[\\]{}\":,a-z0-9_ ]{0,60}") {
        let _ = CLIENT.decode(body.as_bytes());
        let mut minder = CLIENT.minder(Uuid::nil()).unwrap();
        let _ = minder.sends(Bytes::from(format!("event: response.created\ndata: {body}\n\n")));
        let _ = (minder.keep_alive(), minder.error_frame(&Error::ShuttingDown));
        let _ = CLIENT.encoder(Asked { request: Bytes::from(body), ..asked() });
    }
}

/// The same events with each block's end, and some of its pieces, moved behind later ones.
fn overlapped(events: Vec<Event>, order: u64) -> Vec<Event> {
    let mut late: Vec<Event> = Vec::new();
    let mut out = Vec::new();
    let mut bits = order;
    for event in events {
        let is_end = matches!(event, Event::Close { .. });
        if matches!(event, Event::Finish { .. } | Event::Usage(_)) {
            out.append(&mut late);
        }
        if is_end && bits & 1 == 1 {
            late.push(event);
        } else {
            out.push(event);
        }
        bits = bits.rotate_right(1);
    }
    out
}
