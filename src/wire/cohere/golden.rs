//! What the fixtures of `tests/golden` cannot show: events of any kind in any order, and the corners
//! of arguments and citations.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Cohere;
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Block, Event, Finish, ToolKind},
    wire::{
        Memo, UpstreamDialect,
        translate::{Grammar, fold},
    },
};

fn read(events: &[Value], memo: Memo) -> (Vec<Event>, Result<()>) {
    let mut decoder = Cohere.decoder(memo);
    let mut out = Vec::new();
    for event in events {
        let frame = Frame { raw: None, event: None, data: Bytes::from(event.to_string()) };
        if let Err(error) = decoder.frame(&frame, &mut out) {
            return (out, Err(error));
        }
    }
    let end = decoder.finish(&mut out);
    (out, end)
}

fn start() -> Value {
    json!({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": ""}}})
}

fn text(index: u64, text: &str) -> Value {
    json!({"type": "content-delta", "index": index, "delta": {"message": {"content": {"text": text}}}})
}

fn call(kind: &str, index: u64, function: &Value) -> Value {
    json!({"type": format!("tool-call-{kind}"), "index": index, "delta": {"message": {"tool_calls":
        {"id": format!("f_{index}"), "type": "function", "function": function}}}})
}

fn end(reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": {"tokens": {"input_tokens": 1, "output_tokens": 2}}}})
}

fn arguments(pieces: &[&str], kind: ToolKind) -> String {
    let memo =
        Memo { custom_tools: if kind == ToolKind::Custom { vec!["f".into()] } else { Vec::new() }, ..Memo::default() };
    let mut events = vec![start(), call("start", 0, &json!({"name": "f", "arguments": ""}))];
    events.extend(pieces.iter().map(|piece| call("delta", 0, &json!({"arguments": piece}))));
    events.extend([json!({"type": "tool-call-end", "index": 0}), end("TOOL_CALL")]);
    let (out, end) = read(&events, memo);
    end.unwrap();
    match &fold(out).blocks[..] {
        [Block::ToolCall { arguments, .. }] => arguments.clone(),
        other => panic!("{other:?}"),
    }
}

/// T1: none at all and `null` are `{}`, streamed as whole; a custom tool's text is taken out.
#[test]
fn arguments_are_whole() {
    for (pieces, expected) in
        [(&[][..], "{}"), (&["null"], "{}"), (&["nu", "ll"], "{}"), (&["{\"a\":", "1}"], "{\"a\":1}")]
    {
        assert_eq!(arguments(pieces, ToolKind::Function), expected);
    }
    assert_eq!(arguments(&["{\"input\":\"SE", "LECT\"}"], ToolKind::Custom), "SELECT");
    let whole = json!({"finish_reason": "TOOL_CALL", "message": {"tool_calls": [{"id": "f_0", "function": {"name": "f", "arguments": "null"}}]}});
    let response = Cohere.decode(whole.to_string().as_bytes(), &Memo::default()).unwrap();
    assert!(matches!(&response.blocks[..], [Block::ToolCall { arguments, .. }] if arguments == "{}"));
}

/// T2, T7: parallel calls overlap and stay apart, and their names are the client's.
#[test]
fn parallel_calls_stay_apart() {
    let memo = Memo { tool_names: [("a_b".to_owned(), "a.b".to_owned())].into(), ..Memo::default() };
    let events = [
        start(),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look."}}}),
        call("start", 0, &json!({"name": "a_b", "arguments": ""})),
        call("start", 1, &json!({"name": "g", "arguments": ""})),
        call("delta", 1, &json!({"arguments": "{\"n\":1}"})),
        call("delta", 0, &json!({"arguments": "{\"n\":0}"})),
        end("TOOL_CALL"),
    ];
    let (out, end) = read(&events, memo);
    end.unwrap();
    let response = fold(out);
    let told: Vec<String> = response
        .blocks
        .iter()
        .map(|block| {
            if let Block::ToolCall { id, name, arguments, .. } = block {
                return format!("{id} {name} {arguments}");
            }
            let Block::Reasoning { text, .. } = block else { panic!("{block:?}") };
            text.clone()
        })
        .collect();
    assert_eq!(told, ["I look.", "f_0 a.b {\"n\":0}", "f_1 g {\"n\":1}"]);
    assert_eq!(response.finish, Finish::ToolCalls);
}

/// Citations count characters of the joined text, as annotations do.
#[test]
fn citations_find_their_place() {
    let cite = json!({"type": "citation-start", "index": 0, "delta": {"message": {"citations":
        {"start": 0, "end": 2, "text": "4C", "content_index": 1, "sources": [{"type": "document", "id": "d1", "document": {"title": "T"}}], "type": "TEXT_CONTENT"}}}});
    let (out, end) = read(&[start(), text(0, "\u{e9}: "), text(1, "4C"), cite, end("COMPLETE")], Memo::default());
    end.unwrap();
    let response = fold(out);
    let annotation = &response.annotations[0];
    assert_eq!((annotation.url.as_str(), annotation.start, annotation.end), ("d1", 3, 5));
}

/// E1, E2, M2: a failure is never an answer.
#[test]
fn what_is_no_answer_is_an_error() {
    for body in ["", "null", "[]", "<html>", "{}", "7", r#"{"id":"1","finish_reason":"COMPLETE"}"#] {
        let error = Cohere.decode(body.as_bytes(), &Memo::default()).unwrap_err();
        assert!(matches!(error, Error::BadReply { .. }), "{body}: {error:?}");
    }
    for body in [
        r#"{"message":"no"}"#,
        r#"{"finish_reason":"ERROR","message":{}}"#,
        r#"{"finish_reason":"TIMEOUT","message":{}}"#,
    ] {
        assert!(matches!(Cohere.accepts_whole(body.as_bytes()), Err(Error::Upstream(_))), "{body}");
    }
    let failed = json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Out of memory."}});
    let (_, ended) = read(&[start(), text(0, "a"), failed.clone()], Memo::default());
    assert_eq!(ended.unwrap_err().message(), "Out of memory.");
    let frame = |data: &str| Frame { raw: None, event: None, data: Bytes::copy_from_slice(data.as_bytes()) };
    assert!(Cohere.accepts(&frame(&failed.to_string())).is_err());
    assert!(Cohere.accepts(&frame(r#"{"message":"no"}"#)).is_err());
    assert!(!Cohere.accepts(&frame(r#"{"type":"debug","x":1}"#)).unwrap());
    let (_, ended) = read(&[start(), text(0, "a")], Memo::default());
    assert!(matches!(ended, Err(Error::Interrupted { .. })));
}

/// A piece's likelihood, streamed and whole.
#[test]
fn logprobs_are_told() {
    let likely = json!({"text": "4C", "token_ids": [1, 2], "logprobs": [-0.1, -0.2]});
    let mut piece = text(0, "4C");
    piece["logprobs"] = likely.clone();
    let (out, _) = read(&[start(), piece, end("COMPLETE")], Memo::default());
    let whole = json!({"finish_reason": "COMPLETE", "message": {"content": [{"type": "text", "text": "4C"}]}, "logprobs": [likely]});
    let whole = Cohere.decode(whole.to_string().as_bytes(), &Memo::default()).unwrap();
    let streamed = fold(out);
    assert_eq!(streamed.logprobs, whole.logprobs);
    assert_eq!((whole.logprobs[0].token.as_str(), (whole.logprobs[0].logprob * 10.0).round()), ("4C", -3.0));
}

fn event() -> impl Strategy<Value = Value> {
    let index = 0u64..3;
    prop_oneof![
        Just(start()),
        (index.clone(), "[a-z\u{e9}]{0,3}").prop_map(|(at, piece)| text(at, &piece)),
        index.clone().prop_map(
            |at| json!({"type": "content-delta", "index": at, "delta": {"message": {"content": {"thinking": "h"}}}})
        ),
        index.clone().prop_map(|at| json!({"type": "content-end", "index": at})),
        Just(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "p"}}})),
        index.clone().prop_map(|at| call("start", at, &json!({"name": "f", "arguments": ""}))),
        (index.clone(), "(n|null|\\{\\}|)").prop_map(|(at, piece)| call("delta", at, &json!({"arguments": piece}))),
        index.prop_map(|at| json!({"type": "tool-call-end", "index": at})),
        Just(json!({"type": "debug"})),
        Just(end("COMPLETE")),
    ]
}

proptest! {
    /// Whatever order events come in, what is told keeps the grammar.
    #[test]
    fn any_events_keep_the_grammar(events in prop::collection::vec(event(), 0..24)) {
        let (out, end) = read(&events, Memo::default());
        let mut grammar = Grammar::default();
        out.iter().for_each(|event| grammar.check(event));
        prop_assert_eq!(end.is_ok(), out.iter().any(|event| matches!(event, Event::Finish { .. })));
    }
}
