//! What a vendor that speaks OpenAI's Responses takes of a request in them.
//!
//! A request with a kind of tool that the vendor has not, and that a chat has, is better put as a chat:
//! the gateway translates it, as it does for every vendor that speaks no Responses. What only OpenAI
//! itself could do goes to the vendor as it was written, whose own refusal says it best.

use memchr::memmem;
use serde_json::{json, value::RawValue};

use super::{fields, losses::Losses};
use crate::{
    providers::catalogue::Responses,
    wire::json::{Edits, Object, array},
};

/// Items that speak of tools which may be lacking.
const ITEMS: [&str; 3] = ["custom_tool_call", "custom_tool_call_output", "additional_tools"];

/// Whether a chat carries this request further. Not one that goes on from what the vendor itself keeps:
/// in a chat that would be forgotten.
pub(super) fn is_better_a_chat(responses: &Responses, body: &Object<'_>) -> bool {
    if responses.lacks.is_empty() || body.present("previous_response_id").is_some() {
        return false;
    }
    let types = |list: &RawValue| {
        let elements = array::elements(list.get()).unwrap_or_default();
        elements.into_iter().filter_map(kind).collect::<Vec<_>>()
    };
    let tools = body.present("tools").map(types).unwrap_or_default();
    if tools.iter().any(|kind| responses.lacks.contains(kind)) {
        return true;
    }
    // Calls of such tools, and tools that are declared on the way.
    let Some(input) = body.present("input") else { return false };
    let may_hold = |word: &str| memmem::find(input.get().as_bytes(), word.as_bytes()).is_some();
    ITEMS.iter().any(|item| may_hold(item)) && types(input).iter().any(|kind| ITEMS.contains(&kind.as_str()))
}

fn kind(element: &RawValue) -> Option<String> {
    let object = Object::parse_str(element.get()).ok()?;
    Some(object.get("type")?.get().trim_matches('"').to_owned())
}

/// Whether the vendor keeps the answer. One that shall be made in the background is the gateway's where the vendor
/// knows no such thing.
pub(super) fn are_kept(responses: &Responses, body: &Object<'_>) -> bool {
    let is_for_later = || body.present("background").is_some_and(|background| background.get() == "true");
    responses.keeps && (responses.background || !is_for_later())
}

pub(super) fn has_rules(responses: &Responses) -> bool {
    responses.ids || !responses.drop.is_empty()
}

pub(super) fn adjust(responses: &Responses, body: &mut Edits<'_>, losses: &mut Losses) {
    fields::drop_fields(&responses.drop, body, losses);
    if responses.ids
        && let Some(input) = body.get("input").and_then(|input| array::map(input, identified))
    {
        body.set("input", input);
    }
}

/// What a model said before, with the id and the status it must have. By its place, so that equal
/// beginnings stay equal bytes (rule C1).
fn identified(index: usize, item: &str) -> Option<String> {
    let object = Object::parse_str(item).ok()?;
    let word = |key: &str| object.get(key).map(|value| value.get().trim_matches('"').to_owned()).unwrap_or_default();
    let prefix = match (word("type").as_str(), word("role").as_str()) {
        ("" | "message", "assistant") => "msg",
        ("reasoning", _) => "rs",
        ("function_call", _) => "fc",
        _ => return None,
    };
    let has = |key: &str| object.present(key).is_some();
    let (has_id, has_status) = (has("id"), has("status") || prefix == "rs");
    if has_id && has_status {
        return None;
    }
    let mut edits = object.edit();
    if !has_id {
        edits.set("id", json!(format!("{prefix}_{index}")).to_string());
    }
    if !has_status {
        edits.set("status", "\"completed\"");
    }
    Some(edits.apply())
}
