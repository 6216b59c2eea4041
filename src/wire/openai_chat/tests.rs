//! The dialect against documented traffic, and the rules that hold for any.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    error::Class,
    ir::{Block, Delta, Event, Finish, Opening, ToolKind, Usage},
    wire::{Loss, Relay, Weight, signature::Signed, translate},
};

fn asked(include_usage: bool) -> Asked {
    Asked { model: "fast".into(), include_usage, id: "chatcmpl-own".into(), created: 7, ..Asked::default() }
}

fn frame(data: &str) -> Frame {
    Frame { raw: None, event: None, data: Bytes::copy_from_slice(data.as_bytes()) }
}

/// Decodes data lines; panics where the grammar of events is broken.
fn events(lines: &[&str]) -> Result<Vec<Event>> {
    let mut decoder = OpenAiChat.decoder(Memo::default());
    let mut out = Vec::new();
    for line in lines {
        decoder.frame(&frame(line), &mut out)?;
    }
    decoder.finish(&mut out)?;
    let mut grammar = translate::Grammar::default();
    out.iter().for_each(|event| grammar.check(event));
    Ok(out)
}

fn deltas(lines: &[Value]) -> Result<ir::Response> {
    let chunk = |delta: &Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta}]}).to_string();
    let mut lines: Vec<_> = lines.iter().map(chunk).collect();
    lines.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string());
    events(&lines.iter().map(String::as_str).collect::<Vec<_>>()).map(translate::fold)
}

fn encoded(events: &[Event], include_usage: bool) -> String {
    let mut encoder = OpenAiChat.encoder(asked(include_usage));
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn chunks(stream: &str) -> Vec<Value> {
    let lines = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn refused(body: &Value) -> (Option<&'static str>, Option<String>) {
    let Err(Error::Invalid { code, param, .. }) = ClientDialect::decode(&OpenAiChat, body.to_string().as_bytes())
    else {
        panic!("{body} was not refused")
    };
    (code, param)
}

fn call(id: &str, name: &str) -> Opening {
    Opening::ToolCall { id: id.into(), name: name.into(), kind: ToolKind::Function }
}

/// T3, T4, R1, C1: the documented request, read and written again.
#[test]
fn request_round_trip() {
    let body = include_bytes!("../../../tests/fixtures/openai/tools/request.json");
    let request = ClientDialect::decode(&OpenAiChat, body).unwrap();
    insta::assert_debug_snapshot!("request_ir", request);
    let facts = Facts { model: "gpt-x", stream: true, has_custom_tools: true, ..Facts::default() };
    let written = UpstreamDialect::encode(&OpenAiChat, &request, &facts).unwrap();
    assert!(written.losses.is_empty(), "{:?}", written.losses);
    let value: Value = serde_json::from_slice(&written.body).unwrap();
    insta::assert_json_snapshot!("request_written", value);
    let again = ClientDialect::decode(&OpenAiChat, &written.body).unwrap();
    assert_eq!(again.messages, request.messages);
    assert!(again.tools.iter().zip(&request.tools).all(|(a, b)| format!("{a:?}") == format!("{b:?}")));
}

/// T1, T2, S1, C4: the documented stream, read and written again.
#[test]
fn stream_round_trip() {
    let text = include_str!("../../../tests/fixtures/openai/tools/stream.sse");
    let mut relay = translate::Translate::new(OpenAiChat.decoder(Memo::default()), OpenAiChat.encoder(asked(true)));
    let mut out = VecDeque::new();
    for data in text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        relay.frame(frame(data), &mut out).unwrap();
    }
    assert!(relay.is_done());
    assert_eq!(relay.tally().finish, Some(Finish::ToolCalls));
    assert_eq!(relay.tally().usage.map(|usage| usage.prompt()), Some(9));
    let stream: String = out.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    insta::assert_snapshot!("stream_written", stream);
}

/// M1, C4: the documented answer, read and written again; R4: unfolded, it is the same.
#[test]
fn answer_round_trip() {
    let body = include_bytes!("../../../tests/fixtures/openai/text/response.json");
    let response = UpstreamDialect::decode(&OpenAiChat, body, &Memo::default()).unwrap();
    let written: Value = serde_json::from_slice(&ClientDialect::encode(&OpenAiChat, &response, &asked(false))).unwrap();
    insta::assert_json_snapshot!("answer_written", written);
    let folded = translate::fold(translate::unfold(&response));
    assert_eq!(folded, ir::Response { service_tier: None, ..response });
}

/// Regression case 1, S1: one usage chunk, last, with empty choices; before it only `null`.
#[test]
fn usage_comes_once_and_only_when_asked() {
    let usage = Usage { input: 5, output: 2, ..Usage::default() };
    let events = [
        Event::Start { id: "m".into(), model: "u".into(), created: 1 },
        Event::Usage(usage),
        Event::Open { index: 0, block: Opening::Text },
        Event::Delta { index: 0, delta: Delta::Text("a\u{2028}b".into()) },
        Event::Close { index: 0 },
        Event::Usage(usage),
        Event::Finish { reason: Finish::Stop, stop_sequence: None },
    ];
    let stream = encoded(&events, true);
    assert!(stream.ends_with("}\n\ndata: [DONE]\n\n") && !stream.contains('\u{2028}'), "{stream}");
    let all = chunks(&stream);
    let (last, rest) = all.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!((&last["usage"]["prompt_tokens"], &last["usage"]["total_tokens"]), (&json!(5), &json!(7)));
    assert!(rest.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{stream}");
    assert_eq!(rest[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert!(chunks(&encoded(&events, false)).iter().all(|chunk| chunk.get("usage").is_none()));
}

/// Regression cases 24 and 25, T1, T2; R1: signatures whole and once.
#[test]
fn calls_and_signatures_are_encoded() {
    let events = [
        Event::Start { id: "m".into(), model: "u".into(), created: 1 },
        Event::Open { index: 0, block: Opening::Reasoning },
        Event::Delta { index: 0, delta: Delta::Reasoning("H".into()) },
        Event::Delta { index: 0, delta: Delta::Reasoning("m".into()) },
        Event::Delta { index: 0, delta: Delta::Signature("S".into()) },
        Event::Close { index: 0 },
        Event::Open { index: 1, block: call("t1", "f") },
        Event::Delta { index: 1, delta: Delta::Arguments(String::new()) },
        Event::Delta { index: 1, delta: Delta::Arguments("{\"a\":1}".into()) },
        Event::Close { index: 1 },
        Event::Open { index: 2, block: call("t2", "g") },
        Event::Close { index: 2 },
        Event::Finish { reason: Finish::ToolCalls, stop_sequence: None },
    ];
    insta::assert_snapshot!("calls_written", encoded(&events, false));
}

/// R1, regression case 34: what the client got is what it sends back.
#[test]
fn thinking_survives_the_client() {
    let blocks = vec![
        Block::Reasoning { text: "Hm".into(), signature: Some("S1".into()) },
        Block::RedactedReasoning { data: "D1".into() },
        Block::Reasoning { text: String::new(), signature: Some("S2".into()) },
        Block::ToolCall {
            id: "t".into(),
            name: "f".into(),
            arguments: "{}".into(),
            kind: ir::ToolKind::Function,
            cache: None,
        },
    ];
    let response = ir::Response { blocks: blocks.clone(), ..translate::fold([]) };
    let whole: Value = serde_json::from_slice(&ClientDialect::encode(&OpenAiChat, &response, &asked(false))).unwrap();
    let body = json!({"model": "m", "messages": [whole["choices"][0]["message"]]}).to_string();
    let request = ClientDialect::decode(&OpenAiChat, body.as_bytes()).unwrap();
    assert_eq!(request.messages[0].blocks, blocks);
    // The same as an upstream's answer, whole and streamed.
    let read = UpstreamDialect::decode(&OpenAiChat, whole.to_string().as_bytes(), &Memo::default()).unwrap();
    assert_eq!(read.blocks, blocks);
    let stream = encoded(&translate::unfold(&response), false);
    let lines: Vec<_> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(translate::fold(events(&lines).unwrap()).blocks, blocks);
}

/// R2: Google's signatures stand where Google's own endpoint puts them, whole and streamed, and come
/// back to the place they had.
#[test]
fn googles_signatures_survive_the_client() {
    let call = |id: &str| Block::ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: ToolKind::Function,
        cache: None,
    };
    let blocks = vec![
        Block::text("Hm."),
        Signed::Part.block("T"),
        Signed::Call.block("S1"),
        call("t1"),
        call("t2"),
        Signed::Call.block("S3"),
        call("t3"),
    ];
    let response = ir::Response { blocks: blocks.clone(), ..translate::fold([]) };
    let whole: Value = serde_json::from_slice(&ClientDialect::encode(&OpenAiChat, &response, &asked(false))).unwrap();
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["extra_content"]["google"]["thought_signature"], "T");
    assert_eq!(message["tool_calls"][0]["extra_content"], json!({"google": {"thought_signature": "S1"}}));
    assert_eq!(message["tool_calls"][1].get("extra_content"), None);
    assert_eq!(message.get("thinking_blocks"), None);
    let body = json!({"model": "m", "messages": [message]}).to_string();
    assert_eq!(ClientDialect::decode(&OpenAiChat, body.as_bytes()).unwrap().messages[0].blocks, blocks);
    insta::assert_snapshot!("signatures_written", encoded(&translate::unfold(&response), false));

    let alone = ir::Response { blocks: blocks[2..4].to_vec(), ..translate::fold([]) };
    let first = &chunks(&encoded(&translate::unfold(&alone), false))[0]["choices"][0]["delta"];
    assert_eq!(first["content"], Value::Null, "an answer that begins with a call has no text");
    let litellm = json!({"id": "t", "type": "function", "function": {"name": "f"},
        "provider_specific_fields": {"thought_signature": "S"}});
    let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [litellm]}]}).to_string();
    let request = ClientDialect::decode(&OpenAiChat, body.as_bytes()).unwrap();
    assert_eq!(request.messages[0].blocks[0], Signed::Call.block("S"));
}

/// Log probabilities and images go the same ways as text: whole and streamed, out and in again.
#[test]
fn logprobs_and_images_survive() {
    let image = |data: &str| Block::Image {
        source: ir::Source::Base64 { media_type: "image/png".into(), data: data.into() },
        detail: None,
        cache: None,
    };
    let logprob = |token: &str| ir::Logprob { token: token.into(), logprob: -0.5, bytes: None, top: Vec::new() };
    let response = ir::Response {
        blocks: vec![Block::text("ab"), image("iVBO"), image("Rw0K")],
        logprobs: vec![ir::Logprob { top: vec![logprob("a")], ..logprob("a") }, logprob("b")],
        ..translate::fold([])
    };
    let whole: Value = serde_json::from_slice(&ClientDialect::encode(&OpenAiChat, &response, &asked(false))).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["images"][1]["image_url"]["url"], "data:image/png;base64,Rw0K");
    assert_eq!(choice["logprobs"]["content"][1]["bytes"], json!([98]));
    let read = UpstreamDialect::decode(&OpenAiChat, whole.to_string().as_bytes(), &Memo::default()).unwrap();
    assert_eq!((&read.blocks, &read.logprobs), (&response.blocks, &response.logprobs));
    let stream = encoded(&translate::unfold(&response), false);
    let lines: Vec<_> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    let read = translate::fold(events(&lines).unwrap());
    assert_eq!((&read.blocks, &read.logprobs), (&response.blocks, &response.logprobs));
    let body = json!({"model": "m", "messages": [choice["message"]]}).to_string();
    let request = ClientDialect::decode(&OpenAiChat, body.as_bytes()).unwrap();
    assert_eq!(request.messages[0].blocks, response.blocks);
    let facts = Facts { model: "m", ..Facts::default() };
    let losses = UpstreamDialect::encode(&OpenAiChat, &request, &facts).unwrap().losses;
    assert_eq!(losses, [Loss { field: "messages[0].images".into(), weight: Weight::Hint }]);
}

/// Design section 6.2: what cannot be carried is named, with its weight.
#[test]
fn losses_are_named() {
    let body = json!({"model": "m", "n": 2, "logprobs": true, "audio": {"voice": "v"}, "store": false, "modalities": ["text"],
        "speed": "fast", "logit_bias": {"1": 2}, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "web_search"}, {"type": "function", "function": {"name": "a.b"}}]});
    let mut request = ClientDialect::decode(&OpenAiChat, body.to_string().as_bytes()).unwrap();
    let source = ir::Source::File("file-1".into());
    request.messages[0].blocks.push(Block::Image { source, detail: None, cache: None });
    let facts = Facts { model: "m", ..Facts::default() };
    let encoded = UpstreamDialect::encode(&OpenAiChat, &request, &facts).unwrap();
    let losses: Vec<_> =
        encoded.losses.iter().map(|loss| (loss.field.as_str(), loss.weight == Weight::Meaning)).collect();
    let expected = [("n", true), ("audio", true), ("speed", false), ("tools[0]", false), ("messages[0].content", true)];
    assert_eq!(losses, expected);
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!((&written["logit_bias"], &written["logprobs"]), (&json!({"1": 2}), &json!(true)));
    let wire = written["tools"][0]["function"]["name"].as_str().unwrap();
    assert_eq!(encoded.memo.tool_names.get(wire).map(String::as_str), Some("a.b"), "T7");
}

/// M1, and clients that nest messages or leave out call ids.
#[test]
fn bad_requests_name_the_field() {
    let body = |messages: Value| json!({"model": "m", "messages": messages});
    for (body, code, param) in [
        (json!({"messages": []}), "missing_required_parameter", "model"),
        (json!({"model": "m"}), "missing_required_parameter", "messages"),
        (body(json!([])), "empty_array", "messages"),
        (body(json!([{"role": "user"}])), "missing_required_parameter", "messages[0].content"),
        (body(json!([{"role": "king", "content": "x"}])), "invalid_value", "messages[0].role"),
        (body(json!([{"role": "user", "content": 5}])), "invalid_type", "messages[0].content"),
        (body(json!([{"role": "user", "content": [{"type": "x"}]}])), "invalid_value", "messages[0].content[0].type"),
        (
            body(json!([{"role": "user", "content": [{"role": "user", "content": "x"}]}])),
            "invalid_value",
            "messages[0].content[0]",
        ),
        (body(json!([{"role": "tool", "content": "x"}])), "missing_required_parameter", "messages[0].tool_call_id"),
    ] {
        assert_eq!(refused(&body), (Some(code), Some(param.into())), "{body}");
    }
}

/// Compatible servers' tool calls: no index, no id, one index for all, object arguments (T1, T2, T3).
#[test]
fn vendors_tool_calls_come_apart() {
    let names = |response: &ir::Response| -> Vec<String> {
        let mut names = Vec::new();
        for block in &response.blocks {
            if let Block::ToolCall { name, arguments, id, .. } = block {
                assert!(!id.is_empty(), "{response:?}");
                names.push(format!("{name}{arguments}"));
            }
        }
        names
    };
    let function = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let whole = deltas(&[
        json!({"tool_calls": [{"function": function("f", json!({"a": 1}))}, {"function": function("f", json!("{}"))}]}),
    ])
    .unwrap();
    assert_eq!(names(&whole), ["f{\"a\":1}", "f{}"]);
    assert_eq!(whole.finish, Finish::ToolCalls, "S4");
    let zeros = deltas(&[
        json!({"tool_calls": [{"index": 0, "id": "a", "function": function("f", json!("{}"))}]}),
        json!({"tool_calls": [{"index": 0, "id": "b", "function": function("f", json!("[]"))}]}),
    ])
    .unwrap();
    assert_eq!(names(&zeros), ["f{}", "f[]"]);
    let pieces = deltas(&[
        json!({"tool_calls": [{"index": 0, "id": "a", "function": function("f", json!("{"))}]}),
        json!({"tool_calls": [{"index": 0, "id": "", "function": {"name": "", "arguments": "}"}}]}),
    ])
    .unwrap();
    assert_eq!(names(&pieces), ["f{}"]);
}

/// R4: reasoning under every name.
#[test]
fn vendors_reasoning_is_found() {
    for delta in [
        json!({"reasoning_content": "Hm", "content": "Hi"}),
        json!({"reasoning_content": "", "reasoning": "Hm", "content": "Hi"}),
        json!({"content": "Hi", "reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hi"}]}),
    ] {
        let blocks = deltas(std::slice::from_ref(&delta)).unwrap().blocks;
        assert_eq!(blocks, [Block::Reasoning { text: "Hm".into(), signature: None }, Block::text("Hi")], "{delta}");
    }
}

/// E1, E2, M2: failures under a success status.
#[test]
fn failures_in_band_are_errors() {
    let status = |error: &Error| error.status().as_u16();
    let too_long = r#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#;
    let error = OpenAiChat.accepts(&frame(too_long)).unwrap_err();
    assert_eq!((status(&error), error.message()), (400, "too long".into()), "regression case 8");
    assert!(matches!(events(&["[DONE]"]), Err(Error::BadReply { .. })), "regression case 7");
    let cut = json!({"choices": [{"index": 0, "delta": {"content": "a"}}]}).to_string();
    assert!(matches!(events(&[&cut]), Err(Error::Interrupted { .. })));
    let base = r#"{"id":"","choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#;
    assert_eq!(status(&events(&[base]).unwrap_err()), 429);
    for body in ["", "null", "<html>", "{}", r#"{"choices":null}"#, r#"{"choices":[{}]}"#, r#"{"error":{"code":502}}"#]
    {
        let error = UpstreamDialect::decode(&OpenAiChat, body.as_bytes(), &Memo::default()).unwrap_err();
        assert_eq!(status(&error), 502, "regression case 64: {body}");
    }
}

/// M1, M3, F1, regression cases 58 and 63: every shape, and what it means.
#[test]
fn error_bodies_are_read_in_every_shape() {
    for (status, body, class, message) in [
        (400, r#"{"error":{"message":"m","type":"t","param":"None","code":null}}"#, Class::Invalid, "m"),
        (429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, Class::Quota, "m"),
        (
            400,
            r#"{"error":{"message":"You have reached your specified API usage limits."}}"#,
            Class::Quota,
            "You have reached your specified API usage limits.",
        ),
        (400, r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, Class::ContextLength, "m"),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size"}}"#,
            Class::ContextLength,
            "the request exceeds the available context size",
        ),
        (403, r#"{"error":{"code":403,"message":"m","metadata":{"flagged_input":"x"}}}"#, Class::ContentPolicy, "m"),
        (403, r#"{"error":"m"}"#, Class::Credentials, "m"),
        (422, r#"{"detail":[{"loc":["body","x"],"msg":"m","type":"t"}]}"#, Class::Invalid, "m"),
        (404, r#"{"error":"m"}"#, Class::NotFound, "m"),
        (401, r#"{"id":"unauthorized","message":"m","request_id":"r"}"#, Class::Credentials, "m"),
        (400, r#"[{"error":{"code":400,"message":"m"}}]"#, Class::Invalid, "m"),
        (409, r#"{"error":{"message":"m"}}"#, Class::Conflict, "m"),
        (409, r#"{"error":{"message":"Please try again"}}"#, Class::Transient, "Please try again"),
        (529, "", Class::Overloaded, "The upstream answered 529 <unknown status code> without a usable message."),
        (502, "<html>x</html>", Class::Server, "The upstream answered 502 Bad Gateway without a usable message."),
        (500, "plain", Class::Server, "plain"),
    ] {
        let error = UpstreamDialect::error(
            &OpenAiChat,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        );
        assert_eq!((error.class, error.message.as_str()), (class, message), "{status} {body}");
        assert!(![error.param, error.code].contains(&Some("None".into())), "{body}");
    }
}

/// S7, E2: how a stream that has begun is kept alive, and how it ends badly.
#[test]
fn frames_that_are_no_chunks() {
    assert_eq!(OpenAiChat.keep_alive(), ": keepalive\n");
    let frame = OpenAiChat.error_frame(&Error::Interrupted { message: "cut".into() }, uuid::Uuid::nil());
    let expected =
        r#"data: {"error":{"message":"cut","type":"server_error","param":null,"code":"upstream_stream_interrupted"}}"#;
    assert_eq!(frame, format!("{expected}\n\ndata: [DONE]\n\n"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        "[a-z]{0,3}",
        prop::sample::select(vec![
            "messages",
            "role",
            "content",
            "type",
            "tool",
            "assistant",
            "tool_calls",
            "function",
            "text"
        ])
        .prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// T1: any split of the arguments gives the same arguments.
    #[test]
    fn split_arguments_reassemble(value in any_json(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let text: Vec<char> = json!({"a": value}).to_string().chars().collect();
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let mut lines = vec![json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]})];
        lines.extend(at.windows(2).map(|pair| {
            let piece: String = text[pair[0]..pair[1]].iter().collect();
            json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        }));
        let response = deltas(&lines).unwrap();
        let stream = encoded(&translate::unfold(&response), false);
        let sent: String = chunks(&stream).iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().map(String::from))
            .collect();
        prop_assert_eq!(sent, text.iter().collect::<String>());
    }

    /// No value of any field is a panic, as a request, an answer, a chunk or an error.
    #[test]
    fn any_value_is_read_or_refused(messages in any_json(), other in any_json(), key in "[a-z_]{1,12}") {
        for body in [json!({"model": "m", "messages": [messages.clone()], "tools": other, key: other}), json!({"model": "m", "messages": messages})] {
            let _ = ClientDialect::decode(&OpenAiChat, body.to_string().as_bytes());
        }
        let chunk = json!({"id": other, "choices": [{"delta": messages, "message": messages, "finish_reason": "stop"}], "usage": other}).to_string();
        let _ = events(&[&chunk]);
        let _ = UpstreamDialect::decode(&OpenAiChat, chunk.as_bytes(), &Memo::default());
        let error = UpstreamDialect::error(&OpenAiChat, StatusCode::BAD_REQUEST, &HeaderMap::new(), other.to_string().as_bytes());
        prop_assert!(!error.message.is_empty());
    }
}

/// A streamed call of a custom tool is one on the client's side, whole and in pieces.
#[test]
fn custom_calls_are_streamed_as_custom() {
    let memo = Memo { custom_tools: vec!["patch".into()], ..Memo::default() };
    let mut decoder = OpenAiChat.decoder(memo);
    let mut told = Vec::new();
    let piece = |custom: Value| json!({"choices": [{"index": 0, "delta": {"tool_calls": [custom]}}]}).to_string();
    for line in [
        piece(json!({"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "patch", "input": ""}})),
        piece(json!({"index": 0, "custom": {"input": "*** Begin"}})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}).to_string(),
    ] {
        decoder.frame(&frame(&line), &mut told).unwrap();
    }
    let kinds = |events: &[Event]| translate::unfold(&translate::fold(events.to_vec()));
    assert!(
        kinds(&told)
            .iter()
            .any(|event| matches!(event, Event::Open { block: Opening::ToolCall { kind: ToolKind::Custom, .. }, .. }))
    );
    let calls: Vec<Value> = chunks(&encoded(&told, false))
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0").cloned())
        .collect();
    assert_eq!(
        calls,
        [
            json!({"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "patch", "input": ""}}),
            json!({"index": 0, "custom": {"input": "*** Begin"}}),
        ]
    );
}

/// A client of the deprecated `functions` is answered in its own words, streamed or not.
#[test]
fn old_questions_get_old_answers() {
    let body = json!({"model": "m", "functions": [{"name": "now"}], "messages": [{"role": "user", "content": "?"}]});
    let request = ClientDialect::decode(&OpenAiChat, body.to_string().as_bytes()).unwrap();
    assert!(request.legacy_functions);
    assert_eq!(request.parallel_tool_calls, Some(false));
    let asked = Asked { legacy_functions: true, ..asked(false) };

    let events = [
        Event::Start { id: "c".into(), model: "m".into(), created: 1 },
        Event::Open { index: 0, block: call("call_1", "now") },
        Event::Delta { index: 0, delta: Delta::Arguments("{\"a\":1}".into()) },
        Event::Close { index: 0 },
        Event::Open { index: 1, block: call("call_2", "late") },
        Event::Close { index: 1 },
        Event::Finish { reason: Finish::ToolCalls, stop_sequence: None },
    ];
    let whole: Value =
        serde_json::from_slice(&ClientDialect::encode(&OpenAiChat, &translate::fold(events.to_vec()), &asked)).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "now", "arguments": "{\"a\":1}"}));
    assert_eq!((&choice["message"]["content"], choice["message"].get("tool_calls")), (&Value::Null, None));
    assert_eq!(choice["finish_reason"], "function_call");

    let mut encoder = OpenAiChat.encoder(asked);
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    let chunks = chunks(std::str::from_utf8(&out).unwrap());
    let calls: Vec<_> = chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/function_call")).collect();
    assert_eq!(calls, [&json!({"name": "now", "arguments": ""}), &json!({"arguments": "{\"a\":1}"})]);
    assert!(!std::str::from_utf8(&out).unwrap().contains("tool_calls"));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "function_call");
}

/// An upstream that gives no ids gets ones that are the same each time and differ between answers.
#[test]
fn missing_ids_are_minted_from_the_answer() {
    let ids = |answer: &str| -> Vec<String> {
        let call = json!({"function": {"name": "f", "arguments": "{}"}});
        let line = json!({"id": answer, "choices": [{"index": 0, "delta": {"tool_calls": [call, call]},
            "finish_reason": "tool_calls"}]});
        let blocks = translate::fold(events(&[&line.to_string()]).unwrap()).blocks;
        let id = |block: &Block| if let Block::ToolCall { id, .. } = block { id.clone() } else { panic!("{block:?}") };
        blocks.iter().map(id).collect()
    };
    assert_eq!(ids("a"), ids("a"));
    let (a, b) = (ids("a"), ids("b"));
    assert!(a[0] != a[1] && a[0] != b[0] && a[0].starts_with("call_"), "{a:?} {b:?}");
}

/// E2: an error in place of an answer is found before the answer is given to anybody, wherever
/// the vendor puts it; an answer is not read twice.
#[test]
fn whole_errors_are_not_accepted() {
    for body in [
        r#"{"error":{"message":"m","code":"1302"}}"#,
        r#"{"base_resp":{"status_code":1002,"status_msg":"m"},"choices":null}"#,
        r#"{"object":"error","message":"m","code":"x"}"#,
        r#"{"detail":"m"}"#,
    ] {
        let Err(Error::Upstream(error)) = OpenAiChat.accepts_whole(body.as_bytes()) else { panic!("{body}") };
        assert_eq!((error.message.as_str(), error.dialect), ("m", Some(crate::dialect::Dialect::OpenAiChat)));
    }
    let answer =
        r#"{"choices":[{"message":{"content":"\"error\""},"finish_reason":"stop"}],"base_resp":{"status_code":0}}"#;
    assert!(OpenAiChat.accepts_whole(answer.as_bytes()).is_ok());
}
