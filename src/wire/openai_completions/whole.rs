//! Whole answers: checked, counted, and otherwise passed on as they are.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::chunk::{choices, no_completion, parse, settle};
use crate::{
    error::Result,
    wire::{Tally, json::Edits, openai_chat::usage},
};

/// What the client shall get. A success without a usable answer is an error (rules E2, M2).
pub(super) fn pass(body: &Bytes) -> Result<(Bytes, Tally)> {
    // DeepSeek sends blank lines while a call is queued.
    let body = body.slice_ref(body.trim_ascii());
    let (edits, tally) = judge(&body)?;
    Ok((edits.into_bytes(&body), tally))
}

/// What has to be mended, and the counts.
pub(super) fn judge(body: &[u8]) -> Result<(Edits<'_>, Tally)> {
    let object = parse(body.trim_ascii())?;
    let choices = choices(&object)?;
    if choices.is_empty() {
        return Err(no_completion("it has no choices"));
    }
    let counts = object.present("usage").map(RawValue::get).and_then(usage);
    let mut edits = object.edit();
    let mut tally = Tally { usage: counts, ..Tally::default() };
    for choice in settle(&mut edits, &choices)? {
        tally.output_bytes += choice.text.len() as u64;
        tally.finish = choice.finish.or(tally.finish);
    }
    Ok((edits, tally))
}
