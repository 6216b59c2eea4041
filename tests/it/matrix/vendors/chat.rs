//! A vendor of OpenAI's chat completions, and one whose models want their reasoning back (DeepSeek's
//! API reference, "Thinking mode", read November 2026).

use serde_json::{Value, json};

use super::{Vendor, bytes, in_order, provider};
use crate::{
    matrix::{
        feature::Feature,
        neutral::{
            Call, Choice, Finish, Heard, Part, Say, Settings, THOUGHT, TOOL, Trouble, Turn, USAGE, list, parsed,
            pieces, word, words,
        },
    },
    support::{
        Script,
        openai::{DONE, chunk, error, event},
        upstream::Request,
    },
};

pub(super) struct Chat {
    name: &'static str,
    provider: &'static str,
    kind: &'static str,
    model: &'static str,
    /// Refuses a turn of calls without its reasoning.
    wants_reasoning: bool,
    /// Refuses what only other vendors say.
    is_bare: bool,
}

pub(super) const OPEN: Chat = Chat {
    name: "OpenAI chat",
    provider: "chat",
    kind: "openai-compatible",
    model: "chat/m",
    wants_reasoning: false,
    is_bare: false,
};

/// OpenAI itself, which takes nothing that it does not know.
pub(super) const BARE: Chat = Chat {
    name: "OpenAI's own chat",
    provider: "openai",
    kind: "openai",
    model: "openai/gpt-4.1",
    wants_reasoning: false,
    is_bare: true,
};

pub(super) const DEEPSEEK: Chat = Chat {
    name: "DeepSeek chat",
    provider: "deepseek",
    kind: "deepseek",
    model: "deepseek/deepseek-v4-pro",
    wants_reasoning: true,
    is_bare: false,
};

impl Vendor for Chat {
    fn name(&self) -> &'static str {
        self.name
    }

    fn config(&self, base: &str) -> String {
        provider(self.provider, self.kind, &format!("{base}/{}/v1", self.provider))
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        self.model
    }

    fn features(&self) -> &'static [Feature] {
        match (self.wants_reasoning, self.is_bare) {
            (true, _) => &[Feature::Thinking, Feature::Forgotten],
            (_, true) => &[Feature::Moved, Feature::Agent, Feature::Schema],
            (false, false) => &Feature::ALL,
        }
    }

    fn whole(&self, say: &Say) -> Value {
        if say.legacy {
            let mut whole = legacy(&say.whole_text(), Some(finish(say)));
            whole["usage"] = usage();
            return whole;
        }
        let mut message = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
        if say.thinks {
            message["reasoning_content"] = THOUGHT.concat().into();
        }
        if say.text.is_some() {
            message["content"] = say.whole_text().into();
        }
        if !say.calls.is_empty() {
            message["tool_calls"] = say.made("call_").iter().map(call).collect();
        }
        let choice = json!({"index": 0, "finish_reason": finish(say), "logprobs": null, "message": message});
        json!({"id": "chatcmpl-up", "object": "chat.completion", "created": 1_795_000_000, "model": "m-2026",
            "choices": [choice], "usage": usage()})
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        if say.legacy {
            let pieces = say.text.into_iter().flatten().map(|piece| legacy(piece, None));
            let mut counts = legacy("", None);
            (counts["choices"], counts["usage"]) = (json!([]), usage());
            let chunks = pieces.chain([legacy("", Some(finish(say))), counts]).map(|chunk| event(&chunk));
            return bytes(chunks.chain([DONE.into()]).collect());
        }
        let delta = |delta: Value| event(&chunk(&delta, None));
        let mut events = vec![delta(json!({"role": "assistant", "content": ""}))];
        if say.thinks {
            events.extend(THOUGHT.iter().map(|piece| delta(json!({ "reasoning_content": piece }))));
        }
        events.extend(say.text.into_iter().flatten().map(|piece| delta(json!({ "content": piece }))));
        // Heads first, then a piece of each in turn: nothing says that a call is whole before the next begins.
        let made = say.made("call_");
        for (index, made) in made.iter().enumerate() {
            let mut head = call(made);
            (head["index"], head["function"]["arguments"]) = (index.into(), "".into());
            events.push(delta(json!({ "tool_calls": [head] })));
        }
        for at in 0..2 {
            for (index, made) in made.iter().enumerate() {
                let pieces =
                    Some(pieces(made)).filter(|pieces| !pieces.is_empty()).unwrap_or_else(|| vec!["{}".into()]);
                let piece =
                    |piece: &String| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
                events.extend(pieces.get(at).map(|half| delta(piece(half))));
            }
        }
        let mut counts = chunk(&json!({}), None);
        (counts["choices"], counts["usage"]) = (json!([]), usage());
        events.extend([event(&chunk(&json!({}), Some(finish(say)))), event(&counts), DONE.into()]);
        bytes(events)
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        event(&error(words, "server_error", None)).into_bytes()
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        let (kind, code) = match trouble {
            Trouble::Busy => ("requests", Some("rate_limit_exceeded")),
            Trouble::Wrong => ("invalid_request_error", None),
            Trouble::Key => ("invalid_request_error", Some("invalid_api_key")),
            Trouble::Missing => ("invalid_request_error", Some("model_not_found")),
            Trouble::Overflow => ("invalid_request_error", Some("context_length_exceeded")),
            Trouble::Overloaded | Trouble::Down => ("server_error", None),
        };
        let body = error(words, kind, code).to_string();
        Script::body(trouble.status(), &[("content-type", "application/json"), ("retry-after", "7")], body.as_bytes())
    }

    fn overflow(&self) -> &'static str {
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    }

    fn heard(&self, request: &Request) -> Heard {
        let body = request.json();
        if request.path.ends_with("/v1/completions") {
            let turns = vec![Turn::User(Part::text(&word(&body, "/prompt")).into_iter().collect())];
            return Heard { turns, settings: settings(&body), ..Heard::default() };
        }
        assert!(request.path.ends_with("/chat/completions"), "{}", request.path);
        let mut heard = Heard {
            tools: list(&body, "/tools").iter().map(|tool| word(tool, "/function/name")).collect(),
            schema: body.pointer("/response_format/json_schema/schema").cloned(),
            thinking: body.get("reasoning_effort").or(body.get("thinking")).is_some(),
            settings: settings(&body),
            ..Heard::default()
        };
        for message in list(&body, "/messages") {
            if self.is_bare {
                let known = ["role", "content", "name", "refusal", "tool_calls", "tool_call_id", "annotations"];
                let others = message.as_object().expect("an object").keys().find(|key| !known.contains(&key.as_str()));
                assert_eq!(others, None, "{message}");
                assert!(!message.to_string().contains("extra_content"), "{message}");
            }
            match message["role"].as_str().expect("a role") {
                "system" | "developer" => heard.system += &words(content(&message["content"])),
                "user" => heard.user(content(&message["content"])),
                "tool" => {
                    heard.user([Part::Result(word(&message, "/tool_call_id"), words(content(&message["content"])))])
                }
                "assistant" => {
                    let calls = list(&message, "/tool_calls");
                    heard.model(message["reasoning_content"].as_str().map(|thought| Part::Thought(thought.into())));
                    heard.model(content(&message["content"]));
                    heard.model(calls.iter().map(|call| Part::Call(read(call))));
                }
                other => panic!("nobody's role: {other}"),
            }
        }
        heard
    }

    /// R3: known reasoning goes back where it is wanted, and else an empty text.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        // R3: where it must come back, nobody need keep it.
        let thought = (say.thinks && (kept || self.wants_reasoning)).then(|| Part::Thought(THOUGHT.concat()));
        in_order(thought, say, "call_")
    }
}

/// An answer to a legacy completion, or a chunk of one.
fn legacy(text: &str, finish: Option<&str>) -> Value {
    let choice = json!({"text": text, "index": 0, "logprobs": null, "finish_reason": finish});
    json!({"id": "cmpl-up", "object": "text_completion", "created": 1_795_000_000, "model": "m-2026", "choices": [choice]})
}

fn call(call: &Call) -> Value {
    json!({"id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()}})
}

fn read(call: &Value) -> Call {
    let arguments = parsed(call["function"]["arguments"].as_str().expect("T3: a string"));
    Call { id: word(call, "/id"), name: word(call, "/function/name"), arguments }
}

/// Of a chat, and of a legacy completion as well.
fn settings(body: &Value) -> Settings {
    Settings {
        max_tokens: body.get("max_completion_tokens").or(body.get("max_tokens")).and_then(Value::as_u64),
        temperature: body["temperature"].as_f64(),
        choice: choice(&body["tool_choice"], "/function/name"),
        stop: stop(body, "/stop"),
    }
}

pub(super) fn stop(body: &Value, path: &str) -> Vec<String> {
    list(body, path).iter().map(|text| word(text, "")).collect()
}

/// OpenAI's words for it; the name stands elsewhere in each dialect of its own.
pub(super) fn choice(choice: &Value, name: &str) -> Option<Choice> {
    match choice.as_str() {
        Some("none") => Some(Choice::No),
        Some("required") => Some(Choice::Any),
        Some("auto") => None,
        Some(other) => panic!("nobody's choice: {other}"),
        None => (word(choice, name) == TOOL).then_some(Choice::Named),
    }
}

/// A string, or parts.
fn content(content: &Value) -> Vec<Part> {
    let Some(parts) = content.as_array() else {
        return Part::text(content.as_str().unwrap_or_default()).into_iter().collect();
    };
    let part = |part: &Value| match part["type"].as_str().expect("a type") {
        "text" => Part::Text(word(part, "/text")),
        "image_url" => Part::url(&word(part, "/image_url/url")),
        "file" => Part::url(&word(part, "/file/file_data")),
        other => panic!("a part nobody sent: {other}"),
    };
    parts.iter().map(part).collect()
}

fn finish(say: &Say) -> &'static str {
    match say.finish() {
        Finish::Stop => "stop",
        Finish::Calls => "tool_calls",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
    }
}

fn usage() -> Value {
    json!({"prompt_tokens": USAGE.prompt, "completion_tokens": USAGE.output, "total_tokens": USAGE.prompt + USAGE.output,
        "prompt_tokens_details": {"cached_tokens": USAGE.cached},
        "completion_tokens_details": {"reasoning_tokens": USAGE.reasoning}})
}
