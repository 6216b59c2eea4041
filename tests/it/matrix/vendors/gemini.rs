//! Gemini's dialect ("Generate content", "Thought signatures"; ai.google.dev and Vertex AI's
//! reference, read November 2026). Of parallel calls the first alone is signed. The Gemini API gives
//! calls ids, Vertex AI gives none.

use serde_json::{Value, json};

use super::{Vendor, chat::stop, provider};
use crate::{
    matrix::neutral::{
        Call, Choice, FAILED, Finish, Heard, Part, Say, Settings, THOUGHT, TOOL, Trouble, USAGE, list, word,
    },
    support::{
        Script,
        gemini::{error, event},
        upstream::Request,
    },
};

pub(super) struct Gemini {
    name: &'static str,
    model: &'static str,
    /// What its ids of calls begin with.
    ids: &'static str,
}

pub(super) const GEMINI: Gemini = Gemini { name: "Gemini", model: "gem/gemini-3.8-flash", ids: "g3m" };
pub(super) const VERTEX: Gemini = Gemini { name: "Gemini on Vertex AI", model: "vertex/gemini-3.8-flash", ids: "" };

impl Vendor for Gemini {
    fn name(&self) -> &'static str {
        self.name
    }

    fn config(&self, base: &str) -> String {
        if self.ids.is_empty() {
            let settings = "project = \"p\"\nlocation = \"us-east5\"\n";
            return provider("vertex", "vertex", &format!("{base}/vertex")) + settings;
        }
        provider("gem", "gemini", &format!("{base}/gem/v1beta"))
    }

    fn model(&self, _: &str, _: bool) -> &'static str {
        self.model
    }

    fn whole(&self, say: &Say) -> Value {
        let mut parts = Vec::new();
        if say.thinks {
            parts.push(json!({"text": THOUGHT.concat(), "thought": true}));
        }
        if say.text.is_some() {
            parts.push(json!({"text": say.whole_text()}));
        }
        parts.extend(self.calls(say));
        parts.extend(signed_end(say));
        answer(say, &parts, Some(finish(say)))
    }

    fn events(&self, say: &Say) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        if say.thinks {
            parts.extend(THOUGHT.iter().map(|piece| json!({"text": piece, "thought": true})));
        }
        parts.extend(say.text.into_iter().flatten().map(|piece| json!({ "text": piece })));
        parts.extend(self.calls(say));
        let chunks = parts.into_iter().map(|part| answer(say, &[part], None));
        let end = signed_end(say).unwrap_or_else(|| json!({"text": ""}));
        let last = answer(say, &[end], Some(finish(say)));
        chunks.chain([last]).map(|chunk| event(&chunk).into_bytes()).collect()
    }

    fn failure(&self, words: &str) -> Vec<u8> {
        event(&error(503, "UNAVAILABLE", words, &json!([]))).into_bytes()
    }

    fn refusal(&self, trouble: Trouble, words: &str) -> Script {
        let detail = |kind: &str| format!("type.googleapis.com/google.rpc.{kind}");
        match trouble {
            Trouble::Busy => {
                let details = json!([{"@type": detail("RetryInfo"), "retryDelay": "7s"}]);
                refusal(429, "RESOURCE_EXHAUSTED", words, &details)
            }
            Trouble::Wrong => refusal(400, "INVALID_ARGUMENT", words, &json!([])),
            Trouble::Overflow => refusal(400, "INVALID_ARGUMENT", words, &json!([])),
            Trouble::Missing => refusal(404, "NOT_FOUND", words, &json!([])),
            Trouble::Overloaded => refusal(503, "UNAVAILABLE", words, &json!([])),
            Trouble::Down => refusal(500, "INTERNAL", words, &json!([])),
            Trouble::Key if self.ids.is_empty() => refusal(401, "UNAUTHENTICATED", words, &json!([])),
            Trouble::Key => {
                let details = json!([{"@type": detail("ErrorInfo"), "reason": "API_KEY_INVALID"}]);
                refusal(400, "INVALID_ARGUMENT", words, &details)
            }
        }
    }

    fn maker(&self) -> &'static str {
        "Google"
    }

    fn takes_name(&self, name: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-');
        name.len() <= 64
            && name.bytes().all(is_plain)
            && !name.starts_with(|first: char| !first.is_ascii_alphabetic() && first != '_')
    }

    fn overflow(&self) -> &'static str {
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    }

    fn heard(&self, request: &Request) -> Heard {
        assert!(request.path.contains("enerateContent"), "{}", request.path);
        let body = request.json();
        let tools =
            list(&body, "/tools").iter().flat_map(|tool| list(tool, "/functionDeclarations")).collect::<Vec<_>>();
        let (config, calling) = (&body["generationConfig"], &body["toolConfig"]["functionCallingConfig"]);
        let mut heard = Heard {
            system: list(&body, "/systemInstruction/parts").iter().map(|part| word(part, "/text")).collect(),
            tools: tools.iter().map(|tool| word(tool, "/name")).collect(),
            schema: config.get("responseJsonSchema").or(config.get("responseSchema")).cloned(),
            thinking: config["thinkingConfig"]["includeThoughts"] == true,
            settings: Settings {
                max_tokens: config["maxOutputTokens"].as_u64(),
                temperature: config["temperature"].as_f64(),
                choice: match calling["mode"].as_str() {
                    Some("NONE") => Some(Choice::No),
                    Some("ANY") if calling["allowedFunctionNames"] == json!([TOOL]) => Some(Choice::Named),
                    Some("ANY") => Some(Choice::Any),
                    Some(_) | None => None,
                },
                stop: stop(&body, "/generationConfig/stopSequences"),
            },
            ..Heard::default()
        };
        for content in list(&body, "/contents") {
            // What was thought may come back, and is not read.
            let parts = list(&content, "/parts").into_iter().filter(|part| part["thought"] != true);
            let parts: Vec<Part> = parts.flat_map(|given| part(&given)).collect();
            match content["role"].as_str().expect("a role") {
                "user" => heard.user(parts),
                "model" => heard.model(parts),
                other => panic!("nobody's role: {other}"),
            }
        }
        heard
    }

    /// R2: the signature on the call it came on, and that of a text where the client has kept it. What
    /// was thought is not said again.
    fn replayed(&self, say: &Say, kept: bool) -> Vec<Part> {
        let calls = self.calls(say);
        let signed = signed_end(say).filter(|_| kept).map(|end| Part::Proof(word(&end, "/thoughtSignature")));
        Part::text(&say.whole_text()).into_iter().chain(calls.iter().flat_map(part)).chain(signed).collect()
    }
}

impl Gemini {
    fn calls(&self, say: &Say) -> Vec<Value> {
        let part = |(number, call): (usize, Call)| {
            let mut made = json!({"functionCall": {"name": call.name}});
            if call.arguments != json!({}) {
                made["functionCall"]["args"] = call.arguments;
            }
            if !call.id.is_empty() {
                made["functionCall"]["id"] = call.id.into();
            }
            if number == 0 {
                made["thoughtSignature"] = say.proof(0).into();
            }
            made
        };
        say.made(self.ids).into_iter().enumerate().map(part).collect()
    }
}

/// It has no word of its own for calls.
fn finish(say: &Say) -> &'static str {
    match say.finish() {
        Finish::Stop | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "SAFETY",
    }
}

/// The signature of an answer without calls, in a part behind its text.
fn signed_end(say: &Say) -> Option<Value> {
    let is_signed = say.thinks && say.calls.is_empty();
    is_signed.then(|| json!({"text": "", "thoughtSignature": say.proof(0)}))
}

pub(super) fn refusal(code: u16, status: &str, words: &str, details: &Value) -> Script {
    Script::json(code, &error(code, status, words, details))
}

fn part(part: &Value) -> Vec<Part> {
    let part_of = self::part;
    let proof = Part::proof(&word(part, "/thoughtSignature"));
    if part.get("text").is_some() && part["thought"] != true {
        // A text's own stands behind it.
        return Part::text(&word(part, "/text")).into_iter().chain(proof).collect();
    }
    let mut parts: Vec<Part> = proof.into_iter().collect();
    if part["thought"] == true {
        parts.push(Part::Thought(word(part, "/text")));
    } else if let Some(call) = part.get("functionCall") {
        let arguments = call.get("args").cloned().unwrap_or_else(|| json!({}));
        parts.push(Part::Call(Call { id: word(call, "/id"), name: word(call, "/name"), arguments }));
    } else if let Some(response) = part.get("functionResponse") {
        // It is found by its name and place where there is no id.
        assert!(!word(response, "/name").is_empty() && response["response"].is_object(), "{part}");
        let error = response["response"]["error"].as_str().map(|words| format!("{FAILED}{words}"));
        let said = error.unwrap_or_else(|| word(response, "/response/output"));
        parts.push(Part::Result(word(response, "/id"), said));
        parts.extend(list(response, "/parts").iter().flat_map(part_of));
    } else if let Some(data) = part.get("inlineData") {
        parts.push(Part::media(&word(data, "/mimeType"), &word(data, "/data")));
    } else {
        panic!("a part nobody sent: {part}");
    }
    parts
}

/// A whole answer, or a chunk of one.
fn answer(say: &Say, parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({"candidates": [candidate], "usageMetadata": usage(), "modelVersion": "gemini-x",
        "responseId": say.id("r", 0)})
}

/// C4: thoughts are beside the candidates, the cached part within the prompt.
fn usage() -> Value {
    json!({"promptTokenCount": USAGE.prompt, "cachedContentTokenCount": USAGE.cached,
        "candidatesTokenCount": USAGE.output - USAGE.reasoning, "thoughtsTokenCount": USAGE.reasoning,
        "totalTokenCount": USAGE.prompt + USAGE.output})
}
