//! The rules of a Responses stream, written from the specification alone (openai-openapi 2.3.0, "Streaming
//! events"; what the stream helpers of openai-python 3.54 and openai-node 7.57 refuse; the schema of the
//! Open Responses compliance suite; all read November 2026). It shares no line with what writes such
//! streams, and every stream a test makes has to pass it (rule P1).

use serde_json::Value;

/// Members every response has, in whatever state.
const MEMBERS: [&str; 28] = [
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "error",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "model",
    "output",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "metadata",
];

/// A stream as it was checked.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// The response of the last event.
    pub(crate) response: Value,
    pub(crate) events: Vec<Value>,
    id: Option<String>,
    items: Vec<Value>,
    open: Option<Open>,
    errors: usize,
    ended: bool,
}

/// The item under way.
#[derive(Debug)]
struct Open {
    item: Value,
    /// Parts that are done.
    parts: Vec<Value>,
    /// The part under way, and what has come of it.
    part: Option<(Value, String)>,
    /// What has come of a call.
    text: String,
    told: bool,
}

/// Checks a whole stream; panics with what is wrong.
pub(crate) fn check(stream: &str) -> Checked {
    let mut checked = Checked::default();
    for event in events(stream) {
        assert!(!checked.ended, "something follows the end: {event}");
        assert_eq!(event["sequence_number"], checked.events.len(), "numbers count up from 0: {event}");
        checked.take(&event);
        checked.events.push(event);
    }
    assert!(checked.ended, "no end: {stream}");
    checked
}

/// A whole answer has what every response has, and items that are done.
pub(crate) fn check_response(response: &Value) {
    for member in MEMBERS {
        assert!(response.get(member).is_some(), "{member} is missing: {response}");
    }
    assert_eq!(response["object"], "response");
    assert!(response["id"].as_str().is_some_and(|id| id.starts_with("resp_")), "{response}");
    assert!(response["created_at"].is_u64(), "{response}");
    for number in ["temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"] {
        assert!(response[number].is_number(), "{number}: {response}");
    }
    assert!(response["text"]["format"]["type"].is_string() && response["service_tier"].is_string(), "{response}");
    let reasoning = &response["reasoning"];
    assert!(reasoning.is_null() || (reasoning.get("effort").is_some() && reasoning.get("summary").is_some()));
    let usage = &response["usage"];
    if !usage.is_null() {
        for count in ["/input_tokens", "/output_tokens", "/total_tokens"] {
            assert!(usage.pointer(count).is_some_and(Value::is_u64), "{usage}");
        }
        for count in ["/input_tokens_details/cached_tokens", "/output_tokens_details/reasoning_tokens"] {
            assert!(usage.pointer(count).is_some_and(Value::is_u64), "{usage}");
        }
    }
    let (status, error) = (response["status"].as_str().expect("a status"), &response["error"]);
    assert_eq!(status == "failed", !error.is_null(), "{response}");
    assert!(error.is_null() || (error["code"].is_string() && error["message"].is_string()), "{response}");
    assert_eq!(status == "incomplete", response["incomplete_details"]["reason"].is_string(), "{response}");
    assert_eq!(status == "completed", response["completed_at"].is_u64(), "{response}");
    let output = response["output"].as_array().expect("a list");
    output.iter().for_each(|item| check_item(item, status));
    let ids: std::collections::BTreeSet<&str> = output.iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(ids.len(), output.len(), "ids of items are their own: {response}");
}

fn check_item(item: &Value, status: &str) {
    let text = |key: &str| assert!(item[key].is_string(), "{key}: {item}");
    text("id");
    match item["type"].as_str().expect("a type") {
        "message" => {
            assert_eq!(item["role"], "assistant");
            for part in item["content"].as_array().expect("a list") {
                check_part(part);
            }
            text("status");
        }
        "function_call" => {
            ["call_id", "name", "arguments", "status"].into_iter().for_each(text);
            // T1.
            if status == "completed" {
                let arguments = item["arguments"].as_str().expect("a string");
                assert!(!arguments.is_empty(), "{item}");
            }
        }
        "custom_tool_call" => ["call_id", "name", "input", "status"].into_iter().for_each(text),
        "reasoning" => {
            for part in item["summary"].as_array().expect("a list") {
                assert_eq!(part["type"], "summary_text");
                assert!(part["text"].is_string());
            }
            assert!(item.get("encrypted_content").is_none_or(Value::is_string), "absent rather than null: {item}");
        }
        "image_generation_call" => ["status", "result"].into_iter().for_each(text),
        other => panic!("an item of another kind: {other}"),
    }
}

fn check_part(part: &Value) {
    match part["type"].as_str().expect("a type") {
        "output_text" => {
            assert!(part["text"].is_string() && part["logprobs"].is_array(), "{part}");
            for annotation in part["annotations"].as_array().expect("a list") {
                assert_eq!(annotation["type"], "url_citation");
                assert!(annotation["start_index"].as_u64() <= annotation["end_index"].as_u64(), "{annotation}");
            }
        }
        "refusal" => assert!(part["refusal"].is_string(), "{part}"),
        "reasoning_text" => assert!(part["text"].is_string(), "{part}"),
        other => panic!("a part of another kind: {other}"),
    }
}

/// The events of a stream, framed as they must be: a name that is the type, and JSON on one line.
fn events(stream: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for frame in stream.split_terminator("\n\n") {
        let mut lines = frame.split('\n').filter(|line| !line.starts_with(':'));
        let (name, data) = (lines.next().expect("a name"), lines.next().expect("data"));
        assert_eq!(lines.next(), None, "two lines an event: {frame:?}");
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
        assert_eq!(name.strip_prefix("event: "), event["type"].as_str(), "{frame}");
        assert!(!data.contains(['\u{2028}', '\u{2029}', '\u{85}']), "one line for every reader: {frame}");
        events.push(event);
    }
    events
}

// === impl Checked ===

impl Checked {
    fn take(&mut self, event: &Value) {
        let name = event["type"].as_str().expect("a type");
        match self.events.len() {
            0 => assert_eq!(name, "response.created", "the first event: {event}"),
            1 if !self.is_failing(name) => {
                assert!(matches!(name, "response.in_progress" | "response.queued"), "the second event: {event}");
            }
            _ => assert_ne!(name, "response.created", "{event}"),
        }
        match name {
            "response.created" | "response.in_progress" | "response.queued" => self.lifecycle(event),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.lifecycle(event);
                self.end(name, event);
            }
            "error" => {
                self.errors += 1;
                assert_eq!(self.errors, 1, "one error: {event}");
                let nested = &event["error"];
                for word in ["message", "code"] {
                    assert!(event[word].is_string() && event[word] == nested[word], "both forms: {event}");
                }
                assert!(nested["type"].is_string() && event.get("param").is_some(), "{event}");
            }
            _ => {
                assert_eq!(self.errors, 0, "nothing but the end follows an error: {event}");
                self.item(name, event);
            }
        }
    }

    fn is_failing(&self, name: &str) -> bool {
        self.errors > 0 || matches!(name, "error" | "response.failed")
    }

    fn lifecycle(&mut self, event: &Value) {
        let response = &event["response"];
        check_response(response);
        let id = response["id"].as_str().map(ToOwned::to_owned);
        assert!(self.id.is_none() || self.id == id, "one id from begin to end: {event}");
        self.id = id;
        let under_way = matches!(response["status"].as_str(), Some("in_progress" | "queued"));
        if under_way {
            assert!(response["output"].as_array().is_some_and(Vec::is_empty), "{event}");
        }
        self.response = response.clone();
    }

    fn end(&mut self, name: &str, event: &Value) {
        let status = event["response"]["status"].as_str().expect("a status");
        assert_eq!(name.strip_prefix("response."), Some(status), "{event}");
        self.ended = true;
        if status == "failed" {
            return;
        }
        assert!(self.open.is_none(), "an item was left open: {event}");
        assert_eq!(self.errors, 0, "no good end after an error");
        assert_eq!(event["response"]["output"], Value::Array(self.items.clone()), "the items that were done");
    }

    fn item(&mut self, name: &str, event: &Value) {
        let at = self.items.len();
        assert_eq!(event["output_index"], at, "items count up, one at a time: {event}");
        if name == "response.output_item.added" {
            assert!(self.open.is_none(), "the one before is not done: {event}");
            let item = event["item"].clone();
            assert!(item["status"].is_null() || item["status"] == "in_progress", "{event}");
            self.open = Some(Open { item, parts: Vec::new(), part: None, text: String::new(), told: false });
            return;
        }
        let open = self.open.as_mut().unwrap_or_else(|| panic!("no item is open: {event}"));
        if name == "response.output_item.done" {
            let done = event["item"].clone();
            open.ends_as(&done);
            self.items.push(done);
            self.open = None;
            return;
        }
        assert_eq!(event["item_id"], open.item["id"], "{event}");
        open.take(name, event);
    }
}

// === impl Open ===

impl Open {
    fn take(&mut self, name: &str, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap_or_else(|| panic!("{key}: {event}"));
        match name {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                assert!(self.part.is_none(), "the part before is not done: {event}");
                self.place(event);
                let part = event["part"].clone();
                assert_eq!(said(&part), "", "{event}");
                self.part = Some((part, String::new()));
            }
            "response.output_text.delta" | "response.refusal.delta" | "response.reasoning_summary_text.delta" => {
                self.place(event);
                let (_, so_far) = self.part.as_mut().unwrap_or_else(|| panic!("no part is open: {event}"));
                assert!(!text("delta").is_empty(), "a piece of nothing: {event}");
                so_far.push_str(text("delta"));
            }
            "response.output_text.done" | "response.reasoning_summary_text.done" => self.part_is(text("text"), event),
            "response.refusal.done" => self.part_is(text("refusal"), event),
            "response.output_text.annotation.added" => {
                self.place(event);
                assert!(self.part.is_some(), "{event}");
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                self.place(event);
                let (begun, so_far) = self.part.take().unwrap_or_else(|| panic!("no part is open: {event}"));
                assert_eq!(begun["type"], event["part"]["type"]);
                assert_eq!(said(&event["part"]), so_far, "{event}");
                self.parts.push(event["part"].clone());
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.text.push_str(text("delta"));
            }
            "response.function_call_arguments.done" => self.call_is(text("arguments"), event),
            "response.custom_tool_call_input.done" => self.call_is(text("input"), event),
            "response.image_generation_call.completed" => {}
            other => panic!("an event of another kind: {other}"),
        }
    }

    /// Parts count up from 0.
    fn place(&self, event: &Value) {
        let index = event.get("content_index").or(event.get("summary_index"));
        assert_eq!(index.and_then(Value::as_u64), Some(self.parts.len() as u64), "{event}");
    }

    fn part_is(&self, text: &str, event: &Value) {
        self.place(event);
        assert_eq!(self.part.as_ref().map(|(_, so_far)| so_far.as_str()), Some(text), "{event}");
    }

    fn call_is(&mut self, text: &str, event: &Value) {
        assert_eq!(self.text, text, "{event}");
        self.told = true;
    }

    fn ends_as(&self, done: &Value) {
        for key in ["id", "type", "call_id", "name", "namespace"] {
            assert_eq!(done.get(key), self.item.get(key), "{key} stays: {done}");
        }
        assert!(self.part.is_none(), "a part was left open: {done}");
        let parts = Value::Array(self.parts.clone());
        match done["type"].as_str().expect("a type") {
            "message" => assert_eq!(done["content"], parts),
            "reasoning" => assert_eq!(done["summary"], parts),
            "function_call" => assert!(self.told && done["arguments"] == self.text.as_str(), "{done}"),
            "custom_tool_call" => assert!(self.told && done["input"] == self.text.as_str(), "{done}"),
            _ => {}
        }
        assert_ne!(done["status"], "in_progress", "{done}");
    }
}

fn said(part: &Value) -> &str {
    part["text"].as_str().or(part["refusal"].as_str()).expect("a text")
}
