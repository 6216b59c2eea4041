//! Events as they stand on the wire: their names, what is read of them, and the judgement of one on
//! its own.
//!
//! Source: "Streaming events" (OpenAI's API reference, specification 2.3.0; November 2026).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Counts};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Finish, Usage},
    wire::openai_chat::in_band_error,
};

#[derive(Deserialize)]
pub(super) struct Tag<'a> {
    #[serde(rename = "type", borrow, default)]
    pub(super) kind: Cow<'a, str>,
}

#[derive(Deserialize)]
pub(super) struct Lifecycle<'a> {
    #[serde(borrow)]
    pub(super) response: Answer<'a>,
}

#[derive(Deserialize)]
pub(super) struct ItemEvent<'a> {
    #[serde(default)]
    pub(super) output_index: u64,
    #[serde(borrow)]
    pub(super) item: &'a RawValue,
}

#[derive(Deserialize)]
pub(super) struct PieceEvent {
    #[serde(default)]
    pub(super) output_index: u64,
    #[serde(default)]
    pub(super) content_index: u64,
    #[serde(default)]
    pub(super) summary_index: u64,
    pub(super) delta: String,
}

#[derive(Deserialize)]
pub(super) struct PartEvent<'a> {
    #[serde(default)]
    pub(super) output_index: u64,
    #[serde(default)]
    pub(super) content_index: u64,
    #[serde(borrow)]
    pub(super) part: Content<'a>,
}

#[derive(Deserialize)]
pub(super) struct AnnotationEvent {
    #[serde(default)]
    pub(super) output_index: u64,
    #[serde(default)]
    pub(super) content_index: u64,
    pub(super) annotation: Citation,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) call_id: Option<String>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Option<String>,
    #[serde(default)]
    pub(super) input: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Image {
    /// Base64.
    #[serde(default)]
    pub(super) result: Option<String>,
    #[serde(default)]
    pub(super) output_format: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Vec<Content<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default)]
    pub(super) annotations: Option<Vec<Citation>>,
}

#[derive(Deserialize)]
pub(super) struct Reasoning<'a> {
    #[serde(borrow, default)]
    pub(super) summary: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub(super) content: Option<Vec<Content<'a>>>,
    #[serde(borrow, default)]
    pub(super) encrypted_content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct Citation {
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) start_index: u64,
    #[serde(default)]
    pub(super) end_index: u64,
}

/// What an event whose bytes pass says of its call.
#[derive(Debug)]
pub(in crate::wire::openai_responses) enum Told {
    /// It is no event of this dialect.
    Nothing,
    Progress,
    /// A piece of what the model says.
    Piece,
    End(Finish, Option<Usage>),
}

/// Reads an event as far as a relay must; a failure is an error. Its name comes along.
pub(in crate::wire::openai_responses) fn told(frame: &Frame) -> Result<(Cow<'_, str>, Told)> {
    if frame.data.starts_with(b"[DONE]") {
        return Ok((Cow::Borrowed(""), Told::Nothing));
    }
    let name = kind(frame)?;
    let told = match name.as_ref() {
        "response.completed" | "response.incomplete" => {
            let answer = read::<Lifecycle<'_>>(frame)?.response;
            Told::End(answer.finish(answer.calls())?, answer.usage.as_ref().map(Counts::usage))
        }
        "response.failed" => return Err(read::<Lifecycle<'_>>(frame)?.response.failure()),
        "error" => return Err(error_event(frame)),
        name if name.ends_with(".delta") => Told::Piece,
        name if name.starts_with("response.") => Told::Progress,
        _ => match in_band_error(&frame.data) {
            Some(error) => return Err(error.into()),
            None => Told::Progress,
        },
    };
    Ok((name, told))
}

/// Judges a frame while the head is held. The first lifecycle event proves that the request was
/// taken; a place in a queue proves nothing yet.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    match kind(frame)?.as_ref() {
        "error" => Err(error_event(frame)),
        "response.failed" => Err(read::<Lifecycle<'_>>(frame)?.response.failure()),
        "response.queued" | "keepalive" => Ok(false),
        name if name.starts_with("response.") => Ok(true),
        _ => match in_band_error(&frame.data) {
            Some(error) => Err(error.into()),
            None => Ok(false),
        },
    }
}

/// The event's name, from the frame or from its payload; nothing for a mark of the end that some
/// servers add.
pub(super) fn kind(frame: &Frame) -> Result<Cow<'_, str>> {
    if frame.data.starts_with(b"[DONE]") {
        return Ok(Cow::Borrowed("keepalive"));
    }
    match frame.event.as_deref().map(str::from_utf8) {
        Some(Ok(name)) if name != "message" => Ok(Cow::Borrowed(name)),
        Some(_) | None => read::<Tag<'_>>(frame).map(|tag| tag.kind),
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(frame: &'a Frame) -> Result<T> {
    serde_json::from_slice(&frame.data).map_err(|error| unreadable(&error))
}

pub(super) fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T> {
    serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::BadReply { message: format!("The upstream sent an event that cannot be read: {error}.") }
}

/// Flat or nested, as the vendor and its SDKs write it. The flat form's type is the event's own.
pub(super) fn error_event(frame: &Frame) -> Error {
    match in_band_error(&frame.data) {
        Some(mut error) => {
            error.kind = error.kind.filter(|kind| kind != "error");
            error.into()
        }
        None => Error::BadReply { message: "The upstream sent an error event that says nothing.".into() },
    }
}
