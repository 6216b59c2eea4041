//! Documented traffic, read: every folder of `tests/fixtures/anthropic` whole and as a stream.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Anthropic;
use crate::{
    error::Error,
    framing::Frame,
    ir::{Annotation, Block, Delta, Event, Finish, Opening, ToolKind, Usage},
    wire::{Memo, UpstreamDialect},
};

pub(super) fn cases() -> Vec<(String, PathBuf)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/anthropic");
    let mut cases: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    cases.sort();
    cases
}

/// What the answer of a case must remember of its question.
pub(super) fn memo(case: &str) -> Memo {
    let output_tool = case.starts_with("json_emulated").then(|| "json_response".into());
    Memo { output_tool, ..Memo::default() }
}

pub(super) fn frames(text: &str) -> Vec<Frame> {
    let frame = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        Frame {
            raw: None,
            event: Some(Bytes::from(name.strip_prefix("event: ").unwrap().to_owned())),
            data: Bytes::from(data.strip_prefix("data: ").unwrap().to_owned()),
        }
    };
    text.split_terminator("\n\n").map(frame).collect()
}

/// All events of a stream, and how it ended.
pub(super) fn decode(frames: &[Frame], memo: Memo) -> (Vec<Event>, Result<(), Error>) {
    let mut decoder = Anthropic.decoder(memo);
    let mut events = Vec::new();
    for frame in frames {
        if let Err(error) = decoder.frame(frame, &mut events) {
            return (events, Err(error));
        }
    }
    let end = decoder.finish(&mut events);
    (events, end)
}

/// What a stream amounts to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Whole {
    pub blocks: Vec<Block>,
    pub annotations: Vec<Annotation>,
    pub usage: Option<Usage>,
    pub finish: Option<(Finish, Option<String>)>,
}

/// Folds events, and checks their grammar on the way.
pub(super) fn fold(events: &[Event]) -> Whole {
    let mut whole = Whole::default();
    let mut open = None;
    for (at, event) in events.iter().enumerate() {
        assert_eq!(at == 0, matches!(event, Event::Start { .. }), "one start, and first: {events:?}");
        assert!(whole.finish.is_none() || matches!(event, Event::Usage(_)), "only usage follows the end");
        match event {
            Event::Start { .. } => {}
            Event::Open { index, block } => {
                assert_eq!((*index as usize, open), (whole.blocks.len(), None), "blocks count up, one at a time");
                open = Some(*index);
                whole.blocks.push(opened(block));
            }
            Event::Delta { index, delta } => {
                assert_eq!(open, Some(*index));
                extend(whole.blocks.last_mut().unwrap(), delta);
            }
            Event::Close { index } => assert_eq!(open.take(), Some(*index)),
            Event::Annotation(annotation) => whole.annotations.push(annotation.clone()),
            Event::Logprobs(logprobs) => panic!("nobody asked for {logprobs:?}"),
            Event::Lost(lost) => panic!("nothing is lost: {lost:?}"),
            Event::Usage(usage) => whole.usage = Some(*usage),
            Event::Finish { reason, stop_sequence } => {
                assert_eq!(open, None);
                whole.finish = Some((*reason, stop_sequence.clone()));
            }
        }
    }
    whole
}

fn opened(block: &Opening) -> Block {
    match block.clone() {
        Opening::Text => Block::text(""),
        Opening::Reasoning => Block::Reasoning { text: String::new(), signature: None },
        Opening::RedactedReasoning { data } => Block::RedactedReasoning { data },
        Opening::ToolCall { id, name, .. } => {
            Block::ToolCall { id, name, arguments: String::new(), kind: Default::default(), cache: None }
        }
        Opening::Refusal => Block::Refusal { text: String::new() },
        Opening::Image { source } => Block::Image { source, detail: None, cache: None },
    }
}

fn extend(block: &mut Block, delta: &Delta) {
    match (block, delta) {
        (Block::Text { text, .. }, Delta::Text(more))
        | (Block::Reasoning { text, .. }, Delta::Reasoning(more))
        | (Block::ToolCall { arguments: text, .. }, Delta::Arguments(more))
        | (Block::Refusal { text }, Delta::Refusal(more)) => text.push_str(more),
        (Block::Reasoning { signature: signature @ None, .. }, Delta::Signature(whole)) => {
            *signature = Some(whole.clone());
        }
        (block, delta) => panic!("{delta:?} in {block:?}"),
    }
}

fn compact(json: &str) -> String {
    serde_json::from_str::<serde_json::Value>(json).map_or_else(|_| json.into(), |value| value.to_string())
}

/// T1, T2, R1, S4, J1, C2, C4, E1 and regression cases 24, 25, 34, 38, 41: what each documented
/// stream is read as.
#[test]
fn streams() {
    for (case, path) in cases() {
        let Ok(text) = fs::read_to_string(path.join("stream.sse")) else { continue };
        let (events, end) = decode(&frames(&text), memo(&case));
        fold(&events);
        insta::assert_debug_snapshot!(format!("stream_{case}"), (events, end));
    }
}

/// The same of whole answers; and a stream amounts to what the whole answer says.
#[test]
fn answers() {
    for (case, path) in cases() {
        let Ok(body) = fs::read(path.join("response.json")) else { continue };
        let answer = Anthropic.decode(&body, &memo(&case)).unwrap();
        insta::assert_debug_snapshot!(format!("answer_{case}"), answer);
        let stream = fs::read_to_string(path.join("stream.sse")).unwrap();
        let mut streamed = fold(&decode(&frames(&stream), memo(&case)).0);
        let mut blocks = answer.blocks;
        for block in blocks.iter_mut().chain(&mut streamed.blocks) {
            if let Block::ToolCall { arguments, .. } = block {
                *arguments = compact(arguments);
            }
        }
        assert_eq!(streamed.blocks, blocks, "{case}");
        assert_eq!(streamed.annotations, answer.annotations, "{case}");
        assert_eq!(streamed.usage, answer.usage, "{case}");
        assert_eq!(streamed.finish, Some((answer.finish, answer.stop_sequence)), "{case}");
    }
}

/// M1, M3, F1: every documented error.
#[test]
fn errors() {
    let mut all = Vec::new();
    for (case, path) in cases() {
        let Ok(body) = fs::read(path.join("error.json")) else { continue };
        let status: u16 = case.split('_').nth(1).unwrap().parse().unwrap();
        let error = Error::from(Anthropic.error(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body));
        all.push((case, error.status().as_u16(), error.kind(), error.verdict(), error.message()));
    }
    assert!(all.len() > 10);
    insta::assert_debug_snapshot!(all);
}

/// E1, E2: what proves acceptance, what does not, and what is an error.
#[test]
fn acceptance() {
    let judge = |event: Option<&'static str>, data: &'static str| {
        let event = event.map(|name| Bytes::from_static(name.as_bytes()));
        Anthropic.accepts(&Frame { raw: None, event, data: Bytes::from_static(data.as_bytes()) })
    };
    assert!(judge(Some("message_start"), "{}").unwrap());
    assert!(judge(None, r#"{"type":"message_start","message":{}}"#).unwrap());
    assert!(!judge(Some("ping"), r#"{"type":"ping"}"#).unwrap());
    for (event, data) in [
        (Some("error"), r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        (None, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#),
        (None, r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#),
    ] {
        let error = judge(event, data).unwrap_err();
        assert_eq!((error.status().as_u16(), error.message().as_str()), (503, "Overloaded"));
    }
    assert!(matches!(judge(None, "<html>"), Err(Error::BadReply { .. })));
}

/// E2, M2, regression case 64: a success status without an answer.
#[test]
fn bodies_that_are_no_answer() {
    for body in [&b""[..], b"null", b"[]", b"{}", b"<html>", b"\xff", br#"{"content":null}"#, br#"{"content":[1]}"#] {
        assert!(matches!(Anthropic.decode(body, &Memo::default()), Err(Error::BadReply { .. })), "{body:?}");
    }
    let body = br#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}"#;
    assert_eq!(Anthropic.decode(body, &Memo::default()).unwrap_err().status(), StatusCode::TOO_MANY_REQUESTS);
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
    let tool =
        |name: &str, input: &str| format!(r#"{{"type":"tool_use","id":"toolu_1","name":"{name}","input":{input}}}"#);
    let content = [tool("a_b_get_1", "{ \"x\": 1.0 }"), tool("patch", r#"{"input":"a\nb"}"#)].join(",");
    let body = format!(r#"{{"id":"m","model":"c","content":[{content}],"stop_reason":"tool_use"}}"#);
    let answer = Anthropic.decode(body.as_bytes(), &memo).unwrap();
    let call = |block: &Block| match block {
        Block::ToolCall { name, arguments, kind, .. } => Some((name.clone(), arguments.clone(), *kind)),
        Block::Text { .. } | Block::Image { .. } | Block::Document { .. } | Block::Audio { .. } => None,
        Block::Refusal { .. } | Block::Reasoning { .. } | Block::RedactedReasoning { .. } => None,
        Block::ToolResult { .. } => None,
    };
    let calls: Vec<_> = answer.blocks.iter().filter_map(call).collect();
    let patch = ("patch".into(), "a\nb".into(), ToolKind::Custom);
    assert_eq!(calls, [("a.b/get".into(), "{ \"x\": 1.0 }".into(), ToolKind::Function), patch]);

    let stream = format!(
        "event: message_start\ndata: {{\"message\":{{}}}}\n\n\
         event: content_block_start\ndata: {{\"index\":0,\"content_block\":{}}}\n\n\
         event: content_block_delta\ndata: {{\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"{{\\\"input\\\":\\\"a\"}}}}\n\n\
         event: content_block_delta\ndata: {{\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"b\\\"}}\"}}}}\n\n\
         event: content_block_stop\ndata: {{\"index\":0}}\n\n\
         event: message_stop\ndata: {{}}\n\n",
        tool("patch", "{}"),
    );
    let (events, end) = decode(&frames(&stream), memo);
    end.unwrap();
    let whole = fold(&events);
    assert!(matches!(&whole.blocks[..], [Block::ToolCall { arguments, .. }] if arguments == "ab"), "{whole:?}");
}

mod any {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 22] = [
        "type",
        "index",
        "delta",
        "content_block",
        "text",
        "thinking",
        "signature",
        "partial_json",
        "input",
        "id",
        "name",
        "data",
        "usage",
        "output_tokens",
        "stop_reason",
        "message",
        "content",
        "error",
        "citation",
        "citations",
        "url",
        "model",
    ];
    const WORDS: [&str; 18] = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "ping",
        "text",
        "thinking",
        "tool_use",
        "redacted_thinking",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "refusal",
    ];

    /// JSON that is nearly a message.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<u8>().prop_map(|number| (number % 3).into()),
            prop::sample::select(&WORDS[..]).prop_map(Into::into),
            ".{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6).prop_map(|members| {
                    members
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                }),
            ]
        })
    }

    proptest! {
        /// Whatever comes, nothing panics, and what is read keeps the grammar of events.
        #[test]
        fn any_json_is_read_or_refused(
            events in prop::collection::vec((prop::option::of(prop::sample::select(&WORDS[..8])), json()), 0..12),
            body in json(),
        ) {
            let frames: Vec<Frame> = events
                .iter()
                .map(|(name, data)| Frame {
                    raw: None,
                    event: name.map(|name| Bytes::from_static(name.as_bytes())),
                    data: data.to_string().into(),
                })
                .collect();
            for output_tool in [None, Some(String::new())] {
                let memo = Memo { output_tool, ..Memo::default() };
                let (_, end) = decode(&frames, memo.clone());
                prop_assert!(end.is_err() || events.iter().any(|(name, _)| name.is_none_or(|name| name == "message_stop")));
                let _ = Anthropic.decode(body.to_string().as_bytes(), &memo);
            }
            for frame in &frames {
                let _ = Anthropic.accepts(frame);
            }
            let error = Anthropic.error(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.to_string().as_bytes());
            prop_assert!(!error.message.is_empty());
        }
    }
}
