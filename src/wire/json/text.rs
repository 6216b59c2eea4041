//! Text as a JSON string, many bytes at a time.
//!
//! `serde_json` looks at each byte on its own, which for a prompt of 64 kB was nearly half of a
//! translated request. Prose needs no escape for long stretches, and a stretch is found by a loop
//! without branches, which the compiler turns into vector instructions. The bytes that come out are
//! the same.
//!
//! Cost: one look at each byte and one copy; in [`text`] a second one.

use serde::{Serializer, ser::SerializeStruct};

use super::RAW;

/// Looked at together.
const STRIDE: usize = 32;
/// Below this, text costs less by the usual way than the room for it does.
const SHORT: usize = 48;

/// Text as a JSON string.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16 + 2);
    push_string(&mut out, text);
    out
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends `text` as it stands inside of a JSON string.
pub fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let (clean, after) = rest.split_at_checked(clean_bytes(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(clean);
        let mut chars = after.chars();
        let Some(special) = chars.next() else { return };
        escape(out, special);
        rest = chars.as_str();
    }
}

/// For `serialize_with`, on fields that hold prompts, answers or media.
pub fn text<T: AsRef<str>, S: Serializer>(text: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let text = text.as_ref();
    if text.len() < SHORT {
        return serializer.serialize_str(text);
    }
    let mut raw = serializer.serialize_struct(RAW, 1)?;
    raw.serialize_field(RAW, &string(text))?;
    raw.end()
}

/// The same for text that may be missing.
pub fn some_text<T: AsRef<str>, S: Serializer>(of: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match of {
        Some(some) => text(some, serializer),
        None => serializer.serialize_none(),
    }
}

/// How many bytes may stand in a string as they are, up to the first that may not.
fn clean_bytes(bytes: &[u8]) -> usize {
    let (strides, _) = bytes.as_chunks::<STRIDE>();
    let clean = strides.iter().take_while(|stride| !stride.iter().fold(false, |found, byte| found | is_special(*byte)));
    let from = clean.count() * STRIDE;
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

fn escape(out: &mut String, special: char) {
    match special {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        control => {
            let digit = |value: u32| char::from_digit(value & 0xf, 16).unwrap_or('0');
            out.push_str("\\u00");
            out.push(digit(u32::from(control) >> 4));
            out.push(digit(u32::from(control)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Fast<'a> {
        #[serde(serialize_with = "super::text")]
        text: &'a str,
        #[serde(serialize_with = "super::some_text", skip_serializing_if = "Option::is_none")]
        more: Option<String>,
    }

    #[derive(Serialize)]
    #[serde(tag = "type")]
    enum Tagged<'a> {
        A {
            #[serde(serialize_with = "super::text")]
            text: &'a str,
        },
    }

    #[test]
    fn every_byte_below_the_space_is_escaped_as_usual() {
        let all: String = (0..0x80_u8).map(char::from).collect();
        assert_eq!(string(&all), serde_json::to_string(&all).unwrap());
    }

    proptest! {
        #[test]
        fn it_writes_what_the_usual_way_writes(
            text in prop_oneof![any::<String>(), "[a-z \"\\\\\n\t\u{1}é]{0,200}", "[a-z ]{0,300}(\n|\"|é)?"],
        ) {
            prop_assert_eq!(string(&text), serde_json::to_string(&text).unwrap());
            let fast = Fast { text: &text, more: Some(text.clone()) };
            let usual = serde_json::json!({"text": text, "more": text}).to_string();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&serde_json::to_string(&fast).unwrap()).unwrap().to_string(), usual);
            let tagged = format!(r#"{{"type":"A","text":{}}}"#, string(&text));
            prop_assert_eq!(serde_json::to_string(&Tagged::A { text: &text }).unwrap(), tagged);
        }
    }
}
