//! The answer as nearly every upstream sends it: read in one typed pass, found in order, passed on.
//!
//! Anything out of the ordinary (an error, tool calls, parts, a foreign finish reason, counts in
//! unusual places) is no tidy answer, and the careful reading in `unary` takes over. So nothing is
//! decided here but that there is nothing to decide.
//!
//! Cost: one borrowed pass, no `Object`, no `Value`; a `Vec` of the choices.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    ir::Finish,
    wire::{Tally, openai_chat::usage},
};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: &'a RawValue,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// MiniMax's place for an error.
    #[serde(borrow, default)]
    base_resp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Cow<'a, str>,
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
}

/// The counts of an answer that needs no repair; `None` for any other.
pub(super) fn tally(body: &[u8]) -> Option<Tally> {
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    if answer.object != "chat.completion" || answer.error.is_some() || answer.base_resp.is_some() {
        return None;
    }
    let (mut finish, mut output_bytes) = (None, 0);
    for choice in &answer.choices {
        let text = choice.message.content?.get().strip_prefix('"')?;
        output_bytes += text.len().saturating_sub(1) as u64;
        if choice.message.tool_calls.is_some() {
            return None;
        }
        finish = Some(match &*choice.finish_reason {
            "stop" => Finish::Stop,
            "length" => Finish::Length,
            "content_filter" => Finish::ContentFilter,
            _ => return None,
        });
    }
    Some(Tally { usage: Some(usage(answer.usage.get())?), output_bytes, finish: Some(finish?) })
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
