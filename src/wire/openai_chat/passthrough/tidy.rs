//! The answer as nearly every upstream sends it: looked over, found in order, passed on.
//!
//! Anything out of the ordinary (an error, tool calls, parts, a foreign finish reason, counts in
//! unusual places) is no tidy answer, and the careful reading in `unary` takes over. So nothing is
//! decided here but that there is nothing to decide.
//!
//! Cost: the look that `peek` has at a chunk, at every key of the answer; the counts are parsed.

use serde_json::value::RawValue;

use super::peek::{next_field, opens_with};
use crate::{
    ir::{Finish, Usage},
    wire::{
        Tally,
        openai_chat::{leading_usage, usage},
    },
};

/// The counts of an answer that needs no repair; `None` for any other.
pub(super) fn tally(body: &[u8]) -> Option<Tally> {
    if body.first() != Some(&b'{') || body.last() != Some(&b'}') {
        return None;
    }
    let (mut is_completion, mut has_choices) = (false, false);
    let (mut messages, mut texts, mut finishes) = (0, 0, 0);
    let mut tally = Tally::default();
    let mut at = 0;
    while let Some(field) = next_field(body, at)? {
        at = field.end;
        match field.key {
            b"object" if field.text == Some(b"chat.completion") => is_completion = true,
            b"choices" if opens_with(field.value, b'[', b'{') => has_choices = true,
            b"message" if field.value.starts_with(b"{") => messages += 1,
            b"content" => {
                texts += 1;
                tally.output_bytes += field.text?.len() as u64;
            }
            b"finish_reason" => {
                finishes += 1;
                tally.finish = Some(finish(field.text?)?);
            }
            b"usage" if tally.usage.is_none() => {
                let (counts, length) = counts(field.value)?;
                tally.usage = Some(counts);
                at = field.value_start + length;
            }
            b"tool_calls" | b"function_call" | b"error" | b"base_resp" if field.value.starts_with(b"null") => {}
            b"object" | b"choices" | b"message" | b"usage" | b"tool_calls" | b"function_call" | b"error"
            | b"base_resp" => return None,
            _ => {}
        }
    }
    let is_whole = is_completion && has_choices && messages > 0 && texts == messages && finishes == messages;
    (is_whole && tally.usage.is_some()).then_some(tally)
}

fn finish(reason: &[u8]) -> Option<Finish> {
    match reason {
        b"stop" => Some(Finish::Stop),
        b"length" => Some(Finish::Length),
        b"content_filter" => Some(Finish::ContentFilter),
        _ => None,
    }
}

/// The counts that `json` begins with, and how long they are.
fn counts(json: &[u8]) -> Option<(Usage, usize)> {
    leading_usage(json).or_else(|| {
        let first: &RawValue = serde_json::Deserializer::from_slice(json).into_iter().next()?.ok()?;
        Some((usage(first.get())?, first.get().len()))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::openai_chat::unary;

    const TIDY: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},"new":1e2}"#;

    /// S2: a tidy answer is the upstream's own allocation, and its counts are read.
    #[test]
    fn a_tidy_answer_passes_untouched() {
        let body = Bytes::from_static(TIDY.as_bytes());
        let (out, tally) = unary(&body).unwrap();
        assert_eq!((out.as_ptr(), out.len()), (body.as_ptr(), body.len()));
        assert_eq!(tally.finish, Some(Finish::Length));
        assert_eq!(tally.usage.map(|usage| (usage.prompt(), usage.output)), Some((9, 2)));
    }

    #[test]
    fn anything_else_is_read_with_care() {
        assert!(tally(TIDY.as_bytes()).is_some());
        for (from, to) in [
            ("chat.completion", "chat.done"),
            ("\"length\"", "\"eos\""),
            ("\"length\"", "null"),
            ("\"Hi\"", "null"),
            ("\"Hi\"", "[]"),
            ("\"refusal\":null", "\"tool_calls\":[]"),
            ("\"new\":1e2", "\"error\":{}"),
            ("\"new\":1e2", "\"base_resp\":{}"),
            ("\"prompt_tokens\":9,\"completion_tokens\":2,", ""),
            ("\"choices\"", "\"choice\""),
        ] {
            assert!(tally(TIDY.replace(from, to).as_bytes()).is_none(), "{from} -> {to}");
        }
    }
}
