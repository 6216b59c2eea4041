//! A client of OpenAI's chat completions ("Create chat completion", specification 2.3.0, and how the
//! SDKs put chunks together; read November 2026).

use serde_json::{Value, json};

use super::{Client, openai_error, openai_expects};
use crate::{
    matrix::neutral::{
        Ask, Call, Choice, Finish, PDF, PNG, Past, SYSTEM, TOOL, Told, Trouble, Usage, list, parameters, parsed,
        schema, word,
    },
    support::chat_invariants,
};

pub(super) struct Chat;

impl Client for Chat {
    fn name(&self) -> &'static str {
        "OpenAI chat"
    }

    fn path(&self, _: &Ask) -> String {
        "/v1/chat/completions".into()
    }

    fn request(&self, ask: &Ask) -> Value {
        let mut messages = Vec::new();
        if ask.system {
            messages.push(json!({"role": "system", "content": SYSTEM}));
        }
        let mut parts = vec![json!({"type": "text", "text": ask.question})];
        if ask.image {
            parts.push(json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}));
        }
        if ask.document {
            let data = format!("data:application/pdf;base64,{PDF}");
            parts.push(json!({"type": "file", "file": {"filename": "a.pdf", "file_data": data}}));
        }
        let content = if parts.len() > 1 { json!(parts) } else { ask.question.as_str().into() };
        messages.push(json!({"role": "user", "content": content}));
        for Past { turn, results, question, .. } in &ask.past {
            messages.push(turn.clone());
            messages.extend(
                results.iter().map(|(id, result)| json!({"role": "tool", "tool_call_id": id, "content": result})),
            );
            if results.is_empty() {
                messages.push(json!({"role": "user", "content": question}));
            }
        }
        let mut body = json!({"model": ask.model, "messages": messages, "max_completion_tokens": ask.settings.max_tokens.unwrap_or(4000)});
        if ask.stream {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        if ask.tools {
            let [one, two] = ask.names();
            body["tools"] = json!([{"type": "function", "function": {"name": one, "parameters": parameters()}},
                {"type": "function", "function": {"name": two}}]);
        }
        if let Some(temperature) = ask.settings.temperature {
            body["temperature"] = temperature.into();
        }
        if !ask.settings.stop.is_empty() {
            body["stop"] = json!(ask.settings.stop);
        }
        if let Some(choice) = ask.settings.choice {
            body["tool_choice"] = match choice {
                Choice::No => "none".into(),
                Choice::Any => "required".into(),
                Choice::Named => json!({"type": "function", "function": {"name": TOOL}}),
            };
        }
        if ask.thinking {
            body["reasoning_effort"] = "low".into();
        }
        if ask.schema {
            let named = json!({"name": "weather", "strict": true, "schema": schema()});
            body["response_format"] = json!({"type": "json_schema", "json_schema": named});
        }
        body
    }

    fn whole(&self, body: &Value) -> Told {
        chat_invariants::answer(&body.to_string());
        let message = &body["choices"][0]["message"];
        read(message.clone(), body["choices"][0]["finish_reason"].as_str(), &body["usage"])
    }

    /// T1, T2, S1, S4, S7, E1: what the SDKs' accumulators need.
    fn stream(&self, text: &str) -> Told {
        // A keep-alive is a comment line without a blank one, between events.
        let lines = text.split_inclusive('\n');
        let (alive, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(": "));
        let text = lines.concat();
        let payloads = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        let chunks: Vec<Value> = payloads.map(|data| serde_json::from_str(data).expect("JSON")).collect();
        let failure = chunks.iter().find(|chunk| chunk["error"].is_object());
        chat_invariants::stream(&text, failure.is_none(), true);
        let (mut message, mut finish, mut usage) = (json!({"role": "assistant", "content": null}), None, &Value::Null);
        for chunk in &chunks {
            if chunk["usage"].is_object() {
                usage = &chunk["usage"];
            }
            let choice = &chunk["choices"][0];
            merge(&mut message, &choice["delta"]);
            finish = finish.or(choice["finish_reason"].as_str());
        }
        let told = read(message, finish, usage);
        Told { failure: failure.map(|error| openai_error(error).1), signs_of_life: alive.len(), ..told }
    }

    fn forgetful(&self, turn: Value) -> Value {
        let call = |call: &Value| json!({"id": call["id"], "type": call["type"], "function": call["function"]});
        let calls: Vec<Value> = list(&turn, "/tool_calls").iter().map(call).collect();
        let mut kept = json!({"role": "assistant", "content": turn["content"]});
        if !calls.is_empty() {
            kept["tool_calls"] = calls.into();
        }
        kept
    }

    fn agent(&self, _: &mut Value) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    fn error(&self, body: &Value) -> (String, String) {
        openai_error(body)
    }

    fn expects(&self, trouble: Trouble) -> (u16, &'static str) {
        openai_expects(trouble)
    }
}

/// Joins strings, adds to lists, and calls by their index, as the SDKs do.
fn merge(message: &mut Value, delta: &Value) {
    for (key, value) in delta.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("role", _) | (_, Value::Null) => {}
            ("tool_calls", Value::Array(pieces)) => pieces.iter().for_each(|piece| merge_call(message, piece)),
            (_, Value::Array(more)) => {
                let mut all = list(message, &format!("/{key}"));
                all.extend(more.iter().cloned());
                message[key] = all.into();
            }
            (_, Value::String(piece)) => message[key] = (word(message, &format!("/{key}")) + piece).into(),
            _ => message[key] = value.clone(),
        }
    }
}

fn merge_call(message: &mut Value, piece: &Value) {
    let mut calls = list(message, "/tool_calls");
    let index = usize::try_from(piece["index"].as_u64().expect("an index")).expect("a small one");
    if index == calls.len() {
        let mut call = piece.clone();
        call.as_object_mut().expect("an object").remove("index");
        calls.push(call);
    } else {
        let so_far = word(&calls[index], "/function/arguments");
        calls[index]["function"]["arguments"] = (so_far + &word(piece, "/function/arguments")).into();
    }
    message["tool_calls"] = calls.into();
}

fn read(message: Value, finish: Option<&str>, usage: &Value) -> Told {
    let call = |call: &Value| Call {
        id: word(call, "/id"),
        name: word(call, "/function/name"),
        arguments: parsed(call["function"]["arguments"].as_str().expect("T3: a string")),
    };
    Told {
        text: word(&message, "/content"),
        thinking: word(&message, "/reasoning_content"),
        calls: list(&message, "/tool_calls").iter().map(call).collect(),
        finish: finish.map(|finish| match finish {
            "stop" => Finish::Stop,
            "tool_calls" => Finish::Calls,
            "length" => Finish::Length,
            "content_filter" => Finish::Filter,
            other => panic!("finished with {other}"),
        }),
        usage: usage.is_object().then(|| counts(usage)),
        turn: message,
        ..Told::default()
    }
}

/// C4: the prompt with its cached part.
pub(super) fn counts(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    assert_eq!(count("/total_tokens"), count("/prompt_tokens") + count("/completion_tokens"), "{usage}");
    Usage {
        prompt: count("/prompt_tokens"),
        cached: count("/prompt_tokens_details/cached_tokens"),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    }
}
