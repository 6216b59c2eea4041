//! A chunk of a stream or a whole answer, which have the same form here, read as tolerantly as
//! compatible servers demand: errors in their place, and choices with the few members mended that
//! OpenAI's SDKs rely on.
//!
//! Cost: one borrowed parse of the object and one of each choice; the text is copied once.

use serde_json::value::RawValue;

use crate::{
    error::{Error, Result},
    ir::Finish,
    wire::{
        json::{self, Edits, Object, items},
        openai_chat::{failed_finish, finish, in_band_error},
    },
};

const OBJECT: &str = "\"text_completion\"";

/// A choice, and how it must be sent where it had to be mended.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) index: u64,
    pub(super) text: String,
    pub(super) finish: Option<Finish>,
    pub(super) mended: Option<String>,
}

/// Reads a chunk or an answer; an error in its place, or within it, is that error (rules E2, M2).
pub(super) fn parse(data: &[u8]) -> Result<Object<'_>> {
    let object = std::str::from_utf8(data).ok().and_then(|text| Object::parse_str(text).ok());
    match object {
        Some(object) if !is_suspect(&object) => Ok(object),
        other => match (in_band_error(data), other) {
            (Some(error), _) => Err(error.into()),
            (None, Some(object)) => Ok(object),
            (None, None) => Err(no_completion("it is no JSON object")),
        },
    }
}

/// The choices, each at its place.
pub(super) fn choices<'a>(object: &Object<'a>) -> Result<Vec<&'a RawValue>> {
    object.present("choices").map_or(Ok(Vec::new()), |choices| items(choices.get())).map_err(broken)
}

/// Reads each choice; those that had to be mended are set in `edits`.
pub(super) fn settle(edits: &mut Edits<'_>, choices: &[&RawValue]) -> Result<Vec<Choice>> {
    let read: Vec<Choice> =
        choices.iter().enumerate().map(|(at, choice)| Choice::read(choice, at)).collect::<Result<_>>()?;
    if read.iter().any(|choice| choice.mended.is_some()) {
        let texts = read.iter().zip(choices).map(|(choice, old)| choice.mended.as_deref().unwrap_or_else(|| old.get()));
        edits.set("choices", format!("[{}]", texts.collect::<Vec<_>>().join(",")));
    }
    // Some servers name it as they name a chat's, and typed clients ask for it.
    if edits.object().get("object").map(RawValue::get) != Some(OBJECT) {
        edits.set("object", OBJECT);
    }
    Ok(read)
}

/// A member that is a text; empty when it is none.
pub(super) fn text(object: &Object<'_>, key: &str) -> String {
    object.present(key).and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
}

pub(super) fn no_completion(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream sent something that is no text completion: {why}.") }
}

/// Whether an object may hold an error, so that it is worth asking.
fn is_suspect(object: &Object<'_>) -> bool {
    ["error", "x_groq", "base_resp"].into_iter().any(|key| object.present(key).is_some())
        || object.present("choices").is_none()
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn broken(error: serde_json::Error) -> Error {
    no_completion(&error.to_string())
}

// === impl Choice ===

impl Choice {
    fn read(raw: &RawValue, at: usize) -> Result<Self> {
        let object = Object::parse_str(raw.get()).map_err(broken)?;
        let told: Option<u64> = object.get("index").and_then(|index| index.get().parse().ok());
        let said: Option<String> =
            object.present("text").map(|text| serde_json::from_str(text.get()).map_err(broken)).transpose()?;
        let reason = text(&object, "finish_reason");
        if !reason.is_empty()
            && let Some(error) = failed_finish(&reason, true)
        {
            return Err(error.into());
        }
        let mut edits = object.edit();
        let index = told.unwrap_or(at as u64);
        if told.is_none() {
            edits.set("index", index.to_string());
        }
        if said.is_none() {
            edits.set("text", "\"\"");
        }
        let finish = (!reason.is_empty()).then(|| {
            let (word, finish) = finish::mend(&reason, false);
            if word != reason {
                edits.set("finish_reason", json::string(word));
            }
            finish
        });
        let mended = (!edits.is_empty()).then(|| edits.apply());
        Ok(Self { index, text: said.unwrap_or_default(), finish, mended })
    }
}
