//! Writes a client's stream: chunks of the same form as the whole answer, as OpenAI sends them (API
//! reference, "Create completion", read November 2026). What is left out is told in
//! [`super::response`].
//!
//! Cost per event: writes into the output buffer and nothing else.

use bytes::BytesMut;

use super::{DONE, response::Choice};
use crate::{
    ir::{Delta, Event, Usage},
    wire::{
        Asked, StreamEncoder, json,
        openai_chat::{Counts, finish},
    },
};

pub(super) struct Encoder {
    asked: Asked,
    /// What every chunk begins with, up to its `choices`.
    head: Vec<u8>,
    usage: Option<Usage>,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, created, .. } => self.start(id, *created),
            Event::Delta { delta: Delta::Text(text) | Delta::Refusal(text), .. } if !text.is_empty() => {
                self.chunk(text, None, out);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, .. } => self.chunk("", Some(finish::encode(*reason, false, false)), out),
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Annotation(_)
            | Event::Logprobs(_)
            | Event::Lost(_) => {}
        }
    }

    /// The one chunk with usage, last (rule S1).
    fn finish(&mut self, out: &mut BytesMut) {
        if let Some(usage) = self.usage.filter(|_| self.asked.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#""choices":[],"usage":"#);
            json::line(&Counts::of(&usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE);
    }
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(asked: Asked) -> Self {
        let mut encoder = Self { asked, head: Vec::new(), usage: None };
        encoder.start("", 0);
        encoder
    }

    /// Fixes what is the same on every chunk.
    fn start(&mut self, id: &str, created: u64) {
        let id = self.asked.name_of(id);
        let created = if created == 0 { self.asked.created } else { created };
        let head = &mut self.head;
        head.clear();
        head.extend_from_slice(br#"data: {"id":"#);
        json::line(&id, &mut *head);
        head.extend_from_slice(br#","object":"text_completion","created":"#);
        json::line(&created, &mut *head);
        head.extend_from_slice(br#","model":"#);
        json::line(&self.asked.model, &mut *head);
        head.extend_from_slice(b",");
    }

    fn chunk(&self, text: &str, finish_reason: Option<&'static str>, out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#""choices":"#);
        json::line(&[Choice { text, index: 0, logprobs: (), finish_reason }], out);
        if self.asked.include_usage {
            out.extend_from_slice(br#","usage":null"#);
        }
        out.extend_from_slice(b"}\n\n");
    }
}
