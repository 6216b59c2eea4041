//! Items as they are kept, listed and said again.
//!
//! A kept item has an id and its full form, as OpenAI lists it. What goes back to a model has no id
//! of ours: nobody there knows it.
//!
//! Pure. Source: "Create a model response" and "List input items" (OpenAI's API reference,
//! specification 2.3.0, read November 2026).

use serde_json::{Map, Value, json, value::RawValue};

use super::ids;
use crate::{
    error::{Error, Result},
    store::{Chain, Item},
    wire::json::Object,
};

/// The items of an `input`, as texts: those of an array as they were written, a string as the
/// message it stands for.
pub(super) fn raw(input: Option<&RawValue>, param: &str) -> Result<Vec<String>> {
    let Some(input) = input else { return Ok(Vec::new()) };
    let text = input.get();
    if text.starts_with('"') {
        let content: String = serde_json::from_str(text).unwrap_or_default();
        return Ok(vec![json!({"type": "message", "role": "user", "content": content}).to_string()]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| {
        Error::invalid(format!("Invalid type for `{param}`: it must be a string or an array."), param, "invalid_type")
    })?;
    for (index, item) in items.iter().enumerate() {
        if !item.get().starts_with('{') {
            let param = format!("{param}[{index}]");
            return Err(Error::invalid(format!("`{param}` must be an object."), param, "invalid_type"));
        }
    }
    Ok(items.into_iter().map(|item| item.get().to_owned()).collect())
}

/// Items in the form in which they are kept.
pub(super) fn kept(raw: &[String]) -> Vec<Item> {
    raw.iter().map(|item| keep(item)).collect()
}

fn keep(raw: &str) -> Item {
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(raw) else {
        return Item { id: ids::fresh("item_"), json: raw.to_owned() };
    };
    if !members.contains_key("type") && members.contains_key("role") {
        members.insert("type".into(), "message".into());
    }
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let own = members.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
    let id = own.unwrap_or_else(|| ids::fresh(prefix(&kind)));
    members.insert("id".into(), id.as_str().into());
    if kind == "message" {
        spell_out(&mut members);
    }
    Item { id, json: Value::Object(members).to_string() }
}

/// A message whose content is a string means one part of text.
fn spell_out(members: &mut Map<String, Value>) {
    members.entry("status").or_insert_with(|| "completed".into());
    let is_said = members.get("role").and_then(Value::as_str) == Some("assistant");
    let Some(Value::String(text)) = members.get("content") else { return };
    let part = if is_said {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    } else {
        json!({"type": "input_text", "text": text})
    };
    members.insert("content".into(), json!([part]));
}

/// As OpenAI's ids begin.
fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "ctco_",
        "web_search_call" => "ws_",
        "compaction" => "cmp_",
        _ => "item_",
    }
}

/// An item as it is said to a model again. Ids that were given for this gateway's lists are left
/// out; those by which a model finds its own doings are not.
pub(super) fn said_again(item: &str) -> String {
    let Ok(object) = Object::parse_str(item) else { return item.to_owned() };
    let kind = object.get("type").map(RawValue::get).unwrap_or_default();
    let is_ours = matches!(
        kind.trim_matches('"'),
        "" | "message"
            | "reasoning"
            | "function_call"
            | "function_call_output"
            | "custom_tool_call"
            | "custom_tool_call_output"
    );
    if !is_ours {
        return item.to_owned();
    }
    let mut edits = object.edit();
    edits.remove("id");
    edits.remove("status");
    edits.apply()
}

/// The items of a chain, from its first to its last.
pub(super) fn history(chain: &Chain) -> Vec<Item> {
    let mut items = chain.items.clone();
    for turn in &chain.turns {
        let input: Vec<&RawValue> = serde_json::from_str(&turn.input).unwrap_or_default();
        items.extend(input.into_iter().map(|item| identified(item.get())));
        items.extend(output(&turn.response).iter().map(|item| identified(item)));
    }
    items
}

/// What the last response of a chain has read: all that came before it, and its own input.
pub(super) fn read(mut chain: Chain) -> Vec<Item> {
    if let Some(last) = chain.turns.last_mut() {
        last.response = "{}".into();
    }
    history(&chain)
}

/// An item that has its id already, if it has one at all.
pub(super) fn identified(item: &str) -> Item {
    let id = Object::parse_str(item).ok().and_then(|object| text(&object, "id")).unwrap_or_default();
    Item { id, json: item.to_owned() }
}

/// A request's items with what they refer to in place of the references.
pub(super) fn resolved(items: &[String], known: &[Item]) -> Result<Vec<String>> {
    let resolve = |(index, item): (usize, &String)| {
        let Some(id) = reference(item) else { return Ok(item.clone()) };
        let found = known.iter().rev().find(|known| known.id == id);
        found.map(|found| said_again(&found.json)).ok_or_else(|| {
            let id: String = id.chars().take(128).collect();
            Error::invalid(format!("Item with id '{id}' not found."), format!("input[{index}].id"), "item_not_found")
        })
    };
    items.iter().enumerate().map(resolve).collect()
}

/// The id of what an item refers to, if that is all it does.
fn reference(item: &str) -> Option<String> {
    let object = Object::parse_str(item).ok()?;
    match text(&object, "type").as_deref() {
        Some("item_reference") => text(&object, "id"),
        None if object.present("role").is_none() => text(&object, "id"),
        Some(_) | None => None,
    }
}

fn text(object: &Object<'_>, key: &str) -> Option<String> {
    serde_json::from_str(object.present(key)?.get()).ok()
}

/// The items of a response object's `output`.
pub(super) fn output(response: &str) -> Vec<String> {
    let Ok(object) = Object::parse_str(response) else { return Vec::new() };
    let output = object.present("output").map(RawValue::get).unwrap_or("[]");
    let items: Vec<&RawValue> = serde_json::from_str(output).unwrap_or_default();
    items.into_iter().map(|item| item.get().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Status, Turn};

    fn raw_of(input: &str) -> Result<Vec<String>> {
        raw(Some(&RawValue::from_string(input.into()).unwrap()), "input")
    }

    #[test]
    fn items_keep_their_bytes() {
        assert_eq!(
            raw_of(r#"[{"role":"user","n":1.50}, {"x" : []}]"#).unwrap(),
            [r#"{"role":"user","n":1.50}"#, r#"{"x" : []}"#]
        );
        assert_eq!(raw_of(r#""h\u0069""#).unwrap(), [r#"{"type":"message","role":"user","content":"hi"}"#]);
        assert_eq!(raw(None, "input").unwrap(), Vec::<String>::new());
        assert_eq!(raw_of("7").unwrap_err().kind().param.as_deref(), Some("input"));
        assert_eq!(raw_of(r#"[{},"a"]"#).unwrap_err().kind().param.as_deref(), Some("input[1]"));
    }

    #[test]
    fn what_is_kept_has_an_id_and_its_full_form() {
        let items = kept(&[
            r#"{"role":"user","content":"hi"}"#.into(),
            r#"{"role":"assistant","content":"ho","phase":"final_answer"}"#.into(),
            r#"{"type":"function_call","id":"fc_9","call_id":"c","name":"n","arguments":"{}"}"#.into(),
            r#"{"type":"function_call_output","call_id":"c","output":"1"}"#.into(),
        ]);
        let values: Vec<Value> = items.iter().map(|item| serde_json::from_str(&item.json).unwrap()).collect();
        assert_eq!(values[0]["content"], json!([{"type": "input_text", "text": "hi"}]));
        assert_eq!((&values[0]["type"], &values[0]["status"]), (&json!("message"), &json!("completed")));
        assert_eq!(values[1]["content"][0]["type"], "output_text");
        assert_eq!(items[2].id, "fc_9");
        assert!(items[0].id.starts_with("msg_") && items[3].id.starts_with("fco_") && values[3]["id"] == items[3].id);
    }

    #[test]
    fn a_chain_is_one_input_without_our_ids() {
        let turn = |input: &str, output: &str| Turn {
            id: "r".into(),
            input: input.into(),
            response: format!(r#"{{"output":{output}}}"#),
            status: Status::Completed,
        };
        let chain = Chain {
            items: vec![Item { id: "a".into(), json: r#"{"type":"message","id":"a","content":[]}"#.into() }],
            turns: vec![
                turn(
                    r#"[{"type":"message","id":"b","status":"completed","content":"1"}]"#,
                    r#"[{"type":"web_search_call","id":"ws_1"}]"#,
                ),
                turn(
                    "[]",
                    r#"[{"type":"reasoning","id":"rs_1","encrypted_content":"at1.x.y"},{"type":"message","id":"c","role":"assistant","phase":"commentary"}]"#,
                ),
            ],
        };
        let all = history(&chain);
        let ids: Vec<&str> = all.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "ws_1", "rs_1", "c"]);
        let said: Vec<String> = all.iter().map(|item| said_again(&item.json)).collect();
        assert_eq!(
            said,
            [
                r#"{"type":"message","content":[]}"#,
                r#"{"type":"message","content":"1"}"#,
                r#"{"type":"web_search_call","id":"ws_1"}"#,
                r#"{"type":"reasoning","encrypted_content":"at1.x.y"}"#,
                r#"{"type":"message","role":"assistant","phase":"commentary"}"#,
            ]
        );
        assert_eq!(output("nothing"), Vec::<String>::new());
        let read: Vec<String> = read(chain).into_iter().map(|item| item.id).collect();
        assert_eq!(read, ["a", "b", "ws_1"], "its own answer is none of its input");

        let new = [r#"{"type":"item_reference","id":"b"}"#, r#"{"id":"ws_1"}"#, r#"{"role":"user","id":"b"}"#];
        let new = new.map(str::to_owned);
        assert_eq!(
            resolved(&new, &all).unwrap(),
            [
                r#"{"type":"message","content":"1"}"#,
                r#"{"type":"web_search_call","id":"ws_1"}"#,
                r#"{"role":"user","id":"b"}"#,
            ]
        );
        let error = resolved(&new, &[]).unwrap_err();
        assert_eq!(error.kind().param.as_deref(), Some("input[0].id"));
    }
}
