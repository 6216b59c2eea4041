//! Cohere's chat ("Chat API v2", "Streaming"; docs.cohere.com, read November 2026). What it thinks
//! before a call is its plan, which comes back with the call and needs no proof.

use serde_json::{Value, json};

use super::{Vendor, bytes, chat::stop, in_order, provider};
use crate::{
    matrix::neutral::{
        Call, Choice, Finish, Heard, Part, Say, Settings, THOUGHT, Trouble, USAGE, list, parsed, pieces, returned,
        word, words,
    },
    support::{Script, upstream::Request},
};

pub(super) struct Cohere;

impl Vendor for Cohere {
    fn name(&self) -> &'static str {
        "Cohere"
    }

    fn config(&self, base: &str) -> String {
        provider("cohere", "cohere", &format!("{base}/cohere"))
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        "cohere/command-a-plus-05-2026"
    }

    fn whole(&self, say: &Say) -> Value {
        let mut message = json!({"role": "assistant"});
        let mut content = Vec::new();
        if say.thinks && say.calls.is_empty() {
            content.push(json!({"type": "thinking", "thinking": THOUGHT.concat()}));
        } else if say.thinks {
            message["tool_plan"] = THOUGHT.concat().into();
        }
        if say.text.is_some() {
            content.push(json!({"type": "text", "text": say.whole_text()}));
        }
        if !content.is_empty() {
            message["content"] = content.into();
        }
        if !say.calls.is_empty() {
            message["tool_calls"] = say.made("weather_").iter().map(|made| call(made, &arguments(made))).collect();
        }
        json!({"id": "c-up", "finish_reason": reason(say), "message": message, "usage": usage()})
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let said = |kind: &str, index: usize, message: Value| {
            event(&json!({"type": kind, "index": index, "delta": {"message": message}}))
        };
        let block = |index: usize, kind: &str, pieces: [&str; 2]| {
            let start = said("content-start", index, json!({"content": {"type": kind, kind: ""}}));
            let pieces = pieces.map(|piece| said("content-delta", index, json!({"content": {kind: piece}})));
            [start].into_iter().chain(pieces).chain([event(&json!({"type": "content-end", "index": index}))])
        };
        let head = json!({"type": "message-start", "id": "c-up", "delta": {"message": {"role": "assistant"}}});
        let mut events = vec![event(&head)];
        if say.thinks && say.calls.is_empty() {
            events.extend(block(0, "thinking", THOUGHT));
        } else if say.thinks {
            events.extend(
                THOUGHT.map(|piece| {
                    event(&json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}))
                }),
            );
        }
        if let Some(text) = say.text {
            events.extend(block(usize::from(say.thinks), "text", text));
        }
        for (index, made) in say.made("weather_").iter().enumerate() {
            let of = |kind: &str, calls: Value| {
                event(&json!({"type": kind, "index": index, "delta": {"message": {"tool_calls": calls}}}))
            };
            events.push(of("tool-call-start", call(made, "")));
            events.extend(
                pieces(made).iter().map(|piece| of("tool-call-delta", json!({"function": {"arguments": piece}}))),
            );
            events.push(event(&json!({"type": "tool-call-end", "index": index})));
        }
        events.push(event(&json!({"type": "message-end", "delta": {"finish_reason": reason(say), "usage": usage()}})));
        bytes(events)
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        let delta = json!({"finish_reason": "ERROR", "error": words});
        event(&json!({"type": "message-end", "delta": delta})).into_bytes()
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        let body = json!({"id": "req-up", "message": words}).to_string();
        Script::body(trouble.status(), &[("content-type", "application/json"), ("retry-after", "7")], body.as_bytes())
    }

    fn takes_name(&self, name: &str) -> bool {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    fn overflow(&self) -> &'static str {
        "too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130000."
    }

    fn heard(&self, request: &Request) -> Heard {
        assert!(request.path.ends_with("/v2/chat"), "{}", request.path);
        let body = request.json();
        let mut heard = Heard {
            tools: list(&body, "/tools").iter().map(|tool| word(tool, "/function/name")).collect(),
            schema: body.pointer("/response_format/json_schema").cloned(),
            thinking: body.pointer("/thinking/type").is_some_and(|kind| kind == "enabled"),
            settings: Settings {
                max_tokens: body["max_tokens"].as_u64(),
                temperature: body["temperature"].as_f64(),
                // A name is said by offering no other tool.
                choice: match (body["tool_choice"].as_str(), list(&body, "/tools").len()) {
                    (Some("NONE"), _) => Some(Choice::No),
                    (Some("REQUIRED"), 1) => Some(Choice::Named),
                    (Some("REQUIRED"), _) => Some(Choice::Any),
                    _ => None,
                },
                stop: stop(&body, "/stop_sequences"),
            },
            ..Heard::default()
        };
        for message in list(&body, "/messages") {
            let parts = content(&message["content"]);
            match message["role"].as_str().expect("a role") {
                "system" => heard.system += &words(parts),
                "user" => heard.user(parts),
                "tool" => heard.user(returned(&word(&message, "/tool_call_id"), parts)),
                "assistant" => {
                    heard.model(Part::thought(&word(&message, "/tool_plan")).into_iter().chain(parts));
                    heard.model(list(&message, "/tool_calls").iter().map(|call| Part::Call(read(call))));
                }
                other => panic!("nobody's role: {other}"),
            }
        }
        heard
    }

    fn speaks_with_calls(&self) -> bool {
        false
    }

    fn counts_reasoning(&self) -> bool {
        false
    }

    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let plan = (say.thinks && kept).then(|| Part::Thought(THOUGHT.concat()));
        in_order(plan, say, "weather_")
    }
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type"))
}

fn call(call: &Call, arguments: &str) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

/// Of a call without any it says the word `null`.
fn arguments(call: &Call) -> String {
    if pieces(call).is_empty() { "null".into() } else { call.arguments.to_string() }
}

fn read(call: &Value) -> Call {
    let arguments = parsed(call["function"]["arguments"].as_str().expect("T3: a string"));
    Call { id: word(call, "/id"), name: word(call, "/function/name"), arguments }
}

/// A string, or parts.
fn content(content: &Value) -> Vec<Part> {
    let Some(parts) = content.as_array() else {
        return Part::text(content.as_str().unwrap_or_default()).into_iter().collect();
    };
    let part = |part: &Value| match part["type"].as_str().expect("a type") {
        "text" => Part::Text(word(part, "/text")),
        "thinking" => Part::Thought(word(part, "/thinking")),
        "image_url" => Part::url(&word(part, "/image_url/url")),
        "document" => Part::Text(word(part, "/document/data")),
        other => panic!("a part nobody sent: {other}"),
    };
    parts.iter().map(part).collect()
}

fn reason(say: &Say) -> &'static str {
    match say.finish() {
        Finish::Stop => "COMPLETE",
        Finish::Calls => "TOOL_CALL",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "ERROR_TOXIC",
    }
}

fn usage() -> Value {
    json!({"billed_units": {"input_tokens": 1, "output_tokens": USAGE.output},
        "tokens": {"input_tokens": USAGE.prompt, "output_tokens": USAGE.output}, "cached_tokens": USAGE.cached})
}
