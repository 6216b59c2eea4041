//! Answers that shall be no object: a list, a number, one of several words. Google's models give them by
//! a schema like any other; other vendors take a schema only for an object. So they are asked for an
//! object of one member, and the client gets what is in it, piece by piece as it comes.
//!
//! An answer that is no such object, a refusal for instance, passes as it is.
//!
//! Cost per piece of text, for such answers only: one look at each byte, and a copy.

use serde_json::value::RawValue;

use crate::wire::json::{Object, push_string};

/// The one member.
const MEMBER: &str = "value";
/// What a schema's references lead to, which must stay at its root.
const SHELVES: &[&str] = &["$defs", "definitions"];

/// Takes the member's value out of the text of an answer.
#[derive(Debug)]
pub(super) struct Unwrap {
    /// The value is a text, and the client wants it without quotes.
    is_word: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the value, with all that came so far.
    Before(String),
    Within {
        depth: u32,
        in_string: bool,
        escaped: bool,
        /// A word as it stands, which is no word before its end.
        word: String,
    },
    Behind,
    /// It was no such object.
    Other,
}

/// The schema of the object around what `schema` describes; `None` where that is an object already.
pub(super) fn wrap(schema: &RawValue) -> Option<Box<RawValue>> {
    let object = Object::parse_str(schema.get()).ok()?;
    let is_object = match object.present("type") {
        Some(kind) => kind.get() == "\"object\"",
        None => object.present("properties").is_some() || object.present("$ref").is_some(),
    };
    if is_object {
        return None;
    }
    let mut out = String::with_capacity(schema.get().len() + 128);
    out.push_str("{\"type\":\"object\",\"properties\":{");
    push_string(&mut out, MEMBER);
    out.push(':');
    let shelves: Vec<(&str, &RawValue)> =
        SHELVES.iter().filter_map(|name| Some((*name, object.present(name)?))).collect();
    let mut edits = object.edit();
    for (name, _) in &shelves {
        edits.remove(name);
    }
    out.push_str(&edits.apply());
    out.push_str("},\"required\":[");
    push_string(&mut out, MEMBER);
    out.push_str("],\"additionalProperties\":false");
    for (name, shelf) in shelves {
        out.push(',');
        push_string(&mut out, name);
        out.push(':');
        out.push_str(shelf.get());
    }
    out.push('}');
    RawValue::from_string(out).ok()
}

// === impl Unwrap ===

impl Unwrap {
    pub(super) fn new(is_word: bool) -> Self {
        Self { is_word, state: State::Before(String::new()) }
    }

    /// The next piece of the answer's text; what of the value is in it.
    pub(super) fn push(&mut self, text: &str) -> String {
        match &mut self.state {
            State::Other => text.to_owned(),
            State::Behind => String::new(),
            State::Within { .. } => self.within(text),
            State::Before(so_far) => {
                so_far.push_str(text);
                match begun(so_far) {
                    Begun::Yet => String::new(),
                    Begun::Not => {
                        let all = std::mem::take(so_far);
                        self.state = State::Other;
                        all
                    }
                    Begun::At(at) => {
                        let rest = so_far.get(at..).unwrap_or_default().to_owned();
                        self.state = State::Within { depth: 0, in_string: false, escaped: false, word: String::new() };
                        self.within(&rest)
                    }
                }
            }
        }
    }

    /// The answer has ended: whatever was kept, as it is.
    pub(super) fn finish(&mut self) -> String {
        match std::mem::replace(&mut self.state, State::Behind) {
            State::Before(so_far) => so_far,
            State::Within { word, .. } => word,
            State::Behind | State::Other => String::new(),
        }
    }

    fn within(&mut self, text: &str) -> String {
        let State::Within { depth, in_string, escaped, word } = &mut self.state else { return String::new() };
        let mut out = String::with_capacity(text.len());
        let mut ended = false;
        for c in text.chars() {
            match c {
                _ if *escaped => *escaped = false,
                '\\' => *escaped = *in_string,
                '"' => *in_string = !*in_string,
                _ if *in_string => {}
                '{' | '[' => *depth += 1,
                '}' if *depth == 0 => {
                    ended = true;
                    break;
                }
                '}' | ']' => *depth = depth.saturating_sub(1),
                // Between the value and the end of the object.
                _ if *depth == 0 && c.is_ascii_whitespace() => continue,
                _ => {}
            }
            out.push(c);
        }
        if self.is_word {
            word.push_str(&out);
            out.clear();
        }
        if ended {
            let word = std::mem::take(word);
            self.state = State::Behind;
            if self.is_word {
                return serde_json::from_str(&word).unwrap_or(word);
            }
        }
        out
    }
}

/// Whether the value has begun.
enum Begun {
    Yet,
    Not,
    At(usize),
}

fn begun(text: &str) -> Begun {
    let mut rest = text;
    for token in ["{", "\"value\"", ":"] {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Begun::Yet,
            None => return Begun::Not,
        }
    }
    Begun::At(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(schema: &str) -> Option<String> {
        wrap(&RawValue::from_string(schema.into()).unwrap()).map(|raw| raw.get().to_owned())
    }

    fn unwrapped(is_word: bool, pieces: &[&str]) -> String {
        let mut unwrap = Unwrap::new(is_word);
        let said: String = pieces.iter().map(|piece| unwrap.push(piece)).collect();
        said + &unwrap.finish()
    }

    #[test]
    fn only_what_is_no_object_is_wrapped() {
        for object in [r#"{"type":"object"}"#, r#"{"properties":{}}"#, r##"{"$ref":"#/$defs/a"}"##] {
            assert_eq!(wrapped(object), None, "{object}");
        }
        assert_eq!(
            wrapped(r##"{"type":"array","items":{"$ref":"#/$defs/a"},"$defs":{"a":{"type":"string"}}}"##).unwrap(),
            r##"{"type":"object","properties":{"value":{"type":"array","items":{"$ref":"#/$defs/a"}}},"required":["value"],"additionalProperties":false,"$defs":{"a":{"type":"string"}}}"##
        );
        assert!(wrapped(r#"{"type":["object","null"]}"#).is_some() && wrapped(r#"{"enum":["a"]}"#).is_some());
    }

    #[test]
    fn the_value_is_what_is_left() {
        for (text, value) in [
            (r#"{"value":[1, {"a":"}"}]}"#, r#"[1, {"a":"}"}]"#),
            (" { \"value\" : 5 \n} ", "5"),
            (r#"{"value":"a\"}b"}"#, r#""a\"}b""#),
            (r#"{"value":{"value":null}}"#, r#"{"value":null}"#),
            ("I cannot.", "I cannot."),
            (r#"{"valued":1}"#, r#"{"valued":1}"#),
            (r#"{"val"#, r#"{"val"#),
            (r#"{"value":[1,"cut"#, r#"[1,"cut"#),
            ("", ""),
        ] {
            assert_eq!(unwrapped(false, &[text]), value, "{text}");
        }
        assert_eq!(unwrapped(true, &[r#"{"value":"Str"#, r#"ing\n"}"#]), "String\n");
        assert_eq!(unwrapped(true, &["Perc", "ussion"]), "Percussion");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]
        /// S9: however the text is cut, the value is the same, and it is the one that was wrapped.
        #[test]
        fn any_cut_gives_the_same(texts in proptest::collection::vec("[ -~\u{4f60}]{0,8}", 0..4), cut in any::<u64>()) {
            let value = serde_json::json!(texts);
            let answer = serde_json::json!({ "value": value }).to_string();
            let mut pieces: Vec<String> = vec![String::new()];
            for (at, c) in answer.chars().enumerate() {
                if cut & (1 << (at % 64)) != 0 {
                    pieces.push(String::new());
                }
                pieces.last_mut().unwrap().push(c);
            }
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(unwrapped(false, &pieces), value.to_string());
        }
    }
}
