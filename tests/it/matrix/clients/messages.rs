//! A client of Anthropic's Messages ("Create a Message", "Streaming messages", "Extended thinking";
//! platform.claude.com/docs, read November 2026): blocks go back as they came.

use serde_json::{Value, json};

use super::Client;
use crate::{
    matrix::neutral::{
        Ask, Call, Choice, Finish, PDF, PNG, SYSTEM, TOOL, Told, Trouble, Usage, list, parameters, schema, word,
    },
    support::messages_lifecycle::judge,
};

pub(super) struct Messages;

impl Client for Messages {
    fn name(&self) -> &'static str {
        "Anthropic Messages"
    }

    fn path(&self, _: &Ask) -> String {
        "/v1/messages".into()
    }

    fn request(&self, ask: &Ask) -> Value {
        let mut content = vec![json!({"type": "text", "text": ask.question})];
        if ask.image {
            let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
            content.push(json!({"type": "image", "source": source}));
        }
        if ask.document {
            let source = json!({"type": "base64", "media_type": "application/pdf", "data": PDF});
            content.push(json!({"type": "document", "source": source}));
        }
        let mut messages = vec![json!({"role": "user", "content": content})];
        for past in &ask.past {
            messages.push(json!({"role": "assistant", "content": past.turn}));
            let results: Value = past.given().map(result).collect();
            let content = if results == json!([]) { Value::from(past.question) } else { results };
            messages.push(json!({"role": "user", "content": content}));
        }
        let mut body = json!({"model": ask.model, "messages": messages, "max_tokens": ask.settings.max_tokens.unwrap_or(4000), "stream": ask.stream});
        if ask.system {
            body["system"] = SYSTEM.into();
        }
        if ask.tools {
            let [one, two] = ask.names();
            body["tools"] = json!([{"name": one, "input_schema": parameters()},
                {"name": two, "input_schema": {"type": "object"}}]);
        }
        if let Some(temperature) = ask.settings.temperature {
            body["temperature"] = temperature.into();
        }
        if !ask.settings.stop.is_empty() {
            body["stop_sequences"] = json!(ask.settings.stop);
        }
        if let Some(choice) = ask.settings.choice {
            body["tool_choice"] = match choice {
                Choice::No => json!({"type": "none"}),
                Choice::Any => json!({"type": "any"}),
                Choice::Named => json!({"type": "tool", "name": TOOL}),
            };
        }
        if ask.thinking {
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
        }
        if ask.schema {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema()}});
        }
        body
    }

    fn whole(&self, body: &Value) -> Told {
        assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")), "{body}");
        read(body)
    }

    /// A1, T8, E3, S7.
    fn stream(&self, text: &str) -> Told {
        let told = judge(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert!(told.complete != told.error.is_some(), "E1: either an end or an error: {text}");
        let failure = told.error.map(|error| word(&error, "/message"));
        Told { failure, signs_of_life: told.pings, ..read(&told.message) }
    }

    fn forgetful(&self, turn: Value) -> Value {
        let is_kept = |block: &Value| !word(block, "/type").contains("thinking");
        list(&turn, "").into_iter().filter(is_kept).collect()
    }

    /// Claude Code (its gateway protocol reference and changelog, November 2026).
    fn agent(&self, body: &mut Value) -> Vec<(&'static str, &'static str)> {
        let mark = json!({"type": "ephemeral"});
        body["system"] = json!([{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1;"},
            {"type": "text", "text": SYSTEM, "cache_control": mark}]);
        let question = body["messages"][0]["content"][0]["text"].clone();
        body["messages"] = json!([
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>Today.</system-reminder>"},
                {"type": "text", "text": "Hello.", "cache_control": mark}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
            {"role": "system", "content": "The branch has changed."},
            {"role": "user", "content": [{"type": "text", "text": question, "cache_control": mark}]},
        ]);
        for tool in body["tools"].as_array_mut().expect("tools") {
            tool["description"] = "Tells.".into();
            tool["input_schema"]["$schema"] = "http://json-schema.org/draft-07/schema#".into();
            tool["input_schema"]["additionalProperties"] = false.into();
            tool["eager_input_streaming"] = true.into();
        }
        body["tools"][1]["cache_control"] = mark;
        body["metadata"] = json!({"user_id": "{\"device_id\":\"d\",\"session_id\":\"s\"}"});
        body["thinking"] = json!({"type": "adaptive"});
        body["output_config"] = json!({"effort": "medium"});
        body["context_management"] = json!({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]});
        let flags =
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,effort-2025-11-24";
        vec![("anthropic-beta", flags), ("x-app", "cli"), ("x-claude-code-session-id", "s"), ("x-stainless-lang", "js")]
    }

    fn has_errors(&self) -> bool {
        true
    }

    fn error(&self, body: &Value) -> (String, String) {
        assert!(body["type"] == "error" && body["request_id"].is_string(), "{body}");
        let words = word(body, "/error/message");
        // M3: by this word clients know that they have to shorten what they say.
        let kind = if words.starts_with("prompt is too long") {
            "overflow"
        } else {
            body["error"]["type"].as_str().expect("a type")
        };
        (kind.into(), words)
    }

    fn expects(&self, trouble: Trouble) -> (u16, &'static str) {
        match trouble {
            Trouble::Busy => (429, "rate_limit_error"),
            Trouble::Wrong => (400, "invalid_request_error"),
            Trouble::Key => (502, "api_error"),
            Trouble::Missing => (404, "not_found_error"),
            Trouble::Overflow => (400, "overflow"),
            Trouble::Overloaded => (529, "overloaded_error"),
            Trouble::Down => (500, "api_error"),
        }
    }
}

fn result((id, words, has_image, failed): (&str, &str, bool, bool)) -> Value {
    let source = json!({"type": "base64", "media_type": "image/png", "data": PNG});
    let blocks = json!([{"type": "text", "text": words}, {"type": "image", "source": source}]);
    let content = if has_image { blocks } else { words.into() };
    let mut result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
    if failed {
        result["is_error"] = true.into();
    }
    result
}

fn read(message: &Value) -> Told {
    let mut told = Told { turn: message["content"].clone(), ..Told::default() };
    for block in list(message, "/content") {
        match block["type"].as_str().expect("a type") {
            "text" => told.text += &word(&block, "/text"),
            "thinking" => told.thinking += &word(&block, "/thinking"),
            "redacted_thinking" => {}
            "tool_use" => {
                assert!(block["input"].is_object(), "T3: {block}");
                let arguments = block["input"].clone();
                told.calls.push(Call { id: word(&block, "/id"), name: word(&block, "/name"), arguments });
            }
            other => panic!("a block nobody asked for: {other}"),
        }
    }
    told.finish = message["stop_reason"].as_str().map(|reason| match reason {
        "end_turn" => Finish::Stop,
        "tool_use" => Finish::Calls,
        "max_tokens" => Finish::Length,
        "refusal" => Finish::Filter,
        other => panic!("stopped by {other}"),
    });
    // C4: three counts make the prompt.
    let count = |key: &str| message["usage"][key].as_u64().unwrap_or_default();
    let cached = count("cache_read_input_tokens");
    told.usage = message["usage"].is_object().then(|| Usage {
        prompt: count("input_tokens") + cached + count("cache_creation_input_tokens"),
        cached,
        output: count("output_tokens"),
        reasoning: message["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap_or_default(),
    });
    told
}
