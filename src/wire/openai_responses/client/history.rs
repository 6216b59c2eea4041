//! What an endpoint with a store needs of a request before anything is decoded.
//!
//! [`Probe`] borrows the fields that are the endpoint's: which answer or conversation the request
//! goes on from, whether the answer is kept, whether the client waits for it. [`with_history`] then
//! writes the request that stands on its own: the earlier items before the new ones, references
//! resolved, the endpoint's fields gone, every other byte as it came. Its result goes the usual way,
//! through to an upstream of this dialect or decoded for another.
//!
//! [`input_items`] and [`output_items`] are the items as they are stored, [`events`] a stream's
//! events.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    error::{Error, Result},
    wire::{
        json::{Object, push_string},
        read::{Record, Shape},
    },
};

/// The fields of a request that are the endpoint's, borrowed from its body.
#[derive(Debug, Default)]
pub struct Probe<'a> {
    pub model: Option<Cow<'a, str>>,
    pub stream: bool,
    /// The answer is made while nobody waits.
    pub background: bool,
    /// The answer is kept; so by default.
    pub store: bool,
    pub previous_response_id: Option<Cow<'a, str>>,
    /// The id of the conversation it belongs to.
    pub conversation: Option<Cow<'a, str>>,
}

/// One event of a stream, as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    pub sequence_number: u64,
    /// The event's JSON.
    pub json: Bytes,
}

// === impl Probe ===

impl<'a> Probe<'a> {
    /// Reads the fields. What is of the wrong type is an error that names it, and so are two histories
    /// at once.
    pub fn of(body: &'a [u8]) -> Result<Self> {
        let root = Record::parse(body)?;
        let text = |key: &str| root.get(key).map(|node| node.str()).transpose();
        let conversation = match root.get("conversation") {
            Some(node) if node.shape() == Shape::Object => Some(node.record()?.require("id")?.str()?),
            Some(node) => Some(node.str()?),
            None => None,
        };
        let probe = Self {
            model: text("model")?,
            stream: root.bool("stream")?.unwrap_or(false),
            background: root.bool("background")?.unwrap_or(false),
            store: root.bool("store")?.unwrap_or(true),
            previous_response_id: text("previous_response_id")?,
            conversation,
        };
        if probe.previous_response_id.is_some() && probe.conversation.is_some() {
            let message = "'previous_response_id' and 'conversation' cannot be used together.";
            return Err(Error::invalid(message, "previous_response_id", "mutually_exclusive_parameters"));
        }
        Ok(probe)
    }
}

/// The request with `earlier` items before its own, and without the fields that asked for them.
/// A reference to a stored item is replaced by what `find` has for its id, and an error when it has
/// nothing. Every other byte stays.
pub fn with_history(
    body: &Bytes,
    earlier: &[Box<RawValue>],
    find: impl Fn(&str) -> Option<Box<RawValue>>,
) -> Result<Bytes> {
    let mut edits = Object::parse(body)?.edit();
    let own = input(edits.object())?;
    let mut items: Vec<Cow<'_, RawValue>> = earlier.iter().map(|item| Cow::Borrowed(&**item)).collect();
    for (index, item) in own.into_iter().enumerate() {
        match reference(&item) {
            None => items.push(item),
            Some(id) => match find(&id) {
                Some(found) => items.push(Cow::Owned(found)),
                None => {
                    let message = format!("Item with id '{id}' not found.");
                    return Err(Error::invalid(message, format!("input[{index}].id"), "item_not_found"));
                }
            },
        }
    }
    let texts: Vec<&str> = items.iter().map(|item| item.get()).collect();
    let text = format!("[{}]", texts.join(","));
    edits.set("input", text);
    for field in ["previous_response_id", "conversation", "background", "background_options"] {
        edits.remove(field);
    }
    Ok(edits.into_bytes(body))
}

/// A request's own items as they are kept, each with an id: its own, or one made of `seed` and its
/// place. A plain string is a user's message.
pub fn input_items(body: &[u8], seed: &str) -> Result<Vec<Box<RawValue>>> {
    let object = Object::parse(body)?;
    let items = input(&object)?.into_iter().enumerate();
    items.map(|(index, item)| identified(&item, &format!("{seed}i{index:02}"))).collect()
}

/// The items of a whole answer as a client got it; none where there are none.
pub fn output_items(response: &[u8]) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        output: Option<Vec<Box<RawValue>>>,
    }
    serde_json::from_slice::<Answer>(response).ok().and_then(|answer| answer.output).unwrap_or_default()
}

/// The events within a stretch of a stream, which holds whole events as all that a relay or an
/// encoder gives out does. A mark of the end and keep-alives are none.
pub fn events(bytes: &Bytes) -> Vec<StreamEvent> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence_number: u64,
    }
    let mut found = Vec::new();
    let mut at = 0;
    for line in bytes.split(|byte| *byte == b'\n') {
        let start = at;
        at += line.len() + 1;
        let Some(json) = line.strip_prefix(b"data: ") else { continue };
        let Ok(Numbered { sequence_number }) = serde_json::from_slice(json) else { continue };
        let json = bytes.slice(start + line.len() - json.len()..start + line.len());
        found.push(StreamEvent { sequence_number, json });
    }
    found
}

fn input<'a>(body: &Object<'a>) -> Result<Vec<Cow<'a, RawValue>>> {
    let Some(raw) = body.present("input") else { return Ok(Vec::new()) };
    match Shape::of(raw) {
        Shape::String => {
            let text = format!("{{\"type\":\"message\",\"role\":\"user\",\"content\":{raw}}}");
            let item = RawValue::from_string(text).map_err(|error| Error::Internal { message: error.to_string() })?;
            Ok(vec![Cow::Owned(item)])
        }
        Shape::Array => {
            let items: Vec<&'a RawValue> = serde_json::from_str(raw.get())
                .map_err(|error| Error::invalid(error.to_string(), "input", "invalid_type"))?;
            Ok(items.into_iter().map(Cow::Borrowed).collect())
        }
        Shape::Null | Shape::Bool | Shape::Number | Shape::Object => {
            let message = "Invalid type for 'input': expected a string or an array of items.";
            Err(Error::invalid(message, "input", "invalid_type"))
        }
    }
}

/// The id of a reference to a stored item, if the item is one.
fn reference(item: &RawValue) -> Option<String> {
    let object = Object::parse_str(item.get()).ok()?;
    let text = |key: &str| serde_json::from_str::<String>(object.present(key)?.get()).ok();
    match text("type").as_deref() {
        Some("item_reference") => text("id"),
        None if object.present("role").is_none() => text("id"),
        Some(_) | None => None,
    }
}

fn identified(item: &RawValue, suffix: &str) -> Result<Box<RawValue>> {
    let broken = |error: serde_json::Error| Error::invalid(error.to_string(), "input", "invalid_type");
    let mut edits = Object::parse_str(item.get()).map_err(broken)?.edit();
    let text = |key: &str| edits.object().present(key).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let kind = text("type").unwrap_or_else(|| "message".into());
    if text("id").is_some() {
        return to_raw_value(item).map_err(broken);
    }
    let mut id = String::new();
    push_string(&mut id, &format!("{}_{suffix}", super::prefix(&kind)));
    edits.set("type", {
        let mut json = String::new();
        push_string(&mut json, &kind);
        json
    });
    edits.set("id", id);
    RawValue::from_string(edits.apply()).map_err(broken)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        to_raw_value(value).unwrap()
    }

    #[test]
    fn the_endpoints_fields_are_borrowed() {
        let body = br#"{"model":"m","previous_response_id":"resp_1","background":true,"input":"x"}"#;
        let probe = Probe::of(body).unwrap();
        assert_eq!((probe.model.as_deref(), probe.previous_response_id.as_deref()), (Some("m"), Some("resp_1")));
        assert!(probe.background && probe.store && !probe.stream && probe.conversation.is_none());
        for conversation in [json!("conv_1"), json!({"id": "conv_1"})] {
            let body = json!({"conversation": conversation, "store": false, "stream": true}).to_string();
            let probe = Probe::of(body.as_bytes()).unwrap();
            assert_eq!(probe.conversation.as_deref(), Some("conv_1"));
            assert!(!probe.store && probe.stream);
        }
        for (body, param) in [
            (json!({"store": 1}), "store"),
            (json!({"conversation": {}}), "conversation.id"),
            (json!({"conversation": "c", "previous_response_id": "r"}), "previous_response_id"),
        ] {
            let error = Probe::of(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.kind().param.as_deref(), Some(param));
        }
    }

    /// P2: earlier items come first, references are resolved, and every other byte stays.
    #[test]
    fn a_request_is_made_to_stand_on_its_own() {
        let body = Bytes::from_static(
            br#"{ "previous_response_id":"resp_1", "model":"m","input":[{"id":"msg_9"}, {"type":"new_item", "n":1.0e2}],"x":1.50}"#,
        );
        let earlier = [raw(&json!({"role": "user", "content": "Hi"}))];
        let stored = |id: &str| (id == "msg_9").then(|| raw(&json!({"type": "message", "id": id})));
        let expanded = with_history(&body, &earlier, stored).unwrap();
        assert_eq!(
            std::str::from_utf8(&expanded).unwrap(),
            r#"{ "model":"m","input":[{"role":"user","content":"Hi"},{"type":"message","id":"msg_9"},{"type":"new_item", "n":1.0e2}],"x":1.50}"#
        );
        let error = with_history(&body, &earlier, |_| None).unwrap_err();
        assert_eq!(error.kind().param.as_deref(), Some("input[0].id"));
        let text = with_history(&Bytes::from_static(br#"{"input":"a\"b"}"#), &earlier, |_| None).unwrap();
        let text: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(text["input"][1]["content"], "a\"b");
    }

    #[test]
    fn items_are_kept_with_ids() {
        let body = json!({"input": [
            {"role": "user", "content": "x"}, {"type": "function_call_output", "call_id": "c", "output": ""},
            {"type": "reasoning", "id": "rs_1", "summary": []}]});
        let items = input_items(body.to_string().as_bytes(), "7").unwrap();
        let items: Vec<Value> = items.iter().map(|item| serde_json::from_str(item.get()).unwrap()).collect();
        assert_eq!((&items[0]["id"], &items[0]["type"]), (&json!("msg_7i00"), &json!("message")));
        assert_eq!((&items[1]["id"], &items[2]["id"]), (&json!("fco_7i01"), &json!("rs_1")));
        assert_eq!(input_items(br#"{"input":"x"}"#, "7").unwrap().len(), 1);
        assert!(input_items(br#"{"input":5}"#, "7").is_err());
        assert_eq!(output_items(br#"{"output":[{"a":1},{}]}"#).len(), 2);
        assert!(output_items(b"x").is_empty());
    }

    #[test]
    fn events_are_found_in_a_stream() {
        let bytes = Bytes::from_static(
            b": keepalive\nevent: a\ndata: {\"sequence_number\":3,\"x\":1}\n\nevent: b\ndata: {\"sequence_number\":4}\n\ndata: [DONE]\n\n",
        );
        let events = events(&bytes);
        assert_eq!(events.iter().map(|event| event.sequence_number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(&*events[0].json, b"{\"sequence_number\":3,\"x\":1}");
    }
}
