//! Values as JSON text: the bytes that `serde_json` writes, for fewer instructions.
//!
//! What is written here are our own wire types, so the names of members need no escape, and the keys
//! of maps are strings. Prompts and answers are long strings, which `text` writes many bytes at a
//! time; `serde_json` looks at each byte on its own, names included.
//!
//! Events stay on one line for every reader: some clients' line splitters also split at U+2028, U+2029
//! and U+0085 (httpx, as observed November 2026), so [`line()`] escapes these.
//!
//! Cost: one pass over each string, one copy, no allocation but the buffer's.

use bytes::{Bytes, BytesMut};
use memchr::memchr2_iter;
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};
use serde_json::Error;

use super::{RAW, text::push_escaped};

type Result<T> = std::result::Result<T, Error>;

/// Room for a small body, so that it need not grow.
const ROOM: usize = 1024;

/// Where JSON is written to: memory, which takes every write.
pub trait Sink {
    fn push(&mut self, text: &str);
}

/// A value as a body of its own. A `500` when it has no JSON form, which our own types always have.
pub fn body(value: &impl Serialize) -> crate::error::Result<Bytes> {
    let mut out = Vec::with_capacity(ROOM);
    match value.serialize(&mut Writer::new(&mut out, false)) {
        Ok(()) => Ok(out.into()),
        Err(why) => Err(crate::error::Error::Internal { message: format!("A body cannot be written: {why}") }),
    }
}

/// Appends a value in one line.
pub fn line(value: &impl Serialize, out: &mut impl Sink) {
    // Our own types always have a JSON form.
    let _ = value.serialize(&mut Writer::new(out, true));
}

struct Writer<'o, S> {
    out: &'o mut S,
    one_line: bool,
    /// The next string is JSON already.
    verbatim: bool,
}

/// An array or an object whose end is not written yet.
struct Open<'w, 'o, S> {
    writer: &'w mut Writer<'o, S>,
    is_empty: bool,
    end: &'static str,
}

// === impl Sink ===

impl Sink for String {
    fn push(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for BytesMut {
    fn push(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

impl Sink for Vec<u8> {
    fn push(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

// === impl Writer ===

impl<'o, S: Sink> Writer<'o, S> {
    fn new(out: &'o mut S, one_line: bool) -> Self {
        Self { out, one_line, verbatim: false }
    }

    fn open<'w>(&'w mut self, start: &str, end: &'static str) -> Open<'w, 'o, S> {
        self.out.push(start);
        Open { writer: self, is_empty: true, end }
    }

    /// The one member of an object that stands for a variant with content.
    fn open_variant<'w>(&'w mut self, name: &str, start: &str, end: &'static str) -> Open<'w, 'o, S> {
        self.out.push("{\"");
        self.out.push(name);
        self.out.push("\":");
        self.open(start, end)
    }

    fn string(&mut self, text: &str) {
        self.out.push("\"");
        self.fragment(text);
        self.out.push("\"");
    }

    /// JSON that is there already has characters which end lines in its strings alone, too.
    fn fragment(&mut self, text: &str) {
        let mut rest = text;
        if self.one_line {
            for at in memchr2_iter(0xC2, 0xE2, text.as_bytes()) {
                let done = text.len() - rest.len();
                let Some((clean, found)) = at.checked_sub(done).and_then(|at| rest.split_at_checked(at)) else {
                    continue;
                };
                let Some((escape, after)) = line_end(found) else { continue };
                self.plain(clean);
                self.out.push(escape);
                rest = after;
            }
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        if self.verbatim { self.out.push(text) } else { push_escaped(self.out, text) }
    }

    fn integer(&mut self, value: impl itoa::Integer) -> Result<()> {
        self.out.push(itoa::Buffer::new().format(value));
        Ok(())
    }

    /// What is rare is written by `serde_json`.
    fn other(&mut self, value: &impl Serialize) -> Result<()> {
        self.out.push(&serde_json::to_string(value)?);
        Ok(())
    }
}

/// The escape of a character that some readers take for a line's end, and what comes behind it.
fn line_end(text: &str) -> Option<(&'static str, &str)> {
    let escapes = [("\u{85}", "\\u0085"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];
    escapes.into_iter().find_map(|(end, escape)| text.strip_prefix(end).map(|after| (escape, after)))
}

impl<'w, 'o, S: Sink> Serializer for &'w mut Writer<'o, S> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'w, 'o, S>;
    type SerializeTuple = Open<'w, 'o, S>;
    type SerializeTupleStruct = Open<'w, 'o, S>;
    type SerializeTupleVariant = Open<'w, 'o, S>;
    type SerializeMap = Open<'w, 'o, S>;
    type SerializeStruct = Open<'w, 'o, S>;
    type SerializeStructVariant = Open<'w, 'o, S>;

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.push(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<()> {
        self.integer(value)
    }

    fn serialize_i16(self, value: i16) -> Result<()> {
        self.integer(value)
    }

    fn serialize_i32(self, value: i32) -> Result<()> {
        self.integer(value)
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        self.integer(value)
    }

    fn serialize_u8(self, value: u8) -> Result<()> {
        self.integer(value)
    }

    fn serialize_u16(self, value: u16) -> Result<()> {
        self.integer(value)
    }

    fn serialize_u32(self, value: u32) -> Result<()> {
        self.integer(value)
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        self.integer(value)
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.other(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        self.other(&value)
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.string(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        if self.verbatim {
            self.fragment(text)
        } else {
            self.string(text)
        }
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.other(&bytes)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.push("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let open = self.open_variant(variant, "", "}");
        value.serialize(&mut *open.writer)?;
        open.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        Ok(self.open("[", "]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Ok(self.open_variant(variant, "[", "]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        Ok(self.open("{", "}"))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        let is_raw = name == RAW;
        Ok(if is_raw { self.open("", "") } else { self.open("{", "}") })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Ok(self.open_variant(variant, "{", "}}"))
    }
}

// === impl Open ===

impl<S: Sink> Open<'_, '_, S> {
    fn item<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.comma();
        value.serialize(&mut *self.writer)
    }

    fn member<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<()> {
        let out = &mut *self.writer.out;
        out.push(if self.is_empty { "\"" } else { ",\"" });
        self.is_empty = false;
        out.push(name);
        out.push("\":");
        value.serialize(&mut *self.writer)
    }

    fn comma(&mut self) {
        if !self.is_empty {
            self.writer.out.push(",");
        }
        self.is_empty = false;
    }

    fn close(self) -> Result<()> {
        self.writer.out.push(self.end);
        Ok(())
    }
}

/// What is written as an array has one form, and serde four names for it.
macro_rules! arrays {
    ($($trait:ident::$add:ident),*) => {$(
        impl<S: Sink> $trait for Open<'_, '_, S> {
            type Ok = ();
            type Error = Error;

            fn $add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
                self.item(value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        }
    )*};
}

arrays!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

impl<S: Sink> SerializeMap for Open<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.item(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        self.writer.out.push(":");
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl<S: Sink> SerializeStruct for Open<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<()> {
        if name != RAW {
            return self.member(name, value);
        }
        self.writer.verbatim = true;
        let written = value.serialize(&mut *self.writer);
        self.writer.verbatim = false;
        written
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl<S: Sink> SerializeStructVariant for Open<'_, '_, S> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.member(name, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json, value::RawValue};

    use super::*;

    #[derive(Serialize)]
    struct All<'a> {
        text: &'a str,
        none: Option<u8>,
        some: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        skipped: Option<u8>,
        unit: (),
        empty: [u8; 0],
        pair: (i64, u64),
        numbers: [f64; 2],
        single: f32,
        byte: i8,
        letter: char,
        wrapped: Wrapped,
        map: BTreeMap<String, bool>,
        variants: Vec<Variant<'a>>,
        tagged: [Tagged<'a>; 2],
        raw: &'a RawValue,
        value: Value,
        #[serde(flatten)]
        flat: Flat,
    }

    #[derive(Serialize)]
    struct Wrapped(u16);

    #[derive(Serialize)]
    struct Flat {
        inner: i32,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Variant<'a> {
        Unit,
        New(&'a str),
        Tuple(u8, &'a str),
        Struct { a: u8, b: &'a str },
    }

    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Tagged<'a> {
        Empty,
        Full { text: &'a str },
    }

    const LINE_ENDS: [char; 4] = ['\u{2028}', '\u{2029}', '\u{85}', '\n'];

    fn all<'a>(text: &'a str, raw: &'a RawValue, number: f64, pair: (i64, u64)) -> All<'a> {
        All {
            text,
            none: None,
            some: Some(text),
            skipped: None,
            unit: (),
            empty: [],
            pair,
            numbers: [number, f64::NAN],
            single: number as f32,
            byte: -7,
            letter: text.chars().next().unwrap_or('"'),
            wrapped: Wrapped(3),
            map: [(text.to_owned(), true), ("b".to_owned(), false)].into(),
            variants: vec![
                Variant::Unit,
                Variant::New(text),
                Variant::Tuple(1, text),
                Variant::Struct { a: 2, b: text },
            ],
            tagged: [Tagged::Empty, Tagged::Full { text }],
            raw,
            value: json!({"x": [1, -2, 0.5, null, text], "y": {}}),
            flat: Flat { inner: -1 },
        }
    }

    proptest! {
        #[test]
        fn it_writes_what_the_usual_way_writes(
            text in prop_oneof![any::<String>(), "[a-z \"\\\\\n\t\u{1}é\u{2028}\u{85}]{0,200}"],
            number in any::<f64>(),
            pair in any::<(i64, u64)>(),
        ) {
            let raw = RawValue::from_string(json!([text, {"k": 1.0}]).to_string()).unwrap();
            let all = all(&text, &raw, number, pair);
            let usual = serde_json::to_string(&all).unwrap();
            prop_assert_eq!(body(&all).unwrap(), usual.as_bytes());
            let mut out = String::new();
            line(&all, &mut out);
            let ends = out.contains(LINE_ENDS);
            prop_assert!(!ends);
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), serde_json::from_str::<Value>(&usual).unwrap());
        }
    }

    #[test]
    fn no_line_splitter_finds_a_line_end() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\ne\u{e9}\u{2027}\u{4f60}\"\\\u{1F30D}";
        let expected = "\"a\\u2028b\\u2029c\\u0085d\\ne\u{e9}\u{2027}\u{4f60}\\\"\\\\\u{1F30D}\"";
        let mut out = Vec::new();
        line(&text, &mut out);
        assert_eq!(out, expected.as_bytes());
        let mut again = BytesMut::new();
        line(&RawValue::from_string(serde_json::to_string(text).unwrap()).unwrap(), &mut again);
        assert_eq!(again, expected.as_bytes());
    }
}
