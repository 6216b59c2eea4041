use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    error::{Class, UpstreamError},
    framing::{DEFAULT_MAX_FRAME_BYTES, sse::Framer},
    ir,
};

/// What a client got: the text of all events, and how it ended.
struct Got {
    text: String,
    end: Result<()>,
    tally: Tally,
}

fn frames(text: &str) -> Vec<Frame> {
    let mut framer = Framer::new(DEFAULT_MAX_FRAME_BYTES);
    framer.push(Bytes::copy_from_slice(text.as_bytes()));
    let mut frames: Vec<_> = framer.by_ref().map(Result::unwrap).collect();
    frames.extend(framer.finish());
    frames
}

fn relay(upstream: &str, include_usage: bool) -> Got {
    let asked =
        Asked { id: "chatcmpl-ours".into(), model: "ours".into(), created: 7, include_usage, ..Asked::default() };
    let mut relay = Passthrough::new(include_usage).standing_in(&asked);
    let mut out = VecDeque::new();
    let frames = frames(upstream);
    let end = frames.into_iter().try_for_each(|frame| relay.frame(frame, &mut out));
    let end = end.and_then(|()| relay.finish(&mut out));
    let text = out.iter().map(|bytes| str::from_utf8(bytes).unwrap()).collect();
    Got { text, end, tally: relay.tally().clone() }
}

/// Relays what must end well, and returns the client's text.
fn ok(upstream: &str, include_usage: bool) -> String {
    let got = relay(upstream, include_usage);
    got.end.unwrap();
    assert!(got.text.ends_with("data: [DONE]\n\n"), "{}", got.text);
    got.text
}

fn upstream_error(upstream: &str) -> (String, UpstreamError) {
    let got = relay(upstream, false);
    match got.end {
        Err(Error::Upstream(error)) => (got.text, *error),
        other => panic!("{other:?}"),
    }
}

/// The chunks of an event stream as values, `[DONE]` left out.
fn chunks(text: &str) -> Vec<Value> {
    let payloads = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    payloads.filter(|payload| *payload != "[DONE]").map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

fn events(payloads: &[&str]) -> String {
    payloads.iter().map(|payload| format!("data: {payload}\n\n")).collect()
}

/// A chunk with one choice; `rest` follows the choices.
fn chunk(delta: &str, finish: &str, rest: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{rest}}}"#
    )
}

fn text_chunk(text: &str) -> String {
    chunk(&format!(r#"{{"content":"{text}"}}"#), "null", "")
}

fn usage_chunk(usage: &str) -> String {
    format!(r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{usage}}}"#)
}

const USAGE: &str = r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#;

/// What an SDK's accumulator makes of the tool calls: by index, every string concatenated.
fn joined_calls(text: &str) -> Vec<Value> {
    let mut calls: Vec<Value> = Vec::new();
    for chunk in chunks(text) {
        let Some(pieces) = chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned() else { continue };
        for piece in pieces {
            let at = usize::try_from(piece["index"].as_u64().expect("an index")).unwrap();
            if at == calls.len() {
                calls.push(json!({"id": "", "name": "", "arguments": "", "type": ""}));
            }
            let call = &mut calls[at];
            let mut add = |key: &str, value: &Value| {
                if let Some(text) = value.as_str() {
                    call[key] = format!("{}{text}", call[key].as_str().unwrap()).into();
                }
            };
            add("id", &piece["id"]);
            add("type", &piece["type"]);
            add("name", &piece["function"]["name"]);
            assert!(piece["function"]["arguments"].is_string() || piece["function"]["arguments"].is_null());
            add("arguments", &piece["function"]["arguments"]);
        }
    }
    calls
}

fn calls_of(deltas: &[&str], finish: &str) -> (Vec<Value>, Value) {
    let mut upstream: Vec<String> =
        deltas.iter().map(|calls| chunk(&format!(r#"{{"tool_calls":{calls}}}"#), "null", "")).collect();
    upstream.push(chunk("{}", &format!("\"{finish}\""), ""));
    let payloads: Vec<&str> = upstream.iter().map(String::as_str).chain(["[DONE]"]).collect();
    let text = ok(&events(&payloads), false);
    let finish = chunks(&text).last().unwrap()["choices"][0]["finish_reason"].clone();
    (joined_calls(&text), finish)
}

// === bytes through ===

/// OpenAI's own stream, with all that it sends besides.
const CONFORMING: &str = concat!(
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"obfuscation":"x9"}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a\u2028 \"error\":1 \\"},"logprobs":{"content":[{"token":"a","logprob":-0.10,"top_logprobs":[]}]},"finish_reason":null}],"new_field":1.50e3}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
);

/// S2: a conforming stream is the same bytes, with and without usage.
#[test]
fn a_conforming_stream_passes_byte_for_byte() {
    let bare = format!("{CONFORMING}data: [DONE]\n\n");
    assert_eq!(ok(&bare, false), bare);
    let with_nulls =
        CONFORMING.replace("}\n\n", r#","usage":null}"#).replace(r#","usage":null}data"#, ",\"usage\":null}\n\ndata");
    let counted = format!("{with_nulls}\n\ndata: {}\n\ndata: [DONE]\n\n", usage_chunk(USAGE));
    assert_eq!(ok(&counted, true), counted);
    // S1: the gateway asked for the usage on its own, so no trace of it may be left.
    assert_eq!(ok(&counted, false), bare);
}

/// The fast path hands on the very allocation that was read.
#[test]
fn a_text_chunk_is_forwarded_without_a_copy() {
    let upstream = events(&[&chunk(r#"{"role":"assistant"}"#, "null", ""), &text_chunk("hello")]);
    let mut relay = Passthrough::new(false);
    let mut out = VecDeque::new();
    for frame in frames(&upstream) {
        let raw = frame.raw.clone().unwrap();
        relay.frame(frame, &mut out).unwrap();
        assert_eq!(out.pop_front().unwrap().as_ptr(), raw.as_ptr());
    }
    assert_eq!(relay.tally().output_bytes, 5);
}

/// S8, regression 18: however the upstream spells its events, the client gets the usual form.
#[test]
fn other_spellings_are_written_anew() {
    let usual = format!("{CONFORMING}data: [DONE]\n\n");
    for spelling in [
        usual.replace('\n', "\r\n"),
        usual.replace('\n', "\r"),
        usual.replace("data: ", "data:"),
        usual.replace("data: ", "id: 1\nretry: 5\n: note\ndata: "),
        format!("\u{feff}{usual}"),
        usual.trim_end().to_owned(),
    ] {
        assert_eq!(ok(&spelling, false), usual);
    }
    let pretty = usual.replace(r#","choices""#, ",\ndata: \"choices\"");
    assert_eq!(ok(&pretty, false).replace(", \"choices\"", ",\"choices\""), usual);
    assert!(ok(&pretty, false).lines().all(|line| line.is_empty() || line.starts_with("data: ")));
}

// === usage ===

/// S1, regression 1 and 3: usage on the finish chunk moves into a chunk of its own, and an empty
/// chunk after it is dropped.
#[test]
fn usage_on_the_finish_chunk_moves_to_the_end() {
    let finish = chunk("{}", r#""stop""#, &format!(r#","usage":{USAGE}"#));
    let empty = usage_chunk("null");
    let text = ok(&events(&[&text_chunk("ab"), &finish, &empty, "[DONE]"]), true);
    let expected =
        events(&[&text_chunk("ab"), &chunk("{}", r#""stop""#, r#","usage":null"#), &usage_chunk(USAGE), "[DONE]"]);
    assert_eq!(text, expected);
}

/// S1, regression 2: who did not ask sees no usage and no empty chunk; the tally has it.
#[test]
fn usage_is_hidden_from_who_did_not_ask() {
    let finish = chunk("{}", r#""stop""#, &format!(r#","usage":{USAGE}"#));
    for upstream in [
        events(&[&text_chunk("ab"), &finish, "[DONE]"]),
        events(&[&text_chunk("ab"), &chunk("{}", r#""stop""#, ""), &usage_chunk(USAGE), "[DONE]"]),
        events(&[&text_chunk("ab"), &finish, &usage_chunk("null"), "[DONE]"]),
    ] {
        let got = relay(&upstream, false);
        got.end.unwrap();
        assert_eq!(got.text, events(&[&text_chunk("ab"), &chunk("{}", r#""stop""#, ""), "[DONE]"]));
        assert_eq!(got.tally.usage, Some(ir::Usage { input: 5, output: 2, ..ir::Usage::default() }));
        assert_eq!(got.tally.output_bytes, 2);
        assert_eq!(got.tally.finish, Some(ir::Finish::Stop));
    }
}

/// S1, C2: running counts in every chunk (Perplexity, vLLM on request): the last ones count.
#[test]
fn running_counts_are_not_summed() {
    let counted = |n: u32, finish: &str| {
        let usage = format!(r#","usage":{{"prompt_tokens":5,"completion_tokens":{n}}}"#);
        chunk(r#"{"content":"x"}"#, finish, &usage)
    };
    let upstream = events(&[&counted(1, "null"), &counted(2, "null"), &counted(3, r#""stop""#), "[DONE]"]);
    let got = relay(&upstream, true);
    let all = chunks(&got.text);
    assert_eq!(all.iter().filter(|chunk| !chunk["usage"].is_null()).count(), 1);
    assert_eq!(all[3]["choices"], json!([]));
    assert_eq!(all[3]["usage"], json!({"prompt_tokens":5,"completion_tokens":3}));
    assert_eq!(got.tally.usage.unwrap().output, 3);
}

/// S1: usage in Groq's and Moonshot's places is counted, and given to who asked.
#[test]
fn usage_in_vendors_places() {
    let groq = chunk("{}", r#""stop""#, &format!(r#","x_groq":{{"id":"r","usage":{USAGE}}}"#));
    let moonshot = chunk("{}", &format!(r#""stop","usage":{USAGE}"#), "");
    for last in [groq, moonshot] {
        let got = relay(&events(&[&text_chunk("a"), &last, "[DONE]"]), true);
        assert_eq!(got.tally.usage.unwrap().total(), 7, "{last}");
        assert!(got.text.ends_with(&events(&[&usage_chunk(USAGE), "[DONE]"])), "{}", got.text);
    }
}

/// S2: a chunk without choices that says something else stays; usage still comes last.
#[test]
fn a_note_without_choices_is_forwarded() {
    let note = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"moderation":{"flagged":false},"usage":null}"#;
    let finish = chunk("{}", r#""stop""#, "");
    let upstream = events(&[&text_chunk("a"), &finish, &usage_chunk(USAGE), note, "[DONE]"]);
    assert_eq!(ok(&upstream, true), events(&[&text_chunk("a"), &finish, note, &usage_chunk(USAGE), "[DONE]"]));
    let hidden = note.replace(r#","usage":null"#, "");
    assert_eq!(ok(&upstream, false), events(&[&text_chunk("a"), &finish, &hidden, "[DONE]"]));
}

/// mlx_lm names its usage chunk as if it were a whole answer.
#[test]
fn the_usage_chunk_gets_the_right_object() {
    let odd = usage_chunk(USAGE).replace("chat.completion.chunk", "chat.completion");
    let upstream = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, ""), &odd]);
    assert!(ok(&upstream, true).ends_with(&events(&[&usage_chunk(USAGE), "[DONE]"])));
}

// === begin and end ===

/// S3: Azure's prelude is not forwarded, and it proves nothing.
#[test]
fn the_prelude_is_dropped() {
    let prelude =
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#;
    let rest = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, ""), "[DONE]"]);
    assert_eq!(ok(&format!("{}{rest}", events(&[prelude])), false), rest);
    assert!(!accepts(&frames(&events(&[prelude]))[0]).unwrap());
    let note = r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{"check_offset":4}}]}"#;
    let text = ok(&events(&[&text_chunk("a"), note, &chunk("{}", r#""stop""#, ""), "[DONE]"]), false);
    assert_eq!(chunks(&text)[1]["choices"][0]["delta"], json!({}));
}

/// E1, regression 6: a stream that breaks off is an error, after all it had said.
#[test]
fn an_end_without_a_finish_is_an_error() {
    let got = relay(&events(&[&text_chunk("a"), &text_chunk("b")]), true);
    assert_eq!(got.text, events(&[&text_chunk("a"), &text_chunk("b")]));
    assert!(matches!(got.end, Err(Error::Interrupted { .. })));
    assert_eq!(got.tally.finish, None);
    assert!(matches!(relay("", false).end, Err(Error::Interrupted { .. })));
}

/// E1: an end without `[DONE]` after a finish reason is clean.
#[test]
fn a_missing_done_is_added() {
    let upstream = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, "")]);
    assert_eq!(ok(&upstream, false), format!("{upstream}data: [DONE]\n\n"));
}

/// E1, regression 7: `[DONE]` alone (a failed vLLM) is no answer.
#[test]
fn done_without_an_answer_is_an_error() {
    for upstream in [events(&["[DONE]"]), events(&[&usage_chunk(USAGE), "[DONE]"])] {
        let got = relay(&upstream, true);
        assert!(matches!(got.end, Err(Error::BadReply { .. })));
        assert_eq!(got.text, "");
    }
}

#[test]
fn nothing_follows_the_end() {
    let end = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, ""), "[DONE]"]);
    assert_eq!(ok(&format!("{end}{}", events(&[&text_chunk("late"), "[DONE]"])), false), end);
}

/// A choice that `[DONE]` ends without a reason gets the one it stands for.
#[test]
fn a_missing_finish_reason_is_added_at_done() {
    let empty = chunk(r#"{"content":"a"}"#, r#""""#, "");
    let text = ok(&events(&[&empty, &empty, "[DONE]"]), false);
    let finishes: Vec<_> = chunks(&text).iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    assert_eq!(finishes, [Value::Null, Value::Null, json!("stop")]);
}

// === errors ===

/// E2, regression 8: an error event is the upstream's error, with its own words and status.
#[test]
fn errors_in_the_stream() {
    let vllm = events(&[r#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#, "[DONE]"]);
    let (text, error) = upstream_error(&vllm);
    assert_eq!((text.as_str(), error.status.as_u16(), error.message.as_str()), ("", 400, "too long"));
    assert_eq!(error.kind.as_deref(), Some("BadRequestError"));
    assert!(matches!(accepts(&frames(&vllm)[0]), Err(Error::Upstream(_))));

    for (event, class) in [
        (r#"{"id":"g","error":{"code":502,"message":"closed"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#.to_owned(), Class::Server),
        (chunk("{}", r#""abort""#, ""), Class::Server),
        (chunk("{}", r#""network_error""#, ""), Class::Server),
        (chunk("{}", "null", r#","x_groq":{"error":"over capacity"}"#), Class::Overloaded),
        (r#"{"error":{"message":"slow"},"status_code":429}"#.to_owned(), Class::RateLimit),
    ] {
        let (text, error) = upstream_error(&events(&[&text_chunk("a"), &event, "[DONE]"]));
        assert_eq!((text, error.class), (events(&[&text_chunk("a")]), class), "{event}");
    }
    let (_, error) = upstream_error("event: error\ndata: {\"message\":\"m\"}\n\n");
    assert_eq!(error.message, "m");
    assert_eq!(
        upstream_error(&events(&[&chunk("{}", r#""insufficient_system_resource""#, "")])).1.class,
        Class::Overloaded
    );
}

#[test]
fn an_error_that_is_none_passes() {
    let upstream = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, r#","error":null"#), "[DONE]"]);
    assert_eq!(ok(&upstream, false), upstream);
}

/// A broken chunk ends the stream; a named event that is no chunk does not.
#[test]
fn broken_chunks() {
    for data in ["{\"id\":", "<html>", "7", r#"{"choices":7}"#, r#"{"choices":[{"delta":7}]}"#] {
        let got = relay(&events(&[&text_chunk("a"), data]), false);
        assert!(matches!(got.end, Err(Error::BadReply { .. })), "{data}");
    }
    let end = events(&[&text_chunk("a"), &chunk("{}", r#""stop""#, ""), "[DONE]"]);
    assert_eq!(ok(&format!("event: ping\ndata: {{\"type\":\"ping\"}}\n\nevent: ping\ndata: 1\n\n{end}"), false), end);
}

#[test]
fn acceptance() {
    let judge = |text: &str| accepts(&frames(text)[0]);
    assert!(judge(&events(&[&text_chunk("a")])).unwrap());
    assert!(judge(&events(&[&chunk(r#"{"role":"assistant","content":""}"#, "null", "")])).unwrap());
    assert!(!judge("event: ping\ndata: {}\n\n").unwrap());
    assert!(!judge("data:\n\n").unwrap());
    assert!(matches!(judge("data: [DONE]\n\n"), Err(Error::BadReply { .. })));
    assert!(matches!(judge("data: oops\n\n"), Err(Error::BadReply { .. })));
    assert!(matches!(judge("event: error\ndata: x\n\n"), Err(Error::Upstream(_))));
}

// === repairs ===

/// T2: an index that is missing, null, repeated or starts elsewhere; ids and names said twice.
#[test]
fn fragments_of_calls_join() {
    let two = [("x", "f", r#"{"a":1}"#), ("y", "g", r#"{"b":2}"#)];
    for (vendor, deltas) in [
        (
            "openai",
            vec![
                r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]"#,
                r#"[{"index":0,"function":{"arguments":"{\"a\""}}]"#,
                r#"[{"index":0,"function":{"arguments":":1}"}}]"#,
                r#"[{"index":1,"id":"y","type":"function","function":{"name":"g","arguments":"{\"b\":2}"}}]"#,
            ],
        ),
        (
            "mistral",
            vec![
                r#"[{"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"y","function":{"name":"g","arguments":"{\"b\":2}"}}]"#,
            ],
        ),
        (
            "gemini",
            vec![
                r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]"#,
                r#"[{"index":0,"id":"y","type":"function","function":{"name":"g","arguments":"{\"b\":2}"}}]"#,
            ],
        ),
        (
            "dashscope",
            vec![
                r#"[{"index":1,"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\""}}]"#,
                r#"[{"index":1,"id":"","function":{"name":"","arguments":":1}"}}]"#,
                r#"[{"index":3,"id":"y","type":"function","function":{"name":"g","arguments":null}}]"#,
                r#"[{"index":3,"id":"y","function":{"name":"g","arguments":"{\"b\":2}"}}]"#,
            ],
        ),
        (
            "objects",
            vec![
                r#"[{"index":null,"id":"x","function":{"name":"f","arguments":{"a":1}}}]"#,
                r#"[{"index":null,"id":"y","function":{"name":"g","arguments":{"b":2}}}]"#,
            ],
        ),
        (
            "by id",
            vec![
                r#"[{"id":"x","type":"function","function":{"name":"f","arguments":""}}]"#,
                r#"[{"id":"y","type":"function","function":{"name":"g","arguments":""}}]"#,
                r#"[{"id":"x","function":{"arguments":"{\"a\":1}"}}]"#,
                r#"[{"id":"y","function":{"arguments":"{\"b\":2}"}}]"#,
            ],
        ),
    ] {
        let (calls, finish) = calls_of(&deltas, "stop");
        assert_eq!(finish, "tool_calls", "{vendor}");
        let expected = two
            .map(|(id, name, arguments)| json!({"id": id, "name": name, "arguments": arguments, "type": "function"}));
        assert_eq!(calls, expected, "{vendor}");
    }
}

/// T2: ids that are missing or given twice are made, different from each other and stable.
#[test]
fn missing_ids_are_made() {
    let deltas = [
        r#"[{"id":"0","function":{"name":"f","arguments":"{}"}}]"#,
        r#"[{"index":1,"id":"0","function":{"name":"f","arguments":"{}"}}]"#,
        r#"[{"index":2,"function":{"name":"g","arguments":"{}"}}]"#,
        r#"[{"function":{"name":"h","arguments":"{}"}}]"#,
    ];
    let (calls, _) = calls_of(&deltas, "tool_calls");
    let ids: Vec<&str> = calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "0");
    assert!(ids[1..].iter().all(|id| id.len() == 29 && id.starts_with("call_")), "{ids:?}");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    assert_eq!(calls_of(&deltas, "tool_calls").0, calls);
}

/// T1, regression 24: a call without arguments joins to `{}`, wherever it ends.
#[test]
fn calls_without_arguments() {
    for delta in [
        r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":0,"id":"x","type":"function","function":{"name":"f"}}]"#,
        r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":null}}]"#,
        r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":{}}}]"#,
    ] {
        let expected = [json!({"id": "x", "name": "f", "arguments": "{}", "type": "function"})];
        assert_eq!(calls_of(&[delta], "tool_calls").0, expected, "{delta}");
        let whole = chunk(&format!(r#"{{"tool_calls":{delta}}}"#), r#""tool_calls""#, "");
        assert_eq!(joined_calls(&ok(&events(&[&whole, "[DONE]"]), false)), expected, "{delta}");
        let unfinished = chunk(&format!(r#"{{"tool_calls":{delta}}}"#), "null", "");
        assert_eq!(joined_calls(&ok(&events(&[&unfinished, "[DONE]"]), true)), expected, "{delta}");
    }
}

/// T1, T2, regression 25: text, then two calls whose first pieces are empty.
#[test]
fn text_and_two_calls() {
    let upstream = [
        text_chunk("a"),
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}]}"#,
            "null",
            "",
        ),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}"#, "null", ""),
        chunk(
            r#"{"tool_calls":[{"index":1,"id":"y","type":"function","function":{"name":"g","arguments":""}}]}"#,
            "null",
            "",
        ),
        chunk(r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#, "null", ""),
        chunk("{}", r#""tool_calls""#, ""),
        "[DONE]".into(),
    ];
    let upstream = events(&upstream.each_ref().map(String::as_str));
    assert_eq!(ok(&upstream, false), upstream);
    let calls = joined_calls(&upstream);
    assert_eq!((&calls[0]["arguments"], &calls[1]["arguments"]), (&json!("{\"a\":1}"), &json!("{}")));
}

/// S4: a stop after calls is `tool_calls`; length and content filter win; the rest is mapped.
#[test]
fn finish_reasons() {
    let call = r#"[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    for (wire, expected) in
        [("stop", "tool_calls"), ("eos", "tool_calls"), ("length", "length"), ("content_filter", "content_filter")]
    {
        assert_eq!(calls_of(&[call], wire).1, expected);
    }
    for (wire, expected) in
        [("eos", "stop"), ("end_turn", "stop"), ("model_length", "length"), ("sensitive", "content_filter")]
    {
        let text = ok(&events(&[&text_chunk("a"), &chunk("{}", &format!("\"{wire}\""), ""), "[DONE]"]), false);
        assert_eq!(text, events(&[&text_chunk("a"), &chunk("{}", &format!("\"{expected}\""), ""), "[DONE]"]));
    }
}

/// Mistral's typed parts become the strings that clients read.
#[test]
fn content_parts_become_strings() {
    let thinking =
        chunk(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Let me"}]}]}"#, "null", "");
    let answer = chunk(r#"{"content":[{"type":"text","text":"yes"}]}"#, r#""stop""#, "");
    let got = relay(&events(&[&thinking, &answer, "[DONE]"]), false);
    let all = chunks(&got.text);
    assert_eq!(all[0]["choices"][0]["delta"], json!({"content": null, "reasoning_content": "Let me"}));
    assert_eq!(all[1]["choices"][0]["delta"], json!({"content": "yes"}));
    assert_eq!(got.tally.output_bytes, 9);
}

/// A head that is missing is the same on every chunk; one that is there stays.
#[test]
fn missing_heads_are_completed() {
    let bare =
        |delta: &str, finish: &str| format!(r#"{{"id":"","choices":[{{"delta":{delta},"finish_reason":{finish}}}]}}"#);
    let upstream = events(&[&bare(r#"{"content":"a"}"#, "null"), &bare(r#"{"content":"b"}"#, r#""stop""#), "[DONE]"]);
    for chunk in chunks(&ok(&upstream, false)) {
        assert_eq!(chunk["id"], "chatcmpl-ours");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["created"], &chunk["model"]), (&json!(7), &json!("ours")));
        assert_eq!(chunk["choices"][0]["index"], 0);
    }
    // What the upstream has said once, it means for the whole stream.
    let upstream = events(&[&text_chunk("a"), &bare("{}", r#""stop""#), "[DONE]"]);
    assert_eq!(chunks(&ok(&upstream, false))[1]["id"], "c1");
}

/// SDK helpers concatenate a role that is said twice; each choice says its own once.
#[test]
fn roles_are_said_once() {
    let said = |index: u32| {
        chunk(r#"{"role":"assistant","content":"a"}"#, "null", "")
            .replace(r#""index":0"#, &format!(r#""index":{index}"#))
    };
    let upstream = events(&[&said(0), &said(1), &said(0), &said(1), &chunk("{}", r#""stop""#, ""), "[DONE]"]);
    let text = ok(&upstream, false);
    let roles: Vec<_> = chunks(&text).iter().map(|chunk| chunk["choices"][0]["delta"]["role"].clone()).collect();
    assert_eq!(roles[..4], [json!("assistant"), json!("assistant"), Value::Null, Value::Null]);
}

/// Perplexity's last chunk repeats the answer as a message, which must not be appended.
#[test]
fn the_repeated_answer_is_dropped() {
    let last = chunk(r#"{"content":""},"message":{"role":"assistant","content":"ab"}"#, r#""stop""#, "")
        .replace("chat.completion.chunk", "chat.completion.done");
    let text = ok(&events(&[&text_chunk("ab"), &last, "[DONE]"]), false);
    assert_eq!(chunks(&text)[1], serde_json::from_str::<Value>(&chunk(r#"{"content":""}"#, r#""stop""#, "")).unwrap());
}

/// E2: a whole message in place of a delta is what the model said, unless something was said before.
#[test]
fn a_whole_message_is_a_delta() {
    let whole = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ab"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
    let got = chunks(&ok(&events(&[whole, "[DONE]"]), true));
    let said = json!({"role": "assistant", "content": "ab"});
    assert_eq!((&got[0]["choices"][0]["delta"], &got[0]["object"]), (&said, &json!("chat.completion.chunk")));
    assert_eq!((got[0]["choices"][0].get("message"), &got[1]["usage"]["total_tokens"]), (None, &json!(7)));
    let got = chunks(&ok(&events(&[&text_chunk("ab"), whole, "[DONE]"]), false));
    assert_eq!(got[1]["choices"][0]["delta"], json!({}));
}

// === whole answers ===

fn whole(body: &str) -> Result<(String, Tally)> {
    unary(&Bytes::copy_from_slice(body.as_bytes()))
        .map(|(bytes, tally)| (String::from_utf8(bytes.to_vec()).unwrap(), tally))
}

/// S2: a conforming answer keeps its bytes, and shares them.
#[test]
fn a_conforming_answer_passes_byte_for_byte() {
    let body = format!(
        r#"{{ "id":"c1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hi","refusal":null}},"finish_reason":"stop"}}],"usage":{USAGE},"x":1.0e2}}"#
    );
    let bytes = Bytes::from(format!("\n\n  {body}\n"));
    let (out, tally) = unary(&bytes).unwrap();
    assert_eq!(out, body);
    assert_eq!(out.as_ptr(), bytes.slice(4..).as_ptr());
    assert_eq!(tally.usage.unwrap().total(), 7);
    assert_eq!((tally.output_bytes, tally.finish), (2, Some(ir::Finish::Stop)));
}

/// M2, E2, regression 64: a success without an answer is an error.
#[test]
fn a_success_without_an_answer_is_an_error() {
    for body in [
        "",
        " \n",
        "null",
        "[]",
        "7",
        "<html>oops</html>",
        "{}",
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[{"index":0}]}"#,
        r#"{"choices":7}"#,
        "\u{0}",
    ] {
        assert!(matches!(whole(body), Err(Error::BadReply { .. })), "{body}");
    }
    for (body, status) in [
        (r#"{"error":{"code":502}}"#, 502),
        (r#"{"id":null,"choices":null,"error":{"message":"m","code":429}}"#, 429),
        (r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#, 429),
        (r#"[{"error":{"code":503,"message":"busy"}}]"#, 503),
        (r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"error"}]}"#, 502),
    ] {
        match whole(body) {
            Err(Error::Upstream(error)) => assert_eq!(error.status.as_u16(), status, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

/// T1, T3, S4: what SDKs would trip over in a whole answer.
#[test]
fn whole_answers_are_repaired() {
    let body = r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"y"}],"tool_calls":[{"id":"x","function":{"name":"f","arguments":{"a":1}}},{"id":"x","type":"function","function":{"name":"g"}}]},"finish_reason":"eos"}],"kept":0.10}"#;
    let (text, tally) = whole(body).unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("y"), &json!("hm")));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(message["tool_calls"][0]["type"], "function");
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{}");
    assert_ne!(message["tool_calls"][1]["id"], "x");
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(answer["object"], "chat.completion");
    assert!(text.contains("0.10"));
    assert_eq!(tally.finish, Some(ir::Finish::ToolCalls));
}

// === properties ===

/// Chunks of every kind, good and bad.
fn payload() -> impl Strategy<Value = String> {
    let calls = prop::sample::select(vec![
        r#"[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":0,"function":{"arguments":"{}"}}]"#,
        r#"[{"id":"","function":{"arguments":null}}]"#,
        r#"[{"function":{"name":"g","arguments":{"a":[1]}}},{"function":{"name":"g"}}]"#,
        r#"[{"index":2,"id":"y","type":"custom","custom":{"name":"c","input":"i"}}]"#,
        r#"[{"index":-1}]"#,
        "[]",
        "[7]",
    ]);
    let delta = prop_oneof![
        "[a-z\"\\\\\u{4f60}{}:,]{0,8}".prop_map(|text| json!({"content": text}).to_string()),
        calls.prop_map(|calls| format!(r#"{{"tool_calls":{calls}}}"#)),
        Just(r#"{"role":"assistant","content":""}"#.to_owned()),
        Just(r#"{"content":[{"type":"text","text":"t"}]}"#.to_owned()),
        Just("{}".to_owned()),
    ];
    let finish = prop::sample::select(vec!["null", "null", "null", r#""stop""#, r#""length""#, r#""""#]);
    let rest = prop::sample::select(vec![
        "",
        r#","usage":null"#,
        r#","usage":{"prompt_tokens":1,"completion_tokens":1}"#,
        r#","v":{"usage":null}"#,
    ]);
    prop_oneof![
        8 => (delta, finish, rest).prop_map(|(delta, finish, rest)| chunk(&delta, finish, rest)),
        1 => Just(usage_chunk(USAGE)),
        1 => Just(usage_chunk("null")),
        1 => Just("[DONE]".to_owned()),
        1 => Just(r#"{"id":"","choices":[]}"#.to_owned()),
    ]
}

proptest! {
    /// S1, T1, T2, E1: whatever an upstream sends, what ends well obeys the rules of the dialect.
    #[test]
    fn what_ends_well_is_well_formed(payloads in prop::collection::vec(payload(), 0..14), include_usage in any::<bool>()) {
        let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
        let got = relay(&events(&payloads), include_usage);
        let all = chunks(&got.text);
        let with_usage = all.iter().filter(|chunk| chunk["usage"].is_object()).count();
        if include_usage {
            prop_assert!(with_usage <= 1);
            prop_assert!(with_usage == 0 || all.last().unwrap()["choices"] == json!([]));
        } else {
            prop_assert!(all.iter().all(|chunk| chunk.get("usage").is_none()), "{}", got.text);
            prop_assert!(all.iter().all(|chunk| chunk["choices"] != json!([])));
        }
        if got.end.is_ok() {
            prop_assert!(got.text.ends_with("data: [DONE]\n\n"));
            prop_assert_eq!(got.text.matches("[DONE]").count(), 1);
        }
    }

    /// Text alone passes untouched, whatever it says.
    #[test]
    fn any_text_passes_untouched(texts in prop::collection::vec(any::<String>(), 1..8)) {
        let deltas: Vec<String> = texts.iter().map(|text| chunk(&json!({"content": text}).to_string(), "null", "")).collect();
        let last = chunk("{}", r#""stop""#, "");
        let payloads: Vec<&str> = deltas.iter().map(String::as_str).chain([last.as_str(), "[DONE]"]).collect();
        let upstream = events(&payloads);
        prop_assert_eq!(ok(&upstream, false), upstream);
    }

    /// Arbitrary bytes never panic, neither streamed nor whole.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut relay = Passthrough::new(true);
        relay.is_tidy = true;
        let frame = Frame { raw: None, event: None, data: bytes.clone().into() };
        let _ = accepts(&frame);
        let _ = relay.frame(frame, &mut VecDeque::new());
        let _ = unary(&bytes.into());
    }

    /// The quick look and the careful reading agree on what may pass untouched.
    #[test]
    fn the_quick_look_never_passes_what_needs_mending(payload in payload(), include_usage in any::<bool>()) {
        let Peek::Plain { output_bytes, .. } = peek(payload.as_bytes(), include_usage) else { return Ok(()) };
        let mut careful = Passthrough::new(include_usage);
        let mut out = VecDeque::new();
        let frame = frames(&events(&[&payload])).remove(0);
        careful.frame(frame.clone(), &mut out).unwrap();
        prop_assert_eq!(out.pop_front(), frame.raw);
        prop_assert_eq!(careful.tally.output_bytes, output_bytes);
    }
}
