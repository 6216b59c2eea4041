//! What the fixtures of `tests/golden` cannot show: streams of any bytes, and what ids are made of.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::Ollama;
use crate::{
    error::{Error, Result},
    framing::{DEFAULT_MAX_FRAME_BYTES, Frame},
    ir::{Block, Event, Finish, ToolKind},
    wire::{
        Memo, UpstreamDialect,
        translate::{Grammar, fold},
    },
};

fn frames(text: &[u8], step: usize) -> Vec<Frame> {
    let mut framer = Ollama.framing().framer(DEFAULT_MAX_FRAME_BYTES);
    let mut frames = Vec::new();
    for piece in text.chunks(step.max(1)) {
        framer.push(Bytes::copy_from_slice(piece));
        frames.extend(framer.by_ref().flatten());
    }
    frames.extend(framer.finish());
    frames
}

fn read(text: &[u8], step: usize) -> (Vec<Event>, Result<()>) {
    let mut decoder = Ollama.decoder(Memo::default());
    let mut events = Vec::new();
    for frame in frames(text, step) {
        if let Err(error) = decoder.frame(&frame, &mut events) {
            return (events, Err(error));
        }
    }
    let end = decoder.finish(&mut events);
    (events, end)
}

fn calls(blocks: &[Block]) -> Vec<(&str, &str)> {
    fn call(block: &Block) -> Option<(&str, &str)> {
        if let Block::ToolCall { id, arguments, .. } = block { Some((id, arguments)) } else { None }
    }
    blocks.iter().filter_map(call).collect()
}

fn answer(at: &str, calls: &serde_json::Value) -> String {
    let message = json!({"role": "assistant", "content": "", "tool_calls": calls});
    json!({"model": "m", "created_at": at, "message": message, "done": true, "done_reason": "stop"}).to_string()
}

/// T2: calls without ids get some, different within an answer and between answers, and the same
/// each time the same answer is read; an id that comes twice is one of them.
#[test]
fn made_up_ids_are_nobodys() {
    let bare = json!({"function": {"name": "f", "arguments": {}}});
    let given = json!({"id": "call_1", "function": {"name": "f", "arguments": {}}});
    let two = json!([bare, bare, given, given]);
    let mut ids = std::collections::HashSet::new();
    for at in ["2026-08-21T10:00:00.1Z", "2026-08-21T10:00:00.2Z"] {
        let response = Ollama.decode(answer(at, &two).as_bytes(), &Memo::default()).unwrap();
        assert_eq!(response, Ollama.decode(answer(at, &two).as_bytes(), &Memo::default()).unwrap());
        let found = calls(&response.blocks);
        assert_eq!(found[2].0, "call_1");
        ids.extend(found.iter().map(|(id, _)| (*id).to_owned()));
        assert_eq!(response.finish, Finish::ToolCalls);
    }
    assert_eq!(ids.len(), 7, "three made up in each answer, and one given in both: {ids:?}");
}

/// T1, T3: arguments in every form are a string of JSON.
#[test]
fn arguments_are_text() {
    for (arguments, expected) in [
        (json!({"city": "Oslo", "n": 1.50}), r#"{"city":"Oslo","n":1.5}"#),
        (json!("{\"city\": 1}"), r#"{"city": 1}"#),
        (json!(null), "{}"),
        (json!(""), "{}"),
        (json!({}), "{}"),
    ] {
        let body = answer("t", &json!([{"function": {"name": "f", "arguments": arguments}}]));
        let response = Ollama.decode(body.as_bytes(), &Memo::default()).unwrap();
        assert_eq!(calls(&response.blocks)[0].1, expected);
    }
    let body = answer("t", &json!([{"function": {"name": "f"}}]));
    assert_eq!(calls(&Ollama.decode(body.as_bytes(), &Memo::default()).unwrap().blocks)[0].1, "{}");
}

#[test]
fn a_custom_tools_text_is_taken_out() {
    let memo = Memo { custom_tools: vec!["sql".into()], ..Memo::default() };
    let body = answer("t", &json!([{"function": {"name": "sql", "arguments": {"input": "SELECT 1"}}}]));
    let response = Ollama.decode(body.as_bytes(), &memo).unwrap();
    assert_eq!(calls(&response.blocks)[0].1, "SELECT 1");
    assert!(matches!(response.blocks[0], Block::ToolCall { kind: ToolKind::Custom, .. }));
}

/// Log probabilities, streamed and whole.
#[test]
fn logprobs_are_told() {
    let likely =
        json!({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.0}]});
    let line = json!({"message": {"content": "a"}, "done": true, "logprobs": [likely]}).to_string();
    let response = Ollama.decode(line.as_bytes(), &Memo::default()).unwrap();
    assert_eq!((response.logprobs[0].logprob, response.logprobs[0].top[0].token.as_str()), (-0.5, "b"));
    assert_eq!(fold(read(line.as_bytes(), 4).0).logprobs, response.logprobs);
}

/// S4: length outweighs calls.
#[test]
fn a_cut_call_is_a_matter_of_length() {
    let body = answer("t", &json!([{"function": {"name": "f"}}])).replace("\"stop\"", "\"length\"");
    assert_eq!(Ollama.decode(body.as_bytes(), &Memo::default()).unwrap().finish, Finish::Length);
}

/// E1, E2, M2: a success without a usable answer is none.
#[test]
fn what_is_no_answer_is_an_error() {
    for body in ["", "null", "[]", "<html>", "{}", r#"{"message":{"content":"x"},"done":false}"#, "7"] {
        let error = Ollama.decode(body.as_bytes(), &Memo::default()).unwrap_err();
        assert!(matches!(error, Error::BadReply { .. }), "{body}: {error:?}");
        assert!(Ollama.accepts_whole(body.as_bytes()).is_err() || body.starts_with('{'), "{body}");
    }
    assert!(matches!(Ollama.accepts_whole(br#"{"error":"no"}"#), Err(Error::Upstream(_))));
    let (_, end) = read(b"{\"message\":{\"content\":\"x\"},\"done\":false}\n", 3);
    assert!(matches!(end, Err(Error::Interrupted { .. })));
}

/// Whatever follows the end is not read.
#[test]
fn nothing_follows_the_end() {
    let text = b"{\"done\":true,\"message\":{\"content\":\"a\"}}\n{\"message\":{\"content\":\"b\"}}\nnonsense";
    let (events, end) = read(text, 7);
    assert!(end.is_ok());
    assert_eq!(fold(events).blocks, [Block::text("a")]);
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z\u{e9}]{0,4}".prop_map(|text| json!({"message": {"content": text}, "done": false}).to_string()),
        "[a-z]{0,4}".prop_map(|text| json!({"message": {"thinking": text}, "done": false}).to_string()),
        Just(json!({"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}}).to_string()),
        Just(json!({"message": {"content": "z"}, "done": true, "eval_count": 1}).to_string()),
        Just(json!({"status": "loading"}).to_string()),
        Just(json!({"error": "no"}).to_string()),
        Just(String::new()),
        ".{0,6}",
    ]
}

proptest! {
    /// S8, S9: however lines are mixed and cut, the events keep the grammar and are the same.
    #[test]
    fn any_lines_keep_the_grammar(lines in prop::collection::vec(line(), 0..12), step in 1usize..9) {
        let text = lines.join("\n");
        let (events, end) = read(text.as_bytes(), text.len());
        let mut grammar = Grammar::default();
        events.iter().for_each(|event| grammar.check(event));
        let (again, end_again) = read(text.as_bytes(), step);
        prop_assert_eq!(&events, &again);
        prop_assert_eq!(end.is_ok(), end_again.is_ok());
        prop_assert_eq!(end.is_ok(), events.iter().any(|event| matches!(event, Event::Finish { .. })));
    }
}
