//! Clients of OpenAI's Responses ("Create a model response", specification 2.3.0, read November 2026).
//! One keeps its own history, as Codex does: the items of an answer go back as they came. The other
//! has its answers stored, and says only which one it goes on from.

use serde_json::{Value, json};

use super::{Client, STORING, openai_error, openai_expects};
use crate::{
    matrix::neutral::{
        Ask, Call, Choice, Finish, PDF, PNG, SYSTEM, TOOL, Told, Trouble, Usage, list, parameters, parsed, schema, word,
    },
    support::responses_lifecycle::{check, check_response},
};

pub(super) struct Responses {
    stored: bool,
}

pub(super) const KEEPING: Responses = Responses { stored: false };
pub(super) const STORED: Responses = Responses { stored: true };

impl Client for Responses {
    fn name(&self) -> &'static str {
        if self.stored { STORING } else { "OpenAI Responses" }
    }

    fn path(&self, _: &Ask) -> String {
        "/v1/responses".into()
    }

    fn request(&self, ask: &Ask) -> Value {
        let mut content = vec![json!({"type": "input_text", "text": ask.question})];
        if ask.image {
            let url = format!("data:image/png;base64,{PNG}");
            content.push(json!({"type": "input_image", "image_url": url, "detail": "auto"}));
        }
        if ask.document {
            let data = format!("data:application/pdf;base64,{PDF}");
            content.push(json!({"type": "input_file", "filename": "a.pdf", "file_data": data}));
        }
        let mut input = vec![json!({"type": "message", "role": "user", "content": content})];
        if self.stored && !ask.past.is_empty() {
            input.clear();
        }
        let known = if self.stored { ask.past.len().saturating_sub(1) } else { 0 };
        for past in ask.past.iter().skip(known) {
            input.extend(past.turn.as_array().cloned().unwrap_or_default());
            input.extend(past.given().map(|(id, words, has_image, _)| {
                let image = json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PNG}")});
                let parts = json!([{"type": "input_text", "text": words}, image]);
                let output = if has_image { parts } else { words.into() };
                json!({"type": "function_call_output", "call_id": id, "output": output})
            }));
            if past.results.is_empty() {
                input.push(json!({"role": "user", "content": past.question}));
            }
        }
        let mut body = json!({"model": ask.model, "input": input, "store": self.stored, "stream": ask.stream,
            "max_output_tokens": ask.settings.max_tokens.unwrap_or(4000), "include": ["reasoning.encrypted_content"]});
        if let Some(past) = ask.past.last().filter(|_| self.stored) {
            body["previous_response_id"] = past.turn.clone();
            body["metadata"] = json!({"cell": ask.mark});
        }
        if ask.system {
            body["instructions"] = SYSTEM.into();
        }
        if ask.tools {
            let [one, two] = ask.names();
            body["tools"] = json!([{"type": "function", "name": one, "parameters": parameters(), "strict": false},
                {"type": "function", "name": two, "parameters": {"type": "object", "properties": {}}, "strict": false}]);
        }
        if let Some(temperature) = ask.settings.temperature {
            body["temperature"] = temperature.into();
        }
        if let Some(choice) = ask.settings.choice {
            body["tool_choice"] = match choice {
                Choice::No => "none".into(),
                Choice::Any => "required".into(),
                Choice::Named => json!({"type": "function", "name": TOOL}),
            };
        }
        if ask.thinking {
            body["reasoning"] = json!({"effort": "low", "summary": "auto"});
        }
        if ask.schema {
            let format = json!({"type": "json_schema", "name": "weather", "strict": true, "schema": schema()});
            body["text"] = json!({ "format": format });
        }
        body
    }

    fn whole(&self, body: &Value) -> Told {
        check_response(body);
        self.keep(body, read(body))
    }

    /// P1, E2, S7.
    fn stream(&self, text: &str) -> Told {
        let checked = check(text);
        let begun = checked.events.iter().filter(|event| event["type"] == "response.in_progress").count();
        let comments = text.lines().filter(|line| line.starts_with(": ")).count();
        let failure = word(&checked.response, "/error/message");
        let told = self.keep(&checked.response, read(&checked.response));
        let failure = (!failure.is_empty()).then_some(failure);
        Told { failure, signs_of_life: begun.saturating_sub(1) + comments, ..told }
    }

    fn forgetful(&self, turn: Value) -> Value {
        if self.stored {
            return turn;
        }
        list(&turn, "").into_iter().filter(|item| item["type"] != "reasoning").collect()
    }

    /// Codex (the source of openai/codex, March 2026, and what its documentation has added since).
    fn agent(&self, body: &mut Value) -> Vec<(&'static str, &'static str)> {
        body["instructions"] = SYSTEM.into();
        let question = body["input"][0]["content"].clone();
        let text = |role: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
        body["input"] = json!([
            text("developer", "<permissions instructions>Ask.</permissions instructions>"),
            text("user", "<environment_context>Here.</environment_context>"),
            {"type": "message", "role": "user", "content": question},
        ]);
        let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"});
        let more = [
            json!({"type": "custom", "name": "apply_patch", "description": "Patches.", "format": grammar}),
            json!({"type": "web_search", "external_web_access": false}),
        ];
        body["tools"].as_array_mut().expect("tools").extend(more);
        body["tool_choice"] = "auto".into();
        body["parallel_tool_calls"] = true.into();
        body["reasoning"] = json!({"effort": "medium", "summary": "auto"});
        body["text"] = json!({"verbosity": "medium"});
        body["prompt_cache_key"] = "0199-session".into();
        body["client_metadata"] = json!({"x-codex-installation-id": "i"});
        vec![("originator", "codex_cli_rs"), ("session_id", "s"), ("version", "0.119.0")]
    }

    fn has_stop(&self) -> bool {
        false
    }

    fn error(&self, body: &Value) -> (String, String) {
        openai_error(body)
    }

    fn expects(&self, trouble: Trouble) -> (u16, &'static str) {
        openai_expects(trouble)
    }
}

impl Responses {
    /// A stored answer goes back by its id.
    fn keep(&self, response: &Value, told: Told) -> Told {
        if self.stored { Told { turn: response["id"].clone(), ..told } } else { told }
    }
}

fn read(response: &Value) -> Told {
    let mut told = Told { turn: response["output"].clone(), ..Told::default() };
    for item in list(response, "/output") {
        match item["type"].as_str().expect("a type") {
            "message" => list(&item, "/content").iter().for_each(|part| told.text += &word(part, "/text")),
            "reasoning" => list(&item, "/summary").iter().for_each(|part| told.thinking += &word(part, "/text")),
            "function_call" => told.calls.push(Call {
                id: word(&item, "/call_id"),
                name: word(&item, "/name"),
                arguments: parsed(item["arguments"].as_str().expect("T3: a string")),
            }),
            other => panic!("an item nobody asked for: {other}"),
        }
    }
    told.finish =
        match (response["status"].as_str().expect("a status"), response["incomplete_details"]["reason"].as_str()) {
            ("completed", _) if told.calls.is_empty() => Some(Finish::Stop),
            ("completed", _) => Some(Finish::Calls),
            ("incomplete", Some("max_output_tokens")) => Some(Finish::Length),
            ("incomplete", Some("content_filter")) => Some(Finish::Filter),
            _ => None,
        };
    let count = |path: &str| response.pointer(path).and_then(Value::as_u64).expect("a count");
    told.usage = response["usage"].is_object().then(|| Usage {
        prompt: count("/usage/input_tokens"),
        cached: count("/usage/input_tokens_details/cached_tokens"),
        output: count("/usage/output_tokens"),
        reasoning: count("/usage/output_tokens_details/reasoning_tokens"),
    });
    told
}
