//! Edits of a JSON object that leave every other byte alone.
//!
//! A same-dialect request must reach the upstream as the client wrote it: key order, number
//! spelling and unknown fields included (rules S2, C1, P2). So nothing is decoded and encoded
//! again: [`Object`] notes where the members of one object stand, [`Edits`] collects what shall
//! differ, and [`Edits::apply`] writes the new text in one copy.
//!
//! Cost: one borrowed pass over the text (`scan`), one `Vec` of members, one copy of the text per `apply`
//! that changes anything. No value is built.

pub mod array;
mod document;
mod scan;
mod text;
mod write;

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

pub use self::{
    document::{Document, Value},
    text::{push_escaped, push_string, string},
    write::{Sink, body, line},
};
use crate::error::{Error, Result};

/// By this name `serde_json` hands a [`RawValue`] its text, and takes it from nobody else.
const RAW: &str = "$serde_json::private::RawValue";

/// The members of one JSON object, in order, with the places where they stand in its text.
#[derive(Debug)]
pub struct Object<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

/// One member of an [`Object`].
#[derive(Debug)]
pub struct Member<'a> {
    pub key: Cow<'a, str>,
    pub value: &'a RawValue,
    /// From the key's opening quote to the value's end.
    span: Range<usize>,
}

/// What shall differ in an object. Later edits of a key win over earlier ones.
#[derive(Debug)]
pub struct Edits<'a> {
    object: Object<'a>,
    /// By member: its new key and value, or its removal.
    changes: Vec<Option<Change>>,
    /// Members to add at the end.
    added: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Change {
    Remove,
    Set { key: Option<String>, value: Option<String> },
}

// === impl Object ===

impl<'a> Object<'a> {
    /// Reads an object's members. Fails when `text` is no JSON object; the error names no field.
    pub fn parse(text: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| not_json("it is not UTF-8"))?;
        Self::parse_str(text).map_err(|error| not_json(&error.to_string()))
    }

    /// The same for text that is known to be UTF-8, such as a [`RawValue`]'s.
    pub fn parse_str(text: &'a str) -> serde_json::Result<Self> {
        if let Some(members) = scan::members(text) {
            return Ok(Self { text, members });
        }
        let Members(pairs) = serde_json::from_str(text)?;
        let mut end = 0;
        let mut members = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let value_start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            // Between the previous value and this one stand only a comma or brace, white space,
            // the key and a colon, so the first quote there opens the key.
            let gap = text.get(end..value_start).unwrap_or_default();
            let key_start = end + gap.find('"').unwrap_or_default();
            end = value_start + value.get().len();
            members.push(Member { key, value, span: key_start..end });
        }
        Ok(Self { text, members })
    }

    /// The value of `key`; of several equal keys the last, as JSON parsers agree.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.iter().rev().find(|member| member.key == key).map(|member| member.value)
    }

    /// Like [`Self::get`], with JSON's `null` taken for absence.
    pub fn present(&self, key: &str) -> Option<&'a RawValue> {
        self.get(key).filter(|value| value.get() != "null")
    }

    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// Begins to edit.
    pub fn edit(self) -> Edits<'a> {
        let changes = vec![None; self.members.len()];
        Edits { object: self, changes, added: Vec::new() }
    }
}

// === impl Edits ===

impl<'a> Edits<'a> {
    /// The object as it was before any edit.
    pub fn object(&self) -> &Object<'a> {
        &self.object
    }

    /// The value `key` has now: as edited, or as it stood. `null` is a value here.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some((_, value)) = self.added.iter().rev().find(|(name, _)| name == key) {
            return Some(value);
        }
        self.object.members.iter().zip(&self.changes).rev().find_map(|(member, change)| match change {
            None => (member.key == key).then(|| member.value.get()),
            Some(Change::Remove) => None,
            Some(Change::Set { key: name, value }) => (name.as_deref().unwrap_or(&member.key) == key)
                .then(|| value.as_deref().unwrap_or_else(|| member.value.get())),
        })
    }

    /// Gives `key` a new value, which must be JSON text; adds it at the end when there is none. Where
    /// it stands more than once, everywhere: not every parser takes the last one (rule X1).
    pub fn set(&mut self, key: &str, json: impl Into<String>) {
        let json = json.into();
        match self.last(key) {
            Some(last) => {
                for index in 0..last {
                    if self.name(index).is_some_and(|name| name == key) {
                        self.put(index, |name, _| (name, Some(json.clone())));
                    }
                }
                self.put(last, |name, _| (name, Some(json)));
            }
            None => match self.added.iter_mut().find(|(name, _)| name == key) {
                Some((_, value)) => *value = json,
                None => self.added.push((key.into(), json)),
            },
        }
    }

    /// Removes every member named `key`. Tells whether one was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let mut found = false;
        for index in 0..self.changes.len() {
            if self.name(index).is_some_and(|name| name == key) {
                found = true;
                if let Some(change) = self.changes.get_mut(index) {
                    *change = Some(Change::Remove);
                }
            }
        }
        let before = self.added.len();
        self.added.retain(|(name, _)| name != key);
        found || self.added.len() != before
    }

    /// Renames `from`, in place. Tells whether it was there.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        if let Some((name, _)) = self.added.iter_mut().find(|(name, _)| name == from) {
            *name = to.into();
            return true;
        }
        let Some(index) = self.last(from) else { return false };
        self.put(index, |_, value| (Some(to.into()), value));
        true
    }

    /// Whether [`Self::apply`] would write anything but the original.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changes.iter().all(Option::is_none)
    }

    /// The new text.
    pub fn apply(&self) -> String {
        let text = self.object.text;
        let extra: usize = self.added.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
        let mut out = String::with_capacity(text.len() + extra + 64);
        let mut from = 0;
        let mut kept = 0usize;
        for (index, (member, change)) in self.object.members.iter().zip(&self.changes).enumerate() {
            match change {
                None => kept += 1,
                Some(Change::Set { key, value }) => {
                    kept += 1;
                    let value_start = member.span.end - member.value.get().len();
                    if let Some(key) = key {
                        out.push_str(slice(text, from..member.span.start));
                        push_string(&mut out, key);
                        out.push(':');
                    } else {
                        out.push_str(slice(text, from..value_start));
                    }
                    out.push_str(value.as_deref().unwrap_or_else(|| member.value.get()));
                    from = member.span.end;
                }
                Some(Change::Remove) => {
                    // Take one comma along: the one before, or the one after a removed head.
                    let before = slice(text, from..member.span.start);
                    let next = self.object.members.get(index + 1).map(|next| next.span.start);
                    if kept > 0 {
                        out.push_str(before.trim_end().trim_end_matches(','));
                        from = member.span.end;
                    } else {
                        out.push_str(before);
                        from = next.unwrap_or(member.span.end);
                    }
                }
            }
        }
        let rest = slice(text, from..text.len());
        if self.added.is_empty() {
            out.push_str(rest);
            return out;
        }
        let (head, tail) = rest.rfind('}').map_or((rest, ""), |at| rest.split_at(at));
        out.push_str(head);
        for (key, value) in &self.added {
            if kept > 0 {
                out.push(',');
            }
            kept += 1;
            push_string(&mut out, key);
            out.push(':');
            out.push_str(value);
        }
        out.push_str(tail);
        out
    }

    /// The new text as a body; the original, shared, when nothing differs.
    pub fn into_bytes(self, original: &Bytes) -> Bytes {
        if self.is_empty() { original.clone() } else { self.apply().into() }
    }

    /// The current name of a member; `None` when it is removed.
    fn name(&self, index: usize) -> Option<&str> {
        let member = self.object.members.get(index)?;
        match self.changes.get(index)? {
            Some(Change::Remove) => None,
            Some(Change::Set { key: Some(key), .. }) => Some(key),
            Some(Change::Set { key: None, .. }) | None => Some(&member.key),
        }
    }

    fn last(&self, key: &str) -> Option<usize> {
        (0..self.changes.len()).rev().find(|index| self.name(*index) == Some(key))
    }

    fn put(
        &mut self,
        index: usize,
        with: impl FnOnce(Option<String>, Option<String>) -> (Option<String>, Option<String>),
    ) {
        let Some(change) = self.changes.get_mut(index) else { return };
        let (key, value) = match change.take() {
            Some(Change::Set { key, value }) => with(key, value),
            Some(Change::Remove) | None => with(None, None),
        };
        *change = Some(Change::Set { key, value });
    }
}

/// The items of a JSON array.
pub fn items(text: &str) -> serde_json::Result<Vec<&RawValue>> {
    scan::items(text).map_or_else(|| serde_json::from_str(text), Ok)
}

/// What a string stands for, of its JSON text; `None` when that is none.
fn unescaped(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(json).ok().map(|Key(text)| text)
}

// === parsing ===

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed where it has no escapes (serde borrows a `Cow` only when told to).
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn not_json(why: &str) -> Error {
    Error::Invalid {
        message: format!("The body is not a JSON object: {why}."),
        param: None,
        code: Some("invalid_json"),
    }
}

fn slice(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl FnOnce(&mut Edits<'_>)) -> String {
        let mut edits = Object::parse(text.as_bytes()).unwrap().edit();
        edit(&mut edits);
        edits.apply()
    }

    /// S2, C1: all but the edited value keeps its bytes.
    #[test]
    fn a_value_is_replaced_in_place() {
        let text = r#"{ "z" : 1.0e2, "model" : "a/b" ,"x":[1,{"model":"no"}]}"#;
        assert_eq!(
            edited(text, |edits| edits.set("model", r#""b""#)),
            r#"{ "z" : 1.0e2, "model" : "b" ,"x":[1,{"model":"no"}]}"#
        );
    }

    #[test]
    fn members_are_added_renamed_and_removed() {
        let text = r#"{"a":1, "b":2, "c":3}"#;
        assert_eq!(edited(text, |edits| edits.set("d", "4")), r#"{"a":1, "b":2, "c":3,"d":4}"#);
        assert_eq!(edited(text, |edits| assert!(edits.rename("b", "bb"))), r#"{"a":1, "bb":2, "c":3}"#);
        assert_eq!(edited(text, |edits| assert!(edits.remove("a"))), r#"{"b":2, "c":3}"#);
        assert_eq!(edited(text, |edits| assert!(edits.remove("b"))), r#"{"a":1, "c":3}"#);
        assert_eq!(edited(text, |edits| assert!(edits.remove("c"))), r#"{"a":1, "b":2}"#);
        assert_eq!(edited("{}", |edits| edits.set("d", "4")), r#"{"d":4}"#);
    }

    /// Any set of edits on any object gives JSON that holds exactly what was asked for.
    #[test]
    fn every_combination_of_edits_is_valid() {
        let text = r#" { "a" : 1 , "b" : "}" , "c" : {"a":"\"b\""} } "#;
        for mask in 0..64u32 {
            let has = |bit: u32| mask & (1 << bit) != 0;
            let mut expected: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
            let out = edited(text, |edits| {
                for (bit, key) in ["a", "b", "c"].into_iter().enumerate() {
                    if has(bit as u32) {
                        assert!(edits.remove(key));
                        expected.remove(key);
                    } else if has(bit as u32 + 3) {
                        edits.set(key, "null");
                        assert!(edits.rename(key, &format!("{key}{key}")));
                        expected.remove(key);
                        expected.insert(format!("{key}{key}"), serde_json::Value::Null);
                    }
                }
                if mask % 2 == 0 {
                    edits.set("new", "[1]");
                    expected.insert("new".into(), serde_json::json!([1]));
                }
            });
            let got: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&out).unwrap_or_else(|error| panic!("{mask}: {out}: {error}"));
            assert_eq!(got.len(), expected.len(), "{out}");
            for (key, value) in &expected {
                assert_eq!(got.get(key), Some(value), "{out}");
            }
        }
    }

    #[test]
    fn escaped_and_repeated_keys_are_found() {
        let object = Object::parse(br#"{"mod\u0065l":"first","model":"last"}"#).unwrap();
        assert_eq!(object.get("model").unwrap().get(), r#""last""#);
        assert_eq!(
            edited(r#"{"a":0,"mod\u0065l":"x","b":1}"#, |edits| edits.set("model", "2")),
            r#"{"a":0,"mod\u0065l":2,"b":1}"#
        );
        assert_eq!(edited(r#"{"m":1,"m":2,"n":3}"#, |edits| assert!(edits.remove("m"))), r#"{"n":3}"#);
        // X1: whichever of them a parser takes.
        assert_eq!(edited(r#"{"m":1,"n":3,"m":2}"#, |edits| edits.set("m", "4")), r#"{"m":4,"n":3,"m":4}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [&b"[]"[..], b"null", b"", b"{\"a\":}", b"\xff"] {
            assert!(matches!(Object::parse(text), Err(Error::Invalid { code: Some("invalid_json"), .. })));
        }
    }
}
