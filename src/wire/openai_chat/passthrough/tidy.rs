//! The answer as nearly every upstream sends it: looked over, found in order, passed on.
//!
//! Anything out of the ordinary (an error, tool calls, parts, a foreign finish reason, counts in
//! unusual places) is no tidy answer, and the careful reading in `unary` takes over. So nothing is
//! decided here but that there is nothing to decide.
//!
//! Cost: a jump over each string, no `Value`; a `Vec` of members for each object looked into.

use serde_json::value::RawValue;

use crate::{
    ir::Finish,
    wire::{
        Tally,
        json::{Object, items},
        openai_chat::usage,
    },
};

/// The counts of an answer that needs no repair; `None` for any other.
pub(super) fn tally(body: &[u8]) -> Option<Tally> {
    let answer = Object::parse_str(std::str::from_utf8(body).ok()?).ok()?;
    let is_error = answer.present("error").is_some() || answer.present("base_resp").is_some();
    if text(answer.get("object")?)? != "chat.completion" || is_error {
        return None;
    }
    let (mut finish, mut output_bytes) = (None, 0);
    for choice in items(answer.get("choices")?.get()).ok()? {
        let choice = Object::parse_str(choice.get()).ok()?;
        let message = Object::parse_str(choice.get("message")?.get()).ok()?;
        output_bytes += text(message.get("content")?)?.len() as u64;
        if message.present("tool_calls").is_some() {
            return None;
        }
        finish = Some(match text(choice.get("finish_reason")?)? {
            "stop" => Finish::Stop,
            "length" => Finish::Length,
            "content_filter" => Finish::ContentFilter,
            _ => return None,
        });
    }
    Some(Tally { usage: Some(usage(answer.get("usage")?.get())?), output_bytes, finish: Some(finish?) })
}

/// A string as it is written, between its quotes.
fn text(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
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
