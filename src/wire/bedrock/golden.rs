//! Documented traffic, read: every folder of `tests/fixtures/bedrock` whole and as a stream, and
//! anything that is nearly such traffic.
//!
//! A stream is written down as one event a line, `name payload`; on the wire each is a binary
//! message, which `framing` and `tests/golden` are about.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Converse;
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Block, Event, Response, ToolKind},
    wire::{Memo, UpstreamDialect, translate},
};

fn cases() -> Vec<(String, PathBuf)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bedrock");
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    let mut cases: Vec<_> = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path())).collect();
    cases.sort();
    cases
}

/// What the answer of a case must remember of its question.
fn memo(case: &str) -> Memo {
    let output_tool = case.starts_with("json_emulated").then(|| "json_response".into());
    Memo { output_tool, ..Memo::default() }
}

fn frame(event: &str, data: &str) -> Frame {
    Frame { raw: None, event: Some(Bytes::from(event.to_owned())), data: Bytes::from(data.to_owned()) }
}

fn frames(text: &str) -> Vec<Frame> {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(name, data)| frame(name, data)).collect()
}

/// All events of a stream, and how it ended.
fn decode(frames: &[Frame], memo: Memo) -> (Vec<Event>, Result<()>) {
    let mut decoder = Converse.decoder(memo);
    let mut events = Vec::new();
    for frame in frames {
        if let Err(error) = decoder.frame(frame, &mut events) {
            return (events, Err(error));
        }
    }
    let end = decoder.finish(&mut events);
    (events, end)
}

/// Blocks open, are filled and close; one start comes first, and only usage follows the end.
fn check_grammar(events: &[Event]) {
    let (mut open, mut next, mut has_ended) = (Vec::new(), 0, false);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(at == 0, matches!(event, Event::Start { .. }), "{events:?}");
        assert!(!has_ended || matches!(event, Event::Usage(_)), "{events:?}");
        match event {
            Event::Open { index, .. } => {
                assert_eq!(*index, next, "{events:?}");
                next += 1;
                open.push(*index);
            }
            Event::Delta { index, .. } => assert!(open.contains(index), "{events:?}"),
            Event::Close { index } => {
                let at = open.iter().position(|one| one == index);
                open.remove(at.unwrap_or_else(|| panic!("{events:?}")));
            }
            Event::Finish { .. } => {
                assert!(open.is_empty(), "{events:?}");
                has_ended = true;
            }
            Event::Start { .. } | Event::Annotation(_) | Event::Logprobs(_) | Event::Usage(_) | Event::Lost(_) => {}
        }
    }
}

/// What a stream and a whole answer say alike.
fn essence(mut answer: Response) -> String {
    for block in &mut answer.blocks {
        if let Block::ToolCall { arguments, .. } = block {
            let value = serde_json::from_str::<serde_json::Value>(arguments);
            *arguments = value.map_or_else(|_| arguments.clone(), |value| value.to_string());
        }
    }
    format!(
        "{:#?}{:#?}{:?}{:?}{:?}",
        answer.blocks, answer.annotations, answer.finish, answer.stop_sequence, answer.usage
    )
}

/// T1, T2, R1, R4, S4, J1, C2, C4, E1: what each documented stream and answer is read as; and a
/// stream amounts to what the whole answer says.
#[test]
fn streams_and_answers() {
    for (case, path) in cases() {
        let streamed = fs::read_to_string(path.join("stream.events")).ok().map(|text| {
            let (events, end) = decode(&frames(&text), memo(&case));
            check_grammar(&events);
            insta::assert_debug_snapshot!(format!("stream_{case}"), (&events, &end));
            (events, end)
        });
        let Ok(body) = fs::read(path.join("response.json")) else { continue };
        let Ok(answer) = Converse.decode(&body, &memo(&case)) else {
            assert_eq!(case, "unknown_operation");
            continue;
        };
        if let Some((events, Ok(()))) = streamed {
            assert_eq!(essence(translate::fold(events)), essence(answer), "{case}");
        }
    }
}

/// T7: renamed tools come back under their own names, and custom tools as text.
#[test]
fn tools_are_mapped_back() {
    let memo = Memo {
        tool_names: [("a_b_get_1".to_owned(), "a.b/get".to_owned())].into(),
        output_tool: None,
        custom_tools: vec!["patch".into()],
        ..Memo::default()
    };
    let body = br#"{"output":{"message":{"content":[
        {"toolUse":{"toolUseId":"t1","name":"a_b_get_1","input":{ "x": 1.0 }}},
        {"toolUse":{"toolUseId":"t2","name":"patch","input":{"input":"a\nb"}}}]}},"stopReason":"tool_use"}"#;
    let answer = Converse.decode(body, &memo).unwrap();
    let call = |id: &str, name: &str, arguments: &str, kind| Block::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        kind,
        cache: None,
    };
    let custom = |arguments| call("t2", "patch", arguments, ToolKind::Custom);
    assert_eq!(answer.blocks, [call("t1", "a.b/get", "{ \"x\": 1.0 }", ToolKind::Function), custom("a\nb")]);
    let stream = frames(
        "messageStart {\"role\":\"assistant\"}\n\
         contentBlockStart {\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"t2\",\"name\":\"patch\"}}}\n\
         contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"{\\\"input\\\":\\\"a\"}}}\n\
         contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"toolUse\":{\"input\":\"b\\\"}\"}}}\n\
         contentBlockStop {\"contentBlockIndex\":0}\n\
         messageStop {\"stopReason\":\"tool_use\"}",
    );
    let (events, end) = decode(&stream, memo);
    end.unwrap();
    assert_eq!(translate::fold(events).blocks, [custom("ab")]);
}

/// E1, E2: what proves acceptance, what does not, and what is an error.
#[test]
fn acceptance() {
    assert!(Converse.accepts(&frame("messageStart", "{}")).unwrap());
    assert!(!Converse.accepts(&frame("initial-response", "{}")).unwrap());
    let error = Converse.accepts(&frame("exception:throttlingException", r#"{"message":"Slow."}"#)).unwrap_err();
    assert_eq!((error.status().as_u16(), error.message().as_str()), (429, "Slow."));
}

/// E2, M2, regression case 64: a success status without an answer.
#[test]
fn bodies_that_are_no_answer() {
    let unknown = br#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#;
    for body in [&b""[..], b"null", b"[]", b"{}", b"<html>", b"\xff", unknown, br#"{"output":null}"#] {
        assert!(matches!(Converse.decode(body, &Memo::default()), Err(Error::BadReply { .. })), "{body:?}");
        assert!(Converse.accepts_whole(body).is_err() || body.starts_with(b"{\"output"), "{body:?}");
    }
    let answer = br#"{"output":{"message":{"content":[{"text":"an \"error\""}]}},"stopReason":"end_turn"}"#;
    Converse.accepts_whole(answer).unwrap();
}

/// E1: a stream that ends before its message does, or ends one that never began.
#[test]
fn ends_that_are_none() {
    let (_, end) = decode(&frames("messageStart {}"), Memo::default());
    assert!(matches!(end, Err(Error::Interrupted { .. })));
    let (_, end) = decode(&frames("messageStop {\"stopReason\":\"end_turn\"}"), Memo::default());
    assert!(matches!(end, Err(Error::BadReply { .. })));
    let (_, end) = decode(&frames("messageStart {}\nmessageStop {\"stopReason\":\"end_turn\"}"), Memo::default());
    end.unwrap();
}

mod any {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 22] = [
        "contentBlockIndex",
        "delta",
        "start",
        "toolUse",
        "toolUseId",
        "name",
        "input",
        "text",
        "reasoningContent",
        "reasoningText",
        "signature",
        "redactedContent",
        "citation",
        "stopReason",
        "usage",
        "inputTokens",
        "output",
        "message",
        "content",
        "citationsContent",
        "citations",
        "cacheDetails",
    ];
    const EVENTS: [&str; 9] = [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
        "exception:validationException",
        "error:X",
        "other",
    ];

    /// JSON that is nearly a message.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<u8>().prop_map(|number| (number % 3).into()),
            ".{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            let members = prop::collection::vec((prop::sample::select(&KEYS[..]), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..3).prop_map(Into::into),
                members.prop_map(|members| {
                    let named = members.into_iter().map(|(key, value)| (key.to_owned(), value));
                    named.collect::<serde_json::Map<_, _>>().into()
                }),
            ]
        })
    }

    /// An event as the service makes it, but in any order.
    fn event() -> impl Strategy<Value = Frame> {
        let delta = prop_oneof![
            Just(serde_json::json!({"text": "a"})),
            Just(serde_json::json!({"toolUse": {"input": "{}"}})),
            Just(serde_json::json!({"reasoningContent": {"text": "r"}})),
            Just(serde_json::json!({"reasoningContent": {"signature": "s"}})),
            Just(serde_json::json!({"reasoningContent": {"redactedContent": "Emw="}})),
        ];
        let at = 0..3u8;
        prop_oneof![
            (at.clone(), delta).prop_map(|(at, delta)| (
                "contentBlockDelta",
                serde_json::json!({"contentBlockIndex": at, "delta": delta})
            )),
            at.clone().prop_map(|at| (
                "contentBlockStart",
                serde_json::json!({"contentBlockIndex": at, "start": {"toolUse": {"toolUseId": "t", "name": "n"}}})
            )),
            at.prop_map(|at| ("contentBlockStop", serde_json::json!({"contentBlockIndex": at}))),
            Just(("messageStart", serde_json::json!({}))),
            Just(("messageStop", serde_json::json!({"stopReason": "end_turn"}))),
            Just(("metadata", serde_json::json!({"usage": {"inputTokens": 1}}))),
        ]
        .prop_map(|(name, data)| frame(name, &data.to_string()))
    }

    proptest! {
        /// Whatever comes, nothing panics.
        #[test]
        fn any_json_is_read_or_refused(
            events in prop::collection::vec((prop::sample::select(&EVENTS[..]), json()), 0..12),
            body in json(),
        ) {
            let frames: Vec<Frame> = events.iter().map(|(name, data)| frame(name, &data.to_string())).collect();
            for output_tool in [None, Some(String::new())] {
                let memo = Memo { output_tool, ..Memo::default() };
                let (_, end) = decode(&frames, memo.clone());
                prop_assert!(end.is_err() || events.iter().any(|(name, _)| *name == "messageStop"));
                let _ = Converse.decode(body.to_string().as_bytes(), &memo);
            }
            for frame in &frames {
                let _ = Converse.accepts(frame);
            }
            let error = Converse.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.to_string().as_bytes());
            prop_assert!(!error.message.is_empty());
        }

        /// What is read of events in any order keeps their grammar.
        #[test]
        fn any_order_keeps_the_grammar(frames in prop::collection::vec(event(), 0..16), emulated in any::<bool>()) {
            let memo = Memo { output_tool: emulated.then(|| "n".into()), ..Memo::default() };
            let (events, _) = decode(&frames, memo);
            check_grammar(&events);
        }
    }
}
