//! One look over a chunk's keys: may it pass as it is?
//!
//! Nearly every chunk of a stream carries a piece of text and nothing else. To find that out no
//! JSON is parsed: the look goes from colon to colon, knows the key before it and what begins
//! after it, and jumps over strings, so that no text the model writes can be taken for a key. All
//! that is not plainly harmless is left to the careful reading in `chunk.rs`, which knows depth.
//!
//! Cost: two or three `memchr` steps per key, a jump over each string; no allocation.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr3, memrchr};

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peek {
    /// Nothing but text: forward it untouched. `text` is the place of the text, where there is one.
    Plain { output_bytes: u64, text: Option<Range<usize>> },
    /// The same, but for a top-level `,"usage":null` at this place.
    NullUsage { output_bytes: u64, cut: Range<usize> },
    /// Something that must be read.
    Careful,
}

/// A key, and what begins after it.
pub(super) struct Field<'a> {
    key_start: usize,
    pub(super) key: &'a [u8],
    pub(super) value_start: usize,
    /// All that follows, the value first.
    pub(super) value: &'a [u8],
    /// What a string holds, as it is written.
    pub(super) text: Option<&'a [u8]>,
    /// Past a string; where the value begins, if it is none.
    pub(super) end: usize,
}

/// What one key means for the verdict.
enum Key {
    Harmless,
    Output,
    Choices,
    Delta,
    Usage,
    /// Harmless only when it is `null`.
    Null,
    /// Harmless when it is `null` or `[]`.
    Calls,
}

/// Looks at a chunk. With `keep_usage` a `usage` that is null may stay.
pub(super) fn peek(data: &[u8], keep_usage: bool) -> Peek {
    look(data, keep_usage).unwrap_or(Peek::Careful)
}

/// `None` where only careful reading can tell.
fn look(data: &[u8], keep_usage: bool) -> Option<Peek> {
    if data.first() != Some(&b'{') || data.last() != Some(&b'}') {
        return None;
    }
    let (mut choices, mut delta, mut cut, mut output_bytes) = (false, false, None, 0);
    let (mut text, mut texts) = (None, 0);
    let mut at = 0;
    while let Some(field) = next_field(data, at)? {
        at = field.end;
        let Field { key_start, key, value_start, value, .. } = field;
        let (is_null, is_text) = (value.starts_with(b"null"), field.text.is_some());
        match kind(key) {
            Key::Harmless => {}
            Key::Output if is_text => {
                output_bytes += (at - value_start - 2) as u64;
                (text, texts) = (Some(value_start + 1..at - 1), texts + 1);
            }
            Key::Choices if opens_with(value, b'[', b'{') => choices = true,
            Key::Delta if value.first() == Some(&b'{') => delta = true,
            Key::Usage if is_null && keep_usage => {}
            Key::Usage if is_null && cut.is_none() => cut = Some(usage_cut(data, key_start, value_start + 4)?),
            Key::Output | Key::Null | Key::Calls if is_null => {}
            Key::Calls if opens_with(value, b'[', b']') => {}
            Key::Output | Key::Choices | Key::Delta | Key::Usage | Key::Null | Key::Calls => return None,
        }
    }
    if !(choices && delta) {
        return None;
    }
    Some(match cut {
        Some(cut) => Peek::NullUsage { output_bytes, cut },
        None => Peek::Plain { output_bytes, text: text.filter(|_| texts == 1) },
    })
}

fn kind(key: &[u8]) -> Key {
    match key {
        b"content" | b"reasoning_content" | b"reasoning" | b"refusal" => Key::Output,
        b"choices" => Key::Choices,
        b"delta" => Key::Delta,
        b"usage" => Key::Usage,
        b"error" | b"finish_reason" | b"role" | b"function_call" | b"base_resp" => Key::Null,
        b"tool_calls" => Key::Calls,
        _ => Key::Harmless,
    }
}

/// The first key at `at` or behind it; `Some(None)` when there is none, and `None` where only careful
/// reading can tell.
pub(super) fn next_field(data: &[u8], at: usize) -> Option<Option<Field<'_>>> {
    let Some(colon) = memchr(b':', data.get(at..)?).map(|found| at + found) else { return Some(None) };
    let (key_start, key) = key_before(data, colon)?;
    let value_start = skip_space(data, colon + 1);
    let value = data.get(value_start..)?;
    let (text, end) = if value.first() == Some(&b'"') {
        let end = string_end(data, value_start + 1)?;
        (Some(data.get(value_start + 1..end - 1)?), end)
    } else {
        (None, value_start)
    };
    Some(Some(Field { key_start, key, value_start, value, text, end }))
}

/// The key that a colon follows at once, and where its opening quote stands. Strings have been
/// jumped over, so a colon that no quote precedes follows a space, or this is not JSON.
fn key_before(data: &[u8], colon: usize) -> Option<(usize, &[u8])> {
    let before = data.get(..colon)?.strip_suffix(b"\"")?;
    let start = memrchr(b'"', before)?;
    Some((start, before.get(start + 1..)?))
}

/// Where the string ends whose first character stands at `at`: past its closing quote.
pub(super) fn string_end(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = at + memchr2(b'"', b'\\', data.get(at..)?)?;
        if data.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Whether `value` is `first` and then, but for white space, `second`.
pub(super) fn opens_with(value: &[u8], first: u8, second: u8) -> bool {
    value.first() == Some(&first) && value.get(skip_space(value, 1)) == Some(&second)
}

fn skip_space(data: &[u8], mut at: usize) -> usize {
    while data.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The bytes to leave out for a null `usage`, comma before it included. Only when it stands at the
/// top level, which is proven when no bracket follows it but the last one.
fn usage_cut(data: &[u8], key_start: usize, value_end: usize) -> Option<Range<usize>> {
    let comma = key_start.checked_sub(1)?;
    let bracket = value_end + memchr3(b'{', b'[', b'}', data.get(value_end..)?)?;
    (data.get(comma) == Some(&b',') && bracket + 1 == data.len()).then_some(comma..value_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str, keep_usage: bool) -> Option<u64> {
        match peek(json.as_bytes(), keep_usage) {
            Peek::Plain { output_bytes, .. } => Some(output_bytes),
            Peek::NullUsage { .. } | Peek::Careful => None,
        }
    }

    fn chunk(delta: &str) -> String {
        format!(
            r#"{{"id":"c","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":null}}]}}"#
        )
    }

    #[test]
    fn text_is_plain_and_measured() {
        assert_eq!(plain(&chunk(r#""content":"Hello""#), false), Some(5));
        assert_eq!(plain(&chunk(r#""content":"a\"b\\""#), false), Some(6));
        assert_eq!(plain(&chunk(r#""content":null,"reasoning_content":"abc""#), false), Some(3));
        assert_eq!(plain(&chunk(r#""refusal":"no","tool_calls":[ ]"#), false), Some(2));
        assert_eq!(plain(&chunk(""), false), Some(0));
        let spaced = r#"{"id": "c", "choices": [ {"index": 0, "delta": {"content": "x: \"usage\":1"}}]}"#;
        assert_eq!(plain(spaced, false), Some(14));
    }

    /// Whatever the model writes, its text is never taken for a key.
    #[test]
    fn text_is_never_a_key() {
        for text in [r#"\"error\":1"#, r#"\"usage\":null"#, "a : b", r"\\", "}:{[", r#"x\""#] {
            assert_eq!(plain(&chunk(&format!(r#""content":"{text}""#)), false), Some(text.len() as u64), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_read_with_care() {
        for json in [
            chunk(r#""role":"assistant""#),
            chunk(r#""content":[{"type":"text","text":"x"}]"#),
            chunk(r#""content":{}"#),
            chunk(r#""tool_calls":[{"index":0}]"#),
            chunk(r#""content":"x""#).replace("null", r#""stop""#),
            chunk(r#""content":"x""#).replace("null", r#""""#),
            chunk(r#""content" :"x""#),
            chunk("").replace(r#""delta""#, r#""dela""#),
            r#"{"choices":[]}"#.into(),
            r#"{"choices": [ ],"delta":{}}"#.into(),
            r#"{"error":{"message":"x"},"choices":[{"delta":{}}]}"#.into(),
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#.into(),
            r#"{"choices":[{"delta":{"content":"cut"#.into(),
            "[1]".into(),
            String::new(),
        ] {
            assert_eq!(peek(json.as_bytes(), true), Peek::Careful, "{json}");
        }
        assert_eq!(plain(&chunk(r#""error":null"#), true), Some(0));
    }

    /// S1: a null usage is cut without reading the chunk, where it is surely the chunk's own.
    #[test]
    fn null_usage() {
        let start = r#"{"choices":[{"delta":{"content":"x"}}]"#;
        for tail in [r#","usage":null}"#, r#","usage": null,"obfuscation":"a:b"}"#, r#","usage":null , "x":1}"#] {
            let json = format!("{start}{tail}");
            assert_eq!(plain(&json, true), Some(1), "{json}");
            let Peek::NullUsage { output_bytes: 1, cut } = peek(json.as_bytes(), false) else { panic!("{json}") };
            let left = format!("{}{}", &json[..cut.start], &json[cut.end..]);
            let mut whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
            whole.remove("usage");
            assert_eq!(serde_json::from_str::<serde_json::Map<_, _>>(&left).unwrap(), whole);
        }
        for tail in [r#","v":{"usage":null}}"#, r#","usage":null,"v":[1]}"#, r#", "usage":null}"#] {
            assert_eq!(peek(format!("{start}{tail}").as_bytes(), false), Peek::Careful, "{tail}");
        }
    }
}
