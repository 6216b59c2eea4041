//! What holds for any answer a chat client gets, whatever the upstream sent (openai-openapi spec
//! 2.3.0 of August 2026, and what OpenAI's SDKs of November 2026 do with the chunks).

use std::collections::BTreeMap;

use serde_json::Value;

const REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];

/// What a client's accumulator has of a choice.
#[derive(Default)]
struct Choice {
    roles: usize,
    finish: Option<String>,
    calls: Vec<Call>,
}

#[derive(Default)]
struct Call {
    is_custom: bool,
    arguments: String,
}

/// A stream, as the client reads it.
pub(crate) fn stream(text: &str, ended_well: bool, usage_asked: bool) {
    if text.is_empty() {
        assert!(!ended_well);
        return;
    }
    let chunks = chunks(text);
    assert!(text.ends_with("data: [DONE]\n\n") && text.matches("[DONE]").count() == 1, "{text}");
    let (errors, chunks): (Vec<_>, Vec<_>) = chunks.into_iter().partition(|chunk| chunk.get("error").is_some());
    // E1, E2.
    assert_eq!(errors.len(), usize::from(!ended_well), "{text}");
    errors.iter().for_each(|error| self::error(&error.to_string()));
    head(&chunks, text);
    usage(&chunks, usage_asked, text);
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    for choice in chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()) {
        choices.entry(choice["index"].as_u64().unwrap()).or_default().take(choice, text);
    }
    for (place, (index, choice)) in choices.iter().enumerate() {
        assert_eq!(place as u64, *index, "{text}");
        assert_eq!(choice.finish.is_some(), ended_well, "a finish per choice, and none beside an error: {text}");
        // T1.
        let is_whole = ended_well && choice.finish.as_deref() != Some("length");
        for call in choice.calls.iter().filter(|call| is_whole && !call.is_custom) {
            serde_json::from_str::<Value>(&call.arguments)
                .unwrap_or_else(|error| panic!("{error}: {}", call.arguments));
        }
    }
}

/// S1: what was not asked for is left out, and nothing else is.
pub(crate) fn same_but_usage(asked: &str, unasked: &str) {
    let without = |text: &str| {
        let mut chunks = chunks(text);
        chunks.retain(|chunk| chunk["choices"].as_array().is_none_or(|choices| !choices.is_empty()));
        for chunk in &mut chunks {
            chunk.as_object_mut().unwrap().shift_remove("usage");
        }
        chunks
    };
    assert_eq!(without(asked), without(unasked));
}

/// A whole answer.
pub(crate) fn answer(text: &str) {
    let answer: Value = serde_json::from_str(text).unwrap();
    assert_eq!(answer["object"], "chat.completion", "{text}");
    let choices = answer["choices"].as_array().unwrap();
    assert!(!choices.is_empty(), "{text}");
    for choice in choices {
        assert!(choice["message"].is_object() && !choice["message"]["content"].is_array(), "{text}");
        assert!(REASONS.contains(&choice["finish_reason"].as_str().unwrap()), "{text}");
        // T3.
        for call in choice["message"]["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            assert!(!call["id"].as_str().unwrap().is_empty(), "{text}");
            assert!(call["function"]["arguments"].is_string() || call["custom"]["input"].is_string(), "{text}");
        }
    }
}

/// M1: an error's body.
pub(crate) fn error(text: &str) {
    let body: Value = serde_json::from_str(text).unwrap();
    let error = body["error"].as_object().unwrap();
    let keys: Vec<&str> = error.keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "{text}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    assert!(error["type"].is_string(), "{text}");
    for key in ["param", "code"] {
        assert!(error[key].is_null() || error[key].as_str().is_some_and(|word| word != "None"), "{text}");
    }
}

/// A request's body.
pub(crate) fn request(text: &str, model: Option<&str>) {
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(body["model"].as_str(), model, "{text}");
    let conversation = body.get("messages").or(body.get("input"));
    assert!(conversation.and_then(Value::as_array).is_some_and(|items| !items.is_empty()), "{text}");
}

/// S7 too: one line of JSON an event, and nothing that is neither chunk nor end.
fn chunks(text: &str) -> Vec<Value> {
    let payload = |event: &'_ str| {
        let data = event.strip_prefix("data: ").and_then(|data| data.strip_suffix("\n\n"));
        data.unwrap_or_else(|| panic!("no event of this dialect: {event:?}")).to_owned()
    };
    let payloads = text.split_inclusive("\n\n").map(payload).filter(|data| data != "[DONE]");
    payloads.map(|data| serde_json::from_str(&data).unwrap()).collect()
}

fn head(chunks: &[Value], text: &str) {
    for chunk in chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk", "{text}");
        assert!(chunk["choices"].is_array(), "{text}");
        assert!(chunk["id"].as_str().is_some_and(|id| !id.is_empty()), "{text}");
        assert!(chunk["created"].is_u64() && chunk["model"].is_string(), "{text}");
        for key in ["id", "created", "model"] {
            assert_eq!(chunk[key], chunks[0][key], "{key} is the same on every chunk: {text}");
        }
    }
}

/// S1.
fn usage(chunks: &[Value], asked: bool, text: &str) {
    let counts: Vec<usize> = (0..chunks.len()).filter(|at| chunks[*at]["usage"].is_object()).collect();
    if !asked {
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "{text}");
        return;
    }
    if let Some(at) = counts.first() {
        assert_eq!(counts, [chunks.len() - 1], "usage once, and last: {text}");
        assert_eq!(chunks[*at]["choices"].as_array().unwrap().len(), 0, "{text}");
    }
}

// === impl Choice ===

impl Choice {
    fn take(&mut self, choice: &Value, text: &str) {
        let delta = choice["delta"].as_object().unwrap();
        let says_nothing = delta.values().all(|value| value.is_null() || value == "");
        assert!(self.finish.is_none() || says_nothing, "nothing follows the finish: {text}");
        self.roles += usize::from(delta.contains_key("role"));
        assert!(self.roles < 2, "{text}");
        for key in ["content", "reasoning_content", "refusal"] {
            assert!(delta.get(key).is_none_or(|value| value.is_string() || value.is_null()), "{text}");
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).unwrap_or(&Vec::new()) {
            self.call(call, text);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            assert!(self.finish.is_none() && REASONS.contains(&reason), "{text}");
            self.finish = Some(reason.into());
        }
    }

    /// T2: indices count up, and id, type and name come once, with the first piece.
    fn call(&mut self, call: &Value, text: &str) {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        let is_custom = call["type"] == "custom";
        if index == self.calls.len() {
            assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()), "{text}");
            let body = if is_custom { &call["custom"] } else { &call["function"] };
            assert!(body["name"].as_str().is_some_and(|name| !name.is_empty()), "{text}");
            assert!(call["type"].is_string(), "{text}");
            self.calls.push(Call { is_custom, ..Call::default() });
        } else {
            let again = |value: &Value| value.as_str().is_some_and(|word| !word.is_empty());
            assert!(!again(&call["id"]) && !again(&call["function"]["name"]), "{text}");
        }
        let arguments = call["function"]["arguments"].as_str().or(call["custom"]["input"].as_str());
        self.calls[index].arguments.push_str(arguments.unwrap_or_default());
    }
}
