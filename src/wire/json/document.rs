//! A JSON object that is looked into at every depth: read once, and every value in it found by its place.
//!
//! [`Object`](super::Object) knows the members of one object, which is all that the byte path needs. A
//! translator looks at everything, and would read the innermost text once for each level around it.
//!
//! Cost: one pass (`scan`), two `Vec`s of places, and one of members for each object that is looked into.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{not_json, scan, unescaped};
use crate::error::Result;

/// The text of one object, and the places of its values.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    spans: Vec<Span>,
}

/// One value of a document.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    document: &'a Document<'a>,
    at: usize,
}

/// Where a value stands, or the name of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    /// The place behind the last value in this one.
    pub(super) next: u32,
    pub(super) has_escapes: bool,
}

/// The values in an array, or the names and values in an object.
struct Inner<'a> {
    document: &'a Document<'a>,
    at: usize,
    end: usize,
}

// === impl Document ===

impl<'t> Document<'t> {
    /// Fails when `text` is no JSON object; the error names no field.
    pub fn parse(text: &'t [u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| not_json("it is not UTF-8"))?;
        match scan::spans(text).filter(|_| text.trim_ascii_start().starts_with('{')) {
            Some(spans) => Ok(Self { text, spans }),
            // It has the words for what is wrong.
            None => Err(match super::Object::parse_str(text) {
                Err(why) => not_json(&why.to_string()),
                Ok(_) => not_json("it is too large"),
            }),
        }
    }

    /// The object itself.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, at: 0 }
    }

    fn span(&self, at: usize) -> Span {
        self.spans.get(at).copied().unwrap_or(Span { start: 0, end: 0, next: 0, has_escapes: false })
    }

    fn text(&self, span: Span) -> &'t str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn name(&self, span: Span) -> Cow<'t, str> {
        let name = self.text(span);
        match span.has_escapes {
            false => Cow::Borrowed(name),
            true => unescaped(&format!("\"{name}\"")).map(|name| Cow::Owned(name.into_owned())).unwrap_or_default(),
        }
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// As it is written.
    pub fn text(&self) -> &'a str {
        self.document.text(self.document.span(self.at))
    }

    pub fn raw(&self) -> &'a RawValue {
        scan::raw(self.text()).unwrap_or(RawValue::NULL)
    }

    /// What a string stands for, borrowed unless it holds escapes; `None` when it is none, or no text.
    pub fn str(&self) -> Option<Cow<'a, str>> {
        match self.document.span(self.at) {
            _ if !self.begins_with(b'"') => None,
            span if span.has_escapes => unescaped(self.document.text(span)),
            Span { start, end, .. } => self.document.text.get(start as usize + 1..end as usize - 1).map(Cow::Borrowed),
        }
    }

    /// The members of an object, in order; none for other values.
    pub fn members(&self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        if !self.begins_with(b'{') {
            return Vec::new();
        }
        let (mut inner, mut members) = (self.inner(), Vec::with_capacity(8));
        while inner.at < inner.end {
            let name = self.document.name(self.document.span(inner.at));
            inner.at += 1;
            members.extend(inner.next().map(|value| (name, value)));
        }
        members
    }

    /// The items of an array; `None` for other values.
    pub fn items(&self) -> Option<impl Iterator<Item = Value<'a>> + use<'a>> {
        self.begins_with(b'[').then(|| self.inner())
    }

    fn begins_with(&self, byte: u8) -> bool {
        self.document.text.as_bytes().get(self.document.span(self.at).start as usize) == Some(&byte)
    }

    fn inner(&self) -> Inner<'a> {
        Inner { document: self.document, at: self.at + 1, end: self.document.span(self.at).next as usize }
    }
}

// === impl Span ===

impl Span {
    /// `None` beyond four gigabytes.
    pub(super) fn new(start: usize, end: usize) -> Option<Self> {
        let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
        Some(Self { start, end, next: 0, has_escapes: false })
    }
}

// === impl Inner ===

impl<'a> Iterator for Inner<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.at >= self.end {
            return None;
        }
        let value = Value { document: self.document, at: self.at };
        self.at = self.document.span(self.at).next as usize;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    /// The value once more, found by its places.
    fn rebuilt(value: Value<'_>) -> Json {
        if let Some(items) = value.items() {
            return items.map(rebuilt).collect::<Vec<_>>().into();
        }
        if value.text().starts_with('{') {
            let members = value.members().into_iter().map(|(name, value)| (name.into_owned(), rebuilt(value)));
            return members.collect::<serde_json::Map<_, _>>().into();
        }
        match value.str() {
            Some(text) => text.into_owned().into(),
            None => serde_json::from_str(value.raw().get()).unwrap(),
        }
    }

    fn any_value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[\\[\\]{}:,\"\\\\ a]{0,30}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::vec(("[a-c\"\\\\]{0,3}", inner), 0..5)
                    .prop_map(|pairs| pairs.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_found(value in any_value(), pretty in any::<bool>()) {
            let object = json!({"a": value, "b": [value], "": {"c": value}});
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let document = Document::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(rebuilt(document.root()), object);
        }

        /// What it takes for JSON is what a parser takes for it.
        #[test]
        fn it_takes_what_a_parser_takes(text in "[{}\\[\\]:,\"\\\\ a1.e+-]{0,12}|\\{\"[a-c]\":[0-9.eE+-]{1,5}(,\"b\" ?: ?(true|nul+|\"\\\\[a-u]\"))?\\}") {
            let is_object = serde_json::from_str::<serde_json::Map<String, Json>>(&text).is_ok();
            prop_assert_eq!(Document::parse(text.as_bytes()).is_ok(), is_object, "{}", text);
        }
    }

    #[test]
    fn names_with_escapes_and_repeated_ones_are_there() {
        let document = Document::parse(br#"{"mod\u0065l":"a","x":{"y":1,"y":2}}"#).unwrap();
        let members = document.root().members();
        let names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["model", "x"]);
        let texts: Vec<&str> = members[1].1.members().iter().map(|(_, value)| value.text()).collect();
        assert_eq!(texts, ["1", "2"]);
        assert!(members[0].1.members().is_empty() && members[1].1.items().is_none());
    }

    #[test]
    fn nesting_has_no_end() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(Document::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [&b"[]"[..], b"null", b"", b"{\"a\":}", b"\xff", b"{} {}"] {
            assert!(Document::parse(text).is_err());
        }
    }
}
