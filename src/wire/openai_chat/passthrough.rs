//! The way back when client and upstream both speak this dialect: the bytes pass.
//!
//! A stream of a conforming upstream reaches the client byte for byte, unknown fields and key
//! order included (rule S2), but for the place of the usage (rule S1): exactly one chunk, the last
//! one, carries it if the client asked, and none if not. Of an imperfect upstream's chunks those
//! are mended that OpenAI's own SDKs would trip over, and no other byte is touched: tool calls in
//! pieces that do not join (T1, T2, T3), foreign finish reasons (S4), content that is no string,
//! roles said twice, missing heads. Errors inside the stream end it (E2), and so does an end that
//! is none (E1).
//!
//! Deliberately absent: text is never looked into (`<think>` stays content), and ids, names and
//! counts of the upstream are not rewritten where they are valid.
//!
//! Cost: a chunk that differs from the one before only in its text is compared with it, another that
//! carries only text is looked over once, and both are forwarded as the very bytes that were read. A null `usage` that has to go costs one copy of the chunk. Anything else is one
//! borrowed parse, and a copy if something is mended.

mod choice;
mod parts;
mod pattern;
mod peek;
mod tidy;
mod tool_calls;
mod unary;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use serde_json::value::RawValue;

pub use self::unary::unary;
use self::{
    choice::Choice,
    pattern::Pattern,
    peek::{Peek, peek},
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    wire::{
        Asked, Relay, Tally,
        json::{Edits, Object, items, push_string},
        openai_chat::{in_band::error_event, in_band_error, usage},
    },
};

const OBJECT: &str = "\"chat.completion.chunk\"";
const DONE: &[u8] = b"[DONE]";

/// OpenAI's own bound of `n`; no stream may make us remember more.
const MAX_CHOICES: usize = 128;

/// Members that say nothing on their own: an empty chunk with no others is not worth sending.
const HEAD: [&str; 9] =
    ["id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "obfuscation"];

/// One stream's way back.
#[derive(Debug)]
pub struct Passthrough {
    include_usage: bool,
    head: Head,
    /// The upstream writes whole heads, so a chunk of text need not be read.
    is_tidy: bool,
    pattern: Pattern,
    choices: Vec<Choice>,
    held: Option<Held>,
    done: bool,
    tally: Tally,
}

/// What every chunk of a stream says alike, as JSON text: the upstream's words once it has said
/// them, until then the ones to use instead.
#[derive(Debug)]
struct Head {
    id: String,
    created: String,
    model: String,
}

/// The usage, kept until the end.
#[derive(Debug)]
enum Held {
    /// The upstream's own usage chunk, ready to send.
    Chunk(Bytes),
    /// A usage object that stood elsewhere.
    Usage(String),
}

/// Judges a frame while the response head is still held: `Ok(true)` once a choice has come, an
/// error for an error, and for an end without an answer (rules E1, E2).
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    let mut relay = Passthrough::new(true);
    relay.frame(frame.clone(), &mut VecDeque::new())?;
    Ok(!relay.choices.is_empty())
}

// === impl Passthrough ===

impl Passthrough {
    /// A relay for a client that asked for usage, or did not.
    pub fn new(include_usage: bool) -> Self {
        Self {
            include_usage,
            head: Head { id: "\"chatcmpl-0\"".into(), created: "0".into(), model: "\"\"".into() },
            is_tidy: false,
            pattern: Pattern::default(),
            choices: Vec::new(),
            held: None,
            done: false,
            tally: Tally::default(),
        }
    }

    /// Names what stands in for an id, a model and a time the upstream leaves out.
    #[must_use]
    pub fn standing_in(mut self, asked: &Asked) -> Self {
        let string = |text: &str| {
            let mut json = String::new();
            push_string(&mut json, text);
            json
        };
        self.head = Head { id: string(&asked.id), created: asked.created.to_string(), model: string(&asked.model) };
        self
    }

    fn take(&mut self, frame: &Frame, out: &mut VecDeque<Bytes>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if frame.event.as_deref() == Some(b"error") {
            return Err(error_event(data).into());
        }
        if data.is_empty() {
            return Ok(());
        }
        if data.starts_with(DONE) {
            return self.end(out);
        }
        if self.is_tidy
            && let Some(output_bytes) = self.pattern.fits(data)
        {
            self.tally.output_bytes += output_bytes;
            out.push_back(forward(frame));
            return Ok(());
        }
        let look = if self.is_tidy { peek(data, self.include_usage) } else { Peek::Careful };
        match look {
            Peek::Plain { output_bytes, text } => {
                self.tally.output_bytes += output_bytes;
                if let Some(text) = text {
                    self.pattern.learn(data, text);
                }
                out.push_back(forward(frame));
            }
            Peek::NullUsage { output_bytes, cut } => {
                self.tally.output_bytes += output_bytes;
                let (before, after) = (data.get(..cut.start), data.get(cut.end..));
                out.push_back(event(&[before.unwrap_or_default(), after.unwrap_or_default()]));
            }
            Peek::Careful => self.read(frame, data, out)?,
        }
        Ok(())
    }

    /// Reads a chunk as JSON and forwards it, mended where need be.
    fn read(&mut self, frame: &Frame, data: &[u8], out: &mut VecDeque<Bytes>) -> Result<()> {
        let text = std::str::from_utf8(data).map_err(|_| not_json("it is not UTF-8"))?;
        let object = match Object::parse_str(text) {
            Ok(object) => object,
            // This dialect names no events; what has a name and is no chunk is a ping or the like.
            Err(_) if frame.event.is_some() => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        if is_suspect(&object)
            && let Some(error) = in_band_error(data)
        {
            return Err(error.into());
        }
        let choices: Vec<&RawValue> = match object.present("choices") {
            Some(choices) => items(choices.get()).map_err(broken)?,
            None => Vec::new(),
        };
        if choices.is_empty() {
            self.read_empty(frame, object, out);
            return Ok(());
        }
        let usage = object.present("usage").or_else(|| nested(&object, "x_groq", "usage"));
        let is_last_word = object.get("object").is_some_and(|object| object.get() == "\"chat.completion.done\"");
        let mut edits = object.edit();
        self.is_tidy = !self.settle_head(&mut edits);
        let choice_usage = self.settle_choices(&mut edits, &choices, is_last_word, out)?;
        self.settle_usage(&mut edits, usage.or(choice_usage));
        out.push_back(if edits.is_empty() { forward(frame) } else { event(&[edits.apply().as_bytes()]) });
        Ok(())
    }

    /// A chunk without choices: the usage, a note such as `moderation`, a prelude, or nothing.
    fn read_empty(&mut self, frame: &Frame, object: Object<'_>, out: &mut VecDeque<Bytes>) {
        let says = |key: &str| object.present(key).is_some_and(|value| value.get() != "\"\"");
        let counts = object.present("usage").and_then(|counts| usage(counts.get()));
        let vendor_counts = nested(&object, "x_groq", "usage").and_then(|counts| usage(counts.get()));
        self.tally.usage = counts.or(vendor_counts).or(self.tally.usage);
        let has_note =
            object.members().iter().any(|member| !HEAD.contains(&&*member.key) && member.value.get() != "null");
        let is_prelude = !says("id") && !says("model");
        let is_chunk = object.get("choices").is_some();
        // A client that asked for no usage expects no chunk without choices either (rule S1).
        let is_wanted = if counts.is_some() { self.include_usage } else { has_note && is_chunk && !is_prelude };
        if !is_wanted {
            return;
        }
        let has_choices = object.present("choices").is_some();
        let mut edits = object.edit();
        self.settle_head(&mut edits);
        if !has_choices {
            edits.set("choices", "[]");
        }
        if counts.is_none() && !self.include_usage {
            edits.remove("usage");
        }
        let bytes = if edits.is_empty() { forward(frame) } else { event(&[edits.apply().as_bytes()]) };
        match counts {
            Some(_) => self.held = Some(Held::Chunk(bytes)),
            None => out.push_back(bytes),
        }
    }

    /// Learns the head of a chunk, or completes it. Tells whether it had to.
    fn settle_head(&mut self, edits: &mut Edits<'_>) -> bool {
        let mut mended = false;
        // Azure's notes on its filters have an empty id and the time 0.
        let is_note = edits.object().get("id").is_some_and(|id| id.get() == "\"\"");
        let is_blank = |value: &&str| *value == "\"\"" || (is_note && *value == "0");
        let head = [("id", &mut self.head.id), ("created", &mut self.head.created), ("model", &mut self.head.model)];
        for (key, known) in head {
            match edits.object().present(key).map(RawValue::get).filter(|value| !is_blank(value)) {
                Some(value) if value == known => {}
                Some(value) => *known = value.into(),
                None => {
                    edits.set(key, known.clone());
                    mended = true;
                }
            }
        }
        if edits.object().get("object").map(RawValue::get) != Some(OBJECT) {
            edits.set("object", OBJECT);
            mended = true;
        }
        mended
    }

    /// Mends each choice; returns a usage that stands in one (Moonshot).
    fn settle_choices<'a>(
        &mut self,
        edits: &mut Edits<'a>,
        choices: &[&'a RawValue],
        is_last_word: bool,
        out: &mut VecDeque<Bytes>,
    ) -> Result<Option<&'a RawValue>> {
        let mut usage = None;
        let mut mended = Vec::with_capacity(choices.len());
        for (at, choice) in choices.iter().enumerate() {
            let object = Object::parse_str(choice.get()).map_err(broken)?;
            usage = usage.or(object.present("usage"));
            let wire_index: Option<u64> = object.get("index").and_then(|index| index.get().parse().ok());
            let index = wire_index.unwrap_or(at as u64);
            let mut choice = object.edit();
            if wire_index.is_none() {
                self.is_tidy = false;
                choice.set("index", index.to_string());
            }
            if is_last_word {
                // Perplexity repeats the whole answer in its last chunk.
                choice.remove("message");
            }
            let state = choice_at(&mut self.choices, index)?;
            let bare = state.repair(&mut choice, &self.head.id, &mut self.tally)?;
            self.push_bare(index, &bare, out);
            mended.push((!choice.is_empty()).then(|| choice.apply()));
        }
        if let Some(choices) = splice(choices, &mended) {
            edits.set("choices", choices);
        }
        Ok(usage)
    }

    /// Counts the usage of a chunk that has choices, and takes it out of it (rule S1).
    fn settle_usage(&mut self, edits: &mut Edits<'_>, found: Option<&RawValue>) {
        if let Some(counts) = found.and_then(|found| usage(found.get())) {
            self.tally.usage = Some(counts);
            if self.include_usage {
                self.held = found.map(|found| Held::Usage(found.get().into()));
            }
        }
        if !self.include_usage {
            edits.remove("usage");
        } else if edits.object().present("usage").is_some() {
            edits.set("usage", "null");
        }
    }

    /// The calls that were begun without arguments get `{}` (rule T1).
    fn push_bare(&self, choice: u64, calls: &[usize], out: &mut VecDeque<Bytes>) {
        for call in calls {
            out.push_back(self.chunk(&format!(
                r#"[{{"index":{choice},"delta":{{"tool_calls":[{{"index":{call},"function":{{"arguments":"{{}}"}}}}]}},"finish_reason":null}}]"#
            ), "null"));
        }
    }

    /// Writes a chunk of our own.
    fn chunk(&self, choices: &str, usage: &str) -> Bytes {
        let Head { id, created, model } = &self.head;
        let usage = if self.include_usage { format!(r#","usage":{usage}"#) } else { String::new() };
        let json = format!(
            r#"{{"id":{id},"object":{OBJECT},"created":{created},"model":{model},"choices":{choices}{usage}}}"#
        );
        event(&[json.as_bytes()])
    }

    /// The end has been said: what is missing, the usage, and the terminal event.
    fn end(&mut self, out: &mut VecDeque<Bytes>) -> Result<()> {
        if self.choices.is_empty() {
            return Err(Error::BadReply { message: "The upstream ended its stream without an answer.".into() });
        }
        let mut choices = std::mem::take(&mut self.choices);
        for choice in choices.iter_mut().filter(|choice| !choice.finished) {
            let (reason, bare) = choice.close(&mut self.tally);
            self.push_bare(choice.index, &bare, out);
            let last = format!(r#"[{{"index":{},"delta":{{}},"finish_reason":"{reason}"}}]"#, choice.index);
            out.push_back(self.chunk(&last, "null"));
        }
        self.choices = choices;
        match self.held.take().filter(|_| self.include_usage) {
            Some(Held::Chunk(chunk)) => out.push_back(chunk),
            Some(Held::Usage(usage)) => out.push_back(self.chunk("[]", &usage)),
            None => {}
        }
        out.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
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
        // mlx_lm and others close without `[DONE]`; a finish reason is end enough.
        if self.choices.iter().any(|choice| choice.finished) {
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

// === frames ===

/// The frame as it came, or written anew if it was spelled another way.
pub(in crate::wire) fn forward(frame: &Frame) -> Bytes {
    // This dialect names no events.
    frame.raw.clone().filter(|_| frame.event.is_none()).unwrap_or_else(|| event(&[&frame.data]))
}

/// Writes an event on one line. JSON has line ends only where it may have spaces.
pub(in crate::wire) fn event(parts: &[&[u8]]) -> Bytes {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::with_capacity(len + 8);
    out.extend_from_slice(b"data: ");
    for part in parts {
        let mut rest = *part;
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, after) = rest.split_at(at);
            out.extend_from_slice(line);
            out.extend_from_slice(b" ");
            rest = after.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(b"\n\n");
    out.freeze()
}

// === reading ===

/// Whether an object may hold an error, so that it is worth asking.
fn is_suspect(object: &Object<'_>) -> bool {
    ["error", "x_groq", "base_resp"].into_iter().any(|key| object.present(key).is_some())
        || object.present("choices").is_none()
}

/// A member of a member, where both are there.
fn nested<'a>(object: &Object<'a>, outer: &str, inner: &str) -> Option<&'a RawValue> {
    Object::parse_str(object.present(outer)?.get()).ok()?.present(inner)
}

/// The array of the items, with the changed ones in place; `None` when none is changed.
fn splice(items: &[&RawValue], changed: &[Option<String>]) -> Option<String> {
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let texts = changed.iter().zip(items).map(|(new, old)| new.as_deref().unwrap_or_else(|| old.get()));
    Some(format!("[{}]", texts.collect::<Vec<_>>().join(",")))
}

fn choice_at(choices: &mut Vec<Choice>, index: u64) -> Result<&mut Choice> {
    let at = choices.iter().position(|choice| choice.index == index).unwrap_or(choices.len());
    if at == choices.len() && at < MAX_CHOICES {
        choices.push(Choice::new(index));
    }
    choices.get_mut(at).ok_or_else(|| not_json("it has too many choices"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn broken(error: serde_json::Error) -> Error {
    not_json(&error.to_string())
}

fn not_json(why: &str) -> Error {
    Error::BadReply { message: format!("The upstream sent something that is no chat completion: {why}.") }
}

#[cfg(test)]
mod tests;
