//! Whole answers: checked, counted, and otherwise passed on as they are.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    broken,
    choice::{check_finish, finish_reason, repair_texts, settle_finish},
    is_suspect, splice, tidy,
    tool_calls::{Around, repair_whole},
};
use crate::{
    error::{Error, Result},
    wire::{
        Tally,
        json::{Edits, Object, items},
        openai_chat::{in_band_error, usage},
    },
};

/// Judges an upstream's whole answer and returns what the client shall get.
///
/// A success without a usable answer is an error: [`Error::Upstream`] when the body says what went
/// wrong, else [`Error::BadReply`] (rules E2, M2). The bytes are the upstream's own, but for white
/// space around them (DeepSeek sends blank lines while a call is queued) and the repairs that
/// OpenAI's clients need: finish reasons, tool calls, content parts.
pub fn unary(body: &Bytes) -> Result<(Bytes, Tally)> {
    let body = body.slice_ref(body.trim_ascii());
    if let Some(tally) = tidy::tally(&body) {
        return Ok((body, tally));
    }
    let object = match std::str::from_utf8(&body).ok().and_then(|text| Object::parse_str(text).ok()) {
        Some(object) if !is_suspect(&object) => object,
        other => match (in_band_error(&body), other) {
            (Some(error), _) => return Err(error.into()),
            (None, Some(object)) => object,
            (None, None) => return Err(no_answer("it is no JSON object")),
        },
    };
    let choices: Vec<&RawValue> = match object.present("choices") {
        Some(choices) => items(choices.get()).map_err(broken)?,
        None => Vec::new(),
    };
    if choices.is_empty() {
        return Err(no_answer("it has no choices"));
    }
    let counts = object.present("usage").and_then(|counts| usage(counts.get()));
    let mut tally = Tally { usage: counts, ..Tally::default() };
    let seed = object.present("id").map(RawValue::get).unwrap_or_default();
    let mut repaired = Vec::with_capacity(choices.len());
    for (at, choice) in choices.iter().enumerate() {
        let mut choice = Object::parse_str(choice.get()).map_err(broken)?.edit();
        repair_choice(&mut choice, Around { seed, choice: at as u64, closing: true }, &mut tally)?;
        repaired.push((!choice.is_empty()).then(|| choice.apply()));
    }
    let has_type = object.present("object").is_some();
    let mut edits = object.edit();
    if let Some(choices) = splice(&choices, &repaired) {
        edits.set("choices", choices);
    }
    // TGI and Moonshot leave it out, and typed clients ask for it.
    if !has_type {
        edits.set("object", "\"chat.completion\"");
    }
    Ok((edits.into_bytes(&body), tally))
}

fn repair_choice(choice: &mut Edits<'_>, around: Around<'_>, tally: &mut Tally) -> Result<()> {
    let wire_finish = finish_reason(choice.object());
    let Some(message) = choice.object().present("message") else {
        return Err(no_answer("a choice has no message"));
    };
    let mut message = Object::parse_str(message.get()).map_err(broken)?.edit();
    repair_texts(&mut message, tally);
    let calls = message.object().present("tool_calls").filter(|calls| calls.get().contains('{'));
    if let Some(calls) = calls
        && let Some(calls) = repair_whole(calls, around, &mut tally.output_bytes).map_err(broken)?
    {
        message.set("tool_calls", calls);
    }
    check_finish(&wire_finish, tally)?;
    if !message.is_empty() {
        choice.set("message", message.apply());
    }
    settle_finish(choice, &wire_finish, calls.is_some(), tally);
    Ok(())
}

fn no_answer(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream's success is no chat completion: {why}.") }
}
