//! What stands between a stream and its client: keep-alives in silence, and the end of a stream that
//! failed, both with the right number and the right answer in them (rules S7, P1, E2).
//!
//! A keep-alive is the event `response.in_progress`: Codex takes nothing else for a sign of life. It
//! says the answer again that `response.created` said. Before that event there is none to say, and a
//! comment has to do; so it has in a stream of a background answer, which can be taken up again by
//! the numbers of its events. Its number is the next one, so the events that follow are counted on:
//! only then is anything written anew.
//!
//! A failure is told twice, since clients look in different places: as an `error` event, whose words
//! are flat as the specification has them and nested as the vendor sends them, and as
//! `response.failed`.
//!
//! Cost per event: two shared references; the last event is read when a keep-alive or an error needs
//! its number.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    events::{Events, Failure, Head, Status},
    numbered::{StreamEvent, events},
};
use crate::{
    error::Error,
    wire::{
        Asked, Minder,
        json::{self, Object},
    },
};

pub(super) const COMMENT: &[u8] = b": keepalive\n";
const CREATED: &[u8] = b"event: response.created\n";

/// Minds one stream.
#[derive(Debug)]
pub(super) struct Numbered {
    /// The id of an answer that was never begun.
    id: String,
    /// The bytes that held `response.created`.
    created: Option<Bytes>,
    last: Last,
    /// How many events of ours stand before those to come.
    inserted: u64,
}

/// What the client was last told.
#[derive(Debug)]
enum Last {
    Nothing,
    Bytes(Bytes),
    Number(u64),
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
    error: Nested<'a>,
}

#[derive(Serialize)]
struct Nested<'a> {
    r#type: &'a str,
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
}

impl Minder for Numbered {
    fn sends(&mut self, bytes: Bytes) -> Bytes {
        if self.created.is_none() && memchr::memmem::find(&bytes, CREATED).is_some() {
            self.created = Some(bytes.clone());
        }
        let bytes = if self.inserted == 0 { bytes } else { renumbered(&bytes, self.inserted) };
        self.last = Last::Bytes(bytes.clone());
        bytes
    }

    fn keep_alive(&mut self) -> Bytes {
        let response = self.response().filter(|response| !is_background(response));
        let Some(response) = response else { return Bytes::from_static(COMMENT) };
        let mut out = BytesMut::new();
        let number = self.next();
        Events::from(number).lifecycle("response.in_progress", response.get().as_bytes(), &mut out);
        self.last = Last::Number(number);
        self.inserted += 1;
        out.freeze()
    }

    fn error_frame(&mut self, error: &Error) -> Bytes {
        let mut out = BytesMut::new();
        let mut events = Events::from(self.next());
        let failed = match self.response() {
            Some(response) => failed(&response, error),
            None => {
                let head = Head::new(&Asked { id: self.id.clone(), ..Asked::default() }, 0);
                let begun = head.write(Status::InProgress, b"", None);
                events.lifecycle("response.created", &begun, &mut out);
                head.write(Status::Failed(error), b"", None)
            }
        };
        let (kind, message) = (error.kind(), error.message());
        let (code, param) = (kind.code.as_deref().unwrap_or("server_error"), kind.param.as_deref());
        let nested = Nested { r#type: &kind.kind, code, message: &message, param };
        events.write("error", &Told { code, message: &message, param, error: nested }, &mut out);
        events.lifecycle("response.failed", &failed, &mut out);
        out.freeze()
    }
}

// === impl Numbered ===

impl Numbered {
    pub(super) fn new(id: String) -> Self {
        Self { id, created: None, last: Last::Nothing, inserted: 0 }
    }

    /// The answer as `response.created` said it.
    fn response(&self) -> Option<Box<RawValue>> {
        let first = events(self.created.as_ref()?).into_iter().next()?;
        let object = Object::parse(&first.json).ok()?;
        object.present("response").map(RawValue::to_owned)
    }

    /// The number of the next event.
    fn next(&self) -> u64 {
        match &self.last {
            Last::Nothing => 0,
            Last::Number(number) => number + 1,
            Last::Bytes(bytes) => events(bytes).last().map_or(0, |last| last.sequence_number + 1),
        }
    }
}

/// Whether the answer's stream may be taken up again by the number of its last event: then no number
/// may differ from those that are kept.
fn is_background(response: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        background: Option<bool>,
    }
    serde_json::from_str::<Answer>(response.get()).is_ok_and(|answer| answer.background == Some(true))
}

/// The answer with this failure in it.
fn failed(response: &RawValue, error: &Error) -> Vec<u8> {
    let kind = error.kind();
    let failure = Failure { code: kind.code.as_deref().unwrap_or("server_error"), message: &error.message() };
    let mut shown = String::new();
    json::line(&failure, &mut shown);
    let Ok(object) = Object::parse_str(response.get()) else { return response.get().as_bytes().to_vec() };
    let mut edits = object.edit();
    edits.set("status", "\"failed\"");
    edits.set("error", shown);
    edits.apply().into_bytes()
}

/// The same events with numbers this much higher.
fn renumbered(bytes: &Bytes, by: u64) -> Bytes {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    let mut from = 0;
    for StreamEvent { sequence_number, json } in events(bytes) {
        let Ok(object) = Object::parse(&json) else { continue };
        let start = json.as_ptr() as usize - bytes.as_ptr() as usize;
        let mut edits = object.edit();
        edits.set("sequence_number", (sequence_number + by).to_string());
        out.extend_from_slice(bytes.get(from..start).unwrap_or_default());
        out.extend_from_slice(edits.apply().as_bytes());
        from = start + json.len();
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out.into()
}
