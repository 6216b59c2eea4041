//! Members of a request under either spelling: the vendor's JSON is that of its protobuf messages,
//! which takes `topP` and `top_p` alike, numbers as text, and one object where a list of them belongs.
//!
//! Source: "ProtoJSON Format" (protobuf.dev, read November 2026) and the reference's own examples.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::{
    error::Result,
    wire::{
        json::{Document, Value},
        read::{Node, Path, Record, Shape},
    },
};

/// What the canonical form has no place for.
pub(super) type Extra = BTreeMap<String, Box<RawValue>>;

/// An object whose members are asked for in camel case.
#[derive(Debug)]
pub(super) struct Fields<'a, 'p>(Record<'a, 'p>);

/// Whether a member is the one of this name.
pub(super) fn is(key: &str, name: &str) -> bool {
    key == name || camel(key) == name
}

/// A name in camel case.
pub(super) fn camel(key: &str) -> Cow<'_, str> {
    if !key.contains('_') || key.starts_with('_') {
        return key.into();
    }
    let words = key.split('_').enumerate();
    let capitals = words.map(|(at, word)| match word.chars().next() {
        Some(first) if at > 0 => {
            [first.to_ascii_uppercase().to_string().as_str(), word.get(first.len_utf8()..).unwrap_or_default()].concat()
        }
        Some(_) | None => word.to_owned(),
    });
    capitals.collect::<String>().into()
}

/// Each item of a list, or the one object that stands in its place.
pub(super) fn each<'a>(node: &Node<'a, '_>, mut take: impl FnMut(Node<'a, '_>) -> Result<()>) -> Result<()> {
    if node.shape() == Shape::Object {
        return take(*node);
    }
    for (at, raw) in node.list()?.into_iter().enumerate() {
        take(node.item(at, raw))?;
    }
    Ok(())
}

/// The texts of a list.
pub(super) fn texts(node: &Node<'_, '_>) -> Result<Vec<String>> {
    node.list()?.into_iter().enumerate().map(|(at, raw)| node.item(at, raw).string()).collect()
}

// === impl Fields ===

impl<'a> Fields<'a, 'static> {
    /// A whole body.
    pub(super) fn root(document: &'a Document<'_>) -> Self {
        Self(Record::of(document))
    }
}

impl<'a, 'p> Fields<'a, 'p> {
    pub(super) fn of(node: &Node<'a, 'p>) -> Result<Self> {
        node.record().map(Self)
    }

    pub(super) fn path(&self) -> &Path<'p> {
        self.0.path()
    }

    pub(super) fn get<'s>(&'s self, name: &str) -> Option<Node<'a, 's>> {
        self.0.find(|key| is(key, name))
    }

    pub(super) fn require<'s>(&'s self, name: &str) -> Result<Node<'a, 's>> {
        self.get(name).ok_or_else(|| self.0.path().missing(name))
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>> {
        self.get(name).map(|node| node.string()).transpose()
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>> {
        self.get(name).map(|node| node.bool()).transpose()
    }

    /// A word of an enumeration; the one that stands for none is none.
    pub(super) fn word(&self, name: &str) -> Result<Option<String>> {
        let word = self.string(name)?.map(|word| word.to_ascii_uppercase());
        Ok(word.filter(|word| !word.ends_with("UNSPECIFIED")))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        let read = |node: Node<'_, '_>| match node.shape() {
            Shape::String => node.str()?.parse().map_err(|_| node.mistyped("a number")),
            Shape::Null | Shape::Bool | Shape::Number | Shape::Array | Shape::Object => node.number(),
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>> {
        let read = |node: Node<'_, '_>| match node.shape() {
            Shape::String => node.str()?.parse().map_err(|_| node.mistyped("an integer")),
            Shape::Null | Shape::Bool | Shape::Number | Shape::Array | Shape::Object => node.count(),
        };
        self.get(name).map(read).transpose()
    }

    /// The members that are there, under the names they were written with.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.0.members()
    }

    /// Notes the members that are none of `known`, under `path` and in camel case. What says the
    /// default is not noted, and what a conversation repeats in every turn only once.
    pub(super) fn note(&self, path: &str, known: &[&str], extra: &mut Extra) {
        for (key, value) in self.members() {
            let name = camel(key);
            if known.contains(&&*name) || matches!(value.text(), "null" | "false" | "[]" | "{}") {
                continue;
            }
            extra.entry(format!("{path}.{name}")).or_insert_with(|| value.raw().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        for (key, name) in [
            ("topP", "topP"),
            ("top_p", "topP"),
            ("response_json_schema", "responseJsonSchema"),
            ("_raw", "_raw"),
            ("a__b", "aB"),
            ("\u{e9}_\u{e9}", "\u{e9}\u{e9}"),
        ] {
            assert_eq!(camel(key), name);
            assert!(is(key, name));
        }
        let document = Document::parse(br#"{"top_p":"0.5","topK":"7","mode":"auto","x":null}"#).unwrap();
        let fields = Fields::root(&document);
        assert_eq!((fields.number("topP").unwrap(), fields.count("topK").unwrap()), (Some(0.5), Some(7)));
        assert_eq!(fields.word("mode").unwrap().as_deref(), Some("AUTO"));
        assert!(fields.count("mode").is_err() && fields.get("x").is_none());
    }
}
