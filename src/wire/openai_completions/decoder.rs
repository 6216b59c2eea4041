//! Reads an upstream's stream, and, as a stream of one chunk, its whole answers, for a client that
//! gets them in another form than they came. Only the choice with index 0 has a place in the
//! canonical form.

use super::chunk::{choices, no_completion, parse, settle, text};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{self, Delta, Event, Finish, Opening, Usage},
    wire::{
        StreamDecoder,
        openai_chat::{error_event, usage},
        translate,
    },
};

#[derive(Debug, Default)]
pub(super) struct Decoder {
    started: bool,
    finished: bool,
    done: bool,
    usage: Option<Usage>,
}

/// Reads a whole answer.
pub(super) fn decode(body: &[u8]) -> Result<ir::Response> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    decoder.chunk(body.trim_ascii(), &mut events)?;
    decoder.end(&mut events)?;
    Ok(translate::fold(events))
}

// === impl Decoder ===

impl Decoder {
    fn chunk(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let object = parse(data)?;
        let (id, model) = (text(&object, "id"), text(&object, "model"));
        let created = object.present("created").and_then(|created| created.get().parse().ok()).unwrap_or_default();
        let counts = object.present("usage").and_then(|counts| usage(counts.get()));
        if counts.is_some() && counts != self.usage {
            self.usage = counts;
            out.extend(counts.filter(|_| self.started).map(Event::Usage));
        }
        let choices = choices(&object)?;
        let mut edits = object.edit();
        for choice in settle(&mut edits, &choices)?.into_iter().filter(|choice| choice.index == 0) {
            if !self.started {
                self.started = true;
                out.push(Event::Start { id: id.clone(), model: model.clone(), created });
                out.push(Event::Open { index: 0, block: Opening::Text });
                out.extend(self.usage.map(Event::Usage));
            }
            if !choice.text.is_empty() && !self.finished {
                out.push(Event::Delta { index: 0, delta: Delta::Text(choice.text) });
            }
            if let Some(reason) = choice.finish {
                self.stop(reason, out);
            }
        }
        Ok(())
    }

    fn stop(&mut self, reason: Finish, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.finished, true) {
            out.extend([Event::Close { index: 0 }, Event::Finish { reason, stop_sequence: None }]);
        }
    }

    /// The end has been said.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if !self.started {
            return Err(no_completion("it has no choices"));
        }
        self.done = true;
        self.stop(Finish::Stop, out);
        Ok(())
    }
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        match frame.event.as_deref() {
            Some(b"error") => Err(error_event(data).into()),
            _ if self.done || data.is_empty() => Ok(()),
            _ if data.starts_with(b"[DONE]") => self.end(out),
            // This dialect names no events.
            Some(_) => Ok(()),
            None => self.chunk(data, out),
        }
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before the answer was complete.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }
}
