//! The dialect against documented traffic, and the rules that hold for any.

use std::collections::VecDeque;

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    framing::sse::Framer,
    ir::{Block, Delta, Event, Finish, Opening, Usage},
    wire::translate,
};

const USAGE: &str = r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#;

fn asked(include_usage: bool) -> Asked {
    Asked { model: "fast".into(), include_usage, id: "cmpl-own".into(), created: 7, ..Asked::default() }
}

/// A chunk as OpenAI writes it.
fn chunk(text: &str, finish: &str, more: &str) -> String {
    format!(
        "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"choices\":[{{\"text\":\"{text}\",\"index\":0,\"logprobs\":null,\"finish_reason\":{finish}}}],\"model\":\"m\"{more}}}\n\n"
    )
}

fn counts() -> String {
    format!(
        "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"choices\":[],\"model\":\"m\",\"usage\":{USAGE}}}\n\n"
    )
}

const END: &str = "data: [DONE]\n\n";

/// What the client gets of these bytes, how it ended, and the counts.
fn relayed(include_usage: bool, bytes: &[u8]) -> (String, Result<()>, Tally) {
    let mut framer = Framer::new(1 << 20);
    framer.push(Bytes::copy_from_slice(bytes));
    let mut frames: Vec<Frame> = framer.by_ref().flatten().collect();
    frames.extend(framer.finish());
    let mut relay = OpenAiCompletions.relay(&asked(include_usage));
    let mut out = VecDeque::new();
    let mut result = Ok(());
    for frame in frames {
        result = result.and_then(|()| relay.frame(frame, &mut out));
    }
    let result = result.and_then(|()| relay.finish(&mut out));
    let text = out.iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
    (text, result, relay.tally().clone())
}

fn decoded(body: &Value) -> Result<ir::Request> {
    ClientDialect::decode(&OpenAiCompletions, body.to_string().as_bytes())
}

/// S2, S1: a conforming stream passes byte for byte, nulls and odd members included.
#[test]
fn what_is_sound_passes_as_it_is() {
    let plain = [chunk("Hé", "null", ",\"odd\":1.0e2"), chunk("y", "\"stop\"", ""), END.into()].concat();
    let (text, result, tally) = relayed(false, plain.as_bytes());
    assert_eq!((text, result.is_ok(), tally.finish), (plain, true, Some(Finish::Stop)));
    let null = ",\"usage\":null";
    let with_usage = [chunk("Hi", "null", null), chunk("", "\"length\"", null), counts(), END.into()].concat();
    let (text, _, tally) = relayed(true, with_usage.as_bytes());
    assert_eq!((text, tally.usage.unwrap().output, tally.output_bytes), (with_usage, 2, 2));
}

/// S1: usage that only the gateway asked for is counted and kept; usage that stands elsewhere gets its
/// place.
#[test]
fn usage_has_one_place() {
    let null = ",\"usage\":null";
    let stream = [chunk("Hi", "null", null), chunk("", "\"stop\"", null), counts(), END.into()].concat();
    let (text, _, tally) = relayed(false, stream.as_bytes());
    assert_eq!(text, [chunk("Hi", "null", ""), chunk("", "\"stop\"", ""), END.into()].concat());
    assert_eq!(tally.usage.unwrap().output, 2);
    let inside = [chunk("Hi", "\"stop\"", &format!(",\"usage\":{USAGE}")), END.into()].concat();
    let (text, ..) = relayed(true, inside.as_bytes());
    let last = format!(
        "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{USAGE}}}\n\n"
    );
    assert_eq!(text, [chunk("Hi", "\"stop\"", null), last, END.into()].concat());
}

/// S4: heads, indices and reasons that SDKs would trip over; a stream without its end gets one once
/// all has been said (mlx_lm, TGI).
#[test]
fn what_is_missing_is_mended() {
    let stream =
        "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"finish_reason\":\"eos_token\"}]}\n\n";
    let (text, result, _) = relayed(false, stream.as_bytes());
    let chunks: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    assert!(result.is_ok() && text.ends_with(END), "{text}");
    for chunk in &chunks {
        assert_eq!(
            (&chunk["id"], &chunk["object"], &chunk["created"], &chunk["model"]),
            (&json!("cmpl-own"), &json!("text_completion"), &json!(7), &json!("fast"))
        );
        assert_eq!(chunk["choices"][0]["index"], 0);
    }
    assert_eq!((&chunks[0]["choices"][0]["text"], &chunks[1]["choices"][0]["text"]), (&json!("a"), &json!("")));
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
}

/// E1, E2: an end that is none, and every error within a stream, are errors and no end.
#[test]
fn what_breaks_is_an_error() {
    let begun = chunk("Hi", "null", "");
    let (text, result, _) = relayed(false, begun.as_bytes());
    assert!(matches!(result, Err(Error::Interrupted { .. })) && text == begun, "{result:?}");
    for bad in [
        "data: {\"error\":{\"message\":\"no\",\"code\":503}}\n\n".to_owned(),
        "event: error\ndata: {\"message\":\"no\"}\n\n".to_owned(),
        chunk("", "\"abort\"", ""),
    ] {
        let (text, result, _) = relayed(false, [begun.as_str(), &bad].concat().as_bytes());
        assert!(matches!(result, Err(Error::Upstream(_))) && text == begun, "{bad} {result:?}");
    }
    for bad in ["data: [DONE]\n\n", "data: nonsense\n\n", "data: {\"choices\":[{\"text\":7}]}\n\n"] {
        assert!(matches!(relayed(false, bad.as_bytes()).1, Err(Error::BadReply { .. })), "{bad}");
    }
    // One of two answers has not come to its end.
    let two = [chunk("a", "\"stop\"", ""), chunk("b", "null", "").replace("\"index\":0", "\"index\":1")].concat();
    assert!(matches!(relayed(false, two.as_bytes()).1, Err(Error::Interrupted { .. })));
}

/// S2, E2: whole answers pass as they are, are counted, and are judged.
#[test]
fn whole_answers() {
    let whole = format!(
        r#" {{ "id":"cmpl-1","object":"text_completion","x":1.0e2,"choices":[{{"text":"a\n","index":0,"logprobs":null,"finish_reason":"length"}}],"usage":{USAGE}}}"#
    );
    let (bytes, tally) = OpenAiCompletions.pass(&Bytes::from(whole.clone())).unwrap();
    assert_eq!(
        (bytes, tally.output_bytes, tally.finish),
        (Bytes::from(whole.trim().to_owned()), 2, Some(Finish::Length))
    );
    let (bytes, _) = OpenAiCompletions.pass(&Bytes::from_static(br#"{"choices":[{"text":"a"}]}"#)).unwrap();
    assert_eq!(bytes, r#"{"choices":[{"text":"a","index":0}],"object":"text_completion"}"#);
    for bad in [r#"{"choices":[]}"#, "<html>", "", r#"{"error":{"message":"no"}}"#] {
        assert!(OpenAiCompletions.accepts_whole(bad.as_bytes()).is_err(), "{bad}");
        assert!(OpenAiCompletions.pass(&Bytes::from(bad)).is_err(), "{bad}");
    }
    let response = UpstreamDialect::decode(&OpenAiCompletions, whole.as_bytes(), &Memo::default()).unwrap();
    assert_eq!(response.blocks, [Block::text("a\n")]);
    assert_eq!((response.finish, response.usage.unwrap().prompt()), (Finish::Length, 5));
}

/// C1: what a chat can say is carried, and nothing is made up: no limit of 16 tokens.
#[test]
fn a_prompt_is_a_message() {
    for prompt in [json!("Say é"), json!(["Say é"])] {
        let request = decoded(&json!({"model": "m", "prompt": prompt})).unwrap();
        assert_eq!(request.messages, [ir::Message::new(ir::Role::User, vec![Block::text("Say é")])]);
        assert_eq!((request.max_tokens, request.stream, request.extra.len()), (None, false, 0));
    }
    let request = decoded(&json!({
        "model": "m", "prompt": "p", "max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "stop": ["x"], "seed": 3, "user": "u",
        "presence_penalty": 1, "frequency_penalty": 2, "logit_bias": {"1": 2}, "stream": true, "new": 1,
        "stream_options": {"include_usage": true}, "n": 1, "best_of": 1, "echo": false, "logprobs": null, "suffix": "",
    }))
    .unwrap();
    let sampling = &request.sampling;
    assert_eq!((request.max_tokens, request.stop, request.user.as_deref()), (Some(9), vec!["x".to_owned()], Some("u")));
    assert_eq!((sampling.temperature, sampling.top_p, sampling.seed), (Some(0.5), Some(0.25), Some(3)));
    assert_eq!((sampling.presence_penalty, sampling.frequency_penalty, sampling.n), (Some(1.0), Some(2.0), None));
    assert_eq!(request.extra.keys().collect::<Vec<_>>(), ["logit_bias", "new"]);
    assert!(request.stream);
}

/// M1: what no chat can answer is refused, and the field is named.
#[test]
fn what_a_chat_cannot_say_is_refused() {
    for (extra, param, code) in [
        (json!({"suffix": "x"}), "suffix", "unsupported_parameter"),
        (json!({"echo": true}), "echo", "unsupported_parameter"),
        (json!({"logprobs": 0}), "logprobs", "unsupported_parameter"),
        (json!({"best_of": 2}), "best_of", "unsupported_parameter"),
        (json!({"n": 2}), "n", "unsupported_parameter"),
        (json!({"prompt": ["a", "b"]}), "prompt", "invalid_value"),
        (json!({"prompt": [1, 2]}), "prompt", "invalid_value"),
        (json!({"prompt": [[1, 2]]}), "prompt", "invalid_value"),
        (json!({"prompt": []}), "prompt", "invalid_value"),
        (json!({"prompt": null}), "prompt", "missing_required_parameter"),
        (json!({"prompt": 7}), "prompt", "invalid_type"),
    ] {
        let mut body = json!({"model": "m", "prompt": "p"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let kind = decoded(&body).unwrap_err().kind();
        assert_eq!((kind.param.as_deref(), kind.code.as_deref()), (Some(param), Some(code)), "{extra}");
    }
}

/// The stream and the whole answer of a chat: text and refusals, no reasoning.
#[test]
fn a_chats_answer_is_a_text() {
    let delta = |index, delta| Event::Delta { index, delta };
    let events = [
        Event::Start { id: String::new(), model: "x".into(), created: 0 },
        Event::Open { index: 0, block: Opening::Reasoning },
        delta(0, Delta::Reasoning("hm".into())),
        Event::Close { index: 0 },
        Event::Open { index: 1, block: Opening::Text },
        delta(1, Delta::Text("Hi\n".into())),
        Event::Close { index: 1 },
        Event::Usage(Usage { input: 5, output: 2, ..Usage::default() }),
        Event::Finish { reason: Finish::Refusal, stop_sequence: None },
    ];
    let head = r#"data: {"id":"cmpl-own","object":"text_completion","created":7,"model":"fast","#;
    for (include_usage, null) in [(false, ""), (true, r#","usage":null"#)] {
        let mut encoder = OpenAiCompletions.encoder(asked(include_usage));
        let mut out = BytesMut::new();
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.finish(&mut out);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let choice = |text: &str, finish: &str| {
            format!(
                r#"{head}"choices":[{{"text":"{text}","index":0,"logprobs":null,"finish_reason":{finish}}}]{null}}}"#
            )
        };
        let rest =
            text.strip_prefix(&format!("{}\n\n{}\n\n", choice("Hi\\n", "null"), choice("", "\"content_filter\"")));
        let rest = rest.unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            rest.starts_with(&format!(r#"{head}"choices":[],"usage":{{"prompt_tokens":5"#)),
            include_usage,
            "{rest}"
        );
        assert!(rest.ends_with(END) && rest.matches("data: ").count() == 1 + usize::from(include_usage), "{rest}");
    }
    let whole: Value =
        serde_json::from_slice(&ClientDialect::encode(&OpenAiCompletions, &translate::fold(events), &asked(false)))
            .unwrap();
    assert_eq!(
        whole["choices"],
        json!([{"text": "Hi\n", "index": 0, "logprobs": null, "finish_reason": "content_filter"}])
    );
    assert_eq!((&whole["id"], &whole["usage"]["total_tokens"]), (&json!("cmpl-own"), &json!(7)));
}

/// A model of prompts alone is no chat's: its clients are told so.
#[test]
fn no_chat_is_written_in_it() {
    let facts = Facts { model: "davinci-002", ..Facts::default() };
    let kind = UpstreamDialect::encode(&OpenAiCompletions, &ir::Request::default(), &facts).unwrap_err().kind();
    assert_eq!((kind.param.as_deref(), kind.code.as_deref()), (Some("model"), Some("model_not_supported")));
}

/// A stream is decoded as its chunks say, in the grammar of events.
#[test]
fn streams_are_decoded() {
    let lines = [chunk("a", "null", ""), chunk("b", "\"stop\"", ""), counts(), END.into()];
    let mut decoder = OpenAiCompletions.decoder(Memo::default());
    let mut out = Vec::new();
    for line in &lines {
        let data = Bytes::from(line.trim().trim_start_matches("data: ").to_owned());
        decoder.frame(&Frame { raw: None, event: None, data }, &mut out).unwrap();
    }
    decoder.finish(&mut out).unwrap();
    let mut grammar = translate::Grammar::default();
    out.iter().for_each(|event| grammar.check(event));
    let response = translate::fold(out);
    assert_eq!(
        (response.blocks, response.usage.unwrap().output),
        (vec![Block::Text { text: "ab".into(), cache: None }], 2)
    );
}

proptest! {
    /// S1, E1: whatever comes, the client gets whole events on one line each, and one end or an error.
    #[test]
    fn any_bytes(include_usage: bool, lines in proptest::collection::vec(prop_oneof![
        Just("data: [DONE]".to_owned()), Just("event: error".into()), Just(String::new()),
        "[ -~]{0,40}",
        (any::<u64>(), "[a-z\\\\\"]{0,3}").prop_map(|(index, text)| format!("data: {{\"choices\":[{{\"index\":{index},\"text\":\"{text}\"}}]}}")),
        Just("data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}".into()),
    ], 0..12)) {
        let bytes = lines.join("\n\n") + "\n\n";
        let (text, result, _) = relayed(include_usage, bytes.as_bytes());
        prop_assert!(text.is_empty() || text.ends_with("\n\n"));
        prop_assert!(text.split("\n\n").filter(|event| !event.is_empty()).all(|event| event.starts_with("data: ") && !event.contains('\n')));
        prop_assert_eq!(text.matches("data: [DONE]").count(), usize::from(result.is_ok()));
        let _ = OpenAiCompletions.pass(&Bytes::from(bytes.clone()));
        let _ = ClientDialect::decode(&OpenAiCompletions, bytes.as_bytes());
    }
}
