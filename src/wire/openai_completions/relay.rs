//! The way back of a stream when client and upstream both speak this dialect: the bytes pass.
//!
//! Whatever needs no change reaches the client as the very bytes that came (rule S2). The usage has
//! its one place (rule S1): the last chunk if the client asked, and none if not. Heads, indices and
//! finish reasons are mended where SDKs would trip over them; an error within the stream ends it
//! (E2), and so does an end that is none (E1).
//!
//! Cost per chunk: one borrowed parse, and a copy if something is mended.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    DONE,
    chunk::{choices, no_completion, parse, settle},
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    wire::{
        Asked, Relay, Tally,
        json::{self, Edits, Object},
        openai_chat::{error_event, event, forward, usage},
    },
};

/// Prompts times `n`; no stream may make us remember more.
const MAX_CHOICES: usize = 16_384;

#[derive(Debug)]
pub(super) struct Passthrough {
    include_usage: bool,
    /// What every chunk says alike, as JSON: the upstream's words once it has said them, until then
    /// those to use instead.
    head: [(&'static str, String); 3],
    /// By index, whether it has finished.
    choices: BTreeMap<u64, bool>,
    held: Option<Held>,
    done: bool,
    tally: Tally,
}

/// The usage, kept until the end.
#[derive(Debug)]
enum Held {
    /// The upstream's own usage chunk, ready to send.
    Chunk(Bytes),
    /// A usage object that stood elsewhere.
    Usage(String),
}

// === impl Passthrough ===

impl Passthrough {
    pub(super) fn new(asked: &Asked) -> Self {
        let head = [
            ("id", json::string(&asked.id)),
            ("created", asked.created.to_string()),
            ("model", json::string(&asked.model)),
        ];
        Self {
            include_usage: asked.include_usage,
            head,
            choices: BTreeMap::new(),
            held: None,
            done: false,
            tally: Tally::default(),
        }
    }

    /// Whether a choice has come.
    pub(super) fn has_begun(&self) -> bool {
        !self.choices.is_empty()
    }

    fn take(&mut self, frame: &Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if frame.event.as_deref() == Some(b"error") {
            return Err(error_event(data).into());
        }
        if data.is_empty() {
            return Ok(());
        }
        if data.starts_with(b"[DONE]") {
            return self.end(out);
        }
        let object = match parse(data) {
            Ok(object) => object,
            // This dialect names no events; what has a name and is no chunk is a ping or the like.
            Err(Error::BadReply { .. }) if frame.event.is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        let choices = choices(&object)?;
        if choices.is_empty() {
            self.read_empty(frame, object, out);
            return Ok(());
        }
        let mut edits = object.edit();
        self.settle_head(&mut edits);
        for choice in settle(&mut edits, &choices)? {
            if self.choices.len() >= MAX_CHOICES && !self.choices.contains_key(&choice.index) {
                return Err(no_completion("it has too many choices"));
            }
            *self.choices.entry(choice.index).or_default() |= choice.finish.is_some();
            self.tally.output_bytes += choice.text.len() as u64;
            self.tally.finish = choice.finish.or(self.tally.finish);
        }
        self.settle_usage(&mut edits);
        out.push_back(sent(frame, &edits));
        Ok(())
    }

    /// A chunk without choices: the usage, or a note for those who expect such chunks.
    fn read_empty(&mut self, frame: &Frame, object: Object<'_>, out: &mut VecDeque<Bytes>) {
        let counts = object.present("usage").map(RawValue::get).and_then(usage);
        self.tally.usage = counts.or(self.tally.usage);
        // A client that asked for no usage expects no chunk without choices (rule S1).
        if !self.include_usage || object.present("choices").is_none() {
            return;
        }
        let mut edits = object.edit();
        self.settle_head(&mut edits);
        let bytes = sent(frame, &edits);
        match counts {
            Some(_) => self.held = Some(Held::Chunk(bytes)),
            None => out.push_back(bytes),
        }
    }

    /// Learns the head of a chunk, or completes it.
    fn settle_head(&mut self, edits: &mut Edits<'_>) {
        for (key, known) in &mut self.head {
            match edits.object().present(key).map(RawValue::get).filter(|value| *value != "\"\"") {
                Some(value) if value == known => {}
                Some(value) => *known = value.into(),
                None => edits.set(key, known.clone()),
            }
        }
    }

    /// Counts the usage of a chunk that has choices, and takes it out of it (rule S1).
    fn settle_usage(&mut self, edits: &mut Edits<'_>) {
        let found = edits.object().present("usage").map(RawValue::get);
        if let Some((json, counts)) = found.and_then(|json| Some((json, usage(json)?))) {
            self.tally.usage = Some(counts);
            self.held = Some(Held::Usage(json.into()));
        }
        if !self.include_usage {
            edits.remove("usage");
        } else if found.is_some() {
            edits.set("usage", "null");
        }
    }

    /// Writes a chunk of our own.
    fn chunk(&self, choices: &str, usage: &str) -> Bytes {
        let [(_, id), (_, created), (_, model)] = &self.head;
        let usage = if self.include_usage { format!(r#","usage":{usage}"#) } else { String::new() };
        let json = format!(
            r#"{{"id":{id},"object":"text_completion","created":{created},"model":{model},"choices":{choices}{usage}}}"#
        );
        event(&[json.as_bytes()])
    }

    /// The end has been said: what is missing, the usage, and the terminal event.
    fn end(&mut self, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.choices.is_empty() {
            return Err(Error::BadReply { message: "The upstream ended its stream without an answer.".into() });
        }
        for (index, _) in self.choices.iter().filter(|(_, finished)| !**finished) {
            let last = format!(r#"[{{"text":"","index":{index},"logprobs":null,"finish_reason":"stop"}}]"#);
            out.push_back(self.chunk(&last, "null"));
        }
        match self.held.take().filter(|_| self.include_usage) {
            Some(Held::Chunk(chunk)) => out.push_back(chunk),
            Some(Held::Usage(usage)) => out.push_back(self.chunk("[]", &usage)),
            None => {}
        }
        out.push_back(Bytes::from_static(DONE));
        self.done = true;
        Ok(())
    }
}

impl Relay for Passthrough {
    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let result = self.take(&frame, out);
        self.done |= result.is_err();
        result
    }

    fn finish(&mut self, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        // mlx_lm and others close without `[DONE]`; finish reasons are end enough.
        if !self.choices.is_empty() && self.choices.values().all(|finished| *finished) {
            return self.end(out);
        }
        self.done = true;
        Err(Error::Interrupted { message: "The upstream's stream ended before the answer was complete.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// The frame as it came, or written anew with what had to change.
fn sent(frame: &Frame, edits: &Edits<'_>) -> Bytes {
    if edits.is_empty() { forward(frame) } else { event(&[edits.apply().as_bytes()]) }
}
