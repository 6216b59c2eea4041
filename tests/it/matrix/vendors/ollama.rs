//! Ollama's chat (docs of ollama/ollama, "Chat", read November 2026): JSON lines, calls whole, and
//! counts in the last line, which know of no cache.

use serde_json::{Value, json};

use super::{Vendor, chat::stop, in_order, provider};
use crate::{
    matrix::neutral::{Call, Finish, Heard, Part, Say, Settings, THOUGHT, Trouble, USAGE, list, word},
    support::{Script, upstream::Request},
};

pub(super) struct Ollama;

impl Vendor for Ollama {
    fn name(&self) -> &'static str {
        "Ollama"
    }

    fn config(&self, base: &str) -> String {
        provider("ollama", "ollama", &format!("{base}/ollama"))
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        "ollama/qwen3:8b"
    }

    fn head(&self) -> Script {
        Script::ndjson()
    }

    fn whole(&self, say: &Say) -> Value {
        let mut message = json!({"role": "assistant", "content": say.whole_text()});
        if say.thinks {
            message["thinking"] = THOUGHT.concat().into();
        }
        if !say.calls.is_empty() {
            message["tool_calls"] = calls(say).into();
        }
        end(say, &message)
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        if say.thinks {
            messages.extend(THOUGHT.map(|piece| json!({"role": "assistant", "content": "", "thinking": piece})));
        }
        messages.extend(say.text.into_iter().flatten().map(|piece| json!({"role": "assistant", "content": piece})));
        messages.extend(
            calls(say).into_iter().map(|call| json!({"role": "assistant", "content": "", "tool_calls": [call]})),
        );
        let line = |message| json!({"model": "qwen3:8b", "created_at": "2026-08-21T10:00:00.1Z", "message": message, "done": false});
        let last = end(say, &json!({"role": "assistant", "content": ""}));
        messages.into_iter().map(line).chain([last]).map(|line| format!("{line}\n").into_bytes()).collect()
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        format!("{}\n", json!({ "error": words })).into_bytes()
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        Script::json(trouble.status(), &json!({ "error": words }))
    }

    fn takes_name(&self, _: &str) -> bool {
        true
    }

    fn overflow(&self) -> &'static str {
        "the input length exceeds the context length"
    }

    fn filters(&self) -> bool {
        false
    }

    fn wait(&self) -> Option<&'static str> {
        None
    }

    fn heard(&self, request: &Request) -> Heard {
        assert!(request.path.ends_with("/api/chat"), "{}", request.path);
        let body = request.json();
        let mut heard = Heard {
            tools: list(&body, "/tools").iter().map(|tool| word(tool, "/function/name")).collect(),
            schema: body.get("format").cloned(),
            thinking: body.get("think").is_some_and(|think| *think != false),
            settings: Settings {
                max_tokens: body["options"]["num_predict"].as_u64(),
                temperature: body["options"]["temperature"].as_f64(),
                choice: None,
                stop: stop(&body, "/options/stop"),
            },
            ..Heard::default()
        };
        for message in list(&body, "/messages") {
            let text = message["content"].as_str().unwrap_or_else(|| panic!("no text: {message}"));
            let images = list(&message, "/images");
            // Bare data: the server looks into it for its type.
            let images = images.iter().map(|image| Part::Image("image/png".into(), word(image, "")));
            match message["role"].as_str().expect("a role") {
                "system" => heard.system += text,
                "user" => heard.user(Part::text(text).into_iter().chain(images)),
                "tool" => {
                    assert!(!word(&message, "/tool_name").is_empty(), "{message}");
                    heard.user([Part::Result(word(&message, "/tool_call_id"), text.into())].into_iter().chain(images));
                }
                "assistant" => {
                    heard.model(Part::thought(&word(&message, "/thinking")).into_iter().chain(Part::text(text)));
                    heard.model(list(&message, "/tool_calls").iter().map(|call| Part::Call(read(call))));
                }
                other => panic!("nobody's role: {other}"),
            }
        }
        heard
    }

    fn counts_reasoning(&self) -> bool {
        false
    }

    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let thought = (say.thinks && kept).then(|| Part::Thought(THOUGHT.concat()));
        in_order(thought, say, "call_")
    }

    fn counts_cached(&self) -> bool {
        false
    }
}

fn calls(say: &Say) -> Vec<Value> {
    let call = |(index, call): (usize, Call)| json!({"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}});
    say.made("call_").into_iter().enumerate().map(call).collect()
}

fn read(call: &Value) -> Call {
    let arguments = call["function"]["arguments"].clone();
    assert!(arguments.is_object(), "T3: {call}");
    Call { id: word(call, "/id"), name: word(call, "/function/name"), arguments }
}

/// The last line, or a whole answer.
fn end(say: &Say, message: &Value) -> Value {
    json!({"model": "qwen3:8b", "created_at": "2026-08-21T10:00:00.2Z", "message": message, "done": true,
        "done_reason": if say.cut == Some(Finish::Length) { "length" } else { "stop" }, "total_duration": 9, "prompt_eval_count": USAGE.prompt, "eval_count": USAGE.output})
}
