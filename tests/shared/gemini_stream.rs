//! Judges a Gemini stream by the vendor's description of it, and puts its answer together as the
//! vendor's SDKs do. Knows nothing of how the gateway writes one.
//!
//! Source: "Generating content", "Function calling", "Thought signatures" (ai.google.dev, read November
//! 2026), and its SDKs in Python (3.6) and JavaScript (3.3).

use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// What a part may be; of these it has one.
const DATA: [&str; 6] = ["text", "inlineData", "fileData", "functionCall", "executableCode", "codeExecutionResult"];
/// What a part may have beside it.
const SIDE: [&str; 2] = ["thought", "thoughtSignature"];
const REASONS: [&str; 5] = ["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"];
/// What a stream, or a whole answer, told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// All parts in order, those without a word left out.
    pub(crate) parts: Vec<Value>,
    /// The text that is no thought.
    pub(crate) text: String,
    pub(crate) thoughts: String,
    pub(crate) calls: Vec<Value>,
    pub(crate) finish: Option<String>,
    /// Why a prompt got no answer.
    pub(crate) blocked: Option<String>,
    pub(crate) usage: Option<Value>,
    pub(crate) error: Option<Value>,
    pub(crate) model: String,
    pub(crate) id: String,
    /// Blank lines between the events.
    pub(crate) signs_of_life: usize,
    /// The candidate's other members, of the last chunk.
    pub(crate) last: Value,
}

/// Reads a whole stream of events. The error is a sentence on what is wrong with it.
pub(crate) fn judge(stream: &str) -> Result<Told, String> {
    let mut told = Told::default();
    for event in stream.split_inclusive("\r\n\r\n") {
        if event == "\r\n\r\n" {
            told.signs_of_life += 1;
            continue;
        }
        if let Some(error) = told.error.as_ref().filter(|_| event.starts_with('{')) {
            // Once more, as the vendor has it.
            let again: Value = serde_json::from_str(event).map_err(|error| format!("{error}: {event:?}"))?;
            check(again["error"] == *error, "another error after the error")?;
            continue;
        }
        let data = event
            .strip_suffix("\r\n\r\n")
            .and_then(|event| event.strip_prefix("data: "))
            .ok_or_else(|| format!("no event of one data line: {event:?}"))?;
        if data.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']) {
            return Err(format!("data of several lines: {event:?}"));
        }
        let chunk = serde_json::from_str(data).map_err(|error| format!("{error}: {event:?}"))?;
        told.take(&chunk).map_err(|why| format!("{why}: {event:?}"))?;
    }
    Ok(told)
}

/// Reads a whole answer.
pub(crate) fn judge_whole(answer: &Value) -> Result<Told, String> {
    let mut told = Told::default();
    told.take(answer)?;
    Ok(told)
}

/// Whether an object is an error as the vendor's SDKs raise it.
pub(crate) fn is_error(body: &Value) -> Result<(), String> {
    let error = object(&body["error"])?;
    let code = error.get("code").and_then(Value::as_u64).ok_or("no code")?;
    let status = error.get("status").and_then(Value::as_str).ok_or("no status")?;
    check((400..600).contains(&code), "a code that is no error's")?;
    check(status.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "a status of no name")?;
    check(
        error.get("message").is_some_and(|message| message.as_str().is_some_and(|text| !text.is_empty())),
        "no words",
    )?;
    let details = error.get("details").and_then(Value::as_array).ok_or("no details")?;
    check(details.iter().all(|detail| detail["@type"].is_string()), "a detail of no type")
}

impl Told {
    /// Whether the answer is whole.
    pub(crate) fn complete(&self) -> bool {
        self.error.is_none() && (self.finish.is_some() || self.blocked.is_some())
    }

    fn take(&mut self, chunk: &Value) -> Result<(), String> {
        check(self.error.is_none(), "something after an error")?;
        let members = object(chunk)?;
        if members.contains_key("error") {
            is_error(chunk)?;
            self.error = Some(chunk["error"].clone());
            return Ok(());
        }
        check(!self.complete(), "something after the end")?;
        let known = ["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"];
        check(members.keys().all(|key| known.contains(&&**key)), "a member that is none")?;
        same(&mut self.model, &chunk["modelVersion"])?;
        same(&mut self.id, &chunk["responseId"])?;
        if let Some(usage) = members.get("usageMetadata") {
            counts(usage)?;
            self.usage = Some(usage.clone());
        }
        match members.get("candidates").and_then(Value::as_array).map(Vec::as_slice) {
            None => {
                self.blocked = chunk["promptFeedback"]["blockReason"].as_str().map(str::to_owned);
                check(self.blocked.is_some() && self.parts.is_empty(), "neither an answer nor a reason for none")
            }
            Some([candidate]) => {
                check(!members.contains_key("promptFeedback"), "an answer and a reason for none")?;
                self.candidate(candidate)
            }
            Some(_) => Err("not one candidate".into()),
        }
    }

    fn candidate(&mut self, candidate: &Value) -> Result<(), String> {
        let known = ["content", "finishReason", "index", "groundingMetadata", "avgLogprobs", "logprobsResult"];
        let members = object(candidate)?;
        check(members.keys().all(|key| known.contains(&&**key)), "a candidate's member that is none")?;
        check(candidate["index"] == 0 && candidate["content"]["role"] == "model", "no answer of the model")?;
        let parts = candidate["content"]["parts"].as_array().ok_or("no parts")?;
        for part in parts {
            self.part(part)?;
        }
        if let Some(reason) = members.get("finishReason") {
            let reason = reason.as_str().ok_or("a reason that is no word")?;
            check(REASONS.contains(&reason), "an unknown reason")?;
            self.finish = Some(reason.to_owned());
        }
        // Chat sessions of the SDKs throw away a turn with a content of no parts.
        check(!parts.is_empty() || self.finish.is_some(), "a chunk of nothing")?;
        let grounding = &candidate["groundingMetadata"]["groundingSupports"];
        for segment in grounding.as_array().into_iter().flatten().map(|support| &support["segment"]) {
            let place = |name: &str| segment[name].as_u64().and_then(|at| usize::try_from(at).ok()).ok_or("no place");
            let cited = self.text.get(place("startIndex")?..place("endIndex")?);
            check(cited == segment["text"].as_str(), "a passage that is none of the text")?;
        }
        self.last = candidate.clone();
        Ok(())
    }

    fn part(&mut self, part: &Value) -> Result<(), String> {
        let members = object(part)?;
        check(
            members.keys().all(|key| DATA.contains(&&**key) || SIDE.contains(&&**key)),
            "a part's member that is none",
        )?;
        check(members.keys().filter(|key| DATA.contains(&&***key)).count() == 1, "not one kind of part")?;
        if let Some(signature) = members.get("thoughtSignature") {
            // The SDKs read bytes here.
            let bytes = signature.as_str().and_then(|text| STANDARD.decode(text).ok());
            check(bytes.is_some_and(|bytes| !bytes.is_empty()), "a signature that is no base64")?;
        }
        if let Some(text) = members.get("text") {
            let text = text.as_str().ok_or("a text that is none")?;
            let is_thought = members.get("thought").is_some_and(|thought| thought == true);
            if is_thought { &mut self.thoughts } else { &mut self.text }.push_str(text);
        }
        if let Some(call) = members.get("functionCall") {
            let name = call["name"].as_str().unwrap_or_default();
            // One without arguments may come without the word.
            let has_args = call.get("args").is_none_or(Value::is_object);
            check(!name.is_empty() && has_args, "a call that is not whole")?;
            self.calls.push(call.clone());
            let ids: Vec<&str> = self.calls.iter().filter_map(|call| call["id"].as_str()).collect();
            check(ids.len() == ids.iter().collect::<HashSet<_>>().len(), "an id twice")?;
        }
        if *part != serde_json::json!({"text": ""}) {
            self.parts.push(part.clone());
        }
        Ok(())
    }
}

/// All counts are numbers, and the total is their sum.
fn counts(usage: &Value) -> Result<(), String> {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    check(usage["promptTokenCount"].is_u64() && usage["totalTokenCount"].is_u64(), "counts without their numbers")?;
    check(count("cachedContentTokenCount") <= count("promptTokenCount"), "more from the cache than there was")?;
    let sum = count("promptTokenCount") + count("candidatesTokenCount") + count("thoughtsTokenCount");
    check(count("totalTokenCount") == sum, "a total that is no sum")
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("no object: {value}"))
}

fn same(before: &mut String, now: &Value) -> Result<(), String> {
    let now = now.as_str().filter(|text| !text.is_empty()).ok_or("no name or id")?;
    if before.is_empty() {
        now.clone_into(before);
    }
    check(before == now, "a name or id that changes")
}

fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
