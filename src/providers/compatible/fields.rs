//! A vendor's rules for top-level fields: limits, names, bounds, words, tools.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::losses::{Losses, says_nothing};
use crate::{
    providers::catalogue::{Choice, EffortOff, MaxTokens, Quirks, StreamUsage},
    wire::json::{Edits, Object, array, push_string},
};

/// Gives the output limit the name that the model takes, and only that one (rule A6).
pub(super) fn max_tokens(rule: MaxTokens, model: &str, body: &mut Edits<'_>) {
    let (from, to) = match rule {
        MaxTokens::Either => return,
        MaxTokens::ByModel if !refuses_max_tokens(model) => return,
        MaxTokens::New | MaxTokens::ByModel => ("max_tokens", "max_completion_tokens"),
        MaxTokens::Old => ("max_completion_tokens", "max_tokens"),
    };
    let Some(old) = present(body, from) else {
        body.remove(from);
        return;
    };
    // Of two limits the newer name is the one that is meant.
    let new = present(body, "max_completion_tokens").unwrap_or(old);
    if body.get(to).is_some() {
        body.remove(from);
        if body.get(to) != Some(&new) {
            body.set(to, new);
        }
    } else {
        body.rename(from, to);
        // An earlier one of the same name, overruled by the last.
        body.remove(from);
    }
}

/// OpenAI's reasoning models: the o-series, gpt-5 and later (model guides, Nov 2026).
pub(super) fn refuses_max_tokens(model: &str) -> bool {
    let name = model.strip_prefix("ft:").unwrap_or(model);
    let generation = |text: &str| {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        text.get(..digits).and_then(|digits| digits.parse::<u32>().ok())
    };
    if let Some(rest) = name.strip_prefix("gpt-") {
        return generation(rest).is_some_and(|generation| generation >= 5);
    }
    name.strip_prefix('o').is_some_and(|rest| generation(rest).is_some()) || name.starts_with("codex-")
}

/// Removes fields the vendor refuses.
pub(super) fn drop_fields(fields: &[String], body: &mut Edits<'_>, losses: &mut Losses) {
    for field in fields {
        let Some(json) = body.get(field) else { continue };
        if !says_nothing(field, json) {
            losses.field(field);
        }
        body.remove(field);
    }
}

/// Gives fields the vendor's name for them; one already there under that name wins.
pub(super) fn rename(names: &BTreeMap<String, String>, body: &mut Edits<'_>) {
    for (from, to) in names {
        if body.get(to).is_none() {
            body.rename(from, to);
        }
        body.remove(from);
    }
}

/// Moves numbers into the vendor's bounds. Reported, since the answer is drawn another way.
pub(super) fn clamp(bounds: &BTreeMap<String, [f64; 2]>, body: &mut Edits<'_>, losses: &mut Losses) {
    for (field, [least, most]) in bounds {
        let Some(value) = body.get(field).and_then(|json| json.parse::<f64>().ok()) else { continue };
        if value < *least || value > *most {
            body.set(field, value.clamp(*least, *most).to_string());
            losses.hint(field);
        }
    }
}

/// Spells words the vendor's way.
pub(super) fn values(words: &BTreeMap<String, BTreeMap<String, String>>, body: &mut Edits<'_>) {
    for (field, words) in words {
        let Some(word) = text(body, field) else { continue };
        if let Some(new) = words.get(&word) {
            body.set(field, quoted(new));
        }
    }
}

/// Says `reasoning_effort: "none"` with the vendor's own switch (rule R5).
pub(super) fn effort_off(how: EffortOff, body: &mut Edits<'_>, losses: &mut Losses) {
    if text(body, "reasoning_effort").as_deref() != Some("none") {
        return;
    }
    let (field, json) = match how {
        EffortOff::Word => return,
        EffortOff::Thinking => ("thinking", r#"{"type":"disabled"}"#),
        EffortOff::EnableThinking => ("enable_thinking", "false"),
        EffortOff::Reasoning => ("reasoning", r#"{"enabled":false}"#),
        EffortOff::Never => {
            losses.field("reasoning_effort");
            body.remove("reasoning_effort");
            return;
        }
    };
    body.remove("reasoning_effort");
    if body.get(field).is_none() {
        body.set(field, json);
    }
}

/// Leaves out what no server needs and several refuse: an empty `tools`, and without tools a
/// choice among them.
pub(super) fn without_tools(body: &mut Edits<'_>) {
    let none = match body.get("tools") {
        None => body.get("functions").is_none(),
        Some(json) => json == "null" || is_empty_array(json),
    };
    if !none {
        return;
    }
    if body.get("tools").is_some_and(is_empty_array) {
        body.remove("tools");
    }
    body.remove("parallel_tool_calls");
    if matches!(body.get("tool_choice"), Some(r#""auto""# | r#""none""#)) {
        body.remove("tool_choice");
    }
}

/// Drops a `tool_choice` the vendor refuses (rule T6). `none` is said by sending no tools.
pub(super) fn tool_choice(allowed: &[Choice], body: &mut Edits<'_>, losses: &mut Losses) {
    let Some(json) = present(body, "tool_choice") else { return };
    let choice = match text(body, "tool_choice").as_deref() {
        Some("auto") => Choice::Auto,
        Some("none") => Choice::None,
        Some("required" | "any") => Choice::Required,
        Some(_) => return,
        None if json.starts_with('{') => Choice::Named,
        None => return,
    };
    if allowed.is_empty() || allowed.contains(&choice) {
        return;
    }
    body.remove("tool_choice");
    match choice {
        Choice::Auto => {}
        Choice::None => {
            body.remove("tools");
            body.remove("parallel_tool_calls");
        }
        Choice::Required | Choice::Named => losses.field("tool_choice"),
    }
}

/// Removes `strict` from function tools.
pub(super) fn strip_strict(body: &mut Edits<'_>, losses: &mut Losses) {
    let Some(tools) = body.get("tools") else { return };
    let mut strict = false;
    let new = array::map(tools, |_, tool| {
        let mut tool = Object::parse_str(tool).ok()?.edit();
        let mut function = Object::parse_str(tool.get("function")?).ok()?.edit();
        strict |= function.get("strict") == Some("true");
        let new = function.remove("strict").then(|| function.apply())?;
        tool.set("function", new);
        Some(tool.apply())
    });
    let Some(new) = new else { return };
    body.set("tools", new);
    if strict {
        losses.hint("tools[].function.strict");
    }
}

/// Brings `stop` into the form the vendor takes.
pub(super) fn stop(quirks: &Quirks, body: &mut Edits<'_>, losses: &mut Losses) {
    let Some(json) = present(body, "stop") else { return };
    if quirks.stop_array && json.starts_with('"') {
        body.set("stop", format!("[{json}]"));
        return;
    }
    let (Some(most), Some(texts)) = (quirks.stop_max, array::elements(&json)) else { return };
    if texts.len() > most {
        let kept: Vec<&str> = texts.iter().take(most).map(|text| text.get()).collect();
        body.set("stop", format!("[{}]", kept.join(",")));
        losses.field("stop");
    }
}

/// Says OpenAI's pair `logprobs`, `top_logprobs` as one number of alternatives.
pub(super) fn logprobs_number(body: &mut Edits<'_>) {
    let wanted = match body.get("logprobs") {
        Some("true") => true,
        Some("false" | "null") | None => false,
        // Already the vendor's own form.
        Some(_) => return,
    };
    let top = present(body, "top_logprobs").filter(|json| json != "0");
    body.remove("top_logprobs");
    if wanted {
        body.set("logprobs", top.unwrap_or_else(|| "1".into()));
    } else {
        body.remove("logprobs");
    }
}

/// Asks for the token counts of a stream, which the gateway always needs. The client's other
/// stream options stay.
pub fn ask_for_usage(rule: StreamUsage, stream: bool, body: &mut Edits<'_>) {
    match rule {
        StreamUsage::Implicit => return,
        StreamUsage::Refused => {
            body.remove("stream_options");
            return;
        }
        StreamUsage::Ask if !stream => return,
        StreamUsage::Ask => {}
    }
    const ASKED: &str = r#"{"include_usage":true}"#;
    let new = match body.get("stream_options").map(Object::parse_str) {
        None => ASKED.into(),
        Some(Ok(options)) if options.get("include_usage").is_some_and(|value| value.get() == "true") => return,
        Some(Ok(options)) => {
            let mut options = options.edit();
            options.set("include_usage", "true");
            options.apply()
        }
        Some(Err(_)) if body.get("stream_options") == Some("null") => ASKED.into(),
        // No object: the vendor's own 400 says so.
        Some(Err(_)) => return,
    };
    body.set("stream_options", new);
}

/// A field's JSON, `null` taken for absence.
fn present(body: &Edits<'_>, field: &str) -> Option<String> {
    body.get(field).filter(|json| *json != "null").map(Into::into)
}

/// A field's text, when it is one.
pub(super) fn text(body: &Edits<'_>, field: &str) -> Option<String> {
    serde_json::from_str(body.get(field)?).ok()
}

fn is_empty_array(json: &str) -> bool {
    array::elements(json).is_some_and(|items: Vec<&RawValue>| items.is_empty())
}

pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}
