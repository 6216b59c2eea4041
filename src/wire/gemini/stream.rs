//! An answer, chunk by chunk. A whole answer is a stream of one chunk (rule R4).
//!
//! Text comes in pieces, a call whole in one chunk. The vendor has no terminal event: the body's end is
//! the end, and one without a finish reason before it is none (rule E1). The reason is held back until
//! then, because older lines write one on every chunk; so are sources, which come in full with the
//! last chunks. A call without an id gets one (rule T2).
//!
//! Code the vendor ran, and what it printed, become text in fences.
//!
//! Cost: per piece of text one borrowed parse of the chunk, the `String` the event owns, and a copy of
//! it into the text so far, by which sources count.
//!
//! Source: "Generating content" and "Thought signatures" (ai.google.dev, read November 2026), and
//! recorded traffic.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    chunk::{Call, Candidate, Chunk, Counts, Feedback, Part, unusable},
    finish::{self, Reason},
    grounding::Grounding,
};
use crate::{
    error::{Error, Result},
    framing::Frame,
    ir::{Delta, Event, Finish, Lost, Opening, Response, Source, ToolKind, Usage},
    wire::{
        Memo, StreamDecoder,
        blocks::{Blocks, Prose},
        ids,
        signature::Signed,
        translate,
    },
};

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    memo: Memo,
    started: bool,
    done: bool,
    /// What tells this answer from others.
    seed: String,
    blocks: Blocks,
    /// The ids of the calls so far.
    calls: HashSet<String>,
    /// The answer's text so far.
    said: String,
    counts: Counts,
    counted: Option<Usage>,
    grounding: Option<Grounding>,
    /// What had no place, each kind once.
    lost: Vec<Lost>,
    end: Option<End>,
}

/// Why the answer ends.
#[derive(Debug)]
struct End {
    reason: Finish,
    message: Option<String>,
}

/// Reads a whole answer.
pub(super) fn whole(body: &[u8], memo: &Memo) -> Result<Response> {
    let chunk = Chunk::parse(body.trim_ascii())?;
    if chunk.candidate().is_none() && chunk.blocked().is_none() {
        return Err(unusable("it has no candidate"));
    }
    let mut decoder = Decoder::new(memo.clone());
    let mut events = Vec::new();
    decoder.chunk(chunk, body, &mut events)?;
    if decoder.end.is_none() && decoder.blocks.is_empty() {
        return Err(unusable("its candidate is empty and has no finish reason"));
    }
    decoder.end.get_or_insert(End { reason: Finish::Stop, message: None });
    decoder.finish(&mut events)?;
    let service_tier = decoder.counts.service_tier.map(|tier| if tier == "standard" { "default".into() } else { tier });
    Ok(Response { service_tier, ..translate::fold(events) })
}

/// Judges a frame while the head is held.
pub(super) fn accepts(frame: &Frame) -> Result<bool> {
    let data = frame.data.trim_ascii();
    if data.is_empty() {
        return Ok(false);
    }
    let chunk = Chunk::parse(data)?;
    let Some(candidate) = chunk.candidate() else { return Ok(chunk.blocked().is_some()) };
    match candidate.finish_reason.as_deref() {
        Some(wire) if !candidate.has_parts() && finish::reason(wire, false) == Reason::BadCall => {
            Err(finish::bad_call(wire, candidate.finish_message.as_deref()))
        }
        Some(_) | None => Ok(true),
    }
}

// === impl StreamDecoder for Decoder ===

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || self.done {
            return Ok(());
        }
        self.chunk(Chunk::parse(data)?, data, out)
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let Some(end) = self.end.take() else {
            let message = if self.started {
                "The upstream's stream ended in the middle of its answer."
            } else {
                "The upstream's stream ended without a single event."
            };
            return Err(Error::Interrupted { message: message.into() });
        };
        self.done = true;
        self.blocks.close_prose(out);
        if let Some(message) = end.message.filter(|text| end.reason == Finish::ContentFilter && !text.is_empty()) {
            self.blocks.whole(Opening::Refusal, Some(Delta::Refusal(message)), out);
        }
        let annotations = self.grounding.take().map(|grounding| grounding.annotations(&self.said));
        out.extend(annotations.into_iter().flatten().map(Event::Annotation));
        self.count(out);
        out.push(Event::Finish { reason: end.reason, stop_sequence: None });
        Ok(())
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

    fn chunk(&mut self, chunk: Chunk<'_>, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
        let has_answer = chunk.candidate().is_some();
        let blocked = chunk.blocked().is_some() && !has_answer;
        if has_answer || blocked {
            self.start(&chunk, data, out);
        }
        let Chunk { candidates, prompt_feedback, usage_metadata, .. } = chunk;
        self.counts.overwrite(usage_metadata.unwrap_or_default());
        let candidates = candidates.into_iter().flatten();
        if let Some(candidate) = candidates.into_iter().find(Candidate::is_first) {
            self.candidate(candidate, out)?;
        } else if blocked {
            self.end = Some(End { reason: Finish::ContentFilter, message: prompt_feedback.map(blocked_words) });
        }
        // Counts of the prompt alone would make a cut stream look as if it had said nothing.
        if self.started && self.counts.is_of_answer() {
            self.count(out);
        }
        Ok(())
    }

    fn start(&mut self, chunk: &Chunk<'_>, data: &[u8], out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = chunk.response_id.clone().unwrap_or_default();
        self.seed = if id.is_empty() { format!("{:x?}", Sha256::digest(data)) } else { id.clone() };
        out.push(Event::Start { id, model: chunk.model_version.clone().unwrap_or_default(), created: 0 });
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<Event>) -> Result<()> {
        let mut candidate = candidate;
        let logprobs = candidate.logprobs_result.take().map(Vec::from).filter(|logprobs| !logprobs.is_empty());
        match (candidate.grounding(), &mut self.grounding) {
            (Some(later), Some(grounding)) => grounding.overwrite(later),
            (Some(first), grounding @ None) => *grounding = Some(first),
            (None, _) => {}
        }
        let (wire, message) = (candidate.finish_reason.take(), candidate.finish_message.take());
        for part in candidate.parts() {
            self.part(part, out);
        }
        out.extend(logprobs.map(Event::Logprobs));
        let Some(wire) = wire else { return Ok(()) };
        match finish::reason(&wire, !self.calls.is_empty()) {
            Reason::Is(reason) => self.end = Some(End { reason, message }),
            Reason::BadCall => return Err(finish::bad_call(&wire, message.as_deref())),
        }
        Ok(())
    }

    fn lose(&mut self, lost: Lost, out: &mut Vec<Event>) {
        if !self.lost.contains(&lost) {
            self.lost.push(lost);
            out.push(Event::Lost(lost));
        }
    }

    fn part(&mut self, part: Part<'_>, out: &mut Vec<Event>) {
        let signature = part.thought_signature.filter(|signature| !signature.is_empty());
        let text = part.text.unwrap_or_default();
        if let Some(call) = part.function_call {
            return self.call(&call, signature, out);
        }
        if part.thought == Some(true) {
            return self.thought(text, signature, out);
        }
        self.text(text, out);
        if let Some(blob) = part.inline_data {
            match lost(&blob.mime_type) {
                None => self.image(Source::Base64 { media_type: blob.mime_type, data: blob.data }, out),
                Some(lost) => self.lose(lost, out),
            }
        }
        if let Some(file) = part.file_data {
            match lost(&file.mime_type) {
                None => self.image(Source::Url(file.file_uri), out),
                Some(lost) => self.lose(lost, out),
            }
        }
        if let Some(code) = part.executable_code {
            let language = code.language.to_ascii_lowercase();
            self.text(format!("\n```{language}\n{}\n```\n", code.code.trim_end()), out);
        }
        if let Some(outcome) = part.code_execution_result {
            let output = if outcome.output.is_empty() { outcome.outcome } else { outcome.output };
            self.text(format!("\n```\n{}\n```\n", output.trim_end()), out);
        }
        if let Some(signature) = signature {
            self.proof(Signed::Part, &signature, out);
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<Event>) {
        self.said.push_str(&text);
        self.blocks.say(Prose::Text, text, out);
    }

    fn thought(&mut self, text: String, signature: Option<String>, out: &mut Vec<Event>) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        let index = self.blocks.prose(Prose::Reasoning, out);
        if !text.is_empty() {
            out.push(Event::Delta { index, delta: Delta::Reasoning(text) });
        }
        if let Some(signature) = signature {
            out.push(Event::Delta { index, delta: Delta::Signature(Signed::Thought.tag(&signature)) });
            self.blocks.close_prose(out);
        }
    }

    fn image(&mut self, source: Source, out: &mut Vec<Event>) {
        self.blocks.whole(Opening::Image { source }, None, out);
    }

    fn call(&mut self, call: &Call<'_>, signature: Option<String>, out: &mut Vec<Event>) {
        // The end of a call in pieces, which nobody asked for.
        if call.name.is_empty() {
            return;
        }
        self.blocks.close_prose(out);
        if let Some(signature) = signature {
            self.proof(Signed::Call, &signature, out);
        }
        let name = self.memo.tool_names.get(&*call.name).cloned().unwrap_or_else(|| call.name.to_string());
        let kind = self.memo.kind_of(&name);
        let args = call.args.map_or("{}", RawValue::get);
        let arguments = match kind {
            // T1.
            ToolKind::Function if args == "null" => "{}".into(),
            ToolKind::Function => compact(args),
            ToolKind::Custom => custom_text(args),
        };
        let id = self.call_id(call.id.as_deref());
        self.blocks.whole(Opening::ToolCall { id, name, kind }, Some(Delta::Arguments(arguments)), out);
    }

    /// The id that was given, if no other call has it.
    fn call_id(&mut self, given: Option<&str>) -> String {
        let given = given.filter(|id| !id.is_empty() && !self.calls.contains(*id)).map(str::to_owned);
        let id = given.unwrap_or_else(|| ids::tool_call(&self.seed, 0, self.calls.len()));
        self.calls.insert(id.clone());
        id
    }

    /// A signature as a block of its own.
    fn proof(&mut self, signed: Signed, signature: &str, out: &mut Vec<Event>) {
        self.blocks.whole(Opening::Reasoning, Some(Delta::Signature(signed.tag(signature))), out);
    }

    fn count(&mut self, out: &mut Vec<Event>) {
        if let Some(usage) = self.counts.usage().filter(|usage| self.counted != Some(*usage)) {
            self.counted = Some(usage);
            out.push(Event::Usage(usage));
        }
    }
}

// === free functions ===

fn blocked_words(feedback: Feedback) -> String {
    let reason = feedback.block_reason.unwrap_or_default();
    let message = feedback.block_reason_message.filter(|text| !text.is_empty());
    message.unwrap_or_else(|| format!("The prompt was blocked by the upstream: {reason}."))
}

/// What is lost with a file of this type; nothing of an image.
fn lost(media_type: &str) -> Option<Lost> {
    match media_type.split_once('/') {
        Some(("image", _)) => None,
        Some(("audio", _)) => Some(Lost::Audio),
        Some(_) | None => Some(Lost::Files),
    }
}

/// A custom tool's text, out of the object it was asked for in; as it came when it is no such object.
fn custom_text(args: &str) -> String {
    #[derive(Deserialize)]
    struct Input {
        input: String,
    }
    serde_json::from_str::<Input>(args).map_or_else(|_| args.to_owned(), |custom| custom.input)
}

/// JSON without the white space between its tokens; whole answers are printed in many lines.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut keeps = |c: char| {
        let kept = in_string || !c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    let mut out = String::with_capacity(json.len());
    out.extend(json.chars().filter(|c| keeps(*c)));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ir::Block;

    fn frame(json: &Value) -> Frame {
        Frame { raw: None, event: None, data: json.to_string().into() }
    }

    /// Decodes chunks; panics where the grammar of events is broken.
    fn decoded(chunks: &[Value]) -> Result<Response> {
        let mut decoder = Decoder::new(Memo::default());
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.frame(&frame(chunk), &mut events)?;
        }
        decoder.finish(&mut events)?;
        let mut grammar = translate::Grammar::default();
        events.iter().for_each(|event| grammar.check(event));
        Ok(translate::fold(events))
    }

    fn parts(parts: &Value) -> Value {
        json!({"responseId": "r1", "candidates": [{"content": {"role": "model", "parts": parts}}]})
    }

    fn end(reason: &str) -> Value {
        json!({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": reason}]})
    }

    /// T2, S4, regression case 26: calls of one name, one chunk each, and without ids of their own.
    #[test]
    fn parallel_calls_are_told_apart() {
        for (reason, finish) in
            [("STOP", Finish::ToolCalls), ("MAX_TOKENS", Finish::Length), ("SAFETY", Finish::ContentFilter)]
        {
            let call = |city: &str| parts(&json!([{"functionCall": {"name": "f", "args": {"city": city}}}]));
            let response = decoded(&[call("a"), call("b"), call("c"), end(reason)]).unwrap();
            assert_eq!(response.finish, finish);
            let ids: HashSet<String> = response
                .blocks
                .iter()
                .filter_map(|block| if let Block::ToolCall { id, .. } = block { Some(id.clone()) } else { None })
                .collect();
            assert_eq!(ids.len(), 3);
            assert!(ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
        }
    }

    /// E1: the body's end is an end only after a reason.
    #[test]
    fn an_end_without_a_reason_is_none() {
        assert!(matches!(decoded(&[parts(&json!([{"text": "a"}]))]), Err(Error::Interrupted { .. })));
        assert!(matches!(decoded(&[]), Err(Error::Interrupted { .. })));
        assert!(matches!(
            decoded(&[parts(&json!([{"text": "a"}])), end("MALFORMED_FUNCTION_CALL")]),
            Err(Error::BadReply { .. })
        ));
        // Older lines give a reason on every chunk; the last counts.
        let mut first = parts(&json!([{"text": "a"}]));
        first["candidates"][0]["finishReason"] = "STOP".into();
        assert_eq!(decoded(&[first, end("MAX_TOKENS")]).unwrap().finish, Finish::Length);
    }

    /// E2: a failed call that nothing came of is tried again, a block is an answer.
    #[test]
    fn what_proves_that_a_request_was_taken() {
        assert!(accepts(&frame(&parts(&json!([{"text": "a"}])))).unwrap());
        assert!(accepts(&frame(&json!({"promptFeedback": {"blockReason": "SAFETY"}}))).unwrap());
        assert!(!accepts(&frame(&json!({"usageMetadata": {"trafficType": "ON_DEMAND"}}))).unwrap());
        let failed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Bad."}]});
        assert!(matches!(accepts(&frame(&failed)), Err(Error::BadReply { message }) if message.contains("Bad.")));
        let error = json!({"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}});
        assert!(matches!(accepts(&frame(&error)), Err(Error::Upstream(_))));
    }

    /// R2: each signature stays with what it is of.
    #[test]
    fn signatures_keep_their_places() {
        let response = decoded(&[
            parts(&json!([{"text": "Hm.", "thought": true}, {"text": "a"}])),
            parts(&json!([{"functionCall": {"name": "f"}, "thoughtSignature": "S1"}, {"functionCall": {"name": "g", "args": {}}}])),
            parts(&json!([{"text": "", "thoughtSignature": "S2"}])),
            end("STOP"),
        ])
        .unwrap();
        let names: Vec<_> = response
            .blocks
            .iter()
            .map(|block| {
                if let Block::ToolCall { name, arguments, .. } = block {
                    return format!("{name}{arguments}");
                }
                if let Block::Reasoning { text, signature } = block {
                    return format!("{text}|{}", signature.clone().unwrap_or_default());
                }
                if let Block::Text { text, .. } = block { text.clone() } else { format!("{block:?}") }
            })
            .collect();
        assert_eq!(names, ["Hm.|", "a", "|google:call:S1", "f{}", "g{}", "|google:part:S2"]);
    }

    #[test]
    fn code_and_images_are_shown() {
        let response = decoded(&[
            parts(&json!([{"executableCode": {"language": "PYTHON", "code": "1+1\n"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}}])),
            parts(&json!([{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}, {"inlineData": {"mimeType": "audio/wav", "data": "x"}}])),
            end("STOP"),
        ])
        .unwrap();
        assert_eq!(response.blocks[0], Block::text("\n```python\n1+1\n```\n\n```\n2\n```\n"));
        assert!(
            matches!(&response.blocks[1], Block::Image { source: Source::Base64 { data, .. }, .. } if data == "iVBO")
        );
        assert_eq!(response.blocks.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]
        /// T1: white space goes, and nothing else does.
        #[test]
        fn compacting_keeps_the_value(text in "[ \\\\\"a\u{e9}\n]{0,12}", number in any::<i64>()) {
            let value = json!({"a": [text, number, null], "b c": {}});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), value.to_string());
        }

        /// R4: however the parts are spread over chunks, the answer is the same.
        #[test]
        fn chunks_may_be_cut_anywhere(kinds in proptest::collection::vec((0..4u8, "[a-z\u{4f60}]{0,4}"), 0..8), cuts in any::<u8>()) {
            let all: Vec<Value> = kinds.iter().map(|(kind, text)| match kind {
                0 => json!({"text": text}),
                1 => json!({"text": text, "thought": true}),
                2 => json!({"text": text, "thoughtSignature": "S"}),
                _ => json!({"functionCall": {"name": "f", "args": {"x": text}}}),
            }).collect();
            let together = decoded(&[parts(&Value::from(all.clone())), end("STOP")]).unwrap();
            let mut chunks: Vec<Value> = vec![parts(&json!([]))];
            let mut part = Vec::new();
            for (at, one) in all.into_iter().enumerate() {
                part.push(one);
                if cuts & (1 << (at % 8)) != 0 {
                    chunks.push(parts(&Value::from(std::mem::take(&mut part))));
                }
            }
            chunks.push(parts(&Value::from(part)));
            chunks.push(end("STOP"));
            prop_assert_eq!(decoded(&chunks).unwrap(), together);
        }

        /// Whatever a body is, it is read or refused, and the stream's grammar holds.
        #[test]
        fn any_bytes_are_read_or_refused(body in "[ -~]{0,60}") {
            let _ = whole(body.as_bytes(), &Memo::default());
            let _ = accepts(&Frame { raw: None, event: None, data: body.into() });
        }
    }
}
