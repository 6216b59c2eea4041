//! Events on the wire: their numbers, names and frames, and the answer that some of them carry.

use std::fmt::Write;

use bytes::BytesMut;
use serde::Serialize;

use crate::{
    error::Error,
    ir::{Finish, Usage},
    wire::{Asked, json},
};

/// Numbers events and frames them: `event: NAME`, one line of JSON, a blank line.
#[derive(Debug, Default)]
pub(super) struct Events {
    next: u64,
}

/// The parts of an answer that are the same from its first event to its last.
#[derive(Debug)]
pub(super) struct Head {
    /// The gateway's own id: that of the upstream is nobody's who would ask here.
    pub id: String,
    pub created: u64,
    /// When it is over, as far as is known: no clock is read here.
    completed: u64,
    model: String,
    /// The question's settings, as JSON without braces.
    echo: Vec<u8>,
}

/// How far an answer has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Status<'a> {
    InProgress,
    Ended(Finish),
    Failed(&'a Error),
}

#[derive(Serialize)]
struct Counts {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

#[derive(Serialize)]
pub(super) struct Failure<'a> {
    pub code: &'a str,
    pub message: &'a str,
}

// === impl Events ===

impl Events {
    /// Goes on after events that were numbered elsewhere.
    pub(super) fn from(next: u64) -> Self {
        Self { next }
    }

    /// Appends an event with these members besides its type and number.
    pub(super) fn write(&mut self, name: &str, members: &impl Serialize, out: &mut BytesMut) {
        self.begin(name, out);
        let at = out.len();
        json::line(members, out);
        // The members stand in an object of their own, whose brace becomes the comma.
        if let Some(brace) = out.get_mut(at) {
            *brace = b',';
        }
        out.extend_from_slice(b"\n\n");
    }

    /// Appends an event that carries the whole answer.
    pub(super) fn lifecycle(&mut self, name: &str, response: &[u8], out: &mut BytesMut) {
        self.begin(name, out);
        out.extend_from_slice(b",\"response\":");
        out.extend_from_slice(response);
        out.extend_from_slice(b"}\n\n");
    }

    fn begin(&mut self, name: &str, out: &mut BytesMut) {
        let number = self.next;
        self.next += 1;
        // A buffer in memory takes every write.
        let _ = write!(out, "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{number}");
    }
}

// === impl Head ===

impl Head {
    pub(super) fn new(asked: &Asked, created: u64) -> Self {
        let created = if created == 0 { asked.created } else { created };
        Self {
            id: asked.id.clone(),
            created,
            completed: created.max(asked.created),
            model: asked.model.clone(),
            echo: super::echo::of(&asked.request),
        }
    }

    /// What an answer's items have in their ids.
    pub(super) fn seed(&self) -> &str {
        self.id.split_once('_').map_or(self.id.as_str(), |(_, seed)| seed)
    }

    /// The answer as JSON on one line. `output` is its items, comma-separated.
    pub(super) fn write(&self, status: Status<'_>, output: &[u8], usage: Option<&Usage>) -> Vec<u8> {
        let (word, reason) = status.words();
        let completed = (word == "completed").then_some(self.completed);
        let (kind, message);
        let error = match status {
            Status::Failed(error) => {
                (kind, message) = (error.kind(), error.message());
                Some(Failure { code: kind.code.as_deref().unwrap_or("server_error"), message: &message })
            }
            Status::InProgress | Status::Ended(_) => None,
        };
        let mut out = Vec::with_capacity(self.echo.len() + output.len() + 512);
        out.extend_from_slice(b"{\"id\":");
        json::line(&self.id, &mut out);
        out.extend_from_slice(b",\"object\":\"response\"");
        member("created_at", &self.created, &mut out);
        member("completed_at", &completed, &mut out);
        member("status", &word, &mut out);
        member("error", &error, &mut out);
        member("incomplete_details", &reason.map(|reason| Incomplete { reason }), &mut out);
        member("model", &self.model, &mut out);
        out.extend_from_slice(b",\"output\":[");
        out.extend_from_slice(output);
        out.extend_from_slice(b"],");
        out.extend_from_slice(&self.echo);
        member("usage", &usage.map(Counts::of), &mut out);
        out.push(b'}');
        out
    }
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

fn member(key: &str, value: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    json::line(value, out);
}

// === impl Status ===

impl Status<'_> {
    /// The word, and why the answer is not whole.
    fn words(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::InProgress => ("in_progress", None),
            Self::Failed(_) => ("failed", None),
            Self::Ended(Finish::Length) => ("incomplete", Some("max_output_tokens")),
            Self::Ended(Finish::ContentFilter) => ("incomplete", Some("content_filter")),
            Self::Ended(Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Refusal | Finish::Paused) => {
                ("completed", None)
            }
        }
    }

    /// The event that says so at the end, and the state of the item that was last under way.
    pub(super) fn end(self) -> (&'static str, &'static str) {
        match self.words().0 {
            "incomplete" => ("response.incomplete", "incomplete"),
            "failed" => ("response.failed", "incomplete"),
            _ => ("response.completed", "completed"),
        }
    }
}

// === impl Counts ===

impl Counts {
    /// The prompt with its cached part (rule C4); details always, since clients fail without (P1).
    fn of(usage: &Usage) -> Self {
        let cache_write_tokens = usage.cache_write.saturating_add(usage.cache_write_1h);
        Self {
            input_tokens: usage.prompt(),
            input_tokens_details: InputDetails { cached_tokens: usage.cache_read, cache_write_tokens },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}
