//! Requests in, answers out, both judged by the vendor's description of them.

use std::{collections::VecDeque, fmt::Write};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{super::golden, lifecycle::judge, *};
use crate::{
    error::{Class, Clock, UpstreamError},
    framing::sse::Framer,
    ir::{Annotation, Block, Delta, Event, Finish, Opening, Role, ToolKind, Usage},
    wire::{Facts, Memo, UpstreamDialect, json::Object, openai_chat::OpenAiChat, translate},
};

const CLIENT: &dyn ClientDialect = &Anthropic;

fn asked() -> Asked {
    Asked { model: "public".into(), id: "msg_ours".into(), prompt_estimate: 11, ..Asked::default() }
}

fn encoded(events: &[Event]) -> String {
    let mut encoder = CLIENT.encoder(asked());
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// Reads a stream that must be whole and without an error, and returns its message.
fn message(stream: &str) -> Value {
    let told = judge(stream).unwrap_or_else(|why| panic!("{why}\n{stream}"));
    assert!(told.complete && told.error.is_none(), "{stream}");
    told.message
}

fn start() -> Event {
    Event::Start { id: "msg_1".into(), model: "m".into(), created: 0 }
}

fn open(index: u32, block: Opening) -> Event {
    Event::Open { index, block }
}

fn text(index: u32, text: &str) -> Event {
    Event::Delta { index, delta: Delta::Text(text.into()) }
}

fn args(index: u32, json: &str) -> Event {
    Event::Delta { index, delta: Delta::Arguments(json.into()) }
}

fn call(id: &str) -> Opening {
    Opening::ToolCall { id: id.into(), name: "f".into(), kind: ToolKind::Function }
}

fn close(index: u32) -> Event {
    Event::Close { index }
}

fn finish(reason: Finish) -> Event {
    Event::Finish { reason, stop_sequence: None }
}

fn decode(body: &Value) -> ir::Request {
    CLIENT.decode(body.to_string().as_bytes()).unwrap()
}

// === the judge ===

/// The validator is no tougher than the vendor: its documented streams pass, but for those that
/// are documented to break.
#[test]
fn the_vendors_streams_are_valid() {
    let mut count = 0;
    for (case, path) in golden::cases() {
        let Ok(stream) = std::fs::read_to_string(path.join("stream.sse")) else { continue };
        if ["cut", "unknown_events"].contains(&case.as_str()) {
            continue;
        }
        judge(&stream).unwrap_or_else(|why| panic!("{case}: {why}"));
        count += 1;
    }
    assert!(count > 10, "{count}");
}

/// And no softer: each single fault is found.
#[test]
fn the_judge_finds_faults() {
    let events = [
        start(),
        open(0, Opening::Reasoning),
        Event::Delta { index: 0, delta: Delta::Reasoning("r".into()) },
        close(0),
        open(1, call("toolu_1")),
        args(1, "{}"),
        close(1),
        finish(Finish::ToolCalls),
    ];
    let good = encoded(&events);
    judge(&good).unwrap();
    let all: Vec<&str> = good.split_inclusive("\n\n").collect();
    for at in 0..all.len() - 1 {
        let mut without = all.clone();
        without.remove(at);
        let without = without.concat();
        let told = judge(&without);
        // A delta may be missing without a trace; anything else may not.
        let is_silent = all[at].contains("thinking_delta") || all[at].contains("input_json_delta");
        assert!(told.is_err() || is_silent, "{at} {}", all[at]);
        let twice = [&all[..=at], &all[at..]].concat().concat();
        let is_silent = all[at].contains("thinking_delta") || all[at].contains("message_delta");
        assert!(judge(&twice).is_err() || is_silent, "{at} twice {}", all[at]);
    }
    assert!(judge("data: {\"type\":\"ping\"}\n\n").is_err(), "a name is needed");
    assert!(judge("event: ping\ndata: {\"type\":\"ping\"}\n\n").unwrap().pings == 1);
}

// === streams ===

/// A1, C4: the whole life of a message, as bytes.
#[test]
fn a_message_is_written_as_the_vendor_does() {
    let events = [
        start(),
        open(0, Opening::Reasoning),
        Event::Delta { index: 0, delta: Delta::Reasoning("Hm.".into()) },
        Event::Delta { index: 0, delta: Delta::Signature("c2ln".into()) },
        close(0),
        open(1, Opening::RedactedReasoning { data: "ZGF0YQ==".into() }),
        close(1),
        open(2, Opening::Text),
        text(2, "Let me\u{2028} see"),
        Event::Annotation(Annotation { url: "https://a.test".into(), title: Some("A".into()), start: 0, end: 3 }),
        close(2),
        open(3, call("toolu_1")),
        args(3, "{\"a\":"),
        args(3, "1}"),
        close(3),
        Event::Usage(Usage {
            input: 9,
            cache_read: 1,
            cache_write: 2,
            cache_write_1h: 3,
            output: 16,
            ..Usage::default()
        }),
        finish(Finish::ToolCalls),
    ];
    let stream = encoded(&events);
    insta::assert_snapshot!("stream", stream);
    let message = message(&stream);
    assert_eq!(message["usage"]["cache_creation_input_tokens"], 5);
    assert_eq!(message["content"][3]["input"], json!({"a": 1}));
}

/// T8: calls whose pieces come mixed are told one after the other, none is lost, and a call that
/// is complete makes way for the next.
#[test]
fn overlapping_blocks_are_told_apart() {
    let events = [
        start(),
        open(0, Opening::Text),
        text(0, "A"),
        open(1, call("a")),
        open(2, call("b")),
        args(2, "{\"b\":"),
        args(1, "{\"x\":\"}\\\"\","),
        text(0, "B"),
        args(1, "\"y\":1}"),
        args(2, "2}"),
        close(1),
        close(2),
        close(0),
        finish(Finish::ToolCalls),
    ];
    let stream = encoded(&events);
    let message = message(&stream);
    let content = message["content"].as_array().unwrap();
    let kinds: Vec<&str> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "tool_use", "text", "tool_use"], "{stream}");
    assert_eq!((&content[1]["input"], &content[3]["input"]), (&json!({"x": "}\"", "y": 1}), &json!({"b": 2})));
    // The second call went out before the first one's canonical end.
    let mut encoder = CLIENT.encoder(asked());
    let mut out = BytesMut::new();
    for event in [start(), open(0, call("a")), args(0, "{}"), open(1, call("b")), args(1, "{\"k\"")] {
        encoder.event(&event, &mut out);
    }
    assert!(String::from_utf8_lossy(&out).contains("{\\\"k\\\""), "{out:?}");
}

/// A5: a block that says nothing is never begun; an answer may have none.
#[test]
fn what_says_nothing_is_no_block() {
    let events = [
        start(),
        open(0, Opening::Text),
        text(0, ""),
        open(1, Opening::Reasoning),
        close(1),
        close(0),
        finish(Finish::Stop),
    ];
    let message = message(&encoded(&events));
    assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &json!("end_turn")));
    assert_eq!(message["usage"]["input_tokens"], 11, "the estimate, where nobody counted");
}

/// S4: every end by its name, streamed and whole.
#[test]
fn every_end_has_its_reason() {
    for (reason, calls, expected) in [
        (Finish::Stop, false, "end_turn"),
        (Finish::Stop, true, "tool_use"),
        (Finish::StopSequence, false, "stop_sequence"),
        (Finish::Length, true, "max_tokens"),
        (Finish::ToolCalls, true, "tool_use"),
        (Finish::ContentFilter, false, "refusal"),
        (Finish::Refusal, true, "refusal"),
        (Finish::Paused, false, "pause_turn"),
    ] {
        let mut events = vec![start()];
        if calls {
            events.extend([open(0, call("a")), close(0)]);
        }
        events.push(Event::Finish { reason, stop_sequence: Some("END".into()) });
        let streamed = message(&encoded(&events));
        let whole: Value = serde_json::from_slice(&CLIENT.encode(&translate::fold(events.clone()), &asked())).unwrap();
        let stop = (expected == "stop_sequence").then_some("END");
        for told in [&streamed, &whole] {
            assert_eq!((&told["stop_reason"], &told["stop_sequence"]), (&json!(expected), &json!(stop)), "{reason:?}");
        }
        assert_eq!(streamed["content"], whole["content"]);
    }
}

/// A custom tool's text is an argument here.
#[test]
fn free_text_becomes_an_argument() {
    let custom = Opening::ToolCall { id: "c".into(), name: "f".into(), kind: ToolKind::Custom };
    let events =
        [start(), open(0, custom), args(0, "say \"hi\"\n"), args(0, "\u{1F30D}"), close(0), finish(Finish::Stop)];
    assert_eq!(message(&encoded(&events))["content"][0]["input"], json!({"input": "say \"hi\"\n\u{1F30D}"}));
    let whole: Value = serde_json::from_slice(&CLIENT.encode(&translate::fold(events), &asked())).unwrap();
    assert_eq!(whole["content"][0]["input"], json!({"input": "say \"hi\"\n\u{1F30D}"}));
}

/// What one block says, in pieces.
#[derive(Debug, Clone)]
struct Script {
    opening: Opening,
    pieces: Vec<Delta>,
}

fn script() -> impl Strategy<Value = Script> {
    let words = || prop::collection::vec("[a-z\"\\\\é]{0,4}", 0..4);
    let texts = words()
        .prop_map(|pieces| Script { opening: Opening::Text, pieces: pieces.into_iter().map(Delta::Text).collect() });
    let refusals = words().prop_map(|pieces| Script {
        opening: Opening::Refusal,
        pieces: pieces.into_iter().map(Delta::Refusal).collect(),
    });
    let thoughts = (words(), prop::option::of("[a-z]{1,4}")).prop_map(|(pieces, proof)| {
        let pieces = pieces.into_iter().map(Delta::Reasoning).chain(proof.map(Delta::Signature)).collect();
        Script { opening: Opening::Reasoning, pieces }
    });
    let redacted =
        "[a-z]{1,4}".prop_map(|data| Script { opening: Opening::RedactedReasoning { data }, pieces: Vec::new() });
    let calls =
        ("[a-z]{1,6}", prop::option::of("[a-z{}\\[\\]\"\\\\]{0,9}"), 1..4usize).prop_map(|(id, value, cuts)| {
            let json = value.map(|value| json!({"a": value, "b": [{}]}).to_string()).unwrap_or_default();
            let chars: Vec<char> = json.chars().collect();
            let size = chars.len().div_ceil(cuts).max(1);
            let pieces = chars.chunks(size).map(|piece| Delta::Arguments(piece.iter().collect())).collect();
            Script { opening: call(&id), pieces }
        });
    prop_oneof![texts, refusals, thoughts, redacted, calls]
}

/// Any interleaving that the grammar allows: at each step some block opens, speaks or closes.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let usage = prop::option::of((0..9u64, 0..9u64));
    (prop::collection::vec(script(), 0..6), prop::collection::vec(any::<prop::sample::Index>(), 0..60), usage).prop_map(
        |(scripts, choices, usage)| {
            let mut events = vec![start()];
            let mut waiting: VecDeque<Script> = scripts.into();
            let mut open: Vec<(u32, VecDeque<Delta>)> = Vec::new();
            let mut next = 0;
            let mut choices = choices.into_iter();
            while !waiting.is_empty() || !open.is_empty() {
                let at = choices.next().map_or(open.len(), |choice| choice.index(open.len() + 1));
                if let Some((index, pieces)) = open.get_mut(at) {
                    let index = *index;
                    match pieces.pop_front() {
                        Some(delta) => events.push(Event::Delta { index, delta }),
                        None => {
                            events.push(close(index));
                            open.remove(at);
                        }
                    }
                } else if let Some(script) = waiting.pop_front() {
                    events.push(super::tests::open(next, script.opening));
                    open.push((next, script.pieces.into()));
                    next += 1;
                } else if let Some((index, pieces)) = open.pop() {
                    events.extend(pieces.into_iter().map(|delta| Event::Delta { index, delta }));
                    events.push(close(index));
                }
            }
            events.extend(usage.map(|(input, output)| Event::Usage(Usage { input, output, ..Usage::default() })));
            events.push(finish(Finish::Stop));
            events
        },
    )
}

/// All that blocks of a kind say, joined, or each call with its input.
fn said(content: &Value, kind: &str, key: &str) -> Vec<String> {
    let blocks = content.as_array().unwrap().iter().filter(|block| block["type"] == kind);
    let mut said: Vec<String> = blocks
        .map(|block| {
            let mut text = block[key].as_str().map_or_else(|| block[key].to_string(), str::to_owned);
            let _ = write!(text, "|{}", block["id"].as_str().unwrap_or_default());
            text
        })
        .collect();
    said.sort();
    said
}

proptest! {
    /// A1, T8: whatever the events, the stream is valid, and it tells what a whole answer tells.
    #[test]
    fn any_events_make_a_valid_stream(events in events()) {
        let mut grammar = translate::Grammar::default();
        events.iter().for_each(|event| grammar.check(event));
        let stream = encoded(&events);
        let told = judge(&stream).map_err(|why| TestCaseError::fail(format!("{why}\n{stream}")))?;
        prop_assert!(told.complete);
        let whole: Value = serde_json::from_slice(&CLIENT.encode(&translate::fold(events), &asked())).unwrap();
        for (kind, key) in [("tool_use", "input"), ("thinking", "thinking"), ("thinking", "signature"), ("redacted_thinking", "data")] {
            prop_assert_eq!(said(&told.message["content"], kind, key), said(&whole["content"], kind, key));
        }
        let chars = |content: &Value| {
            let mut chars: Vec<char> = said(content, "text", "text").concat().replace('|', "").chars().collect();
            chars.sort_unstable();
            chars
        };
        prop_assert_eq!(chars(&told.message["content"]), chars(&whole["content"]));
        prop_assert_eq!(&told.message["stop_reason"], &whole["stop_reason"]);
        prop_assert_eq!(&told.message["usage"]["output_tokens"], &whole["usage"]["output_tokens"]);
    }

    #[test]
    fn arbitrary_requests_do_not_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = CLIENT.decode(&body);
    }
}

// === requests ===

/// Everything the reference has, once.
fn rich() -> Value {
    json!({
        "model": "public", "max_tokens": 2048, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5,
        "stop_sequences": ["END"], "metadata": {"user_id": "u1"}, "service_tier": "standard_only",
        "cache_control": {"type": "ephemeral"},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}}},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "tools": [
            {"name": "f", "description": "F.", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}},
             "strict": true, "cache_control": {"type": "ephemeral"}, "defer_loading": true},
            {"type": "web_search_20260318", "name": "web_search"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "mcp_servers": [{"type": "url", "name": "m", "url": "https://m.test"}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": ""},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}},
                {"type": "image", "source": {"type": "url", "url": "https://i.test/a.png"}},
                {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Plain."}},
                {"type": "search_result", "title": "T", "source": "https://s.test", "content": [{"type": "text", "text": "Found."}]},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "S1"},
                {"type": "redacted_thinking", "data": "D1"},
                {"type": "text", "text": "I call."},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1.0, "a": [2]}, "caller": {"type": "direct"}},
                {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "text", "text": "R"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}]},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "bad", "is_error": true},
                {"type": "text", "text": "So?"},
            ]},
            {"role": "system", "content": "Now in French."},
        ],
    })
}

/// C1, R1, T3, T4, T6, A5: a request in the words of each upstream dialect, and what is lost.
#[test]
fn a_request_reaches_other_dialects() {
    let request = decode(&rich());
    for (name, upstream, model) in [
        ("chat", &OpenAiChat as &dyn UpstreamDialect, "gpt-5-mini"),
        ("anthropic", &Anthropic, "claude-haiku-4-5"),
        ("anthropic_newest", &Anthropic, "claude-opus-4-8"),
    ] {
        let facts = Facts { model, stream: true, ..Facts::default() };
        let written = upstream.encode(&request, &facts).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        let losses: Vec<String> =
            written.losses.iter().map(|loss| format!("{} {:?}", loss.field, loss.weight)).collect();
        let page = format!("{}\n\n{}", serde_json::to_string_pretty(&body).unwrap(), losses.join("\n"));
        insta::assert_snapshot!(format!("request_{name}"), page);
    }
}

/// R5: every way to ask for thinking.
#[test]
fn thinking_is_read() {
    let read = |fields: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let reasoning = decode(&body).reasoning;
        (reasoning.effort.map(ir::Effort::as_str), reasoning.budget_tokens)
    };
    for (fields, expected) in [
        (json!({}), (None, None)),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 4000}}), (None, Some(4000))),
        (json!({"thinking": {"type": "adaptive", "display": "omitted"}}), (None, None)),
        (json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}), (Some("xhigh"), None)),
        (json!({"output_config": {"effort": "low"}}), (Some("low"), None)),
        (json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}), (Some("none"), None)),
        (json!({"thinking": {"type": "between_tools"}}), (Some("none"), None)),
    ] {
        assert_eq!(read(fields.clone()), expected, "{fields}");
    }
}

/// M1: what is wrong is refused by its path; what is only unknown is not.
#[test]
fn wrong_fields_are_named() {
    let turn = |block: Value| json!({"model": "m", "messages": [{"role": "user", "content": [block]}]});
    for (body, param) in [
        (json!({"messages": []}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}), "messages[0].role"),
        (turn(json!({"type": "txt", "text": "x"})), "messages[0].content[0].type"),
        (turn(json!({"type": "text"})), "messages[0].content[0].text"),
        (turn(json!({"type": "image", "source": {"type": "ftp"}})), "messages[0].content[0].source.type"),
        (json!({"model": "m", "messages": [], "tools": [{"description": "x"}]}), "tools[0].name"),
        (json!({"model": "m", "messages": [], "tool_choice": {"type": "maybe"}}), "tool_choice.type"),
        (json!({"model": "m", "messages": [], "thinking": {"type": "hard"}}), "thinking.type"),
    ] {
        let Err(Error::Invalid { param: named, .. }) = CLIENT.decode(body.to_string().as_bytes()) else {
            panic!("{body} passed")
        };
        assert_eq!(named.as_deref(), Some(param), "{body}");
    }
    let server = json!({"model": "m", "new_field": 1, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {"type": "text", "text": "Found.", "citations": [{"type": "char_location"}]}]}]});
    let request = decode(&server);
    assert_eq!(request.messages[1].blocks, [Block::text("Found.")]);
    let lost: Vec<&str> = request.extra.keys().map(String::as_str).collect();
    assert_eq!(lost, ["messages[].content", "messages[].content[].citations", "new_field"]);
}

/// R1: reasoning nobody signed goes to the client with a signature of ours, comes back, and is
/// unsigned again; others come back as they were.
#[test]
fn unsigned_reasoning_survives_a_replay() {
    let blocks = vec![
        Block::Reasoning { text: "a".into(), signature: None },
        Block::Reasoning { text: String::new(), signature: Some("google:call:S=".into()) },
        Block::RedactedReasoning { data: "vendor:D".into() },
        Block::text("t"),
    ];
    let answer = translate::fold([start()]);
    let whole = CLIENT.encode(&ir::Response { blocks: blocks.clone(), ..answer }, &asked());
    let message: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(message["content"][0]["signature"], "sluis:unsigned");
    let replay = json!({"model": "m", "messages": [{"role": "assistant", "content": message["content"]}]});
    let request = decode(&replay);
    assert_eq!((request.messages[0].role, &request.messages[0].blocks), (Role::Assistant, &blocks));
}

// === bytes that pass ===

fn mended(body: &str) -> String {
    let mut edits = Object::parse(body.as_bytes()).unwrap().edit();
    CLIENT.pass_on(&mut edits);
    edits.apply()
}

/// C1, P2: what the vendor takes is not touched, by a single byte.
#[test]
fn a_good_request_is_not_touched() {
    for body in [
        r#"{ "messages" : [{"role":"user","content":"\u00e9"}],"x":1.0e2}"#.to_owned(),
        r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"S1"},{"type":"redacted_thinking","data":"D"}]}]}"#.into(),
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[]}]}]}"#.into(),
        r#"{"messages":[{"role":"user","content":"say \"text\":\"\""}]}"#.into(),
        r#"{"messages":7}"#.into(),
        rich().to_string().replace(r#"{"type":"text","text":""},"#, ""),
    ] {
        assert_eq!(mended(&body), body);
    }
}

/// A5, R1: empty text goes, and so do another vendor's proofs, with all thinking of their turn.
#[test]
fn what_the_vendor_refuses_is_taken_out() {
    let own = r#"{"type":"thinking","thinking":"x","signature":"S1"}"#;
    let foreign = r#"{"type":"thinking","thinking":"x","signature":"sluis:unsigned"}"#;
    let google = r#"{"type":"redacted_thinking","data":"google:D"}"#;
    let text = r#"{ "type":"text","text":"t","n":1.0 }"#;
    let empty = r#"{"text" : "","type":"text"}"#;
    let body = |content: &[&str]| {
        format!(
            r#"{{"a":1,"messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{}]}}],"z":2}}"#,
            content.join(",")
        )
    };
    for (content, expected) in [
        (&[text, empty][..], body(&[text])),
        (&[foreign, text], body(&[text])),
        (&[own, google, text], body(&[text])),
        (&[own, text, empty], body(&[own, text])),
        (&[empty], r#"{"a":1,"messages":[{"role":"user","content":"q"}],"z":2}"#.to_owned()),
    ] {
        assert_eq!(mended(&body(content)), expected);
    }
}

/// What a relay gave out, and how it ended.
fn relay(stream: &str) -> (String, Result<()>, Tally) {
    let mut framer = Framer::new(1 << 20);
    framer.push(Bytes::copy_from_slice(stream.as_bytes()));
    let mut frames: Vec<_> = framer.by_ref().map(|frame| frame.unwrap()).collect();
    frames.extend(framer.finish());
    let mut relay = CLIENT.relay(&asked());
    let mut out = VecDeque::new();
    let end = frames.into_iter().try_for_each(|frame| relay.frame(frame, &mut out));
    let end = end.and_then(|()| relay.finish(&mut out));
    (out.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect(), end, relay.tally().clone())
}

/// S2, P2: the vendor's streams pass byte for byte; E1, E2, E3: those that break are errors.
#[test]
fn the_vendors_streams_pass() {
    for (case, path) in golden::cases() {
        let Ok(stream) = std::fs::read_to_string(path.join("stream.sse")) else { continue };
        let (text, end, tally) = relay(&stream);
        match case.as_str() {
            "cut" => assert!(matches!(end, Err(Error::Interrupted { .. })), "{case}"),
            "overloaded_mid_stream" => {
                let Err(Error::Upstream(error)) = end else { panic!("{case}") };
                assert_eq!(error.class, Class::Overloaded);
                assert!(!text.contains("message_delta") && !text.contains("event: error"), "{text}");
            }
            _ => {
                end.unwrap();
                assert_eq!(text, stream, "{case}");
                assert!(tally.usage.is_some() && tally.finish.is_some(), "{case}");
            }
        }
        // The counts are those a translation gives.
        let (events, _) = golden::decode(&golden::frames(&stream), golden::memo(&case));
        let mut translated =
            events.iter().filter_map(|event| if let Event::Usage(usage) = event { Some(*usage) } else { None });
        assert_eq!(tally.usage, translated.next_back(), "{case}");
    }
}

/// S8, A1: other spellings are written anew, unnamed events are named, a second start is not told.
#[test]
fn an_imperfect_upstream_is_mended() {
    let start = r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\"b"}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    let upstream = format!(
        "data: {start}\r\n\r\nid: 1\ndata:{start}\n\n: x\nevent:content_block_delta\ndata: {delta}\n\ndata: {stop}\n\ndata: [DONE]\n\n"
    );
    let (text, end, tally) = relay(&upstream);
    end.unwrap();
    assert_eq!(
        text,
        format!(
            "event: message_start\ndata: {start}\n\nevent: content_block_delta\ndata: {delta}\n\nevent: message_stop\ndata: {stop}\n\n"
        )
    );
    assert_eq!(tally.output_bytes, 4);
    let (text, end, _) = relay(&format!("data: {stop}\n\n"));
    assert!(matches!(end, Err(Error::BadReply { .. })) && text.is_empty());
}

/// M2, E2: a success is a message, or it is an error; its bytes are the upstream's.
#[test]
fn whole_answers_are_judged() {
    let body = Bytes::from_static(br#"{ "x":1.0, "content":[{"type":"text","text":"Hi"}],"stop_reason":"max_tokens","usage":{"input_tokens":9,"cache_read_input_tokens":1,"output_tokens":3}}"#);
    let (passed, tally) = CLIENT.pass(&body).unwrap();
    assert_eq!((passed.as_ptr(), tally.finish), (body.as_ptr(), Some(Finish::Length)));
    assert_eq!(tally.usage.map(|usage| (usage.prompt(), usage.output)), Some((10, 3)));
    for wrong in [
        "",
        "null",
        "{}",
        "<html>",
        r#"{"content":null}"#,
        r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#,
    ] {
        assert!(CLIENT.pass(&Bytes::from(wrong)).is_err(), "{wrong}");
    }
}

// === errors ===

/// M1, M3, regression case 63: status and type go together, for every kind of error.
#[test]
fn errors_have_the_vendors_form() {
    let upstream = |status: u16, class: Option<Class>| {
        let error = UpstreamError::new(StatusCode::from_u16(status).unwrap(), "no");
        let class = class.unwrap_or(error.class);
        Error::from(UpstreamError { class, ..error })
    };
    for (error, status, kind) in [
        (Error::invalid("x", "model", "invalid_value"), 400, "invalid_request_error"),
        (Error::BodyTooLarge { limit_bytes: 1 }, 413, "request_too_large"),
        (Error::Unauthenticated { message: "x".into() }, 401, "authentication_error"),
        (Error::ModelNotFound { model: "m".into(), near: Vec::new() }, 404, "not_found_error"),
        (Error::RouteNotFound { method: "GET".into(), path: "/".into() }, 404, "not_found_error"),
        (
            Error::RateLimited { what: "requests per minute", whose: "x".into(), retry_after: None },
            429,
            "rate_limit_error",
        ),
        (upstream(400, None), 400, "invalid_request_error"),
        (upstream(400, Some(Class::ContextLength)), 400, "invalid_request_error"),
        (upstream(401, None), 502, "api_error"),
        (upstream(403, None), 502, "api_error"),
        (upstream(402, None), 402, "billing_error"),
        (upstream(429, Some(Class::Quota)), 402, "billing_error"),
        (upstream(404, None), 404, "not_found_error"),
        (upstream(413, None), 413, "request_too_large"),
        (upstream(429, None), 429, "rate_limit_error"),
        (upstream(500, None), 500, "api_error"),
        (upstream(503, None), 529, "overloaded_error"),
        (upstream(504, None), 504, "timeout_error"),
        (upstream(529, None), 529, "overloaded_error"),
        (Error::Timeout(Clock::Idle), 504, "timeout_error"),
        (Error::BadReply { message: "x".into() }, 502, "api_error"),
        (Error::NoTarget { message: "x".into(), retry_after: None }, 529, "overloaded_error"),
        (Error::ShuttingDown, 503, "overloaded_error"),
        (Error::Internal { message: "secret".into() }, 500, "api_error"),
    ] {
        assert_eq!(error.status_in(Dialect::Anthropic).as_u16(), status, "{error:?}");
        let body: Value = serde_json::from_slice(&CLIENT.error(&error, Uuid::nil())).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{error:?}");
        assert_eq!(body["request_id"], Uuid::nil().to_string());
        assert!(!body.to_string().contains("secret"));
        let frame = String::from_utf8(CLIENT.error_frame(&error, Uuid::nil()).to_vec()).unwrap();
        assert_eq!(judge(&frame).unwrap().error, Some(body["error"].clone()));
    }
    let overflow = CLIENT.error(&upstream(400, Some(Class::ContextLength)), Uuid::nil());
    assert!(String::from_utf8_lossy(&overflow).contains("prompt is too long: no"));
}

/// Section 13 of the vendor's gateway notes: its own errors keep their status and words.
#[test]
fn the_vendors_own_errors_pass() {
    for (case, path) in golden::cases() {
        let Some(status) = case.strip_prefix("error_").and_then(|rest| rest.get(..3)?.parse::<u16>().ok()) else {
            continue;
        };
        let body = std::fs::read(path.join("error.json")).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let error = Error::from(UpstreamDialect::error(&Anthropic, status, &http::HeaderMap::new(), &body));
        let theirs: Value = serde_json::from_slice(&body).unwrap();
        let ours: Value = serde_json::from_slice(&CLIENT.error(&error, Uuid::nil())).unwrap();
        if matches!(status.as_u16(), 401 | 403) {
            assert_eq!(
                (error.status_in(Dialect::Anthropic).as_u16(), &ours["error"]["type"]),
                (502, &json!("api_error"))
            );
            continue;
        }
        assert_eq!(error.status_in(Dialect::Anthropic), status, "{case}");
        assert_eq!(
            (&ours["error"]["type"], &ours["error"]["message"]),
            (&theirs["error"]["type"], &theirs["error"]["message"]),
            "{case}"
        );
    }
}

/// R1, regression case 34: another upstream's whole answer, to a Messages client and back.
#[test]
fn an_answer_of_a_chat_upstream_is_a_message() {
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "q", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "Hi", "reasoning_content": "Hm.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1.0}"}}]},
        "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}});
    let response = UpstreamDialect::decode(&OpenAiChat, answer.to_string().as_bytes(), &Memo::default()).unwrap();
    let bytes = CLIENT.encode(&response, &asked());
    insta::assert_snapshot!("answer_of_chat", std::str::from_utf8(&bytes).unwrap());
}
