//! One choice of a chunk, made fit for OpenAI's clients.

use serde_json::value::RawValue;

use super::{
    broken,
    parts::texts,
    tool_calls::{Around, Calls},
};
use crate::{
    error::Result,
    ir,
    wire::{
        Tally,
        json::{Edits, Object, push_string},
        openai_chat::{finish, in_band::failed_finish},
    },
};

/// What has been seen of a choice so far.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) index: u64,
    pub(super) finished: bool,
    has_begun: bool,
    has_role: bool,
    calls: Calls,
}

// === impl Choice ===

impl Choice {
    pub(super) fn new(index: u64) -> Self {
        Self { index, ..Self::default() }
    }

    /// Edits what a client would take amiss. Returns the tool calls that must be given `{}` as
    /// arguments before this chunk.
    pub(super) fn repair(&mut self, edits: &mut Edits<'_>, seed: &str, tally: &mut Tally) -> Result<Vec<usize>> {
        let wire_finish = finish_reason(edits.object());
        check_finish(&wire_finish, tally)?;
        let known = self.calls.len();
        let message = self.whole_message(edits);
        if let Some(message) = message {
            edits.remove("message");
            edits.set("delta", message.get());
        }
        match message.or_else(|| edits.object().present("delta")) {
            Some(delta) => {
                let around = Around { seed, choice: self.index, closing: !wire_finish.is_empty() };
                if let Some(delta) = self.delta(delta, around, tally)? {
                    edits.set("delta", delta);
                }
            }
            // Azure's notes on its content filter come without one, and clients look into it.
            None => edits.set("delta", "{}"),
        }
        if !wire_finish.is_empty() {
            self.finished = true;
            settle_finish(edits, &wire_finish, !self.calls.is_empty(), tally);
            return Ok(self.calls.take_bare(known));
        }
        if edits.object().present("finish_reason").is_some() {
            edits.set("finish_reason", "null");
        }
        Ok(Vec::new())
    }

    /// What a server that does not stream sends in a single event. Unread, it would be an empty answer.
    fn whole_message<'a>(&mut self, edits: &Edits<'a>) -> Option<&'a RawValue> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let stands_alone = is_first && edits.object().present("delta").is_none() && edits.get("message").is_some();
        edits.object().present("message").filter(|_| stands_alone)
    }

    /// The upstream has ended without a finish reason for this choice: the reason it stands for,
    /// and the calls that need arguments.
    pub(super) fn close(&mut self, tally: &mut Tally) -> (&'static str, Vec<usize>) {
        self.finished = true;
        let (reason, finish) =
            if self.calls.is_empty() { ("stop", ir::Finish::Stop) } else { ("tool_calls", ir::Finish::ToolCalls) };
        tally.finish.get_or_insert(finish);
        (reason, self.calls.take_bare(usize::MAX))
    }

    fn delta(&mut self, delta: &RawValue, around: Around<'_>, tally: &mut Tally) -> Result<Option<String>> {
        let mut delta = Object::parse_str(delta.get()).map_err(broken)?.edit();
        // Clients concatenate whatever string comes twice.
        if delta.object().present("role").is_some() && std::mem::replace(&mut self.has_role, true) {
            delta.remove("role");
        }
        repair_texts(&mut delta, tally);
        if let Some(calls) = delta.object().present("tool_calls")
            && let Some(calls) = self.calls.repair(calls, around, &mut tally.output_bytes).map_err(broken)?
        {
            delta.set("tool_calls", calls);
        }
        Ok((!delta.is_empty()).then(|| delta.apply()))
    }
}

// === shared with whole answers ===

/// The reason as the upstream wrote it; empty when there is none yet.
pub(super) fn finish_reason(choice: &Object<'_>) -> String {
    choice.get("finish_reason").and_then(|reason| serde_json::from_str(reason.get()).ok()).unwrap_or_default()
}

/// A reason that is a failure is an error (rule E2).
pub(super) fn check_finish(reason: &str, tally: &Tally) -> Result<()> {
    match failed_finish(reason, tally.output_bytes > 0) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Writes the reason as OpenAI would, and notes it (rule S4). None at a clean end is a stop.
pub(super) fn settle_finish(edits: &mut Edits<'_>, wire: &str, called_tools: bool, tally: &mut Tally) {
    let (reason, finish) = finish::mend(if wire.is_empty() { "stop" } else { wire }, called_tools);
    tally.finish.get_or_insert(finish);
    if reason != wire {
        edits.set("finish_reason", format!("\"{reason}\""));
    }
}

/// Turns content parts into strings and measures the texts of a delta or a message.
pub(super) fn repair_texts(edits: &mut Edits<'_>, tally: &mut Tally) {
    for key in ["content", "reasoning_content", "reasoning", "refusal"] {
        let Some(value) = edits.object().present(key) else { continue };
        let Some(texts) = texts(value).filter(|_| key == "content") else {
            tally.output_bytes += string_len(value);
            continue;
        };
        tally.output_bytes += (texts.content.len() + texts.reasoning.len()) as u64;
        if texts.content.is_empty() && !texts.reasoning.is_empty() {
            edits.set(key, "null");
        } else {
            edits.set(key, string(&texts.content));
        }
        if !texts.reasoning.is_empty() {
            edits.set("reasoning_content", string(&texts.reasoning));
        }
    }
    if let Some(call) = edits.object().present("function_call") {
        tally.output_bytes += call.get().len() as u64;
    }
}

/// A string's length as it is written; nothing for what is no string.
fn string_len(value: &RawValue) -> u64 {
    if value.get().starts_with('"') { value.get().len().saturating_sub(2) as u64 } else { 0 }
}

fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    push_string(&mut json, text);
    json
}
