//! What a stream has said so far, for whoever has to end it before its end: the items that are
//! whole, and as much as came of the others.
//!
//! Pure. Source: streaming events of the Responses API (OpenAI's specification 2.3.0, read November
//! 2026).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{error::Error, framing::sse::Framer, store::Status, wire::json::Object};

/// The parts of an event that matter here, whatever else it says.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub sequence_number: Option<i64>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub response: Option<&'a RawValue>,
}

/// The items of an answer that is being made.
#[derive(Debug, Default)]
pub(super) struct Fold {
    items: BTreeMap<u64, Item>,
}

#[derive(Debug)]
struct Item {
    /// As it was added, or as it was when done.
    json: String,
    is_done: bool,
    /// What was said of it since: text, arguments or input.
    said: String,
}

// === impl Event ===

impl<'a> Event<'a> {
    /// `None` for what is no event.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(data).ok().filter(|event: &Self| !event.kind.is_empty())
    }

    /// The status that this event ends its response with.
    pub(super) fn end(&self) -> Option<Status> {
        match self.kind.as_str() {
            "response.completed" => Some(Status::Completed),
            "response.failed" => Some(Status::Failed),
            "response.incomplete" => Some(Status::Incomplete),
            "response.cancelled" => Some(Status::Cancelled),
            _ => None,
        }
    }
}

// === impl Fold ===

impl Fold {
    pub(super) fn take(&mut self, event: &Event<'_>) {
        let Some(index) = event.output_index else { return };
        match event.kind.as_str() {
            "response.output_item.added" | "response.output_item.done" => {
                let Some(item) = event.item else { return };
                let is_done = event.kind.ends_with("done");
                let said = String::new();
                self.items.insert(index, Item { json: item.get().to_owned(), is_done, said });
            }
            "response.output_text.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta" => {
                let delta = event.delta.and_then(|delta| serde_json::from_str::<String>(delta.get()).ok());
                if let (Some(item), Some(delta)) = (self.items.get_mut(&index), delta) {
                    item.said.push_str(&delta);
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items, as JSON: the whole ones as they are, the others marked incomplete.
    pub(super) fn output(&self) -> Vec<String> {
        self.items.values().map(|item| if item.is_done { item.json.clone() } else { item.cut_off() }).collect()
    }

    /// The object of a response that ends here, with this status and this reason.
    pub(super) fn close(&self, response: &str, status: Status, why: Why<'_>) -> String {
        let Ok(object) = Object::parse_str(response) else { return response.to_owned() };
        let mut edits = object.edit();
        edits.set("status", json!(status.as_str()).to_string());
        if !self.is_empty() {
            edits.set("output", array(&self.output()));
        }
        match why {
            Why::Nothing => {}
            Why::Reason(reason) => edits.set("incomplete_details", json!({ "reason": reason }).to_string()),
            Why::Error { code, message } => {
                edits.set("error", json!({"code": code, "message": message}).to_string());
            }
        }
        edits.apply()
    }
}

/// Why a response ended before its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why<'a> {
    /// Its status says all.
    Nothing,
    /// For `incomplete_details`.
    Reason(&'a str),
    Error {
        code: &'a str,
        message: &'a str,
    },
}

impl Item {
    fn cut_off(&self) -> String {
        let Ok(mut item) = serde_json::from_str::<Value>(&self.json) else { return self.json.clone() };
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(members) = item.as_object_mut() else { return self.json.clone() };
        match kind.as_str() {
            "message" if !self.said.is_empty() => {
                let part = json!({"type": "output_text", "text": self.said, "annotations": [], "logprobs": []});
                members.insert("content".into(), json!([part]));
            }
            "function_call" => _ = members.insert("arguments".into(), self.said.clone().into()),
            "custom_tool_call" => _ = members.insert("input".into(), self.said.clone().into()),
            _ => {}
        }
        if members.contains_key("status") {
            members.insert("status".into(), "incomplete".into());
        }
        item.to_string()
    }
}

/// JSON texts as one array.
pub(super) fn array<T: AsRef<str>>(items: &[T]) -> String {
    let mut out = String::with_capacity(items.iter().map(|item| item.as_ref().len() + 1).sum::<usize>() + 2);
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push(']');
    out
}

/// What is left of a response whose process died, from the object and the events that were kept.
pub(crate) fn close_unfinished(response: &str, events: &str) -> String {
    let mut fold = Fold::default();
    let mut framer = Framer::new(events.len().max(1));
    framer.push(bytes::Bytes::copy_from_slice(events.as_bytes()));
    while let Some(Ok(frame)) = framer.next() {
        if let Some(event) = Event::parse(&frame.data) {
            fold.take(&event);
        }
    }
    let message = "The gateway stopped before this response was complete.";
    fold.close(response, Status::Failed, Why::Error { code: "server_error", message })
}

/// How a failure of ours or of the upstream's is told in a response object.
pub(super) fn failed(fold: &Fold, response: &str, error: &Error) -> String {
    let kind = error.kind();
    let code = kind.code.as_deref().unwrap_or("server_error");
    fold.close(response, Status::Failed, Why::Error { code, message: &error.message() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = concat!(
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":2,",
        "\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}}\n\n",
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":3,",
        "\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[1.50]}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":4,",
        "\"output_index\":1,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"content\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":1,",
        "\"delta\":\"Hel\\u006co\"}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":2,",
        "\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"in_progress\",\"arguments\":\"\"}}\n\n",
        "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",",
        "\"output_index\":2,\"delta\":\"{\\\"a\"}\n\n",
        "event: response.output_text.de",
    );

    /// What a crash leaves: whole items byte for byte, the others as far as they had come.
    #[test]
    fn a_cut_answer_keeps_what_was_said() {
        let closed = close_unfinished(r#"{"id":"resp_1","status":"in_progress","output":[],"x":1.0e2}"#, EVENTS);
        assert!(closed.contains(r#"{"id":"rs_1","type":"reasoning","summary":[1.50]}"#), "{closed}");
        assert!(closed.contains(r#""x":1.0e2"#), "{closed}");
        let value: Value = serde_json::from_str(&closed).unwrap();
        assert_eq!(value["status"], "failed");
        assert_eq!(value["error"]["code"], "server_error");
        assert_eq!(value["output"][1]["content"][0]["text"], "Hello");
        assert_eq!(value["output"][1]["status"], "incomplete");
        assert_eq!(value["output"][2]["arguments"], "{\"a");
    }

    #[test]
    fn nothing_said_is_nothing_kept() {
        let closed = close_unfinished(r#"{"status":"queued","output":[]}"#, "");
        assert!(closed.starts_with(r#"{"status":"failed","output":[],"error":{"#), "{closed}");
        assert_eq!(close_unfinished("no json", EVENTS), "no json");
    }
}
