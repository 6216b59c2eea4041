//! A client of Gemini's own API ("Generating content", "Function calling", "Thinking", "Thought
//! signatures"; ai.google.dev, read November 2026): parts go back as they came.

use serde_json::{Value, json};

use super::Client;
use crate::{
    matrix::neutral::{
        Ask, Call, Choice, Finish, PDF, PNG, Past, SYSTEM, TOOL, Told, Trouble, Usage, list, parameters, schema, word,
    },
    support::gemini_stream::{self as rules, is_error, judge, judge_whole},
};

pub(super) struct Gemini;

impl Client for Gemini {
    fn name(&self) -> &'static str {
        "Gemini"
    }

    fn path(&self, ask: &Ask) -> String {
        let method = if ask.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        format!("/v1beta/models/{}:{method}", ask.model)
    }

    fn request(&self, ask: &Ask) -> Value {
        let mut parts = vec![json!({"text": ask.question})];
        if ask.image {
            parts.push(json!({"inlineData": {"mimeType": "image/png", "data": PNG}}));
        }
        if ask.document {
            parts.push(json!({"inlineData": {"mimeType": "application/pdf", "data": PDF}}));
        }
        let mut contents = vec![json!({"role": "user", "parts": parts})];
        for past in &ask.past {
            contents.push(json!({"role": "model", "parts": past.turn}));
            contents.push(json!({"role": "user", "parts": said(past)}));
        }
        let mut body = json!({"contents": contents, "generationConfig": config(ask)});
        if ask.system {
            body["systemInstruction"] = json!({"parts": [{"text": SYSTEM}]});
        }
        if ask.tools {
            let [one, two] = ask.names();
            let tools = json!([{"name": one, "parametersJsonSchema": parameters()}, {"name": two}]);
            body["tools"] = json!([{"functionDeclarations": tools}]);
        }
        if let Some(choice) = ask.settings.choice {
            let calling = match choice {
                Choice::No => json!({"mode": "NONE"}),
                Choice::Any => json!({"mode": "ANY"}),
                Choice::Named => json!({"mode": "ANY", "allowedFunctionNames": [TOOL]}),
            };
            body["toolConfig"] = json!({"functionCallingConfig": calling});
        }
        body
    }

    fn whole(&self, body: &Value) -> Told {
        read(judge_whole(body).unwrap_or_else(|why| panic!("{why}\n{body}")))
    }

    /// S7, E1, T2.
    fn stream(&self, text: &str) -> Told {
        let told = judge(text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert!(told.complete() != told.error.is_some(), "E1: either an end or an error: {text}");
        read(told)
    }

    fn forgetful(&self, turn: Value) -> Value {
        let mut parts = list(&turn, "");
        parts.retain(|part| part["thought"] != true);
        for part in &mut parts {
            part.as_object_mut().expect("an object").remove("thoughtSignature");
        }
        parts.retain(|part| part["text"] != "");
        parts.into()
    }

    /// Gemini CLI (the source of google-gemini/gemini-cli, August 2026).
    fn agent(&self, body: &mut Value) -> Vec<(&'static str, &'static str)> {
        body["systemInstruction"] = json!({"role": "user", "parts": [{"text": SYSTEM}]});
        let question = body["contents"][0].clone();
        body["contents"] = json!([
            {"role": "user", "parts": [{"text": "<session_context>Here.</session_context>"}]},
            {"role": "model", "parts": [{"text": "Got it."}]},
            question,
        ]);
        let config = &mut body["generationConfig"];
        (config["temperature"], config["topP"], config["topK"]) = (json!(1), json!(0.95), json!(64));
        config["thinkingConfig"] = json!({"includeThoughts": true, "thinkingLevel": "HIGH"});
        for tool in body["tools"][0]["functionDeclarations"].as_array_mut().expect("tools") {
            tool["description"] = "Tells.".into();
        }
        vec![
            ("x-goog-api-client", "google-genai-sdk/2.19.0 gl-node/v24"),
            ("user-agent", "GeminiCLI/0.31.0/gemini (linux; x64)"),
        ]
    }

    fn has_errors(&self) -> bool {
        true
    }

    fn error(&self, body: &Value) -> (String, String) {
        is_error(body).unwrap_or_else(|why| panic!("{why}: {body}"));
        (word(body, "/error/status"), word(body, "/error/message"))
    }

    fn expects(&self, trouble: Trouble) -> (u16, &'static str) {
        match trouble {
            Trouble::Busy => (429, "RESOURCE_EXHAUSTED"),
            Trouble::Wrong | Trouble::Overflow => (400, "INVALID_ARGUMENT"),
            Trouble::Key => (502, "INTERNAL"),
            Trouble::Missing => (404, "NOT_FOUND"),
            Trouble::Overloaded => (503, "UNAVAILABLE"),
            Trouble::Down => (500, "INTERNAL"),
        }
    }
}

fn config(ask: &Ask) -> Value {
    let mut config = json!({"maxOutputTokens": ask.settings.max_tokens.unwrap_or(4000)});
    if let Some(temperature) = ask.settings.temperature {
        config["temperature"] = temperature.into();
    }
    if !ask.settings.stop.is_empty() {
        config["stopSequences"] = json!(ask.settings.stop);
    }
    if ask.thinking {
        config["thinkingConfig"] = json!({"includeThoughts": true, "thinkingLevel": "low"});
    }
    if ask.schema {
        config["responseMimeType"] = "application/json".into();
        config["responseJsonSchema"] = schema();
    }
    config
}

/// Results by their ids, where calls have some, or the next question.
fn said(past: &Past) -> Vec<Value> {
    let calls = list(&past.turn, "");
    let calls: Vec<&Value> = calls.iter().filter_map(|part| part.get("functionCall")).collect();
    let result = |(id, words, has_image, failed): (&str, &str, bool, bool)| {
        let call = calls.iter().find(|call| word(call, "/id") == id).expect("a call");
        let key = if failed { "error" } else { "output" };
        let mut response = json!({"name": call["name"], "response": {key: words}});
        if !id.is_empty() {
            response["id"] = id.into();
        }
        if has_image {
            response["parts"] = json!([{"inlineData": {"mimeType": "image/png", "data": PNG}}]);
        }
        json!({ "functionResponse": response })
    };
    if past.results.is_empty() { vec![json!({"text": past.question})] } else { past.given().map(result).collect() }
}

fn read(told: rules::Told) -> Told {
    let call = |call: &Value| {
        let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
        Call { id: word(call, "/id"), name: word(call, "/name"), arguments }
    };
    let calls: Vec<Call> = told.calls.iter().map(call).collect();
    let count = |usage: &Value, key: &str| usage[key].as_u64().unwrap_or_default();
    Told {
        text: told.text,
        thinking: told.thoughts,
        finish: told.finish.map(|reason| match reason.as_str() {
            "STOP" if calls.is_empty() => Finish::Stop,
            "STOP" => Finish::Calls,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" => Finish::Filter,
            other => panic!("finished with {other}"),
        }),
        calls,
        usage: told.usage.map(|usage| Usage {
            prompt: count(&usage, "promptTokenCount"),
            cached: count(&usage, "cachedContentTokenCount"),
            output: count(&usage, "candidatesTokenCount") + count(&usage, "thoughtsTokenCount"),
            reasoning: count(&usage, "thoughtsTokenCount"),
        }),
        turn: told.parts.into(),
        failure: told.error.map(|error| word(&error, "/message")),
        signs_of_life: told.signs_of_life,
        ..Told::default()
    }
}
