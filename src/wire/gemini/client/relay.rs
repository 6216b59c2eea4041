//! The way back when client and upstream both speak this dialect: the bytes pass.
//!
//! Every chunk reaches the client with the very JSON that came, unknown members included (rule S2),
//! framed as the vendor frames it. A tap reads the counts, of which the last ones hold (rule C2), and
//! the finish reason. An error in the stream ends it as one (rule E2), and so does an end without a
//! finish reason (rule E1).
//!
//! Cost: one copy of the chunk for its frame, and one borrowed parse of it.
//!
//! Source: "Generating content" (ai.google.dev/api, read November 2026).

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    super::{
        chunk::{Counts, Feedback, unusable},
        error,
        finish::{self, Reason},
    },
    encoder,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::Finish,
    wire::{Relay, Tally},
};

/// One stream's way back.
#[derive(Debug, Default)]
pub(super) struct Passthrough {
    counts: Counts,
    calls: bool,
    ended: bool,
    tally: Tally,
}

/// A chunk or a whole answer, as far as it is judged and counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tapped<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    prompt_feedback: Option<Feedback>,
    #[serde(default)]
    usage_metadata: Option<Counts>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

/// Judges a whole answer; its bytes are what the client gets.
pub(super) fn whole(body: &Bytes) -> Result<(Bytes, Tally)> {
    let mut tap = Passthrough::default();
    tap.read(body)?;
    if tap.ended || tap.tally.output_bytes > 0 { Ok((body.clone(), tap.tally)) } else { Err(unusable("it is empty")) }
}

// === impl Passthrough ===

impl Passthrough {
    fn read(&mut self, data: &[u8]) -> Result<()> {
        let told = || error::read_in_band(data).map(Error::from);
        let chunk: Tapped<'_> =
            serde_json::from_slice(data).map_err(|why| told().unwrap_or_else(|| unusable(&why.to_string())))?;
        if chunk.error.is_some_and(|error| error.get() != "null") {
            return Err(told().unwrap_or_else(|| unusable("its error says nothing")));
        }
        self.counts.overwrite(chunk.usage_metadata.unwrap_or_default());
        self.tally.usage = self.counts.usage().filter(|_| self.counts.is_of_answer()).or(self.tally.usage);
        if chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
            self.end(Finish::ContentFilter);
        }
        for candidate in chunk.candidates.into_iter().flatten() {
            self.candidate(candidate);
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>) {
        for part in candidate.content.and_then(|content| content.parts).into_iter().flatten() {
            self.calls |= part.function_call.is_some();
            // A text is counted without its quotes.
            let text = part.text.map_or(0, |text| text.get().len().saturating_sub(2));
            let call = part.function_call.map_or(0, |call| call.get().len());
            self.tally.output_bytes += (text + call) as u64;
        }
        if let Some(wire) = candidate.finish_reason {
            self.end(match finish::reason(&wire, self.calls) {
                Reason::Is(finish) => finish,
                // The client knows the vendor's word for it.
                Reason::BadCall => Finish::Stop,
            });
        }
    }

    fn end(&mut self, finish: Finish) {
        self.ended = true;
        self.tally.finish = Some(finish);
    }
}

impl Relay for Passthrough {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        self.read(data)?;
        // JSON has line ends only where it may have spaces, and an event's data has none.
        let is_one_line = memchr::memchr2(b'\n', b'\r', data).is_none();
        out.push_back(if is_one_line { encoder::frame(data) } else { encoder::frame(&flat(data)) });
        Ok(())
    }

    fn finish(&mut self, _: &mut VecDeque<Bytes>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its answer did.".into() })
    }

    /// The vendor marks no end, and counts may follow the reason.
    fn is_done(&self) -> bool {
        false
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

fn flat(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}
