//! The way back when client and upstream both speak this dialect: the bytes pass.
//!
//! Every event reaches the client as it came, those nobody knows and pings included (rule S2). A tap
//! reads the counts: what `message_delta` says replaces what `message_start` said, field by field
//! (rule C2). An error event ends the stream as an error (rule E3), and so does an end without
//! `message_stop` (rule E1). Of an imperfect upstream two things are mended that would make the
//! vendor's SDKs stumble: events without a name are named, and a message that begins again does not.
//!
//! Cost: a delta is forwarded as the very bytes that were read, and measured by one search; other
//! events, a handful per message, are parsed where they hold counts.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::{memchr2, memmem};
use serde::Deserialize;

use super::super::{
    answer::{self, Counts},
    error, stream,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    wire::{Relay, Tally},
};

/// Where generated text stands in a delta.
const TEXTS: [&[u8]; 3] = [b"\"text\":", b"\"thinking\":", b"\"partial_json\":"];

/// One stream's way back.
#[derive(Debug, Default)]
pub(super) struct Passthrough {
    begun: bool,
    done: bool,
    calls: bool,
    counts: Counts,
    tally: Tally,
}

#[derive(Deserialize)]
struct Begin {
    message: Counted,
}

#[derive(Default, Deserialize)]
struct Counted {
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    delta: Stopped,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Default, Deserialize)]
struct Stopped {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// A whole answer, as far as it is judged and counted.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    content: Vec<&'a serde_json::value::RawValue>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Counts>,
}

/// Judges a whole answer; its bytes are what the client gets.
pub(super) fn whole(body: &Bytes) -> Result<(Bytes, Tally)> {
    let message: Whole<'_> = serde_json::from_slice(body).map_err(|why| match error::read_in_band(body) {
        Some(error) => error.into(),
        None => Error::BadReply { message: format!("The upstream's success is no message: {why}.") },
    })?;
    let output_bytes = message.content.iter().map(|block| block.get().len() as u64).sum();
    let finish = message.stop_reason.as_deref().map(|reason| answer::finish(Some(reason), false));
    let usage = message.usage.as_ref().map(Counts::usage);
    Ok((body.clone(), Tally { usage, output_bytes, finish, lost: Vec::new() }))
}

// === impl Passthrough ===

impl Passthrough {
    /// Learns what a message's event says; `false` when the client shall not get it.
    fn tap(&mut self, kind: &str, frame: &Frame) -> Result<bool> {
        match kind {
            "content_block_delta" => self.tally.output_bytes += text_bytes(&frame.data),
            "message_start" => {
                if std::mem::replace(&mut self.begun, true) {
                    return Ok(false);
                }
                // Not told before the end: a stream cut short has cost more than its first count.
                let begin: Begin = stream::read(frame)?;
                self.counts.overwrite(begin.message.usage.unwrap_or_default());
            }
            "content_block_start" => self.calls |= memmem::find(&frame.data, b"tool_use").is_some(),
            "message_delta" => self.change(stream::read(frame)?),
            "message_stop" if !self.begun => {
                let message = "The upstream ended a message that it had not begun.".into();
                return Err(Error::BadReply { message });
            }
            "message_stop" => self.done = true,
            "error" => return Err(stream::error_event(frame)),
            "content_block_stop" | "ping" => {}
            _ => {
                if let Some(error) = error::read_in_band(&frame.data) {
                    return Err(error.into());
                }
            }
        }
        Ok(true)
    }

    fn change(&mut self, change: Change) {
        if let Some(usage) = change.usage {
            self.counts.overwrite(usage);
            self.tally.usage = Some(self.counts.usage());
        }
        if let Some(reason) = change.delta.stop_reason {
            self.tally.finish = Some(answer::finish(Some(&reason), self.calls));
        }
    }
}

impl Relay for Passthrough {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        let data = frame.data.trim_ascii();
        // Another dialect's mark of the end.
        if self.done || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let kind = stream::kind(&frame)?;
        if self.tap(&kind, &frame)? {
            out.push_back(forward(&kind, &frame));
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its message did.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The very bytes, or, where they were spelled another way, the event written anew.
fn forward(kind: &str, frame: &Frame) -> Bytes {
    if let (Some(raw), Some(_)) = (&frame.raw, &frame.event) {
        return raw.clone();
    }
    let mut out = BytesMut::with_capacity(frame.data.len() + kind.len() + 24);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // JSON has line ends only where it may have spaces.
    out.extend(frame.data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

/// How long the generated text of a delta is, escapes counted as they are written.
fn text_bytes(data: &[u8]) -> u64 {
    let found = TEXTS.iter().find_map(|key| memmem::rfind(data, key).map(|at| at + key.len()));
    let Some(value) = found.and_then(|at| data.get(at..)) else { return 0 };
    let Some(text) = value.trim_ascii_start().strip_prefix(b"\"") else { return 0 };
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return at as u64;
        }
        at += 2;
    }
    0
}
