//! An answer, line by line; a whole one is a stream of one line.
//!
//! Each line holds a piece of text or of thinking, or whole tool calls; the one with `done` holds the
//! counts. A line that holds nothing known is passed over. An end without `done` is no end, and an
//! `error` line is an error (rules E1, E2).
//!
//! The server gives its answers no id, and the older ones give none to tool calls: theirs are made
//! from the time of the first line, so that no two turns of a conversation share one (rule T2).
//!
//! Cost: per line one borrowed parse and one `String` per piece of text.
//!
//! Source: `ChatResponse` in `api/types.go` and `docs/api` of ollama/ollama (read November 2026).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error;
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Delta, Event, Finish, Logprob, Opening, Response, ToolKind, Usage},
    wire::{
        Memo, StreamDecoder,
        blocks::{Blocks, Prose},
        ids, translate,
    },
};

#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    #[serde(default)]
    logprobs: Option<Vec<Likely>>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(default)]
    eval_count: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Message<'a> {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Call<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Debug, Deserialize)]
struct Function<'a> {
    #[serde(default)]
    name: String,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

/// How likely a token was, and others at its place.
#[derive(Debug, Deserialize)]
struct Likely {
    token: String,
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Likely>>,
}

/// A custom tool's text in the object it was asked for in.
#[derive(Deserialize)]
struct CustomInput {
    input: String,
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    memo: Memo,
    started: bool,
    done: bool,
    /// The time of the first line, which tells this answer from others.
    seed: String,
    blocks: Blocks,
    /// Ids of the calls so far.
    calls: Vec<String>,
}

/// Reads a whole answer (rules E2, M2).
pub(super) fn decode(body: &[u8], memo: &Memo) -> Result<Response> {
    let mut decoder = Decoder::new(memo.clone());
    let mut events = Vec::new();
    decoder.line(body, &mut events)?;
    if !decoder.done {
        return Err(Error::BadReply { message: "The upstream's answer is not complete.".into() });
    }
    Ok(translate::fold(events))
}

/// Judges a line while the head is held.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    let line = parse(&frame.data)?;
    Ok(line.message.is_some() || line.done)
}

fn parse(data: &[u8]) -> Result<Line<'_>> {
    let line: Line<'_> = serde_json::from_slice(data).map_err(|why| match error::read_in_band(data) {
        Some(error) => Error::from(error),
        None => Error::BadReply { message: format!("The upstream's answer is no line of Ollama's: {why}.") },
    })?;
    match line.error.and_then(|_| error::read_in_band(data)) {
        Some(error) => Err(error.into()),
        None => Ok(line),
    }
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        if self.done { Ok(()) } else { self.line(&frame.data, out) }
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        Err(Error::Interrupted { message: "The upstream's stream ended before its answer did.".into() })
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(memo: Memo) -> Self {
        Self { memo, ..Self::default() }
    }

    fn line(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let mut line = parse(data)?;
        if line.message.is_none() && !line.done {
            return Ok(());
        }
        if !self.started {
            self.started = true;
            self.seed = line.created_at.take().unwrap_or_default();
            // The gateway's own id and time stand in.
            out.push(Event::Start { id: String::new(), model: line.model.take().unwrap_or_default(), created: 0 });
        }
        let message = line.message.take().unwrap_or_default();
        self.blocks.say(Prose::Reasoning, message.thinking.unwrap_or_default(), out);
        self.blocks.say(Prose::Text, message.content.unwrap_or_default(), out);
        let logprobs: Vec<Logprob> = line.logprobs.take().unwrap_or_default().into_iter().map(Logprob::from).collect();
        if !logprobs.is_empty() {
            out.push(Event::Logprobs(logprobs));
        }
        for call in message.tool_calls.unwrap_or_default() {
            self.call(call, out)?;
        }
        if line.done {
            self.end(&line, out);
        }
        Ok(())
    }

    /// A whole call.
    fn call(&mut self, call: Call<'_>, out: &mut Vec<Event>) -> Result<()> {
        let Function { name, arguments } = call.function;
        if name.is_empty() {
            return Err(Error::BadReply { message: "The upstream called a tool without naming it.".into() });
        }
        let given = call.id.filter(|id| !id.is_empty() && !self.calls.contains(id));
        let id = given.unwrap_or_else(|| ids::tool_call(&self.seed, 0, self.calls.len()));
        self.calls.push(id.clone());
        let kind = self.memo.kind_of(&name);
        let arguments = text(arguments, kind);
        self.blocks.whole(Opening::ToolCall { id, name, kind }, Some(Delta::Arguments(arguments)), out);
        Ok(())
    }

    /// S4: calls outweigh a plain stop, and length outweighs calls. `load` and `unload` answer
    /// requests without messages.
    fn end(&mut self, line: &Line<'_>, out: &mut Vec<Event>) {
        self.done = true;
        self.blocks.close_prose(out);
        // A count of nothing is left out.
        if line.prompt_eval_count.is_some() || line.eval_count.is_some() {
            let (input, output) = (line.prompt_eval_count.unwrap_or_default(), line.eval_count.unwrap_or_default());
            out.push(Event::Usage(Usage { input, output, ..Usage::default() }));
        }
        let reason = match line.done_reason.as_deref() {
            Some("length") => Finish::Length,
            Some(_) | None if !self.calls.is_empty() => Finish::ToolCalls,
            Some(_) | None => Finish::Stop,
        };
        out.push(Event::Finish { reason, stop_sequence: None });
    }
}

// === impl Likely ===

impl From<Likely> for Logprob {
    fn from(likely: Likely) -> Self {
        let top = likely.top_logprobs.unwrap_or_default();
        Self {
            token: likely.token,
            logprob: likely.logprob,
            bytes: likely.bytes,
            top: top.into_iter().map(|likely| Self { top: Vec::new(), ..Self::from(likely) }).collect(),
        }
    }
}

/// T1, T3: an object is given out as its text, a string as what it says, nothing as `{}`.
fn text(arguments: Option<&RawValue>, kind: ToolKind) -> String {
    let json = arguments.map_or("null", RawValue::get);
    let text = match json {
        "null" | "\"\"" => "{}".to_owned(),
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
        text => text.to_owned(),
    };
    match kind {
        ToolKind::Function => text,
        ToolKind::Custom => serde_json::from_str::<CustomInput>(&text).map_or(text, |custom| custom.input),
    }
}
