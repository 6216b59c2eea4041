//! Reading a client's request: borrowed JSON values that know where they stand, so that whatever
//! is wrong with one is an `Error::Invalid` with its path (`messages[2].content[0].type`). An upstream's
//! answer may be read the same way; its reader says whose fault that is.
//!
//! `null` means absent everywhere. Message wording and codes follow OpenAI's validation errors
//! (OpenAI error guide, November 2026).
//!
//! Cost: one borrowed scan per level of nesting; text is copied when a caller asks to own it. The
//! path is a chain on the stack and becomes a string only for an error.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::json::{Document, Value};
use crate::error::{Error, Result};

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// A value that is not `null`, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a, 'p> {
    value: Value<'a>,
    path: Path<'p>,
}

/// An object, and where it stands.
#[derive(Debug)]
pub struct Record<'a, 'p> {
    /// A request is asked for some fifty members, most of which are not there.
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    path: Path<'p>,
}

/// What kind of value a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

// === impl Path ===

impl Path<'_> {
    /// The error of a member that is not there.
    pub fn missing(&self, key: &str) -> Error {
        let path = Path::Key(self, key).to_string();
        Error::invalid(format!("Missing required parameter: '{path}'."), path, "missing_required_parameter")
    }

    /// The error of a value of the right type that is none of those supported.
    pub fn unsupported(&self, got: &str, supported: &[&str]) -> Error {
        let supported: Vec<_> = supported.iter().map(|value| format!("'{value}'")).collect();
        let message = format!("Invalid value: '{got}'. Supported values are: {}.", supported.join(", "));
        Error::invalid(message, self.to_string(), "invalid_value")
    }

    /// The error of a string that is none: text that was cut between two surrogates.
    fn half_a_character(&self) -> Error {
        let message =
            format!("Invalid value for '{self}': it holds one half of a surrogate pair, which is no character.");
        Error::invalid(message, self.to_string(), "invalid_value")
    }

    fn invalid_type(&self, expected: &str, got: Shape) -> Error {
        let message = format!("Invalid type for '{self}': expected {expected}, but got {got} instead.");
        Error::invalid(message, self.to_string(), "invalid_type")
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

// === impl Node ===

impl<'a, 'p> Node<'a, 'p> {
    /// An element of a list read with [`Self::list`].
    pub fn item<'s>(&'s self, index: usize, value: Value<'a>) -> Node<'a, 's> {
        Node { value, path: Path::Index(&self.path, index) }
    }

    pub fn raw(&self) -> &'a RawValue {
        self.value.raw()
    }

    pub fn path(&self) -> &Path<'p> {
        &self.path
    }

    pub fn shape(&self) -> Shape {
        Shape::of(self.value.text())
    }

    /// Borrowed unless it holds escapes.
    pub fn str(&self) -> Result<Cow<'a, str>> {
        self.str_or("a string")
    }

    pub fn string(&self) -> Result<String> {
        self.str().map(Cow::into_owned)
    }

    pub fn bool(&self) -> Result<bool> {
        self.parsed("a boolean")
    }

    pub fn number(&self) -> Result<f64> {
        self.parsed("a number")
    }

    pub fn signed(&self) -> Result<i64> {
        self.parsed("an integer")
    }

    /// A count. `5.0` is one too: some languages know no integers.
    pub fn count(&self) -> Result<u64> {
        if let Ok(count) = serde_json::from_str(self.value.text()) {
            return Ok(count);
        }
        let number: f64 = self.parsed("an integer")?;
        if number < 0.0 {
            let message = format!("Invalid '{}': expected a value of at least 0, but got {number}.", self.path);
            return Err(Error::invalid(message, self.path.to_string(), "integer_below_min_value"));
        }
        if number.fract() != 0.0 || number > 9e15 {
            return Err(self.path.invalid_type("an integer", Shape::Number));
        }
        Ok(number as u64)
    }

    pub fn record(&self) -> Result<Record<'a, 'p>> {
        self.record_or("an object")
    }

    /// Like [`Self::record`], naming what else would have been right.
    pub fn record_or(&self, expected: &str) -> Result<Record<'a, 'p>> {
        match self.shape() {
            Shape::Object => Ok(Record { members: self.value.members(), path: self.path }),
            Shape::Null | Shape::Bool | Shape::Number | Shape::String | Shape::Array => Err(self.mistyped(expected)),
        }
    }

    pub fn list(&self) -> Result<Vec<Value<'a>>> {
        self.list_or("an array")
    }

    /// Like [`Self::list`], naming what else would have been right.
    pub fn list_or(&self, expected: &str) -> Result<Vec<Value<'a>>> {
        self.value.items().map(Iterator::collect).ok_or_else(|| self.mistyped(expected))
    }

    /// The error of a value that is not what was expected.
    pub fn mistyped(&self, expected: &str) -> Error {
        self.path.invalid_type(expected, self.shape())
    }

    fn str_or(&self, expected: &str) -> Result<Cow<'a, str>> {
        self.value.str().ok_or_else(|| match self.shape() {
            Shape::String => self.path.half_a_character(),
            Shape::Null | Shape::Bool | Shape::Number | Shape::Array | Shape::Object => self.mistyped(expected),
        })
    }

    fn parsed<T: DeserializeOwned>(&self, expected: &str) -> Result<T> {
        serde_json::from_str(self.value.text()).map_err(|_| self.mistyped(expected))
    }
}

// === impl Record ===

impl<'a> Record<'a, 'static> {
    /// A whole body.
    pub fn of(document: &'a Document<'_>) -> Self {
        Self { members: document.root().members(), path: Path::Root }
    }
}

impl<'a, 'p> Record<'a, 'p> {
    pub fn get<'s>(&'s self, key: &'s str) -> Option<Node<'a, 's>> {
        // Of several equal names the last counts, as JSON parsers agree.
        let (_, value) = self.members.iter().rev().find(|(name, _)| name == key)?;
        (value.text() != "null").then_some(Node { value: *value, path: Path::Key(&self.path, key) })
    }

    pub fn require<'s>(&'s self, key: &'s str) -> Result<Node<'a, 's>> {
        self.get(key).ok_or_else(|| self.path.missing(key))
    }

    pub fn string(&self, key: &str) -> Result<Option<String>> {
        self.get(key).map(|node| node.string()).transpose()
    }

    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|node| node.bool()).transpose()
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key).map(|node| node.number()).transpose()
    }

    pub fn count(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(|node| node.count()).transpose()
    }

    /// A member that is read by `serde`.
    pub fn parsed<T: DeserializeOwned>(&self, key: &str, expected: &str) -> Result<Option<T>> {
        self.get(key).map(|node| node.parsed(expected)).transpose()
    }

    /// An object's text, to be kept as it was written.
    pub fn raw_object(&self, key: &str) -> Result<Option<Box<RawValue>>> {
        self.get(key)
            .map(|node| match node.shape() {
                Shape::Object => Ok(node.raw().to_owned()),
                Shape::Null | Shape::Bool | Shape::Number | Shape::String | Shape::Array => {
                    Err(node.mistyped("an object"))
                }
            })
            .transpose()
    }

    /// The last member whose name is right.
    pub fn find(&self, is: impl Fn(&str) -> bool) -> Option<Node<'a, '_>> {
        let (key, value) = self.members.iter().rev().find(|(key, _)| is(key))?;
        (value.text() != "null").then_some(Node { value: *value, path: Path::Key(&self.path, key) })
    }

    /// The members that are none of `known` and say something, as they were written.
    pub fn others(&self, known: &[&str]) -> BTreeMap<String, Box<RawValue>> {
        let others = self.members().filter(|(key, value)| !known.contains(key) && value.text() != "null");
        others.map(|(key, value)| (key.to_owned(), value.raw().to_owned())).collect()
    }

    /// The members that are there, in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.members.iter().map(|(name, value)| (&**name, *value))
    }

    pub fn path(&self) -> &Path<'p> {
        &self.path
    }
}

// === impl Shape ===

impl Shape {
    pub fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'"') => Self::String,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_and_param<T: fmt::Debug>(result: Result<T>) -> (Option<&'static str>, Option<String>) {
        let Error::Invalid { code, param, .. } = result.unwrap_err() else { panic!("no error of the request") };
        (code, param)
    }

    /// M1: what is wrong is named by its path.
    #[test]
    fn errors_name_the_path() {
        let document = Document::parse(br#"{"a":[{"b":1}],"n":null,"c":-1,"d":1.5,"e":7.0}"#).unwrap();
        let root = Record::of(&document);
        let list = root.require("a").unwrap();
        let items = list.list().unwrap();
        let item = list.item(0, items[0]);
        let record = item.record().unwrap();
        assert_eq!(code_and_param(record.string("b")), (Some("invalid_type"), Some("a[0].b".into())));
        assert_eq!(
            code_and_param(record.require("x").map(|node| node.shape())),
            (Some("missing_required_parameter"), Some("a[0].x".into()))
        );
        assert!(root.get("n").is_none(), "null is absent");
        assert_eq!(code_and_param(root.count("c")), (Some("integer_below_min_value"), Some("c".into())));
        assert_eq!(code_and_param(root.count("d")), (Some("invalid_type"), Some("d".into())));
        assert_eq!(root.count("e").unwrap(), Some(7));
        let document = Document::parse(br#"{"half":"a\ud83d","whole":"a\ud83c\udf0d"}"#).unwrap();
        let root = Record::of(&document);
        assert_eq!(code_and_param(root.string("half")), (Some("invalid_value"), Some("half".into())));
        assert_eq!(root.string("whole").unwrap().as_deref(), Some("a\u{1f30d}"));
    }

    #[test]
    fn of_equal_names_the_last_counts_however_it_is_written() {
        let document = Document::parse(br#"{"a":1,"b":2,"\u0061":3,"b":null}"#).unwrap();
        let root = Record::of(&document);
        assert_eq!((root.count("a").unwrap(), root.count("b").unwrap()), (Some(3), None));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let document = Document::parse(br#"{"plain":"abc","escaped":"a\"c"}"#).unwrap();
        let root = Record::of(&document);
        assert!(matches!(root.require("plain").unwrap().str().unwrap(), Cow::Borrowed("abc")));
        assert!(matches!(root.require("escaped").unwrap().str().unwrap(), Cow::Owned(_)));
    }
}
