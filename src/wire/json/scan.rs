//! Where the members of an object stand, or the items of an array, found by jumping from string to string.
//!
//! A prompt is one long string in a small object, so nearly all of a body lies between two quotes,
//! where `memchr` is some ten times faster than a parser that looks at each byte. What is accepted
//! is JSON; what is not plainly so (an escaped key, deep nesting, an error) is nobody's business
//! here: the caller asks `serde_json`, which also has the words for what is wrong.
//!
//! Cost: a jump over each string, a few instructions for each other byte, one `Vec`. A body of 64 kB
//! takes a sixth of the instructions that `serde_json` needs to pass over it.

use std::{borrow::Cow, iter};

use memchr::memchr2;
use serde::{
    Deserialize,
    de::value::{BorrowedStrDeserializer, Error, MapDeserializer},
};
use serde_json::value::RawValue;

use super::{Member, RAW, document::Span};

/// Deeper nesting is left to `serde_json`.
const DEEPEST: u32 = 60;
/// Names and most values are no longer, in words of eight bytes; to look at these costs less than to begin
/// a search.
const SHORT_WORDS: usize = 3;

/// The members of the object that `text` is; `None` where only a parser can tell.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut scan = Scan::new(text);
    let mut members = Vec::with_capacity(8);
    scan.expect(b'{')?;
    if scan.next_is(b'}') {
        scan.at += 1;
    } else {
        loop {
            let (start, key) = scan.key()?;
            let value = scan.value()?;
            members.push(Member { key: Cow::Borrowed(key), value: raw(value)?, span: start..scan.at });
            match scan.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
    }
    scan.space();
    (scan.at == text.len()).then_some(members)
}

/// The items of the array that `text` is; `None` where only a parser can tell.
pub(super) fn items(text: &str) -> Option<Vec<&RawValue>> {
    let mut scan = Scan::new(text);
    let mut items = Vec::new();
    scan.expect(b'[')?;
    if scan.next_is(b']') {
        scan.at += 1;
    } else {
        loop {
            items.push(raw(scan.value()?)?);
            match scan.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
    }
    scan.space();
    (scan.at == text.len()).then_some(items)
}

/// Where all values of the text stand, and the names of members before theirs; `None` where the text is no
/// JSON.
pub(super) fn spans(text: &str) -> Option<Vec<Span>> {
    let (mut scan, mut spans) = (Scan::new(text), Vec::with_capacity(64));
    // The arrays and objects whose end is to come.
    let mut open: Vec<(usize, bool)> = Vec::with_capacity(8);
    loop {
        scan.space();
        let (at, start, byte) = (spans.len(), scan.at, scan.next()?);
        spans.push(Span::new(start, start)?);
        match end_of(byte) {
            Some(end) if scan.next_is(end) => scan.at += 1,
            Some(_) => {
                let is_object = byte == b'{';
                open.push((at, is_object));
                if is_object {
                    spans.push(scan.name()?);
                }
                continue;
            }
            None => spans.last_mut()?.has_escapes = scan.scalar(byte)?,
        }
        close(&mut spans, at, scan.at)?;
        loop {
            let Some((container, is_object)) = open.last().copied() else {
                scan.space();
                return (scan.at == text.len()).then_some(spans);
            };
            match (scan.next()?, is_object) {
                (b',', true) => spans.push(scan.name()?),
                (b',', false) => {}
                (b'}', true) | (b']', false) => {
                    open.pop();
                    close(&mut spans, container, scan.at)?;
                    continue;
                }
                _ => return None,
            }
            break;
        }
    }
}

fn close(spans: &mut [Span], at: usize, end: usize) -> Option<()> {
    let next = u32::try_from(spans.len()).ok()?;
    let span = spans.get_mut(at)?;
    (span.end, span.next) = (u32::try_from(end).ok()?, next);
    Some(())
}

/// What an array or an object ends with; `None` for what begins another value.
fn end_of(byte: u8) -> Option<u8> {
    match byte {
        b'{' => Some(b'}'),
        b'[' => Some(b']'),
        _ => None,
    }
}

/// Where a string ends, or has an escape.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words.iter().take(SHORT_WORDS) {
        let word = u64::from_le_bytes(*word);
        let found = first_of(word, b'"') | first_of(word, b'\\');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

/// A bit in the lowest byte of a word that is `byte`, and perhaps in higher ones ("Determine if a word
/// has a zero byte", Anderson, Bit Twiddling Hacks).
fn first_of(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let differs = word ^ (ONES * u64::from(byte));
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

/// A text that is known to be one JSON value. There is no cheaper way without `unsafe`.
pub(super) fn raw(json: &str) -> Option<&RawValue> {
    let only = iter::once((RAW, BorrowedStrDeserializer::<Error>::new(json)));
    <&RawValue>::deserialize(MapDeserializer::<_, Error>::new(only)).ok()
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// Somewhere there is a byte that no string may hold, such as the line ends of written-out JSON.
    has_controls: bool,
}

// === impl Scan ===

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        // Without a way out of the loop, so that it takes many bytes at once.
        let least = text.bytes().fold(u8::MAX, |least, byte| least.min(byte));
        Self { text, at: 0, has_controls: least < b' ' }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        self.peek() == Some(byte)
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Where a key opens, and the key; past its colon.
    fn key(&mut self) -> Option<(usize, &'a str)> {
        self.expect(b'"')?;
        let start = self.at;
        let has_escapes = self.string()?;
        let key = self.text.get(start..self.at - 1)?;
        self.expect(b':')?;
        (!has_escapes).then_some((start - 1, key))
    }

    /// The place of a member's name, without its quotes; past its colon.
    fn name(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let start = self.at;
        let has_escapes = self.string()?;
        let name = Span::new(start, self.at - 1)?;
        self.expect(b':')?;
        Some(Span { has_escapes, ..name })
    }

    /// Past a string whose quote has been read. Tells whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        let bytes = self.text.as_bytes();
        let (start, mut has_escapes) = (self.at, false);
        loop {
            let found = self.at + quote_or_escape(bytes.get(self.at..)?)?;
            self.at = found + 1;
            if bytes.get(found) == Some(&b'"') {
                let is_clean = !self.has_controls || bytes.get(start..found)?.iter().all(|byte| *byte >= b' ');
                return is_clean.then_some(has_escapes);
            }
            has_escapes = true;
            let escaped = self.peek()?;
            self.at += 1;
            match escaped {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    let digits = bytes.get(self.at..self.at + 4)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return None;
                    }
                    self.at += 4;
                }
                _ => return None,
            }
        }
    }

    /// Passes over one value, whatever is in it.
    fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        // What is open, the innermost in the lowest bit: an object is a one.
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            let byte = self.next()?;
            match end_of(byte) {
                Some(end) if self.next_is(end) => self.at += 1,
                Some(_) => {
                    let is_object = u64::from(byte == b'{');
                    (open, depth) = (open << 1 | is_object, depth + 1);
                    if depth > DEEPEST {
                        return None;
                    }
                    if is_object == 1 {
                        self.key()?;
                    }
                    continue;
                }
                None => drop(self.scalar(byte)?),
            }
            loop {
                if depth == 0 {
                    return self.text.get(start..self.at);
                }
                match (self.next()?, open & 1) {
                    (b',', 1) => drop(self.key()?),
                    (b',', _) => {}
                    (b'}', 1) | (b']', 0) => {
                        (open, depth) = (open >> 1, depth - 1);
                        continue;
                    }
                    _ => return None,
                }
                break;
            }
        }
    }

    /// The rest of a value that holds no others. Tells whether it has escapes.
    fn scalar(&mut self, first: u8) -> Option<bool> {
        match first {
            b'"' => return self.string(),
            b't' => self.word(b"rue")?,
            b'f' => self.word(b"alse")?,
            b'n' => self.word(b"ull")?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            _ => return None,
        }
        Some(false)
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        found.then_some(())
    }

    /// The rest of a number whose first byte has been read.
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' {
            self.at += 1;
            *self.text.as_bytes().get(self.at - 1)?
        } else {
            first
        };
        match first {
            b'0' => {}
            b'1'..=b'9' => drop(self.digits()),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            (self.digits() > 0).then_some(())?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            (self.digits() > 0).then_some(())?;
        }
        Some(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What a parser finds, where it finds an object.
    fn parsed(text: &str) -> Option<Vec<(String, String)>> {
        let super::super::Members(pairs) = serde_json::from_str(text).ok()?;
        Some(pairs.into_iter().map(|(key, value)| (key.into_owned(), value.get().to_owned())).collect())
    }

    fn scanned(text: &str) -> Option<Vec<(String, String)>> {
        let members = members(text)?;
        for member in &members {
            let whole = text.get(member.span.clone()).unwrap();
            assert!(whole.starts_with('"') && whole.ends_with(member.value.get()), "{whole}");
        }
        Some(members.into_iter().map(|member| (member.key.into_owned(), member.value.get().to_owned())).collect())
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\[\\]{}:,\"\\\\ a]{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-c\"\\\\]{0,3}", inner), 0..5)
                    .prop_map(|pairs| pairs.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    #[test]
    fn usual_objects_are_scanned() {
        for text in [
            "{}",
            " { } ",
            r#"{"model":"a/b","messages":[{"role":"user","content":"say \"hi\" \u00e9\n"}],"n":-1.5e+3,"stream":true}"#,
            "{\n  \"a\" : [ ] ,\r\n\t\"b\" : { } , \"c\" : null }\n",
        ] {
            assert!(scanned(text).is_some(), "{text}");
            assert_eq!(scanned(text), parsed(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_not() {
        for text in [
            "",
            "[]",
            "null",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{\"a\":-}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":[1,]}",
            "{\"a\":[1}",
            "{\"a\":{1}}",
            "{\"a\":tru}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u00g0\"}",
            "{\"a\":\"b\nc\"}",
            "{\"a\":\"b",
            "{\"a\":[{\"b\":2]}",
            "{\"a\" 1}",
        ] {
            assert_eq!(parsed(text), None, "{text}");
            assert_eq!(scanned(text), None, "{text}");
        }
    }

    #[test]
    fn hard_ones_are_left_to_the_parser() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        for text in [r#"{"mod\u0065l":1}"#, &deep] {
            assert!(scanned(text).is_none() && parsed(text).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_parser_finds(value in any_value(), pretty in any::<bool>()) {
            let object = json!({"first": value, "second": [value]});
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let found = scanned(&text);
            prop_assert!(found.is_none() || found == parsed(&text), "{text}");
            let text = &text[text.find("\"first\"").unwrap() + 8..text.rfind("\"second\"").unwrap()];
            let array = format!("[{}]", text.trim_end().trim_end_matches(','));
            let texts = |items: Vec<&RawValue>| items.into_iter().map(|item| item.get().to_owned()).collect::<Vec<_>>();
            let parsed: Vec<&RawValue> = serde_json::from_str(&array).unwrap();
            prop_assert!(items(&array).is_none_or(|found| texts(found) == texts(parsed)), "{array}");
        }

        /// Whatever is accepted is JSON, and is read the same.
        #[test]
        fn it_accepts_only_json(value in any_value(), at in any::<prop::sample::Index>(), byte in "[\\[\\]{}:,\"\\\\ 0-9e.\n-]?") {
            let text = json!({"k": value, "l": 1}).to_string();
            let mut cut = at.index(text.len());
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            for text in [format!("{}{byte}{}", &text[..cut], &text[cut..]), format!("{}{byte}", &text[..cut])] {
                if let Some(found) = scanned(&text) {
                    prop_assert_eq!(Some(found), parsed(&text), "{}", text);
                }
            }
        }
    }
}
