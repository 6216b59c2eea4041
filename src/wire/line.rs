//! JSON that stays on one line for every reader: some clients' line splitters also split at U+2028,
//! U+2029 and U+0085 (httpx, as observed November 2026), so these are escaped in streams.
//!
//! Cost: none but the output buffer; one `memchr` pass over each string.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Appends `value` as JSON.
pub fn write(value: &impl Serialize, out: impl io::Write) {
    // Our own wire types always have a JSON form, and a buffer in memory takes every write.
    let _ = value.serialize(&mut Serializer::with_formatter(out, OneLine));
}

struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.write_raw_fragment(writer, fragment)
    }

    /// JSON that is there already has such characters in its strings alone, too.
    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let mut written = 0;
        for at in memchr::memchr2_iter(0xC2, 0xE2, bytes) {
            let Some((escape, length)) = bytes.get(at..).and_then(escape) else { continue };
            writer.write_all(bytes.get(written..at).unwrap_or_default())?;
            writer.write_all(escape)?;
            written = at + length;
        }
        writer.write_all(bytes.get(written..).unwrap_or_default())
    }
}

fn escape(bytes: &[u8]) -> Option<(&'static [u8], usize)> {
    match bytes {
        [0xC2, 0x85, ..] => Some((b"\\u0085", 2)),
        [0xE2, 0x80, 0xA8, ..] => Some((b"\\u2028", 3)),
        [0xE2, 0x80, 0xA9, ..] => Some((b"\\u2029", 3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_line_splitter_finds_a_line_end() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\ne\u{e9}\u{2027}\u{4f60}\"\\\u{1F30D}";
        let mut out = Vec::new();
        super::write(&text, &mut out);
        let json = String::from_utf8(out).unwrap();
        assert!(!json.contains(['\u{2028}', '\u{2029}', '\u{85}', '\n']), "{json}");
        assert!(json.contains('\u{e9}') && json.contains('\u{4f60}'), "others stay as they are: {json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        let mut again = Vec::new();
        super::write(
            &serde_json::value::RawValue::from_string(serde_json::to_string(text).unwrap()).unwrap(),
            &mut again,
        );
        assert_eq!(String::from_utf8(again).unwrap(), json);
    }
}
