//! Writes a client's stream: the events of a message in the vendor's strict order (rules A1, T8).
//!
//! ```text
//! message_start (content_block_start content_block_delta* content_block_stop)* message_delta message_stop
//! ```
//!
//! Blocks are the business of [`super::serial`]; here are the message around them, its counts and its
//! end. The counts at the start are an estimate, for the true ones come last, with `message_delta`
//! (rule C4). An end that failed is not written here: the error event is, by whoever saw it (E3).
//!
//! Cost per event: writes into the output buffer; text is kept only while another block is open.
//!
//! Source: "Streaming messages" (platform.claude.com/docs, read November 2026).

use bytes::BytesMut;
use serde::Serialize;

use super::{
    message::{Message, stop_reason, stop_sequence},
    serial::Serial,
    usage::Counts,
};
use crate::{
    ir::{Delta, Event, Finish, Opening, Usage},
    wire::{Asked, StreamEncoder, json},
};

pub(super) struct Encoder {
    asked: Asked,
    started: bool,
    blocks: Serial,
    calls: bool,
    output_bytes: u64,
    usage: Option<Usage>,
    end: (Finish, Option<String>),
}

#[derive(Serialize)]
struct MessageStart<'a> {
    r#type: &'static str,
    message: Message<'a>,
}

#[derive(Serialize)]
struct MessageDelta<'a> {
    r#type: &'static str,
    delta: Change<'a>,
    usage: Counts,
}

#[derive(Serialize)]
struct Change<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    stop_details: Option<()>,
    container: Option<()>,
}

/// Appends one event.
pub(super) fn write(name: &str, payload: &impl Serialize, out: &mut BytesMut) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    json::line(payload, out);
    out.extend_from_slice(b"\n\n");
}

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            asked,
            started: false,
            blocks: Serial::default(),
            calls: false,
            output_bytes: 0,
            usage: None,
            end: (Finish::Stop, None),
        }
    }

    fn start(&mut self, id: &str, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.started, true) {
            let message = Message::new(&self.asked, id);
            write("message_start", &MessageStart { r#type: "message_start", message }, out);
        }
    }

    fn count(&mut self, delta: &Delta) {
        self.output_bytes += match delta {
            Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) | Delta::Refusal(text) => text.len(),
            Delta::Signature(_) => 0,
        } as u64;
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { id, .. } => self.start(id, out),
            Event::Open { index, block } => {
                self.calls |= matches!(block, Opening::ToolCall { .. });
                self.blocks.open(*index, block, out);
            }
            Event::Delta { index, delta } => {
                self.count(delta);
                self.blocks.delta(*index, delta, out);
            }
            Event::Close { index } => self.blocks.close(*index, out),
            Event::Annotation(annotation) => self.blocks.cite(annotation, out),
            // Nobody could have asked for them.
            Event::Logprobs(_) | Event::Lost(_) => {}
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { reason, stop_sequence } => {
                self.blocks.close_all(out);
                self.end = (*reason, stop_sequence.clone());
            }
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        self.start("", out);
        self.blocks.close_all(out);
        let (finish, text) = &self.end;
        let delta = Change {
            stop_reason: stop_reason(*finish, self.calls),
            stop_sequence: stop_sequence(*finish, text.as_deref()),
            stop_details: None,
            container: None,
        };
        let usage = match &self.usage {
            Some(usage) => Counts::of(usage),
            None => Counts::guessed(&self.asked, self.output_bytes),
        };
        write("message_delta", &MessageDelta { r#type: "message_delta", delta, usage }, out);
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}
