//! A chunk like the one before, but for its text.
//!
//! Within a stream nearly all chunks are the same bytes around another piece of text. Whoever has
//! looked at one knows the next by comparing: some 150 instructions where the look at every key
//! takes 2,500.
//!
//! Cost: two comparisons of memory and a jump over the text; the pattern is copied when it is
//! learned, a few times in a stream at most.

use std::ops::Range;

use super::peek::string_end;

/// How often a stream may teach another pattern; one whose chunks all differ (OpenAI's
/// `obfuscation`) is not worth it.
const LESSONS: u8 = 4;

/// What stands around the text.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    before: Box<[u8]>,
    /// From the text's closing quote on.
    after: Box<[u8]>,
    lessons: u8,
}

impl Pattern {
    /// How many bytes of text the chunk has, if there is nothing else new in it.
    pub(super) fn fits(&self, data: &[u8]) -> Option<u64> {
        if self.lessons == 0 {
            return None;
        }
        let rest = data.strip_prefix(&*self.before)?;
        let end = string_end(rest, 0)? - 1;
        (rest.get(end..)? == &*self.after).then_some(end as u64)
    }

    /// Remembers a chunk that was found to be plain, with the place of its text.
    pub(super) fn learn(&mut self, data: &[u8], text: Range<usize>) {
        if self.lessons == LESSONS {
            return;
        }
        if let (Some(before), Some(after)) = (data.get(..text.start), data.get(text.end..)) {
            *self = Self { before: before.into(), after: after.into(), lessons: self.lessons + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &str = r#"{"id":"c","choices":[{"delta":{"content":"Hello"},"finish_reason":null}]}"#;

    fn learned() -> Pattern {
        let mut pattern = Pattern::default();
        let start = CHUNK.find("Hello").unwrap();
        pattern.learn(CHUNK.as_bytes(), start..start + 5);
        pattern
    }

    #[test]
    fn only_the_text_may_differ() {
        assert_eq!(Pattern::default().fits(CHUNK.as_bytes()), None);
        for text in ["Hello", "", r#"\"}]}\\"#, r#"\",\"error\":1"#] {
            let bytes = text.len() as u64;
            assert_eq!(learned().fits(CHUNK.replace("Hello", text).as_bytes()), Some(bytes), "{text}");
        }
        for (from, to) in
            [("null", r#""stop""#), ("\"c\"", "\"d\""), ("}]}", "}]} "), ("Hello\"", "Hello"), ("Hello", "\\")]
        {
            assert_eq!(learned().fits(CHUNK.replace(from, to).as_bytes()), None, "{from} -> {to}");
        }
        assert_eq!(learned().fits(&CHUNK.as_bytes()[..CHUNK.len() - 1]), None);
        assert_eq!(learned().fits(b""), None);
    }

    #[test]
    fn a_stream_teaches_only_so_often() {
        let mut pattern = learned();
        for number in 0..10 {
            pattern.learn(format!("{{{number}:\"x\"}}").as_bytes(), 4..5);
        }
        assert_eq!(pattern.fits(br#"{2:"y"}"#), Some(1));
        assert_eq!(pattern.fits(br#"{9:"y"}"#), None);
    }
}
